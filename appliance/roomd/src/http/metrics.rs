//! Metrics in Prometheus text format (version 0.0.4).
//!
//! Names follow OpenTelemetry's conventions as Prometheus spells them: the unit at the end,
//! counters with `_total`. What is measured of legs is labelled by leg and medium.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use axum::http::StatusCode;
use room::media_plan::MicrophoneState;
use room::snapshot::{DeviceState, SlidesSending};
use room::{LegSnapshot, RegistrationState, RoomSnapshot, RoomState, StreamStats, VideoStats};

use crate::network_counters::NetworkCounters;

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What the API's server counts about itself.
#[derive(Debug, Default)]
pub(super) struct HttpCounters {
    /// Connections that were served.
    pub(super) connections: Counter,
    /// Connections that were closed at once: a foreign peer, or too many.
    pub(super) refused_clients: Counter,
    /// Requests without token, or with a foreign `Host` or `Origin`.
    pub(super) refused_requests: Counter,
    successes: Counter,
    client_errors: Counter,
    server_errors: Counter,
}

impl HttpCounters {
    /// Counts an answer by the class of its status.
    pub(super) fn answered(&self, status: StatusCode) {
        if status.is_server_error() {
            self.server_errors.add_one();
        } else if status.is_client_error() {
            self.client_errors.add_one();
        } else {
            self.successes.add_one();
        }
    }
}

/// All metrics.
pub(super) fn render(
    room: &RoomSnapshot,
    network: &NetworkCounters,
    http: &HttpCounters,
    event_streams: usize,
) -> String {
    let mut page = Page::default();
    render_room(&mut page, room);
    render_legs(&mut page, &room.legs);
    render_network(&mut page, network);
    render_http(&mut page, http, event_streams);
    page.0
}

fn render_network(page: &mut Page, network: &NetworkCounters) {
    let sip = network.sip();
    let dropped = [
        ("malformed", sip.malformed),
        ("malformed-description", sip.malformed_descriptions),
        ("stray", sip.stray),
        ("refused", sip.refused),
        ("overloaded", sip.overloaded),
    ];
    let name = "roomd_sip_messages_dropped_total";
    let help = "SIP messages that were refused or belong to nothing";
    page.by_reason(name, help, dropped);
    let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let datagrams = &network.datagrams;
    let dropped = [
        ("unauthenticated", value(&datagrams.unauthenticated)),
        ("foreign", value(&datagrams.foreign)),
        ("overrun", value(&datagrams.overrun)),
    ];
    let name = "roomd_media_datagrams_dropped_total";
    page.by_reason(name, "Media datagrams that were not let in", dropped);
}

fn render_room(page: &mut Page, room: &RoomSnapshot) {
    page.family("roomd_build_info", "gauge", "The version of roomd");
    page.sample(
        "roomd_build_info",
        &[("version", env!("CARGO_PKG_VERSION"))],
        1.0,
    );
    page.family(
        "roomd_room_state",
        "gauge",
        "1 for the state that the room is in",
    );
    for (name, state) in [
        ("idle", RoomState::Idle),
        ("in_meeting", RoomState::InMeeting),
        ("leaving", RoomState::Leaving),
    ] {
        page.sample(
            "roomd_room_state",
            &[("state", name)],
            flag(room.state == state),
        );
    }
    page.gauge(
        "roomd_legs",
        "Legs that are not over",
        room.legs.len() as f64,
    );
    page.gauge(
        "roomd_microphone_muted",
        "1 while no sound leaves the room",
        flag(room.microphone == MicrophoneState::Muted),
    );
    page.family(
        "roomd_slides_state",
        "gauge",
        "1 for how far the room's own slides have come",
    );
    for (name, state) in [
        ("off", SlidesSending::Off),
        ("waiting", SlidesSending::Waiting),
        ("sending", SlidesSending::Sending),
    ] {
        page.sample(
            "roomd_slides_state",
            &[("state", name)],
            flag(room.slides == state),
        );
    }
    page.family(
        "roomd_device_present",
        "gauge",
        "1 while a configured device is there",
    );
    for (name, state) in [
        ("camera", room.camera_device),
        ("slides", room.slides_device),
        ("microphone", room.microphone_device),
    ] {
        if state != DeviceState::NotConfigured {
            let present = flag(state == DeviceState::Present);
            page.sample("roomd_device_present", &[("device", name)], present);
        }
    }
    page.gauge(
        "roomd_media_plan_behind",
        "Media plans that the graph has not reached yet",
        room.media_wanted.0.saturating_sub(room.media_applied.0) as f64,
    );
    if !room.certificates.is_empty() {
        page.family(
            "roomd_certificate_expiry_timestamp_seconds",
            "gauge",
            "The end of a certificate's time, in seconds since 1970",
        );
    }
    for (file, certificate) in &room.certificates {
        let since_1970 = certificate.not_after.duration_since(UNIX_EPOCH);
        page.sample(
            "roomd_certificate_expiry_timestamp_seconds",
            &[("file", file)],
            since_1970.map_or(0.0, |time| time.as_secs_f64()),
        );
    }
    if let Some(certificate) = &room.guest_certificate {
        if let Some(end) = certificate.not_after {
            let since_1970 = end.duration_since(UNIX_EPOCH);
            page.gauge(
                "roomd_guest_certificate_expiry_timestamp_seconds",
                "The end of the time of the certificate by ACME, in seconds since 1970",
                since_1970.map_or(0.0, |time| time.as_secs_f64()),
            );
        }
        page.gauge(
            "roomd_guest_certificate_failed_orders",
            "Orders of a certificate by ACME that failed since the last one that did not",
            certificate
                .failure
                .as_ref()
                .map_or(0.0, |failure| f64::from(failure.count)),
        );
    }
    page.family(
        "roomd_registered",
        "gauge",
        "1 while the account is registered",
    );
    for (account, state) in &room.registrations {
        let registered = flag(*state == RegistrationState::Registered);
        page.sample("roomd_registered", &[("account", account)], registered);
    }
    if !room.registration_flows.is_empty() {
        page.family(
            "roomd_registered_by_proxy",
            "gauge",
            "1 while the account is registered by that outbound proxy",
        );
    }
    for (account, flows) in &room.registration_flows {
        for (number, state) in (1..).zip(flows) {
            let number: usize = number;
            let labels = [
                ("account", account.as_str()),
                ("proxy", &number.to_string()),
            ];
            let registered = flag(*state == RegistrationState::Registered);
            page.sample("roomd_registered_by_proxy", &labels, registered);
        }
    }
}

