//! A clock burnt into the picture, so that whoever sees the picture knows how old it is.
//!
//! ```text
//!   x = 0    16   32                        512            640
//!     ┌────┬────┬────┬───────────────────────┬───────────────┬──────── ...
//!     │ 31 │ 30 │ 29 │   ...    bit 1, bit 0 │ check 7 ... 0 │ picture
//!     └────┴────┴────┴───────────────────────┴───────────────┴──────── ...   16 rows
//! ```
//!
//! 40 blocks of 16x16 pixels at the left of the top row, white for 1, black for 0, highest bit
//! first: 32 bits count units of 0.1 ms, 8 bits check them. Whole macroblocks without detail come
//! through any encoder that shows anything at all.
//!
//! The count starts at a moment that [`BurntClock`] is given. Two processes on one machine give the
//! same one (the zero of the system's monotonic clock) and may then read each other's pictures.

use std::time::{Duration, Instant};

/// Side of a block in pixels, as written.
pub const BLOCK: usize = 16;
/// Pixels in a row that the clock takes.
pub const WIDTH: usize = BLOCK * BLOCKS;

const BLOCKS: usize = COUNT_BITS + CHECK_BITS;
const COUNT_BITS: usize = 32;
const CHECK_BITS: usize = 8;
const UNIT: Duration = Duration::from_micros(100);
/// Luma of black and white in limited range, and the border between them.
const BLACK: u8 = 16;
const WHITE: u8 = 235;
const THRESHOLD: f32 = 126.0;
/// A block whose mean is closer to the threshold than this is no block of a clock.
const MARGIN: f32 = 24.0;
/// A block smaller than this has no inside that scaling left alone.
const SMALLEST_BLOCK: usize = 4;

/// What is written into a picture: units of 0.1 ms since the clock's zero, modulo 2^32 (119 hours).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stamp(u32);

impl Stamp {
    /// A stamp by its count.
    #[must_use]
    pub const fn new(count: u32) -> Self {
        Self(count)
    }

    /// Units of 0.1 ms.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.0
    }
}

/// Turns moments into stamps and back.
#[derive(Clone, Copy, Debug)]
pub struct BurntClock {
    zero: Instant,
}

impl BurntClock {
    /// A clock that counts from `zero`. Writer and reader must agree on it.
    #[must_use]
    pub const fn new(zero: Instant) -> Self {
        Self { zero }
    }

    /// Time since the clock's zero; none before it.
    #[must_use]
    pub fn elapsed(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.zero)
    }

    /// The stamp of a moment.
    #[must_use]
    pub fn stamp(&self, at: Instant) -> Stamp {
        // Wrapping is meant: ages are differences, and those survive it.
        Stamp((self.elapsed(at).as_micros() / UNIT.as_micros()) as u32)
    }

    /// How old a stamp is at `now`, in steps of 0.1 ms. A stamp from the future is 0 old; one older
    /// than 59 hours is taken for one from the future.
    #[must_use]
    pub fn age(&self, stamp: Stamp, now: Instant) -> Duration {
        let age = self.stamp(now).0.wrapping_sub(stamp.0);
        if age > u32::MAX / 2 {
            Duration::ZERO
        } else {
            UNIT * age
        }
    }
}

/// Burns a stamp into a luma plane. Gives `false`, and writes nothing, where the plane is smaller
/// than the clock ([`WIDTH`] by [`BLOCK`]).
#[must_use]
pub fn write(luma: &mut [u8], stride: usize, stamp: Stamp) -> bool {
    if stride < WIDTH || luma.len() < stride * BLOCK {
        return false;
    }
    let bits = with_check(stamp);
    for row in luma.chunks_exact_mut(stride).take(BLOCK) {
        for (i, block) in row.chunks_exact_mut(BLOCK).take(BLOCKS).enumerate() {
            let bit = bits >> (BLOCKS - 1 - i) & 1;
            block.fill(if bit == 1 { WHITE } else { BLACK });
        }
    }
    true
}

/// Reads the stamp of a picture in its original size. `None` where there is none, or it is damaged.
#[must_use]
pub fn read(luma: &[u8], stride: usize) -> Option<Stamp> {
    read_blocks(luma, stride, |edge| edge * BLOCK, BLOCK)
}

/// Reads the stamp of a picture that was scaled from `original_width` to `width` pixels.
#[must_use]
pub fn read_scaled(
    luma: &[u8],
    stride: usize,
    width: usize,
    original_width: usize,
) -> Option<Stamp> {
    if original_width < WIDTH || width > stride {
        return None;
    }
    let scaled = |edge: usize| edge * BLOCK * width / original_width;
    read_blocks(luma, stride, scaled, BLOCK * width / original_width)
}

/// Reads blocks whose left edges are at `left(0)`, `left(1)`, ..., and which are `height` rows high.
fn read_blocks(
    luma: &[u8],
    stride: usize,
    left: impl Fn(usize) -> usize,
    height: usize,
) -> Option<Stamp> {
    if height < SMALLEST_BLOCK || left(BLOCKS) > stride {
        return None;
    }
    let mut bits = 0_u64;
    for i in 0..BLOCKS {
        bits = bits << 1 | u64::from(read_block(luma, stride, left(i)..left(i + 1), height)?);
    }
    let stamp = Stamp((bits >> CHECK_BITS) as u32);
    (with_check(stamp) == bits).then_some(stamp)
}

