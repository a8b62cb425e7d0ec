//! Who may join: the invitations of the meeting, and the sessions that guests have opened by them.
//!
//! ```text
//!  invitation:  made ── good ──┬─ expired ──┐
//!                              ├─ revoked ──┼─> gone, and its sessions with it
//!                              └─ meeting over
//!
//!  session:  opened ── new ── let in ──> admitted
//!              │        └──── sent away ──> sent away      (each from any other)
//!              └─ signed out, invitation gone, or absent while its place is needed ──> over
//! ```
//!
//! Pure: it reads no clock, draws no randomness and stores nothing itself. Times are the wall clock's,
//! because links outlive the process.

use std::time::{Duration, SystemTime};

use super::signalling::{Admit, GuestId, SessionEnd};
use super::token::TokenDigest;

/// Invitations at a time.
pub(super) const MAX_INVITATIONS: usize = 64;
/// How long a guest without a WebSocket keeps its place where others wait for one.
pub(super) const ABSENCE: Duration = Duration::from_secs(120);

/// The number of an invitation. It is no secret, and never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InvitationId(pub u32);

/// A link, without its secret.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// Its number.
    pub id: InvitationId,
    /// What its maker calls it.
    pub label: Option<String>,
    /// Whether somebody in the room lets its guests in.
    pub admit: Admit,
    /// When it was made.
    pub created_at: SystemTime,
    /// When it ends.
    pub expires_at: SystemTime,
    pub(super) digest: TokenDigest,
}

impl Invitation {
    fn is_good(&self, now: SystemTime) -> bool {
        now < self.expires_at
    }
}

/// Where a guest stands with the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The room has not met it yet: its link says whether it has to knock.
    New,
    /// The room has let it in: it need not knock again.
    Admitted,
    /// The room has sent it away: it has to knock, whatever its link says.
    SentAway,
}

/// A guest's session.
#[derive(Clone, Debug)]
pub(super) struct Session {
    /// Whose.
    pub guest: GuestId,
    /// By which invitation it was opened.
    pub invitation: InvitationId,
    /// What the guest calls itself.
    pub name: String,
    /// When it was opened.
    pub created_at: SystemTime,
    pub(super) digest: TokenDigest,
    pub(super) standing: Standing,
    /// The last sign of the guest; a restart counts as one.
    pub(super) seen_at: SystemTime,
    /// Whether its place is kept for it while it is away: not after it has said that it leaves.
    pub(super) keeps_place: bool,
}

/// Why there is no invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InviteError {
    /// There are as many already as there may be.
    #[error("there are {MAX_INVITATIONS} invitations already: revoke one")]
    TooMany,
}

/// Why a session is not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum OpenError {
    /// No good invitation has this token.
    #[error("the link is not valid")]
    LinkNotValid,
    /// All places are taken by guests who are there.
    #[error("the meeting is full")]
    MeetingFull,
}

/// A session that has ended, and why.
pub(super) type Ended = (GuestId, SessionEnd);

/// All invitations and sessions.
#[derive(Clone, Debug)]
pub(super) struct Registry {
    pub(super) meeting: u64,
    pub(super) next_invitation: u32,
    pub(super) next_guest: u64,
    pub(super) invitations: Vec<Invitation>,
    pub(super) sessions: Vec<Session>,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            meeting: 1,
            next_invitation: 1,
            next_guest: 1,
            invitations: Vec::new(),
            sessions: Vec::new(),
        }
    }
}

