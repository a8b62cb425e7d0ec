//! Transfers: the far end of a call asks us to call somebody else (RFC 3515, 5589, 4488).

use std::time::Duration;

use sip::endpoint::{CallId, Event, TransferPolicy};
use sip::grammar::{HeaderName, Method, Replaces, Request, Response, StatusCode, Uri};
use sip::transport::Transport;

use crate::carol::{
    acknowledge, bobs_tag, carol_calls_bob, latest_status, push, requests, responses, send, to_bob,
};
use crate::world::{BOB, World, account, media_of, settings};

/// Carol in a call with Bob, who may be transferred.
struct Site {
    world: World,
    bobs: CallId,
    tag: String,
    sequence: u32,
}

fn site(transfers: TransferPolicy) -> Site {
    let mut world = World::new(1);
    let mut bob = settings(account("bob", Transport::Udp), BOB);
    bob.incoming.transfers = transfers;
    world.add(bob, BOB);
    let (bobs, _) = carol_calls_bob(&mut world, &[]);
    world
        .act(BOB, |bob, now| bob.answer(now, bobs, media_of(BOB)))
        .expect("it is unanswered");
    world.run(Duration::from_millis(20));
    acknowledge(&mut world, 1);
    let tag = bobs_tag(&world);
    Site {
        world,
        bobs,
        tag,
        sequence: 1,
    }
}

impl Site {
    /// Carol's REFER with these header fields; the status of its answer, if there is one yet.
    fn refer(&mut self, fields: &[(HeaderName, &str)]) -> Option<u16> {
        self.sequence += 1;
        let mut refer = to_bob(Method::Refer, self.sequence, &self.tag);
        for (name, value) in fields {
            push(&mut refer.headers, name.clone(), value);
        }
        send(&mut self.world, BOB, refer.to_bytes());
        let answered = responses(&self.world, &Method::Refer);
        let sequence = format!("{} REFER", self.sequence);
        answered
            .iter()
            .rev()
            .find(|response| response.headers.text(&HeaderName::CSeq) == Some(sequence.clone()))
            .map(|response| response.status().code())
    }

    fn refer_to(&mut self, target: &str) -> Option<u16> {
        self.refer(&[(HeaderName::ReferTo, target)])
    }

    /// What Bob's user was asked for, in order.
    fn asked(&mut self) -> Vec<(Uri, Option<Replaces>)> {
        let events = self.world.events(BOB).iter();
        events
            .filter_map(|event| match event {
                Event::TransferAsked {
                    target, replaces, ..
                } => Some((target.clone(), replaces.clone())),
                _ => None,
            })
            .collect()
    }

    fn accept(&mut self) {
        let call = self.bobs;
        self.world
            .act(BOB, |bob, now| bob.accept_transfer(now, call))
            .expect("somebody has asked");
        self.world.run(Duration::from_millis(10));
    }

    /// Bob tells how the call goes; whether Carol still wants to know.
    fn tell(&mut self, status: StatusCode) -> bool {
        let call = self.bobs;
        let told = self
            .world
            .act(BOB, |bob, now| bob.tell_transfer(now, call, status));
        self.world.run(Duration::from_millis(10));
        told.is_ok()
    }

    /// Carol answers the latest NOTIFY; what it says: event, subscription and fragment.
    fn answer_notify(&mut self, status: StatusCode) -> (String, String, String) {
        let notify = requests(&self.world, &Method::Notify).pop();
        let notify: Request = notify.expect("Bob has told something");
        let answer = Response::to(&notify, status);
        send(&mut self.world, BOB, answer.to_bytes());
        let text = |name| notify.headers.text(&name).expect("it is there");
        assert_eq!(text(HeaderName::ContentType), "message/sipfrag;version=2.0");
        assert!(notify.headers.contains(&HeaderName::Contact));
        let fragment = String::from_utf8(notify.body().to_vec()).expect("text");
        (
            text(HeaderName::Event),
            text(HeaderName::SubscriptionState),
            fragment,
        )
    }

    fn notifies(&self) -> usize {
        requests(&self.world, &Method::Notify).len()
    }

    fn call_stands(&mut self) -> bool {
        let call = self.bobs;
        self.world.act(BOB, |bob, now| bob.hold(now, call)).is_ok()
    }
}

const DAVE: &str = "<sip:dave@example.test>";

