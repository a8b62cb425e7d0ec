//! Which encodes of the room's sound there are, and which leg takes which.
//!
//! They are no part of the shape: what a leg takes follows from the leg itself and from the loss that its peer
//! reports. An encode begins with the first leg that takes it and ends with the last.

use std::sync::Arc;

use room::codec::Direction;
use room::ids::LegId;

use crate::audio_encode::{AudioEncode, AudioFormat};
use crate::error::MediaError;
use crate::graph::Graph;
use crate::pipeline::PipelineId;

impl Graph {
    /// Gives each leg that is to send sound the encode that it takes. To be called whenever a leg, its direction or
    /// what it takes has changed, and to repair.
    pub(super) fn follow_sound(&mut self) {
        let legs: Vec<LegId> = self.parts.legs.keys().copied().collect();
        for leg in legs {
            if let Err(error) = self.feed_sound(leg) {
                self.tell_failure(Some(leg), &error);
            }
        }
        self.end_unused_audio_encodes();
    }

    fn feed_sound(&mut self, leg: LegId) -> Result<(), MediaError> {
        let sends = self
            .shape
            .legs
            .get(&leg)
            .and_then(|shape| shape.directions().audio)
            .is_some_and(Direction::sends);
        let running = self.parts.legs.get(&leg);
        let taken = running.and_then(|leg| {
            let (inlet, format) = leg.sound_inlet()?;
            Some((Arc::clone(leg.hub()), inlet, format))
        });
        match taken.filter(|_| sends) {
            Some((hub, inlet, format)) => {
                let encode = self.audio_encode(format)?;
                self.audio_fan_out.attach(hub, inlet, encode);
            }
            None => self.audio_fan_out.detach(leg),
        }
        Ok(())
    }

    /// The encode of that format, which is started where there is none.
    fn audio_encode(&mut self, format: AudioFormat) -> Result<PipelineId, MediaError> {
        let encodes = &mut self.parts.audio_encodes;
        if let Some(encode) = encodes.iter().find(|encode| encode.format() == format) {
            return Ok(encode.id());
        }
        let around = &self.surroundings;
        let fan_out = &self.audio_fan_out;
        let encode = AudioEncode::start(format, fan_out, &around.clock, &around.inputs)?;
        let id = encode.id();
        fan_out.begin(Arc::clone(encode.inlet()));
        encodes.push(encode);
        Ok(id)
    }

    pub(super) fn end_unused_audio_encodes(&mut self) {
        let fan_out = &self.audio_fan_out;
        self.parts.audio_encodes.retain(|encode| {
            let is_taken = fan_out.is_taken(encode.id());
            if !is_taken {
                fan_out.end(encode.id());
            }
            is_taken
        });
    }

    /// An encode is gone. Who took it gets another by the next repair.
    pub(super) fn drop_audio_encode(&mut self, id: PipelineId) {
        self.audio_fan_out.end(id);
        self.parts.audio_encodes.retain(|encode| encode.id() != id);
    }
}
