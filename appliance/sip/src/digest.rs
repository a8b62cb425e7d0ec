//! Digest authentication, client side (RFC 7616 as RFC 8760 applies it to SIP).
//!
//! ```text
//!  401/407 ──> DigestChallenge::select ──> DigestSession::new ──> authorize(request), nc = 1
//!                (strongest a realm)             │                authorize(request), nc = 2 ...
//!                                                │
//!  401/407 again ──> DigestSession::challenged ──┴─> Renewed (stale nonce: send again)
//!                                                └─> Refused (the credentials are wrong: stop)
//! ```
//!
//! The response proves knowledge of the password without showing it; whoever records it can still
//! guess passwords offline, most cheaply with MD5. So the strongest algorithm offered is taken.

use std::fmt::Write as _;

use md5::Md5;
use rand_core::CryptoRng;
use sha2::{Digest, Sha256, Sha512_256};
use thiserror::Error;

use crate::error::ValueRefused;
use crate::grammar::{AuthCredentials, Challenge, Method};
use crate::secret::Secret;

/// Who answers challenges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The user name of the account, as its provider gave it.
    pub username: String,
    /// Its password.
    pub password: Secret,
}

/// Why a challenge cannot be answered.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DigestError {
    /// No Digest challenge with an algorithm and a quality of protection that we have.
    #[error("no digest challenge of a supported kind")]
    NoSupportedChallenge,
    /// The challenge has no realm or no nonce.
    #[error("the digest challenge lacks {0}")]
    Missing(&'static str),
    /// A value of ours does not fit into a header field.
    #[error("the credentials do not fit into a header field: {0}")]
    Value(#[from] ValueRefused),
}

/// The hash functions of RFC 8760, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HashAlgorithm {
    /// MD5: for servers that know nothing better.
    Md5,
    /// SHA-256.
    Sha256,
    /// SHA-512, cut to 256 bits.
    Sha512_256,
}

impl HashAlgorithm {
    const ALL: [Self; 3] = [Self::Md5, Self::Sha256, Self::Sha512_256];

    const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
            Self::Sha512_256 => "SHA-512-256",
        }
    }

    /// The hash of `text` in lower-case hexadecimal digits.
    fn hash(self, text: &[u8]) -> String {
        fn hexadecimal(bytes: &[u8]) -> String {
            bytes
                .iter()
                .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
                    write!(text, "{byte:02x}").expect("writing to a string does not fail");
                    text
                })
        }
        match self {
            Self::Md5 => hexadecimal(&Md5::digest(text)),
            Self::Sha256 => hexadecimal(&Sha256::digest(text)),
            Self::Sha512_256 => hexadecimal(&Sha512_256::digest(text)),
        }
    }
}

/// What the password's hash is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyScope {
    /// User and realm.
    Account,
    /// User, realm and the nonces of the session: the `-sess` algorithms.
    Session,
}

/// What the response protects (`qop`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protection {
    /// Method and URI, without our nonce: servers of RFC 2069.
    Legacy,
    /// Method and URI.
    Auth,
    /// Method, URI and body.
    AuthInt,
}

/// One challenge of a server that we can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestChallenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    hash: HashAlgorithm,
    scope: KeyScope,
    /// `algorithm` as the server spelled it; `None` means MD5.
    algorithm: Option<String>,
    protection: Protection,
    stale: bool,
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
        let algorithm = params.get("algorithm").map(str::to_owned);
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
            stale: params
                .get("stale")
                .is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
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
    let Some(qop) = qop else {
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

/// What a further challenge to an authorized request means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rechallenge {
    /// The nonce had grown old: authorize the request again and send it.
    Renewed,
    /// The server knows the nonce and still says no: user name or password are wrong. Sending them
    /// again would only lock the account.
    Refused,
}