#[test]
fn a_transfer_is_told_from_the_first_try_to_the_outcome() {
    let mut site = site(TransferPolicy::FarEnd);
    assert_eq!(site.refer_to(DAVE), None, "Bob's user has the last word");
    let dave: Uri = "sip:dave@example.test".parse().expect("a URI");
    assert_eq!(site.asked(), [(dave, None)]);
    site.accept();
    assert_eq!(latest_status(&site.world, &Method::Refer), Some(202));
    let active = "active;expires=300";
    let ended = "terminated;reason=noresource";
    for (status, subscription, fragment) in [
        (None, active, "SIP/2.0 100 Trying\r\n"),
        (Some(StatusCode::RINGING), active, "SIP/2.0 180 Ringing\r\n"),
        (Some(StatusCode::OK), ended, "SIP/2.0 200 OK\r\n"),
    ] {
        if let Some(status) = status {
            assert!(site.tell(status));
        }
        let expected = ("refer", subscription, fragment);
        let (event, state, text) = site.answer_notify(StatusCode::OK);
        assert_eq!((event.as_str(), state.as_str(), text.as_str()), expected);
    }
    assert!(!site.tell(StatusCode::OK), "the matter is over");
    assert_eq!(site.notifies(), 3);
    assert!(site.call_stands());
}

#[test]
fn a_refused_transfer_leaves_the_call_as_it_is() {
    let mut site = site(TransferPolicy::FarEnd);
    site.refer_to(DAVE);
    let call = site.bobs;
    site.world
        .act(BOB, |bob, now| bob.refuse_transfer(now, call))
        .expect("somebody has asked");
    site.world.run(Duration::from_millis(10));
    assert_eq!(latest_status(&site.world, &Method::Refer), Some(603));
    assert_eq!(site.notifies(), 0);
    let nobody = site
        .world
        .act(BOB, |bob, now| bob.accept_transfer(now, call));
    assert!(nobody.is_err(), "refused is refused");
    assert!(site.call_stands());
}

#[test]
fn where_transfers_are_not_allowed_the_method_is_none_of_ours() {
    let mut site = site(TransferPolicy::Never);
    assert_eq!(site.refer_to(DAVE), Some(405));
    assert_eq!(site.asked(), []);
    let answer = responses(&site.world, &Method::Refer).pop();
    let allow = answer.expect("answered").headers.text(&HeaderName::Allow);
    assert!(!allow.expect("it says what is allowed").contains("REFER"));
    assert!(site.call_stands());
}

#[test]
fn a_dialog_that_is_to_be_replaced_is_named_and_nothing_else_that_the_address_brings() {
    let mut site = site(TransferPolicy::FarEnd);
    let target = "<sip:dave@example.test;method=INVITE?Replaces=12345%40example.test%3B\
                  to-tag%3Da%3Bfrom-tag%3Db&Subject=x&P-Asserted-Identity=%3Csip:boss%3E>";
    site.refer_to(target);
    let dave: Uri = "sip:dave@example.test".parse().expect("a URI");
    let (target, replaces) = site.asked().pop().expect("it is asked for");
    assert_eq!(target, dave);
    let replaces = replaces.expect("it names a dialog").to_string();
    assert_eq!(replaces, "12345@example.test;to-tag=a;from-tag=b");
}

#[test]
fn a_refer_that_names_nobody_who_can_be_called_is_refused_by_what_is_wrong_with_it() {
    const TO: HeaderName = HeaderName::ReferTo;
    for (fields, status) in [
        (vec![], 400),
        (vec![(TO, DAVE), (TO, "<sip:erin@example.test>")], 400),
        (
            vec![(TO, "<sip:dave@example.test>, <sip:erin@example.test>")],
            400,
        ),
        (vec![(TO, "<sip:@@@>")], 400),
        (vec![(TO, "<tel:+1234>")], 416),
        (vec![(TO, "<http://example.test/>")], 416),
        (vec![(TO, "<sip:dave@example.test;method=BYE>")], 603),
        (vec![(TO, "<sip:dave@example.test?Replaces=x>")], 400),
        (
            vec![(
                TO,
                "<sip:dave@example.test?Replaces=%ff%3Bto-tag%3Da%3Bfrom-tag%3Db>",
            )],
            400,
        ),
    ] {
        let mut site = site(TransferPolicy::FarEnd);
        assert_eq!(site.refer(&fields), Some(status), "{fields:?}");
        assert_eq!(site.asked(), [], "{fields:?}");
        assert!(site.call_stands());
    }
}

