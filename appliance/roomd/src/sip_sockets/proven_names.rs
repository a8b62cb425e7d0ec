//! Whom a verified certificate of somebody who has connected proves.

use std::net::IpAddr;

use rustls::pki_types::CertificateDer;
use sip::grammar::{SipUri, Uri};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

/// The SIP domains of a certificate: those of its SIP URIs without a user, or, where it has none, its
/// DNS names (RFC 5922 section 7.1), and its addresses. A wildcard proves nothing (section 7.2).
///
/// The certificate has been verified: what does not parse here all the same names nobody.
pub(super) fn proven_names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else {
        return Vec::new();
    };
    let names: Vec<&GeneralName<'_>> = certificate
        .extensions()
        .iter()
        .filter_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
            _ => None,
        })
        .flatten()
        .collect();
    let domains: Vec<SipUri> = names
        .iter()
        .filter_map(|name| match name {
            GeneralName::URI(uri) => uri.parse::<Uri>().ok()?.as_sip().cloned(),
            _ => None,
        })
        .collect();
    let of_domains = domains
        .iter()
        .filter(|uri| uri.user_decoded().is_none())
        .map(|uri| uri.host().to_string());
    let of_hosts = names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) if domains.is_empty() && !name.contains('*') => {
            Some((*name).to_owned())
        }
        GeneralName::IPAddress(octets) => Some(address(octets)?.to_string()),
        _ => None,
    });
    of_domains.chain(of_hosts).collect()
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(octets)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from))
        .ok()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    fn names(alternatives: Vec<SanType>) -> Vec<String> {
        let mut parameters = CertificateParams::default();
        parameters.subject_alt_names = alternatives;
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        proven_names(certificate.der())
    }

    fn dns(name: &str) -> SanType {
        SanType::DnsName(name.try_into().unwrap())
    }

    fn uri(uri: &str) -> SanType {
        SanType::URI(uri.try_into().unwrap())
    }

    #[test]
    fn sip_domains_count_before_dns_names_and_no_wildcard_counts() {
        let address = SanType::IpAddress("2001:db8::7".parse().unwrap());
        for (alternatives, expected) in [
            (
                vec![dns("a.example"), dns("b.example")],
                vec!["a.example", "b.example"],
            ),
            (vec![dns("*.example"), dns("a.example")], vec!["a.example"]),
            (
                vec![dns("web.example"), uri("sip:a.example")],
                vec!["a.example"],
            ),
            (
                vec![dns("a.example"), uri("https://a.example/")],
                vec!["a.example"],
            ),
            // A user's certificate proves the user, and nobody speaks for the whole domain by it.
            (vec![dns("a.example"), uri("sip:bob@a.example")], vec![]),
            (vec![address], vec!["2001:db8::7"]),
            (vec![], vec![]),
        ] {
            let case = format!("{alternatives:?}");
            assert_eq!(names(alternatives), expected, "{case}");
        }
    }

    #[test]
    fn what_is_no_certificate_names_nobody() {
        for bytes in [&b""[..], b"\x30\x03\x02\x01\x01", &[0x30; 64]] {
            assert_eq!(
                proven_names(&CertificateDer::from(bytes)),
                Vec::<String>::new()
            );
        }
    }
}
