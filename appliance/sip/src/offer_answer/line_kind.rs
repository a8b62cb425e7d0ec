//! What an `m=` line of the peer is for.

use super::content::BfcpTransport;
use super::local::{Medium, RtpProfile};
use super::remote::RemoteLine;

/// The kinds of line that room systems offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineKind {
    /// RTP of a medium that we know.
    Stream(Medium),
    /// BFCP over a transport that we speak (RFC 8856).
    FloorControl(BfcpTransport),
    /// H.281 in H.224 (RFC 4573): the peer wants to move our camera, or offers its own. Known, so
    /// that the refusal has its reason, and not taken.
    FarEndCamera,
    /// Anything else.
    Other,
}

impl LineKind {
    /// Whether a call can consist of such a line alone.
    pub(super) fn is_main(self) -> bool {
        match self {
            Self::Stream(Medium::Audio | Medium::Video) => true,
            Self::Stream(Medium::Slides)
            | Self::FloorControl(_)
            | Self::FarEndCamera
            | Self::Other => false,
        }
    }
}

impl BfcpTransport {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP/BFCP",
            Self::Tcp => "TCP/BFCP",
            Self::Tls => "TCP/TLS/BFCP",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Udp, Self::Tcp, Self::Tls]
            .into_iter()
            .find(|transport| transport.name().eq_ignore_ascii_case(name))
    }
}

impl RemoteLine<'_> {
    /// What the line is for. Of two video lines `a=content` tells which shows slides (RFC 4796), or
    /// else that a floor is tied to it (RFC 8856 section 5.4): older systems name no content.
    pub(super) fn kind(&self) -> LineKind {
        let is = |name: &str| self.media.media.eq_ignore_ascii_case(name);
        if is("application") {
            return self.application_kind();
        }
        let contents: Vec<&str> = self
            .values("content")
            .flat_map(|content| content.split(','))
            .map(str::trim)
            .collect();
        let has = |name: &str| contents.iter().any(|part| part.eq_ignore_ascii_case(name));
        let main = contents.is_empty() || has("main");
        if is("audio") && main {
            LineKind::Stream(Medium::Audio)
        } else if is("video") && (has("slides") || contents.is_empty() && self.has_floor()) {
            LineKind::Stream(Medium::Slides)
        } else if is("video") && main {
            LineKind::Stream(Medium::Video)
        } else {
            LineKind::Other
        }
    }

    fn application_kind(&self) -> LineKind {
        if let Some(transport) = BfcpTransport::parse(&self.media.proto) {
            return LineKind::FloorControl(transport);
        }
        let is_h224 = RtpProfile::parse(&self.media.proto).is_some()
            && self.values("rtpmap").any(|rtpmap| {
                rtpmap
                    .split_once(' ')
                    .and_then(|(_, encoding)| encoding.trim().split('/').next())
                    .is_some_and(|name| name.eq_ignore_ascii_case("H224"))
            });
        if is_h224 {
            LineKind::FarEndCamera
        } else {
            LineKind::Other
        }
    }

    /// Whether a floor is tied to this line, which is not the first of its medium.
    fn has_floor(&self) -> bool {
        let first = self
            .siblings()
            .find(|line| line.media.media.eq_ignore_ascii_case(&self.media.media));
        if first.is_none_or(|first| std::ptr::eq(first.media, self.media)) {
            return false;
        }
        self.values("label").any(|label| {
            self.siblings()
                .flat_map(|line| line.values("floorid"))
                .flat_map(tied_labels)
                .any(|tied| tied == label.trim())
        })
    }
}

/// The labels in `<floor> mstrm:<label> <label>`; drafts of the standard wrote `m-stream`.
fn tied_labels(floorid: &str) -> impl Iterator<Item = &str> {
    let mut words = floorid.split_ascii_whitespace();
    words.next();
    words.map(|word| {
        word.strip_prefix("mstrm:")
            .or_else(|| word.strip_prefix("m-stream:"))
            .unwrap_or(word)
    })
}

#[cfg(test)]
mod tests {
    use super::super::remote::RemoteDescription;
    use super::*;

    fn kinds(lines: &str) -> Vec<LineKind> {
        let text =
            format!("v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\n{lines}");
        let text: String = text
            .lines()
            .flat_map(|line| [line.trim(), "\r\n"])
            .collect();
        let description = RemoteDescription::parse(text.as_bytes()).unwrap();
        description.lines().map(|line| line.kind()).collect()
    }

    #[test]
    fn lines_are_known_by_medium_transport_and_content() {
        use LineKind as K;
        let kinds = kinds(
            "m=audio 1 RTP/AVP 0
            m=video 1 RTP/AVP 96
            m=video 1 RTP/AVP 96
            a=content:slides
            m=video 1 RTP/AVP 96
            a=content:speaker, Main
            m=video 1 RTP/AVP 96
            a=content:sl
            m=application 1 UDP/BFCP *
            m=application 1 tcp/bfcp *
            m=application 1 TCP/TLS/BFCP *
            m=application 1 UDP/TLS/BFCP *
            m=application 1 RTP/AVP 100
            a=rtpmap:100 H224/4800
            m=application 1 RTP/SAVP 100
            a=rtpmap:100 h224/4800
            m=application 1 RTP/AVP 100
            a=rtpmap:100 other/4800
            m=text 1 RTP/AVP 100
            m=audio 1 RTP/AVP 0
            a=content:alt",
        );
        assert_eq!(
            kinds,
            [
                K::Stream(Medium::Audio),
                K::Stream(Medium::Video),
                K::Stream(Medium::Slides),
                K::Stream(Medium::Video),
                K::Other,
                K::FloorControl(BfcpTransport::Udp),
                K::FloorControl(BfcpTransport::Tcp),
                K::FloorControl(BfcpTransport::Tls),
                K::Other,
                K::FarEndCamera,
                K::FarEndCamera,
                K::Other,
                K::Other,
                K::Other,
            ]
        );
    }

    #[test]
    fn a_second_video_line_with_a_floor_shows_slides_without_saying_so() {
        for mstrm in ["mstrm:3", "m-stream:3", "mstrm:7 3"] {
            let kinds = kinds(&format!(
                "m=video 1 RTP/AVP 96
                a=label:1
                m=video 1 RTP/AVP 96
                a=label:3
                m=application 1 UDP/BFCP *
                a=floorid:1 {mstrm}"
            ));
            assert_eq!(
                kinds[..2],
                [
                    LineKind::Stream(Medium::Video),
                    LineKind::Stream(Medium::Slides)
                ]
            );
        }
        // One video line is the camera's, whatever floor it has.
        let kinds = kinds(
            "m=video 1 RTP/AVP 96
            a=label:3
            m=application 1 UDP/BFCP *
            a=floorid:1 mstrm:3",
        );
        assert_eq!(kinds[0], LineKind::Stream(Medium::Video));
    }
}