#[test]
fn a_second_transfer_has_to_wait_for_the_first_and_is_told_apart_from_it() {
    let mut site = site(TransferPolicy::FarEnd);
    site.refer_to(DAVE);
    assert_eq!(site.refer_to(DAVE), Some(491), "nobody has said yet");
    site.accept();
    site.answer_notify(StatusCode::OK);
    assert_eq!(site.refer_to(DAVE), Some(491), "it is under way");
    assert!(site.tell(StatusCode::BUSY_HERE));
    site.answer_notify(StatusCode::OK);

    assert_eq!(site.refer_to(DAVE), None);
    site.accept();
    let (event, ..) = site.answer_notify(StatusCode::OK);
    assert_eq!(event, format!("refer;id={}", site.sequence));
    assert_eq!(site.asked().len(), 2);
}

#[test]
fn whoever_wants_no_subscription_is_told_so_and_nothing_more() {
    let mut site = site(TransferPolicy::FarEnd);
    site.refer(&[(HeaderName::ReferTo, DAVE), (HeaderName::ReferSub, "false")]);
    site.accept();
    let accepted = responses(&site.world, &Method::Refer)
        .pop()
        .expect("answered");
    assert_eq!(accepted.status(), StatusCode::ACCEPTED);
    assert_eq!(
        accepted.headers.text(&HeaderName::ReferSub).as_deref(),
        Some("false")
    );
    assert!(site.tell(StatusCode::OK));
    assert_eq!(site.notifies(), 0);
}

#[test]
fn a_far_end_that_takes_no_notify_is_told_no_more_and_keeps_its_call() {
    let mut site = site(TransferPolicy::FarEnd);
    site.refer_to(DAVE);
    site.accept();
    let forgotten = StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST;
    site.answer_notify(forgotten);
    assert!(!site.tell(StatusCode::RINGING));
    assert_eq!(site.notifies(), 1);
    assert!(site.call_stands());

    // One that answers nothing has forgotten too.
    site.refer_to(DAVE);
    site.accept();
    site.world.run(Duration::from_secs(33));
    assert!(!site.tell(StatusCode::RINGING));
}

#[test]
fn a_notify_that_comes_too_late_silences_no_other() {
    let mut site = site(TransferPolicy::FarEnd);
    site.refer_to(DAVE);
    site.accept();
    // The one before was lost and comes again after this one: out of order (RFC 3261 section 12.2.2).
    site.answer_notify(StatusCode::SERVER_INTERNAL_ERROR);
    assert!(site.tell(StatusCode::RINGING));
    site.answer_notify(StatusCode::OK);

    // Nor does the last word of one transfer count for the next.
    assert!(site.tell(StatusCode::BUSY_HERE));
    let last_word = requests(&site.world, &Method::Notify).pop().expect("told");
    site.refer_to(DAVE);
    let forgotten = StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST;
    let answer = Response::to(&last_word, forgotten).to_bytes();
    send(&mut site.world, BOB, answer);
    site.accept();
    assert!(site.tell(StatusCode::RINGING));
}

#[test]
fn extensions_of_a_refer_that_it_requires_are_known() {
    let mut site = site(TransferPolicy::FarEnd);
    let required = site.refer(&[
        (HeaderName::ReferTo, DAVE),
        (HeaderName::ReferSub, "false"),
        (HeaderName::Require, "norefersub"),
    ]);
    assert_eq!(required, None, "Bob's user is asked");
    assert_eq!(site.asked().len(), 1);
}

#[test]
fn a_refer_whose_call_ends_before_anybody_judges_it_leaves_nothing_behind() {
    let mut site = site(TransferPolicy::FarEnd);
    site.refer_to(DAVE);
    site.sequence += 1;
    let bye = to_bob(Method::Bye, site.sequence, &site.tag);
    send(&mut site.world, BOB, bye.to_bytes());
    site.world.run(Duration::from_secs(70));
    let counts = site.world.act(BOB, |bob, _| bob.counts());
    assert_eq!((counts.calls, counts.server_transactions), (0, 0));
}
