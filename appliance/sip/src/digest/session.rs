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
mod tests;
