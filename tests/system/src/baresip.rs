//! [baresip](https://github.com/baresip/baresip), a SIP endpoint that others wrote, as a peer.
//!
//! Each instance has a folder with its configuration, its own ports on 127.0.0.1, and a control
//! connection on which commands go in and events come out. What it receives can be looked at:
//! [`Baresip::snapshot_received`] is a picture, [`Baresip::received_sound`] the sound of a call.
//!
//! Its traps are dealt with here: it wants an address for `net_interface`, takes the port after the
//! SIP port for TLS, ends a call when its sound file ends, overruns its stack on a video file that
//! holds sound too, and crashes when its player of sound to a file stops right after its start, as
//! it does when a call is held: the sound goes to a bridge with nothing at its other end instead.

use std::fmt::Write as _;
use std::io::{self, BufReader, Read, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::authority::{Authority, Identity};
use crate::child_process::ChildProcess;
use crate::ecdsa_identity::EcdsaIdentity;
use crate::journal::{Journal, Mark};
use crate::netstring;
use crate::network_namespace::{NetworkNamespace, Relay};
use crate::picture::Luma;
use crate::poll;
use crate::ports;
use crate::sound::Sound;

const MODULES: &str = "/usr/lib/baresip/modules";
const START_LIMIT: Duration = Duration::from_secs(20);
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
const EXIT_LIMIT: Duration = Duration::from_secs(5);
/// Longer than any call of a test.
const LONGEST_CALL_SECONDS: f32 = 180.0;
/// One for RTP and one for RTCP of each medium, for several calls at once.
const RTP_PORTS: u16 = 32;

/// What SIP travels on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
}

impl Transport {
    /// The name in a SIP URI's `transport` parameter.
    #[must_use]
    pub fn uri_parameter(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }
}

/// Whether media are encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaEncryption {
    /// SRTP with SDES keys, or no call.
    SrtpMandatory,
    /// SRTP with keys by DTLS, or no call, and RTCP on the port of RTP.
    DtlsSrtp,
    /// Plain RTP.
    Off,
}

/// Whether a baresip uses ICE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ice {
    /// It offers and answers it.
    On,
    /// It knows nothing of it.
    Off,
}

/// What happens with an incoming call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is answered at once.
    Auto,
    /// It rings until [`Baresip::accept`].
    Manual,
}

/// Whether what was said and heard in a call is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoundRecording {
    /// For [`Baresip::received_sound`] and [`Baresip::sent_sound`].
    On,
    /// Answering takes some milliseconds less.
    Off,
}

/// The picture that is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Video {
    /// A recording without sound, again and again.
    Recording(PathBuf),
    /// A moving test pattern.
    TestPattern,
    /// No video at all: the line is refused.
    Off,
}

/// An account at a registrar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Host and port of the registrar and outbound proxy.
    pub registrar: String,
    /// Digest user name; also the user of the address.
    pub user: String,
    /// Digest password.
    pub password: String,
}

/// How a baresip is set up.
#[derive(Clone, Debug)]
pub struct BaresipConfig {
    /// The user part of its address, and its name in messages.
    pub name: String,
    /// What SIP travels on.
    pub transport: Transport,
    /// The account's registrar; `None` for direct calls.
    pub registration: Option<Registration>,
    /// Media encryption.
    pub media_encryption: MediaEncryption,
    /// Whether it finds the way of media by ICE, or by the addresses of the descriptions alone.
    pub ice: Ice,
    /// Its own address, by which others call it.
    pub address: Ipv4Addr,
    /// Its network; that of the test where there is none. ICE takes every address of it but 127.0.0.1.
    pub network: Option<Arc<NetworkNamespace>>,
    /// What happens with an incoming call.
    pub answer: Answer,
    /// Audio codecs by baresip's modules (`opus`, `g722`, `g711`), best first.
    pub audio_codecs: Vec<&'static str>,
    /// The sound that is sent; it starts anew when it ends.
    pub sound: Sound,
    /// The picture that is sent.
    pub video: Video,
    /// Size, frames per second and bits per second of the picture.
    pub video_format: VideoFormat,
    /// Whether the sound of calls is recorded.
    pub sound_recording: SoundRecording,
    /// The longest call, in seconds: baresip ends a call that lasts longer than its sound file. It
    /// reads the whole file before it answers, 40 ms for three minutes.
    pub longest_call_seconds: f32,
    /// Lines added to the `config` file.
    pub extra_lines: Vec<String>,
    /// Parameters added to the account (`;ptime=40`).
    pub account_parameters: String,
}

