//! Challenges of a server, and which of them to answer.

use super::DigestError;
use super::hash::HashAlgorithm;
use crate::grammar::Challenge;

/// What the password's hash is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyScope {
    /// User and realm.
    Account,
    /// User, realm and the nonces of the session: the `-sess` algorithms.
    Session,
}

/// What the response protects (`qop`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protection {
    /// Method and URI, without our nonce: servers of RFC 2069.
    Legacy,
    /// Method and URI.
    Auth,
    /// Method, URI and body.
    AuthInt,
}

/// How the server wants the user named (`userhash`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UserName {
    /// As it is.
    Plain,
    /// Hashed with the realm, so that who listens learns no names (RFC 7616 section 3.4.4).
    Hashed,
}

/// One challenge of a server that we can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestChallenge {
    pub(super) realm: String,
    pub(super) nonce: String,
    pub(super) opaque: Option<String>,
    pub(super) hash: HashAlgorithm,
    pub(super) scope: KeyScope,
    /// `algorithm` as the server spelled it; `None` means MD5.
    pub(super) algorithm: Option<String>,
    pub(super) protection: Protection,
    pub(super) stale: bool,
    pub(super) user_name: UserName,
}

impl DigestChallenge {
    /// Reads one challenge.
    ///
    /// # Errors
    /// It is not Digest, wants an algorithm or protection that we do not have, or is incomplete.
    pub fn read(challenge: &Challenge) -> Result<Self, DigestError> {
        if !challenge.is_digest() {
            return Err(DigestError::NoSupportedChallenge);
        }
        let params = challenge.params();
        let required = |name| {
            params
                .get(name)
                .map(str::to_owned)
                .ok_or(DigestError::Missing(name))
        };
        let is_true = |name| {
            params
                .get(name)
                .is_some_and(|value| value.eq_ignore_ascii_case("true"))
        };
        // Some servers write the parameter without a value: that of RFC 2069 is meant.
        let algorithm = params
            .get("algorithm")
            .filter(|name| !name.is_empty())
            .map(str::to_owned);
        let (hash, scope) = read_algorithm(algorithm.as_deref().unwrap_or("MD5"))
            .ok_or(DigestError::NoSupportedChallenge)?;
        Ok(Self {
            realm: required("realm")?,
            nonce: required("nonce")?,
            opaque: params.get("opaque").map(str::to_owned),
            hash,
            scope,
            algorithm,
            protection: read_protection(params.get("qop"))
                .ok_or(DigestError::NoSupportedChallenge)?,
            stale: is_true("stale"),
            user_name: if is_true("userhash") {
                UserName::Hashed
            } else {
                UserName::Plain
            },
        })
    }

    /// The challenges to answer, out of all of one response: the strongest of each realm, since
    /// proxies that fork collect those of several realms (RFC 3261 section 22.3). Challenges that
    /// we cannot answer are skipped.
    ///
    /// # Errors
    /// Nothing is left.
    pub fn select<'a>(
        challenges: impl IntoIterator<Item = &'a Challenge>,
    ) -> Result<Vec<Self>, DigestError> {
        let mut selected: Vec<Self> = Vec::new();
        for challenge in challenges
            .into_iter()
            .filter_map(|challenge| Self::read(challenge).ok())
        {
            match selected
                .iter_mut()
                .find(|other| other.realm == challenge.realm)
            {
                Some(other) if other.hash < challenge.hash => *other = challenge,
                Some(_) => {}
                None => selected.push(challenge),
            }
        }
        if selected.is_empty() {
            Err(DigestError::NoSupportedChallenge)
        } else {
            Ok(selected)
        }
    }

    /// The realm that wants to know who we are.
    #[must_use]
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The hash function that will be used.
    #[must_use]
    pub fn hash_algorithm(&self) -> HashAlgorithm {
        self.hash
    }
}

fn read_algorithm(name: &str) -> Option<(HashAlgorithm, KeyScope)> {
    HashAlgorithm::ALL.into_iter().find_map(|hash| {
        let rest = name
            .get(..hash.name().len())
            .filter(|start| start.eq_ignore_ascii_case(hash.name()))
            .and_then(|start| name.get(start.len()..))?;
        match rest {
            "" => Some((hash, KeyScope::Account)),
            rest if rest.eq_ignore_ascii_case("-sess") => Some((hash, KeyScope::Session)),
            _ => None,
        }
    })
}

