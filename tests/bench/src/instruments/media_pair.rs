//! Two media graphs in one process, in an encrypted two-way call over UDP on loopback.
//!
//! ```text
//!  footage, burnt-in clock ──► ┌───────┐ ──► 4 sockets ──► ┌───────┐ ──► decoded, shown
//!  recorded speech ──────────► │ media │                   │ media │ ──► loudspeaker
//!                              └───────┘ ◄── 4 sockets ◄── └───────┘        (and the same back)
//! ```
//!
//! Offer and answer, keys and codecs are roomd's own; in roomd's place the pair carries datagrams
//! between sockets and channels. Side 1's clock is an hour ahead of side 0's, so that a picture
//! tells whose it is. Side 0 talks, side 1 listens.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use acoustics::{SonoraFrontEnd, SonoraSettings};
use anyhow::{Context, Result, bail, ensure};
use hal_core::burnt_clock::{self, BurntClock, Stamp};
use media::{
    AUDIO_FRAME_SAMPLES, AudioFrame, Channel, Datagram, DecodedFrame, DeviceStreams, LegDatagrams,
    Media, MediaEvent, MediaSettings, Medium, SAMPLE_RATE_HZ, VideoFrame,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use room::ids::{Generation, LegId};
use room::media_plan::{
    AudioSink, AudioSource, CameraPlan, CameraState, EncodeLadder, Layout, LegConnection, LegPlan,
    LegStreams, MediaPlan, MicrophonePlan, MicrophoneState, PlayoutPlan, Rung, RungName,
    SlidesPlan, VideoRole, VideoSink, VideoSource,
};
use room::units::{Bitrate, FrameRate, Resolution, Volume};
use sip::offer_answer::{CallMedia, LocalMedia, LocalPort, RemoteMedia, Session};
use system::sound::Sound;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::footage_camera::{Footage, FootageCamera, INTERVAL, SIZE};
use super::sip_caller::capabilities;
use super::sound_record::SoundRecord;

const LEG: LegId = LegId(1);
/// People talk in turn; here one side does all the time.
pub(crate) const TALKER: usize = 0;
const FRAME: Duration = Duration::from_millis(10);
const FIRST_FRAME_LIMIT: Duration = Duration::from_secs(10);
/// Until jitter buffers and lip-sync have settled, nothing is measured.
const SETTLING: Duration = Duration::from_secs(4);
/// How far side 1's clock is ahead of side 0's.
const CLOCK_DISTANCE: Duration = Duration::from_secs(3_600);
const LARGEST_DATAGRAM: usize = 2_048;

/// What a run has recorded, after settling.
#[derive(Debug)]
pub(crate) struct PairRecord {
    clocks: Clocks,
    /// When measuring began.
    began: Instant,
    /// How old each decoded picture was.
    pub(crate) decoded: Vec<Duration>,
    /// What was said at side 0, and what of it was heard at side 1.
    pub(crate) said: SoundRecord,
    pub(crate) heard: SoundRecord,
}

impl PairRecord {
    /// The sender and the age of a picture that was shown `at`; `None` while the pair settled.
    pub(crate) fn shown(&self, stamp: Stamp, at: Instant) -> Option<ShownPicture> {
        let picture = self.clocks.read(stamp, at)?;
        (picture.captured >= self.began).then_some(picture)
    }

    /// Whether a moment is one at which was measured.
    pub(crate) fn covers(&self, moment: Instant) -> bool {
        moment >= self.began
    }

    /// Time since measuring began.
    pub(crate) fn since_begin(&self, moment: Instant) -> Duration {
        moment.saturating_duration_since(self.began)
    }
}

/// A picture that was seen at the far end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ShownPicture {
    /// The side that sent it.
    pub(crate) sender: usize,
    /// When it was captured.
    pub(crate) captured: Instant,
    /// How old it was when it was seen.
    pub(crate) age: Duration,
}

/// The clocks of both cameras.
#[derive(Clone, Copy, Debug)]
struct Clocks {
    zero: Instant,
}

impl Clocks {
    fn of(self, side: usize) -> BurntClock {
        BurntClock::new(self.zero - CLOCK_DISTANCE * side as u32)
    }

    fn read(self, stamp: Stamp, at: Instant) -> Option<ShownPicture> {
        let elapsed = Duration::from_micros(u64::from(stamp.count()) * 100);
        let (sender, since_zero) = match elapsed.checked_sub(CLOCK_DISTANCE) {
            Some(since_zero) => (1, since_zero),
            None => (0, elapsed),
        };
        let captured = self.zero + since_zero;
        Some(ShownPicture {
            sender,
            captured,
            age: at.checked_duration_since(captured)?,
        })
    }
}

/// Runs a pair for `length` after it has settled.
pub(crate) fn run(footage: &Footage, speech: &Sound, length: Duration) -> Result<PairRecord> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(hold_call(footage, speech, length))
}

