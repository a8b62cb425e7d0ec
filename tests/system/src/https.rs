//! A client that checks whose certificate it is shown, by rustls.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

const LIMIT: Duration = Duration::from_secs(10);

/// An answer, and who gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status line and headers.
    pub head: String,
    /// The body.
    pub body: String,
    /// The certificate of the server (DER).
    pub certificate: Vec<u8>,
}

/// A connection to a server that has proven its name.
#[derive(Debug)]
pub struct Connection {
    stream: StreamOwned<ClientConnection, TcpStream>,
}

impl Connection {
    /// Connects to a server that has to prove `name` by a chain to one of the authorities (PEM).
    ///
    /// # Errors
    /// When it cannot be reached, or does not prove its name.
    pub fn open(address: SocketAddr, name: &str, trusted: &str) -> Result<Self> {
        Self::open_offering(address, name, trusted, &[])
    }

    /// The same for a client that offers these protocols (ALPN, RFC 7301).
    ///
    /// # Errors
    /// Also when the server speaks none of them.
    pub fn open_offering(
        address: SocketAddr,
        name: &str,
        trusted: &str,
        protocols: &[&str],
    ) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(trusted.as_bytes()) {
            roots.add(certificate?)?;
        }
        let mut config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let protocols = protocols.iter().map(|name| name.as_bytes().to_vec());
        config.alpn_protocols = protocols.collect();
        let name = ServerName::try_from(name.to_owned())?;
        let client = ClientConnection::new(Arc::new(config), name)?;
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_write_timeout(Some(LIMIT))?;
        let mut stream = StreamOwned::new(client, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self { stream })
    }

    /// The certificate of the server (DER).
    ///
    /// # Errors
    /// When it has shown none.
    pub fn certificate(&self) -> Result<Vec<u8>> {
        let chain = self.stream.conn.peer_certificates();
        let own = chain.and_then(|chain| chain.first());
        Ok(own.context("no certificate")?.to_vec())
    }

    /// Asks for a page, after which the connection ends.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn get(mut self, host: &str, path: &str) -> Result<Answer> {
        let certificate = self.certificate()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        self.stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        self.stream.read_to_end(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").context("no head")?;
        Ok(Answer {
            head: head.to_owned(),
            body: body.to_owned(),
            certificate,
        })
    }
}

/// Asks for a page by a connection of its own.
///
/// # Errors
/// Those of [`Connection`].
pub fn get(address: SocketAddr, name: &str, trusted: &str, path: &str) -> Result<Answer> {
    let host = format!("{name}:{}", address.port());
    Connection::open(address, name, trusted)?.get(&host, path)
}
