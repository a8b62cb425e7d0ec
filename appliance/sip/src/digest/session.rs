//! The answers to one realm, and the proof that its server gives in return.

use rand_core::CryptoRng;

use super::challenge::{DigestChallenge, KeyScope, Protection, UserName};
use super::hash::HashAlgorithm;
use super::{Credentials, DigestError};
use crate::grammar::{AuthCredentials, AuthenticationInfo, Method};

/// What a further challenge to an authorized request means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rechallenge {
    /// The nonce had grown old: authorize the request again and send it.
    Renewed,
    /// The server knows the nonce and still says no: user name or password are wrong. Sending them
    /// again would only lock the account.
    Refused,
}

/// Whether a server has shown that it knows the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerProof {
    /// It has.
    Proven,
    /// It says nothing of it, as most servers do.
    NotGiven,
    /// It has tried, and does not know the password.
    Wrong,
}

/// The answers to one realm: its nonce and how often it was used.
#[derive(Clone, Debug)]
pub struct DigestSession {
    challenge: DigestChallenge,
    client_nonce: String,
    /// Grows with each request (RFC 7616 section 3.4, `nc`).
    nonce_count: u32,
    /// The nonce of the challenge: what a `-sess` key is bound to, though the nonce moves on.
    key_nonce: String,
    origin: NonceOrigin,
}

/// Which request the nonce in use was asked of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NonceOrigin {
    /// The one that is being authorized: the server has just made the nonce.
    ThisRequest,
    /// An earlier one: it may have grown old.
    EarlierRequest,
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
            key_nonce: challenge.nonce.clone(),
            challenge,
            client_nonce,
            nonce_count: 0,
            origin: NonceOrigin::ThisRequest,
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
        params.set_quoted("username", &self.shown_user_name(credentials))?;
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
        if let Some(qop) = qop_name(self.challenge.protection) {
            params.set_token("qop", qop)?;
            params.set_token("nc", &self.nonce_count_text())?;
        }
        if self.shows_client_nonce() {
            params.set_quoted("cnonce", &self.client_nonce)?;
        }
        match challenge.user_name {
            UserName::Plain => {}
            UserName::Hashed => params.set_token("userhash", "true")?,
        }
        Ok(answer)
    }

    /// Whether the nonce has authorized no request yet.
    #[must_use]
    pub fn is_unused(&self) -> bool {
        self.nonce_count == 0
    }

    /// The session goes on with another request: its nonce may be old by then.
    pub fn carried_over(&mut self) {
        self.origin = NonceOrigin::EarlierRequest;
    }

    /// Takes the challenges of a response to a request that was authorized by this session. The
    /// server renews its nonce by `stale=true`. A nonce that an earlier request was given is
    /// renewed without it as well: many a server forgets its nonces and knows no `stale`. A new
    /// nonce instead of one just given means a refusal.
    pub fn challenged(&mut self, challenges: &[DigestChallenge]) -> Rechallenge {
        let renewal = challenges.iter().find(|challenge| {
            challenge.realm == self.challenge.realm
                && challenge.nonce != self.challenge.nonce
                && (challenge.stale || self.origin == NonceOrigin::EarlierRequest)
        });
        match renewal {
            Some(challenge) => {
                self.key_nonce.clone_from(&challenge.nonce);
                self.challenge = challenge.clone();
                self.nonce_count = 0;
                self.origin = NonceOrigin::ThisRequest;
                Rechallenge::Renewed
            }
            None => Rechallenge::Refused,
        }
    }

    /// Takes `nextnonce` of an Authentication-Info header (RFC 7616 section 3.5).
    pub fn set_next_nonce(&mut self, nonce: &str) {
        if self.challenge.nonce != nonce {
            nonce.clone_into(&mut self.challenge.nonce);
            self.nonce_count = 0;
        }
        self.origin = NonceOrigin::EarlierRequest;
    }

    /// Whether the server that answered knows the password too (`rspauth`, RFC 7616 section 3.5).
    ///
    /// `uri` is that of the request which this session authorized last, `body` that of the answer.
    #[must_use]
    pub fn prove_server(
        &self,
        credentials: &Credentials,
        info: &AuthenticationInfo,
        uri: &str,
        body: &[u8],
    ) -> ServerProof {
        let given = |name| info.params().get(name).filter(|value| !value.is_empty());
        let Some(given_proof) = given("rspauth") else {
            return ServerProof::NotGiven;
        };
        if given("cnonce").is_some_and(|cnonce| cnonce != self.client_nonce) {
            return ServerProof::Wrong;
        }
        // What the server says that it protects counts: it may leave the body out.
        let protection = match given("qop") {
            Some(qop) if qop.eq_ignore_ascii_case("auth") => Protection::Auth,
            Some(qop) if qop.eq_ignore_ascii_case("auth-int") => Protection::AuthInt,
            Some(_) => return ServerProof::Wrong,
            None => self.challenge.protection,
        };
        let subject = subject("", uri, body, protection, self.challenge.hash);
        let expected = self.proof(credentials, protection, &subject);
        if given_proof.eq_ignore_ascii_case(&expected) {
            ServerProof::Proven
        } else {
            ServerProof::Wrong
        }
    }

    fn shown_user_name(&self, credentials: &Credentials) -> String {
        match self.challenge.user_name {
            UserName::Plain => credentials.username.clone(),
            UserName::Hashed => {
                let (user, realm) = (&credentials.username, &self.challenge.realm);
                let text = format!("{}:{}", as_quoted(user), as_quoted(realm));
                self.challenge.hash.hash(text.as_bytes())
            }
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
        let AuthorizedRequest { method, uri, body } = request;
        let protection = self.challenge.protection;
        let subject = subject(method.as_str(), uri, body, protection, self.challenge.hash);
        self.proof(credentials, protection, &subject)
    }

    /// What proves the password for A2 = `subject`: `response` of a client, `rspauth` of a server.
    fn proof(&self, credentials: &Credentials, protection: Protection, subject: &str) -> String {
        let hash = self.challenge.hash;
        let nonce = as_quoted(&self.challenge.nonce);
        let key = self.key(credentials);
        let subject = hash.hash(subject.as_bytes());
        let text = match qop_name(protection) {
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
                let nonce = as_quoted(&self.key_nonce);
                hash.hash(format!("{account}:{nonce}:{}", self.client_nonce).as_bytes())
            }
        }
    }
}

