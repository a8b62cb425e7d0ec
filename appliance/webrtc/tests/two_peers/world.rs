//! A leg and a browser, a seeded network between them, and media of both.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use netem::{Delivery, Network};
use room::media_plan::Medium;
use str0m::config::DtlsVersion;
use str0m::net::{Protocol as EngineProtocol, TcpType};
use str0m::rtp::RedDecoder;
use webrtc::{
    Channel, DatagramKind, Event, Leg, LegSettings, LocalAddress, Output, Protocol, Received,
    TCP_ACTIVE_PORT,
};

use crate::browser::Browser;

/// Bytes of a packet of pictures, and of one of sound.
const PICTURE_BYTES: usize = 900;
const SOUND_BYTES: usize = 80;

/// The payload types of the engine for sound, and for sound with repetitions.
const OPUS: u8 = 111;
const RED: u8 = 63;

/// Packets of a picture, unless a test says otherwise.
const PICTURE_PACKETS: u32 = 4;

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn room_udp() -> SocketAddr {
    address("192.0.2.1:5000")
}

pub(crate) fn room_tcp() -> SocketAddr {
    address("192.0.2.1:5001")
}

/// The port that the room's connection to a browser that listens turns out to have.
pub(crate) fn room_connecting() -> SocketAddr {
    address("192.0.2.1:40000")
}

/// That connection as the leg knows it.
pub(crate) fn room_active() -> SocketAddr {
    SocketAddr::new(room_tcp().ip(), TCP_ACTIVE_PORT)
}

pub(crate) fn browser_address() -> SocketAddr {
    address("198.51.100.7:6000")
}

/// What a packet of one medium carries: its number, and bytes that follow from it.
pub(crate) fn payload(medium: Medium, number: u32) -> Vec<u8> {
    let length = match medium {
        Medium::Audio => SOUND_BYTES,
        Medium::Video | Medium::Slides => PICTURE_BYTES,
    };
    let mut bytes = vec![medium as u8];
    bytes.extend(number.to_be_bytes());
    while bytes.len() < length {
        let index = bytes.len() as u32;
        bytes.push((number.wrapping_mul(2_654_435_761).wrapping_add(index) >> 7) as u8);
    }
    bytes
}

/// The number of a packet, which has to be whole.
pub(crate) fn number(medium: Medium, bytes: &[u8]) -> u32 {
    let number = u32::from_be_bytes(bytes[1..5].try_into().unwrap());
    assert_eq!(
        bytes,
        payload(medium, number),
        "every byte arrives as it was"
    );
    number
}

/// A plain RTP packet as media gives it.
pub(crate) fn media_packet(
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    marker: bool,
    payload: &[u8],
) -> Bytes {
    let mut packet = BytesMut::new();
    packet.put_u8(0x80);
    packet.put_u8(if marker { 0x80 } else { 0 } | 96);
    packet.put_u16(sequence);
    packet.put_u32(timestamp);
    packet.put_u32(ssrc);
    packet.put_slice(payload);
    packet.freeze()
}

/// A sender report of media's.
pub(crate) fn sender_report(ssrc: u32, ntp: u64, timestamp: u32) -> Bytes {
    let mut packet = BytesMut::new();
    packet.put_slice(&[0x80, 200, 0, 6]);
    packet.put_u32(ssrc);
    packet.put_u64(ntp);
    packet.put_u32(timestamp);
    packet.put_u64(0);
    packet.freeze()
}

/// What is sent on a medium, each way.
#[derive(Default)]
struct Source {
    number: u32,
    sequence: u16,
}

