//! Starts the parts of the service, joins them, and ends them in order.
//!
//! ```text
//!  settings ─> media ─> SIP sockets ─> driver ─> API ─> ready
//!  SIGTERM/SIGINT ─> Request::ShutDown ─> driver ends ─> API, devices, store end
//! ```
//!
//! Every task has its owner here, who awaits its end. One that ends before its time ends the
//! process: the supervisor starts a fresh one, which is safer than a room that half works.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use acoustics::{SonoraFrontEnd, SonoraSettings};
use config::{Config, PlayoutSettings};
use hal_core::burnt_clock::BurntClock;
use hal_core::camera::PictureSize;
use hal_core::simulated::{
    CameraSettings, SimulatedCamera, SimulatedLoudspeaker, SimulatedMicrophone, SimulatedSlides,
    SlidesSettings, SoundSource,
};
use media::{Media, MediaSettings};
use room::media_plan::{AudioSink, AudioSource, VideoSource};
use room::policy::CallTarget;
use room::units::Resolution;
use room::{EndReason, Fact, Remembered, Request, Resumption};
use sip::endpoint::{AccountName, Endpoint};
use sip::offer_answer::ContentSharing;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::address_watch::AddressWatch;
use crate::certificate_expiry::CertificateExpiry;
use crate::devices::{SimulatedDevices, WantedDevices};
use crate::driver::{Driver, Inputs, Parts, PendingRequest};
use crate::error::Error;
use crate::guest_legs::{GuestLegs, GuestLegsParts, GuestTcpListener};
use crate::guest_reachability::{GuestReachability, GuestReachabilityParts, Page};
use crate::guests::signalling::guest_events;
use crate::guests::{GuestServer, GuestServerParts};
use crate::http;
use crate::instance_id;
use crate::leg_networks::LegNetworks;
use crate::media_ports::floor_events::floor_events;
use crate::media_ports::floor_tls::FloorTls;
use crate::media_ports::media_certificate::MediaCertificate;
use crate::media_ports::sockets::MediaPortRange;
use crate::media_ports::transport_events::transport_events;
use crate::monotonic_zero::monotonic_zero;
use crate::network_counters::NetworkCounters;
use crate::owned_tasks::OwnedTasks;
use crate::pictures::MediaPictures;
use crate::randomness::random_bytes;
use crate::remembered_store::{LastRun, RememberedStore};
use crate::signalling::Signalling;
use crate::sip_sockets::SipSockets;
use crate::turn_servers::TurnServers;
use crate::{our_addresses, service_notification, settings};

/// Requests that wait for the driver.
const REQUESTS: usize = 64;
/// Questions for SIP messages that wait for the driver.
const LADDER_QUESTIONS: usize = 4;
/// Facts of store and devices that wait for the driver.
const FACTS: usize = 64;
/// How much the simulated loudspeaker remembers.
const LOUDSPEAKER_MEMORY: Duration = Duration::from_secs(10);
/// How long devices and store may take to end.
const LAST_PARTS_LIMIT: Duration = Duration::from_secs(5);

/// Where the service keeps its state.
#[derive(Clone, Debug)]
pub struct Directories {
    /// Survives restarts: `$STATE_DIRECTORY`, or what the command line says.
    pub state: PathBuf,
    /// Holds systemd's credentials: `$CREDENTIALS_DIRECTORY`.
    pub credentials: Option<PathBuf>,
}

