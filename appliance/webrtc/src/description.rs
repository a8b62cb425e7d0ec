//! What this crate reads of an offer itself, before the engine gets it: its size, what contradicts
//! itself, and what the engine does not tell afterwards (RFC 8866, RFC 8829).

use std::borrow::Cow;
use std::collections::BTreeSet;

use room::codec::ProfileLevelId;
use room::units::Bitrate;

use crate::candidate;
use crate::error::Error;
use crate::simulcast::{Layers, SimulcastAttributes};

/// Bytes of an offer at most.
pub(crate) const LONGEST: usize = 64 * 1024;

/// Lines of an offer at most. A browser with every codec there is writes some 700.
const LINES: usize = 2_000;

/// Candidates in an offer at most.
pub(crate) const CANDIDATES: usize = 100;

/// Bytes of a media identification at most: as many as the engine keeps.
const LONGEST_MID: usize = 16;

/// What a media line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineKind {
    Audio,
    Video,
    Application,
}

/// A media line of an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) kind: LineKind,
    pub(crate) mid: String,
    /// What the browser takes at most (`b=`).
    pub(crate) max_bitrate: Option<Bitrate>,
    /// The profiles that payload types stand for, in the order in which the browser prefers them.
    pub(crate) profiles: Vec<(u8, ProfileLevelId)>,
    /// The payload types whose packets are sent again on request (`nack`, RFC 4585 section 4.2).
    nack: Vec<u8>,
    /// All of them are (`*`).
    nack_all: bool,
    /// The two layers in which the browser sends a picture, where it offers that (simulcast).
    pub(crate) layers: Option<Layers>,
}

impl Line {
    /// Whether packets of this payload type are sent again on request.
    pub(crate) fn takes_nack(&self, payload_type: u8) -> bool {
        self.nack_all || self.nack.contains(&payload_type)
    }
}

/// An offer, as far as this crate reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) lines: Vec<Line>,
    /// The SSRCs that it announces.
    pub(crate) ssrcs: Vec<u32>,
    pub(crate) candidates: usize,
    payload_types: PayloadTypes,
}

impl Offer {
    /// Reads an offer.
    pub(crate) fn parse(offer: &str) -> Result<Self, Error> {
        if offer.len() > LONGEST {
            return Err(Error::DescriptionTooLong {
                length: offer.len(),
                limit: LONGEST,
            });
        }
        let mut reader = Reader::default();
        for (number, line) in offer.lines().enumerate() {
            if number >= LINES {
                return Err(too_many("lines", LINES));
            }
            reader.line(line)?;
        }
        reader.finish()
    }

    /// The lines of one kind, in order.
    pub(crate) fn lines_of(&self, kind: LineKind) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(move |line| line.kind == kind)
    }
}

/// An offer as the engine reads it. Its grammar knows one bandwidth line at most, where RFC 8866 section
/// 5 has any number; and to a browser that sends two layers and gets one, it would send nothing. Of simulcast it
/// learns the ids of the streams that may come, and of candidates by TCP nothing, since it would try all.
pub(crate) fn for_engine<'a>(offer: &'a str, read: &Offer) -> Cow<'a, str> {
    const READ_HERE: [&str; 3] = ["b=", "a=simulcast:", "a=rid:"];
    let is_read_here = |line: &str| {
        READ_HERE.iter().any(|start| line.starts_with(start)) || candidate::is_by_tcp(line)
    };
    if !offer.lines().any(is_read_here) {
        return Cow::Borrowed(offer);
    }
    let mut lines = read.lines.iter();
    let mut layers = None;
    let kept = offer.split_inclusive('\n').filter(|line| {
        if line.starts_with("m=") {
            layers = lines.next().and_then(|line| line.layers.as_ref());
        }
        let Some(layers) = layers else {
            return !is_read_here(line);
        };
        if let Some(rid) = line.strip_prefix("a=rid:") {
            let id = rid.split(' ').next().unwrap_or_default();
            return layers.iter().any(|layer| layer == id);
        }
        // Which layer a source belongs to its packets say.
        let is_source = line.starts_with("a=ssrc:") || line.starts_with("a=ssrc-group:");
        !is_read_here(line) && !is_source
    });
    Cow::Owned(kept.collect())
}

