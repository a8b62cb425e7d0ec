//! What an offer says of simulcast (RFC 8853, with the stream ids of RFC 8851), and the answer to it.

use crate::error::Error;

/// Stream ids of a line at most.
const RIDS: usize = 16;

/// Bytes of a stream id at most: as many as the engine keeps.
const LONGEST_RID: usize = 8;

/// The stream ids of the two layers that are taken, the larger one first.
pub(crate) type Layers = [String; 2];

/// What the attributes of one line say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SimulcastAttributes {
    /// `a=rid` of streams that the browser sends, with the payload types to which each is restricted; to none where
    /// there are no such.
    rids: Vec<(String, Vec<u8>)>,
    /// `a=simulcast:send`: the streams in the order in which the browser prefers them, each with its alternatives.
    streams: Vec<Vec<String>>,
}

impl SimulcastAttributes {
    /// Reads `a=rid` (RFC 8851 section 10).
    pub(crate) fn rid(&mut self, value: &str) -> Result<(), Error> {
        let mut fields = value.splitn(3, ' ');
        let (Some(rid), Some("send")) = (fields.next(), fields.next().map(str::trim)) else {
            return Ok(());
        };
        if self.rids.len() >= RIDS {
            return Err(Error::TooMany {
                what: "stream ids",
                limit: RIDS,
            });
        }
        let restrictions = fields.next().unwrap_or_default().split(';');
        let formats = restrictions.filter_map(|it| it.trim().strip_prefix("pt="));
        let formats =
            formats.flat_map(|list| list.split(',').filter_map(|it| it.trim().parse().ok()));
        self.rids.push((rid.to_owned(), formats.collect()));
        Ok(())
    }

    /// Reads `a=simulcast` (RFC 8853 section 5.1). A stream that begins paused is taken like the others.
    pub(crate) fn simulcast(&mut self, value: &str) -> Result<(), Error> {
        let mut fields = value.split_ascii_whitespace();
        let list = loop {
            match (fields.next(), fields.next()) {
                (Some("send"), Some(list)) => break list,
                (Some(_), Some(_)) => {}
                _ => return Ok(()),
            }
        };
        if list.split([';', ',']).count() > RIDS {
            return Err(Error::TooMany {
                what: "stream ids",
                limit: RIDS,
            });
        }
        let rid = |rid: &str| rid.strip_prefix('~').unwrap_or(rid).to_owned();
        let stream = |alternatives: &str| alternatives.split(',').map(rid).collect();
        self.streams = list.split(';').map(stream).collect();
        Ok(())
    }

    /// The first two streams that can be taken with one of these payload types; `None` where there are not two.
    pub(crate) fn layers(&self, payload_types: &[u8]) -> Option<Layers> {
        let is_taken = |wanted: &&String| {
            let is_id = !wanted.is_empty()
                && wanted.len() <= LONGEST_RID
                && wanted.bytes().all(|byte| byte.is_ascii_alphanumeric());
            is_id
                && self.rids.iter().any(|(rid, formats)| {
                    let fits = |number| payload_types.contains(number);
                    rid == *wanted && (formats.is_empty() || formats.iter().any(fits))
                })
        };
        let mut streams = self
            .streams
            .iter()
            .filter_map(|alternatives| alternatives.iter().find(is_taken));
        let first = streams.next()?;
        let second = streams.find(|rid| *rid != first)?;
        Some([first.clone(), second.clone()])
    }
}

/// The answer, where the lines with layers are told that both are taken. The engine reads offers without simulcast, so
/// that its answer says nothing of it.
pub(crate) fn with_layers<'a>(
    answer: &str,
    layers: impl IntoIterator<Item = Option<&'a Layers>>,
) -> String {
    let mut parts = answer.split_inclusive('\n').peekable();
    let mut changed = String::with_capacity(answer.len() + 100);
    while let Some(line) = parts.next_if(|line| !line.starts_with("m=")) {
        changed.push_str(line);
    }
    for layers in layers {
        let Some(media) = parts.next() else {
            break;
        };
        changed.push_str(media);
        while let Some(line) = parts.next_if(|line| !line.starts_with("m=")) {
            changed.push_str(line);
        }
        let is_rejected = media.split(' ').nth(1) == Some("0");
        if let Some([high, low]) = layers.filter(|_| !is_rejected) {
            changed.push_str(&format!(
                "a=rid:{high} recv\r\na=rid:{low} recv\r\na=simulcast:recv {high};{low}\r\n"
            ));
        }
    }
    changed.extend(parts);
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(rids: &[&str], simulcast: &str) -> Option<Layers> {
        let mut attributes = SimulcastAttributes::default();
        for rid in rids {
            attributes.rid(rid).unwrap();
        }
        attributes.simulcast(simulcast).unwrap();
        attributes.layers(&[102, 106])
    }

    fn two(high: &str, low: &str) -> Option<Layers> {
        Some([high.to_owned(), low.to_owned()])
    }

    #[test]
    fn the_first_two_streams_that_can_be_taken_are() {
        let sent = [
            "h send",
            "l send",
            "x send pt=96",
            "y send max-width=640;pt=96,106",
            "z recv",
        ];
        assert_eq!(layers(&sent, "send h;l"), two("h", "l"));
        assert_eq!(layers(&sent, "recv z send h;~l"), two("h", "l"));
        assert_eq!(layers(&sent, "send l;h recv z"), two("l", "h"));
        assert_eq!(layers(&sent, "send x;h;x,y;l"), two("h", "y"));
        for none in [
            "send h", "send h;h", "send h,l", "send x;h", "send z;h", "recv h;l", "", "send", "h;l",
        ] {
            assert_eq!(layers(&sent, none), None, "{none}");
        }
        assert_eq!(layers(&["hh- send", "l send"], "send hh-;l"), None);
        assert_eq!(
            layers(&["123456789 send", "l send"], "send 123456789;l"),
            None
        );
    }

    #[test]
    fn there_may_be_so_many_stream_ids_and_no_more() {
        let mut attributes = SimulcastAttributes::default();
        for number in 0..RIDS {
            attributes.rid(&format!("{number} send")).unwrap();
        }
        assert!(attributes.rid("more send").is_err());
        let list = vec!["x"; RIDS + 1].join(";");
        assert!(attributes.simulcast(&format!("send {list}")).is_err());
    }

    #[test]
    fn the_answer_names_both_on_their_line_alone() {
        let answer = "v=0\r\nm=audio 9 X 1\r\na=mid:0\r\nm=video 9 X 2\r\na=mid:1\r\nm=video 0 X 2\r\na=mid:2\r\n";
        let both = two("h", "l");
        let changed = with_layers(answer, [None, both.as_ref(), both.as_ref()]);
        let added = "a=mid:1\r\na=rid:h recv\r\na=rid:l recv\r\na=simulcast:recv h;l\r\n";
        assert_eq!(changed, answer.replace("a=mid:1\r\n", added));
        assert_eq!(with_layers(answer, []), answer);
        assert_eq!(with_layers(answer, [None; 9]), answer);
    }
}
