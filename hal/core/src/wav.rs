//! Reads recordings from WAV files: 16-bit PCM at 48 kHz, one or more channels, as one channel.
//!
//! The file is untrusted: every length in it is checked against what is there, and no more memory is
//! taken than the file itself is long.

use crate::audio::SAMPLE_RATE_HZ;

const RIFF_HEADER: usize = 12;
const CHUNK_HEADER: usize = 8;
const PCM: u16 = 1;
const EXTENSIBLE: u16 = 0xfffe;
/// Beyond the plain format, an extensible one repeats the format tag here.
const EXTENSIBLE_TAG_OFFSET: usize = 24;

/// Why a file is no recording that a simulated microphone can play.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WavError {
    /// The file is not RIFF/WAVE at all.
    #[error("not a WAV file")]
    NotWav,
    /// A chunk says that it is longer than the file.
    #[error("the WAV file ends inside the chunk at byte {offset}")]
    Truncated {
        /// Where the chunk starts.
        offset: usize,
    },
    /// A chunk that every WAV file has is missing.
    #[error("the WAV file has no `{0}` chunk")]
    Missing(&'static str),
    /// Compressed, floating point, or not 16 bits a sample.
    #[error("the WAV file has format {format} with {bits} bits a sample; 16-bit PCM is needed")]
    Format {
        /// The format tag.
        format: u16,
        /// Bits a sample.
        bits: u16,
    },
    /// Not 48 kHz.
    #[error("the WAV file has {0} samples per second; {SAMPLE_RATE_HZ} are needed")]
    SampleRate(u32),
    /// No channels, or no samples.
    #[error("the WAV file holds no sound")]
    Empty,
}

struct Format {
    channels: usize,
}

/// Reads a whole WAV file: the mean of its channels, at 48 kHz.
///
/// # Errors
/// [`WavError`], by cause.
pub fn read(file: &[u8]) -> Result<Vec<i16>, WavError> {
    if file.get(..4) != Some(b"RIFF") || file.get(8..RIFF_HEADER) != Some(b"WAVE") {
        return Err(WavError::NotWav);
    }
    let mut format = None;
    let mut offset = RIFF_HEADER;
    while let Some(header) = file.get(offset..offset + CHUNK_HEADER) {
        let truncated = WavError::Truncated { offset };
        let length = usize::try_from(u32_at(header, 4)).map_err(|_| truncated.clone())?;
        let start = offset + CHUNK_HEADER;
        let end = start.checked_add(length).ok_or(truncated.clone())?;
        let body = file.get(start..end).ok_or(truncated)?;
        match &header[..4] {
            b"fmt " => format = Some(read_format(body)?),
            b"data" => return read_samples(&format.ok_or(WavError::Missing("fmt "))?, body),
            _ => {}
        }
        // Chunks start at even bytes.
        offset = end + length % 2;
    }
    Err(WavError::Missing(if format.is_some() {
        "data"
    } else {
        "fmt "
    }))
}

fn read_format(body: &[u8]) -> Result<Format, WavError> {
    if body.len() < 16 {
        return Err(WavError::Missing("fmt "));
    }
    let tag = u16_at(body, 0);
    let format = match tag {
        EXTENSIBLE if body.len() >= EXTENSIBLE_TAG_OFFSET + 2 => {
            u16_at(body, EXTENSIBLE_TAG_OFFSET)
        }
        _ => tag,
    };
    let bits = u16_at(body, 14);
    if format != PCM || bits != 16 {
        return Err(WavError::Format { format, bits });
    }
    match u32_at(body, 4) {
        SAMPLE_RATE_HZ => Ok(Format {
            channels: usize::from(u16_at(body, 2)),
        }),
        rate => Err(WavError::SampleRate(rate)),
    }
}

