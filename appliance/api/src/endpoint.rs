//! Every endpoint: its method, its path and what it is for.

use std::fmt;

/// The HTTP methods in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Reads.
    Get,
    /// Makes something happen.
    Post,
    /// Brings about a state.
    Put,
    /// Ends something.
    Delete,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        })
    }
}

/// An endpoint of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// The room as it is.
    Snapshot,
    /// The room at each change, by WebSocket.
    Events,
    /// Places a call.
    Call,
    /// Presses the join button.
    Join,
    /// Answers a ringing leg.
    Answer,
    /// Declines a ringing leg.
    Decline,
    /// Holds a leg.
    Hold,
    /// Resumes a leg that was held here.
    Resume,
    /// Sends touch tones.
    Dtmf,
    /// Has an account registered.
    Register,
    /// Hangs one leg up.
    HangUp,
    /// Hangs all legs up.
    HangUpAll,
    /// Mutes or opens the microphone.
    Microphone,
    /// Shows or hides the camera's picture.
    Camera,
    /// Shows slides, or no more.
    Slides,
    /// Sets the loudspeaker's volume.
    Volume,
    /// Arranges the far ends on the screen.
    Layout,
    /// The picture that the room sends.
    SentPicture,
    /// The picture that a far end sends.
    FarEndPicture,
    /// The slides that the room shows.
    SentSlidesPicture,
    /// The slides that a far end shows.
    FarEndSlidesPicture,
    /// The SIP messages of a leg.
    SipLadder,
    /// The SIP messages of the last call that was refused before it became a leg.
    RefusedSipLadder,
    /// The links of guests that are good.
    Invitations,
    /// Makes a link for guests.
    Invite,
    /// Ends a link.
    RevokeInvitation,
    /// Has the guests' server certified anew.
    RenewCertificate,
    /// Tests whether guests reach the room.
    TestGuests,
    /// This description.
    OpenApi,
    /// Metrics for Prometheus.
    Metrics,
}