/// Format of the picture that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoFormat {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Frames per second.
    pub frame_rate: u32,
    /// Bits per second.
    pub bitrate: u32,
}

impl BaresipConfig {
    /// An endpoint that answers encrypted calls with that sound and picture, over UDP.
    #[must_use]
    pub fn new(name: &str, sound: Sound, video: Video) -> Self {
        Self {
            name: name.to_owned(),
            transport: Transport::Udp,
            registration: None,
            media_encryption: MediaEncryption::SrtpMandatory,
            ice: Ice::Off,
            address: Ipv4Addr::LOCALHOST,
            network: None,
            answer: Answer::Auto,
            audio_codecs: vec!["opus", "g722", "g711"],
            sound,
            video,
            video_format: VideoFormat {
                width: 1280,
                height: 720,
                frame_rate: 25,
                bitrate: 2_000_000,
            },
            sound_recording: SoundRecording::On,
            longest_call_seconds: LONGEST_CALL_SECONDS,
            extra_lines: Vec::new(),
            account_parameters: String::new(),
        }
    }
}

/// How a registration went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationResult {
    /// The registrar keeps where this endpoint is.
    Registered,
    /// The registrar or the transport refused; the reason in baresip's words.
    Failed(String),
}

/// One event from the control connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// baresip's name for it: `CALL_ESTABLISHED`, `CALL_CLOSED`, `REGISTER_OK`, ...
    pub kind: String,
    /// The far end's URI, for a call's event.
    pub peer: String,
    /// The Call-ID, for a call's event.
    pub call: String,
    /// What else it says: the reason of `CALL_CLOSED`, the digit of a DTMF event, ...
    pub parameter: String,
}

/// The answer to a command.
#[derive(Clone, Debug)]
struct Answered {
    token: String,
    ok: bool,
    data: String,
}

/// The bytes of the control connection to baresip.
#[derive(Debug)]
enum Stream {
    Here(TcpStream),
    Within(Relay),
}

impl Stream {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Here(stream) => stream.write_all(bytes),
            Self::Within(relay) => {
                relay.write_all(bytes)?;
                relay.flush()
            }
        }
    }
}

#[derive(Debug)]
struct Control {
    stream: Stream,
    events: Journal<Event>,
    answers: Journal<Answered>,
    commands: u64,
}

/// A running baresip. Ends with this value.
#[derive(Debug)]
pub struct Baresip {
    // The process ends before its folder vanishes: fields are dropped in this order.
    process: ChildProcess,
    control: Control,
    uri: String,
    snapshots: u32,
    folder: TempDir,
    _network: Option<Arc<NetworkNamespace>>,
}

