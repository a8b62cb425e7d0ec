//! Free ports on loopback.
//!
//! Tests that run at the same time take theirs from ranges that do not overlap: a port that one of them has found free
//! another could find free as well, before either uses it.

use std::env::temp_dir;
use std::fs::File;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};

/// Below the range that the system itself hands out, so that no outgoing connection takes one.
const FIRST: u16 = 15_000;
/// The ports of one process.
const COUNT: u16 = 1_000;
/// The processes that have a range at a time.
const RANGES: u16 = 15;

/// The range of this process, which is its own as long as the file is open.
static RANGE: Mutex<Option<(u16, File)>> = Mutex::new(None);
/// The next to try, counted from the first of the range.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// The first of `count` ports in a row that are free for UDP and TCP on 127.0.0.1. It is even, as
/// RTP likes it (RFC 3550 section 11). The same port is not given twice in a row.
///
/// # Errors
/// When there are none.
pub fn free_range(count: u16) -> Result<u16> {
    let begin = range()?;
    let stride = count.div_ceil(2) * 2;
    for _ in 0..COUNT / stride.max(1) {
        let offset = NEXT.fetch_add(stride, Ordering::Relaxed) % COUNT;
        let first = begin + offset / 2 * 2;
        if offset + count <= COUNT && (first..first + count).all(is_free) {
            return Ok(first);
        }
    }
    bail!("no {count} free ports in a row on loopback")
}

/// One free port.
///
/// # Errors
/// When there is none.
pub fn free() -> Result<u16> {
    free_range(1)
}

/// The first port of this process.
fn range() -> Result<u16> {
    let mut range = RANGE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((begin, _)) = &*range {
        return Ok(*begin);
    }
    // Not where the last test was: what it sent may still be on its way.
    let start = (std::process::id() % u32::from(RANGES)) as u16;
    for number in (start..RANGES).chain(0..start) {
        let path = temp_dir().join(format!("roomd-test-ports-{number}.lock"));
        let file = match File::create(&path) {
            // Another user's.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => continue,
            created => created.with_context(|| format!("cannot create {}", path.display()))?,
        };
        if file.try_lock().is_ok() {
            let begin = FIRST + number * COUNT;
            *range = Some((begin, file));
            return Ok(begin);
        }
    }
    bail!("{RANGES} other processes of tests have all ports")
}

fn is_free(port: u16) -> bool {
    let address = (Ipv4Addr::LOCALHOST, port);
    UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};

    use super::{free_range, is_free};

    #[test]
    fn a_port_in_use_is_not_free() {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(!is_free(socket.local_addr().unwrap().port()));
    }

    #[test]
    fn ranges_start_even_and_do_not_overlap() {
        let first = free_range(3).unwrap();
        let second = free_range(3).unwrap();
        assert_eq!((first % 2, second % 2), (0, 0));
        assert!(first.abs_diff(second) >= 3);
    }
}
