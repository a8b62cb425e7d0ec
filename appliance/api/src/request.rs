//! The bodies of requests. Each names the wanted state, so that repeating it does no harm.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::guests::Admit;
use crate::snapshot::{CameraState, Layout, MicrophoneState, SlidesState};

/// Whom to call.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The address, such as `sip:board@example.com`.
    pub target: String,
    /// The account to call by; the room chooses when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
}

/// Which account is to be registered.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// Its name, from the snapshot.
    pub account: String,
}

/// What a link for guests is to be; what is left out is as configured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Invite {
    /// What to call it in lists; at most 64 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Whether its guests knock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admit: Option<Admit>,
    /// How long it is good for: 5 to 43200 (30 days).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 5, maximum = 43200)]
    pub lifetime_minutes: Option<u32>,
}

/// Which keys to press.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Dtmf {
    /// 1 to 64 of `0-9`, `*`, `#`, `A-D`.
    pub digits: String,
}

/// Digits are passcodes more often than not, so they are not printed.
impl std::fmt::Debug for Dtmf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dtmf")
    }
}

/// The wanted state of the microphone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetMicrophone {
    /// Open or muted.
    pub state: MicrophoneState,
}

/// The wanted state of the camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetCamera {
    /// On or off.
    pub state: CameraState,
}

/// Whether the room is to show slides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetSlides {
    /// On or off.
    pub state: SlidesState,
}

/// The wanted volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetVolume {
    /// 0 (silent) to 100 (full).
    #[schema(minimum = 0, maximum = 100)]
    pub percent: u8,
}

/// The wanted layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetLayout {
    /// How the far ends share the screen.
    pub layout: Layout,
}