impl Baresip {
    /// Starts baresip and waits until it is ready to call and be called; for TLS, with an identity
    /// of `authority`, which it also trusts.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn start(config: &BaresipConfig, authority: Option<&Authority>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let sip_port = ports::free_range(2)?;
        let control_port = ports::free()?;
        let port = match config.transport {
            Transport::Udp | Transport::Tcp => sip_port,
            Transport::Tls => sip_port + 1,
        };
        let identity = authority
            .map(|authority| authority.issue(&config.name))
            .transpose()?;
        config
            .sound
            .repeated(config.longest_call_seconds)
            .write(&folder.path().join("sound.wav"))?;
        let settings = Settings {
            config,
            folder: folder.path(),
            sip_port,
            control_port,
        };
        let tls = authority.zip(identity.as_ref());
        std::fs::write(folder.path().join("config"), settings.config_file(tls)?)?;
        std::fs::write(folder.path().join("accounts"), settings.account(port))?;
        std::fs::write(folder.path().join("contacts"), "")?;
        let mut command = match &config.network {
            None => Command::new("stdbuf"),
            Some(network) => network.command("stdbuf"),
        };
        // -s prints every SIP message; through a pipe it would come late without line buffering.
        command
            .args(["--output=L", "baresip", "-v", "-s", "-f"])
            .arg(folder.path())
            .current_dir(folder.path());
        if config.media_encryption == MediaEncryption::DtlsSrtp {
            EcdsaIdentity::new(folder.path())?.give_to(&mut command);
        }
        let process = ChildProcess::start(&format!("baresip {}", config.name), &mut command)?;
        process.wait_for_line("baresip is ready", START_LIMIT)?;
        let control = Control::connect(config.network.as_deref(), control_port)?;
        let uri = format!(
            "sip:{}@{}:{port};transport={}",
            config.name,
            config.address,
            config.transport.uri_parameter()
        );
        Ok(Self {
            process,
            control,
            uri,
            snapshots: 0,
            folder,
            _network: config.network.clone(),
        })
    }

    /// Where it can be called directly.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Its process id, to look at what it uses.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// What it logs.
    #[must_use]
    pub fn log(&self) -> &Journal<String> {
        self.process.lines()
    }

    /// What happened to it.
    #[must_use]
    pub fn events(&self) -> &Journal<Event> {
        &self.control.events
    }

    /// Waits for the first event of that kind after the mark.
    ///
    /// # Errors
    /// When it does not come in time; the error shows the events that did.
    pub fn wait_for_event(&self, mark: Mark, kind: &str, timeout: Duration) -> Result<Event> {
        let find = |event: &Event| (event.kind == kind).then(|| event.clone());
        self.control
            .events
            .wait_after(mark, &format!("event {kind}"), timeout, find)
    }

    /// Waits until the account has been registered, or refused for the first time.
    ///
    /// # Errors
    /// When neither happens in time.
    pub fn wait_for_registration(&self, timeout: Duration) -> Result<RegistrationResult> {
        // Its first event may come before the control connection is there to carry it: the log
        // tells instead.
        self.log().wait_for("a registration", timeout, |line| {
            if let Some(reason) = failed_registration(line) {
                return Some(RegistrationResult::Failed(reason.to_owned()));
            }
            is_registered(line).then_some(RegistrationResult::Registered)
        })
    }

    /// Waits until picture or sound of the far end arrives: `medium` is `audio` or `video`.
    ///
    /// # Errors
    /// When nothing arrives in time.
    pub fn wait_for_media(&self, mark: Mark, medium: &str, timeout: Duration) -> Result<()> {
        let find = |event: &Event| {
            (event.kind == "CALL_RTPESTAB" && event.parameter == medium).then_some(())
        };
        self.control
            .events
            .wait_after(mark, &format!("incoming {medium}"), timeout, find)
    }

    /// Kills it where it stands (SIGKILL): it says nothing more to anybody.
    ///
    /// # Errors
    /// When it is gone already.
    pub fn kill(&mut self) -> Result<()> {
        self.process.signal(Signal::KILL)?;
        self.process.wait_for_exit(EXIT_LIMIT).map(drop)
    }

    /// Calls that URI.
    ///
    /// # Errors
    /// When baresip refuses; a call that fails later is an event.
    pub fn dial(&mut self, uri: &str) -> Result<()> {
        self.control.command("dial", uri).map(drop)
    }

    /// Answers the call that rings.
    ///
    /// # Errors
    /// When there is none.
    pub fn accept(&mut self) -> Result<()> {
        self.control.command("accept", "").map(drop)
    }

    /// Ends the current call.
    ///
    /// # Errors
    /// When there is none.
    pub fn hang_up(&mut self) -> Result<()> {
        self.control.command("hangup", "").map(drop)
    }

    /// Puts the current call on hold, by re-INVITE.
    ///
    /// # Errors
    /// When there is none.
    pub fn hold(&mut self) -> Result<()> {
        self.control.command("hold", "").map(drop)
    }

    /// Resumes the current call. Whether it is resumed shows in what it sends: baresip 1.1 looks
    /// for another call to hold, answers `Invalid argument` as there is none, and resumes this one
    /// all the same.
    ///
    /// # Errors
    /// When baresip does not answer.
    pub fn resume(&mut self) -> Result<()> {
        self.control.ask("resume", "").map(drop)
    }

    /// Sends one DTMF digit as telephone-event (RFC 4733).
    ///
    /// # Errors
    /// When there is no call.
    pub fn send_dtmf(&mut self, digit: char) -> Result<()> {
        self.control
            .command("sndcode", &digit.to_string())
            .map(drop)
    }

    /// Whether it misses a digit that is the same as the one before: of packets with
    /// telephone-events that no voice comes between, baresip 1.1 reads the first only. It never
    /// sees that a digit ends, and takes the next for the same one.
    #[must_use]
    pub fn misses_repeated_digits(&self) -> bool {
        let is_banner = |line: &String| line.starts_with("baresip v1.1.");
        self.log().entries().iter().any(is_banner)
    }

    /// The DTMF digits that it has received, each once.
    #[must_use]
    pub fn received_dtmf(&self) -> String {
        self.events()
            .entries()
            .iter()
            .filter_map(started_digit)
            .collect()
    }

    /// Waits until exactly these DTMF digits have been received.
    ///
    /// # Errors
    /// When they have not in time.
    pub fn wait_for_dtmf(&self, digits: &str, timeout: Duration) -> Result<()> {
        let mut received = String::new();
        let what = format!("DTMF {digits}");
        let waited = self.events().wait_for(&what, timeout, |event| {
            received.extend(started_digit(event));
            (received == digits).then_some(())
        });
        waited.with_context(|| format!("DTMF {received} has come"))
    }

    /// What baresip tells about the current call: its SDP, streams and counters, as text.
    ///
    /// # Errors
    /// When there is no call.
    pub fn call_status(&mut self) -> Result<String> {
        self.control.command("callstat", "")
    }

    /// What baresip tells about the video of the current call: its source, display and counters of
    /// pictures, as text.
    ///
    /// # Errors
    /// When there is no call.
    pub fn video_status(&mut self) -> Result<String> {
        self.control.command("video_debug", "")
    }

    /// The next picture of the far end.
    ///
    /// # Errors
    /// When none comes.
    pub fn snapshot_received(&mut self) -> Result<Luma> {
        self.snapshots += 1;
        let path = self
            .folder
            .path()
            .join(format!("snapshot-{}.png", self.snapshots));
        self.control
            .command("snapshot_recv", &path.display().to_string())?;
        // A snapshot has no event: it is there when the file is whole.
        poll::until(
            "a snapshot",
            ANSWER_LIMIT,
            || Ok(Luma::read_png(&path).ok()),
        )
    }

    /// What was heard in the first call, complete once the call has ended.
    ///
    /// # Errors
    /// When there was no call with sound.
    pub fn received_sound(&self) -> Result<Sound> {
        self.recorded_sound("-dec.wav")
    }

    /// What was said in the first call, complete once the call has ended.
    ///
    /// # Errors
    /// When there was no call with sound.
    pub fn sent_sound(&self) -> Result<Sound> {
        self.recorded_sound("-enc.wav")
    }

    fn recorded_sound(&self, suffix: &str) -> Result<Sound> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(self.folder.path())?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.to_string_lossy().ends_with(suffix))
            .collect();
        files.sort();
        Sound::read(files.first().context("baresip has recorded no call")?)
    }
}

