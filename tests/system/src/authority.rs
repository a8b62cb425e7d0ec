//! A certificate authority of the test's own. Its keys are made anew each time.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};

/// An authority whose certificate lies in a file that peers are told to trust.
#[derive(Debug)]
pub struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate for this machine, and its key.
#[derive(Clone, Debug)]
pub struct Identity {
    /// PEM file with the certificate.
    pub certificate: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
    /// PEM file with both, as baresip wants it.
    pub certificate_and_key: PathBuf,
}

impl Authority {
    /// A new authority that keeps its files in `folder`.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn new(folder: &Path) -> Result<Self> {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        parameters
            .distinguished_name
            .push(DnType::CommonName, "roomd test authority");
        let key = KeyPair::generate()?;
        let certificate = parameters.self_signed(&key)?;
        let authority = Self {
            folder: folder.to_owned(),
            issuer: Issuer::new(parameters, key),
        };
        write(&authority.certificate(), &certificate.pem())?;
        Ok(authority)
    }

    /// PEM file with the authority's own certificate.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    /// A certificate for 127.0.0.1, `localhost` and `name`.
    ///
    /// # Errors
    /// When `name` is no host name or the files cannot be written.
    pub fn issue(&self, name: &str) -> Result<Identity> {
        self.issue_for(name, Ipv4Addr::LOCALHOST.into())
    }

    /// A certificate for `address`, `localhost` and `name`.
    ///
    /// # Errors
    /// As [`Authority::issue`].
    pub fn issue_for(&self, name: &str, address: IpAddr) -> Result<Identity> {
        let mut parameters = CertificateParams::new([name.to_owned(), "localhost".to_owned()])?;
        parameters
            .subject_alt_names
            .push(SanType::IpAddress(address));
        parameters.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate()?;
        let certificate = parameters.signed_by(&key, &self.issuer)?.pem();
        let key = key.serialize_pem();
        let identity = Identity {
            certificate: self.folder.join(format!("{name}-certificate.pem")),
            key: self.folder.join(format!("{name}-key.pem")),
            certificate_and_key: self.folder.join(format!("{name}.pem")),
        };
        write(&identity.certificate, &certificate)?;
        write(&identity.key, &key)?;
        write(
            &identity.certificate_and_key,
            &format!("{certificate}{key}"),
        )?;
        Ok(identity)
    }
}

/// Writes a file that only its owner may read: programs refuse keys that others can see.
fn write(path: &Path, text: &str) -> Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;

    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(text.as_bytes())?;
    Ok(())
}
