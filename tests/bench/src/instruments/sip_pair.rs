//! Two endpoints that call each other without a network: what one sends, the other has at once.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use sip::endpoint::{
    Account, AccountName, CallEndCause, CallId, ConfiguredPeer, Endpoint, EndpointSettings, Event,
    IncomingPolicy, ListenAddresses, Output,
};
use sip::grammar::Uri;
use sip::offer_answer::{LocalMedia, LocalPort};
use sip::transport::Transport;

const CALLER: SocketAddr = address(1);
const CALLEE: SocketAddr = address(2);
const DIAL_LIMIT: Duration = Duration::from_secs(60);
/// After each call: transactions have ended by then (64 times T1).
const AFTER_A_CALL: Duration = Duration::from_secs(40);

pub(super) const fn address(host: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)), 5060)
}

/// The pair, with its virtual clock.
#[derive(Debug)]
pub(crate) struct SipPair {
    caller: Endpoint,
    callee: Endpoint,
    target: Uri,
    now: Instant,
}

/// What the two report of a call.
#[derive(Debug, Default)]
struct Reported {
    incoming: Option<CallId>,
    established: usize,
    ended: usize,
}

impl SipPair {
    /// Both endpoints, over UDP, with SRTP.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            caller: endpoint(CALLER, CALLEE)?,
            callee: endpoint(CALLEE, CALLER)?,
            target: format!("sip:room@{CALLEE};transport=udp").parse()?,
            now: Instant::now(),
        })
    }

    /// A whole call: placed, rung, answered, ended by the caller, forgotten.
    pub(crate) fn call(&mut self) -> Result<()> {
        let mut reported = Reported::default();
        let placed = self.caller.invite(
            self.now,
            &AccountName::new("room"),
            &self.target,
            media(CALLER),
        )?;
        self.pass_messages(&mut reported);
        let incoming = reported.incoming.context("no call came in")?;
        self.callee.ring(self.now, incoming)?;
        self.pass_messages(&mut reported);
        self.callee.answer(self.now, incoming, media(CALLEE))?;
        self.pass_messages(&mut reported);
        ensure!(reported.established == 2, "the call does not stand");
        self.caller.hang_up(self.now, placed)?;
        self.pass_messages(&mut reported);
        ensure!(reported.ended == 2, "the call did not end at both");
        let until = self.now + AFTER_A_CALL;
        while let Some(deadline) = self.next_deadline().filter(|deadline| *deadline <= until) {
            self.now = self.now.max(deadline);
            self.caller.handle_timeout(self.now);
            self.callee.handle_timeout(self.now);
            self.pass_messages(&mut reported);
        }
        self.now = until;
        Ok(())
    }

    fn next_deadline(&self) -> Option<Instant> {
        let deadlines = [self.caller.next_deadline(), self.callee.next_deadline()];
        deadlines.into_iter().flatten().min()
    }

    fn pass_messages(&mut self, reported: &mut Reported) {
        let mut waiting = VecDeque::new();
        loop {
            for endpoint in [&mut self.caller, &mut self.callee] {
                while let Some(output) = endpoint.poll_output() {
                    match output {
                        Output::SendDatagram {
                            local,
                            remote,
                            bytes,
                        } => waiting.push_back((local, remote, bytes)),
                        Output::Event(event) => reported.note(&event),
                        _ => {}
                    }
                }
            }
            let Some((from, to, bytes)) = waiting.pop_front() else {
                return;
            };
            let receiver = match to {
                CALLER => &mut self.caller,
                _ => &mut self.callee,
            };
            receiver.datagram_received(self.now, to, from, bytes);
        }
    }
}

impl Reported {
    fn note(&mut self, event: &Event) {
        match event {
            Event::Incoming { call, .. } => self.incoming = Some(*call),
            Event::Established { .. } => self.established += 1,
            Event::Ended {
                cause: CallEndCause::Local | CallEndCause::RemoteHangUp,
                ..
            } => self.ended += 1,
            _ => {}
        }
    }
}

fn endpoint(local: SocketAddr, peer: SocketAddr) -> Result<Endpoint> {
    let address = "sip:room@example.test".parse()?;
    let account = Account {
        transport: Transport::Udp,
        large_requests_by_tcp: false,
        ..Account::new(AccountName::new("room"), address)
    };
    let settings = EndpointSettings {
        accounts: vec![account],
        instance_id: None,
        user_agent: "bench".to_owned(),
        incoming: IncomingPolicy {
            peers: vec![ConfiguredPeer::address(peer.ip())],
            ..IncomingPolicy::default()
        },
        listen: ListenAddresses {
            udp: vec![local],
            tcp: Vec::new(),
            tls: Vec::new(),
        },
        dial_limit: DIAL_LIMIT,
    };
    let IpAddr::V4(host) = local.ip() else {
        bail!("the addresses here are of IPv4");
    };
    Ok(Endpoint::new(settings, [host.octets()[3]; 32]))
}

fn media(local: SocketAddr) -> LocalMedia {
    let port = |rtp| Some(LocalPort { rtp, rtcp: rtp + 1 });
    LocalMedia {
        address: local.ip(),
        audio: port(20_000),
        video: port(20_002),
        content: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_calls_in_a_row_leave_nothing_behind() {
        let mut pair = SipPair::new().unwrap();
        for _ in 0..20 {
            pair.call().unwrap();
        }
        let empty = Endpoint::counts(&endpoint(CALLER, CALLEE).unwrap());
        assert_eq!(pair.caller.counts(), empty);
        assert_eq!(pair.callee.counts(), empty);
    }
}
