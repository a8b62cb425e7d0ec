//! Reads the values that have a form of their own. `None` means that the form is broken.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use room::units::Resolution;

use crate::settings::{Host, Peer, PortRange, is_name, masked};

pub(super) fn name(text: &str) -> Option<String> {
    is_name(text).then(|| text.to_owned())
}

pub(super) fn text(text: &str, most: usize) -> Option<String> {
    let fits = (1..=most).contains(&text.chars().count());
    (fits && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

pub(super) fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty() && !text.contains('\0')).then(|| PathBuf::from(text))
}

/// Printable ASCII of a URL's path and query, without a fragment (RFC 6455 section 3).
pub(super) fn websocket_path(text: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_graphic() && !"\"#<>\\^`{|}".contains(c);
    let valid = text.starts_with('/') && text.len() <= 256 && text.chars().all(allowed);
    valid.then(|| text.to_owned())
}

pub(super) fn resolution(text: &str) -> Option<Resolution> {
    let (width, height) = text.split_once('x')?;
    let (width, height): (u32, u32) = (digits(width)?, digits(height)?);
    // 4:2:0 pictures have one chroma sample for each 2x2 block, and rows that need no padding.
    let even = width % 8 == 0 && height % 2 == 0;
    let fits = (160..=3840).contains(&width) && (90..=2160).contains(&height);
    (even && fits).then_some(Resolution { width, height })
}

pub(super) fn loopback_address(text: &str) -> Option<SocketAddr> {
    let address: SocketAddr = text.parse().ok()?;
    address.ip().is_loopback().then_some(address)
}

pub(super) fn port_range(text: &str) -> Option<PortRange> {
    let (first, last) = text.split_once('-')?;
    let (first, last): (u16, u16) = (digits(first)?, digits(last)?);
    // One call without slides: two streams of an RTP and an RTCP port each.
    let valid = first >= 1024 && first % 2 == 0 && last.checked_sub(first)? >= 3;
    valid.then_some(PortRange { first, last })
}

pub(super) fn peer(text: &str) -> Option<Peer> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(single_address(address));
    }
    if let Some((address, prefix)) = text.split_once('/') {
        let address: IpAddr = address.parse().ok()?;
        let prefix = digits(prefix)?;
        // A network whose address has host bits is more likely a slip than meant.
        let network = masked(address, prefix)? == address;
        return network.then_some(Peer::Network { address, prefix });
    }
    match Host::new(text)? {
        Host::Address(address) => Some(single_address(address)),
        name @ Host::Name(_) => Some(Peer::Domain(name)),
    }
}

fn single_address(address: IpAddr) -> Peer {
    let address = address.to_canonical();
    let prefix = if address.is_ipv4() { 32 } else { 128 };
    Peer::Network { address, prefix }
}

/// `str::parse` alone would also take a leading `+`.
fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}
