//! Creates an owner's own certificate authority and certificates signed by it, for rooms that no
//! public authority vouches for.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

use crate::error::Error;

const AUTHORITY_CERTIFICATE: &str = "authority.pem";
const AUTHORITY_KEY: &str = "authority.key";

/// Creates `name.pem` and `name.key` in `directory`, signed by the authority there, which is
/// created first if there is none. Existing keys are never overwritten.
///
/// # Errors
/// [`Error::CertificateFile`] when a file cannot be read or written, or exists already;
/// [`Error::Certificate`] when the name cannot stand in a certificate.
pub fn create(directory: &Path, name: &str, addresses: &[IpAddr]) -> Result<(), Error> {
    fs::create_dir_all(directory).map_err(|source| Error::CertificateFile {
        path: directory.to_owned(),
        source,
    })?;
    let authority = authority(directory)?;
    let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(Error::Certificate)?;
    params
        .subject_alt_names
        .extend(addresses.iter().copied().map(SanType::IpAddress));
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let key = KeyPair::generate().map_err(Error::Certificate)?;
    let certificate = params
        .signed_by(&key, &authority)
        .map_err(Error::Certificate)?;
    write_new(
        &directory.join(format!("{name}.key")),
        &key.serialize_pem(),
        0o600,
    )?;
    write_new(
        &directory.join(format!("{name}.pem")),
        &certificate.pem(),
        0o644,
    )
}

fn authority(directory: &Path) -> Result<Issuer<'static, KeyPair>, Error> {
    let (certificate_path, key_path) = (
        directory.join(AUTHORITY_CERTIFICATE),
        directory.join(AUTHORITY_KEY),
    );
    if key_path.exists() {
        let key = KeyPair::from_pem(&read(&key_path)?).map_err(Error::Certificate)?;
        return Issuer::from_ca_cert_pem(&read(&certificate_path)?, key)
            .map_err(Error::Certificate);
    }
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
        .distinguished_name
        .push(DnType::CommonName, "roomd certificate authority");
    let key = KeyPair::generate().map_err(Error::Certificate)?;
    let certificate = params.self_signed(&key).map_err(Error::Certificate)?;
    write_new(&key_path, &key.serialize_pem(), 0o600)?;
    write_new(&certificate_path, &certificate.pem(), 0o644)?;
    Ok(Issuer::new(params, key))
}

pub(crate) fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::CertificateFile {
        path: path.to_owned(),
        source,
    })
}

/// Writes a file that must not exist yet. The mode is set at creation: a key is at no moment
/// readable by others.
pub(crate) fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), Error> {
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|source| Error::CertificateFile {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn two_certificates_share_one_authority_and_keys_are_private() {
        let directory = tempfile::tempdir().unwrap();
        let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST)];
        create(directory.path(), "room-a", &loopback).unwrap();
        let authority = fs::read(directory.path().join(AUTHORITY_CERTIFICATE)).unwrap();
        create(directory.path(), "room-b", &loopback).unwrap();
        assert_eq!(
            fs::read(directory.path().join(AUTHORITY_CERTIFICATE)).unwrap(),
            authority
        );
        for key in ["room-a.key", "room-b.key", AUTHORITY_KEY] {
            let mode = fs::metadata(directory.path().join(key))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{key}");
        }
    }

    #[test]
    fn an_existing_key_is_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        create(directory.path(), "room-a", &[]).unwrap();
        let before = fs::read(directory.path().join("room-a.key")).unwrap();
        let error = create(directory.path(), "room-a", &[]).unwrap_err();
        assert!(error.to_string().contains("room-a.key"), "{error}");
        assert_eq!(
            fs::read(directory.path().join("room-a.key")).unwrap(),
            before
        );
    }
}
