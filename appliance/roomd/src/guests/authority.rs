//! The room's own certificate authority, for rooms that no public one vouches for.
//!
//! It is made at the first start and kept in the state directory; its key is there only, readable by the
//! service alone. Who trusts it on a laptop trusts it with little: it may vouch for this machine's
//! names, the host of the public URL and addresses of private networks (name constraints, RFC 5280
//! section 4.2.1.10), and for nothing else. A public URL that it may not vouch for makes it anew.
//!
//! What the server shows is a certificate that lives in memory alone.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use config::Host;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SanType,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::certificate::{read, write_new};
use crate::error::Error;

const CERTIFICATE_FILE: &str = "guests-authority.pem";
const KEY_FILE: &str = "guests-authority.key";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the authority is good for.
const AUTHORITY_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// How long a certificate of it is good for: systems refuse more than two years of one.
const CERTIFICATE_LIFETIME: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// What is left when it is renewed.
const RENEWED_BEFORE_END: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The networks whose addresses it may vouch for: they mean something else in everybody else's.
const PRIVATE_NETWORKS: [(IpAddr, u8); 8] = [
    (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(172, 16, 0, 0)), 12),
    (IpAddr::V4(Ipv4Addr::new(192, 168, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(169, 254, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
    (IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
    (IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7),
    (IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10),
];

/// What a server may be called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ServerNames {
    /// The host that guests are told.
    pub(super) public: Option<Host>,
    /// What else it is called.
    pub(super) names: Vec<String>,
    /// Where it is.
    pub(super) addresses: Vec<IpAddr>,
}

impl ServerNames {
    fn dns(&self) -> Vec<String> {
        let public = match &self.public {
            Some(Host::Name(name)) => Some(name.clone()),
            Some(Host::Address(_)) | None => None,
        };
        let names = self.names.iter().map(|name| name.to_ascii_lowercase());
        let mut all: Vec<_> = public.into_iter().chain(names).collect();
        all.retain(|name| matches!(Host::new(name), Some(Host::Name(_))));
        all.sort();
        all.dedup();
        all
    }

    fn addresses(&self) -> Vec<IpAddr> {
        let public = match &self.public {
            Some(Host::Address(address)) => Some(*address),
            Some(Host::Name(_)) | None => None,
        };
        let all = public.into_iter().chain(self.addresses.iter().copied());
        let mut all: Vec<_> = all.map(|address| address.to_canonical()).collect();
        all.sort();
        all.dedup();
        all
    }
}

/// A certificate of the authority, with its key.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub(super) certified: CertifiedKey,
    not_before: SystemTime,
    not_after: SystemTime,
}

impl Leaf {
    /// Whether another one has to be made, at a time that the clock may have been set to.
    pub(super) fn is_due(&self, now: SystemTime) -> bool {
        now < self.not_before || now + RENEWED_BEFORE_END > self.not_after
    }
}

/// The room's own authority.
pub(super) struct LocalAuthority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    permitted: Permitted,
}

/// What the authority may vouch for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Permitted {
    names: Vec<String>,
    networks: Vec<(IpAddr, u8)>,
}

impl Permitted {
    fn has_name(&self, name: &str) -> bool {
        self.names.iter().any(|permitted| {
            let rest = name.strip_suffix(permitted.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
    }

    fn has_address(&self, address: IpAddr) -> bool {
        let mut networks = self.networks.iter();
        networks.any(|(network, prefix)| is_in(address, *network, *prefix))
    }

    fn has(&self, host: &Host) -> bool {
        match host {
            Host::Name(name) => self.has_name(name),
            Host::Address(address) => self.has_address(*address),
        }
    }

    /// What a certificate says.
    fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let constraints = certificate.name_constraints().ok()??;
        let mut permitted = Self::default();
        for subtree in constraints.value.permitted_subtrees.iter().flatten() {
            match &subtree.base {
                GeneralName::DNSName(name) => permitted.names.push((*name).to_owned()),
                GeneralName::IPAddress(bytes) => permitted.networks.extend(network_of(bytes)),
                _ => {}
            }
        }
        Some(permitted)
    }
}

/// A network, as address and mask one behind the other.
fn network_of(bytes: &[u8]) -> Option<(IpAddr, u8)> {
    let (address, mask) = bytes.split_at_checked(bytes.len() / 2)?;
    let ones: u32 = mask.iter().map(|byte| byte.leading_ones()).sum();
    let address = match address.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(address).ok()?),
        16 => IpAddr::from(<[u8; 16]>::try_from(address).ok()?),
        _ => return None,
    };
    Some((address, u8::try_from(ones).ok()?))
}

