//! Answers to digest challenges, carried along with the request that was challenged.

use rand_core::CryptoRng;

use crate::digest::{
    AuthorizedRequest, Credentials, DigestChallenge, DigestSession, Rechallenge, ServerProof,
};
use crate::grammar::{
    AuthenticationInfo, Challenge, HeaderName, Headers, Request, Response, StatusCode,
};

/// Realms that may challenge one request: a registrar, and the proxies before it.
const MAX_REALMS: usize = 4;
/// How often one request is authorized again, stale nonces included.
const MAX_ROUNDS: u8 = 6;

/// Who challenged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Challenger {
    /// WWW-Authenticate.
    Server,
    /// Proxy-Authenticate.
    Proxy,
}

impl Challenger {
    const ALL: [Self; 2] = [Self::Server, Self::Proxy];

    fn challenge_header(self) -> HeaderName {
        match self {
            Self::Server => HeaderName::WwwAuthenticate,
            Self::Proxy => HeaderName::ProxyAuthenticate,
        }
    }

    fn credentials_header(self) -> HeaderName {
        match self {
            Self::Server => HeaderName::Authorization,
            Self::Proxy => HeaderName::ProxyAuthorization,
        }
    }

    fn info_header(self) -> HeaderName {
        match self {
            Self::Server => HeaderName::AuthenticationInfo,
            Self::Proxy => HeaderName::ProxyAuthenticationInfo,
        }
    }
}

/// The challenges that a request has answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Authorization {
    sessions: Vec<(Challenger, DigestSession)>,
    rounds: u8,
}

impl Authorization {
    /// Whether no challenge has been answered.
    pub(crate) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Whether a server has named a nonce for the next request.
    pub(crate) fn has_next_nonce(&self) -> bool {
        self.sessions.iter().any(|(_, session)| session.is_unused())
    }

    /// Puts credentials for the challenges of `response`, and for those answered before, into
    /// `request`. False when it makes no sense to send it: there are no credentials, the challenge
    /// is of a kind that we do not have, or the credentials were refused.
    pub(crate) fn answer(
        &mut self,
        response: &Response,
        request: &mut Request,
        credentials: Option<&Credentials>,
        rng: &mut impl CryptoRng,
    ) -> bool {
        let Some(credentials) = credentials else {
            return false;
        };
        self.rounds += 1;
        if self.rounds > MAX_ROUNDS || !self.take_challenges(response, rng) {
            return false;
        }
        self.write(request, credentials)
    }

    /// Puts credentials into a further request, before anybody asks for them.
    pub(crate) fn answer_ahead(
        &mut self,
        request: &mut Request,
        credentials: Option<&Credentials>,
    ) -> bool {
        self.carried_over();
        credentials.is_some_and(|credentials| self.write(request, credentials))
    }

    /// The same challenges are met by another request, or at another server.
    pub(crate) fn carried_over(&mut self) {
        self.rounds = 0;
        for (_, session) in &mut self.sessions {
            session.carried_over();
        }
    }

    /// A response may hold challenges of both kinds, whatever its status: proxies that fork collect
    /// them (RFC 3261 section 22.3).
    fn take_challenges(&mut self, response: &Response, rng: &mut impl CryptoRng) -> bool {
        let mut answered = false;
        for challenger in Challenger::ALL {
            let challenges: Vec<Challenge> = response
                .headers
                .values::<Challenge>(&challenger.challenge_header())
                .filter_map(Result::ok)
                .collect();
            let Ok(selected) = DigestChallenge::select(&challenges) else {
                if is_of(response.status(), challenger) {
                    return false;
                }
                continue;
            };
            for challenge in &selected {
                if !self.take_challenge(challenger, challenge, rng) {
                    return false;
                }
            }
            answered = true;
        }
        answered && self.sessions.len() <= MAX_REALMS
    }

    fn take_challenge(
        &mut self,
        challenger: Challenger,
        challenge: &DigestChallenge,
        rng: &mut impl CryptoRng,
    ) -> bool {
        let known = self
            .sessions
            .iter_mut()
            .find(|(who, session)| *who == challenger && session.realm() == challenge.realm());
        match known {
            Some((_, session)) => match session.challenged(std::slice::from_ref(challenge)) {
                Rechallenge::Renewed => true,
                Rechallenge::Refused => false,
            },
            None => {
                let session = DigestSession::new(challenge.clone(), rng);
                self.sessions.push((challenger, session));
                true
            }
        }
    }

    fn write(&mut self, request: &mut Request, credentials: &Credentials) -> bool {
        request.headers.remove(&HeaderName::Authorization);
        request.headers.remove(&HeaderName::ProxyAuthorization);
        let (method, uri, body) = (
            request.method().clone(),
            request.uri().to_string(),
            request.body().clone(),
        );
        for (challenger, session) in &mut self.sessions {
            let authorized = AuthorizedRequest {
                method: &method,
                uri: &uri,
                body: &body,
            };
            let Ok(answer) = session.authorize(credentials, authorized) else {
                return false;
            };
            request
                .headers
                .push_value(challenger.credentials_header(), &answer);
        }
        true
    }

    /// Checks what the servers that let a request pass say of themselves, and notes the nonces that
    /// they want next: of those only that know the password too.
    pub(crate) fn take_infos(
        &mut self,
        response: &Response,
        request: &Request,
        credentials: Option<&Credentials>,
    ) -> ServerProof {
        let Some(credentials) = credentials else {
            return ServerProof::NotGiven;
        };
        let uri = request.uri().to_string();
        let mut verdict = ServerProof::NotGiven;
        for challenger in Challenger::ALL {
            let mut sessions = self
                .sessions
                .iter_mut()
                .filter(|(who, _)| *who == challenger)
                .map(|(_, session)| session);
            // The header field names no realm: it has a meaning only where there is one.
            let (Some(session), None) = (sessions.next(), sessions.next()) else {
                continue;
            };
            let Some(info) = info_of(&response.headers, challenger) else {
                continue;
            };
            let proof = session.prove_server(credentials, &info, &uri, response.body());
            match (proof, info.params().get("nextnonce")) {
                (ServerProof::Proven | ServerProof::NotGiven, Some(nonce)) => {
                    session.set_next_nonce(nonce);
                }
                (ServerProof::Proven | ServerProof::NotGiven | ServerProof::Wrong, _) => {}
            }
            verdict = worse(verdict, proof);
        }
        verdict
    }
}

fn is_of(status: StatusCode, challenger: Challenger) -> bool {
    match challenger {
        Challenger::Server => status == StatusCode::UNAUTHORIZED,
        Challenger::Proxy => status == StatusCode::PROXY_AUTHENTICATION_REQUIRED,
    }
}

fn info_of(headers: &Headers, challenger: Challenger) -> Option<AuthenticationInfo> {
    headers.value(&challenger.info_header()).ok().flatten()
}

fn worse(one: ServerProof, other: ServerProof) -> ServerProof {
    match (one, other) {
        (ServerProof::Wrong, _) | (_, ServerProof::Wrong) => ServerProof::Wrong,
        (ServerProof::Proven, _) | (_, ServerProof::Proven) => ServerProof::Proven,
        (ServerProof::NotGiven, ServerProof::NotGiven) => ServerProof::NotGiven,
    }
}
