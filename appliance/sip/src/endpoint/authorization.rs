//! Answers to digest challenges, carried along with the request that was challenged.

use rand_core::CryptoRng;

use crate::digest::{AuthorizedRequest, Credentials, DigestChallenge, DigestSession, Rechallenge};
use crate::grammar::{Challenge, HeaderName, Request, Response, StatusCode};

/// Realms that may challenge one request: a registrar, and the proxies before it.
const MAX_REALMS: usize = 4;
/// How often one request is authorized again, stale nonces included.
const MAX_ROUNDS: u8 = 6;

/// Who challenged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Challenger {
    /// 401.
    Server,
    /// 407.
    Proxy,
}

impl Challenger {
    fn credentials_header(self) -> HeaderName {
        match self {
            Self::Server => HeaderName::Authorization,
            Self::Proxy => HeaderName::ProxyAuthorization,
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

    fn take_challenges(&mut self, response: &Response, rng: &mut impl CryptoRng) -> bool {
        let (challenger, header) = if response.status() == StatusCode::UNAUTHORIZED {
            (Challenger::Server, HeaderName::WwwAuthenticate)
        } else {
            (Challenger::Proxy, HeaderName::ProxyAuthenticate)
        };
        let challenges: Vec<Challenge> = response
            .headers
            .values::<Challenge>(&header)
            .filter_map(Result::ok)
            .collect();
        let Ok(selected) = DigestChallenge::select(&challenges) else {
            return false;
        };
        for challenge in &selected {
            let known = self
                .sessions
                .iter_mut()
                .find(|(who, session)| *who == challenger && session.realm() == challenge.realm());
            match known {
                Some((_, session)) => match session.challenged(&selected) {
                    Rechallenge::Renewed => {}
                    Rechallenge::Refused => return false,
                },
                None => {
                    let session = DigestSession::new(challenge.clone(), rng);
                    self.sessions.push((challenger, session));
                }
            }
        }
        self.sessions.len() <= MAX_REALMS
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
}
