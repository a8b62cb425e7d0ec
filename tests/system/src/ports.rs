//! Free ports on loopback.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Result, bail};

/// Below the range that the system itself hands out, so that no outgoing connection takes one.
const FIRST: u16 = 15_000;
const COUNT: u16 = 15_000;

/// The next to try. Different test processes start at different places.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// The first of `count` ports in a row that are free for UDP and TCP on 127.0.0.1. It is even, as
/// RTP likes it (RFC 3550 section 11). The same port is not given twice in a row.
///
/// # Errors
/// When there are none.
pub fn free_range(count: u16) -> Result<u16> {
    let stride = count.div_ceil(2) * 2;
    let start = (std::process::id() % 5_000) as u16;
    for _ in 0..COUNT / stride.max(1) {
        let offset = NEXT
            .fetch_add(stride, Ordering::Relaxed)
            .wrapping_add(start * 2)
            % COUNT;
        let first = FIRST + offset / 2 * 2;
        if (first..first + count).all(is_free) {
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
