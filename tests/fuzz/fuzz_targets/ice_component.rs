//! What comes to a component of a SIP leg's ICE: datagrams of the peer, of which some are changed on their
//! way or come from elsewhere, and of anybody. Nothing of it makes a panic, and media go to the peer or
//! to nobody.

#![no_main]

#[path = "../steps.rs"]
mod steps;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use steps::steps;
use webrtc::CandidateKind;
use webrtc::secure_transport::{
    IceComponent, IceCredentials, IceOutput, IceParameters, IceRole, RemoteCandidate,
};

fn address(end: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, end as u8], 4_000))
}

fn credentials(end: usize, session: u8) -> IceCredentials {
    IceCredentials {
        username_fragment: format!("end{end}session{session}"),
        password: format!("{end:022}{session}"),
    }
}

fn parameters(end: usize, session: u8) -> IceParameters {
    IceParameters {
        local: credentials(end, session),
        remote: credentials(1 - end, session),
        role: IceRole::Controlling,
        candidates: vec![RemoteCandidate {
            address: address(1 - end),
            kind: CandidateKind::Host,
            priority: 1,
        }],
    }
}

struct End {
    component: IceComponent,
    /// What waits for the other end.
    sent: Vec<Vec<u8>>,
    /// Whether something of it has reached the other end from elsewhere.
    is_seen_elsewhere: bool,
}

impl End {
    fn new(now: Instant, end: usize) -> Self {
        let component = IceComponent::new(now, address(end), parameters(end, 0));
        Self {
            component,
            sent: Vec::new(),
            is_seen_elsewhere: false,
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.component.poll_output() {
            match output {
                IceOutput::Transmit { payload, .. } => self.sent.push(payload.to_vec()),
                IceOutput::Selected(_) | IceOutput::Failed(_) => {}
            }
        }
        assert!(self.sent.len() < 10_000, "it repeats itself within bounds");
    }
}

fuzz_target!(|input: &[u8]| {
    let mut now = Instant::now();
    let mut ends = [End::new(now, 0), End::new(now, 1)];
    for (what, bytes) in steps(input).take(200) {
        let end = usize::from(what % 2);
        let peer = address(1 - end);
        let elsewhere = SocketAddr::from(([198, 51, 100, what], 9));
        match what {
            0..32 => ends[end].component.handle_datagram(now, peer, bytes),
            32..192 => {
                let from = if what < 64 { elsewhere } else { peer };
                for mut datagram in std::mem::take(&mut ends[1 - end].sent) {
                    for (octet, change) in datagram.iter_mut().rev().zip(bytes) {
                        *octet ^= change;
                    }
                    ends[end].component.handle_datagram(now, from, &datagram);
                }
                ends[1 - end].is_seen_elsewhere |= from == elsewhere;
            }
            192..240 => {
                now += Duration::from_millis(bytes.len() as u64 * 50);
                ends[end].component.handle_timeout(now);
            }
            _ => {
                let session = bytes.first().map_or(0, |byte| byte % 4);
                let parameters = parameters(end, session);
                ends[end].component.settle(now, address(end), parameters);
            }
        }
        ends[end].drain();
    }
    for end in [0, 1] {
        let selected = ends[end].component.selected();
        if !ends[1 - end].is_seen_elsewhere {
            assert!(selected.is_none_or(|selected| selected == address(1 - end)));
        }
    }
});
