//! Congestion control of one SIP leg: by congestion control feedback (RFC 8888) where both ends settled it, else
//! by what reception reports and REMB tell ([`ReportedLoss`]).
//!
//! ```text
//!  media ─picture─> [CongestionControl] ──poll──> transport ─sent─> [SentNumbers]
//!                        ▲        │ Change                              │
//!                        └─ what arrived ◄──────────────── report of the far end
//!
//!  transport ─received─> [ArrivalLog] ──report, every 50 ms──> media ─> far end
//! ```
//!
//! Both directions are settled for each picture by itself. Sound is not reported; it never waits. Packets of a
//! picture without that feedback are none of ours: the transport paces them by the encoder's target.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use congestion::{Gate, PacketKind, PacketReport};
use media::Medium;
use room::codec::PayloadType;
use room::ids::LegId;
use room::media_plan::VideoRole;

use super::arrival_log::ArrivalLog;
use super::reported_loss::ReportedLoss;
use super::sent_numbers::SentNumbers;
use crate::congestion_control::{Change, CongestionControl, Sources};
use crate::rtcp;
use crate::rtcp::congestion_feedback::CongestionFeedback;
use crate::rtcp::maximum_bitrate::MaximumBitrate;
use crate::rtcp::reception_report::reception_reports;

/// How often the far end has a report while packets come (RFC 8888 section 3: once a frame or so).
const REPORT_INTERVAL: Duration = Duration::from_millis(50);
/// How often that is looked at; what comes late of it tells that this machine had no time.
const CHECK_INTERVAL: Duration = Duration::from_millis(25);
/// From so late on.
const LATE: Duration = Duration::from_millis(10);
/// What waited meanwhile is read within this long.
const BACKLOG: Duration = Duration::from_millis(10);
/// The other picture's report comes within this long of one of the two: both are made at once.
const TOGETHER: Duration = Duration::from_millis(15);
/// A picture of which a packet left within this long is reported too.
const FLOWS: Duration = Duration::from_millis(200);

/// For which pictures the far end takes and makes feedback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// The camera's.
    pub main: bool,
    /// Slides.
    pub slides: bool,
}

impl Reported {
    const fn of(self, role: VideoRole) -> bool {
        match role {
            VideoRole::Main => self.main,
            VideoRole::Slides => self.slides,
        }
    }
}

/// What congestion control of a leg has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CongestionEvent {
    /// The leg.
    pub leg: LegId,
    /// What follows from it.
    pub change: Change,
}

/// The sending side.
#[derive(Debug)]
struct Sending {
    control: CongestionControl<(VideoRole, Bytes)>,
    numbers: SentNumbers,
    /// When a packet of each picture left last.
    left_at: [Option<Instant>; 2],
    /// Reports that wait for the other picture's, of which pictures, and until when.
    waiting: Vec<PacketReport>,
    heard: [bool; 2],
    waits_until: Option<Instant>,
    /// As it was told last.
    gate: Gate,
}

/// Congestion control of one leg.
#[derive(Debug)]
pub struct LegCongestion {
    began: Instant,
    /// The time by the clock of reports at that moment, in 1/65536 s.
    began_at: u32,
    reported: Reported,
    /// The payload type of what is sent again of each picture, where that has one of its own.
    sent_again: [Option<PayloadType>; 2],
    sources: Sources,
    sending: Option<Sending>,
    /// Pictures of which no packet is reported.
    unreported: [ReportedLoss; 2],
    logs: [ArrivalLog; 2],
    next_check: Option<Instant>,
    last_report: Instant,
    /// Reports that are to leave.
    feedback: VecDeque<(VideoRole, Vec<u8>)>,
    /// What is to be told of a sending side that is no more.
    changes: VecDeque<Change>,
}

/// The source and the number of an RTP packet, protected or not.
fn identity(packet: &[u8]) -> Option<(u32, u16)> {
    let header = packet.first_chunk::<12>()?;
    let ssrc = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
    Some((ssrc, u16::from_be_bytes([header[2], header[3]])))
}

impl LegCongestion {
    /// No picture is reported yet. `ntp` is the time in 1/65536 s by the clock of our sender reports.
    #[must_use]
    pub fn new(now: Instant, ntp: u32, sources: Sources) -> Self {
        Self {
            began: now,
            began_at: ntp,
            reported: Reported::default(),
            sent_again: [None; 2],
            sources,
            sending: None,
            unreported: Default::default(),
            logs: Default::default(),
            next_check: None,
            last_report: now,
            feedback: VecDeque::new(),
            changes: VecDeque::new(),
        }
    }

