//! The floors of calls: what the caller asks of them, and what it is told.
//!
//! The agreed media name role, numbers and transport. The caller makes the socket or connection,
//! says when it stands, and carries bytes: [`Output::SendFloorControl`] to the peer of the call,
//! [`Endpoint::floor_channel_received`] from it. A connection ends by
//! [`Output::CloseFloorControl`], or the caller says that it has ended. Where we are the client, and
//! the far end is to have another one, it is asked for by re-INVITE
//! ([`FloorConnection::Tcp`](crate::offer_answer::FloorConnection::Tcp) then has another number).

use std::time::Instant;

use room::FloorChange;

use super::event::{CallId, Event, Output};
use super::floor_control::{ConnectionWish, FloorChannelEnd, FloorControl};
use super::{ActionError, Endpoint};
use rand_core::Rng;

impl Endpoint {
    /// The UDP socket or the connection of a call's floor control is ready. After a connection
    /// broke, a new one is told in the same way.
    ///
    /// # Errors
    /// No call of that name has floor control.
    pub fn floor_channel_opened(&mut self, now: Instant, call: CallId) -> Result<(), ActionError> {
        self.with_floor(call, now, |floor| floor.opened(now))
    }

    /// A datagram, or bytes of the connection, has come from the peer of a call. The caller has
    /// checked that it is from there.
    pub fn floor_channel_received(&mut self, now: Instant, call: CallId, bytes: &[u8]) {
        // A call may be over while bytes are still under way.
        let _ = self.with_floor(call, now, |floor| floor.received(now, bytes));
    }

    /// The connection of a call's floor control has ended, or could not be made. Not to be told of one
    /// that [`Output::CloseFloorControl`] has closed, nor of one that another has replaced.
    pub fn floor_channel_closed(&mut self, now: Instant, call: CallId, end: FloorChannelEnd) {
        self.lose_floor_connection(call);
        // The call may have ended meanwhile.
        let _ = self.with_floor(call, now, |floor| floor.closed(now, end));
    }

    /// Our user wants to show slides. [`Event::Floor`] tells what comes of it.
    ///
    /// # Errors
    /// No call of that name has floor control.
    pub fn request_floor(&mut self, now: Instant, call: CallId) -> Result<(), ActionError> {
        self.with_floor(call, now, |floor| floor.request(now))
    }

    /// Our user shows no slides any more, or no longer waits for it.
    ///
    /// # Errors
    /// No call of that name has floor control.
    pub fn release_floor(&mut self, now: Instant, call: CallId) -> Result<(), ActionError> {
        self.with_floor(call, now, |floor| floor.release(now))
    }

    /// The owner of the room takes the floor from the far end, or turns its request down.
    ///
    /// # Errors
    /// No call of that name has floor control, or the far end is its server.
    pub fn revoke_floor(&mut self, now: Instant, call: CallId) -> Result<(), ActionError> {
        match self.with_floor(call, now, |floor| floor.revoke(now))? {
            true => Ok(()),
            false => Err(ActionError::WrongState),
        }
    }

    /// Leaves floor control while the call goes on; opening the channel again returns to it.
    ///
    /// # Errors
    /// No call of that name has floor control.
    pub fn leave_floor(&mut self, now: Instant, call: CallId) -> Result<(), ActionError> {
        self.with_floor(call, now, |floor| floor.leave(now))
    }

    pub(super) fn floor_timeout(&mut self, now: Instant, call: CallId) {
        let _ = self.with_floor(call, now, |floor| floor.handle_timeout(now));
    }

    /// The far end does not want another connection of a call's floor control.
    pub(crate) fn floor_renewal_refused(&mut self, now: Instant, call: CallId) {
        let _ = self.with_floor(call, now, |floor| floor.renewal_refused(now));
    }

    fn with_floor<T>(
        &mut self,
        call: CallId,
        now: Instant,
        action: impl FnOnce(&mut FloorControl) -> T,
    ) -> Result<T, ActionError> {
        let floor = self
            .floors
            .get_mut(&call)
            .ok_or(ActionError::NoFloorControl)?;
        let result = action(floor);
        let sends = std::mem::take(&mut floor.to_send);
        let changes = std::mem::take(&mut floor.changes);
        let wish = std::mem::take(&mut floor.connection_wish);
        for bytes in sends {
            self.output(Output::SendFloorControl { call, bytes });
        }
        for change in changes {
            self.output(Output::Event(Event::Floor { call, change }));
        }
        match wish {
            ConnectionWish::Nothing => {}
            ConnectionWish::Close => {
                self.lose_floor_connection(call);
                self.output(Output::CloseFloorControl { call });
            }
            ConnectionWish::Renew => self.renew_floor_connection(now, call),
        }
        Ok(result)
    }

    /// Whatever agrees on media or ends a call says so by an event: floors follow those.
    pub(super) fn floors_follow(&mut self, event: &Event) {
        let (call, media) = match event {
            // A socket may be open, and told to be, before the call is answered.
            Event::EarlyMedia { call, media }
            | Event::Established { call, media, .. }
            | Event::MediaChanged { call, media } => (*call, media.floor_control()),
            Event::Ended { call, .. } => {
                self.floors.remove(call);
                return;
            }
            Event::Incoming { .. }
            | Event::Ringing { .. }
            | Event::HoldSucceeded { .. }
            | Event::TransferAsked { .. }
            | Event::ResumeSucceeded { .. }
            | Event::HoldFailed { .. }
            | Event::ResumeFailed { .. }
            | Event::Info { .. }
            | Event::Floor { .. }
            | Event::InfoRefused { .. }
            | Event::IncomingRefused { .. }
            | Event::EndExplained { .. }
            | Event::Registration { .. }
            | Event::RegistrationFlows { .. }
            | Event::Refused { .. } => return,
        };
        let Some(media) = media else {
            if let Some(before) = self.floors.remove(&call) {
                if before.is_wanted() {
                    // Nobody decides any more.
                    self.tell_floor(call, FloorChange::Ours);
                } else {
                    self.floor_is_free(call, &before);
                }
            }
            return;
        };
        let follows = self
            .floors
            .get_mut(&call)
            .is_some_and(|floor| floor.follow(media));
        if !follows {
            let seed = (self.rng.next_u32() & 0xffff) as u16;
            let mut floor = FloorControl::new(media, seed);
            let before = self.floors.remove(&call);
            match (&before, event) {
                (Some(before), _) => {
                    floor.take_wish_of(before);
                    self.floor_is_free(call, before);
                }
                // Until now nobody decided; whoever shows has not asked.
                (None, Event::MediaChanged { .. }) => {
                    self.tell_floor(call, FloorChange::NotGranted);
                }
                (None, _) => {}
            }
            self.floors.insert(call, floor);
        }
    }

    /// What was decided under other terms does not hold any more.
    fn floor_is_free(&mut self, call: CallId, before: &FloorControl) {
        if before.told() != FloorChange::Free {
            self.tell_floor(call, FloorChange::Free);
        }
    }

    fn tell_floor(&mut self, call: CallId, change: FloorChange) {
        self.output(Output::Event(Event::Floor { call, change }));
    }
}
