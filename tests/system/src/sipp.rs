//! [sipp](https://sipp.readthedocs.io), which plays one side of a call from a script: a peer that
//! does what no endpoint should.
//!
//! A [`Scenario`] is an XML file of the tests with some of its words replaced. sipp ends by itself
//! when its call is over, with an error as soon as the other side says what the script does not
//! expect: [`Sipp::assert_played`] waits for that.
//!
//! Its traps are dealt with here: it takes commands from a terminal unless told otherwise, and its
//! screen on standard output says nothing that its files do not.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::baresip::Transport;
use crate::child_process::ChildProcess;
use crate::{poll, ports};

const START_LIMIT: Duration = Duration::from_secs(10);
const SCRIPT: &str = "scenario.xml";
const MESSAGES: &str = "messages.log";
const ERRORS: &str = "errors.log";

/// What sipp plays.
#[derive(Clone, Debug)]
pub struct Scenario {
    xml: String,
}

impl Scenario {
    /// A script of sipp.
    #[must_use]
    pub fn new(xml: &str) -> Self {
        Self {
            xml: xml.to_owned(),
        }
    }

    /// The same with `{word}` replaced.
    ///
    /// # Panics
    /// When the script has no such word.
    #[must_use]
    pub fn with(mut self, word: &str, value: &str) -> Self {
        let word = format!("{{{word}}}");
        assert!(self.xml.contains(&word), "no {word} in the scenario");
        self.xml = self.xml.replace(&word, value);
        self
    }
}

/// A sipp that plays one call. Ends with this value.
#[derive(Debug)]
pub struct Sipp {
    // The process ends before its folder vanishes: fields are dropped in this order.
    process: ChildProcess,
    port: u16,
    folder: TempDir,
}

impl Sipp {
    /// Starts it as the one who calls a room on that port of 127.0.0.1.
    ///
    /// # Errors
    /// When it does not start.
    pub fn call(scenario: &Scenario, transport: Transport, room: u16) -> Result<Self> {
        let target = SocketAddr::from((Ipv4Addr::LOCALHOST, room));
        Self::start(scenario, transport, Some(target))
    }

    /// Starts it as the one who is called, and waits until it listens.
    ///
    /// # Errors
    /// When it does not start.
    pub fn wait_for_call(scenario: &Scenario, transport: Transport) -> Result<Self> {
        let mut sipp = Self::start(scenario, transport, None)?;
        let address = (Ipv4Addr::LOCALHOST, sipp.port);
        poll::until("sipp's socket", START_LIMIT, || {
            if let Some(status) = sipp.process.exit_status()? {
                bail!("sipp ended with {status}: {}", sipp.told());
            }
            let is_taken = match transport {
                Transport::Udp => std::net::UdpSocket::bind(address).is_err(),
                Transport::Tcp | Transport::Tls => std::net::TcpListener::bind(address).is_err(),
            };
            Ok(is_taken.then_some(()))
        })?;
        Ok(sipp)
    }

    fn start(
        scenario: &Scenario,
        transport: Transport,
        target: Option<SocketAddr>,
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join(SCRIPT), &scenario.xml)?;
        let port = ports::free()?;
        let media_port = ports::free_range(4)?;
        let mut command = Command::new("sipp");
        command
            .args([
                "-sf",
                SCRIPT,
                "-m",
                "1",
                "-l",
                "1",
                "-nostdin",
                "-i",
                "127.0.0.1",
            ])
            .args(["-p", &port.to_string(), "-mp", &media_port.to_string()])
            .args(["-s", "room", "-trace_msg", "-message_file", MESSAGES])
            .args(["-trace_err", "-error_file", ERRORS])
            .args([
                "-t",
                match transport {
                    Transport::Udp => "u1",
                    Transport::Tcp => "t1",
                    Transport::Tls => bail!("sipp of Debian has no TLS"),
                },
            ])
            .current_dir(folder.path());
        if let Some(target) = target {
            command.arg(target.to_string());
        }
        Ok(Self {
            process: ChildProcess::start("sipp", &mut command)?,
            port,
            folder,
        })
    }

    /// Where it is called.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("sip:sipp@127.0.0.1:{}", self.port)
    }

    /// The SIP messages so far, as sipp writes them down.
    #[must_use]
    pub fn messages(&self) -> String {
        std::fs::read_to_string(self.folder.path().join(MESSAGES)).unwrap_or_default()
    }

    /// Waits until the messages have that text.
    ///
    /// # Errors
    /// When they have not in time.
    pub fn wait_for_message(&self, text: &str, timeout: Duration) -> Result<()> {
        poll::until(&format!("a message with {text}"), timeout, || {
            Ok(self.messages().contains(text).then_some(()))
        })
        .with_context(|| self.told())
    }

    /// Waits for the end of the script, and gives the messages.
    ///
    /// # Errors
    /// When it does not end in time, or the other side did not do what the script expects; the error
    /// shows the messages.
    pub fn assert_played(mut self, timeout: Duration) -> Result<String> {
        let status = self
            .process
            .wait_for_exit(timeout)
            .with_context(|| self.told())?;
        if !status.success() {
            bail!("sipp ended with {status}: {}", self.told());
        }
        Ok(self.messages())
    }

    fn told(&self) -> String {
        let errors = std::fs::read_to_string(self.folder.path().join(ERRORS)).unwrap_or_default();
        let screen = self.process.lines().tail();
        format!("{errors}\n{}\nits screen:\n{screen}", self.messages())
    }
}

/// A test that fails while sipp plays shows how far it has come.
impl Drop for Sipp {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("sipp: {}", self.told());
        }
    }
}
