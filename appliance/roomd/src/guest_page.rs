//! The page of browser guests: a placeholder that says so, until the page itself is built in.

/// One file of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asset {
    /// Where it is served: `/join`, or a path that begins with `/guest/assets/`.
    pub path: &'static str,
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// What is served.
    pub bytes: &'static [u8],
    /// The value of `ETag`, with its quotation marks.
    pub etag: &'static str,
}

/// All files of the page.
pub static ASSETS: &[Asset] = &[Asset {
    path: "/join",
    content_type: "text/html; charset=utf-8",
    bytes:
        b"<!doctype html><html lang=\"en\"><title>Join</title><h1>Join the meeting</h1></html>\n",
    etag: "\"placeholder\"",
}];

/// The file that is served at `path`.
#[must_use]
pub fn asset(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}
