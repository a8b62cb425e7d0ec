//! Hosts: names, IPv4 addresses and bracketed IPv6 references (RFC 3261 §25.1).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::syntax::{Cursor, is_host_name};
use crate::error::{Reason, SyntaxError};

/// The host of a URI or of a Via.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name, spelled as received. Compare with [`Host::is_equivalent_to`]: case does not matter.
    Name(HostName),
    /// An IP address; IPv6 is printed in brackets.
    Address(IpAddr),
}

/// A host name that was checked to be one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostName(String);

impl Host {
    /// RFC 3261 §19.1.4: names without regard to case, addresses by value.
    #[must_use]
    pub fn is_equivalent_to(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(one), Self::Name(two)) => one.0.eq_ignore_ascii_case(&two.0),
            (Self::Address(one), Self::Address(two)) => one == two,
            (Self::Name(_), Self::Address(_)) | (Self::Address(_), Self::Name(_)) => false,
        }
    }

    /// The address, when the host is one.
    #[must_use]
    pub const fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(*address),
            Self::Name(_) => None,
        }
    }

    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        if cursor.peek() == Some(b'[') {
            return read_ipv6_reference(cursor);
        }
        let offset = cursor.offset();
        let name = cursor.take_some(is_host_name, "a host")?;
        match name.parse::<Ipv4Addr>() {
            Ok(address) => Ok(Self::Address(IpAddr::V4(address))),
            Err(_) => check_name(name, offset),
        }
    }

    /// Reads `[":" port]`.
    pub(crate) fn read_port(cursor: &mut Cursor<'_>) -> Result<Option<u16>, SyntaxError> {
        if cursor.eat(b':') {
            cursor.number("a port").map(Some)
        } else {
            Ok(None)
        }
    }
}

fn read_ipv6_reference(cursor: &mut Cursor<'_>) -> Result<Host, SyntaxError> {
    let not_an_address = cursor.expected("an IPv6 address in brackets");
    cursor.expect(b'[', "an IPv6 address in brackets")?;
    let text = cursor.take_while(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'));
    let address = parse_ipv6(text).ok_or(not_an_address)?;
    cursor.expect(b']', "the bracket that closes an IPv6 address")?;
    Ok(Host::Address(IpAddr::V6(address)))
}

/// Reads an address. A third colon before an IPv4 tail comes from a fault in the ABNF of RFC 3261 and means two
/// (RFC 5118 §4.10, RFC 5954 §4.1).
fn parse_ipv6(text: &str) -> Option<Ipv6Addr> {
    text.parse().ok().or_else(|| {
        let (_, tail) = text.split_once(":::")?;
        tail.parse::<Ipv4Addr>().ok()?;
        text.replacen(":::", "::", 1).parse().ok()
    })
}

/// A name has no empty label (a final dot aside), and does not look like a broken IPv4 address: a last label of
/// digits only would let `1.2.3.400` pass as a name.
fn check_name(name: &str, offset: usize) -> Result<Host, SyntaxError> {
    let absolute = name.strip_suffix('.').unwrap_or(name);
    let last = absolute.rsplit('.').next().unwrap_or_default();
    let numeric = last.bytes().all(|byte| byte.is_ascii_digit()) && absolute.contains('.');
    if absolute.split('.').any(str::is_empty) || numeric {
        return Err(SyntaxError {
            offset,
            reason: Reason::Expected("a host"),
        });
    }
    Ok(Host::Name(HostName(name.to_owned())))
}

impl FromStr for Host {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let mut cursor = Cursor::new(text);
        let host = Self::read(&mut cursor)?;
        cursor.finish_exactly()?;
        Ok(host)
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        Self::Address(address)
    }
}

impl HostName {
    /// The name as it was spelled.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => formatter.write_str(&name.0),
            Self::Address(IpAddr::V4(address)) => write!(formatter, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(formatter, "[{address}]"),
        }
    }
}
