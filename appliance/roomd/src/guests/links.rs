//! Links to the meeting, for whoever may make them: the API.

use std::time::Duration;

use config::{Admit, PublicUrl};

use super::acme::{Renewal, Renewals, Shown};
use super::handle::Guests;
use super::registry::{Invitation, InvitationId, InviteError};
use super::store::NotStored;
use super::token::Token;

/// Makes, lists and revokes links.
#[derive(Clone, Debug)]
pub struct GuestLinks {
    pub(super) guests: Guests,
    pub(super) public_url: PublicUrl,
    pub(super) admit: Admit,
    pub(super) lifetime: Duration,
    pub(super) fingerprint: Option<String>,
    pub(super) acme: Option<(Shown, Renewals)>,
}

/// A link that was just made. Nobody can be shown its URL again.
#[derive(Clone, Debug)]
pub struct FreshLink {
    /// What is kept of it.
    pub invitation: Invitation,
    /// Where its page is.
    pub public_url: PublicUrl,
    /// Its secret part.
    pub token: Token,
    /// The SHA-256 of the certificate of the room's own authority, where guests have to trust that.
    pub fingerprint: Option<String>,
}

impl FreshLink {
    /// The URL that is sent to guests. It holds the token behind its `#`, which browsers keep to
    /// themselves.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}/join#{}", self.public_url, self.token.expose())
    }
}

/// Why there is no link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// There are too many.
    #[error(transparent)]
    Invite(#[from] InviteError),
    /// It cannot be stored.
    #[error(transparent)]
    NotStored(#[from] NotStored),
    /// There is no such link.
    #[error("there is no such invitation")]
    Unknown,
    /// The operating system gives no randomness.
    #[error("the operating system gives no randomness")]
    NoRandomness,
}

impl GuestLinks {
    /// Makes a link, and waits until it is stored. What is not said is as configured.
    ///
    /// # Errors
    /// A [`LinkError`].
    pub async fn invite(
        &self,
        label: Option<String>,
        admit: Option<Admit>,
        lifetime: Option<Duration>,
    ) -> Result<FreshLink, LinkError> {
        let token = Token::generate().ok_or(LinkError::NoRandomness)?;
        let (admit, lifetime) = (
            admit.unwrap_or(self.admit),
            lifetime.unwrap_or(self.lifetime),
        );
        let invitation = self.guests.invite(&token, label, admit, lifetime)?;
        self.guests.stored().await?;
        Ok(FreshLink {
            invitation,
            public_url: self.public_url.clone(),
            token,
            fingerprint: self.fingerprint.clone().filter(|_| !self.is_certified()),
        })
    }

    /// Has the server certified anew by ACME; `None` where it never is.
    #[must_use]
    pub fn renew_certificate(&self) -> Option<Renewal> {
        let (_, renewals) = self.acme.as_ref()?;
        Some(renewals.renew())
    }

    /// Whether browsers trust the server without further ado.
    fn is_certified(&self) -> bool {
        let acme = self.acme.as_ref();
        acme.is_some_and(|(shown, _)| shown.has_certificate())
    }

    /// The links that are good now, each with the number of guests that came by it.
    #[must_use]
    pub fn list(&self) -> Vec<(Invitation, usize)> {
        self.guests.invitations()
    }

    /// Ends a link and the sessions of its guests, and waits until that is stored.
    ///
    /// # Errors
    /// [`LinkError::Unknown`], [`LinkError::NotStored`]: then it is revoked until the next start.
    pub async fn revoke(&self, id: InvitationId) -> Result<(), LinkError> {
        if !self.guests.revoke(id) {
            return Err(LinkError::Unknown);
        }
        Ok(self.guests.stored().await?)
    }
}