pub(crate) struct World {
    pub(crate) net: Network,
    pub(crate) now: Instant,
    pub(crate) start: Instant,
    pub(crate) leg: Leg,
    pub(crate) browser: Browser,
    /// Where the browser is at present, whatever it believes.
    pub(crate) browser_moved_to: Option<SocketAddr>,
    pub(crate) browser_alive: bool,
    pub(crate) events: Vec<(Instant, Event)>,
    /// Datagrams of the leg that left, and when.
    pub(crate) sent: Vec<(Instant, DatagramKind)>,
    pub(crate) protocols: BTreeSet<Protocol>,
    /// Whether media flows, from the leg and from the browser.
    pub(crate) media: bool,
    next_tick: Instant,
    ticks: u64,
    leg_sources: [Source; 3],
    browser_sources: [Source; 3],
    pub(crate) leg_ssrcs: [u32; 3],
    pub(crate) video: Medium,
    /// Packets of each picture, by its number.
    pub(crate) picture_packets: fn(u64) -> u32,
    pictures: u64,
    /// When the browser has sent each packet of a medium, by its number.
    pub(crate) sent_by_browser_at: [Vec<Instant>; 3],
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self::with(
            seed,
            &[LocalAddress::udp(room_udp())],
            Some(browser_address()),
            None,
        )
    }

    /// With a browser that asks for lost sound, and sends it again as libwebrtc does.
    pub(crate) fn with_sound_nack(seed: u64) -> Self {
        let mut world = Self::with_offer(
            seed,
            &[LocalAddress::udp(room_udp())],
            Some(browser_address()),
            None,
            |offer| {
                let map = format!("a=rtpmap:{OPUS} opus/48000/2\r\n");
                assert!(offer.contains(&map));
                offer.replace(&map, &format!("{map}a=rtcp-fb:{OPUS} nack\r\n"))
            },
        );
        world.browser.sends_sound_again = true;
        world
    }

    pub(crate) fn with(
        seed: u64,
        addresses: &[LocalAddress],
        udp: Option<SocketAddr>,
        tcp: Option<(SocketAddr, TcpType)>,
    ) -> Self {
        Self::with_offer(seed, addresses, udp, tcp, str::to_owned)
    }

    /// With a browser whose camera has these layers.
    pub(crate) fn with_layers(seed: u64, layers: &[&str]) -> Self {
        let addresses = [LocalAddress::udp(room_udp())];
        let udp = Some(browser_address());
        Self::with_camera(seed, &addresses, udp, None, layers, str::to_owned)
    }

    fn with_offer(
        seed: u64,
        addresses: &[LocalAddress],
        udp: Option<SocketAddr>,
        tcp: Option<(SocketAddr, TcpType)>,
        change: impl Fn(&str) -> String,
    ) -> Self {
        Self::with_camera(seed, addresses, udp, tcp, &[], change)
    }

    fn with_camera(
        seed: u64,
        addresses: &[LocalAddress],
        udp: Option<SocketAddr>,
        tcp: Option<(SocketAddr, TcpType)>,
        layers: &[&str],
        change: impl Fn(&str) -> String,
    ) -> Self {
        let now = Instant::now();
        // Chromium speaks DTLS 1.3, others 1.2.
        let version = if seed.is_multiple_of(2) {
            DtlsVersion::Dtls12
        } else {
            DtlsVersion::Dtls13
        };
        let (mut browser, offer) = Browser::with_layers(now, version, udp, tcp, layers);
        let offer = change(&offer);
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let settings = LegSettings::default();
        let (leg, answer) = Leg::answer(now, bytes, settings, addresses, &offer).unwrap();
        browser.accept(now, &answer);
        Self {
            net: Network::new(seed, now),
            now,
            start: now,
            leg,
            browser,
            browser_moved_to: None,
            browser_alive: true,
            events: Vec::new(),
            sent: Vec::new(),
            protocols: BTreeSet::new(),
            media: false,
            next_tick: now,
            ticks: 0,
            leg_sources: Default::default(),
            browser_sources: Default::default(),
            leg_ssrcs: [11, 22, 33],
            video: Medium::Video,
            picture_packets: |_| PICTURE_PACKETS,
            pictures: 0,
            sent_by_browser_at: Default::default(),
        }
    }

    /// Sends what both have to send.
    pub(crate) fn collect(&mut self) {
        while let Some(output) = self.leg.poll_output() {
            match output {
                Output::Transmit(transmit) => {
                    self.sent.push((self.now, transmit.kind));
                    self.protocols.insert(transmit.protocol);
                    let mut payload = BytesMut::new();
                    payload.put_u8(transmit.protocol as u8);
                    payload.put_slice(&transmit.payload);
                    let payload = payload.freeze();
                    let source = if transmit.source == room_active() {
                        room_connecting()
                    } else {
                        transmit.source
                    };
                    self.net
                        .send(self.now, source, transmit.destination, payload);
                }
                Output::Event(event) => self.events.push((self.now, event)),
            }
        }
        while let Some(transmit) = self.browser.transmits.pop_front() {
            let mut payload = BytesMut::new();
            payload.put_u8((transmit.proto == EngineProtocol::Tcp).into());
            payload.put_slice(&transmit.contents);
            let source = self.browser_moved_to.unwrap_or(transmit.source);
            if self.browser_alive {
                self.net
                    .send(self.now, source, transmit.destination, payload.freeze());
            }
        }
    }

    fn deliver(&mut self, delivery: Delivery) {
        let Delivery::Datagram { from, to, payload } = delivery else {
            return;
        };
        let tcp = payload[0] == 1;
        let payload = &payload[1..];
        let to = if to == room_connecting() {
            room_active()
        } else {
            to
        };
        if [room_udp(), room_tcp(), room_active()].contains(&to) {
            let received = Received {
                protocol: if tcp { Protocol::Tcp } else { Protocol::Udp },
                source: from,
                destination: to,
                payload,
            };
            self.leg.receive(self.now, received);
        } else if self.browser_alive && to == self.browser_moved_to.unwrap_or(browser_address()) {
            let protocol = if tcp {
                EngineProtocol::Tcp
            } else {
                EngineProtocol::Udp
            };
            self.browser
                .receive(self.now, protocol, from, browser_address(), payload);
        }
    }

    fn tick(&mut self) {
        self.ticks += 1;
        self.next_tick += Duration::from_millis(20);
        if !self.media {
            return;
        }
        let elapsed = (self.now - self.start).as_millis() as u32;
        self.send_both(Medium::Audio, elapsed * 48, true);
        // 25 pictures a second.
        if self.ticks.is_multiple_of(2) {
            let packets = (self.picture_packets)(self.pictures);
            self.pictures += 1;
            for index in 1..=packets {
                self.send_both(self.video, elapsed * 90, index == packets);
            }
        }
    }

    fn send_both(&mut self, medium: Medium, timestamp: u32, marker: bool) {
        let source = &mut self.leg_sources[medium as usize];
        let bytes = payload(medium, source.number);
        let ssrc = self.leg_ssrcs[medium as usize];
        let packet = media_packet(ssrc, source.sequence, timestamp, marker, &bytes);
        if self.leg.send_rtp(self.now, medium, &packet).is_ok() {
            source.number += 1;
            source.sequence = source.sequence.wrapping_add(1);
        }
        if self.browser_alive && self.browser.rtc.is_connected() {
            let source = &mut self.browser_sources[medium as usize];
            let bytes = payload(medium, source.number);
            source.number += 1;
            self.sent_by_browser_at[medium as usize].push(self.now);
            self.browser
                .send_rtp(self.now, medium, timestamp, marker, &bytes);
        }
    }

    /// What the leg has sent of a medium.
    pub(crate) fn sent_by_leg(&self, medium: Medium) -> u32 {
        self.leg_sources[medium as usize].number
    }

    /// What the browser has sent of a medium.
    pub(crate) fn sent_by_browser(&self, medium: Medium) -> u32 {
        self.browser_sources[medium as usize].number
    }

    pub(crate) fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.run_until(end, |_| false);
    }

    /// Runs until something is so, for ten seconds at most.
    pub(crate) fn wait_for(&mut self, what: impl Fn(&Self) -> bool) {
        let end = self.now + Duration::from_secs(10);
        assert!(self.run_until(end, what), "it came about in ten seconds");
    }

    pub(crate) fn run_until(&mut self, end: Instant, what: impl Fn(&Self) -> bool) -> bool {
        loop {
            self.collect();
            if what(self) {
                return true;
            }
            let browser = self.browser_alive.then_some(self.browser.deadline);
            let next = [
                Some(self.leg.next_deadline()),
                browser,
                self.net.next_delivery(),
            ]
            .into_iter()
            .flatten()
            .chain([self.next_tick])
            .min()
            .unwrap();
            if next > end {
                self.now = end;
                return false;
            }
            self.now = self.now.max(next);
            if self.next_tick <= self.now {
                self.tick();
            }
            while let Some(delivery) = self.net.deliver(self.now) {
                self.deliver(delivery);
                self.collect();
            }
            if self.leg.next_deadline() <= self.now {
                self.leg.handle_timeout(self.now);
            }
            if self.browser_alive && self.browser.deadline <= self.now {
                self.browser.timeout(self.now);
            }
        }
    }

    /// The numbers of packets of a medium that media got from the leg.
    pub(crate) fn received_by_media(&self, wanted: Medium) -> Vec<u32> {
        let arrivals = self.arrivals_at_media(wanted).into_iter();
        arrivals.map(|(_, number)| number).collect()
    }

    /// When media got which packets of a medium from the leg.
    pub(crate) fn arrivals_at_media(&self, wanted: Medium) -> Vec<(Instant, u32)> {
        let of_medium = |(at, event): &(Instant, Event)| match event {
            Event::Media {
                medium,
                channel: Channel::Rtp,
                payload,
            } if *medium == wanted => Some((*at, number(wanted, &payload[12..]))),
            _ => None,
        };
        self.events.iter().filter_map(of_medium).collect()
    }

    /// The sequence numbers and payloads of a medium that media got from the leg.
    pub(crate) fn packets_at_media(&self, wanted: Medium) -> Vec<(u16, &[u8])> {
        let events = self.events.iter().filter_map(|(_, event)| match event {
            Event::Media {
                medium,
                channel: Channel::Rtp,
                payload,
            } if *medium == wanted => Some(payload),
            _ => None,
        });
        events
            .map(|packet| (u16::from_be_bytes([packet[2], packet[3]]), &packet[12..]))
            .collect()
    }

    /// The numbers of packets of sound that the browser got, repeated ones too, and how many of the
    /// packets had others with them.
    pub(crate) fn heard_by_browser(&self) -> (BTreeSet<u32>, usize) {
        let mut heard = BTreeSet::new();
        let mut with_others = 0;
        for (medium, packet) in &self.browser.seen.packets {
            if *medium != Medium::Audio {
                continue;
            }
            if *packet.header.payload_type == OPUS {
                heard.insert(number(Medium::Audio, &packet.payload));
                continue;
            }
            with_others += 1;
            for block in RedDecoder::decode(&packet.payload).unwrap() {
                assert_eq!(block.pt, OPUS);
                heard.insert(number(Medium::Audio, block.payload));
            }
        }
        (heard, with_others)
    }

    /// The numbers of packets of a medium that the browser got.
    pub(crate) fn received_by_browser(&self, wanted: Medium) -> Vec<u32> {
        let packets = self.browser.seen.packets.iter();
        packets
            .filter(|(medium, _)| *medium == wanted)
            .map(|(_, packet)| {
                let blocks = RedDecoder::decode(&packet.payload);
                let itself = match (*packet.header.payload_type, &blocks) {
                    (RED, Ok(blocks)) => blocks.last().unwrap().payload,
                    _ => &packet.payload,
                };
                number(wanted, itself)
            })
            .collect()
    }

    /// NACKs that the leg has sent for a medium.
    pub(crate) fn nacks_sent(&self, medium: Medium) -> u64 {
        let streams = self.leg.stats().streams.iter();
        let mut of_medium = streams.filter(|stream| stream.medium == medium);
        of_medium.next().map_or(0, |stream| stream.nacks_sent)
    }

    pub(crate) fn saw(&self, event: &Event) -> bool {
        self.events.iter().any(|(_, seen)| seen == event)
    }

    pub(crate) fn connect(&mut self) {
        self.wait_for(|world| world.leg.is_connected() && world.browser.rtc.is_connected());
    }
}
