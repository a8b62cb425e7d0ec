//! [pjsua2](https://www.pjsip.org), a SIP endpoint that others wrote, as a peer: it has what baresip
//! lacks, reliable provisional responses, session timers, UPDATE and keys by INFO. It has no video.
//!
//! The library comes as a Python package; `driver.py` makes an endpoint of it that takes commands
//! and tells events as lines of JSON. What goes over the wire is among the events.
//!
//! Its traps are dealt with here: its objects crash when Python clears them at its end, a list of
//! theirs is empty once Python has cleared them, what a callback raises is lost, and callbacks come
//! from threads of its own unless it is told to have none.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{ChildStdin, Command};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::authority::Authority;
use crate::baresip::{Ice, MediaEncryption, Transport};
use crate::child_process::ChildProcess;
use crate::journal::Mark;
use crate::network_namespace::NetworkNamespace;
use crate::ports;
use crate::python;
use crate::sound::Sound;

const DRIVER: &str = include_str!("driver.py");
/// Its wheels are for Python 3.8 to 3.12 on x86_64; elsewhere `cargo xtask test` leaves out the tests
/// that need them.
const PACKAGES: [&str; 1] = ["pjsua2-python==2.15.1.post1"];
const START_LIMIT: Duration = Duration::from_secs(30);
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
const EXIT_LIMIT: Duration = Duration::from_secs(5);
/// Two for each call.
const MEDIA_PORTS: u16 = 16;
const RECORDING: &str = "received.wav";

/// What it makes of reliable provisional responses (RFC 3262).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReliableRinging {
    /// It knows none.
    Off,
    /// It takes and sends them where the far end can.
    On,
    /// It refuses calls without.
    Required,
}

/// How a key is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyMethod {
    /// As telephone-event (RFC 4733).
    Rtp,
    /// As `application/dtmf-relay` by INFO.
    Info,
}

/// By way of whom it is reached, when not directly: over a connection of its own that an edge proxy
/// keeps (RFC 5626).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outbound {
    /// The registrar's host and port, by UDP.
    pub registrar: String,
    /// The edge's host and port, over TLS.
    pub edge: String,
    /// With which it registers.
    pub password: String,
}

/// How a pjsua2 is set up.
#[derive(Clone, Debug)]
pub struct PjsuaConfig {
    /// The user part of its address, and its name in messages.
    pub name: String,
    /// What SIP travels on.
    pub transport: Transport,
    /// Media encryption.
    pub media_encryption: MediaEncryption,
    /// Whether it finds the way of media by ICE, or by the addresses of the descriptions alone.
    pub ice: Ice,
    /// Its own address, by which others call it. For ICE none of the loopback will do.
    pub address: Ipv4Addr,
    /// Its network; that of the test where there is none.
    pub network: Option<Arc<NetworkNamespace>>,
    /// The status by which an incoming call is answered at once, if any.
    pub answer: Option<u16>,
    /// Reliable provisional responses.
    pub reliable_ringing: ReliableRinging,
    /// The interval of its session timers (RFC 4028): at least 90 s.
    pub session_interval: Duration,
    /// Codecs by pjsua2's names (`PCMU`, `PCMA`, `G722`).
    pub codecs: Vec<&'static str>,
    /// The sound that is sent, again and again.
    pub sound: Sound,
    /// The edge proxy by which it calls and is called, if it does not directly.
    pub outbound: Option<Outbound>,
}

impl PjsuaConfig {
    /// An endpoint that answers encrypted calls over TLS.
    #[must_use]
    pub fn new(name: &str, sound: Sound) -> Self {
        Self {
            name: name.to_owned(),
            transport: Transport::Tls,
            media_encryption: MediaEncryption::SrtpMandatory,
            ice: Ice::Off,
            address: Ipv4Addr::LOCALHOST,
            network: None,
            answer: Some(200),
            reliable_ringing: ReliableRinging::On,
            session_interval: Duration::from_secs(90),
            codecs: vec!["G722", "PCMA", "PCMU"],
            sound,
            outbound: None,
        }
    }
}

/// Which way a SIP message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To pjsua2.
    Received,
    /// From pjsua2.
    Sent,
}

/// A running pjsua2. Ends with this value.
#[derive(Debug)]
pub struct Pjsua {
    // The process ends before its folder vanishes: fields are dropped in this order.
    process: ChildProcess,
    input: ChildStdin,
    commands: u64,
    uri: String,
    folder: TempDir,
}

/// The interpreter that has pjsua2.
fn interpreter() -> Result<PathBuf> {
    python::interpreter("python-pjsua-1", &PACKAGES, &[])
}