fn qop_name(protection: Protection) -> Option<&'static str> {
    match protection {
        Protection::Legacy => None,
        Protection::Auth => Some("auth"),
        Protection::AuthInt => Some("auth-int"),
    }
}

/// A2. A server's own proof has no method.
fn subject(
    method: &str,
    uri: &str,
    body: &[u8],
    protection: Protection,
    hash: HashAlgorithm,
) -> String {
    match protection {
        Protection::Legacy | Protection::Auth => format!("{method}:{uri}"),
        Protection::AuthInt => format!("{method}:{uri}:{}", hash.hash(body)),
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
    use crate::grammar::{Challenge, HeaderValue as _};
    use crate::secret::Secret;
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
        let mut rng = ChaCha20Rng::from_seed([7; 32]);
        let challenge = DigestChallenge::read(&challenge(text)).unwrap();
        DigestSession {
            client_nonce: client_nonce.into(),
            ..DigestSession::new(challenge, &mut rng)
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
    fn a_nonce_of_an_earlier_request_is_renewed_without_a_word_but_only_once() {
        let read = |nonce: &str| {
            let text = format!("Digest realm=\"a\", nonce=\"{nonce}\", qop=\"auth\"");
            DigestChallenge::read(&challenge(&text)).unwrap()
        };
        let mut session = session("Digest realm=\"a\", nonce=\"1\", qop=\"auth\"", "c");
        session.carried_over();
        assert_eq!(session.challenged(&[read("2")]), Rechallenge::Renewed);
        assert_eq!(session.challenged(&[read("3")]), Rechallenge::Refused);
        session.carried_over();
        assert_eq!(
            session.challenged(&[read("2")]),
            Rechallenge::Refused,
            "the same"
        );
    }

    #[test]
    fn the_key_of_a_session_algorithm_stays_that_of_the_challenge() {
        let text = "Digest realm=\"a\", nonce=\"1\", qop=\"auth\", algorithm=MD5-sess";
        let mut session = session(text, "c");
        let anyone = credentials("a", "b");
        session.authorize(&anyone, get("sip:a")).unwrap();
        session.set_next_nonce("2");
        let answer = session.authorize(&anyone, get("sip:a")).unwrap();
        let md5 = |text: &str| HashAlgorithm::Md5.hash(text.as_bytes());
        let key = md5(&format!("{}:1:c", md5("a:a:b")));
        let expected = md5(&format!("{key}:2:00000001:c:auth:{}", md5("GET:sip:a")));
        assert_eq!(answer.params().get("response"), Some(expected.as_str()));
    }

    #[test]
    fn a_server_proves_that_it_knows_the_password() {
        // Calculated with another implementation of the hashes, over the values of RFC 7616
        // section 3.9.1.
        let table = [
            (
                "MD5",
                "auth",
                "9b712497bc9f91499fbcca1dfc5f09a5",
                ServerProof::Proven,
            ),
            (
                "MD5",
                "auth-int",
                "31b34b7281e1d7f5296f1722380633d3",
                ServerProof::Proven,
            ),
            (
                "SHA-256",
                "auth",
                "86d3b25618d41854ca5039a5d7e53ff6355d5134a9b1fb088a78ac3c462195a0",
                ServerProof::Proven,
            ),
            (
                "SHA-256",
                "auth-int",
                "ed175a843fc0bb2aa940d08b72b276a27a282618bf0303000bfb5f93cca35bb0",
                ServerProof::Proven,
            ),
            // Our own response, sent back.
            (
                "MD5",
                "auth",
                "8ca523f5e9506fed4657c9700eebdbec",
                ServerProof::Wrong,
            ),
            (
                "MD5",
                "auth-conf",
                "9b712497bc9f91499fbcca1dfc5f09a5",
                ServerProof::Wrong,
            ),
            ("MD5", "auth", "", ServerProof::NotGiven),
        ];
        let mufasa = credentials("Mufasa", "Circle of Life");
        for (algorithm, qop, proof, verdict) in table {
            let text = format!("{RFC_7616}, algorithm={algorithm}, qop=\"auth, auth-int\"");
            let mut session = session(&text, RFC_7616_CLIENT_NONCE);
            session.authorize(&mufasa, get("/dir/index.html")).unwrap();
            let text = format!("qop={qop}, rspauth=\"{proof}\", nc=00000001");
            let info = AuthenticationInfo::parse_value(&text).unwrap();
            let proven = session.prove_server(&mufasa, &info, "/dir/index.html", b"v=0");
            assert_eq!(proven, verdict, "{algorithm} {text}");
            let another =
                AuthenticationInfo::parse_value(&format!("{text}, cnonce=\"x\"")).unwrap();
            let proven = session.prove_server(&mufasa, &another, "/dir/index.html", b"v=0");
            assert_ne!(proven, ServerProof::Proven, "the answer to somebody else");
        }
    }

    #[test]
    fn a_server_of_rfc_2069_proves_itself_without_counts() {
        let mufasa = credentials("Mufasa", "Circle of Life");
        let mut session = session(&format!("{RFC_7616}, algorithm=SHA-256"), "unused");
        session.authorize(&mufasa, get("/dir/index.html")).unwrap();
        let proof = "a5e56293281a7f4fa38ce4546158e549b559a3b138db8579d856e77e2cfab87c";
        let info = AuthenticationInfo::parse_value(&format!("rspauth=\"{proof}\"")).unwrap();
        let proven = session.prove_server(&mufasa, &info, "/dir/index.html", b"");
        assert_eq!(proven, ServerProof::Proven);
    }

    #[test]
    fn a_user_name_is_hashed_when_the_server_asks_for_it_and_only_then() {
        for (wish, name, flag) in [
            (
                ", userhash=true",
                "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b",
                Some("true"),
            ),
            (", userhash=false", "J\u{e4}s\u{f8}n Doe", None),
            ("", "J\u{e4}s\u{f8}n Doe", None),
        ] {
            let text = format!(
                "Digest realm=\"api@example.org\", qop=\"auth\", algorithm=SHA-512-256, \
                 nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\"{wish}"
            );
            let mut session = session(&text, "NTg6RKcb9boFIAS3KrFK9BGeh+niz/sm");
            let jason = credentials("J\u{e4}s\u{f8}n Doe", "Secret, or not?");
            let answer = session.authorize(&jason, get("/doe.json")).unwrap();
            assert_eq!(answer.params().get("username"), Some(name));
            assert_eq!(answer.params().get("userhash"), flag);
            // The response is that of the name in the clear, in all three cases.
            let response = "7a4e1192babbba02e91182d2895bfdbf7adafc6e48d4e517ca301974843d840c";
            assert_eq!(answer.params().get("response"), Some(response));
        }
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
