//! What signalling and media tell of a leg.

use std::time::Instant;

use super::hold::{LocalHold, RemoteHold};
use super::media::Media;
use super::slides::Slides;
use super::wanted::reason_not_resumed;
use super::{Leg, State};
use crate::dtmf::DtmfDigit;
use crate::end_explanation::EndExplanation;
use crate::fact::FloorChange;
use crate::leg_state::{EndReason, LegRefusal};
use crate::leg_stats::LegStats;
use crate::media_plan::{LegStreams, VideoRole, VideoStream};
use crate::peer::LegSecurity;
use crate::snapshot::{SlidesSending, VideoFlow};
use crate::turn::Turn;
use crate::units::Bitrate;

/// How many received keys a leg keeps.
const MAX_DTMF_RECEIVED: usize = 32;

impl Leg {
    pub(crate) fn far_end_rings(&mut self) {
        if let State::Dialing { until } = self.state {
            self.state = State::Ringing { until };
        }
    }

    pub(crate) fn early_media(&mut self, streams: LegStreams) {
        match &mut self.state {
            State::Dialing { until } | State::Ringing { until } => {
                self.state = State::Early {
                    until: *until,
                    media: Media::new(streams),
                };
            }
            State::Early { media, .. } => media.settle(streams),
            State::Incoming { .. }
            | State::Answering { .. }
            | State::Connected { .. }
            | State::Ending { .. }
            | State::Ended(_) => {}
        }
    }

    /// The answer is out, and the way to the far end is being made.
    pub(crate) fn answered(&mut self, streams: LegStreams) {
        match &mut self.state {
            State::Answering { media, .. } => *media = Some(Media::new(streams)),
            // Somebody hung up at the same moment.
            State::Incoming { .. }
            | State::Dialing { .. }
            | State::Ringing { .. }
            | State::Early { .. }
            | State::Connected { .. }
            | State::Ending { .. }
            | State::Ended(_) => {}
        }
    }

    pub(crate) fn established(&mut self, now: Instant, streams: LegStreams, security: LegSecurity) {
        let (flow, slides) = match &mut self.state {
            State::Dialing { .. } | State::Ringing { .. } | State::Answering { .. } => {
                (VideoFlow::Waiting, Slides::default())
            }
            State::Early { media, .. } => (media.flow, std::mem::take(&mut media.slides)),
            State::Connected { media, .. } => {
                media.settle(streams);
                self.security = Some(security);
                return;
            }
            // Nobody here answered, or somebody hung up at the same moment.
            State::Incoming { .. } | State::Ending { .. } | State::Ended(_) => return,
        };
        self.state = State::Connected {
            media: Media {
                flow,
                slides,
                ..Media::new(streams)
            },
            local: LocalHold::Open,
            remote: RemoteHold::Open,
        };
        self.security = Some(security);
        self.established = Some(now);
    }

    pub(crate) fn streams_changed(&mut self, streams: LegStreams) {
        if let Some(media) = self.media() {
            media.settle(streams);
            let receives = |video: &VideoStream| video.direction.receives();
            if !media.streams.video.as_ref().is_some_and(receives) {
                // After a hold, whether pictures flow again is to be seen first.
                media.flow = VideoFlow::Waiting;
            }
            if !media.streams.slides.as_deref().is_some_and(receives) {
                media.slides.seen(VideoFlow::Waiting);
            }
        }
    }

    /// The far end sets a limit for the time being.
    pub(crate) fn bitrate_requested(&mut self, role: VideoRole, most: Bitrate) {
        if let Some(media) = self.media() {
            match role {
                VideoRole::Main => media.requested_bitrate = Some(most),
                VideoRole::Slides => media.requested_slides_bitrate = Some(most),
            }
        }
    }

    /// The network carries this much for the time being.
    pub(crate) fn video_target(&mut self, role: VideoRole, target: Bitrate) {
        if let Some(media) = self.media() {
            match role {
                VideoRole::Main => media.target = Some(target),
                VideoRole::Slides => media.slides_target = Some(target),
            }
        }
    }

    pub(crate) fn hold_succeeded(&mut self) {
        if let Some(local @ LocalHold::Holding { .. }) = self.local_hold() {
            *local = LocalHold::Held;
        }
    }

    pub(crate) fn hold_failed(&mut self) {
        if let Some(local @ LocalHold::Holding { .. }) = self.local_hold() {
            *local = LocalHold::Open;
            self.refused = Some(LegRefusal::Hold);
        }
    }

