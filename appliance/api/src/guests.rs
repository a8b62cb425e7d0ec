//! Links by which guests join from a browser.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether somebody in the room lets a guest in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Admit {
    /// The guest knocks, and somebody in the room answers the leg.
    Ask,
    /// Whoever has the link is in.
    Automatically,
}

/// A link, without its secret part.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Invitation {
    /// Its number.
    pub id: u32,
    /// What its maker calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Whether its guests knock.
    pub admit: Admit,
    /// When it was made.
    pub created_unix_ms: u64,
    /// When it ends by itself.
    pub expires_unix_ms: u64,
    /// How many guests have come by it and are not gone for good.
    pub guests: u32,
}

/// The links that are good now.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Invitations {
    /// In the order in which they were made.
    pub invitations: Vec<Invitation>,
}

/// A link that was just made. Nobody can be shown its address again.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct FreshInvitation {
    /// What is kept of it.
    pub invitation: Invitation,
    /// The address that is sent to guests; whoever has it can join.
    pub url: String,
    /// The SHA-256 of the certificate of the room's own authority, where browsers have to trust that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority_fingerprint: Option<String>,
}

/// The address is a secret.
impl std::fmt::Debug for FreshInvitation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FreshInvitation")
            .field("invitation", &self.invitation)
            .finish_non_exhaustive()
    }
}
