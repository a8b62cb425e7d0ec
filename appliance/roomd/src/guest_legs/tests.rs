use room::RejectCause;
use room::units::Bitrate;

use super::*;
use crate::guests::signalling::GuestEnd;
use crate::sip_sockets::TlsTrust;

const ANNA: GuestId = GuestId(7);
const LEG: LegId = LegId(3);

fn legs() -> GuestLegs {
    let ports = MediaPortRange::new(20_000..=20_101).unwrap();
    let bound = IpAddr::from([127, 0, 0, 1]);
    let sources = Sources {
        camera: Bitrate::kbps(2_000),
        slides: Bitrate::kbps(1_000),
    };
    let turn = TurnServers::new(&[], None, &TlsTrust::default()).unwrap();
    let parts = GuestLegsParts {
        bound,
        ports,
        tcp: None,
        public_addresses: Vec::new(),
        sources,
        turn,
        server: None,
        counters: Arc::default(),
    };
    GuestLegs::new(parts).0
}

fn offer(sdp: &str) -> (GuestEvent, mpsc::Receiver<GuestReply>) {
    let (replies, heard) = mpsc::channel(4);
    let event = GuestEvent::Offer {
        guest: ANNA,
        name: "Anna".to_owned(),
        admit: Admit::Ask,
        sdp: sdp.to_owned(),
        replies,
    };
    (event, heard)
}

/// Anna knocks by a first offer.
fn knocking(legs: &mut GuestLegs) -> mpsc::Receiver<GuestReply> {
    let (event, heard) = offer("first");
    let facts = legs.take_event(event, || LEG);
    let guest = Guest {
        number: 7,
        name: "Anna".to_owned(),
        admission: GuestAdmission::Ask,
    };
    assert_eq!(facts, [Fact::GuestKnocks { leg: LEG, guest }]);
    heard
}

fn offer_that_waits(legs: &GuestLegs) -> (&str, usize) {
    match &legs.legs[&LEG].state {
        State::Knocking { offer, candidates } => (offer, candidates.len()),
        State::Connecting(_) | State::Connected(_) => panic!("nobody has let Anna in"),
    }
}

#[tokio::test]
async fn a_guest_who_goes_while_knocking_has_given_up() {
    for gone in [
        GuestEvent::Left { guest: ANNA },
        GuestEvent::ConnectionLost { guest: ANNA },
    ] {
        let mut legs = legs();
        let _heard = knocking(&mut legs);
        let reason = EndReason::Cancelled;
        let facts = legs.take_event(gone, || panic!("no new leg"));
        assert_eq!(facts, [Fact::Ended { leg: LEG, reason }]);
        assert!(!legs.has(LEG));
    }
}

#[tokio::test]
async fn a_page_that_offers_again_while_knocking_keeps_its_leg_and_its_newest_offer() {
    let mut legs = legs();
    let _old = knocking(&mut legs);
    let candidate = || GuestEvent::Candidate {
        guest: ANNA,
        candidate: "candidate:1".to_owned(),
        mid: None,
    };
    assert_eq!(legs.take_event(candidate(), || panic!("no new leg")), []);
    assert_eq!(offer_that_waits(&legs), ("first", 1));
    let (event, mut heard) = offer("second");
    assert_eq!(legs.take_event(event, || panic!("no new leg")), []);
    // The candidates were for the connection before.
    assert_eq!(offer_that_waits(&legs), ("second", 0));
    assert_eq!(heard.recv().await, Some(GuestReply::Waiting));
}

#[tokio::test]
async fn no_more_candidates_are_kept_than_a_browser_has() {
    let mut legs = legs();
    let _heard = knocking(&mut legs);
    for number in 0..500 {
        let event = GuestEvent::Candidate {
            guest: ANNA,
            candidate: format!("candidate:{number}"),
            mid: None,
        };
        legs.take_event(event, || panic!("no new leg"));
    }
    assert_eq!(offer_that_waits(&legs), ("first", MOST_CANDIDATES));
}

#[tokio::test]
async fn a_guest_whose_link_is_revoked_is_out_and_late_news_of_the_leg_means_nothing() {
    let mut legs = legs();
    let _heard = knocking(&mut legs);
    let why = SessionEnd::LinkRevoked;
    let event = GuestEvent::SessionOver { guest: ANNA, why };
    let reason = EndReason::LocalHangUp;
    let facts = legs.take_event(event, || panic!("no new leg"));
    assert_eq!(facts, [Fact::Ended { leg: LEG, reason }]);
    let late = LegNews {
        leg: LEG,
        event: LegEvent::Closed(webrtc::CloseReason::Remote),
    };
    assert_eq!(legs.take_news(late), []);
    let again = GuestEvent::Left { guest: ANNA };
    assert_eq!(legs.take_event(again, || panic!("no new leg")), []);
}

#[tokio::test]
async fn who_is_there_when_the_room_ends_its_meeting_hears_that_it_is_over() {
    let mut legs = legs();
    let mut heard = knocking(&mut legs);
    legs.meeting_ends();
    let reason = EndReason::LocalHangUp;
    let facts = legs.reject(LEG, RejectCause::Decline);
    assert_eq!(facts, [Fact::Ended { leg: LEG, reason }]);
    let over = GuestReply::Ended(GuestEnd::MeetingOver);
    assert_eq!(heard.recv().await, Some(over));

    // Who knocks after that is declined as ever; a service that ends goes on ending.
    legs.meeting_over();
    let mut heard = knocking(&mut legs);
    legs.reject(LEG, RejectCause::Decline);
    let declined = GuestReply::Ended(GuestEnd::Declined);
    assert_eq!(heard.recv().await, Some(declined));
    let mut heard = knocking(&mut legs);
    legs.shutting_down();
    legs.meeting_ends();
    legs.reject(LEG, RejectCause::Decline);
    let shutting_down = GuestReply::Ended(GuestEnd::ShuttingDown);
    assert_eq!(heard.recv().await, Some(shutting_down));
}