impl Registry {
    /// Makes an invitation to the meeting.
    pub(super) fn invite(
        &mut self,
        digest: TokenDigest,
        label: Option<String>,
        admit: Admit,
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<Invitation, InviteError> {
        if self.invitations.len() >= MAX_INVITATIONS {
            return Err(InviteError::TooMany);
        }
        let invitation = Invitation {
            id: InvitationId(self.next_invitation),
            label,
            admit,
            created_at: now,
            expires_at: now + lifetime,
            digest,
        };
        self.next_invitation = self.next_invitation.wrapping_add(1);
        self.invitations.push(invitation.clone());
        Ok(invitation)
    }

    /// Ends an invitation; `None` when there is no such.
    pub(super) fn revoke(&mut self, id: InvitationId) -> Option<Vec<Ended>> {
        let position = self.invitations.iter().position(|it| it.id == id)?;
        self.invitations.remove(position);
        Some(self.end_orphans(SessionEnd::LinkRevoked))
    }

    /// Ends the invitations that have expired.
    pub(super) fn expire(&mut self, now: SystemTime) -> Vec<Ended> {
        self.invitations
            .retain(|invitation| invitation.is_good(now));
        self.end_orphans(SessionEnd::LinkExpired)
    }

    /// When the next invitation expires.
    pub(super) fn next_expiry(&self) -> Option<SystemTime> {
        self.invitations.iter().map(|it| it.expires_at).min()
    }

    /// Ends the meeting with its invitations and sessions, and begins the next. The guests that were
    /// in it.
    pub(super) fn meeting_over(&mut self) -> Vec<GuestId> {
        self.meeting += 1;
        self.invitations.clear();
        self.sessions.drain(..).map(|it| it.guest).collect()
    }

    /// The invitation that a token belongs to. Every one is compared, and each in constant time.
    pub(super) fn invitation_of(
        &self,
        token: &TokenDigest,
        now: SystemTime,
    ) -> Option<&Invitation> {
        let mut found = None;
        for invitation in &self.invitations {
            if invitation.digest.is(token) {
                found = Some(invitation);
            }
        }
        found.filter(|invitation| invitation.is_good(now))
    }

    /// The session that a cookie belongs to, compared as tokens are.
    pub(super) fn session_of(&self, cookie: &TokenDigest, now: SystemTime) -> Option<&Session> {
        let mut found = None;
        for session in &self.sessions {
            if session.digest.is(cookie) {
                found = Some(session);
            }
        }
        found.filter(|session| {
            let invitation = self.invitation(session.invitation);
            invitation.is_some_and(|invitation| invitation.is_good(now))
        })
    }

    pub(super) fn invitation(&self, id: InvitationId) -> Option<&Invitation> {
        self.invitations.iter().find(|it| it.id == id)
    }

    pub(super) fn session(&self, guest: GuestId) -> Option<&Session> {
        self.sessions.iter().find(|session| session.guest == guest)
    }

    /// Opens a session. Where all `places` are taken, a guest that has left loses its own, or else the one that is
    /// absent longest, and longer than [`ABSENCE`].
    pub(super) fn open_session(
        &mut self,
        token: &TokenDigest,
        cookie: TokenDigest,
        name: String,
        places: usize,
        is_present: impl Fn(GuestId) -> bool,
        now: SystemTime,
    ) -> Result<(Session, Vec<Ended>), OpenError> {
        let invitation = self.invitation_of(token, now);
        let invitation = invitation.ok_or(OpenError::LinkNotValid)?.id;
        let ended = self.make_place(places, is_present, now)?;
        let session = Session {
            guest: GuestId(self.next_guest),
            invitation,
            name,
            created_at: now,
            digest: cookie,
            standing: Standing::New,
            seen_at: now,
            keeps_place: true,
        };
        self.next_guest += 1;
        self.sessions.push(session.clone());
        Ok((session, ended))
    }

    fn make_place(
        &mut self,
        places: usize,
        is_present: impl Fn(GuestId) -> bool,
        now: SystemTime,
    ) -> Result<Vec<Ended>, OpenError> {
        let mut ended = Vec::new();
        while self.sessions.len() >= places {
            let first_to_go = |session: &&Session| (session.keeps_place, session.seen_at);
            let is_absent = |session: &&Session| {
                let absence = now.duration_since(session.seen_at).unwrap_or_default();
                let is_over = !session.keeps_place || absence >= ABSENCE;
                is_over && !is_present(session.guest)
            };
            let absent = self
                .sessions
                .iter()
                .filter(is_absent)
                .min_by_key(first_to_go);
            let guest = absent.ok_or(OpenError::MeetingFull)?.guest;
            ended.extend(
                self.end_session(guest)
                    .then_some((guest, SessionEnd::PlaceTaken)),
            );
        }
        Ok(ended)
    }

    /// Ends one session; whether there was one.
    pub(super) fn end_session(&mut self, guest: GuestId) -> bool {
        let before = self.sessions.len();
        self.sessions.retain(|session| session.guest != guest);
        self.sessions.len() < before
    }

    /// Notes a sign of a guest.
    pub(super) fn seen(&mut self, guest: GuestId, now: SystemTime) {
        if let Some(session) = self.session_mut(guest) {
            session.seen_at = now;
        }
    }

    /// Says whether a guest that is away keeps its place.
    pub(super) fn keep_place(&mut self, guest: GuestId, keeps_place: bool) {
        if let Some(session) = self.session_mut(guest) {
            session.keeps_place = keeps_place;
        }
    }

    /// Gives a guest another name; whether that changed anything.
    pub(super) fn rename(&mut self, guest: GuestId, name: &str) -> bool {
        let session = self.session_mut(guest).filter(|it| it.name != name);
        let changed = session.is_some();
        if let Some(session) = session {
            name.clone_into(&mut session.name);
        }
        changed
    }

    /// Notes where a guest stands; whether that changed anything.
    pub(super) fn set_standing(&mut self, guest: GuestId, standing: Standing) -> bool {
        let session = self.session_mut(guest);
        let session = session.filter(|session| session.standing != standing);
        let changed = session.is_some();
        if let Some(session) = session {
            session.standing = standing;
        }
        changed
    }

    /// What a guest's offer meets.
    pub(super) fn admit_of(&self, guest: GuestId) -> Option<Admit> {
        let session = self.session(guest)?;
        Some(match session.standing {
            Standing::New => self.invitation(session.invitation)?.admit,
            Standing::Admitted => Admit::Automatically,
            Standing::SentAway => Admit::Ask,
        })
    }

    fn session_mut(&mut self, guest: GuestId) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|it| it.guest == guest)
    }

    /// Ends the sessions whose invitation is gone.
    fn end_orphans(&mut self, why: SessionEnd) -> Vec<Ended> {
        let mut ended = Vec::new();
        let invitations = &self.invitations;
        self.sessions.retain(|session| {
            let stays = invitations.iter().any(|it| it.id == session.invitation);
            if !stays {
                ended.push((session.guest, why));
            }
            stays
        });
        ended
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::super::token::Token;
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const PLACES: usize = 3;

    fn digest() -> TokenDigest {
        Token::generate().unwrap().digest()
    }

    fn open(
        registry: &mut Registry,
        token: &TokenDigest,
        present: &[GuestId],
        now: SystemTime,
    ) -> Result<(Session, Vec<Ended>), OpenError> {
        let is_present = |guest| present.contains(&guest);
        registry.open_session(token, digest(), "Anna".into(), PLACES, is_present, now)
    }

    #[test]
    fn where_a_guest_stands_says_whether_it_knocks() {
        let (mut registry, now) = (Registry::default(), SystemTime::now());
        for (link, standing, expected) in [
            (Admit::Ask, Standing::New, Admit::Ask),
            (Admit::Ask, Standing::Admitted, Admit::Automatically),
            (Admit::Ask, Standing::SentAway, Admit::Ask),
            (Admit::Automatically, Standing::New, Admit::Automatically),
            (
                Admit::Automatically,
                Standing::Admitted,
                Admit::Automatically,
            ),
            (Admit::Automatically, Standing::SentAway, Admit::Ask),
        ] {
            let token = digest();
            registry.invite(token, None, link, HOUR, now).unwrap();
            let guest = open(&mut registry, &token, &[], now).unwrap().0.guest;
            registry.set_standing(guest, standing);
            assert_eq!(
                registry.admit_of(guest),
                Some(expected),
                "{link:?} {standing:?}"
            );
            assert!(registry.end_session(guest));
            assert_eq!(registry.admit_of(guest), None);
        }
    }

    #[test]
    fn the_guest_that_is_absent_longest_makes_place_and_nobody_who_is_there() {
        let (mut registry, now) = (Registry::default(), SystemTime::now());
        let token = digest();
        registry.invite(token, None, Admit::Ask, HOUR, now).unwrap();
        let mut guests = Vec::new();
        for second in 0..3 {
            let at = now + Duration::from_secs(second);
            guests.push(open(&mut registry, &token, &[], at).unwrap().0.guest);
        }
        let soon = now + ABSENCE - Duration::from_secs(1);
        let full = open(&mut registry, &token, &[], soon).unwrap_err();
        assert_eq!(full, OpenError::MeetingFull);
        let later = now + 2 * ABSENCE;
        let full = open(&mut registry, &token, &guests, later).unwrap_err();
        assert_eq!(full, OpenError::MeetingFull);
        let (_, ended) = open(&mut registry, &token, &guests[..1], later).unwrap();
        assert_eq!(ended, [(guests[1], SessionEnd::PlaceTaken)]);
    }

    #[test]
    fn a_guest_that_has_left_makes_place_at_once_unless_it_is_back() {
        let (mut registry, now) = (Registry::default(), SystemTime::now());
        let token = digest();
        registry.invite(token, None, Admit::Ask, HOUR, now).unwrap();
        let open_one = |registry: &mut Registry| open(registry, &token, &[], now);
        let guests: Vec<GuestId> = (0..PLACES)
            .map(|_| open_one(&mut registry).unwrap().0.guest)
            .collect();
        registry.keep_place(guests[1], false);
        registry.keep_place(guests[2], false);
        registry.keep_place(guests[2], true);
        let (_, ended) = open_one(&mut registry).unwrap();
        assert_eq!(ended, [(guests[1], SessionEnd::PlaceTaken)]);
        assert_eq!(open_one(&mut registry).unwrap_err(), OpenError::MeetingFull);
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Invite,
        Revoke(usize),
        Open(usize),
        SignOut(usize),
        Wait(u64),
        MeetingOver,
    }

    fn step() -> impl Strategy<Value = Step> {
        let some = 0_usize..6;
        prop_oneof![
            Just(Step::Invite),
            some.clone().prop_map(Step::Revoke),
            some.clone().prop_map(Step::Open),
            some.clone().prop_map(Step::Open),
            some.prop_map(Step::SignOut),
            select(vec![1_u64, 200, 3000]).prop_map(Step::Wait),
            Just(Step::MeetingOver),
        ]
    }

    proptest! {
        /// Whatever is asked in whatever order: a session has a good link, nobody gets a number twice,
        /// and every session that is gone was told of once.
        #[test]
        fn sessions_live_and_end_with_their_links(steps in prop::collection::vec(step(), 1..60)) {
            let (mut registry, mut now) = (Registry::default(), SystemTime::UNIX_EPOCH + HOUR);
            let mut tokens = Vec::new();
            let (mut opened, mut ended) = (Vec::new(), Vec::new());
            for step in steps {
                match step {
                    Step::Invite => {
                        let token = digest();
                        if registry.invite(token, None, Admit::Ask, HOUR, now).is_ok() {
                            tokens.push(token);
                        }
                    }
                    Step::Revoke(nth) => {
                        if let Some(id) = registry.invitations.get(nth).map(|it| it.id) {
                            ended.extend(registry.revoke(id).unwrap().into_iter().map(|it| it.0));
                        }
                    }
                    Step::Open(nth) => {
                        let Some(token) = tokens.get(nth).copied() else { continue };
                        match open(&mut registry, &token, &[], now) {
                            Ok((session, gone)) => {
                                prop_assert!(!opened.contains(&session.guest));
                                opened.push(session.guest);
                                ended.extend(gone.into_iter().map(|it| it.0));
                            }
                            Err(OpenError::LinkNotValid) => {
                                prop_assert!(registry.invitation_of(&token, now).is_none());
                            }
                            Err(OpenError::MeetingFull) => {
                                prop_assert_eq!(registry.sessions.len(), PLACES);
                            }
                        }
                    }
                    Step::SignOut(nth) => {
                        if let Some(guest) = registry.sessions.get(nth).map(|it| it.guest) {
                            prop_assert!(registry.end_session(guest));
                            ended.push(guest);
                        }
                    }
                    Step::Wait(seconds) => {
                        now += Duration::from_secs(seconds);
                        ended.extend(registry.expire(now).into_iter().map(|it| it.0));
                    }
                    Step::MeetingOver => ended.extend(registry.meeting_over()),
                }
                prop_assert!(registry.sessions.len() <= PLACES);
                for session in &registry.sessions {
                    let invitation = registry.invitation(session.invitation);
                    prop_assert!(invitation.is_some_and(|it| it.is_good(now)));
                }
                let mut all: Vec<_> = registry.sessions.iter().map(|it| it.guest).collect();
                all.extend(&ended);
                all.sort();
                prop_assert_eq!(&all, &opened);
            }
        }
    }
}
