//! [coturn](https://github.com/coturn/coturn), a TURN server that others wrote.
//!
//! It stands between two networks, shares a secret with rooms, and takes UDP and TCP at port 3478 and TLS
//! at port 5349.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;

use crate::authority::Authority;
use crate::child_process::ChildProcess;
use crate::journal::Journal;
use crate::network_namespace::NetworkNamespace;

const START_LIMIT: Duration = Duration::from_secs(20);
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// A running TURN server. Ends with this value.
#[derive(Debug)]
pub struct Coturn {
    // The process ends before its folder vanishes: fields are dropped in this order.
    process: ChildProcess,
    folder: TempDir,
}

impl Coturn {
    /// Starts a server in a network, at all of these addresses of it, and waits until it serves. Its
    /// certificate is of `authority` and for the first address.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(
        network: &NetworkNamespace,
        addresses: &[Ipv4Addr],
        authority: &Authority,
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let identity = authority.issue_for("turn", addresses[0].into())?;
        let secret = system_secret();
        let mut text = format!(
            "use-auth-secret\nstatic-auth-secret={secret}\nrealm=example.com\nfingerprint\nno-cli\n\
             log-file=stdout\nsimple-log\nverbose\npidfile={folder}/turnserver.pid\n\
             userdb={folder}/turndb\ncert={certificate}\npkey={key}\nmin-port=40000\nmax-port=40999\n",
            folder = folder.path().display(),
            certificate = identity.certificate.display(),
            key = identity.key.display(),
        );
        for address in addresses {
            writeln!(text, "listening-ip={address}")?;
        }
        writeln!(text, "relay-ip={}", addresses[0])?;
        std::fs::write(folder.path().join("turnserver.conf"), text)?;
        let secret_file = folder.path().join("secret");
        std::fs::write(&secret_file, secret)?;
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&secret_file, private)?;
        let mut command = network.command("turnserver");
        command.arg("-c").arg(folder.path().join("turnserver.conf"));
        let process = ChildProcess::start("turnserver", &mut command)?;
        let coturn = Self { process, folder };
        for protocol in ["UDP", "TCP", "TLS"] {
            let what = format!("IPv4. {protocol} listener");
            coturn.log().wait_for(&what, START_LIMIT, |line| {
                (line.contains(protocol) && line.contains("opened")).then_some(())
            })?;
        }
        Ok(coturn)
    }

    /// The file with the secret that it shares.
    #[must_use]
    pub fn secret_file(&self) -> PathBuf {
        self.folder.path().join("secret")
    }

    /// What it logs.
    #[must_use]
    pub fn log(&self) -> &Journal<String> {
        self.process.lines()
    }

    /// Ends it.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(&mut self) -> Result<()> {
        self.process.terminate(STOP_LIMIT).map(|_| ())
    }
}

/// Another one each time.
fn system_secret() -> String {
    let key = rcgen::KeyPair::generate().expect("there is randomness");
    key.serialize_der()
        .iter()
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}
