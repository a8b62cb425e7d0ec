//! Guests, as the driver deals with them: events and news become facts, commands go to their legs.

use std::time::Instant;

use room::ids::LegId;
use room::{Command, Fact};

use super::Driver;
use crate::guest_legs::{LegEvent, LegNews};
use crate::guests::signalling::GuestEvent;

impl Driver {
    /// Takes in what the guest server saw.
    pub(super) fn take_guest_event(&mut self, event: GuestEvent) {
        let room = &mut self.room;
        let facts = self.guests.take_event(event, || room.reserve_leg());
        self.tell_room_of_guests(Instant::now(), facts);
    }

    /// Takes in what the task of a guest's leg saw.
    pub(super) fn take_guest_news(&mut self, news: LegNews) {
        let leg = news.leg;
        match &news.event {
            LegEvent::Connected(_) => self.watch_latency(leg),
            LegEvent::KeyframeWanted => self.media.request_keyframe(leg),
            LegEvent::Gate(gate) => self.set_gate(leg, *gate),
            LegEvent::StreamsChanged(_)
            | LegEvent::VideoTarget(..)
            | LegEvent::Closed(_)
            | LegEvent::LocalCandidate(_)
            | LegEvent::Text(_) => {}
        }
        let facts = self.guests.take_news(news);
        self.tell_room_of_guests(Instant::now(), facts);
    }

    /// Carries out a command that concerns a guest's leg.
    pub(super) fn carry_out_for_guest(&mut self, now: Instant, command: Command) {
        let facts = self.guests.carry_out(now, command, &self.media);
        self.tell_room_of_guests(now, facts);
    }

    fn tell_room_of_guests(&mut self, now: Instant, facts: Vec<Fact>) {
        for fact in facts {
            if let Fact::Ended { leg, .. } = &fact {
                self.forget_guest(*leg);
            }
            self.room.fact(now, fact);
        }
    }

    fn forget_guest(&mut self, leg: LegId) {
        self.latency_probes.remove(&leg);
        // A guest who never came in has media that no plan names.
        self.media.close_leg(leg);
    }
}
