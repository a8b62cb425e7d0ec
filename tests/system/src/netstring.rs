//! Netstrings (`5:hello,`), the framing of baresip's control connection.

use std::io::{self, BufRead, Read};

/// The longest netstring that is read: far more than baresip ever sends.
const LONGEST: usize = 1 << 20;

/// The payload as a netstring.
pub(crate) fn encode(payload: &[u8]) -> Vec<u8> {
    let mut framed = format!("{}:", payload.len()).into_bytes();
    framed.extend_from_slice(payload);
    framed.push(b',');
    framed
}

/// Reads one netstring; `None` at the end of the stream.
pub(crate) fn read(stream: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut length = Vec::new();
    if stream.by_ref().take(10).read_until(b':', &mut length)? == 0 {
        return Ok(None);
    }
    let length = std::str::from_utf8(&length)
        .ok()
        .and_then(|text| text.strip_suffix(':')?.parse::<usize>().ok())
        .filter(|length| *length <= LONGEST)
        .ok_or_else(|| invalid("length"))?;
    let mut payload = vec![0; length + 1];
    stream.read_exact(&mut payload)?;
    match payload.pop() {
        Some(b',') => Ok(Some(payload)),
        Some(_) | None => Err(invalid("end")),
    }
}

fn invalid(part: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("no netstring: bad {part}"),
    )
}

#[cfg(test)]
mod tests {
    use super::{encode, read};

    #[test]
    fn netstrings_in_a_row_are_read_one_by_one() {
        let mut stream: &[u8] = &[encode(b"hello"), encode(b""), encode(b"a,b:c")].concat();
        for expected in [&b"hello"[..], b"", b"a,b:c"] {
            assert_eq!(read(&mut stream).unwrap().unwrap(), expected);
        }
        assert!(read(&mut stream).unwrap().is_none());
    }

    #[test]
    fn what_is_no_netstring_is_refused() {
        for bad in ["x:a,", "-1:a,", "3:abc;", "9999999999:a", "5:abc,", ":,"] {
            assert!(read(&mut bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
