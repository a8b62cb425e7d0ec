//! [pebble](https://github.com/letsencrypt/pebble), an ACME server for tests that others wrote, with a name
//! server of its own to which every name is on this machine.
//!
//! It keeps nothing: one that is started again knows no account, and signs by another root.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::authority::Authority;
use crate::child_process::ChildProcess;
use crate::https;
use crate::poll;
use crate::ports;

const START_LIMIT: Duration = Duration::from_secs(20);
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// How a server behaves.
#[derive(Clone, Debug)]
pub struct PebbleSettings {
    /// Where it looks for proofs by TLS-ALPN-01.
    pub tls_port: u16,
    /// Where it looks for proofs by HTTP-01.
    pub http_port: u16,
    /// How long its certificates are good for.
    pub validity: Duration,
    /// How many of a hundred good nonces it refuses.
    pub refused_nonces: u8,
    /// The name of the key that accounts have to be bound by, and the key in base64url, if they have to be.
    pub external_account: Option<(String, String)>,
}

/// A place for a server, which may run there or not.
#[derive(Debug)]
pub struct Pebble {
    // The processes end before the folder vanishes: fields are dropped in this order.
    server: Option<ChildProcess>,
    names: ChildProcess,
    names_port: u16,
    port: u16,
    management_port: u16,
    authority: PathBuf,
    folder: TempDir,
}

impl Pebble {
    /// A place for a server that shows a certificate of `authority`. Nothing serves there yet.
    ///
    /// # Errors
    /// When the name server does not start.
    pub fn new(authority: &Authority) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let names_port = ports::free()?;
        let management = ports::free()?;
        let mut command = Command::new("pebble-challtestsrv");
        command
            .args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""])
            .args(["-http01", "", "-https01", "", "-tlsalpn01", ""])
            .args(["-management", &format!("127.0.0.1:{management}")])
            .args(["-dns01", &format!("127.0.0.1:{names_port}")]);
        let names = ChildProcess::start("pebble-challtestsrv", &mut command)?;
        wait_for_port("the name server", names_port)?;
        let identity = authority.issue("pebble")?;
        for (from, to) in [
            (&identity.certificate, "certificate.pem"),
            (&identity.key, "key.pem"),
        ] {
            std::fs::copy(from, folder.path().join(to))?;
        }
        Ok(Self {
            server: None,
            names,
            names_port,
            port: ports::free()?,
            management_port: ports::free()?,
            authority: authority.certificate(),
            folder,
        })
    }

    /// Starts the server and waits until it serves.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(&mut self, settings: &PebbleSettings) -> Result<()> {
        let file = |name: &str| self.folder.path().join(name);
        let keys = settings.external_account.iter();
        let keys: serde_json::Map<String, Value> = keys
            .map(|(name, key)| (name.clone(), key.clone().into()))
            .collect();
        let text = json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{}", self.port),
            "managementListenAddress": format!("127.0.0.1:{}", self.management_port),
            "certificate": file("certificate.pem"),
            "privateKey": file("key.pem"),
            "httpPort": settings.http_port,
            "tlsPort": settings.tls_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": settings.external_account.is_some(),
            "externalAccountMACKeys": keys,
            "certificateValidityPeriod": settings.validity.as_secs(),
        }});
        std::fs::write(file("pebble.json"), text.to_string())?;
        let mut command = Command::new("pebble");
        command
            .arg("-config")
            .arg(file("pebble.json"))
            .args(["-dnsserver", &format!("127.0.0.1:{}", self.names_port)])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_AUTHZREUSE", "0")
            .env(
                "PEBBLE_WFE_NONCEREJECT",
                settings.refused_nonces.to_string(),
            );
        self.server = Some(ChildProcess::start("pebble", &mut command)?);
        wait_for_port("pebble", self.management_port)?;
        wait_for_port("pebble", self.port)
    }

    /// Ends the server; its place stays.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(&mut self) -> Result<()> {
        match self.server.take() {
            Some(mut server) => server.terminate(STOP_LIMIT).map(|_| ()),
            None => Ok(()),
        }
    }

    /// The URL of its directory.
    #[must_use]
    pub fn directory(&self) -> String {
        format!("https://127.0.0.1:{}/dir", self.port)
    }

    /// PEM file with the authority of its own certificate.
    #[must_use]
    pub fn authority(&self) -> &Path {
        &self.authority
    }

    /// The root by which it signs (PEM).
    ///
    /// # Errors
    /// When it does not tell.
    pub fn root(&self) -> Result<String> {
        let trusted = std::fs::read_to_string(&self.authority)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.management_port));
        let answer = https::get(address, "localhost", &trusted, "/roots/0")?;
        Ok(answer.body)
    }

    /// What it has logged.
    ///
    /// # Errors
    /// When it does not run.
    pub fn log(&self) -> Result<Vec<String>> {
        let server = self.server.as_ref().context("pebble does not run")?;
        Ok(server.lines().entries())
    }

    /// Whether its name server still runs.
    ///
    /// # Errors
    /// When that cannot be told.
    pub fn has_names(&mut self) -> Result<bool> {
        Ok(self.names.exit_status()?.is_none())
    }
}

fn wait_for_port(what: &str, port: u16) -> Result<()> {
    poll::until(&format!("{what} at port {port}"), START_LIMIT, || {
        Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .ok()
            .map(|_| ()))
    })
}

/// A port on which nothing listens, for a server that is to find nobody.
///
/// # Errors
/// When there is none.
pub fn deserted_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}
