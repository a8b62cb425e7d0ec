//! One byte stream of a guest's TCP connection, cut in two ways: frames are the same, whoever the first one names is,
//! and what is kept is bounded.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use webrtc::{
    Deframer, FrameTooLong, LONGEST_FIRST_FRAME, LONGEST_FRAME, addressed_ufrag, length_prefix,
};

fuzz_target!(|input: &[u8]| {
    let Some((&step, stream)) = input.split_first() else {
        return;
    };
    let step = usize::from(step).max(1);
    let (frames, end) = frames(stream.chunks(step));
    assert_eq!((frames.clone(), end), frames_of_whole(stream));
    let mut first = frames.iter().take(1);
    assert!(first.all(|frame| frame.len() <= LONGEST_FIRST_FRAME));
    for frame in &frames {
        assert!(!frame.is_empty() && frame.len() <= LONGEST_FRAME);
        if let Some(ufrag) = addressed_ufrag(frame) {
            assert!(ufrag.len() < frame.len());
        }
    }

    // Whatever was taken apart, put together again, is the same.
    let again: Vec<u8> = frames
        .iter()
        .flat_map(|frame| [&length_prefix(frame).unwrap()[..], frame].concat())
        .collect();
    assert_eq!(frames_of_whole(&again), (frames, None));
});

fn frames_of_whole(stream: &[u8]) -> (Vec<Bytes>, Option<FrameTooLong>) {
    frames(std::iter::once(stream))
}

fn frames<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> (Vec<Bytes>, Option<FrameTooLong>) {
    let mut deframer = Deframer::new(LONGEST_FIRST_FRAME);
    let mut frames = Vec::new();
    for chunk in chunks {
        deframer.push(chunk);
        loop {
            match deframer.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
            deframer.set_limit(LONGEST_FRAME);
        }
    }
    (frames, None)
}