    /// What was settled anew: which pictures are reported, by which payload types their packets are sent again,
    /// and what the encoders make at most.
    pub fn settle(
        &mut self,
        now: Instant,
        reported: Reported,
        sent_again: [Option<PayloadType>; 2],
        sources: Sources,
    ) {
        self.sent_again = sent_again;
        for role in VideoRole::ALL {
            let most = match role {
                VideoRole::Main => sources.camera,
                VideoRole::Slides => sources.slides,
            };
            let unreported = &mut self.unreported[role as usize];
            if reported.of(role) {
                *unreported = ReportedLoss::default();
            } else {
                unreported.set_most(most);
            }
        }
        self.reported = reported;
        self.sources = sources;
        if reported == Reported::default() {
            self.stop();
        } else if let Some(sending) = &mut self.sending {
            sending.control.set_sources(now, sources);
        } else {
            self.sending = Some(Sending::new(now, sources));
        }
    }

    /// Nobody reports any more: everything may flow.
    fn stop(&mut self) {
        let Some(sending) = self.sending.take() else {
            return;
        };
        if sending.gate == Gate::Closed {
            self.changes.push_back(Change::Gate(Gate::Open));
        }
        let Sources { camera, slides } = self.sources;
        self.changes.extend([
            Change::Target(VideoRole::Main, camera),
            Change::Target(VideoRole::Slides, slides),
        ]);
    }

    /// Packets go by another way from now on.
    pub fn path_changed(&mut self, now: Instant) {
        if let Some(sending) = &mut self.sending {
            sending.control.path_changed(now);
        }
    }

    /// Takes a packet of a picture that is to leave; gives it back where that is none of ours.
    pub fn push(&mut self, now: Instant, role: VideoRole, packet: Bytes) -> Option<Bytes> {
        let kind = self.kind(role, &packet);
        match &mut self.sending {
            Some(sending) if self.reported.of(role) => {
                let bytes = packet.len();
                match kind {
                    PacketKind::Retransmission => {
                        sending.control.push_again(now, bytes, (role, packet));
                    }
                    PacketKind::Video | PacketKind::Audio => {
                        sending.control.push(now, role, bytes, (role, packet));
                    }
                }
                None
            }
            Some(_) | None => Some(packet),
        }
    }

    fn kind(&self, role: VideoRole, packet: &[u8]) -> PacketKind {
        let payload_type = packet.get(1).map(|byte| byte & 0x7f);
        match self.sent_again[role as usize] {
            Some(again) if payload_type == Some(again.value()) => PacketKind::Retransmission,
            Some(_) | None => PacketKind::Video,
        }
    }

    /// The next packet that is to leave now.
    pub fn poll(&mut self, now: Instant) -> Option<(VideoRole, Bytes)> {
        let departure = self.sending.as_mut()?.control.poll(now)?;
        Some(departure.packet)
    }

    /// An RTP packet leaves.
    pub fn sent(&mut self, now: Instant, medium: Medium, packet: &[u8]) {
        let bytes = packet.len();
        if let Some(role) = medium.video_role().filter(|role| !self.reported.of(*role)) {
            if let Some((ssrc, _)) = identity(packet) {
                self.unreported[role as usize].sent(ssrc);
            }
            return;
        }
        let kind = medium.video_role().map(|role| self.kind(role, packet));
        let Some(sending) = &mut self.sending else {
            return;
        };
        let (Some(role), Some(kind)) = (medium.video_role(), kind) else {
            return sending.control.sent(now, PacketKind::Audio, bytes, None);
        };
        sending.left_at[role as usize] = Some(now);
        let number = identity(packet).and_then(|(ssrc, sequence)| {
            // One that left before is not reported again.
            sending.numbers.sent(now, ssrc, sequence)
        });
        let control = &mut sending.control;
        control.sent(now, kind, bytes, number);
    }

    /// An RTP packet of a picture was read, and is the peer's.
    pub fn received(&mut self, now: Instant, role: VideoRole, packet: &[u8]) {
        if !self.reported.of(role) {
            return;
        }
        if let Some((ssrc, sequence)) = identity(packet) {
            self.logs[role as usize].arrived(now, ssrc, sequence);
            self.next_check.get_or_insert(now + CHECK_INTERVAL);
        }
    }