/// Recognises `anna@example.com: {0/TCP/v4} 200 OK (kamailio) [1 binding]`.
fn is_registered(line: &str) -> bool {
    line.contains("} 200 OK") && line.contains(" binding")
}

/// Reads `reg: sip:anna@example.com: 401 Unauthorized (...)`.
fn failed_registration(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("reg: ")?;
    Some(rest.split_once(": ")?.1)
}

/// The digit whose telephone-event starts; its end is an event of its own and tells no digit.
fn started_digit(event: &Event) -> Option<char> {
    if event.kind == "CALL_DTMF_START" {
        event.parameter.chars().next()
    } else {
        None
    }
}

impl Control {
    fn connect(network: Option<&NetworkNamespace>, port: u16) -> Result<Self> {
        let (stream, reader): (_, Box<dyn Read + Send>) = match network {
            None => {
                let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
                    .context("baresip's control port is closed")?;
                let reader = Box::new(stream.try_clone()?);
                (Stream::Here(stream), reader)
            }
            Some(network) => {
                let mut relay = network.connect_to(port)?;
                let reader = Box::new(relay.take_output().context("no standard output")?);
                (Stream::Within(relay), reader)
            }
        };
        let control = Self {
            stream,
            events: Journal::new(1),
            answers: Journal::new(1),
            commands: 0,
        };
        let (events, answers) = (control.events.clone(), control.answers.clone());
        let mut reader = BufReader::new(reader);
        std::thread::spawn(move || {
            while let Ok(Some(message)) = netstring::read(&mut reader) {
                sort_message(&message, &events, &answers);
            }
            events.close();
            answers.close();
        });
        Ok(control)
    }