/// The certificates that an offer names (RFC 8122 section 5), each once, sorted.
pub(crate) fn fingerprints(offer: &str) -> impl Iterator<Item = &str> {
    let named = offer
        .lines()
        .filter_map(|line| line.strip_prefix("a=fingerprint:"));
    let named: BTreeSet<&str> = named.map(str::trim).collect();
    named.into_iter()
}

/// The answer with the payload type of repeated sound (RFC 2198) behind the others of its line. A browser
/// sends with the first one; it would repeat all that it says, on a network that loses nothing too.
pub(crate) fn with_repetition_last(answer: &str) -> String {
    let red = answer.lines().find_map(|line| {
        let (number, map) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
        map.starts_with("red/").then_some(number)
    });
    let (Some(red), Some(start)) = (red, answer.find("m=audio ")) else {
        return answer.to_owned();
    };
    let (before, line) = answer.split_at(start);
    let end = line.find(['\r', '\n']).unwrap_or(line.len());
    let (line, behind) = line.split_at(end);
    // Medium, port and protocol come before the formats.
    let mut fields: Vec<&str> = line.split(' ').collect();
    if let Some(index) = fields.iter().skip(3).position(|field| *field == red) {
        let red = fields.remove(3 + index);
        fields.push(red);
    }
    format!("{before}{}{behind}", fields.join(" "))
}

/// The answer with generic NACK for sound where the offer has it: the engine knows it for pictures only.
pub(crate) fn with_sound_nack(answer: &str, offer: &Offer) -> String {
    let opus = answer.lines().find_map(|line| {
        let (number, map) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
        map.to_ascii_lowercase()
            .starts_with("opus/")
            .then_some((line, number.parse().ok()?))
    });
    let taken = |number| {
        offer
            .lines_of(LineKind::Audio)
            .any(|line| line.takes_nack(number))
    };
    match opus {
        Some((line, number)) if taken(number) => {
            let more = format!("{line}\r\na=rtcp-fb:{number} nack");
            answer.replacen(line, &more, 1)
        }
        Some(_) | None => answer.to_owned(),
    }
}

fn too_many(what: &'static str, limit: usize) -> Error {
    Error::TooMany { what, limit }
}

fn unreadable(what: &str) -> Error {
    Error::Description(what.to_owned())
}

/// What a payload type stands for, in every line and in every offer of a leg: the lines share one
/// connection (RFC 8843 section 9.1), and the engine takes a number that changes its meaning for two.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PayloadType {
    number: u8,
    /// `a=rtpmap`, in lower case.
    map: String,
    /// `a=fmtp`.
    parameters: String,
}

impl PayloadType {
    /// Which one it repeats (RFC 4588 section 8.6).
    fn apt(&self) -> Option<u8> {
        parameter(&self.parameters, "apt")?.parse().ok()
    }

    /// Whether both mean the same codec. Other parameters are wishes, which may change.
    fn means_the_same(&self, other: &Self) -> bool {
        let decides = ["apt", "packetization-mode", "profile-level-id"];
        self.map == other.map
            && decides.iter().all(|name| {
                let one = parameter(&self.parameters, name).map(str::to_ascii_lowercase);
                let other = parameter(&other.parameters, name).map(str::to_ascii_lowercase);
                one == other
            })
    }
}

/// The payload types of all offers of a leg so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PayloadTypes(Vec<PayloadType>);

impl PayloadTypes {
    fn learn(&mut self, new: &PayloadType) -> Result<(), Error> {
        match self.0.iter().find(|known| known.number == new.number) {
            Some(known) if known.means_the_same(new) => Ok(()),
            Some(_) => Err(Error::PayloadTypeConflict(new.number)),
            None => {
                self.0.push(new.clone());
                Ok(())
            }
        }
    }

    /// Takes those of one more offer.
    pub(crate) fn extend(&self, offer: &Offer) -> Result<Self, Error> {
        let mut all = self.clone();
        for new in &offer.payload_types.0 {
            all.learn(new)?;
        }
        Ok(all)
    }