    /// RTCP of a picture came, its protection taken off. `ntp` is the time in 1/65536 s by the clock of our
    /// sender reports, which may have been set since the beginning.
    pub fn received_control(&mut self, now: Instant, ntp: u32, role: VideoRole, datagram: &[u8]) {
        for packet in rtcp::packets(datagram) {
            match &mut self.sending {
                Some(sending) if self.reported.of(role) => {
                    if let Some(report) = CongestionFeedback::read(packet) {
                        sending.reported(now, role, &report);
                    }
                }
                Some(_) | None => {
                    let unreported = &mut self.unreported[role as usize];
                    if let Some(estimate) = MaximumBitrate::read(packet) {
                        unreported.takes(estimate.most);
                    }
                    for report in reception_reports(packet) {
                        unreported.reported(now, ntp, &report);
                    }
                }
            }
        }
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(due) = self.next_check.filter(|due| *due <= now) {
            self.check(now, due);
        }
        if let Some(sending) = &mut self.sending {
            if sending.waits_until.is_some_and(|until| until <= now) {
                sending.hand_over(now);
            }
            sending.control.handle_timeout(now);
        }
    }

    fn check(&mut self, now: Instant, due: Instant) {
        if now.saturating_duration_since(due) >= LATE {
            for log in &mut self.logs {
                log.was_stalled(due, now + BACKLOG);
            }
        }
        let has_news = self.logs.iter().any(ArrivalLog::has_news);
        let since_report = now.saturating_duration_since(self.last_report);
        if has_news && since_report + LATE / 2 >= REPORT_INTERVAL {
            self.last_report = now;
            let timestamp = self.timestamp(now);
            for role in VideoRole::ALL {
                let report = self.logs[role as usize].report(now, timestamp);
                let report = report.map(|report| (role, report.to_bytes()));
                self.feedback.extend(report);
            }
        }
        // As long as packets come there is something to report now or soon.
        let goes_on = has_news || since_report < FLOWS;
        self.next_check = goes_on.then_some(now + CHECK_INTERVAL);
    }

    /// The time by the clock of our sender reports, in 1/65536 s.
    fn timestamp(&self, now: Instant) -> u32 {
        let passed = now.saturating_duration_since(self.began).as_nanos();
        let units = (passed << 16) / 1_000_000_000;
        self.began_at.wrapping_add(units as u32)
    }

    /// When [`Self::handle_timeout`] and [`Self::poll`] are to be called next.
    #[must_use]
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let sending = self.sending.as_ref();
        let control = sending.and_then(|sending| sending.control.next_deadline(now));
        let waits = sending.and_then(|sending| sending.waits_until);
        self.next_check
            .into_iter()
            .chain(control)
            .chain(waits)
            .min()
    }

    /// The next report that media is to send about a picture.
    pub fn poll_feedback(&mut self) -> Option<(VideoRole, Vec<u8>)> {
        self.feedback.pop_front()
    }

    /// What has changed for room and media; to be asked until there is nothing more.
    pub fn poll_change(&mut self, now: Instant) -> Option<Change> {
        if let Some(change) = self.changes.pop_front() {
            return Some(change);
        }
        for role in VideoRole::ALL {
            let target = self.unreported[role as usize].poll_target();
            if let Some(target) = target.filter(|_| !self.reported.of(role)) {
                return Some(Change::Target(role, target));
            }
        }
        let sending = self.sending.as_mut()?;
        let change = sending.control.poll_change(now)?;
        if let Change::Gate(gate) = change {
            sending.gate = gate;
        }
        Some(change)
    }
}

impl Sending {
    fn new(now: Instant, sources: Sources) -> Self {
        Self {
            control: CongestionControl::of_pictures(now, sources),
            numbers: SentNumbers::new(now),
            left_at: [None; 2],
            waiting: Vec::new(),
            heard: [false; 2],
            waits_until: None,
            gate: Gate::Open,
        }
    }

    /// The far end has reported of a picture. Where both flow their reports are taken together: they share the
    /// numbers, and a packet of the other one would count as lost.
    fn reported(&mut self, now: Instant, role: VideoRole, report: &CongestionFeedback) {
        self.waiting.extend(self.numbers.reported(report));
        self.heard[role as usize] = true;
        let awaited = VideoRole::ALL.into_iter().any(|role| {
            let left_at = self.left_at[role as usize];
            let flows = left_at.is_some_and(|at| now.saturating_duration_since(at) < FLOWS);
            flows && !self.heard[role as usize]
        });
        if awaited {
            self.waits_until.get_or_insert(now + TOGETHER);
        } else {
            self.hand_over(now);
        }
    }

    fn hand_over(&mut self, now: Instant) {
        self.waits_until = None;
        self.heard = [false; 2];
        let mut reports = std::mem::take(&mut self.waiting);
        reports.sort_by_key(|report| report.sequence);
        if !reports.is_empty() {
            self.control.reported(now, &reports);
        }
    }
}

#[cfg(test)]
mod tests;
