//! The room: its state machine, and the vocabulary that every other crate shares.
//!
//! This crate is pure. It owns no socket, clock, thread or file: time is handed in, commands and
//! snapshots come out.
//!
//! The contract of the loop that drives a [`Room`]: hand in one input ([`Room::request`],
//! [`Room::fact`] or [`Room::handle_timeout`]), drain [`Room::poll_command`], publish
//! [`Room::snapshot`] when its generation grew, then wait until [`Room::next_deadline`] or the next
//! input. [`InputQueue`] orders waiting inputs: facts first.

pub mod codec;
pub mod command;
pub mod dtmf;
mod end_explanation;
pub mod fact;
mod guest;
mod guest_certificate;
pub mod h264_level;
pub mod ids;
pub mod input_queue;
mod ladder;
mod leg;
pub mod leg_state;
pub mod leg_stats;
pub mod media_plan;
pub mod peer;
mod plan;
pub mod policy;
pub mod request;
pub mod resumption;
mod room;
mod shutdown;
pub mod snapshot;
mod transfer;
mod turn;
pub mod units;

pub use command::{
    AnswerMode, Command, IfNotReplaced, RejectCause, Remembered, Replaced, TransferProgress,
};
pub use dtmf::{DtmfDigit, DtmfDigits};
pub use end_explanation::EndExplanation;
pub use fact::{
    Certificate, CertificateValidity, Fact, FloorChange, Glare, MediaFault, Prevails,
    RegistrationFailure, RegistrationState,
};
pub use guest::{Guest, GuestAdmission, GuestPolicy, LegKind};
pub use guest_certificate::{
    GuestCertificate, GuestCertificateFailure, GuestCertificateReason, GuestCertificateState,
};
pub use ids::{Generation, LegId};
pub use input_queue::{Input, InputQueue};
pub use leg_state::{CallDirection, EndReason, HeldBy, HoldChange, LegRefusal, LegState};
pub use leg_stats::{AudioStats, LegStats, RetransmissionStats, SentRung, StreamStats, VideoStats};
pub use media_plan::{MediaPlan, RungName};
pub use peer::{AnswerWish, LegSecurity, Peer, PeerTrust, Protection};
pub use policy::{
    AutoAnswer, CallTarget, MediaPolicy, RoomPolicy, SecondCall, SlidesPolicy, Timeouts,
};
pub use request::{Admission, DeniedReason, Request};
pub use resumption::{CallOrigin, DialogName, Resumption, Resumptions, WantedCall, WayBack};
pub use room::Room;
pub use snapshot::{LegSnapshot, RoomSnapshot, RoomState};