/// Whether a block is white, by the mean of its inner quarter: edges suffer most from an encoder.
fn read_block(
    luma: &[u8],
    stride: usize,
    columns: std::ops::Range<usize>,
    height: usize,
) -> Option<bool> {
    let inset = columns.len() / 4;
    let inside = columns.start + inset..columns.end - inset;
    let rows = height / 4..height - height / 4;
    let pixels = (rows.len() * inside.len()) as f32;
    let mut sum = 0_u32;
    for row in rows {
        let start = row * stride;
        let row = luma.get(start + inside.start..start + inside.end)?;
        sum += row.iter().map(|&pixel| u32::from(pixel)).sum::<u32>();
    }
    let mean = sum as f32 / pixels;
    ((mean - THRESHOLD).abs() >= MARGIN).then_some(mean > THRESHOLD)
}

/// The 40 bits of a stamp: its count, then the check.
fn with_check(stamp: Stamp) -> u64 {
    u64::from(stamp.0) << CHECK_BITS | u64::from(check(stamp.0))
}

/// CRC-8 (polynomial 0x07). It starts at 0xff, so that neither a black nor a white row passes.
fn check(count: u32) -> u8 {
    count.to_be_bytes().iter().fold(0xff, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc, _| {
            if crc & 0x80 == 0 {
                crc << 1
            } else {
                crc << 1 ^ 0x07
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STRIDE: usize = 704;

    fn picture(stamp: Stamp) -> Vec<u8> {
        let mut luma = vec![90; STRIDE * 32];
        assert!(write(&mut luma, STRIDE, stamp));
        luma
    }

    /// Every second pixel of every second row.
    fn halved(luma: &[u8]) -> Vec<u8> {
        luma.chunks_exact(STRIDE)
            .step_by(2)
            .flat_map(|row| row.iter().step_by(2))
            .copied()
            .collect()
    }

    #[test]
    fn black_white_and_grey_pictures_have_no_stamp() {
        for luma in [0, 16, 126, 235, 255] {
            assert_eq!(read(&vec![luma; STRIDE * 32], STRIDE), None, "luma {luma}");
        }
    }

    #[test]
    fn one_wrong_block_is_noticed() {
        let stamp = Stamp::new(123_456_789);
        for block in 0..BLOCKS {
            let mut luma = picture(stamp);
            for row in luma.chunks_exact_mut(STRIDE).take(BLOCK) {
                for pixel in &mut row[block * BLOCK..(block + 1) * BLOCK] {
                    *pixel = if *pixel == WHITE { BLACK } else { WHITE };
                }
            }
            assert_eq!(read(&luma, STRIDE), None, "block {block}");
        }
    }

    #[test]
    fn planes_that_are_too_small_are_neither_written_nor_read() {
        let stamp = Stamp::new(7);
        assert!(!write(&mut vec![0; (WIDTH - 1) * BLOCK], WIDTH - 1, stamp));
        assert!(!write(&mut vec![0; WIDTH * (BLOCK - 1)], WIDTH, stamp));
        assert_eq!(read(&[], 0), None);
        assert_eq!(read(&picture(stamp)[..STRIDE * 8], STRIDE), None);
        assert_eq!(read_scaled(&picture(stamp), STRIDE, 0, 0), None);
        assert_eq!(read_scaled(&picture(stamp), STRIDE, 64, 1280), None);
    }

    #[test]
    fn ages_survive_the_wrap_of_the_count() {
        let zero = Instant::now();
        let clock = BurntClock::new(zero);
        let wrap = UNIT * u32::MAX;
        let stamp = clock.stamp(zero + wrap - Duration::from_millis(3));
        assert_eq!(
            clock
                .age(stamp, zero + wrap + Duration::from_millis(4))
                .as_millis(),
            7
        );
        assert_eq!(
            clock.age(stamp, zero + wrap - Duration::from_millis(9)),
            Duration::ZERO
        );
    }

    proptest! {
        #[test]
        fn a_stamp_survives_noise_quantisation_and_brightness(
            count: u32,
            noise in proptest::collection::vec(-60_i16..=60, 997),
            step in 1_i16..=32,
            brightness in -20_i16..=20,
        ) {
            let mut luma = picture(Stamp::new(count));
            for (pixel, noise) in luma.iter_mut().zip(noise.iter().cycle()) {
                let disturbed = i16::from(*pixel) + noise + brightness;
                *pixel = (disturbed.clamp(0, 255) / step * step) as u8;
            }
            prop_assert_eq!(read(&luma, STRIDE), Some(Stamp::new(count)));
        }

        #[test]
        fn a_stamp_survives_scaling_to_half_the_size(count: u32) {
            let half = halved(&picture(Stamp::new(count)));
            let found = read_scaled(&half, STRIDE / 2, STRIDE / 2, STRIDE);
            prop_assert_eq!(found, Some(Stamp::new(count)));
        }

        #[test]
        fn any_bytes_are_read_without_panic(
            luma in proptest::collection::vec(any::<u8>(), 0..20_000),
            stride in 0_usize..2_000,
            width in 0_usize..2_000,
            original_width in 0_usize..4_000,
        ) {
            let _ = read(&luma, stride);
            let _ = read_scaled(&luma, stride, width, original_width);
        }

        #[test]
        fn ages_are_exact_to_a_tenth_of_a_millisecond(
            captured in 0_u64..1_000_000_000_000,
            age in 0_u64..10_000_000_000,
        ) {
            let zero = Instant::now();
            let clock = BurntClock::new(zero);
            let captured = zero + Duration::from_micros(captured);
            let age = Duration::from_micros(age);
            let found = clock.age(clock.stamp(captured), captured + age);
            prop_assert!(found.abs_diff(age) <= UNIT, "{found:?} for {age:?}");
        }
    }
}
