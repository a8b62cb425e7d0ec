//! The two layers of a picture that a browser sends with simulcast (RFC 8853), on their way to media.

use std::time::Instant;

use room::media_plan::Medium;
use str0m::media::{KeyframeRequestKind, Mid, Rid};
use str0m::stats::MediaIngressStats;

use super::Leg;
use super::media::{MediumState, clock_hz};
use crate::simulcast::{Packet, SenderReport, Simulcast, SimulcastLayer};
use crate::stats::{self, Meter};

/// The layers of a medium.
#[derive(Debug, Default)]
pub(super) struct ReceivedLayers {
    simulcast: Simulcast,
    counted: [Counted; 2],
}

/// What has come of a layer.
#[derive(Debug, Default)]
struct Counted {
    meter: Meter,
    bitrate: u64,
    packets: u64,
    nacks: u64,
    keyframe_requests: u64,
}

/// A stream of the browser's that the engine may know.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReceivedStream {
    pub(super) medium: Medium,
    pub(super) layer: Option<SimulcastLayer>,
    pub(super) mid: Mid,
    pub(super) rid: Option<Rid>,
}

impl MediumState {
    fn rid(&self, layer: SimulcastLayer) -> Option<Rid> {
        let layers = self.line.as_ref()?.layers.as_ref()?;
        Some(Rid::from(layers[layer as usize].as_str()))
    }

    /// Which layer a stream id stands for.
    pub(super) fn layer_of(&self, rid: Rid) -> Option<SimulcastLayer> {
        let mut layers = SimulcastLayer::ALL.into_iter();
        layers.find(|layer| self.rid(*layer) == Some(rid))
    }

    /// The streams that may come: one, or where the browser sends layers theirs.
    pub(super) fn received_streams(&self) -> [Option<ReceivedStream>; 3] {
        let stream = |layer| {
            let rid = match layer {
                None => None,
                Some(layer) => Some(self.rid(layer)?),
            };
            Some(ReceivedStream {
                medium: self.medium,
                layer,
                mid: self.mid()?,
                rid,
            })
        };
        let [high, low] = SimulcastLayer::ALL.map(|layer| stream(Some(layer)));
        // The engine takes no id for any.
        let any = high.is_none().then(|| stream(None)).flatten();
        [high, low, any]
    }

    /// The layer that a request for a whole picture goes to; `None` where there are no layers.
    pub(super) fn rid_asked(&self) -> Option<Rid> {
        self.rid(self.layers.simulcast.asked())
    }

    /// The engine has counted what came of a layer.
    pub(super) fn layer_stats(
        &mut self,
        now: Instant,
        layer: SimulcastLayer,
        stats: &MediaIngressStats,
    ) {
        let counted = &mut self.layers.counted[layer as usize];
        counted.bitrate = counted.meter.read(now, stats.bytes).as_bps();
        counted.packets = stats.packets;
        counted.nacks = stats.nacks;
        counted.keyframe_requests = stats.plis + stats.firs;
        let sum = |of: fn(&Counted) -> u64| self.layers.counted.iter().map(of).sum();
        let known = &mut self.stats;
        known.received_bitrate = room::units::Bitrate::bps(sum(|it| it.bitrate));
        known.received_packets = sum(|it| it.packets);
        known.nacks_sent = sum(|it| it.nacks);
        known.keyframe_requests_sent = sum(|it| it.keyframe_requests);
        known.received_layer = self.layers.simulcast.current();
        if known.received_layer == Some(layer) {
            known.received_loss = stats.loss;
            known.received_jitter = Some(stats::jitter(stats.jitter, clock_hz(self.medium)));
        }
    }
}

impl Leg {
    /// Which layer media is to get of a picture, where the browser sends two: it is handed on from its next whole
    /// picture on, and as long as it comes. At the start it is the large one.
    pub fn set_simulcast_layer(&mut self, medium: Medium, layer: SimulcastLayer) {
        self.state_of(medium).layers.simulcast.want(layer);
    }

    /// A packet of a layer.
    pub(super) fn layer_received(
        &mut self,
        now: Instant,
        medium: Medium,
        layer: SimulcastLayer,
        ssrc: u32,
        packet: &Packet<'_>,
    ) {
        let state = &mut self.media[medium as usize];
        let Some(payload_type) = state.receives() else {
            return;
        };
        let forwarded = state.layers.simulcast.packet(now, layer, ssrc, packet);
        state.stats.received_layer = state.layers.simulcast.current();
        // For what follows both are one source, which never changes.
        let source = state.ssrc;
        let asks = forwarded.asks.and_then(|layer| state.rid(layer));
        for placed in forwarded.packets {
            let packet = Packet {
                sequence: placed.sequence,
                timestamp: placed.timestamp,
                marker: placed.marker,
                payload: &placed.payload,
                is_again: packet.is_again,
            };
            self.hand_on(now, medium, source, payload_type, &packet);
        }
        if let Some(report) = forwarded.report {
            self.report_to_media(medium, report);
        }
        if let Some(mid) = self.media[medium as usize].mid()
            && asks.is_some()
        {
            // The engine sends it when its time moves, which it wants at once.
            self.ask_for_keyframe(mid, asks);
        }
    }

    /// A sender report of a layer.
    pub(super) fn layer_reported(
        &mut self,
        medium: Medium,
        layer: SimulcastLayer,
        ssrc: u32,
        report: SenderReport,
    ) {
        let state = &mut self.media[medium as usize];
        if let Some(report) = state.layers.simulcast.report(layer, ssrc, report) {
            self.report_to_media(medium, report);
        }
    }

    /// Has the engine ask for a whole picture. Whether it knows the stream.
    pub(super) fn ask_for_keyframe(&mut self, mid: Mid, rid: Option<Rid>) -> bool {
        let asked = self.engine.run(|rtc| {
            let mut api = rtc.direct_api();
            let stream = api.stream_rx_by_mid(mid, rid)?;
            stream.request_keyframe(KeyframeRequestKind::Pli);
            Some(())
        });
        asked.flatten().is_some()
    }
}