fn is_in(address: IpAddr, network: IpAddr, prefix: u8) -> bool {
    let same = |a: u128, b: u128, bits: u32| {
        let beyond = bits.saturating_sub(u32::from(prefix));
        a.checked_shr(beyond).unwrap_or(0) == b.checked_shr(beyond).unwrap_or(0)
    };
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

impl LocalAuthority {
    /// The authority in `directory`, made where there is none that is good and may vouch for the public
    /// name.
    ///
    /// # Errors
    /// [`Error::CertificateFile`] when a file cannot be read or written, [`Error::Certificate`] when one
    /// does not hold what it should.
    pub(super) fn load_or_make(
        directory: &Path,
        names: &ServerNames,
        now: SystemTime,
    ) -> Result<Self, Error> {
        let files = Files::of(directory);
        if files.key.exists() && files.certificate.exists() {
            let kept = Self::load(&files)?;
            let public = names.public.as_ref();
            if public.is_none_or(|host| kept.permitted.has(host)) {
                return Ok(kept);
            }
            tracing::warn!(
                "the room's own authority may not vouch for guests.public_url: another is made, \
                 which guests have to trust anew"
            );
        }
        Self::make(&files, names, now)
    }

    fn load(files: &Files) -> Result<Self, Error> {
        let key = KeyPair::from_pem(&read(&files.key)?).map_err(Error::Certificate)?;
        let pem = read(&files.certificate)?;
        let unreadable = |source| Error::TlsFile {
            path: files.certificate.clone(),
            source,
        };
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(unreadable)?;
        let issuer = Issuer::from_ca_cert_pem(&pem, key).map_err(Error::Certificate)?;
        Ok(Self {
            permitted: Permitted::of(&certificate).unwrap_or_default(),
            issuer,
            certificate,
        })
    }

    fn make(files: &Files, names: &ServerNames, now: SystemTime) -> Result<Self, Error> {
        let mut permitted = Permitted {
            names: names.dns(),
            networks: PRIVATE_NETWORKS.to_vec(),
        };
        if let Some(Host::Address(address)) = names.public {
            let whole = if address.is_ipv4() { 32 } else { 128 };
            permitted.networks.push((address, whole));
        }
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let name = names.public.as_ref().map(ToString::to_string);
        let name = name.or_else(|| names.names.first().cloned());
        let common_name = format!(
            "roomd guests of {}",
            name.unwrap_or_else(|| "a room".into())
        );
        params
            .distinguished_name
            .push(DnType::CommonName, common_name);
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: permitted.subtrees(),
            excluded_subtrees: Vec::new(),
        });
        // From before any clock that may be wrong now.
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        let year_2026 = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        params.not_after = (now.max(year_2026) + AUTHORITY_LIFETIME).into();
        let key = KeyPair::generate().map_err(Error::Certificate)?;
        let certificate = params.self_signed(&key).map_err(Error::Certificate)?;
        files.replace(&key.serialize_pem(), &certificate.pem())?;
        Ok(Self {
            certificate: certificate.der().clone(),
            issuer: Issuer::new(params, key),
            permitted,
        })
    }

    /// A certificate for the names and addresses that the authority may vouch for.
    ///
    /// # Errors
    /// [`Error::Certificate`] when it cannot be made.
    pub(super) fn certify(&self, names: &ServerNames, now: SystemTime) -> Result<Leaf, Error> {
        let mut dns = names.dns();
        dns.retain(|name| self.permitted.has_name(name));
        let mut addresses = names.addresses();
        addresses.retain(|address| self.permitted.has_address(*address));
        let mut params = CertificateParams::new(dns).map_err(Error::Certificate)?;
        let addresses = addresses.into_iter().map(SanType::IpAddress);
        params.subject_alt_names.extend(addresses);
        params
            .distinguished_name
            .push(DnType::CommonName, "roomd guests");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let (not_before, not_after) = (now - DAY, now + CERTIFICATE_LIFETIME);
        (params.not_before, params.not_after) = (not_before.into(), not_after.into());
        let key = KeyPair::generate().map_err(Error::Certificate)?;
        let certificate = params
            .signed_by(&key, &self.issuer)
            .map_err(Error::Certificate)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key);
        let key = key.map_err(|source| Error::Tls { source })?;
        Ok(Leaf {
            certified: CertifiedKey::new(vec![certificate.der().clone()], key),
            not_before,
            not_after,
        })
    }

    /// The authority's certificate.
    pub(super) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The SHA-256 of its certificate, as browsers show it.
    pub(super) fn fingerprint(&self) -> String {
        let hash = digest(&SHA256, &self.certificate);
        let bytes = hash.as_ref().iter().map(|byte| format!("{byte:02X}"));
        bytes.collect::<Vec<_>>().join(":")
    }
}