/// Runs the service until it is told to end. The state directory exists.
///
/// # Errors
/// Any [`Error`] that keeps it from starting, or a part that ended before its time.
pub async fn run(config: Config, directories: &Directories) -> Result<(), Error> {
    // Before anybody can see that the service is there, and tell it to end.
    let farewells = Farewells::awaited()?;
    let (wanted_devices, wanted) = watch::channel(WantedDevices::default());
    let (streams, devices) = simulated_devices(&config)?.start(&wanted);
    let media_settings = MediaSettings {
        front_end: Box::new(SonoraFrontEnd::new(SonoraSettings::default())),
    };
    let (media, media_events) = Media::start(media_settings, streams).map_err(Error::Media)?;
    let pictures = Arc::new(MediaPictures(media.pictures()));

    let tls = settings::tls(&config);
    let listen = settings::listen_addresses(&config);
    let (sockets, socket_events) = SipSockets::listen(&listen, &tls).await?;
    let certificates = CertificateExpiry::read(tls.certificate_chains())?;
    let mut endpoint_settings =
        settings::endpoint_settings(&config, sockets.bound(), directories.credentials.as_deref())?;
    settings::limit_packetization_modes(&mut endpoint_settings, media.packetization_modes());
    let media_certificate = MediaCertificate::generate()?;
    settings::name_media_certificate(&mut endpoint_settings, media_certificate.fingerprint());
    endpoint_settings.instance_id = Some(instance_id::load_or_create(
        &directories.state,
        random_bytes()?,
    ));
    let media_address = our_addresses::media_address(sockets.bound());
    let listen = endpoint_settings.listen.clone();
    let mut endpoint = Endpoint::new(endpoint_settings, random_bytes()?);
    endpoint.set_media_reach(our_addresses::media_reach(media_address));
    let signalling = Signalling::new(endpoint, sockets);

    let store = RememberedStore::new(&directories.state);
    let initial = Remembered {
        volume: config.playout.volume,
        ..Remembered::default()
    };
    let (remember, wanted) = mpsc::unbounded_channel();
    let (fact_sender, facts) = mpsc::channel(FACTS);
    let (request_sender, requests) = mpsc::channel(REQUESTS);
    let media_ports = config.sip.media_ports.first..=config.sip.media_ports.last;
    let ports = MediaPortRange::new(media_ports.clone())?;
    let counters = Arc::new(NetworkCounters::default());
    let interrupted = Interrupted::count_restart(store.load(initial), &store);
    let mut networks = LegNetworks::new(ports, media_address, Arc::clone(&counters));
    let (transport_sender, transports) = transport_events();
    networks.connect_peers(media_certificate.for_dtls(), transport_sender);
    let (floor_sender, floors) = floor_events();
    match settings::shares_content(&config) {
        ContentSharing::On => {
            let most_legs = settings::room_policy(&config).second_call.max_legs();
            networks.share_content(floor_sender, FloorTls::new(&media_certificate), most_legs);
        }
        ContentSharing::Off => drop(floor_sender),
    }
    let mut watching = OwnedTasks::default();
    let address_changes = watch_addresses(&mut watching);
    let (guest_sender, guest_receiver) = guest_events();
    let guest_settings = config.guests.as_ref();
    let turn = TurnServers::new(
        guest_settings.map_or(&[], |guests| &guests.turn),
        directories.credentials.as_deref(),
        &tls.trust,
    )?;
    let guest_server = match guest_settings {
        None => None,
        Some(settings) => {
            let parts = GuestServerParts {
                room_name: config.room.name.clone(),
                state: &directories.state,
                turn: turn.clone(),
                credentials: directories.credentials.as_deref(),
                facts: fact_sender.clone(),
                events: guest_sender,
                address_changes: address_changes.clone(),
            };
            Some(GuestServer::start(settings, parts).await?)
        }
    };
    let guest_reachability = guest_settings.zip(guest_server.as_ref());
    let guest_reachability = guest_reachability.map(|(settings, server)| {
        GuestReachability::new(GuestReachabilityParts {
            page: Page {
                url: server.public_url().clone(),
                is_configured: settings.public_url.is_some(),
                certificate: server.certificate(),
            },
            turn: turn.clone(),
            public_addresses: settings.public_addresses.clone(),
        })
    });
    let guest_address = guest_server.as_ref().map(|server| server.address().ip());
    let guest_tcp = guest_settings.zip(guest_address);
    let guest_tcp = match guest_tcp.map(|(settings, address)| (settings.media_tcp_port, address)) {
        Some((Some(port), address)) => guest_tcp_listener(SocketAddr::new(address, port)).await,
        Some((None, _)) | None => None,
    };
    let (guests, guest_news) = GuestLegs::new(GuestLegsParts {
        bound: guest_address.unwrap_or(media_address),
        ports: MediaPortRange::new(media_ports)?,
        tcp: guest_tcp,
        public_addresses: guest_settings
            .map(|settings| settings.public_addresses.clone())
            .unwrap_or_default(),
        sources: settings::sources(&config),
        turn,
        server: guest_server.as_ref().map(GuestServer::guests),
        counters: Arc::clone(&counters),
    });
    let (driver, snapshots) = Driver::new(Parts {
        policy: settings::room_policy(&config),
        remembered: interrupted.remembered.clone(),
        signalling,
        networks,
        guests,
        media,
        listen,
        remember,
        wanted_devices,
        counters: Arc::clone(&counters),
        registering: registering(&config),
    });
    let storing = tokio::spawn(store.run(wanted, fact_sender.clone()));

    let (ladder_sender, ladders) = mpsc::channel(LADDER_QUESTIONS);
    let room = http::RoomHandle::new(
        request_sender.clone(),
        snapshots,
        pictures,
        ladder_sender,
        counters,
    )
    .with_guest_links(guest_server.as_ref().map(GuestServer::links))
    .with_guest_reachability(guest_reachability);
    let api = http::Server::start(&config.http, room, directories.credentials.as_deref());
    let api = api.await.map_err(Error::Api)?;
    watching.spawn_lasting(certificates.watch(fact_sender.clone()));
    let inputs = Inputs {
        sockets: socket_events,
        floors,
        transports,
        guests: guest_receiver,
        guest_news,
        media: media_events,
        facts,
        requests,
        ladders,
        address_changes,
    };
    let driving = tokio::spawn(driver.run(inputs));
    for (call, reason) in interrupted.not_resumed {
        // Fails only when the driver has ended already.
        let _ = fact_sender.send(Fact::NotResumed { call, reason }).await;
    }
    drop(fact_sender);
    call_again(interrupted.to_resume, &request_sender).await;
    service_notification::ready("ready to join");
    tracing::info!(room = %config.room.name, "ready");

    let result = supervise(
        driving,
        request_sender,
        Served {
            api,
            guests: guest_server,
        },
        farewells,
    )
    .await;
    let last_parts = end_of_last_parts(devices, storing, LAST_PARTS_LIMIT).await;
    result.and(last_parts)
}

