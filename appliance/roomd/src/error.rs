//! What can keep the service from starting, or end it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Why roomd cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration was refused.
    #[error(transparent)]
    Config(#[from] config::ConfigError),
    /// A SIP listen address cannot be bound.
    #[error("cannot listen for SIP over {protocol} on {address}: {source}")]
    Listen {
        /// UDP, TCP or TLS.
        protocol: &'static str,
        /// The configured address.
        address: SocketAddr,
        /// The kernel's word.
        source: io::Error,
    },
    /// The address of the guests' server cannot be bound.
    #[error("cannot listen for guests on {address}: {source}")]
    GuestsListen {
        /// The configured address.
        address: SocketAddr,
        /// The kernel's word.
        source: io::Error,
    },
    /// The password of a TURN server cannot be read.
    #[error("guests.turn: {source}")]
    TurnPassword {
        /// Why.
        source: config::SecretError,
    },
    /// The key that binds an ACME account cannot be read.
    #[error("guests.acme: {source}")]
    AcmeKey {
        /// Why.
        source: config::SecretError,
    },
    /// The key that binds an ACME account is not in base64url.
    #[error("guests.acme: the key of the external account is not in base64url")]
    AcmeKeyEncoding,
    /// A certificate, key or authority does not fit.
    #[error("TLS set-up: {source}")]
    Tls {
        /// What rustls says.
        source: rustls::Error,
    },
    /// There is nothing that the certificates of those who connect could be checked against.
    #[error("sip.client_certificates: {source} (name the authorities in sip.ca_files)")]
    ClientCertificates {
        /// What rustls says.
        source: rustls::server::VerifierBuilderError,
    },
    /// A PEM file cannot be read.
    #[error("{path}: {source}", path = .path.display())]
    TlsFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::pki_types::pem::Error,
    },
    /// A PEM file holds no certificate.
    #[error("{path}: holds no certificate (expected a line \"-----BEGIN CERTIFICATE-----\")", path = .path.display())]
    TlsFileEmpty {
        /// The file.
        path: PathBuf,
    },
    /// Everybody on this machine may read the private key of our certificate.
    #[error("{path} is readable by everybody: run chmod 600 {path}", path = .path.display())]
    TlsKeyWorldReadable {
        /// The file.
        path: PathBuf,
    },
    /// The media port range is too small.
    #[error("media ports {first} to {last}: one leg needs four ports, beginning with an even one")]
    MediaPortRange {
        /// First port of the range.
        first: u16,
        /// Last port of the range.
        last: u16,
    },
    /// No media ports could be bound.
    #[error("no media ports can be bound on {address}: {source}")]
    MediaPorts {
        /// The leg's local address.
        address: IpAddr,
        /// The kernel's word.
        source: io::Error,
    },
    /// A certificate file cannot be read or written.
    #[error("{path}: {source}", path = .path.display())]
    CertificateFile {
        /// The file.
        path: PathBuf,
        /// The kernel's word.
        source: io::Error,
    },
    /// A certificate cannot be made.
    #[error("certificate: {0}")]
    Certificate(rcgen::Error),
    /// The asynchronous runtime cannot start.
    #[error("cannot start the runtime: {source}")]
    Runtime {
        /// The kernel's word.
        source: io::Error,
    },
    /// The media graph does not start, or did not end in time.
    #[error(transparent)]
    Media(media::MediaError),
    /// A simulated device does not fit its settings.
    #[error(transparent)]
    Device(hal_core::DeviceError),
    /// The API cannot be served.
    #[error(transparent)]
    Api(crate::http::ServeError),
    /// The state directory cannot be made.
    #[error("{path}: {source}", path = .path.display())]
    StateDirectory {
        /// The directory.
        path: PathBuf,
        /// The kernel's word.
        source: io::Error,
    },
    /// An account's address breaks the grammar of SIP.
    #[error("account {account}: {address} is no SIP address: {source}")]
    AccountAddress {
        /// The account.
        account: String,
        /// The address as configured.
        address: String,
        /// Where it breaks the grammar.
        source: sip::error::SyntaxError,
    },
    /// An account's password cannot be read.
    #[error("account {account}: {source}")]
    Secret {
        /// The account.
        account: String,
        /// Why.
        source: config::SecretError,
    },
    /// The operating system gives no randomness.
    #[error("the operating system gives no randomness")]
    NoRandomness,
    /// The file that the simulated loudspeaker is to write cannot be made.
    #[error("{path}: {source}", path = .path.display())]
    LoudspeakerRecording {
        /// The file.
        path: PathBuf,
        /// The kernel's word.
        source: io::Error,
    },
    /// A part of the service ended before its time.
    #[error("the part \"{part}\" ended before its time")]
    PartEnded {
        /// Which.
        part: &'static str,
    },
    /// Devices and store did not end in time.
    #[error("devices and store did not end within {limit:?}")]
    EndTimeout {
        /// The time that they had.
        limit: Duration,
    },
    /// A manual page cannot be written.
    #[error("{path}: {source}", path = .path.display())]
    Manual {
        /// The directory.
        path: PathBuf,
        /// The kernel's word.
        source: io::Error,
    },
}
