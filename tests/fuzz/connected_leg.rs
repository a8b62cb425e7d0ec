//! A leg that is connected with a browser, whom the engine itself plays. Shared by two targets.

#[path = "steps.rs"]
mod steps;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use str0m::channel::ChannelId;
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol as EngineProtocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc};
use webrtc::{Leg, LegSettings, LocalAddress, Output as LegOutput, Protocol, Received};

pub use steps::steps;

pub const ROOM: SocketAddr = address(1);
pub const BROWSER: SocketAddr = address(2);

const fn address(host: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)), 5000)
}

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

pub struct ConnectedLeg {
    pub now: Instant,
    pub leg: Leg,
    pub browser: Rtc,
    pub mids: [Mid; 3],
    pub channel: Option<ChannelId>,
    /// Events and datagrams that the leg has handed out.
    pub outputs: usize,
    browser_deadline: Instant,
    connected: bool,
}

impl ConnectedLeg {
    pub fn new() -> Self {
        let now = *START;
        let mut config = Rtc::builder()
            .set_rtp_mode(true)
            .clear_codecs()
            .enable_opus(true, true);
        let codecs = config.codec_config();
        codecs.add_h264(106.into(), Some(107.into()), true, 0x42_e0_1f);
        let mut browser = config.build(now);
        browser.add_local_candidate(Candidate::host(BROWSER, "udp").expect("an address"));
        let mut api = browser.sdp_api();
        let mids = [MediaKind::Audio, MediaKind::Video, MediaKind::Video]
            .map(|kind| api.add_media(kind, Direction::SendRecv, None, None, None));
        api.add_channel("roomd".to_owned());
        let (offer, pending) = api.apply().expect("there are changes");
        let opus = "a=rtpmap:111 opus/48000/2\r\n";
        let offer = offer.to_sdp_string();
        let offer = offer.replace(opus, &format!("{opus}a=rtcp-fb:111 nack\r\n"));
        let addresses = [LocalAddress::udp(ROOM)];
        let (leg, answer) = Leg::answer(now, [1; 32], LegSettings::default(), &addresses, &offer)
            .expect("a good offer");
        let answer = str0m::change::SdpAnswer::from_sdp_string(&answer).expect("a good answer");
        let api = browser.sdp_api();
        api.accept_answer(pending, answer).expect("the answer fits");
        let mut run = Self {
            now,
            leg,
            browser,
            mids,
            channel: None,
            outputs: 0,
            browser_deadline: now,
            connected: false,
        };
        for _ in 0..1_000 {
            if run.connected && run.leg.is_connected() && run.channel.is_some() {
                break;
            }
            run.run_for(Duration::from_millis(10));
        }
        assert!(run.leg.is_connected() && run.channel.is_some());
        run
    }

    /// Time passes, and what both send arrives at once.
    pub fn run_for(&mut self, duration: Duration) {
        self.now += duration;
        self.leg.handle_timeout(self.now);
        if self.browser.is_alive() {
            self.browser
                .handle_input(Input::Timeout(self.now))
                .expect("time may pass");
        }
        self.exchange();
    }

    /// What both have to send arrives at once.
    pub fn exchange(&mut self) {
        for _ in 0..1_000 {
            let mut quiet = true;
            while let Some(output) = self.leg.poll_output() {
                self.outputs += 1;
                let LegOutput::Transmit(transmit) = output else {
                    continue;
                };
                quiet = false;
                self.give_browser(transmit.source, &transmit.payload);
            }
            while self.browser.is_alive() {
                match self.browser.poll_output().expect("an honest leg") {
                    Output::Timeout(at) => {
                        self.browser_deadline = at;
                        break;
                    }
                    Output::Transmit(transmit) => {
                        quiet = false;
                        self.give_leg(transmit.source, &transmit.contents);
                    }
                    Output::Event(Event::Connected) => self.connected = true,
                    Output::Event(Event::ChannelOpen(id, _)) => self.channel = Some(id),
                    Output::Event(_) => {}
                }
            }
            if quiet {
                return;
            }
        }
        panic!("an exchange comes to an end");
    }

    pub fn give_leg(&mut self, source: SocketAddr, payload: &[u8]) {
        let received = Received {
            protocol: Protocol::Udp,
            source,
            destination: ROOM,
            payload,
        };
        self.leg.receive(self.now, received);
    }

    fn give_browser(&mut self, source: SocketAddr, payload: &[u8]) {
        let received = Receive::new(EngineProtocol::Udp, source, BROWSER, payload);
        let received = received.expect("the leg sends what a browser reads");
        if self.browser.is_alive() {
            let _ = self
                .browser
                .handle_input(Input::Receive(self.now, received));
        }
    }
}