/// Listens for media of guests by TCP. Where that cannot be, guests come by UDP and TURN all the same.
async fn guest_tcp_listener(address: SocketAddr) -> Option<GuestTcpListener> {
    match GuestTcpListener::bind(address).await {
        Ok(listener) => {
            let port = listener.number();
            tracing::info!(port, "media of guests is taken by TCP");
            Some(listener)
        }
        Err(error) => {
            tracing::warn!(%address, %error, "media of guests is not taken by TCP (guests.media_tcp_port)");
            None
        }
    }
}

/// Counts changes of this machine's addresses. A machine that does not tell them keeps the service
/// where it is: everything else works.
fn watch_addresses(tasks: &mut OwnedTasks) -> watch::Receiver<u64> {
    let (changes, mut changed) = watch::channel(0);
    match AddressWatch::start() {
        Ok(watch) => {
            tasks.spawn_lasting(watch.run(changes));
            // They may have changed since they were read, before anybody watched.
            changed.mark_changed();
        }
        Err(error) => {
            tracing::warn!(%error, "changes of this machine's addresses are not noticed");
        }
    }
    changed
}

/// Waits, within a limit, until devices and store have ended: a disk that does not answer must not
/// keep the process.
async fn end_of_last_parts(
    mut devices: JoinSet<()>,
    storing: JoinHandle<()>,
    limit: Duration,
) -> Result<(), Error> {
    let ended = tokio::time::timeout(limit, async {
        // A device's task ends when media has dropped its end of the channel. One that ended
        // earlier has shown as a device that is gone.
        devices.shutdown().await;
        storing.await
    });
    match ended.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Error::PartEnded { part: "store" }),
        Err(_) => Err(Error::EndTimeout { limit }),
    }
}