/// The answers to one realm: its nonce and how often it was used.
#[derive(Clone, Debug)]
pub struct DigestSession {
    challenge: DigestChallenge,
    client_nonce: String,
    /// Grows with each request (RFC 7616 section 3.4, `nc`).
    nonce_count: u32,
}

/// The request that is to be authorized.
#[derive(Clone, Copy, Debug)]
pub struct AuthorizedRequest<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its Request-URI, exactly as it is sent.
    pub uri: &'a str,
    /// Its body.
    pub body: &'a [u8],
}

impl DigestSession {
    /// Starts to answer `challenge`.
    pub fn new(challenge: DigestChallenge, rng: &mut impl CryptoRng) -> Self {
        let client_nonce = format!("{:016x}{:016x}", rng.next_u64(), rng.next_u64());
        Self {
            challenge,
            client_nonce,
            nonce_count: 0,
        }
    }

    /// The realm that is answered.
    #[must_use]
    pub fn realm(&self) -> &str {
        self.challenge.realm()
    }

    /// Credentials for one request. Each call uses the nonce once more, so that later requests
    /// need no challenge of their own.
    ///
    /// # Errors
    /// The user name, or a value of the challenge, does not fit into a header field.
    pub fn authorize(
        &mut self,
        credentials: &Credentials,
        request: AuthorizedRequest<'_>,
    ) -> Result<AuthCredentials, DigestError> {
        self.nonce_count = self.nonce_count.wrapping_add(1);
        let challenge = &self.challenge;
        let mut answer = AuthCredentials::new("Digest")?;
        let params = answer.params_mut();
        params.set_quoted("username", &credentials.username)?;
        params.set_quoted("realm", &challenge.realm)?;
        params.set_quoted("nonce", &challenge.nonce)?;
        params.set_quoted("uri", request.uri)?;
        params.set_quoted("response", &self.response(credentials, request))?;
        if let Some(algorithm) = &challenge.algorithm {
            params.set_token("algorithm", algorithm)?;
        }
        if let Some(opaque) = &challenge.opaque {
            params.set_quoted("opaque", opaque)?;
        }
        if let Some(qop) = self.qop() {
            params.set_token("qop", qop)?;
            params.set_token("nc", &self.nonce_count_text())?;
        }
        if self.shows_client_nonce() {
            params.set_quoted("cnonce", &self.client_nonce)?;
        }
        Ok(answer)
    }

    /// Takes the challenges of a response to a request that was authorized by this session. The
    /// server renews its nonce by `stale=true`; a new nonce without it means a refusal.
    pub fn challenged(&mut self, challenges: &[DigestChallenge]) -> Rechallenge {
        let renewal = challenges
            .iter()
            .find(|challenge| challenge.realm == self.challenge.realm && challenge.stale);
        match renewal {
            Some(challenge) if challenge.nonce != self.challenge.nonce => {
                self.challenge = challenge.clone();
                self.nonce_count = 0;
                Rechallenge::Renewed
            }
            Some(_) | None => Rechallenge::Refused,
        }
    }

    /// Takes `nextnonce` of an Authentication-Info header (RFC 7616 section 3.5).
    pub fn set_next_nonce(&mut self, nonce: &str) {
        nonce.clone_into(&mut self.challenge.nonce);
        self.nonce_count = 0;
    }