    /// Sends a command and returns what it answers.
    fn command(&mut self, name: &str, parameters: &str) -> Result<String> {
        let answer = self.ask(name, parameters)?;
        ensure!(
            answer.ok,
            "baresip refused `{name} {parameters}`: {}",
            answer.data
        );
        Ok(answer.data)
    }

    /// Sends a command and returns the answer, be it a refusal.
    fn ask(&mut self, name: &str, parameters: &str) -> Result<Answered> {
        self.commands += 1;
        let token = self.commands.to_string();
        let message = json!({ "command": name, "params": parameters, "token": token });
        self.stream
            .write_all(&netstring::encode(message.to_string().as_bytes()))?;
        let what = format!("the answer to `{name} {parameters}`");
        self.answers.wait_for(&what, ANSWER_LIMIT, |answer| {
            (answer.token == token).then(|| answer.clone())
        })
    }
}

fn sort_message(message: &[u8], events: &Journal<Event>, answers: &Journal<Answered>) {
    let Ok(message) = serde_json::from_slice::<Value>(message) else {
        return;
    };
    let text = |key: &str| message[key].as_str().unwrap_or_default().to_owned();
    if message["event"] == true {
        events.push(Event {
            kind: text("type"),
            peer: text("peeruri"),
            call: text("id"),
            parameter: text("param"),
        });
    } else {
        answers.push(Answered {
            token: text("token"),
            ok: message["ok"] == true,
            data: text("data"),
        });
    }
}

/// Writes baresip's files.
struct Settings<'a> {
    config: &'a BaresipConfig,
    folder: &'a Path,
    sip_port: u16,
    control_port: u16,
}