/// `auth` before `auth-int`: bodies are changed by many a proxy on the way.
fn read_protection(qop: Option<&str>) -> Option<Protection> {
    // An empty one is that of servers which know none.
    let Some(qop) = qop.filter(|qop| !qop.trim().is_empty()) else {
        return Some(Protection::Legacy);
    };
    let offers = |wanted: &str| {
        qop.split(',')
            .any(|word| word.trim().eq_ignore_ascii_case(wanted))
    };
    if offers("auth") {
        Some(Protection::Auth)
    } else {
        offers("auth-int").then_some(Protection::AuthInt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar::HeaderValue as _;

    fn read(text: &str) -> Result<DigestChallenge, DigestError> {
        DigestChallenge::read(&Challenge::parse_value(text).unwrap())
    }

    #[test]
    fn the_strongest_algorithm_of_each_realm_is_chosen_and_unknown_ones_are_skipped() {
        let challenges = [
            "Basic realm=\"a\"",
            "Digest realm=\"a\", nonce=\"1\", algorithm=MD5, qop=\"auth\"",
            "Digest realm=\"a\", nonce=\"2\", algorithm=SHA3-512, qop=\"auth\"",
            "Digest realm=\"a\", nonce=\"3\", algorithm=SHA-256, qop=\"auth\"",
            "Digest realm=\"a\", nonce=\"4\", algorithm=SHA-256X, qop=\"auth\"",
            "Digest realm=\"a\", nonce=\"5\", algorithm=SHA-512-256, qop=\"auth-conf\"",
            "Digest realm=\"b\", nonce=\"6\"",
            "Digest realm=\"c\"",
            "Digest nonce=\"7\"",
        ]
        .map(|text| Challenge::parse_value(text).unwrap());
        let selected = DigestChallenge::select(&challenges).unwrap();
        let chosen: Vec<_> = selected
            .iter()
            .map(|chosen| {
                (
                    chosen.realm(),
                    chosen.nonce.as_str(),
                    chosen.hash_algorithm(),
                )
            })
            .collect();
        let expected = [
            ("a", "3", HashAlgorithm::Sha256),
            ("b", "6", HashAlgorithm::Md5),
        ];
        assert_eq!(chosen, expected);
        assert_eq!(
            DigestChallenge::select(&challenges[..1]),
            Err(DigestError::NoSupportedChallenge)
        );
    }

    #[test]
    fn what_servers_write_otherwise_than_the_rfc_is_understood() {
        let table = [
            // Unquoted values, also of characters that a token has not.
            (
                "Digest realm=a,nonce=x/y+z==,qop=auth",
                "x/y+z==",
                HashAlgorithm::Md5,
                Protection::Auth,
            ),
            // Quoted values that should have no quotes.
            (
                "Digest realm=\"a\", nonce=\"1\", algorithm=\"sha-256\", qop=\"auth\", stale=\"true\"",
                "1",
                HashAlgorithm::Sha256,
                Protection::Auth,
            ),
            (
                "DIGEST realm=\"a\", nonce=\"1\", algorithm=md5",
                "1",
                HashAlgorithm::Md5,
                Protection::Legacy,
            ),
            // An empty opaque hides nothing behind it.
            (
                "Digest realm=\"a\", nonce=\"1\", opaque=\"\", algorithm=SHA-256",
                "1",
                HashAlgorithm::Sha256,
                Protection::Legacy,
            ),
            (
                "Digest realm=\"a\", nonce=\"1\", qop=\"\"",
                "1",
                HashAlgorithm::Md5,
                Protection::Legacy,
            ),
            (
                "Digest realm=\"a\", nonce=\"1\", algorithm=\"\"",
                "1",
                HashAlgorithm::Md5,
                Protection::Legacy,
            ),
            // Empty elements of the list.
            (
                "Digest realm=\"a\", , nonce=\"1\",",
                "1",
                HashAlgorithm::Md5,
                Protection::Legacy,
            ),
            // `qop` without the quotes that would hold its list together.
            (
                "Digest realm=\"a\", nonce=\"1\", qop=auth,auth-int",
                "1",
                HashAlgorithm::Md5,
                Protection::Auth,
            ),
            (
                "Digest realm=\"a\", nonce=\"1\", qop=\"auth-int,AUTH\"",
                "1",
                HashAlgorithm::Md5,
                Protection::Auth,
            ),
            (
                "Digest realm=\"\", nonce=\"\"",
                "",
                HashAlgorithm::Md5,
                Protection::Legacy,
            ),
        ];
        for (text, nonce, hash, protection) in table {
            let challenge = read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(challenge.nonce, nonce, "{text}");
            assert_eq!(challenge.hash, hash, "{text}");
            assert_eq!(challenge.protection, protection, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_answered_is_refused_with_its_cause() {
        let table = [
            ("Digest nonce=\"1\"", DigestError::Missing("realm")),
            ("Digest realm=\"a\"", DigestError::Missing("nonce")),
            ("Digest realm, nonce=\"1\"", DigestError::Missing("realm")),
            (
                "Digest realm=\"a\", nonce=\"1\", algorithm=SHA3-256",
                DigestError::NoSupportedChallenge,
            ),
            (
                "Digest realm=\"a\", nonce=\"1\", algorithm=MD5-session",
                DigestError::NoSupportedChallenge,
            ),
            (
                "Digest realm=\"a\", nonce=\"1\", qop=\"auth-conf\"",
                DigestError::NoSupportedChallenge,
            ),
            (
                "Bearer realm=\"a\", nonce=\"1\"",
                DigestError::NoSupportedChallenge,
            ),
        ];
        for (text, error) in table {
            assert_eq!(read(text).unwrap_err(), error, "{text}");
        }
    }
}
