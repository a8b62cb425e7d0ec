//! The headers around every answer to a page, and those by which a page is known.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, HOST, ORIGIN, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use config::PublicUrl;

use super::token::Token;

/// The cookie of a session. The prefix has browsers keep it to HTTPS, to this host and to the path `/`.
const COOKIE_NAME: &str = "__Host-roomd_guest";

const CONTENT_SECURITY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     connect-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; \
     frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
const PERMISSIONS: &str = "camera=(self), microphone=(self), display-capture=(self), \
     speaker-selection=(self), fullscreen=(self), screen-wake-lock=(self), autoplay=(self), \
     geolocation=(), usb=(), serial=(), bluetooth=(), payment=()";

/// Whether browsers are told to come by HTTPS alone, for half a year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TransportSecurity {
    /// They are: the owner's certificate is one that they trust.
    Strict,
    /// They are not: who does not trust the room's own authority could not pass the warning any more.
    Lenient,
}

/// Puts the headers on an answer that protect the page.
pub(super) fn protect(headers: &mut HeaderMap, transport_security: TransportSecurity) {
    let safe = [
        (CONTENT_SECURITY_POLICY, CONTENT_SECURITY),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("permissions-policy"), PERMISSIONS),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in safe {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // What is not said to be kept is of one guest.
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    match transport_security {
        TransportSecurity::Strict => {
            let half_a_year = HeaderValue::from_static("max-age=15552000");
            headers.insert(STRICT_TRANSPORT_SECURITY, half_a_year);
        }
        TransportSecurity::Lenient => {}
    }
}

/// Whether a request is of a page that this server has served: its `Origin` is the host that it asks, or
/// the public one. A browser sends the one always with what changes something and with a WebSocket,
/// and lets no page choose either.
pub(super) fn is_own_page(headers: &HeaderMap, public_url: &PublicUrl) -> bool {
    let origin = only(headers, &ORIGIN).and_then(|origin| origin.strip_prefix("https://"));
    let host = only(headers, &HOST);
    origin.zip(host).is_some_and(|(origin, host)| {
        let same = |other: &str| without_default_port(origin).eq_ignore_ascii_case(other);
        same(without_default_port(host)) || same(&public_url.authority())
    })
}

fn without_default_port(authority: &str) -> &str {
    authority.strip_suffix(":443").unwrap_or(authority)
}

/// The value of a header that is there exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// The session's cookie that a request shows (RFC 6265 section 4.2).
pub(super) fn shown_cookie(headers: &HeaderMap) -> Option<Token> {
    let pairs = headers.get_all(COOKIE).iter();
    let pairs = pairs.filter_map(|value| value.to_str().ok());
    let mut pairs = pairs.flat_map(|value| value.split(';')).map(str::trim);
    pairs.find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        (name == COOKIE_NAME).then(|| Token::parse(value)).flatten()
    })
}

/// The header that gives a page its cookie, for so many seconds.
pub(super) fn set_cookie(cookie: &Token, seconds: u64) -> HeaderValue {
    cookie_header(cookie.expose(), seconds)
}

/// The header that takes it away.
pub(super) fn clear_cookie() -> HeaderValue {
    cookie_header("", 0)
}

fn cookie_header(value: &str, seconds: u64) -> HeaderValue {
    let text = format!(
        "{COOKIE_NAME}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Strict"
    );
    let mut header = HeaderValue::from_str(&text).expect("hexadecimal digits are visible ASCII");
    header.set_sensitive(true);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(HeaderName, &str)]) -> HeaderMap {
        let value = |text: &str| HeaderValue::from_str(text).unwrap();
        let lines = lines.iter();
        lines
            .map(|(name, text)| (name.clone(), value(text)))
            .collect()
    }

    #[test]
    fn a_page_of_this_server_is_known_by_its_origin() {
        let url = PublicUrl::new("https://room.example.com").unwrap();
        for (host, origin, own) in [
            ("192.0.2.7:8443", "https://192.0.2.7:8443", true),
            ("room.example.com", "https://room.example.com", true),
            ("room.example.com:443", "https://room.example.com", true),
            ("Room.example.com", "https://room.example.com", true),
            // By way of somebody who passes requests on.
            ("10.0.0.1:8443", "https://room.example.com", true),
            ("room.example.com", "http://room.example.com", false),
            ("room.example.com", "https://evil.example.com", false),
            ("room.example.com", "https://room.example.com:8443", false),
            ("room.example.com", "null", false),
        ] {
            let headers = headers(&[(HOST, host), (ORIGIN, origin)]);
            assert_eq!(is_own_page(&headers, &url), own, "{host} {origin}");
        }
        assert!(!is_own_page(&headers(&[(HOST, "room.example.com")]), &url));
        let twice = [(HOST, "a.example"), (ORIGIN, "https://a.example")];
        let mut twice = headers(&twice);
        twice.append(ORIGIN, HeaderValue::from_static("https://b.example"));
        assert!(!is_own_page(&twice, &url));
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let token = Token::generate().unwrap();
        let value = format!("a=b; {COOKIE_NAME}={}; c=d", token.expose());
        assert_eq!(shown_cookie(&headers(&[(COOKIE, &value)])), Some(token));
        for value in ["", "a=b", "__Host-roomd_guest=short", "__Host-roomd_guest"] {
            assert_eq!(shown_cookie(&headers(&[(COOKIE, value)])), None);
        }
    }
}