    /// Two payload types that are repeated by one, or a repetition that is itself repeated.
    fn check_repetitions(&self) -> Result<(), Error> {
        let mut repeated = Vec::new();
        for repetition in &self.0 {
            let Some(apt) = repetition.apt() else {
                continue;
            };
            let of_repetition = |known: &PayloadType| known.number == apt && known.apt().is_some();
            if repeated.contains(&apt) || self.0.iter().any(of_repetition) {
                return Err(Error::PayloadTypeConflict(apt));
            }
            repeated.push(apt);
        }
        Ok(())
    }
}

/// A parameter of an `a=fmtp`.
fn parameter<'a>(parameters: &'a str, wanted: &str) -> Option<&'a str> {
    parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.trim().split_once('=')?;
        name.eq_ignore_ascii_case(wanted).then_some(value.trim())
    })
}

#[derive(Debug, Default)]
struct Reader {
    offer: Offer,
    /// The payload types that the line that is read has described so far.
    described: Vec<PayloadType>,
    /// The formats of the line that is read, in their order.
    formats: Vec<u8>,
    simulcast: SimulcastAttributes,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), Error> {
        let Some((field, value)) = line.split_once('=') else {
            return if line.is_empty() {
                Ok(())
            } else {
                Err(unreadable("a line is not type=value"))
            };
        };
        match field {
            "m" => self.media_line(value),
            "b" => {
                self.bandwidth(value);
                Ok(())
            }
            "a" => {
                let (name, value) = value.split_once(':').unwrap_or((value, ""));
                self.attribute(name, value)
            }
            _ => Ok(()),
        }
    }

    fn media_line(&mut self, value: &str) -> Result<(), Error> {
        self.end_of_line()?;
        let mut fields = value.split_ascii_whitespace();
        let (kind, limit) = match fields.next() {
            Some("audio") => (LineKind::Audio, 1),
            Some("video") => (LineKind::Video, 2),
            Some("application") => (LineKind::Application, 1),
            _ => return Err(unreadable("a media line is of no known kind")),
        };
        if self.offer.lines_of(kind).count() >= limit {
            return Err(too_many("media lines of one kind", limit));
        }
        if kind != LineKind::Application {
            // Port and protocol.
            for format in fields.skip(2) {
                let format = payload_type(format)?;
                if self.formats.contains(&format) {
                    return Err(Error::PayloadTypeConflict(format));
                }
                self.formats.push(format);
            }
        }
        self.offer.lines.push(Line {
            kind,
            mid: String::new(),
            max_bitrate: None,
            profiles: Vec::new(),
            nack: Vec::new(),
            nack_all: false,
            layers: None,
        });
        Ok(())
    }

    fn attribute(&mut self, name: &str, value: &str) -> Result<(), Error> {
        match name {
            "candidate" => {
                self.offer.candidates += 1;
                if self.offer.candidates > CANDIDATES {
                    return Err(too_many("candidates", CANDIDATES));
                }
            }
            "mid" => {
                let taken = self.offer.lines.iter().any(|line| line.mid == value);
                let Some(line) = self.offer.lines.last_mut() else {
                    return Err(unreadable("a media identification outside of media"));
                };
                if value.is_empty() || value.len() > LONGEST_MID || taken || !value.is_ascii() {
                    return Err(unreadable("a media identification that cannot be used"));
                }
                value.clone_into(&mut line.mid);
            }
            "rtpmap" => {
                let (known, map) = self.described(value)?;
                if !known.map.is_empty() {
                    return Err(Error::PayloadTypeConflict(known.number));
                }
                known.map = map.to_ascii_lowercase();
            }
            "fmtp" => {
                let (known, parameters) = self.described(value)?;
                if !known.parameters.is_empty() {
                    return Err(Error::PayloadTypeConflict(known.number));
                }
                parameters.clone_into(&mut known.parameters);
            }
            "rtcp-fb" => self.feedback(value),
            "rid" => self.simulcast.rid(value)?,
            "simulcast" => self.simulcast.simulcast(value)?,
            "ssrc" => {
                let id = value.split_ascii_whitespace().next().unwrap_or_default();
                let id = id.parse().map_err(|_| unreadable("an SSRC is no number"))?;
                if !self.offer.ssrcs.contains(&id) {
                    self.offer.ssrcs.push(id);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The payload type that an attribute of the line that is read is about, and what it says.
    fn described<'a>(&mut self, value: &'a str) -> Result<(&mut PayloadType, &'a str), Error> {
        let (number, value) = value.split_once(' ').unwrap_or((value, ""));
        let number = payload_type(number)?;
        let found = self
            .described
            .iter()
            .position(|known| known.number == number);
        let index = found.unwrap_or_else(|| {
            self.described.push(PayloadType {
                number,
                map: String::new(),
                parameters: String::new(),
            });
            self.described.len() - 1
        });
        Ok((&mut self.described[index], value.trim()))
    }

    fn feedback(&mut self, value: &str) {
        let Some(line) = self.offer.lines.last_mut() else {
            return;
        };
        match value.split_once(' ') {
            Some(("*", "nack")) => line.nack_all = true,
            Some((number, "nack")) => {
                if let Ok(number) = payload_type(number)
                    && !line.nack.contains(&number)
                {
                    line.nack.push(number);
                }
            }
            Some(_) | None => {}
        }
    }

    fn bandwidth(&mut self, value: &str) {
        let Some(line) = self.offer.lines.last_mut() else {
            return;
        };
        let bitrate = match value.split_once(':') {
            Some(("TIAS", value)) => value.trim().parse().ok(),
            // Kilobits, with headers (RFC 8866 section 5.8); where both are said, the smaller one.
            Some(("AS", value)) => value
                .trim()
                .parse::<u64>()
                .ok()
                .map(|kilobits| kilobits.saturating_mul(1_000)),
            _ => None,
        };
        if let Some(bitrate) = bitrate.filter(|bitrate| *bitrate > 0) {
            let bitrate = Bitrate::bps(bitrate);
            line.max_bitrate = Some(line.max_bitrate.map_or(bitrate, |known| known.min(bitrate)));
        }
    }

    fn end_of_line(&mut self) -> Result<(), Error> {
        let formats = std::mem::take(&mut self.formats);
        let described = std::mem::take(&mut self.described);
        let simulcast = std::mem::take(&mut self.simulcast);
        for payload_type in &described {
            self.offer.payload_types.learn(payload_type)?;
        }
        let Some(line) = self.offer.lines.last_mut() else {
            return Ok(());
        };
        if line.mid.is_empty() {
            return Err(unreadable("a media line has no identification"));
        }
        // The order of preference is that of the media line, whatever order the attributes have.
        line.profiles = formats
            .iter()
            .filter_map(|number| {
                let known = described.iter().find(|known| known.number == *number)?;
                let profile = parameter(&known.parameters, "profile-level-id")?;
                Some((*number, profile_level_id(profile)?))
            })
            .collect();
        if line.kind == LineKind::Video {
            let numbers: Vec<u8> = line.profiles.iter().map(|(number, _)| *number).collect();
            line.layers = simulcast.layers(&numbers);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Offer, Error> {
        self.end_of_line()?;
        self.offer.payload_types.check_repetitions()?;
        if self.offer.lines_of(LineKind::Audio).next().is_none() {
            return Err(Error::NoAudio);
        }
        Ok(self.offer)
    }
}

fn payload_type(text: &str) -> Result<u8, Error> {
    text.trim()
        .parse()
        .ok()
        .filter(|number| *number <= 127)
        .ok_or_else(|| unreadable("a payload type is no number up to 127"))
}

fn profile_level_id(text: &str) -> Option<ProfileLevelId> {
    let digits = text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let value = u32::from_str_radix(text, 16).ok().filter(|_| digits)?;
    let [_, profile_idc, profile_iop, level_idc] = value.to_be_bytes();
    Some(ProfileLevelId {
        profile_idc,
        profile_iop,
        level_idc,
    })
}
