//! The sockets of one leg, bound before the offer or answer that names them: an RTP and an RTCP port for
//! each medium, and one for floor control, by UDP and TCP.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use tokio::net::{TcpListener, TcpSocket, UdpSocket};

use crate::error::Error;

/// Datagrams of one socket that are dropped at a time: more than a kernel keeps for it by itself.
const MOST_WAITING: usize = 4_096;

/// The sockets of one medium. RTP is on an even port, RTCP on the next (RFC 3550 section 11).
#[derive(Debug)]
pub struct MediumSockets {
    /// Carries RTP.
    pub rtp: UdpSocket,
    /// Carries RTCP.
    pub rtcp: UdpSocket,
}

/// The sockets of one leg.
#[derive(Debug)]
pub struct LegSockets {
    /// What they are bound to.
    pub address: IpAddr,
    /// Audio's sockets.
    pub audio: MediumSockets,
    /// Video's sockets.
    pub video: MediumSockets,
    /// The sockets of slides, where content is shared.
    pub slides: Option<MediumSockets>,
}

impl LegSockets {
    /// Drops the datagrams that have come so far, a bounded number of them.
    pub fn drop_what_waits(&self) {
        let media = [Some(&self.audio), Some(&self.video), self.slides.as_ref()];
        for sockets in media.into_iter().flatten() {
            for socket in [&sockets.rtp, &sockets.rtcp] {
                // One byte is enough: the kernel drops the rest of a datagram with it.
                let mut first = [0];
                for _ in 0..MOST_WAITING {
                    if socket.try_recv_from(&mut first).is_err() {
                        break;
                    }
                }
            }
        }
    }
}

/// The sockets of content sharing of one leg.
#[derive(Debug)]
pub struct ContentSockets {
    /// The slides.
    pub slides: MediumSockets,
    /// BFCP over UDP.
    pub bfcp: UdpSocket,
    /// BFCP over TCP, on the port of the same number.
    pub bfcp_tcp: TcpListener,
}

/// How many may wait until the peer is let in. Who else waits there is turned away then.
const BACKLOG: u32 = 4;

/// Hands out port pairs from the configured range, each time from where the last search ended, so
/// that a port that was just closed rests before it is used again: late packets of the old call
/// would otherwise reach the new one.
#[derive(Debug)]
pub struct MediaPortRange {
    range: RangeInclusive<u16>,
    next: u16,
}

impl MediaPortRange {
    /// A range of ports; the first even one of it is tried first.
    ///
    /// # Errors
    /// [`Error::MediaPortRange`] when the range does not hold the four ports of one leg.
    pub fn new(range: RangeInclusive<u16>) -> Result<Self, Error> {
        let next = range.start().next_multiple_of(2);
        if range.end().saturating_sub(next) < 3 {
            return Err(Error::MediaPortRange {
                first: *range.start(),
                last: *range.end(),
            });
        }
        Ok(Self { range, next })
    }

    /// Binds the sockets of one leg.
    ///
    /// # Errors
    /// [`Error::MediaPorts`] when no pair of the range is free or the address is not ours.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn bind_leg(&mut self, address: IpAddr) -> Result<LegSockets, Error> {
        let audio = self.bind_pair(address)?;
        let video = self.bind_pair(address)?;
        Ok(LegSockets {
            address,
            audio,
            video,
            slides: None,
        })
    }

    /// Binds the sockets of a leg's content sharing.
    ///
    /// # Errors
    /// [`Error::MediaPorts`] when there are not enough free ports in the range or the address is not
    /// ours.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn bind_content(&mut self, address: IpAddr) -> Result<ContentSockets, Error> {
        let slides = self.bind_pair(address)?;
        let (bfcp, bfcp_tcp) = self.bind_floor(address)?;
        Ok(ContentSockets {
            slides,
            bfcp,
            bfcp_tcp,
        })
    }

    /// Ports are handed out in pairs; the second of this one rests.
    fn bind_floor(&mut self, address: IpAddr) -> Result<(UdpSocket, TcpListener), Error> {
        let failed = |source| Error::MediaPorts { address, source };
        for _ in 0..self.pairs() {
            let bfcp = self.bind_pair(address)?.rtp;
            match listen(bfcp.local_addr().map_err(failed)?) {
                Ok(listener) => return Ok((bfcp, listener)),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(source) => return Err(failed(source)),
            }
        }
        Err(failed(io::ErrorKind::AddrInUse.into()))
    }

    /// How many pairs of ports there are.
    #[must_use]
    pub fn pairs(&self) -> u16 {
        (*self.range.end() - self.range.start().next_multiple_of(2)).div_ceil(2)
    }

    /// Binds one socket for all streams of a leg together (RFC 9143), on the first port of a pair.
    ///
    /// # Errors
    /// As [`Self::bind_leg`].
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn bind_bundle(&mut self, address: IpAddr) -> Result<UdpSocket, Error> {
        Ok(self.bind_pair(address)?.rtp)
    }

    fn bind_pair(&mut self, address: IpAddr) -> Result<MediumSockets, Error> {
        let mut last_error = None;
        for _ in 0..self.pairs() {
            let port = self.take_even_port();
            match bind_rtp_and_rtcp(address, port) {
                Ok(sockets) => return Ok(sockets),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => last_error = Some(error),
                Err(source) => return Err(Error::MediaPorts { address, source }),
            }
        }
        let source = last_error.unwrap_or_else(|| io::Error::from(io::ErrorKind::AddrInUse));
        Err(Error::MediaPorts { address, source })
    }

    fn take_even_port(&mut self) -> u16 {
        let port = self.next;
        let following = port.checked_add(2).filter(|next| next < self.range.end());
        self.next = following.unwrap_or_else(|| self.range.start().next_multiple_of(2));
        port
    }
}