async fn hold_call(footage: &Footage, speech: &Sound, length: Duration) -> Result<PairRecord> {
    let (first, second) = (LegSockets::bind().await?, LegSockets::bind().await?);
    let calls = negotiate(&first, &second)?;
    let clocks = Clocks {
        zero: Instant::now() - Duration::from_secs(1),
    };
    let start = Instant::now() + Duration::from_millis(200);
    let mut sides = Vec::new();
    for (side, (sockets, call)) in [first, second].into_iter().zip(calls).enumerate() {
        // Two cameras never tick at the same moment; half an interval apart is the mean case.
        let scene = Scene {
            footage: footage.clone(),
            speech: if side == TALKER {
                speech.clone()
            } else {
                silence()
            },
            clock: clocks.of(side),
            first: start + INTERVAL / 2 * side as u32,
        };
        sides.push(Side::start(scene, &sockets, &call)?);
    }
    for side in &mut sides {
        side.wait_for_first_frame().await?;
    }
    tokio::time::sleep(SETTLING).await;
    let began = Instant::now();
    tokio::time::sleep(length).await;
    let (mut decoded, mut said, mut heard) = (Vec::new(), Vec::new(), Vec::new());
    for side in sides {
        let record = side.end().await?;
        let ages = record
            .decoded
            .into_iter()
            .filter_map(|(stamp, at)| clocks.read(stamp, at));
        decoded.extend(
            ages.filter(|seen| seen.captured >= began)
                .map(|seen| seen.age),
        );
        said.push(record.said);
        heard.push(record.heard);
    }
    Ok(PairRecord {
        clocks,
        began,
        decoded,
        said: said.swap_remove(TALKER),
        heard: heard.swap_remove(1 - TALKER),
    })
}

fn silence() -> Sound {
    Sound {
        sample_rate: SAMPLE_RATE_HZ,
        samples: vec![0.0; AUDIO_FRAME_SAMPLES],
    }
}

/// What one side sees and says.
struct Scene {
    footage: Footage,
    speech: Sound,
    clock: BurntClock,
    first: Instant,
}

/// The sockets of one side: RTP and RTCP of sound and picture.
struct LegSockets {
    audio: [Arc<UdpSocket>; 2],
    video: [Arc<UdpSocket>; 2],
}

impl LegSockets {
    async fn bind() -> Result<Self> {
        let bind = async || {
            UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
                .await
                .map(Arc::new)
        };
        Ok(Self {
            audio: [bind().await?, bind().await?],
            video: [bind().await?, bind().await?],
        })
    }

    fn local_media(&self) -> Result<LocalMedia> {
        let ports = |[rtp, rtcp]: &[Arc<UdpSocket>; 2]| -> Result<LocalPort> {
            Ok(LocalPort {
                rtp: rtp.local_addr()?.port(),
                rtcp: rtcp.local_addr()?.port(),
            })
        };
        Ok(LocalMedia {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            audio: Some(ports(&self.audio)?),
            video: Some(ports(&self.video)?),
            content: None,
        })
    }

    fn socket(&self, medium: Medium, channel: Channel) -> Arc<UdpSocket> {
        let pair = match medium {
            Medium::Audio => &self.audio,
            // Slides are not negotiated here.
            Medium::Video | Medium::Slides => &self.video,
        };
        Arc::clone(match channel {
            Channel::Rtp => &pair[0],
            Channel::Rtcp => &pair[1],
        })
    }
}

/// Offer and answer between both sides, with keys of this run only.
fn negotiate(first: &LegSockets, second: &LegSockets) -> Result<[CallMedia; 2]> {
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let mut random = ChaCha20Rng::seed_from_u64(time.as_nanos() as u64);
    let capabilities = capabilities();
    let (mut offerer, offer) = Session::offer(&capabilities, &first.local_media()?, &mut random);
    let local = second.local_media()?;
    let (_, answer, answered) = Session::answer(&capabilities, &local, &mut random, &offer)?;
    Ok([offerer.accept_answer(&answer)?, answered])
}

/// One graph with its devices and sockets.
struct Side {
    media: Media,
    events: mpsc::Receiver<MediaEvent>,
    camera: FootageCamera,
    microphone: JoinSet<SoundRecord>,
    loudspeaker: JoinSet<SoundRecord>,
    decoded: JoinSet<Vec<(Stamp, Instant)>>,
    /// Dropping it ends them.
    carriers: JoinSet<()>,
}

/// What one side has recorded.
struct SideRecord {
    decoded: Vec<(Stamp, Instant)>,
    said: SoundRecord,
    heard: SoundRecord,
}

