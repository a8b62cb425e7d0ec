//! A room and a baresip on one machine.

use std::time::Duration;

use api::snapshot::{CallDirection, EndReason, Leg, LegState, VideoFlow};
use system::authority::Authority;
use system::baresip::{Baresip, BaresipConfig, MediaEncryption, Transport, Video};
use system::footage::{Recording, reply};
use system::journal::Mark;
use system::room_setup::{Room, RoomSetup, end_reason};
use system::sound::Sound;
use tempfile::TempDir;

/// For a state that comes at once on an idle machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// The file with what the room's loudspeaker plays.
const RECORDING: &str = "heard.pcm";
/// A room and a peer.
pub(crate) struct Site {
    pub(crate) room: Room,
    pub(crate) peer: Baresip,
    pub(crate) authority: Authority,
    folder: TempDir,
}

/// Starts both, after `adjust` has changed what is not as usual: an encrypted call over TLS with
/// simulated devices on the room's side and recordings on the peer's.
pub(crate) fn site(adjust: impl FnOnce(&mut RoomSetup, &mut BaresipConfig)) -> Site {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    let mut setup = RoomSetup::new("room");
    let video = Video::Recording(Recording::BigBuckBunny.file().unwrap());
    let mut config = BaresipConfig::new("peer", reply().unwrap(), video);
    config.transport = Transport::Tls;
    setup.recording = Some(folder.path().join(RECORDING));
    adjust(&mut setup, &mut config);
    Site {
        room: setup.start(&authority).unwrap(),
        peer: Baresip::start(&config, Some(&authority)).unwrap(),
        authority,
        folder,
    }
}

/// Signalling and media in the clear, over that transport, because the account allows it.
pub(crate) fn in_the_clear(
    transport: Transport,
) -> impl FnOnce(&mut RoomSetup, &mut BaresipConfig) {
    move |setup, config| {
        setup.transport = transport;
        setup.media_encryption = MediaEncryption::Off;
        config.transport = transport;
        config.media_encryption = MediaEncryption::Off;
    }
}

impl Site {
    /// The room calls; both sides see and hear each other.
    pub(crate) fn room_calls(&mut self) {
        self.room.call(self.peer.uri()).unwrap();
        self.wait_for_media();
    }

    /// The peer calls; both sides see and hear each other.
    pub(crate) fn peer_calls(&mut self) {
        self.peer.dial(self.room.uri()).unwrap();
        self.wait_for_media();
    }

    pub(crate) fn wait_for_media(&self) {
        self.peer
            .wait_for_event(Mark::default(), "CALL_ESTABLISHED", LIMIT)
            .unwrap();
        for medium in ["audio", "video"] {
            self.peer
                .wait_for_media(Mark::default(), medium, LIMIT)
                .unwrap();
        }
        self.room.wait_for_media(Mark::default(), LIMIT).unwrap();
    }

    /// Lets that many packets of sound go to the peer from now on.
    pub(crate) fn let_the_peer_hear(&self, packets: u64) {
        let before = sounds_sent(&self.room.only_leg().unwrap()).unwrap_or(0);
        self.wait_until_the_peer_has_heard(before + packets);
    }

    /// Waits until that many packets of sound have gone to the peer in this call.
    pub(crate) fn wait_until_the_peer_has_heard(&self, packets: u64) {
        self.room
            .wait_for_leg(self.now(), "sound that is sent", LIMIT, |leg| {
                sounds_sent(leg).filter(|sent| *sent >= packets)
            })
            .unwrap();
    }

    /// What the room's loudspeaker has played so far.
    pub(crate) fn heard_in_the_room(&self) -> Sound {
        Sound::read_samples(&self.folder.path().join(RECORDING), 48_000).unwrap()
    }

    /// The end of the room's snapshots as it is now.
    pub(crate) fn now(&self) -> Mark {
        self.room.roomd.snapshot_mark()
    }

    /// The room calls the peer, which rings.
    pub(crate) fn the_room_rings_at_the_peer(&self) {
        self.room.call(self.peer.uri()).unwrap();
        self.peer
            .wait_for_event(Mark::default(), "CALL_INCOMING", LIMIT)
            .unwrap();
        self.room
            .wait_for_state(Mark::default(), LegState::Ringing, LIMIT)
            .unwrap();
    }

    /// Waits until a leg of that direction has ended for that reason.
    pub(crate) fn wait_for_end(&self, direction: CallDirection, reason: EndReason) {
        let find = |leg: &Leg| end_reason(leg).filter(|_| leg.direction == direction);
        let found = self
            .room
            .wait_for_leg(Mark::default(), "an ended leg", LIMIT, find);
        assert_eq!(found.unwrap(), reason);
    }

    /// Waits until pictures and sound have come and gone anew, twice.
    pub(crate) fn assert_media_flows_on(&self) {
        let mut counted = Vec::new();
        self.room
            .wait_for_leg(self.now(), "media that flows on", LIMIT, |leg| {
                let (video, audio) = (leg.video.as_ref()?, leg.audio.as_ref()?);
                let (pictures, sounds) = (video.stats.as_ref()?, audio.stats.as_ref()?);
                let flows = video.flow == VideoFlow::Flowing && pictures.sent_fps > 0.0;
                counted.push([
                    pictures.stream.packets_sent,
                    pictures.stream.packets_received,
                    sounds.packets_sent,
                    sounds.packets_received,
                ]);
                counted.dedup();
                let grew = counted.len() > 2;
                (flows && grew).then_some(())
            })
            .unwrap();
        let (first, last) = (counted[0], counted[counted.len() - 1]);
        let flowed = first.iter().zip(&last).all(|(before, now)| now > before);
        assert!(flowed, "{first:?} {last:?}");
    }
}

fn sounds_sent(leg: &Leg) -> Option<u64> {
    Some(leg.audio.as_ref()?.stats.as_ref()?.packets_sent)
}