impl Settings<'_> {
    fn config_file(&self, tls: Option<(&Authority, &Identity)>) -> Result<String> {
        let VideoFormat {
            width,
            height,
            frame_rate,
            bitrate,
        } = self.config.video_format;
        let rtp = ports::free_range(RTP_PORTS)?;
        let folder = self.folder.display();
        let mut text = format!(
            "poll_method epoll\n\
             sip_listen {address}:{sip}\n\
             net_interface {address}\n\
             ctrl_tcp_listen 127.0.0.1:{control}\n\
             rtp_ports {rtp}-{last_rtp}\n\
             call_max_calls 4\n\
             audio_path /usr/share/baresip\n\
             audio_source aufile,{folder}/sound.wav\n\
             audio_player aubridge,loudspeaker\n\
             audio_alert aufile,none\n\
             ausrc_srate {rate}\n\
             ausrc_channels 1\n\
             snd_path {folder}\n\
             video_size {width}x{height}\n\
             video_fps {frame_rate}\n\
             video_bitrate {bitrate}\n\
             video_display fakevideo,none\n\
             statmode_default off\n\
             module_path {MODULES}\n",
            address = self.config.address,
            sip = self.sip_port,
            control = self.control_port,
            last_rtp = rtp + RTP_PORTS - 1,
            rate = self.config.sound.sample_rate,
        );
        if let Some((authority, identity)) = tls {
            writeln!(
                text,
                "sip_certificate {}",
                identity.certificate_and_key.display()
            )?;
            writeln!(text, "sip_cafile {}", authority.certificate().display())?;
        } else if self.config.transport == Transport::Tls {
            bail!("TLS needs an authority");
        }
        match &self.config.video {
            Video::Recording(file) => writeln!(text, "video_source avformat,{}", file.display())?,
            Video::TestPattern => writeln!(text, "video_source fakevideo,none")?,
            Video::Off => {}
        }
        for module in self.modules() {
            writeln!(text, "module {module}.so")?;
        }
        for module in ["account", "menu", "ctrl_tcp"] {
            writeln!(text, "module_app {module}.so")?;
        }
        match self.config.media_encryption {
            MediaEncryption::DtlsSrtp => writeln!(text, "rtcp_mux yes")?,
            MediaEncryption::SrtpMandatory | MediaEncryption::Off => {}
        }
        for line in &self.config.extra_lines {
            writeln!(text, "{line}")?;
        }
        Ok(text)
    }

    /// The order of codecs in baresip's offers is the order in which their modules are loaded.
    fn modules(&self) -> Vec<&str> {
        let mut modules = self.config.audio_codecs.clone();
        modules.extend(["aufile", "aubridge"]);
        modules.push(match self.config.media_encryption {
            MediaEncryption::SrtpMandatory | MediaEncryption::Off => "srtp",
            MediaEncryption::DtlsSrtp => "dtls_srtp",
        });
        match self.config.ice {
            Ice::On => modules.push("ice"),
            Ice::Off => {}
        }
        match self.config.sound_recording {
            SoundRecording::On => modules.push("sndfile"),
            SoundRecording::Off => {}
        }
        match self.config.video {
            Video::Recording(_) | Video::TestPattern => {
                modules.extend(["avcodec", "avformat", "fakevideo", "snapshot"]);
            }
            Video::Off => {}
        }
        modules
    }

    fn account(&self, port: u16) -> String {
        let config = self.config;
        let transport = config.transport.uri_parameter();
        let encryption = match config.media_encryption {
            MediaEncryption::SrtpMandatory => "srtp-mand",
            MediaEncryption::DtlsSrtp => "dtls_srtp",
            MediaEncryption::Off => "",
        };
        let answer = match config.answer {
            Answer::Auto => "auto",
            Answer::Manual => "manual",
        };
        let mut line = match &config.registration {
            None => {
                // Large requests come by TCP all the same (RFC 3261 section 18.1.1), and baresip
                // 1.1 knows no account of another transport than the one that is named.
                let only = match config.transport {
                    Transport::Udp => String::new(),
                    Transport::Tcp | Transport::Tls => format!(";transport={transport}"),
                };
                format!(
                    "<sip:{}@{}:{port}{only}>;regint=0",
                    config.name, config.address
                )
            }
            Some(Registration {
                registrar,
                user,
                password,
            }) => format!(
                "<sip:{user}@{registrar};transport={transport}>;auth_pass={password};regint=60\
                 ;outbound=\"sip:{registrar};transport={transport}\""
            ),
        };
        if !encryption.is_empty() {
            line.push_str(&format!(";mediaenc={encryption}"));
        }
        match config.ice {
            Ice::On => line.push_str(";medianat=ice"),
            Ice::Off => {}
        }
        format!("{line};answermode={answer}{}\n", config.account_parameters)
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, failed_registration, is_registered, started_digit};

    #[test]
    fn only_the_line_about_bindings_tells_of_a_registration() {
        assert!(is_registered(
            "anna@127.0.0.1: {0/UDP/v4} 200 OK (kamailio) [1 binding]"
        ));
        assert!(!is_registered("SIP/2.0 200 OK"));
    }

    #[test]
    fn the_reason_of_a_failed_registration_is_read() {
        let line = "\u{1b}[31mreg: sip:anna@127.0.0.1:15666: 401 Unauthorized (kamailio)";
        assert_eq!(
            failed_registration(line),
            Some("401 Unauthorized (kamailio)")
        );
        assert_eq!(failed_registration("SIP/2.0 401 Unauthorized"), None);
    }

    #[test]
    fn a_digit_counts_once_though_its_event_has_a_start_and_an_end() {
        let event = |kind: &str, parameter: &str| Event {
            kind: kind.to_owned(),
            peer: "sip:anna@127.0.0.1".to_owned(),
            call: "1".to_owned(),
            parameter: parameter.to_owned(),
        };
        let events = [
            event("CALL_ESTABLISHED", "sip:anna@127.0.0.1"),
            event("CALL_DTMF_START", "5"),
            event("CALL_DTMF_END", ""),
        ];
        let digits: String = events.iter().filter_map(started_digit).collect();
        assert_eq!(digits, "5");
    }
}