    fn qop(&self) -> Option<&'static str> {
        match self.challenge.protection {
            Protection::Legacy => None,
            Protection::Auth => Some("auth"),
            Protection::AuthInt => Some("auth-int"),
        }
    }

    fn shows_client_nonce(&self) -> bool {
        match (self.challenge.protection, self.challenge.scope) {
            (Protection::Legacy, KeyScope::Account) => false,
            (Protection::Legacy, KeyScope::Session)
            | (Protection::Auth | Protection::AuthInt, KeyScope::Account | KeyScope::Session) => {
                true
            }
        }
    }

    fn nonce_count_text(&self) -> String {
        format!("{:08x}", self.nonce_count)
    }

    /// The `response` value (RFC 7616 sections 3.4.1 to 3.4.3).
    fn response(&self, credentials: &Credentials, request: AuthorizedRequest<'_>) -> String {
        let hash = self.challenge.hash;
        let nonce = as_quoted(&self.challenge.nonce);
        let key = self.key(credentials);
        let subject = hash.hash(self.subject(request).as_bytes());
        let text = match self.qop() {
            None => format!("{key}:{nonce}:{subject}"),
            Some(qop) => format!(
                "{key}:{nonce}:{}:{}:{qop}:{subject}",
                self.nonce_count_text(),
                self.client_nonce
            ),
        };
        hash.hash(text.as_bytes())
    }

    /// H(A1).
    fn key(&self, credentials: &Credentials) -> String {
        let hash = self.challenge.hash;
        let account = format!(
            "{}:{}:{}",
            as_quoted(&credentials.username),
            as_quoted(&self.challenge.realm),
            credentials.password.expose()
        );
        let account = hash.hash(account.as_bytes());
        match self.challenge.scope {
            KeyScope::Account => account,
            KeyScope::Session => {
                let nonce = as_quoted(&self.challenge.nonce);
                hash.hash(format!("{account}:{nonce}:{}", self.client_nonce).as_bytes())
            }
        }
    }

    /// A2.
    fn subject(&self, request: AuthorizedRequest<'_>) -> String {
        let AuthorizedRequest { method, uri, body } = request;
        let method = method.as_str();
        match self.challenge.protection {
            Protection::Legacy | Protection::Auth => format!("{method}:{uri}"),
            Protection::AuthInt => {
                format!("{method}:{uri}:{}", self.challenge.hash.hash(body))
            }
        }
    }
}

