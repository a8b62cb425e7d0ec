//! The parts of a multipart body (RFC 2046 §5.1), as SIP uses them (RFC 5621 §3).
//!
//! ```text
//!  preamble  CRLF --boundary CRLF  fields CRLF CRLF content  CRLF --boundary CRLF ...  CRLF --boundary--  epilogue
//! ```
//!
//! A body whose closing delimiter is missing ends its last part: senders forget it, and nothing else is lost.

use bytes::Bytes;
use thiserror::Error;

use super::head::read_block;
use super::headers::Headers;
use crate::error::MessageFault;

/// The most parts of one body.
pub const MAX_PARTS: usize = 32;
/// The longest boundary (RFC 2046 §5.1.1).
const MAX_BOUNDARY: usize = 70;

/// One part.
#[derive(Debug, Clone)]
pub struct Part<'a> {
    /// Its header fields.
    pub headers: Headers,
    /// Its content.
    pub content: &'a [u8],
}

/// Why a body has no parts that could be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MultipartError {
    /// The Content-Type has no boundary, or one that cannot be.
    #[error("no usable boundary")]
    Boundary,
    /// The boundary never comes.
    #[error("the body has no parts")]
    NoParts,
    /// More than [`MAX_PARTS`].
    #[error("more than {MAX_PARTS} parts")]
    TooManyParts,
    /// The header fields of a part.
    #[error("a part: {0}")]
    Fields(MessageFault),
}

/// Cuts a body into its parts.
///
/// # Errors
/// What keeps the body from being read. Time is linear in its size.
pub fn parts<'a>(body: &'a [u8], boundary: &str) -> Result<Vec<Part<'a>>, MultipartError> {
    if boundary.is_empty() || boundary.len() > MAX_BOUNDARY || !boundary.is_ascii() {
        return Err(MultipartError::Boundary);
    }
    let mut parts = Vec::new();
    let mut begin = None;
    let mut at = 0;
    while let Some(rest) = body.get(at..).filter(|rest| !rest.is_empty()) {
        let next = line_end(rest).map_or(body.len(), |length| at + length);
        if let Some(delimiter) = Delimiter::read(rest, boundary) {
            if let Some(begin) = begin {
                parts.push(whole_part(body, begin, at)?);
            }
            match delimiter {
                Delimiter::Closing => return Ok(parts),
                Delimiter::Next if parts.len() == MAX_PARTS => {
                    return Err(MultipartError::TooManyParts);
                }
                Delimiter::Next => begin = Some(next),
            }
        }
        at = next;
    }
    match begin {
        // As if the delimiter came behind the end.
        Some(begin) => parts.push(read_part(body.get(begin..).unwrap_or_default())?),
        None => return Err(MultipartError::NoParts),
    }
    Ok(parts)
}

/// The length of the line at the beginning of `bytes`, its CRLF included.
fn line_end(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(2)
        .position(|pair| pair == b"\r\n")
        .map(|length| length + 2)
}

enum Delimiter {
    Next,
    Closing,
}

impl Delimiter {
    /// Reads a delimiter line: `--boundary`, blanks, the end of the line.
    fn read(line: &[u8], boundary: &str) -> Option<Self> {
        let rest = line
            .strip_prefix(b"--")?
            .strip_prefix(boundary.as_bytes())?;
        if rest.starts_with(b"--") {
            return Some(Self::Closing);
        }
        let blanks = rest
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count();
        let rest = rest.get(blanks..).unwrap_or_default();
        (rest.is_empty() || rest.starts_with(b"\r\n")).then_some(Self::Next)
    }
}

/// The part between `begin` and the delimiter at `end`, to which the CRLF before it belongs.
fn whole_part(body: &[u8], begin: usize, end: usize) -> Result<Part<'_>, MultipartError> {
    let content = body.get(begin..end).unwrap_or_default();
    read_part(content.strip_suffix(b"\r\n").unwrap_or(content))
}

fn read_part(part: &[u8]) -> Result<Part<'_>, MultipartError> {
    const EMPTY_LINE: &[u8] = b"\r\n\r\n";
    // Without fields the part begins with the empty line.
    if let Some(content) = part.strip_prefix(b"\r\n") {
        return Ok(Part {
            headers: Headers::new(),
            content,
        });
    }
    let end = part
        .windows(EMPTY_LINE.len())
        .position(|window| window == EMPTY_LINE)
        .map(|end| end + EMPTY_LINE.len());
    let Some(end) = end else {
        return Err(MultipartError::Fields(MessageFault::UnfinishedHead));
    };
    let (block, content) = part.split_at(end);
    let headers = read_block(&Bytes::copy_from_slice(block)).map_err(MultipartError::Fields)?;
    Ok(Part { headers, content })
}