/// The signals by which a supervisor or a terminal ends the service. From when they are awaited on,
/// none ends the process where it stands.
struct Farewells {
    terminate: Signal,
    interrupt: Signal,
}

impl Farewells {
    fn awaited() -> Result<Self, Error> {
        let awaited = |kind| signal(kind).map_err(|source| Error::Runtime { source });
        Ok(Self {
            terminate: awaited(SignalKind::terminate())?,
            interrupt: awaited(SignalKind::interrupt())?,
        })
    }
}

/// What serves clients and guests.
struct Served {
    api: http::Server,
    guests: Option<GuestServer>,
}

/// Waits for the driver's end. A signal asks the room to shut down, which ends the driver.
async fn supervise(
    mut driving: JoinHandle<Result<(), Error>>,
    requests: mpsc::Sender<PendingRequest>,
    mut served: Served,
    mut farewells: Farewells,
) -> Result<(), Error> {
    let result = loop {
        tokio::select! {
            ended = &mut driving => {
                break ended.unwrap_or(Err(Error::PartEnded { part: "driver" }));
            }
            _ = farewells.terminate.recv() => ask_to_shut_down(&requests).await,
            _ = farewells.interrupt.recv() => ask_to_shut_down(&requests).await,
            () = served.api.ended() => break Err(Error::PartEnded { part: "API" }),
            () = end_of(&mut served.guests) => {
                break Err(Error::PartEnded { part: "guest server" });
            }
        }
    };
    if let Some(guests) = served.guests {
        guests.shut_down().await;
    }
    served.api.shut_down().await;
    result
}

/// Waits until a part of the guests' server ends.
async fn end_of(guests: &mut Option<GuestServer>) {
    match guests {
        Some(guests) => guests.ended().await,
        None => std::future::pending().await,
    }
}

async fn ask_to_shut_down(requests: &mpsc::Sender<PendingRequest>) {
    tracing::info!("told to end: hanging up");
    let (answer, _) = oneshot::channel();
    // Fails only when the driver has ended already.
    let _ = requests.send((Request::ShutDown, answer)).await;
}

/// What is done about the calls that a service left behind that ended without saying goodbye.
#[derive(Debug)]
struct Interrupted {
    remembered: Remembered,
    to_resume: Vec<CallTarget>,
    not_resumed: Vec<(CallTarget, EndReason)>,
}

impl Interrupted {
    /// Counts this start for each call, on disk, before any is placed: a restart that is not counted
    /// could be followed by another for ever.
    fn count_restart(last_run: LastRun, store: &RememberedStore) -> Self {
        let LastRun { remembered, alive } = last_run;
        if remembered.wanted.is_empty() {
            return Self {
                remembered,
                to_resume: Vec::new(),
                not_resumed: Vec::new(),
            };
        }
        let Resumption {
            remembered,
            given_up,
        } = remembered.after_restart(alive, SystemTime::now());
        let counted: Vec<_> = remembered
            .wanted
            .iter()
            .map(|wanted| wanted.call.clone())
            .collect();
        let mut not_resumed = given_up;
        let to_resume = match store.save(&remembered) {
            Ok(()) => counted,
            Err(error) => {
                tracing::error!(%error, "no call is placed again: the restart cannot be counted");
                not_resumed.extend(
                    counted
                        .into_iter()
                        .map(|call| (call, EndReason::LocalFault)),
                );
                Vec::new()
            }
        };
        for (CallTarget { target, .. }, reason) in &not_resumed {
            tracing::error!(%target, ?reason, "not called again after an unexpected end");
        }
        Self {
            remembered,
            to_resume,
            not_resumed,
        }
    }
}

