//! What a page is told when it does not get what it asks for: a code for the page, words for people.

use axum::Json;
use axum::http::header::{ALLOW, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The link is unknown, has expired or was revoked: nobody is told which.
    LinkNotValid,
    /// Too many wrong links from there.
    TooManyAttempts,
    /// Too many sessions or WebSockets in a minute.
    TooManyConnections,
    /// What stands for the name is none.
    InvalidName,
    /// All places are taken.
    MeetingFull,
    /// There is no session, or it is over.
    NoSession,
    /// The request is of another site's page.
    ForeignOrigin,
    /// The request cannot be understood.
    InvalidRequest,
    /// The request is too large.
    BodyTooLarge,
    /// A WebSocket is served there, and nothing else.
    WebSocketOnly,
    /// There is no such page.
    NotFound,
    /// The method is not served there.
    MethodNotAllowed,
    /// The request took too long.
    TimedOut,
    /// The room cannot do it now.
    Failed,
}

#[derive(Debug, Serialize)]
struct Body {
    code: &'static str,
    message: Words,
}

#[derive(Debug, Serialize)]
struct Words {
    en: &'static str,
    zh: &'static str,
}

impl Refusal {
    #[cfg(test)]
    const ALL: [Self; 14] = [
        Self::LinkNotValid,
        Self::TooManyAttempts,
        Self::TooManyConnections,
        Self::InvalidName,
        Self::MeetingFull,
        Self::NoSession,
        Self::ForeignOrigin,
        Self::InvalidRequest,
        Self::BodyTooLarge,
        Self::WebSocketOnly,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::TimedOut,
        Self::Failed,
    ];

    fn status_and_code(self) -> (StatusCode, &'static str) {
        match self {
            Self::LinkNotValid => (StatusCode::FORBIDDEN, "link_not_valid"),
            Self::TooManyAttempts => (StatusCode::TOO_MANY_REQUESTS, "too_many_attempts"),
            Self::TooManyConnections => (StatusCode::TOO_MANY_REQUESTS, "too_many_connections"),
            Self::InvalidName => (StatusCode::BAD_REQUEST, "invalid_name"),
            Self::MeetingFull => (StatusCode::SERVICE_UNAVAILABLE, "meeting_full"),
            Self::NoSession => (StatusCode::UNAUTHORIZED, "no_session"),
            Self::ForeignOrigin => (StatusCode::FORBIDDEN, "foreign_origin"),
            Self::InvalidRequest => (StatusCode::BAD_REQUEST, "invalid_request"),
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::WebSocketOnly => (StatusCode::UPGRADE_REQUIRED, "web_socket_only"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::TimedOut => (StatusCode::REQUEST_TIMEOUT, "timed_out"),
            Self::Failed => (StatusCode::SERVICE_UNAVAILABLE, "failed"),
        }
    }

    fn words(self) -> Words {
        let (en, zh) = match self {
            Self::LinkNotValid => (
                "This link is not valid, or not any more. Ask whoever sent it for a new one.",
                "此链接无效或已失效。请向发送者索取新链接。",
            ),
            Self::TooManyAttempts => (
                "Too many wrong links came from your network. Try again in ten minutes.",
                "来自您所在网络的错误链接过多。请在十分钟后重试。",
            ),
            Self::TooManyConnections => (
                "This page connects too often. Try again in a minute.",
                "此页面连接过于频繁。请在一分钟后重试。",
            ),
            Self::InvalidName => (
                "Give a name of 1 to 64 characters.",
                "请输入 1 至 64 个字符的名称。",
            ),
            Self::MeetingFull => (
                "The meeting is full. Try again when somebody has left.",
                "会议人数已满。请在有人离开后重试。",
            ),
            Self::NoSession => (
                "You are not signed in, or not any more. Open your link again.",
                "您尚未登录或登录已失效。请重新打开链接。",
            ),
            Self::ForeignOrigin => (
                "Another site's page cannot do that. Open the link itself.",
                "其他网站的页面不能执行此操作。请直接打开链接。",
            ),
            Self::InvalidRequest => (
                "The room does not understand this page. Reload it.",
                "会议室无法理解此页面的请求。请重新加载页面。",
            ),
            Self::BodyTooLarge => ("That is too large.", "内容过大。"),
            Self::WebSocketOnly => (
                "Only a WebSocket is served here.",
                "此处仅提供 WebSocket 服务。",
            ),
            Self::NotFound => (
                "There is no such page. Open the link that you were sent.",
                "没有此页面。请打开您收到的链接。",
            ),
            Self::MethodNotAllowed => ("That cannot be done here.", "此处不能执行该操作。"),
            Self::TimedOut => ("That took too long. Try again.", "操作超时。请重试。"),
            Self::Failed => (
                "The room cannot do that now. Try again later.",
                "会议室现在无法完成此操作。请稍后重试。",
            ),
        };
        Words { en, zh }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code) = self.status_and_code();
        let message = self.words();
        let mut response = (status, Json(Body { code, message })).into_response();
        let headers = response.headers_mut();
        match self {
            Self::TooManyAttempts => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("600"));
            }
            Self::TooManyConnections => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("60"));
            }
            // One must exist (RFC 9110 section 15.5.6), and may be empty.
            Self::MethodNotAllowed => {
                headers.entry(ALLOW).or_insert(HeaderValue::from_static(""));
            }
            Self::LinkNotValid
            | Self::InvalidName
            | Self::MeetingFull
            | Self::NoSession
            | Self::ForeignOrigin
            | Self::InvalidRequest
            | Self::BodyTooLarge
            | Self::WebSocketOnly
            | Self::NotFound
            | Self::TimedOut
            | Self::Failed => {}
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_has_a_code_of_its_own_and_words_in_both_languages() {
        let codes: BTreeSet<_> = Refusal::ALL
            .iter()
            .map(|it| it.status_and_code().1)
            .collect();
        assert_eq!(codes.len(), Refusal::ALL.len());
        for refusal in Refusal::ALL {
            let Words { en, zh } = refusal.words();
            assert!(en.is_ascii() && en.ends_with('.'), "{en}");
            assert!(!zh.is_ascii() && zh.ends_with('。'), "{zh}");
        }
    }
}
