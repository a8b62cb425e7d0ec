//! Refusals that are not the room's: problems in JSON, in the client's language.

use std::convert::Infallible;
use std::fmt::Display;

use api::{Language, Localized, Problem, ProblemCode};
use axum::extract::FromRequestParts;
use axum::http::header::{ACCEPT_LANGUAGE, ALLOW, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

/// The language that the client asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Speaks(pub(super) Language);

impl Speaks {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let header = headers
            .get(ACCEPT_LANGUAGE)
            .and_then(|value| value.to_str().ok());
        Self(header.map_or_else(Language::default, Language::from_accept_language))
    }
}

impl<S: Sync> FromRequestParts<S> for Speaks {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

/// A problem on its way to the client.
#[derive(Debug)]
pub(super) struct Refusal {
    code: ProblemCode,
    language: Language,
    detail: Option<String>,
}

impl Refusal {
    pub(super) fn new(code: ProblemCode, Speaks(language): Speaks) -> Self {
        Self {
            code,
            language,
            detail: None,
        }
    }

    /// Adds what exactly is wrong, in the words of the one who found it.
    pub(super) fn because(mut self, detail: impl Display) -> Self {
        self.detail = Some(detail.to_string());
        self
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let words = self.code.text(self.language);
        let message = match self.detail {
            None => words.into_owned(),
            Some(detail) => format!("{words}: {detail}"),
        };
        let problem = Problem {
            code: self.code,
            status: self.code.status(),
            message,
            hint: self.code.hint(self.language).to_owned(),
        };
        let status = StatusCode::from_u16(problem.status).expect("every code has a valid status");
        let body = serde_json::to_vec(&problem).expect("a problem is plain data");
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        match self.code {
            ProblemCode::Unauthorized => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            // The list itself is in the OpenAPI text; an Allow header must exist (RFC 9110
            // section 15.5.6), and an empty one is allowed.
            ProblemCode::MethodNotAllowed => {
                headers.entry(ALLOW).or_insert(HeaderValue::from_static(""));
            }
            ProblemCode::ForeignHost
            | ProblemCode::ForeignOrigin
            | ProblemCode::UnknownPath
            | ProblemCode::BodyTooLarge
            | ProblemCode::NotJson
            | ProblemCode::InvalidBody
            | ProblemCode::InvalidQuery
            | ProblemCode::InvalidLeg
            | ProblemCode::InvalidDigits
            | ProblemCode::InvalidVolume
            | ProblemCode::NoPicture
            | ProblemCode::NoSipLadder
            | ProblemCode::NoGuests
            | ProblemCode::NoAcme
            | ProblemCode::UnknownInvitation
            | ProblemCode::InvalidInvitation
            | ProblemCode::TooManyInvitations
            | ProblemCode::NotStored
            | ProblemCode::WebSocketOnly
            | ProblemCode::Overloaded
            | ProblemCode::RoomGone
            | ProblemCode::TimedOut
            | ProblemCode::PictureFailed => {}
        }
        response
    }
}