fn bind_rtp_and_rtcp(address: IpAddr, port: u16) -> io::Result<MediumSockets> {
    Ok(MediumSockets {
        rtp: bind(SocketAddr::new(address, port))?,
        rtcp: bind(SocketAddr::new(address, port + 1))?,
    })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // What is left of the connections of earlier calls keeps nobody from listening.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// A socket of a port of ours: bound for the first time, or again after it was closed because RTCP
/// shared the port of RTP.
pub(super) fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn a_range_too_small_for_one_leg_is_refused() {
        assert!(MediaPortRange::new(20_001..=20_004).is_err());
        assert!(MediaPortRange::new(20_000..=20_003).is_ok());
    }

    #[tokio::test]
    async fn a_leg_gets_four_ports_with_rtp_on_even_ones() {
        let mut range = MediaPortRange::new(21_000..=21_101).unwrap();
        let leg = range.bind_leg(LOOPBACK).unwrap();
        for medium in [&leg.audio, &leg.video] {
            let rtp = medium.rtp.local_addr().unwrap().port();
            let rtcp = medium.rtcp.local_addr().unwrap().port();
            assert_eq!((rtp % 2, rtcp), (0, rtp + 1));
        }
    }

    #[tokio::test]
    async fn a_port_in_use_is_passed_over_and_a_closed_one_rests() {
        let mut range = MediaPortRange::new(21_200..=21_211).unwrap();
        let taken = UdpSocket::bind((LOOPBACK, 21_201)).await.unwrap();
        let first = range.bind_leg(LOOPBACK).unwrap();
        assert_eq!(first.audio.rtp.local_addr().unwrap().port(), 21_202);
        drop((first, taken));
        let second = range.bind_leg(LOOPBACK).unwrap();
        assert_eq!(second.audio.rtp.local_addr().unwrap().port(), 21_206);
    }

    #[tokio::test]
    async fn what_waits_is_dropped_and_what_comes_later_is_not() {
        let mut range = MediaPortRange::new(21_220..=21_227).unwrap();
        let sockets = range.bind_leg(LOOPBACK).unwrap();
        let peer = bind((LOOPBACK, 0).into()).unwrap();
        let to = sockets.audio.rtp.local_addr().unwrap();
        for early in [&b"early"[..], &b"early too"[..]] {
            peer.send_to(early, to).await.unwrap();
        }
        sockets.audio.rtp.readable().await.unwrap();
        sockets.drop_what_waits();
        peer.send_to(b"in time", to).await.unwrap();
        let mut buffer = [0; 64];
        let (length, _) = sockets.audio.rtp.recv_from(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..length], b"in time");
    }

    #[tokio::test]
    async fn a_full_range_is_an_error_that_names_the_address() {
        let mut range = MediaPortRange::new(21_300..=21_303).unwrap();
        let _all = range.bind_leg(LOOPBACK).unwrap();
        let error = range.bind_leg(LOOPBACK).unwrap_err();
        assert!(error.to_string().contains("127.0.0.1"), "{error}");
    }
}
