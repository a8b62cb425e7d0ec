//! One byte stream, cut in two ways: where the network cuts it must change nothing but the first half of a ping.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sip::grammar::{FramingError, StreamFramer, StreamItem};

fuzz_target!(|input: &[u8]| {
    let Some((&step, stream)) = input.split_first() else {
        return;
    };
    let step = usize::from(step).max(1);
    assert_eq!(
        messages(stream.chunks(step)),
        messages(std::iter::once(stream))
    );
});

#[derive(Debug, PartialEq)]
enum Outcome {
    Message(Bytes),
    Bad(String),
    Lost(String),
}

fn messages<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Vec<Outcome> {
    let mut framer = StreamFramer::new();
    let mut outcomes = Vec::new();
    for chunk in chunks {
        framer.push(chunk);
        loop {
            match framer.next_item() {
                Ok(Some(StreamItem::Message(message))) => {
                    outcomes.push(Outcome::Message(message.to_bytes()))
                }
                Ok(Some(StreamItem::Ping | StreamItem::Pong)) => {}
                Ok(None) => break,
                Err(FramingError::Message(error)) => outcomes.push(Outcome::Bad(error.to_string())),
                Err(FramingError::Lost(error)) => outcomes.push(Outcome::Lost(error.to_string())),
                Err(FramingError::Closed) => return outcomes,
            }
        }
    }
    outcomes
}