/// A metric of all media: its name, its type, what it is, and how it is read.
type StreamMetric = (
    &'static str,
    &'static str,
    &'static str,
    fn(&StreamStats) -> f64,
);

const STREAM_METRICS: [StreamMetric; 8] = [
    (
        "roomd_leg_send_bits_per_second",
        "gauge",
        "Sent bitrate",
        |stats| stats.send_bitrate.as_bps() as f64,
    ),
    (
        "roomd_leg_receive_bits_per_second",
        "gauge",
        "Received bitrate",
        |stats| stats.receive_bitrate.as_bps() as f64,
    ),
    (
        "roomd_leg_packets_sent_total",
        "counter",
        "RTP packets sent",
        |stats| stats.packets_sent as f64,
    ),
    (
        "roomd_leg_packets_received_total",
        "counter",
        "RTP packets received",
        |stats| stats.packets_received as f64,
    ),
    (
        "roomd_leg_packets_lost_total",
        "counter",
        "RTP packets lost on the way here",
        |stats| stats.packets_lost as f64,
    ),
    (
        "roomd_leg_loss_ratio",
        "gauge",
        "Lost part of the expected packets",
        |stats| stats.loss.as_f64(),
    ),
    (
        "roomd_leg_jitter_seconds",
        "gauge",
        "Interarrival jitter (RFC 3550)",
        |stats| stats.jitter.as_secs_f64(),
    ),
    (
        "roomd_leg_datagrams_dropped_total",
        "counter",
        "Datagrams dropped in full queues",
        |stats| stats.datagrams_dropped as f64,
    ),
];

fn render_legs(page: &mut Page, legs: &[LegSnapshot]) {
    for (name, kind, help, read) in STREAM_METRICS {
        page.family(name, kind, help);
        for leg in legs {
            let Some(stats) = &leg.stats else { continue };
            let id = leg.id.to_string();
            let audio = stats.audio.as_ref().map(|audio| ("audio", &audio.stream));
            let video = stats.video.as_ref().map(|video| ("video", &video.stream));
            let slides = stats
                .slides
                .as_ref()
                .map(|slides| ("slides", &slides.stream));
            for (medium, stream) in audio.into_iter().chain(video).chain(slides) {
                page.sample(name, &[("leg", &id), ("medium", medium)], read(stream));
            }
        }
    }
    render_video(page, legs);
}

