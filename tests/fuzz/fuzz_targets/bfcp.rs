//! BFCP: what is read can be written and read again, and is the same however a stream is cut; both machines take
//! any bytes, over both kinds of transport, and over connections that are lost and made anew.

#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use sip::bfcp::{
    ConferenceId, FloorId, FramingError, Message, Participant, ParticipantEvent, ParticipantOutput,
    ParticipantSettings, Reassembler, Server, ServerEvent, ServerOutput, ServerSettings,
    StreamFramer, UserId, WhenBusy,
};
use sip::transaction::Reliability;

const CONFERENCE: ConferenceId = ConferenceId(1);
const FLOOR: FloorId = FloorId(1);
const USER: UserId = UserId(2);

fuzz_target!(|input: &[u8]| {
    let Some((&step, bytes)) = input.split_first() else {
        return;
    };
    // The first octet says how the rest is cut into datagrams.
    let pieces: Vec<&[u8]> = bytes.chunks(usize::from(step).max(1)).collect();
    codec(&pieces);
    assert_eq!(read_stream([bytes]), read_stream(pieces.iter().copied()));
    for reliability in [Reliability::Unreliable, Reliability::Reliable] {
        machines(reliability, &pieces);
    }
});

fn codec(pieces: &[&[u8]]) {
    let now = Instant::now();
    let (mut reassembler, mut framer) = (Reassembler::default(), StreamFramer::default());
    for piece in pieces {
        if let Ok(Some(message)) = reassembler.push(now, piece) {
            written_and_read(&message);
        }
        framer.push(piece);
        while let Ok(Some(message)) = framer.next_message() {
            written_and_read(&message);
        }
    }
}

/// All that a stream holds, up to where nothing more can be read of it.
fn read_stream<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<Result<Message, FramingError>> {
    let mut framer = StreamFramer::default();
    let mut read = Vec::new();
    for piece in pieces {
        framer.push(piece);
        loop {
            match framer.next_message() {
                Ok(Some(message)) => read.push(Ok(message)),
                Ok(None) => break,
                Err(error) => read.push(Err(error)),
            }
        }
    }
    let lost = read
        .iter()
        .position(|read| matches!(read, Err(FramingError::Lost(_))));
    assert!(
        lost.is_none_or(|lost| lost + 1 == read.len()),
        "nothing is read of a lost stream"
    );
    read
}

/// What we write of a message may be less (long texts in groups) and is then what we read.
fn written_and_read(message: &Message) {
    let read = |message: &Message| {
        let mut reassembler = Reassembler::default();
        let mut whole = None;
        for datagram in message.to_datagrams(100) {
            whole = reassembler
                .push(Instant::now(), &datagram)
                .expect("what we write can be read");
        }
        whole.expect("all fragments make a message")
    };
    let once = read(message);
    assert_eq!(read(&once), once);
}

fn machines(reliability: Reliability, pieces: &[&[u8]]) {
    let mut now = Instant::now();
    let mut server = Server::new(ServerSettings {
        conference: CONFERENCE,
        floor: FLOOR,
        owner: UserId(1),
        when_busy: WhenBusy::Queue,
        transaction_seed: 0,
    });
    server.admit(USER, reliability);
    let mut participant = Participant::new(ParticipantSettings {
        conference: CONFERENCE,
        user: USER,
        floor: FLOOR,
        reliability,
        transaction_seed: 0,
    });
    participant.open(now);
    participant.request_floor(now);
    for piece in pieces {
        server.received(now, USER, piece);
        participant.received(now, piece);
        let mut lost = false;
        while let Some(output) = server.poll_output() {
            lost |= output == ServerOutput::Event(ServerEvent::Unreadable(USER));
        }
        while let Some(output) = participant.poll_output() {
            lost |= output == ParticipantOutput::Event(ParticipantEvent::Failed);
        }
        if lost && reliability == Reliability::Reliable {
            server.lose(now, USER);
            participant.closed();
            server.admit(USER, reliability);
            participant.open(now);
        }
        now += Duration::from_millis(600);
        server.handle_timeout(now);
        participant.handle_timeout(now);
    }
}