impl Pjsua {
    /// Starts pjsua2 and waits until it can call and be called; for TLS, with an identity of
    /// `authority`, which it also trusts.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn start(config: &PjsuaConfig, authority: &Authority) -> Result<Self> {
        let python = interpreter()?;
        let folder = tempfile::tempdir()?;
        let file = |name: &str| folder.path().join(name);
        let port = ports::free()?;
        let identity = authority.issue_for(&config.name, config.address.into())?;
        config.sound.decimated(16_000)?.write(&file("sound.wav"))?;
        std::fs::write(file("driver.py"), DRIVER)?;
        let transport = config.transport.uri_parameter();
        let uri = match &config.outbound {
            None => format!(
                "sip:{}@{}:{port};transport={transport}",
                config.name, config.address
            ),
            Some(outbound) => format!("sip:{}@{}", config.name, outbound.registrar),
        };
        let outbound = config.outbound.as_ref().map(|outbound| {
            json!({
                "registrar": format!("sip:{}", outbound.registrar),
                "edge": format!("sip:{};transport=tls;lr", outbound.edge),
                "password": outbound.password,
            })
        });
        let settings = json!({
            "name": config.name,
            "outbound": outbound,
            "address": uri,
            "transport": transport,
            "port": port,
            "media_port": ports::free_range(MEDIA_PORTS)?,
            "srtp": config.media_encryption == MediaEncryption::SrtpMandatory,
            "host": config.address,
            "ice": config.ice == Ice::On,
            "answer": config.answer,
            "reliable_ringing": match config.reliable_ringing {
                ReliableRinging::Off => "off",
                ReliableRinging::On => "on",
                ReliableRinging::Required => "required",
            },
            "session_seconds": config.session_interval.as_secs(),
            "codecs": config.codecs,
            "sound": file("sound.wav"),
            "recording": file(RECORDING),
            "authority": authority.certificate(),
            "certificate": identity.certificate,
            "key": identity.key,
        });
        let mut command = match &config.network {
            None => Command::new(python),
            Some(network) => network.command(python),
        };
        command
            .arg(file("driver.py"))
            .arg(settings.to_string())
            .current_dir(folder.path());
        let name = format!("pjsua2 {}", config.name);
        let (process, input) = ChildProcess::start_with_input(&name, &mut command)?;
        let pjsua = Self {
            process,
            input,
            commands: 0,
            uri: uri.replace(&format!(";transport={transport}"), ""),
            folder,
        };
        pjsua.wait_for(Mark::default(), "readiness", START_LIMIT, |event| {
            (event["event"] == "ready").then_some(())
        })?;
        Ok(pjsua)
    }

    /// Where it can be called directly, over the transport of the caller's account.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The end of its events as it is now: those that come later are news.
    #[must_use]
    pub fn mark(&self) -> Mark {
        self.process.lines().mark()
    }

    /// Waits for an event after the mark in which `find` finds something.
    ///
    /// # Errors
    /// When none comes in time; the error shows the last lines.
    pub fn wait_for<T>(
        &self,
        mark: Mark,
        what: &str,
        timeout: Duration,
        mut find: impl FnMut(&Value) -> Option<T>,
    ) -> Result<T> {
        let lines = self.process.lines();
        lines.wait_after(mark, what, timeout, |line| {
            find(&serde_json::from_str(line).ok()?)
        })
    }

    /// Waits until the registrar has answered, and gives the status.
    ///
    /// # Errors
    /// When it does not in time.
    pub fn wait_for_registration(&self, mark: Mark, timeout: Duration) -> Result<u64> {
        self.wait_for(mark, "a registration", timeout, |event| {
            let is_it = event["event"] == "registration";
            is_it.then(|| event["status"].as_u64()).flatten()
        })
    }

    /// Waits until a call is in that state, by pjsua2's words: `INCOMING`, `EARLY`, `CONFIRMED`,
    /// `DISCONNECTED`; gives its last status.
    ///
    /// # Errors
    /// When it is not in time.
    pub fn wait_for_call(&self, mark: Mark, state: &str, timeout: Duration) -> Result<u64> {
        self.wait_for(mark, &format!("a call {state}"), timeout, |event| {
            let is_it = event["event"] == "call" && event["state"] == state;
            is_it.then(|| event["status"].as_u64()).flatten()
        })
    }

    /// Waits until the sound of the call is `active`, `held here` or `held there`.
    ///
    /// # Errors
    /// When it is not in time.
    pub fn wait_for_media(&self, mark: Mark, status: &str, timeout: Duration) -> Result<()> {
        self.wait_for(mark, &format!("sound {status}"), timeout, |event| {
            (event["event"] == "media" && event["status"] == status).then_some(())
        })
    }

    /// Waits for a SIP message after the mark whose text has all of `parts`, and gives the text.
    ///
    /// # Errors
    /// When none comes in time.
    pub fn wait_for_message(
        &self,
        mark: Mark,
        direction: Direction,
        parts: &[&str],
        timeout: Duration,
    ) -> Result<String> {
        let way = match direction {
            Direction::Received => "received",
            Direction::Sent => "sent",
        };
        let what = format!("a message {way} with {parts:?}");
        self.wait_for(mark, &what, timeout, |event| {
            let text = event["text"].as_str()?;
            let is_it = event["event"] == "message" && event["direction"] == way;
            (is_it && parts.iter().all(|part| text.contains(part))).then(|| text.to_owned())
        })
    }

    /// Waits until exactly these keys have been received.
    ///
    /// # Errors
    /// When they have not in time.
    pub fn wait_for_keys(&self, mark: Mark, keys: &str, timeout: Duration) -> Result<()> {
        let mut received = String::new();
        let waited = self.wait_for(mark, &format!("keys {keys}"), timeout, |event| {
            if event["event"] == "dtmf" {
                received.push_str(event["digit"].as_str().unwrap_or_default());
            }
            (received == keys).then_some(())
        });
        waited.with_context(|| format!("keys {received} have come"))
    }

    /// Calls that URI, with these headers besides its own.
    ///
    /// # Errors
    /// When pjsua2 refuses; a call that fails later is an event.
    pub fn call(&mut self, uri: &str, headers: &[(&str, &str)]) -> Result<()> {
        self.command(json!({"command": "call", "uri": uri, "headers": headers}))
    }

    /// Answers the call that came last: 180, 183, 200 or a refusal.
    ///
    /// # Errors
    /// When there is none.
    pub fn answer(&mut self, status: u16) -> Result<()> {
        self.command(json!({"command": "answer", "status": status}))
    }

    /// Ends the last call.
    ///
    /// # Errors
    /// When there is none.
    pub fn hang_up(&mut self) -> Result<()> {
        self.command(json!({"command": "hangup"}))
    }

    /// Hands the far end of the last call on to that URI, by REFER.
    ///
    /// # Errors
    /// When there is none.
    pub fn transfer(&mut self, uri: &str) -> Result<()> {
        self.command(json!({"command": "transfer", "uri": uri}))
    }

    /// Hands the far end of the last call over to that of the first, in place of ours (attended transfer).
    ///
    /// # Errors
    /// When there is none.
    pub fn transfer_to_first_call(&mut self) -> Result<()> {
        self.command(json!({"command": "transfer_to_first"}))
    }

    /// Waits until the far end has told how the call that it was handed on to has ended its setup; the
    /// status of that.
    ///
    /// # Errors
    /// When it does not in time.
    pub fn wait_for_transfer(&self, mark: Mark, timeout: Duration) -> Result<u64> {
        self.wait_for(mark, "transfer", timeout, |event| {
            let is_final = event["final"].as_bool()?;
            event["status"].as_u64().filter(|_| is_final)
        })
    }

    /// Puts the last call on hold, by re-INVITE.
    ///
    /// # Errors
    /// When there is none.
    pub fn hold(&mut self) -> Result<()> {
        self.command(json!({"command": "hold"}))
    }

    /// Resumes the last call.
    ///
    /// # Errors
    /// When there is none.
    pub fn resume(&mut self) -> Result<()> {
        self.command(json!({"command": "resume"}))
    }

    /// Refreshes the last call by UPDATE (RFC 3311), with an offer.
    ///
    /// # Errors
    /// When there is none, or the far end does not take UPDATE.
    pub fn update(&mut self) -> Result<()> {
        self.command(json!({"command": "update"}))
    }

    /// Refreshes the last call by re-INVITE.
    ///
    /// # Errors
    /// When there is none.
    pub fn reinvite(&mut self) -> Result<()> {
        self.command(json!({"command": "reinvite"}))
    }

    /// Sends keys one after the other.
    ///
    /// # Errors
    /// When there is no call.
    pub fn send_keys(&mut self, keys: &str, method: KeyMethod) -> Result<()> {
        let method = match method {
            KeyMethod::Rtp => "rtp",
            KeyMethod::Info => "info",
        };
        self.command(json!({"command": "dtmf", "digits": keys, "method": method}))
    }

    /// The codec of the last call, and how many packets of sound have come in it.
    ///
    /// # Errors
    /// When there is no call.
    pub fn statistics(&mut self) -> Result<(String, u64)> {
        let mark = self.mark();
        self.command(json!({"command": "statistics"}))?;
        self.wait_for(mark, "statistics", ANSWER_LIMIT, |event| {
            let received = event["received"].as_u64()?;
            Some((event["codec"].as_str()?.to_owned(), received))
        })
    }

    /// Ends it, and gives what it has heard in its calls.
    ///
    /// # Errors
    /// When it does not end, or the recording cannot be read.
    pub fn finish(mut self) -> Result<Sound> {
        self.command(json!({"command": "quit"}))?;
        self.process.wait_for_exit(EXIT_LIMIT)?;
        Sound::read(&self.folder.path().join(RECORDING))
    }

    /// Kills it where it stands (SIGKILL): it says nothing more to anybody.
    ///
    /// # Errors
    /// When it is gone already.
    pub fn kill(&mut self) -> Result<()> {
        self.process.signal(Signal::KILL)?;
        self.process.wait_for_exit(EXIT_LIMIT).map(drop)
    }

    fn command(&mut self, mut command: Value) -> Result<()> {
        self.commands += 1;
        let number = self.commands;
        command["number"] = number.into();
        let mark = self.mark();
        writeln!(self.input, "{command}")?;
        let answer = self.wait_for(mark, "an answer", ANSWER_LIMIT, |event| {
            let is_it = event["event"] == "answer" && event["number"] == number;
            is_it.then(|| event["error"].clone())
        })?;
        match answer {
            Value::Null => Ok(()),
            error => bail!("pjsua2 says to {command}: {error}"),
        }
    }
}