fn read_samples(format: &Format, data: &[u8]) -> Result<Vec<i16>, WavError> {
    if format.channels == 0 {
        return Err(WavError::Empty);
    }
    let samples: Vec<i16> = data
        .chunks_exact(2 * format.channels)
        .map(|sample| {
            let (channels, _) = sample.as_chunks::<2>();
            let sum: i64 = channels
                .iter()
                .map(|&bytes| i64::from(i16::from_le_bytes(bytes)))
                .sum();
            // The mean of 16-bit values fits into 16 bits.
            (sum / format.channels as i64) as i16
        })
        .collect();
    if samples.is_empty() {
        Err(WavError::Empty)
    } else {
        Ok(samples)
    }
}

/// A little-endian number inside `bytes`, whose length the caller has checked.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// See [`u16_at`].
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chunk(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap();
        let mut chunk = [&name[..], &length.to_le_bytes(), body].concat();
        chunk.resize(chunk.len().next_multiple_of(2), 0);
        chunk
    }

    fn format(tag: u16, channels: u16, rate: u32, bits: u16) -> Vec<u8> {
        let mut body = tag.to_le_bytes().to_vec();
        body.extend(channels.to_le_bytes());
        body.extend(rate.to_le_bytes());
        body.extend([0; 6]);
        body.extend(bits.to_le_bytes());
        chunk(b"fmt ", &body)
    }

    fn wav(chunks: &[Vec<u8>]) -> Vec<u8> {
        [b"RIFF\0\0\0\0WAVE".to_vec(), chunks.concat()].concat()
    }

    fn pcm(samples: &[i16]) -> Vec<u8> {
        let bytes: Vec<u8> = samples
            .iter()
            .flat_map(|sample| sample.to_le_bytes())
            .collect();
        chunk(b"data", &bytes)
    }

    #[test]
    fn one_channel_is_read_as_it_is() {
        let file = wav(&[
            format(PCM, 1, 48_000, 16),
            pcm(&[1, -2, i16::MIN, i16::MAX]),
        ]);
        assert_eq!(read(&file), Ok(vec![1, -2, i16::MIN, i16::MAX]));
    }

    #[test]
    fn channels_are_averaged_and_unknown_chunks_skipped() {
        let file = wav(&[
            chunk(b"LIST", b"odd"),
            format(PCM, 2, 48_000, 16),
            pcm(&[100, 300, -5, -5, 9]),
        ]);
        assert_eq!(read(&file), Ok(vec![200, -5]));
    }

    #[test]
    fn each_fault_is_named() {
        let data = pcm(&[1]);
        let cases = [
            (b"OggS".to_vec(), WavError::NotWav),
            (wav(&[]), WavError::Missing("fmt ")),
            (
                wav(&[format(PCM, 1, 48_000, 16)]),
                WavError::Missing("data"),
            ),
            (wav(std::slice::from_ref(&data)), WavError::Missing("fmt ")),
            (
                wav(&[format(3, 1, 48_000, 32), data.clone()]),
                WavError::Format {
                    format: 3,
                    bits: 32,
                },
            ),
            (
                wav(&[format(PCM, 1, 44_100, 16), data.clone()]),
                WavError::SampleRate(44_100),
            ),
            (
                wav(&[format(PCM, 0, 48_000, 16), data.clone()]),
                WavError::Empty,
            ),
            (
                wav(&[format(PCM, 1, 48_000, 16), pcm(&[])]),
                WavError::Empty,
            ),
            (
                wav(&[b"data\xff\xff\xff\xff".to_vec()]),
                WavError::Truncated { offset: 12 },
            ),
        ];
        for (file, fault) in cases {
            assert_eq!(read(&file), Err(fault));
        }
    }

    proptest! {
        #[test]
        fn any_damage_is_an_error_or_sound_but_never_a_panic(
            cut in 0_usize..80,
            at in 0_usize..80,
            with: u8,
        ) {
            let mut file = wav(&[format(PCM, 2, 48_000, 16), pcm(&[7; 16])]);
            if let Some(byte) = file.get_mut(at) {
                *byte = with;
            }
            file.truncate(file.len().saturating_sub(cut));
            let _ = read(&file);
        }
    }
}