/// Goes back into the calls that this room was in when it last ended without saying goodbye.
async fn call_again(calls: Vec<CallTarget>, requests: &mpsc::Sender<PendingRequest>) {
    for CallTarget { target, account } in calls {
        tracing::info!(%target, "calling again after an unexpected end");
        let (answer, _) = oneshot::channel();
        // Fails only when the driver has ended already.
        let _ = requests
            .send((Request::Call { target, account }, answer))
            .await;
    }
}

fn registering(config: &Config) -> Vec<AccountName> {
    config
        .accounts
        .iter()
        .filter(|account| matches!(account.registration, config::Registration::On { .. }))
        .map(|account| AccountName::new(account.name.as_str()))
        .collect()
}

fn simulated_devices(config: &Config) -> Result<SimulatedDevices, Error> {
    let mut devices = SimulatedDevices::default();
    if config.camera.source == VideoSource::Simulated {
        let camera = SimulatedCamera::new(CameraSettings {
            size: picture_size(config.camera.resolution),
            frame_interval: Duration::from_secs(1) / config.camera.frame_rate.0,
            room_name: config.room.name.clone(),
            clock: BurntClock::new(monotonic_zero()),
        });
        devices.camera = Some(Box::new(camera.map_err(Error::Device)?));
    }
    if config.slides.source == VideoSource::Simulated {
        let slides = SimulatedSlides::new(SlidesSettings {
            size: picture_size(config.slides.resolution),
            frame_interval: Duration::from_secs(1) / config.slides.frame_rate.0,
            room_name: config.room.name.clone(),
            clock: BurntClock::new(monotonic_zero()),
        });
        devices.slides = Some(Box::new(slides.map_err(Error::Device)?));
    }
    if config.microphone.source == AudioSource::Simulated {
        let voice = SoundSource::Voice {
            seed: voice_of(&config.room.name),
        };
        devices.microphone = Some(Box::new(SimulatedMicrophone::new(voice)));
    }
    if config.playout.audio == AudioSink::Simulated {
        devices.loudspeaker = Some(Box::new(simulated_loudspeaker(&config.playout)?));
    }
    Ok(devices)
}

fn picture_size(resolution: Resolution) -> PictureSize {
    PictureSize {
        width: resolution.width as usize,
        height: resolution.height as usize,
    }
}

fn simulated_loudspeaker(playout: &PlayoutSettings) -> Result<SimulatedLoudspeaker, Error> {
    let loudspeaker = SimulatedLoudspeaker::new(LOUDSPEAKER_MEMORY);
    let Some(path) = &playout.recording else {
        return Ok(loudspeaker);
    };
    match File::create(path) {
        Ok(file) => Ok(loudspeaker.with_file(file)),
        Err(source) => Err(Error::LoudspeakerRecording {
            path: path.clone(),
            source,
        }),
    }
}

/// Another voice for each room name, the same at each start.
fn voice_of(room_name: &str) -> u64 {
    room_name.bytes().fold(0, |seed, byte| {
        seed.wrapping_mul(31).wrapping_add(u64::from(byte))
    })
}

/// Makes the state directory where there is none.
///
/// # Errors
/// [`Error::StateDirectory`].
pub fn create_state_directory(directory: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(directory).map_err(|source| Error::StateDirectory {
        path: directory.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn a_store_that_never_ends_does_not_keep_the_process() {
        let storing = tokio::spawn(std::future::pending());
        let ended = end_of_last_parts(JoinSet::new(), storing, LIMIT).await;
        assert!(matches!(ended, Err(Error::EndTimeout { limit: LIMIT })));
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_may_take_its_time_within_the_limit() {
        let storing = tokio::spawn(tokio::time::sleep(LIMIT - Duration::from_millis(1)));
        let ended = end_of_last_parts(JoinSet::new(), storing, LIMIT).await;
        assert!(ended.is_ok(), "{ended:?}");
    }

    #[tokio::test]
    async fn a_store_that_broke_is_an_error() {
        let storing = tokio::spawn(async { panic!("a fault in the store") });
        let ended = end_of_last_parts(JoinSet::new(), storing, LIMIT).await;
        assert!(matches!(ended, Err(Error::PartEnded { part: "store" })));
    }
}