impl Side {
    fn start(scene: Scene, sockets: &LegSockets, call: &CallMedia) -> Result<Self> {
        let (pictures, camera) = mpsc::channel(3);
        let (sounds, microphone) = mpsc::channel(8);
        let (played, loudspeaker) = mpsc::channel(8);
        let settings = MediaSettings {
            front_end: Box::new(SonoraFrontEnd::new(SonoraSettings::default())),
        };
        let devices = DeviceStreams {
            camera: Some(camera),
            slides: None,
            microphone: Some(microphone),
            loudspeaker: Some(played),
        };
        let (media, events) = Media::start(settings, devices)?;
        let mut carriers = JoinSet::new();
        carry(media.open_leg(LEG), sockets, call.remote, &mut carriers)?;
        let mut decoded = JoinSet::new();
        decoded.spawn(read_stamps(media.tap_decoded(LEG, VideoRole::Main)?));
        media.apply(plan(&call.streams));
        let camera = FootageCamera::start(
            scene.footage,
            scene.clock,
            scene.first,
            move |captured, i420| {
                let resolution = Resolution::HD720;
                // A full queue loses the picture, as a driver's queue does.
                drop(pictures.try_send(VideoFrame {
                    captured,
                    resolution,
                    i420,
                }));
            },
        );
        let (mut microphone, mut loudspeaker_record) = (JoinSet::new(), JoinSet::new());
        microphone.spawn(speak(scene.speech, scene.first, sounds));
        loudspeaker_record.spawn(listen(loudspeaker));
        Ok(Self {
            media,
            events,
            camera,
            microphone,
            loudspeaker: loudspeaker_record,
            decoded,
            carriers,
        })
    }

    async fn wait_for_first_frame(&mut self) -> Result<()> {
        let first_frame = async {
            while let Some(event) = self.events.recv().await {
                match event {
                    MediaEvent::FirstFrame { .. } => return Ok(()),
                    MediaEvent::Fault { element, text, .. } => bail!("{element}: {text}"),
                    MediaEvent::Applied { .. }
                    | MediaEvent::VideoStalled { .. }
                    | MediaEvent::VideoResumed { .. }
                    | MediaEvent::SlidesStalled { .. }
                    | MediaEvent::SlidesResumed { .. }
                    | MediaEvent::SourceGone(_)
                    | MediaEvent::SourceBack(_)
                    | MediaEvent::DtmfReceived { .. }
                    | MediaEvent::Measured { .. }
                    | MediaEvent::PictureNeeded { .. }
                    | MediaEvent::BitrateRequested { .. }
                    | MediaEvent::Levels { .. } => {}
                }
            }
            bail!("the media graph has ended")
        };
        tokio::time::timeout(FIRST_FRAME_LIMIT, first_frame)
            .await
            .context("no picture came")?
    }

    async fn end(mut self) -> Result<SideRecord> {
        drop(self.camera);
        while let Ok(event) = self.events.try_recv() {
            if let MediaEvent::Fault { element, text, .. } = event {
                bail!("{element}: {text}");
            }
        }
        self.media.shut_down().await?;
        drop(self.carriers);
        let record = SideRecord {
            decoded: result_of(self.decoded).await?,
            said: result_of(self.microphone).await?,
            heard: result_of(self.loudspeaker).await?,
        };
        ensure!(!record.decoded.is_empty(), "no picture could be read");
        Ok(record)
    }
}

async fn result_of<T: 'static>(mut task: JoinSet<T>) -> Result<T> {
    Ok(task.join_next().await.context("no task")??)
}

/// A two-way call as a room without a screen holds it: the picture is decoded and timed as if it
/// were shown.
fn plan(streams: &LegStreams) -> MediaPlan {
    let (resolution, frame_rate) = (Resolution::HD720, FrameRate(30));
    MediaPlan {
        generation: Generation(1),
        camera: CameraPlan {
            source: VideoSource::Simulated,
            resolution,
            frame_rate,
            state: CameraState::On,
        },
        microphone: MicrophonePlan {
            source: AudioSource::Simulated,
            state: MicrophoneState::Open,
        },
        ladder: EncodeLadder::one(Rung {
            resolution,
            frame_rate,
            bitrate: Bitrate::kbps(2_000),
            max_nal_unit: None,
        }),
        slides: SlidesPlan::NONE,
        legs: vec![LegPlan {
            rung: Some(RungName::High),
            id: LEG,
            streams: streams.clone(),
            connection: LegConnection::Connected,
        }],
        layout: Layout::Single,
        playout: PlayoutPlan {
            video: VideoSink::None,
            audio: AudioSink::Simulated,
            volume: Volume::FULL,
            tone: None,
            slides: None,
        },
    }
}