impl Permitted {
    fn subtrees(&self) -> Vec<GeneralSubtree> {
        let names = self.names.iter().cloned().map(GeneralSubtree::DnsName);
        let networks = self.networks.iter().map(|(address, prefix)| {
            GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(*address, *prefix))
        });
        names.chain(networks).collect()
    }
}

struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn of(directory: &Path) -> Self {
        Self {
            certificate: directory.join(CERTIFICATE_FILE),
            key: directory.join(KEY_FILE),
        }
    }

    /// The key comes last: without both there is none, and a fresh one is made at the next start.
    fn replace(&self, key: &str, certificate: &str) -> Result<(), Error> {
        for path in [&self.key, &self.certificate] {
            match fs::remove_file(path) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    let path = path.clone();
                    return Err(Error::CertificateFile { path, source });
                }
                Ok(()) | Err(_) => {}
            }
        }
        write_new(&self.certificate, certificate, 0o644)?;
        write_new(&self.key, key, 0o600)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;
    use std::sync::Arc;

    use rustls::RootCertStore;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier;
    use rustls::pki_types::{ServerName, UnixTime};

    use super::*;

    fn names(public: &str) -> ServerNames {
        ServerNames {
            public: Host::new(public),
            names: vec!["Box".to_owned(), "not a name".to_owned()],
            addresses: vec![
                [10, 1, 2, 3].into(),
                [198, 51, 100, 7].into(),
                "fd00::7".parse().unwrap(),
                "2001:db8::7".parse().unwrap(),
            ],
        }
    }

    fn load(directory: &Path, public: &str) -> LocalAuthority {
        LocalAuthority::load_or_make(directory, &names(public), SystemTime::now()).unwrap()
    }

    /// Whether a browser that trusts the authority takes the certificate for a name.
    fn proves(authority: &LocalAuthority, leaf: &Leaf, name: &str, at: SystemTime) -> bool {
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate().clone()).unwrap();
        let verifier = WebPkiServerVerifier::builder(Arc::new(roots));
        let seconds = at.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let (own, at) = (&leaf.certified.cert[0], UnixTime::since_unix_epoch(seconds));
        let verified = verifier.build().unwrap();
        verified
            .verify_server_cert(own, &[], &name, &[], at)
            .is_ok()
    }

    #[test]
    fn a_certificate_proves_what_the_authority_may_vouch_for() {
        let directory = tempfile::tempdir().unwrap();
        let authority = load(directory.path(), "room.example.com");
        let now = SystemTime::now();
        let leaf = authority.certify(&names("room.example.com"), now).unwrap();
        for name in ["room.example.com", "box", "10.1.2.3", "fd00::7"] {
            assert!(proves(&authority, &leaf, name, now), "{name}");
        }
        // Of addresses that mean the same everywhere it certifies none: the rest is good still.
        for name in ["198.51.100.7", "2001:db8::7", "example.com", "evil.example"] {
            assert!(!proves(&authority, &leaf, name, now), "{name}");
        }
    }

    #[test]
    fn whoever_has_its_key_can_vouch_for_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let mut authority = load(directory.path(), "room.example.com");
        // As a thief would use it.
        authority.permitted = Permitted {
            names: vec!["com".to_owned(), "box".to_owned()],
            networks: vec![(Ipv4Addr::UNSPECIFIED.into(), 0)],
        };
        let now = SystemTime::now();
        let bank = ServerNames {
            public: Host::new("bank.example.com"),
            ..ServerNames::default()
        };
        let leaf = authority.certify(&bank, now).unwrap();
        assert!(!proves(&authority, &leaf, "bank.example.com", now));
        let address = ServerNames {
            addresses: vec![[198, 51, 100, 7].into()],
            ..ServerNames::default()
        };
        let leaf = authority.certify(&address, now).unwrap();
        assert!(!proves(&authority, &leaf, "198.51.100.7", now));
    }

    #[test]
    fn it_is_made_once_and_anew_only_for_another_public_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let first = load(path, "room.example.com").fingerprint();
        assert_eq!(load(path, "room.example.com").fingerprint(), first);
        // The machine's own names and private addresses, it may vouch for from the beginning.
        for public in ["box", "192.168.9.9", "[fd12::1]"] {
            assert_eq!(load(path, public).fingerprint(), first, "{public}");
        }
        let second = load(path, "other.example.com").fingerprint();
        assert_ne!(second, first);
        assert_ne!(load(path, "203.0.113.1").fingerprint(), second);
        let third = load(path, "203.0.113.1");
        let now = SystemTime::now();
        let leaf = third.certify(&names("203.0.113.1"), now).unwrap();
        assert!(proves(&third, &leaf, "203.0.113.1", now));
        let mode = |file| fs::metadata(path.join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(KEY_FILE), 0o600);
        // A start that broke off in between leaves one file: another is made.
        fs::remove_file(path.join(CERTIFICATE_FILE)).unwrap();
        load(path, "203.0.113.1");
    }

    #[test]
    fn a_certificate_is_renewed_before_its_end_and_when_the_clock_was_wrong() {
        let directory = tempfile::tempdir().unwrap();
        let authority = load(directory.path(), "room.example.com");
        let now = SystemTime::now();
        let leaf = authority.certify(&names("room.example.com"), now).unwrap();
        for (at, due) in [
            (now, false),
            (now + 59 * DAY, false),
            (now + 61 * DAY, true),
            (now - 2 * DAY, true),
        ] {
            assert_eq!(leaf.is_due(at), due);
        }
        let later = now + 80 * DAY;
        assert!(proves(&authority, &leaf, "room.example.com", later));
        assert!(!proves(
            &authority,
            &leaf,
            "room.example.com",
            now + 91 * DAY
        ));
    }

    #[test]
    fn another_implementation_takes_its_certificates_too() {
        let directory = tempfile::tempdir().unwrap();
        let authority = load(directory.path(), "room.example.com");
        let leaf = authority
            .certify(&names("room.example.com"), SystemTime::now())
            .unwrap();
        let own = directory.path().join("own.der");
        fs::write(&own, &leaf.certified.cert[0]).unwrap();
        let verify = |name: [&str; 2]| {
            let mut openssl = Command::new("openssl");
            openssl
                .arg("verify")
                .args(["-x509_strict", "-purpose", "sslserver"]);
            openssl
                .arg("-CAfile")
                .arg(directory.path().join(CERTIFICATE_FILE));
            openssl.args(name).arg(&own);
            openssl.output()
        };
        // A machine without it has the check above.
        let Ok(output) = verify(["-verify_hostname", "room.example.com"]) else {
            return;
        };
        assert!(output.status.success(), "{output:?}");
        for (name, taken) in [
            (["-verify_ip", "10.1.2.3"], true),
            (["-verify_ip", "fd00::7"], true),
            (["-verify_ip", "198.51.100.7"], false),
            (["-verify_hostname", "example.com"], false),
        ] {
            let output = verify(name).unwrap();
            assert_eq!(output.status.success(), taken, "{name:?} {output:?}");
        }
    }
}