fn render_video(page: &mut Page, legs: &[LegSnapshot]) {
    let videos: Vec<_> = legs.iter().flat_map(videos_of).collect();
    page.family(
        "roomd_leg_frames_per_second",
        "gauge",
        "Video frames sent and decoded",
    );
    for (leg, medium, video) in &videos {
        for (direction, rate) in [
            ("sent", video.sent_frame_rate),
            ("received", video.received_frame_rate),
        ] {
            page.sample(
                "roomd_leg_frames_per_second",
                &[("leg", leg), ("medium", medium), ("direction", direction)],
                rate.as_f64(),
            );
        }
    }
    render_rungs(page, &videos);
    page.family(
        "roomd_leg_frozen_seconds_total",
        "counter",
        "Gaps above 183 ms between frames",
    );
    for (leg, medium, video) in &videos {
        page.sample(
            "roomd_leg_frozen_seconds_total",
            &[("leg", leg), ("medium", medium)],
            video.frozen.as_secs_f64(),
        );
    }
    let name = "roomd_leg_retransmissions_total";
    page.family(
        name,
        "counter",
        "Video packets that were lost and sent again",
    );
    for (leg, medium, video) in &videos {
        let again = video.retransmissions;
        for (kind, count) in [
            ("requested", again.requested),
            ("received", again.received),
            ("sent", again.sent),
        ] {
            let labels = [("leg", leg.as_str()), ("medium", *medium), ("kind", kind)];
            page.sample(name, &labels, count as f64);
        }
    }
    page.family(
        "roomd_leg_capture_to_decode_seconds",
        "gauge",
        "Capture there to decode here",
    );
    for (leg, medium, video) in &videos {
        if let Some(latency) = video.capture_to_decode {
            page.sample(
                "roomd_leg_capture_to_decode_seconds",
                &[("leg", leg), ("medium", medium)],
                latency.as_secs_f64(),
            );
        }
    }
}

/// The encode that each leg takes, and what that one is to be.
fn render_rungs(page: &mut Page, videos: &[(String, &'static str, &VideoStats)]) {
    let rungs = || {
        videos.iter().filter_map(|(leg, medium, video)| {
            let rung = video.rung?;
            Some((
                [
                    ("leg", leg.as_str()),
                    ("medium", medium),
                    ("rung", rung.name.name()),
                ],
                video,
            ))
        })
    };
    let name = "roomd_leg_target_bits_per_second";
    page.family(name, "gauge", "Target of the encode that a leg takes");
    for (labels, video) in rungs() {
        let target = video.rung.map_or(0, |rung| rung.bitrate.as_bps());
        page.sample(name, &labels, target as f64);
    }
    let name = "roomd_leg_sent_picture_height_pixels";
    page.family(name, "gauge", "Rows of the picture of that encode");
    for (labels, video) in rungs() {
        let height = video.sent_resolution.map_or(0, |size| size.height);
        page.sample(name, &labels, f64::from(height));
    }
}

/// The measured streams of pictures of a leg, each with the leg's id and the medium.
fn videos_of(leg: &LegSnapshot) -> impl Iterator<Item = (String, &'static str, &VideoStats)> {
    let stats = leg.stats.as_ref();
    let video = stats.and_then(|stats| Some(("video", stats.video.as_ref()?)));
    let slides = stats.and_then(|stats| Some(("slides", stats.slides.as_ref()?)));
    let both = video.into_iter().chain(slides);
    both.map(|(medium, stats)| (leg.id.to_string(), medium, stats))
}

fn render_http(page: &mut Page, http: &HttpCounters, event_streams: usize) {
    page.gauge(
        "roomd_api_event_streams",
        "Open event streams",
        event_streams as f64,
    );
    page.family(
        "roomd_api_requests_total",
        "counter",
        "API requests by the class of the answer",
    );
    for (class, counter) in [
        ("2xx", &http.successes),
        ("4xx", &http.client_errors),
        ("5xx", &http.server_errors),
    ] {
        page.sample(
            "roomd_api_requests_total",
            &[("class", class)],
            counter.value() as f64,
        );
    }
    for (name, help, counter) in [
        (
            "roomd_api_connections_total",
            "API connections served",
            &http.connections,
        ),
        (
            "roomd_api_refused_clients_total",
            "API connections refused",
            &http.refused_clients,
        ),
        (
            "roomd_api_refused_requests_total",
            "API requests refused",
            &http.refused_requests,
        ),
    ] {
        page.family(name, "counter", help);
        page.sample(name, &[], counter.value() as f64);
    }
}

fn flag(set: bool) -> f64 {
    if set { 1.0 } else { 0.0 }
}

/// The text as it grows. Writing to a `String` cannot fail.
#[derive(Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.family(name, "gauge", help);
        self.sample(name, &[], value);
    }

    fn by_reason<const N: usize>(&mut self, name: &str, help: &str, values: [(&str, u64); N]) {
        self.family(name, "counter", help);
        for (reason, value) in values {
            self.sample(name, &[("reason", reason)], value as f64);
        }
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.0.push_str(name);
        for (position, (label, text)) in labels.iter().enumerate() {
            self.0.push(if position == 0 { '{' } else { ',' });
            let _ = write!(self.0, "{label}=\"{}\"", escaped(text));
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }
}

fn escaped(label: &str) -> String {
    label
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_break_out_of_its_quotes() {
        let mut page = Page::default();
        page.sample("x", &[("a", "1\"} 2\n"), ("b", "\\")], 0.5);
        assert_eq!(page.0, "x{a=\"1\\\"} 2\\n\",b=\"\\\\\"} 0.5\n");
    }
}
