//! The network: links, packets on their way, and streams.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use crate::link::{Link, LinkConditions, StreamPiece};

/// One byte stream between two addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(u64);

/// Something that arrives at the address `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// A datagram.
    Datagram {
        /// Who sent it.
        from: SocketAddr,
        /// Where it arrives.
        to: SocketAddr,
        /// What it carries.
        payload: Bytes,
    },
    /// A stream is open: seen first by the accepting end, a delay later by the opening one.
    StreamOpened {
        /// The stream.
        stream: StreamId,
        /// The other end.
        from: SocketAddr,
        /// The end that learns of it.
        to: SocketAddr,
    },
    /// Nobody listens at the wanted address, or the network is cut.
    StreamRefused {
        /// The stream that did not come to be.
        stream: StreamId,
        /// The end that wanted it.
        to: SocketAddr,
    },
    /// Bytes of a stream, in order, cut anywhere.
    StreamBytes {
        /// The stream.
        stream: StreamId,
        /// The receiving end.
        to: SocketAddr,
        /// The next bytes.
        payload: Bytes,
    },
    /// The other end has closed the stream, or the path between them let nothing through for long.
    StreamClosed {
        /// The stream.
        stream: StreamId,
        /// The end that learns of it.
        to: SocketAddr,
    },
}

/// What the network has done so far, in packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams handed in.
    pub sent: u64,
    /// Datagrams lost, in the air or at a full queue.
    pub lost: u64,
    /// Datagrams that arrive a second time.
    pub duplicated: u64,
}

#[derive(Debug)]
struct InFlight {
    at: Instant,
    /// Breaks ties, so that equal times keep their order.
    sequence: u64,
    delivery: Delivery,
}

impl PartialEq for InFlight {
    fn eq(&self, other: &Self) -> bool {
        self.sequence == other.sequence
    }
}

impl Eq for InFlight {}

impl PartialOrd for InFlight {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for InFlight {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

/// A network in virtual time.
#[derive(Debug)]
pub struct Network {
    start: Instant,
    rng: ChaCha8Rng,
    default_conditions: LinkConditions,
    links: BTreeMap<(SocketAddr, SocketAddr), Link>,
    listeners: Vec<SocketAddr>,
    streams: BTreeMap<StreamId, (SocketAddr, SocketAddr)>,
    in_flight: BinaryHeap<Reverse<InFlight>>,
    sequence: u64,
    counters: Counters,
}

impl Network {
    /// A network whose links are all perfect until [`Network::set_conditions`] says otherwise.
    #[must_use]
    pub fn new(seed: u64, start: Instant) -> Self {
        Self {
            start,
            rng: ChaCha8Rng::seed_from_u64(seed),
            default_conditions: LinkConditions::default(),
            links: BTreeMap::new(),
            listeners: Vec::new(),
            streams: BTreeMap::new(),
            in_flight: BinaryHeap::new(),
            sequence: 0,
            counters: Counters::default(),
        }
    }

    /// When virtual time began.
    #[must_use]
    pub fn start(&self) -> Instant {
        self.start
    }

    /// Sets the conditions of every link, the ones to come included.
    pub fn set_default_conditions(&mut self, conditions: LinkConditions) {
        self.default_conditions = conditions;
        for link in self.links.values_mut() {
            link.conditions = conditions;
        }
    }

    /// Sets the conditions from one address to another; the way back stays as it is.
    pub fn set_conditions(&mut self, from: SocketAddr, to: SocketAddr, conditions: LinkConditions) {
        self.link(from, to).conditions = conditions;
    }

    /// Sends one datagram.
    pub fn send(&mut self, now: Instant, from: SocketAddr, to: SocketAddr, payload: Bytes) {
        self.counters.sent += 1;
        let arrivals = {
            let default = self.default_conditions;
            let link = self
                .links
                .entry((from, to))
                .or_insert_with(|| Link::new(default));
            link.datagram(now, payload.len(), &mut self.rng)
        };
        match arrivals.len() {
            0 => self.counters.lost += 1,
            1 => {}
            _ => self.counters.duplicated += 1,
        }
        let copies = std::iter::repeat_n(payload, arrivals.len());
        for (at, payload) in arrivals.into_iter().zip(copies) {
            self.push(at, Delivery::Datagram { from, to, payload });
        }
    }

    /// Lets streams be opened to this address.
    pub fn listen(&mut self, address: SocketAddr) {
        if !self.listeners.contains(&address) {
            self.listeners.push(address);
        }
    }

    /// Nobody takes connections at an address any more. Those that stand go on.
    pub fn stop_listening(&mut self, address: SocketAddr) {
        self.listeners.retain(|listener| *listener != address);
    }

