//! Pictures that say their number, in blocks that survive encoding.

use std::time::Instant;

use bytes::Bytes;
use media::{DecodedFrame, VideoFrame};
use room::units::Resolution;

const SIZE: Resolution = Resolution::NHD360;
const BLOCK: usize = 32;
const BITS: usize = 16;

/// The picture with this number.
pub(crate) fn frame(number: u32, captured: Instant) -> VideoFrame {
    let (width, height) = (SIZE.width as usize, SIZE.height as usize);
    let mut planes = vec![128; width * height * 3 / 2];
    for (y, row) in planes[..width * height].chunks_exact_mut(width).enumerate() {
        for (x, pixel) in row.iter_mut().enumerate() {
            *pixel = if y < BLOCK {
                let bit = number >> (x / BLOCK).min(BITS) & 1;
                if x < BLOCK * BITS && bit == 1 {
                    220
                } else {
                    30
                }
            } else {
                // A slope that moves: something to encode.
                (40 + (x + y + 3 * number as usize) % 160) as u8
            };
        }
    }
    VideoFrame {
        captured,
        resolution: SIZE,
        i420: Bytes::from(planes),
    }
}

/// The number that a decoded picture of any size shows; `None` where a block is neither black nor
/// white.
pub(crate) fn number(frame: &DecodedFrame) -> Option<u32> {
    let scaled = |pixels: usize| pixels * frame.width() / SIZE.width as usize;
    let row = frame.luma_row(scaled(BLOCK / 2));
    let mut number = 0;
    for bit in 0..BITS {
        match row.get(scaled(bit * BLOCK + BLOCK / 2))? {
            0..=80 => {}
            170..=255 => number |= 1 << bit,
            _ => return None,
        }
    }
    Some(number)
}

/// How far the slope below the number is from the slope that was sent: mean square error.
pub(crate) fn error(frame: &DecodedFrame, number: u32) -> f64 {
    let mut sum = 0.0;
    let mut count = 0.0;
    let scale = SIZE.width as usize / frame.width().max(1);
    for y in (BLOCK + 16..SIZE.height as usize).step_by(7 * scale) {
        let row = frame.luma_row(y / scale);
        for (x, &pixel) in row.iter().enumerate().step_by(5) {
            let sent = 40 + (x * scale + y + 3 * number as usize) % 160;
            sum += (sent as f64 - f64::from(pixel)).powi(2);
            count += 1.0;
        }
    }
    sum / f64::max(count, 1.0)
}