impl Endpoint {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 30] = [
        Self::Snapshot,
        Self::Events,
        Self::Call,
        Self::Join,
        Self::Answer,
        Self::Decline,
        Self::Hold,
        Self::Resume,
        Self::Dtmf,
        Self::Register,
        Self::HangUp,
        Self::HangUpAll,
        Self::Microphone,
        Self::Camera,
        Self::Slides,
        Self::Volume,
        Self::Layout,
        Self::SentPicture,
        Self::FarEndPicture,
        Self::SentSlidesPicture,
        Self::FarEndSlidesPicture,
        Self::SipLadder,
        Self::RefusedSipLadder,
        Self::Invitations,
        Self::Invite,
        Self::RevokeInvitation,
        Self::RenewCertificate,
        Self::TestGuests,
        Self::OpenApi,
        Self::Metrics,
    ];

    /// The method.
    #[must_use]
    pub const fn method(self) -> Method {
        match self {
            Self::Snapshot
            | Self::Events
            | Self::SentPicture
            | Self::FarEndPicture
            | Self::SentSlidesPicture
            | Self::FarEndSlidesPicture
            | Self::SipLadder
            | Self::RefusedSipLadder
            | Self::Invitations
            | Self::OpenApi
            | Self::Metrics => Method::Get,
            Self::Call
            | Self::Join
            | Self::Answer
            | Self::Decline
            | Self::Hold
            | Self::Resume
            | Self::Dtmf
            | Self::Register
            | Self::Invite
            | Self::RenewCertificate
            | Self::TestGuests => Method::Post,
            Self::Microphone | Self::Camera | Self::Slides | Self::Volume | Self::Layout => {
                Method::Put
            }
            Self::HangUp | Self::HangUpAll | Self::RevokeInvitation => Method::Delete,
        }
    }

    /// The path; `{leg}` stands for the id of a leg, `{invitation}` for the number of an invitation.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Snapshot => "/v1/snapshot",
            Self::Events => "/v1/events",
            Self::Call => "/v1/calls",
            Self::Join => "/v1/join",
            Self::Answer => "/v1/legs/{leg}/answer",
            Self::Decline => "/v1/legs/{leg}/decline",
            Self::Hold => "/v1/legs/{leg}/hold",
            Self::Resume => "/v1/legs/{leg}/resume",
            Self::Dtmf => "/v1/legs/{leg}/dtmf",
            Self::Register => "/v1/registrations",
            Self::HangUp => "/v1/legs/{leg}",
            Self::HangUpAll => "/v1/legs",
            Self::Microphone => "/v1/microphone",
            Self::Camera => "/v1/camera",
            Self::Slides => "/v1/slides",
            Self::Volume => "/v1/volume",
            Self::Layout => "/v1/layout",
            Self::SentPicture => "/v1/pictures/sent",
            Self::FarEndPicture => "/v1/pictures/far-end",
            Self::SentSlidesPicture => "/v1/pictures/sent-slides",
            Self::FarEndSlidesPicture => "/v1/pictures/far-end-slides",
            Self::SipLadder => "/v1/legs/{leg}/sip-ladder",
            Self::RefusedSipLadder => "/v1/sip-ladder/refused",
            Self::Invitations | Self::Invite => "/v1/guests/invitations",
            Self::RevokeInvitation => "/v1/guests/invitations/{invitation}",
            Self::RenewCertificate => "/v1/guests/certificate/renewal",
            Self::TestGuests => "/v1/guests/test",
            Self::OpenApi => "/v1/openapi.json",
            Self::Metrics => "/metrics",
        }
    }

    /// The path with the id of a leg put in.
    #[must_use]
    pub fn path_for_leg(self, leg: u32) -> String {
        self.path().replace("{leg}", &leg.to_string())
    }

    /// The path with the number of an invitation put in.
    #[must_use]
    pub fn path_for_invitation(self, invitation: u32) -> String {
        self.path().replace("{invitation}", &invitation.to_string())
    }

    /// Whether the path names an invitation.
    #[must_use]
    pub fn names_invitation(self) -> bool {
        self.path().contains("{invitation}")
    }

    /// Whether the path names a leg.
    #[must_use]
    pub fn names_leg(self) -> bool {
        self.path().contains("{leg}")
    }

    /// The name of the operation in the OpenAPI text.
    #[must_use]
    pub const fn operation_id(self) -> &'static str {
        match self {
            Self::Snapshot => "get_snapshot",
            Self::Events => "watch_events",
            Self::Call => "call",
            Self::Join => "join",
            Self::Answer => "answer",
            Self::Decline => "decline",
            Self::Hold => "hold",
            Self::Resume => "resume",
            Self::Dtmf => "send_dtmf",
            Self::Register => "register",
            Self::HangUp => "hang_up",
            Self::HangUpAll => "hang_up_all",
            Self::Microphone => "set_microphone",
            Self::Camera => "set_camera",
            Self::Slides => "set_slides",
            Self::Volume => "set_volume",
            Self::Layout => "set_layout",
            Self::SentPicture => "get_sent_picture",
            Self::FarEndPicture => "get_far_end_picture",
            Self::SentSlidesPicture => "get_sent_slides_picture",
            Self::FarEndSlidesPicture => "get_far_end_slides_picture",
            Self::SipLadder => "get_sip_ladder",
            Self::RefusedSipLadder => "get_refused_sip_ladder",
            Self::Invitations => "get_invitations",
            Self::Invite => "invite",
            Self::RevokeInvitation => "revoke_invitation",
            Self::RenewCertificate => "renew_certificate",
            Self::TestGuests => "test_guests",
            Self::OpenApi => "get_openapi",
            Self::Metrics => "get_metrics",
        }
    }

    /// What it does, in one line of the OpenAPI text.
    #[must_use]
    pub const fn summary(self) -> &'static str {
        match self {
            Self::Snapshot => "The room as it is now",
            Self::Events => {
                "A WebSocket that sends a snapshot at once and at each change; a slow client gets \
                 the newest one only"
            }
            Self::Call => "Call an address",
            Self::Join => "Press the join button: call the configured target",
            Self::Answer => "Answer a ringing leg",
            Self::Decline => "Decline a ringing leg",
            Self::Hold => "Pause the media of a leg",
            Self::Resume => "Go on with a leg that this room holds",
            Self::Dtmf => "Send touch tones; not idempotent, each request is a fresh press",
            Self::Register => {
                "Have an account registered: one that waits after a failure, or is locked, is asked \
                 for at once"
            }
            Self::HangUp => "End one leg in whatever state it is",
            Self::HangUpAll => "End all legs",
            Self::Microphone => "Mute or open the microphone",
            Self::Camera => "Show or hide the camera's picture",
            Self::Slides => {
                "Show slides to the far ends that take them, as soon as they let the room; or no more"
            }
            Self::Volume => "Set the loudspeaker's volume",
            Self::Layout => "Arrange the far ends on the screen",
            Self::SentPicture => "The picture that the room sends, as JPEG",
            Self::FarEndPicture => "The picture that a far end sends, as JPEG",
            Self::SentSlidesPicture => "The slides that the room shows, as JPEG",
            Self::FarEndSlidesPicture => "The slides that a far end shows, as JPEG",
            Self::SipLadder => {
                "The SIP messages of a leg, without secrets; legs that are over are remembered for \
                 a while"
            }
            Self::RefusedSipLadder => {
                "The SIP messages of the last call that was refused before it became a leg: of a \
                 stranger's, for example"
            }
            Self::Invitations => "The links of guests that are good, without their secrets",
            Self::Invite => {
                "Make a link by which guests join the meeting from a browser; the answer is the only one that \
                 holds it"
            }
            Self::RevokeInvitation => "End a link, and the calls of who came by it",
            Self::RenewCertificate => {
                "Have the guests' server certified anew by ACME now, whatever failed before, unless its server \
                 wants it later; the snapshot tells what becomes of it"
            }
            Self::TestGuests => {
                "Test whether guests reach the room, as far as that can be told from inside: the page, the TURN \
                 servers, the public address; takes some seconds"
            }
            Self::OpenApi => "This description",
            Self::Metrics => "Metrics in Prometheus text format",
        }
    }
}