/// Carries datagrams between a leg and its sockets.
fn carry(
    leg: LegDatagrams,
    sockets: &LegSockets,
    remote: RemoteMedia,
    carriers: &mut JoinSet<()>,
) -> Result<()> {
    let audio = remote.audio.context("no audio was agreed")?;
    let video = remote.video.context("no video was agreed")?;
    let ways = [
        (Medium::Audio, Channel::Rtp, audio.rtp),
        (Medium::Audio, Channel::Rtcp, audio.rtcp),
        (Medium::Video, Channel::Rtp, video.rtp),
        (Medium::Video, Channel::Rtcp, video.rtcp),
    ];
    let mut out = Vec::new();
    for (medium, channel, address) in ways {
        let socket = sockets.socket(medium, channel);
        out.push((medium, channel, Arc::clone(&socket), address));
        carriers.spawn(receive(socket, medium, channel, leg.incoming.clone()));
    }
    carriers.spawn(send(leg.outgoing, out));
    Ok(())
}

/// What comes to a port; RTCP may come to that of RTP (RFC 5761 section 4).
async fn receive(
    socket: Arc<UdpSocket>,
    medium: Medium,
    channel: Channel,
    leg: mpsc::Sender<Datagram>,
) {
    let mut buffer = vec![0; LARGEST_DATAGRAM];
    while let Ok(length) = socket.recv(&mut buffer).await {
        let payload = bytes::Bytes::copy_from_slice(&buffer[..length]);
        let channel = match payload.get(1) {
            Some(192..=223) => Channel::Rtcp,
            Some(_) | None => channel,
        };
        // What does not fit is lost, as in a network.
        drop(leg.try_send(Datagram {
            medium,
            channel,
            payload,
        }));
    }
}

async fn send(
    mut leg: mpsc::Receiver<Datagram>,
    ways: Vec<(Medium, Channel, Arc<UdpSocket>, SocketAddr)>,
) {
    while let Some(datagram) = leg.recv().await {
        let way = ways
            .iter()
            .find(|way| (way.0, way.1) == (datagram.medium, datagram.channel));
        if let Some((_, _, socket, address)) = way {
            // The peer may have closed its socket already.
            drop(socket.send_to(&datagram.payload, address).await);
        }
    }
}

/// Reads the clock in each decoded picture, and when its decoder was done.
async fn read_stamps(mut frames: mpsc::Receiver<DecodedFrame>) -> Vec<(Stamp, Instant)> {
    let mut stamps = Vec::new();
    while let Some(frame) = frames.recv().await {
        if (frame.width(), frame.height()) == (SIZE.width, SIZE.height)
            && let Some(stamp) = burnt_clock::read(frame.luma(), frame.stride())
        {
            stamps.push((stamp, frame.decoded()));
        }
    }
    stamps
}

/// A microphone: each frame is handed over when its last sample has been heard.
async fn speak(speech: Sound, first: Instant, sounds: mpsc::Sender<AudioFrame>) -> SoundRecord {
    let mut said = SoundRecord::default();
    let mut samples = speech.samples.iter().cycle();
    let mut captured = first;
    while !sounds.is_closed() {
        let mut frame = AudioFrame {
            captured,
            samples: [0; AUDIO_FRAME_SAMPLES],
        };
        for (to, from) in frame.samples.iter_mut().zip(&mut samples) {
            *to = (from * 32_767.0) as i16;
        }
        captured += FRAME;
        tokio::time::sleep_until(captured.into()).await;
        said.push(frame.clone());
        // A full queue loses the frame, as a driver's queue does.
        drop(sounds.try_send(frame));
    }
    said
}

async fn listen(mut loudspeaker: mpsc::Receiver<AudioFrame>) -> SoundRecord {
    let mut heard = SoundRecord::default();
    while let Some(frame) = loudspeaker.recv().await {
        heard.push(frame);
    }
    heard
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_tells_whose_picture_it_is_and_how_old() {
        let clocks = Clocks {
            zero: Instant::now(),
        };
        let captured = clocks.zero + Duration::from_millis(1_500);
        for sender in [0, 1] {
            let stamp = clocks.of(sender).stamp(captured);
            let seen = clocks
                .read(stamp, captured + Duration::from_millis(7))
                .unwrap();
            assert_eq!(seen.sender, sender);
            assert!(seen.age.abs_diff(Duration::from_millis(7)) < Duration::from_millis(1));
        }
    }

    #[test]
    fn both_sides_agree_on_encrypted_opus_and_h264() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let [first, second] = runtime.block_on(async {
            let sockets = (
                LegSockets::bind().await.unwrap(),
                LegSockets::bind().await.unwrap(),
            );
            negotiate(&sockets.0, &sockets.1).unwrap()
        });
        let keys = |call: &CallMedia| call.streams.video.as_ref().unwrap().srtp.clone().unwrap();
        assert!(keys(&first).local == keys(&second).remote);
        assert!(first.streams.audio.is_some() && second.streams.audio.is_some());
    }
}
