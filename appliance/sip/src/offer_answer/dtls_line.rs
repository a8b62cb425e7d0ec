//! `a=fingerprint` and `a=setup` of a stream whose keys a DTLS handshake yields (RFC 5763).
//!
//! | offered `a=setup` | agreed before | our answer |
//! |---|---|---|
//! | `actpass` | nothing | `active`, which saves the handshake a round trip |
//! | `actpass` | a part | the same part: a change of parts is a new handshake (RFC 8842 section 3.1) |
//! | `active`, or nothing (RFC 4145 section 4) | | `passive` |
//! | `passive` | | `active` |
//! | anything else | | refused |
//!
//! Our first offer says `actpass`. Later ones say which part we have, so that a peer which likes
//! another one better does not begin a new handshake for it.

use super::error::LineRefusal;
use super::fingerprint::Fingerprint;
use super::remote::RemoteLine;

/// How a stream gets its keys (RFC 5764): by a handshake on its RTP port, which RTCP shares.
///
/// While it stays the same the handshake is not to be repeated, and its keys go on; another one is
/// another handshake (RFC 8842 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DtlsSrtp {
    /// Our part.
    pub setup: DtlsSetup,
    /// The certificate that the peer has to show.
    pub certificate: Fingerprint,
}

/// Who begins a DTLS handshake (RFC 5763 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DtlsSetup {
    /// We do: the client.
    Active,
    /// The peer does.
    Passive,
}

/// What our line says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DtlsLine {
    /// Ours.
    certificate: Fingerprint,
    /// `None` where the peer may choose.
    setup: Option<DtlsSetup>,
}

impl DtlsLine {
    /// For a first offer.
    pub(super) const fn offer(certificate: Fingerprint) -> Self {
        Self {
            certificate,
            setup: None,
        }
    }

    /// In answer to the peer's line; `previous` is what is agreed so far.
    pub(super) fn answer(
        certificate: Fingerprint,
        offered: RemoteLine<'_>,
        previous: Option<DtlsSrtp>,
    ) -> Result<Self, LineRefusal> {
        let setup = match SetupValue::of(offered)? {
            SetupValue::Either => previous.map_or(DtlsSetup::Active, |previous| previous.setup),
            SetupValue::Active => DtlsSetup::Passive,
            SetupValue::Passive => DtlsSetup::Active,
        };
        Ok(Self {
            certificate,
            setup: Some(setup),
        })
    }

    /// What our line and the peer's amount to: ours with the part that is settled, and the handshake.
    pub(super) fn agree(self, theirs: RemoteLine<'_>) -> Result<(Self, DtlsSrtp), LineRefusal> {
        let certificate = theirs.fingerprint().ok_or(LineRefusal::NoAcceptableKey)?;
        let setup = match (self.setup, SetupValue::of(theirs)?) {
            (None | Some(DtlsSetup::Passive), SetupValue::Active)
            | (Some(DtlsSetup::Passive), SetupValue::Either) => DtlsSetup::Passive,
            (None | Some(DtlsSetup::Active), SetupValue::Passive)
            | (Some(DtlsSetup::Active), SetupValue::Either) => DtlsSetup::Active,
            // Nobody would begin, or both; or nobody has chosen.
            (Some(DtlsSetup::Active), SetupValue::Active)
            | (Some(DtlsSetup::Passive), SetupValue::Passive)
            | (None, SetupValue::Either) => return Err(LineRefusal::NoAcceptableKey),
        };
        let line = Self {
            setup: Some(setup),
            ..self
        };
        Ok((line, DtlsSrtp { setup, certificate }))
    }

    /// The values of `a=fingerprint` and `a=setup`.
    pub(super) fn values(self) -> (Fingerprint, &'static str) {
        let setup = match self.setup {
            None => SetupValue::Either,
            Some(DtlsSetup::Active) => SetupValue::Active,
            Some(DtlsSetup::Passive) => SetupValue::Passive,
        };
        (self.certificate, setup.name())
    }
}

/// A value of `a=setup`, seen from whoever writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SetupValue {
    Either,
    Active,
    Passive,
}

impl SetupValue {
    const ALL: [Self; 3] = [Self::Either, Self::Active, Self::Passive];

    const fn name(self) -> &'static str {
        match self {
            Self::Either => "actpass",
            Self::Active => "active",
            Self::Passive => "passive",
        }
    }

    fn of(line: RemoteLine<'_>) -> Result<Self, LineRefusal> {
        let Some(name) = line.values_anywhere("setup").next().map(str::trim) else {
            return Ok(Self::Active);
        };
        Self::ALL
            .into_iter()
            .find(|value| value.name().eq_ignore_ascii_case(name))
            .ok_or(LineRefusal::NoAcceptableKey)
    }
}

impl RemoteLine<'_> {
    /// The certificate that the peer shows, the first that is named by a hash function of ours.
    pub(super) fn fingerprint(&self) -> Option<Fingerprint> {
        self.values_anywhere("fingerprint")
            .find_map(Fingerprint::parse)
    }
}