    /// Opens a stream. Both ends get [`Delivery::StreamOpened`], or `from` gets
    /// [`Delivery::StreamRefused`], late when the path lets nothing through.
    pub fn open_stream(&mut self, now: Instant, from: SocketAddr, to: SocketAddr) -> StreamId {
        self.sequence += 1;
        let stream = StreamId(self.sequence);
        let refused = Delivery::StreamRefused { stream, to: from };
        let there = match self.stream_piece(now, from, to, 0) {
            StreamPiece::Arrives(there) => there,
            StreamPiece::Breaks(at) => {
                self.push(at, refused);
                return stream;
            }
        };
        let back = self.stream_piece(there, to, from, 0);
        if self.listeners.contains(&to) {
            self.push(there, Delivery::StreamOpened { stream, from, to });
            match back {
                StreamPiece::Arrives(back) => {
                    self.streams.insert(stream, (from, to));
                    let (from, to) = (to, from);
                    self.push(back, Delivery::StreamOpened { stream, from, to });
                }
                StreamPiece::Breaks(at) => {
                    self.push(at, refused);
                    self.push(at, Delivery::StreamClosed { stream, to });
                }
            }
        } else {
            let (StreamPiece::Arrives(at) | StreamPiece::Breaks(at)) = back;
            self.push(at, refused);
        }
        stream
    }

    /// Writes bytes at one end of a stream. Bytes for a closed stream are lost, as with TCP. A path
    /// that lets nothing through breaks the stream in the end: both ends get
    /// [`Delivery::StreamClosed`].
    pub fn stream_send(
        &mut self,
        now: Instant,
        stream: StreamId,
        from: SocketAddr,
        mut payload: Bytes,
    ) {
        let Some(to) = self.other_end(stream, from) else {
            return;
        };
        while !payload.is_empty() {
            let length = 1 + self.rng.next_u32() as usize % payload.len();
            let piece = payload.split_to(length);
            match self.stream_piece(now, from, to, piece.len()) {
                StreamPiece::Arrives(at) => {
                    let payload = piece;
                    self.push(
                        at,
                        Delivery::StreamBytes {
                            stream,
                            to,
                            payload,
                        },
                    );
                }
                StreamPiece::Breaks(at) => {
                    self.streams.remove(&stream);
                    for to in [from, to] {
                        self.push(at, Delivery::StreamClosed { stream, to });
                    }
                    return;
                }
            }
        }
    }

    /// Closes a stream at one end. What was written before still arrives. Over a path that lets
    /// nothing through, the other end learns of it when it would give up by itself.
    pub fn close_stream(&mut self, now: Instant, stream: StreamId, from: SocketAddr) {
        let Some(to) = self.other_end(stream, from) else {
            return;
        };
        let (StreamPiece::Arrives(at) | StreamPiece::Breaks(at)) =
            self.stream_piece(now, from, to, 0);
        self.streams.remove(&stream);
        self.push(at, Delivery::StreamClosed { stream, to });
    }

    /// When the next delivery is due.
    #[must_use]
    pub fn next_delivery(&self) -> Option<Instant> {
        self.in_flight.peek().map(|Reverse(next)| next.at)
    }

    /// Takes the next delivery that is due by `now`.
    pub fn deliver(&mut self, now: Instant) -> Option<Delivery> {
        if self.next_delivery()? > now {
            return None;
        }
        self.in_flight.pop().map(|Reverse(next)| next.delivery)
    }

    /// What the network has done so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn link(&mut self, from: SocketAddr, to: SocketAddr) -> &mut Link {
        let default = self.default_conditions;
        self.links
            .entry((from, to))
            .or_insert_with(|| Link::new(default))
    }

    fn stream_piece(
        &mut self,
        now: Instant,
        from: SocketAddr,
        to: SocketAddr,
        length: usize,
    ) -> StreamPiece {
        let default = self.default_conditions;
        let link = self
            .links
            .entry((from, to))
            .or_insert_with(|| Link::new(default));
        link.stream_piece(now, length, &mut self.rng)
    }

    fn other_end(&self, stream: StreamId, end: SocketAddr) -> Option<SocketAddr> {
        let (opened_by, accepted_by) = *self.streams.get(&stream)?;
        Some(if end == opened_by {
            accepted_by
        } else {
            opened_by
        })
    }

    fn push(&mut self, at: Instant, delivery: Delivery) {
        self.sequence += 1;
        self.in_flight.push(Reverse(InFlight {
            at,
            sequence: self.sequence,
            delivery,
        }));
    }
}