/// `text` as it stands between the quotes on the wire, escapes included: so it enters the hash
/// (RFC 7616 section 3.3, `unq`).
fn as_quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar::HeaderValue as _;
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    fn challenge(text: &str) -> Challenge {
        Challenge::parse_value(text).unwrap()
    }

    fn credentials(username: &str, password: &str) -> Credentials {
        Credentials {
            username: username.into(),
            password: Secret::new(password),
        }
    }

    fn session(text: &str, client_nonce: &str) -> DigestSession {
        DigestSession {
            challenge: DigestChallenge::read(&challenge(text)).unwrap(),
            client_nonce: client_nonce.into(),
            nonce_count: 0,
        }
    }

    fn get(uri: &str) -> AuthorizedRequest<'_> {
        static METHOD: std::sync::LazyLock<Method> =
            std::sync::LazyLock::new(|| "GET".parse().unwrap());
        AuthorizedRequest {
            method: &METHOD,
            uri,
            body: b"v=0",
        }
    }

    /// RFC 7616 section 3.9.1, save `algorithm` and `qop`.
    const RFC_7616: &str = "Digest realm=\"http-auth@example.org\", \
        nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
        opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";
    const RFC_7616_CLIENT_NONCE: &str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";

    #[test]
    fn responses_are_those_of_the_rfc_and_of_openssl() {
        let table = [
            // The first two are printed in RFC 7616; the others were calculated with OpenSSL.
            ("MD5", "auth, auth-int", "8ca523f5e9506fed4657c9700eebdbec"),
            (
                "SHA-256",
                "auth, auth-int",
                "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            ),
            ("MD5", "auth-int", "3835b139d1606d821f6f96713d044ded"),
            (
                "sha-256",
                "auth-int",
                "b3a4a0111e74e28223bac4af55ade12af037f6c8a019923135a0dca0d384407f",
            ),
            ("MD5-sess", "auth", "e783283f46242139c486a698fec7211d"),
            (
                "SHA-256-SESS",
                "auth",
                "2fd51b3a77ad75bad6afad6003e818d767133c46d9e2749e7f5232ae1ea3efd7",
            ),
        ];
        for (algorithm, qop, response) in table {
            let text = format!("{RFC_7616}, algorithm={algorithm}, qop=\"{qop}\"");
            let mut session = session(&text, RFC_7616_CLIENT_NONCE);
            let answer = session
                .authorize(
                    &credentials("Mufasa", "Circle of Life"),
                    get("/dir/index.html"),
                )
                .unwrap();
            let params = answer.params();
            assert_eq!(params.get("response"), Some(response), "{algorithm} {qop}");
            assert_eq!(params.get("algorithm"), Some(algorithm));
            assert_eq!(params.get("cnonce"), Some(RFC_7616_CLIENT_NONCE));
            assert_eq!(params.get("nc"), Some("00000001"));
            let opaque = Some("FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS");
            assert_eq!(params.get("opaque"), opaque);
        }
    }

    #[test]
    fn sha_512_256_takes_names_beyond_ascii() {
        let text = "Digest realm=\"api@example.org\", qop=\"auth\", algorithm=SHA-512-256, \
            nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\"";
        let mut session = session(text, "NTg6RKcb9boFIAS3KrFK9BGeh+niz/sm");
        let answer = session
            .authorize(
                &credentials("J\u{e4}s\u{f8}n Doe", "Secret, or not?"),
                get("/doe.json"),
            )
            .unwrap();
        // Calculated with OpenSSL.
        let response = "7a4e1192babbba02e91182d2895bfdbf7adafc6e48d4e517ca301974843d840c";
        assert_eq!(answer.params().get("response"), Some(response));
    }

    #[test]
    fn a_server_of_rfc_2069_gets_neither_qop_nor_client_nonce() {
        let text = "Digest realm=\"testrealm@host.com\", \
            nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"";
        let mut session = session(text, "unused");
        let answer = session
            .authorize(
                &credentials("Mufasa", "CircleOfLife"),
                get("/dir/index.html"),
            )
            .unwrap();
        let params = answer.params();
        assert_eq!(
            params.get("response"),
            Some("1949323746fe6a43ef61f9606e7febea")
        );
        for absent in ["qop", "nc", "cnonce", "algorithm", "opaque"] {
            assert!(!params.contains(absent), "{absent}");
        }
    }

    #[test]
    fn each_use_of_a_nonce_is_counted_and_changes_the_response() {
        let text = format!("{RFC_7616}, algorithm=SHA-256, qop=\"auth\"");
        let mut session = session(&text, RFC_7616_CLIENT_NONCE);
        let mufasa = credentials("Mufasa", "Circle of Life");
        session.authorize(&mufasa, get("/dir/index.html")).unwrap();
        let second = session.authorize(&mufasa, get("/dir/index.html")).unwrap();
        assert_eq!(second.params().get("nc"), Some("00000002"));
        // Calculated with OpenSSL.
        let response = "8c8db27f49ff1c202f9fb49fa9d2e9eabf078dcc93db40dfd6527010091d1c8e";
        assert_eq!(second.params().get("response"), Some(response));
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
        .map(challenge);
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
    fn only_a_stale_nonce_is_worth_another_try() {
        let read = |nonce: &str, rest: &str| {
            let text = format!("Digest realm=\"a\", nonce=\"{nonce}\", qop=\"auth\"{rest}");
            DigestChallenge::read(&challenge(&text)).unwrap()
        };
        let table = [
            (
                "new nonce, stale",
                read("2", ", stale=TRUE"),
                Rechallenge::Renewed,
            ),
            ("new nonce, not stale", read("2", ""), Rechallenge::Refused),
            (
                "stale=false",
                read("2", ", stale=false"),
                Rechallenge::Refused,
            ),
            (
                "the same nonce again",
                read("1", ", stale=true"),
                Rechallenge::Refused,
            ),
        ];
        for (name, second, verdict) in table {
            let mut rng = ChaCha20Rng::from_seed([7; 32]);
            let mut session = DigestSession::new(read("1", ""), &mut rng);
            session
                .authorize(&credentials("a", "b"), get("sip:a"))
                .unwrap();
            assert_eq!(session.challenged(&[second]), verdict, "{name}");
            let answer = session
                .authorize(&credentials("a", "b"), get("sip:a"))
                .unwrap();
            let (nonce, count) = match verdict {
                Rechallenge::Renewed => ("2", "00000001"),
                Rechallenge::Refused => ("1", "00000002"),
            };
            assert_eq!(answer.params().get("nonce"), Some(nonce), "{name}");
            assert_eq!(answer.params().get("nc"), Some(count), "{name}");
        }
    }

    #[test]
    fn a_next_nonce_starts_its_own_count() {
        let mut session = session("Digest realm=\"a\", nonce=\"1\", qop=\"auth\"", "c");
        let anyone = credentials("a", "b");
        session.authorize(&anyone, get("sip:a")).unwrap();
        session.set_next_nonce("2");
        let answer = session.authorize(&anyone, get("sip:a")).unwrap();
        assert_eq!(answer.params().get("nonce"), Some("2"));
        assert_eq!(answer.params().get("nc"), Some("00000001"));
    }

    #[test]
    fn a_user_name_that_would_break_the_header_is_refused() {
        let mut session = session("Digest realm=\"a\", nonce=\"1\"", "c");
        let refused = session.authorize(&credentials("a\r\nX: y", "b"), get("sip:a"));
        assert!(matches!(refused, Err(DigestError::Value(_))));
    }

    #[test]
    fn the_password_is_nowhere_in_answers_or_debug() {
        let mut session = session("Digest realm=\"a\", nonce=\"1\"", "c");
        let mine = credentials("anna", "pa55word");
        let answer = session.authorize(&mine, get("sip:a")).unwrap();
        let shown = format!("{answer} {answer:?} {mine:?} {session:?}");
        assert!(!shown.contains("pa55word"), "{shown}");
    }

    proptest! {
        #[test]
        fn credentials_reach_the_server_as_they_were_hashed(
            username in "\\PC{0,12}",
            realm in "\\PC{0,12}",
            nonce in "\\PC{0,12}",
        ) {
            let mut asked = Challenge::new("Digest").unwrap();
            asked.params_mut().set_quoted("realm", &realm).unwrap();
            asked.params_mut().set_quoted("nonce", &nonce).unwrap();
            let asked = challenge(&asked.to_string());
            let challenge = DigestChallenge::read(&asked).unwrap();
            let mut rng = ChaCha20Rng::from_seed([7; 32]);
            let mut session = DigestSession::new(challenge, &mut rng);
            let answer = session
                .authorize(&credentials(&username, "b"), get("sip:a"))
                .unwrap();
            let received = AuthCredentials::parse_value(&answer.to_string()).unwrap();
            prop_assert_eq!(received.params().get("username"), Some(username.as_str()));
            prop_assert_eq!(received.params().get("realm"), Some(realm.as_str()));
            // The server hashes the raw text between the quotes.
            let text = answer.to_string();
            let raw = format!("{}:{}:b", as_quoted(&username), as_quoted(&realm));
            let needles = [
                format!("username=\"{}\"", as_quoted(&username)),
                format!("realm=\"{}\"", as_quoted(&realm)),
            ];
            for needle in needles {
                prop_assert!(text.contains(&needle), "{} in {}", needle, text);
            }
            let expected = format!(
                "{}:{}:{}",
                HashAlgorithm::Md5.hash(raw.as_bytes()),
                as_quoted(&nonce),
                HashAlgorithm::Md5.hash(b"GET:sip:a"),
            );
            let response = HashAlgorithm::Md5.hash(expected.as_bytes());
            prop_assert_eq!(received.params().get("response"), Some(response.as_str()));
        }
    }
}