    pub(crate) fn resume_succeeded(&mut self) {
        if let Some(local @ LocalHold::Resuming { .. }) = self.local_hold() {
            *local = LocalHold::Open;
        }
    }

    pub(crate) fn resume_failed(&mut self) {
        if let Some(local @ LocalHold::Resuming { .. }) = self.local_hold() {
            *local = LocalHold::Held;
            self.refused = Some(LegRefusal::Resume);
        }
    }

    /// The far end takes no key presses by INFO, or not those.
    pub(crate) fn dtmf_refused(&mut self) {
        if self.state().is_connected() {
            self.refused = Some(LegRefusal::Dtmf);
        }
    }

    pub(crate) fn far_end_holds(&mut self) {
        if let State::Connected { remote, .. } = &mut self.state {
            *remote = RemoteHold::Held;
        }
    }

    pub(crate) fn far_end_resumes(&mut self) {
        if let State::Connected { remote, .. } = &mut self.state {
            *remote = RemoteHold::Open;
        }
    }

    /// The far end says why it ends the leg.
    pub(crate) fn end_explained(&mut self, explanation: EndExplanation) {
        self.explanation = Some(explanation);
    }

    /// Signalling is done with the leg. What was decided here outranks what signalling saw of it,
    /// and only a far end that took part can be lost, or the connection to it.
    pub(crate) fn ended(&mut self, now: Instant, reason: EndReason) {
        let reason = match (&self.state, reason) {
            (State::Ending { reason, .. }, _) => *reason,
            (State::Ended(_), _) => return,
            (State::Dialing { .. }, EndReason::PeerLost) => EndReason::Unreachable,
            (_, reason) if self.resumes_answered_call() => reason_not_resumed(reason),
            (State::Answering { .. }, EndReason::PeerLost) => EndReason::AnswerTimedOut,
            (
                State::Incoming { .. }
                | State::Answering { .. }
                | State::Ringing { .. }
                | State::Early { .. }
                | State::Connected { .. },
                EndReason::Unreachable,
            ) => EndReason::ConnectionLost,
            (
                State::Incoming { .. }
                | State::Answering { .. }
                | State::Dialing { .. }
                | State::Ringing { .. }
                | State::Early { .. }
                | State::Connected { .. },
                reason,
            ) => reason,
        };
        self.state = State::Ended(reason);
        self.ended = Some(now);
    }

    pub(crate) fn first_frame(&mut self, now: Instant) {
        if self.media().is_some() {
            self.video_flow(VideoFlow::Flowing);
            self.first_frame.get_or_insert(now);
        }
    }

    /// What was seen before a hold reached the media is no news of what follows it.
    pub(crate) fn video_flow(&mut self, flow: VideoFlow) {
        match &mut self.state {
            State::Early { media, .. }
            | State::Connected {
                media,
                local: LocalHold::Open,
                ..
            } => media.flow = flow,
            State::Incoming { .. }
            | State::Answering { .. }
            | State::Dialing { .. }
            | State::Ringing { .. }
            | State::Connected { .. }
            | State::Ending { .. }
            | State::Ended(_) => {}
        }
    }

    /// Who may show slides has changed.
    pub(crate) fn floor_changed(&mut self, change: FloorChange, turn: &mut Turn<'_>) {
        let id = self.id;
        if let Some(media) = self.media() {
            let asked = media.slides.sending() != SlidesSending::Off;
            media.slides.floor_changed(change, id, turn);
            if asked && change == FloorChange::NotGranted {
                self.refused = Some(LegRefusal::Slides);
            }
        }
    }

    /// What was seen of the far end's slides. It is no news of what follows a hold.
    pub(crate) fn slides_flow(&mut self, flow: VideoFlow) {
        match &mut self.state {
            State::Early { media, .. }
            | State::Connected {
                media,
                local: LocalHold::Open,
                ..
            } => media.slides.seen(flow),
            State::Incoming { .. }
            | State::Answering { .. }
            | State::Dialing { .. }
            | State::Ringing { .. }
            | State::Connected { .. }
            | State::Ending { .. }
            | State::Ended(_) => {}
        }
    }

    pub(crate) fn measured(&mut self, stats: LegStats) {
        if self.media().is_some() {
            self.stats = Some(stats);
        }
    }

    pub(crate) fn dtmf_received(&mut self, digit: DtmfDigit) {
        if self.media().is_none() {
            return;
        }
        if self.dtmf_received.len() >= MAX_DTMF_RECEIVED {
            self.dtmf_received.remove(0);
        }
        self.dtmf_received.push(digit.as_char());
    }
}
