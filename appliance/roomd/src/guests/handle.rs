//! The guests of the room, for all who deal with them: the driver, the server's routes, the API.
//!
//! One value behind one lock, which nobody holds while waiting. Whatever has to reach the driver does so in
//! order: what a guest's WebSocket says comes from its own task, and the end of a session comes after
//! all of that, from [`Guests::keep`].

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::limits::{Costly, GuestLimits};
use super::registry::{Ended, Invitation, InvitationId, InviteError, OpenError, Registry};
use super::registry::{Session, Standing};
use super::signalling::{Admit, GuestEnd, GuestEvent, GuestId, SessionEnd};
use super::store::{GuestStore, NotStored};
use super::token::{Token, TokenDigest};

/// How often the clock is looked at: it may be set while nobody waits for it.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(60);

/// The guests of the room. Clones are of the same.
#[derive(Clone, Debug)]
pub struct Guests(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Sessions at a time.
    places: usize,
    events: mpsc::Sender<GuestEvent>,
    /// The newest state, for the store.
    changed: watch::Sender<u64>,
    /// The newest state that is on disk, or could not be brought there.
    stored: watch::Sender<Stored>,
    /// Wakes [`Guests::keep`].
    wake: Notify,
}

#[derive(Clone, Copy, Debug, Default)]
struct Stored {
    generation: u64,
    failed: bool,
}

#[derive(Debug)]
struct State {
    registry: Registry,
    generation: u64,
    connections: HashMap<GuestId, Connection>,
    /// What the guests with a session have done lately.
    limits: HashMap<GuestId, GuestLimits>,
    next_connection: u64,
    /// Sessions whose end the driver has to be told, all other events of them being sent.
    over: VecDeque<Ended>,
}

/// The WebSocket of a guest.
#[derive(Debug)]
struct Connection {
    number: u64,
    close: watch::Sender<Option<GuestEnd>>,
    /// Ends when the connection sends no more events.
    gone: oneshot::Receiver<()>,
    /// Why its session is over, if it is.
    over: Option<SessionEnd>,
}

impl State {
    fn end(&mut self, ended: impl IntoIterator<Item = Ended>) {
        for (guest, why) in ended {
            self.limits.remove(&guest);
            if let Some(connection) = self.connections.get_mut(&guest) {
                connection.over = Some(why);
                connection.close.send_replace(Some(why.as_guest_end()));
            } else {
                self.over.push_back((guest, why));
            }
        }
    }
}

// --- for the driver ---

impl Guests {
    /// The guests that `store` remembers. The driver reads the other end of `events`; at most
    /// `places` sessions are open at a time.
    #[must_use]
    pub fn new(store: &GuestStore, places: usize, events: mpsc::Sender<GuestEvent>) -> Self {
        let registry = store.load(SystemTime::now());
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                registry,
                generation: 0,
                connections: HashMap::new(),
                limits: HashMap::new(),
                next_connection: 0,
                over: VecDeque::new(),
            }),
            places,
            events,
            changed: watch::channel(0).0,
            stored: watch::channel(Stored::default()).0,
            wake: Notify::new(),
        }))
    }

    /// Notes that the room has let a guest in: from now on its offers are [`Admit::Automatically`]. An
    /// unknown guest is ignored.
    pub fn admitted(&self, guest: GuestId) {
        self.stand(guest, Standing::Admitted);
    }

    /// Notes that the room has declined a guest or hung up on it: from now on its offers are
    /// [`Admit::Ask`], whatever its link says. `GuestReply::Ended` with such a reason does the same
    /// where it reaches a page; this is for guests whose WebSocket is gone, and does no harm otherwise.
    pub fn sent_away(&self, guest: GuestId) {
        self.stand(guest, Standing::SentAway);
    }

    /// Ends the meeting: its links and sessions are over, and its pages are told so, unless they
    /// were told another end before. Each session's [`GuestEvent::SessionOver`]
    /// follows. Links that are made from now on are to the next meeting.
    pub fn meeting_over(&self) {
        let mut state = self.lock();
        if state.registry.invitations.is_empty() && state.registry.sessions.is_empty() {
            return;
        }
        let guests = state.registry.meeting_over();
        state.end(
            guests
                .into_iter()
                .map(|guest| (guest, SessionEnd::MeetingOver)),
        );
        self.change(&mut state);
    }

    fn stand(&self, guest: GuestId, standing: Standing) {
        let mut state = self.lock();
        if state.registry.set_standing(guest, standing) {
            self.change(&mut state);
        }
    }
}

// --- for the API ---

impl Guests {
    /// Makes a link to the meeting; the token is its secret part.
    pub(crate) fn invite(
        &self,
        token: &Token,
        label: Option<String>,
        admit: Admit,
        lifetime: Duration,
    ) -> Result<Invitation, InviteError> {
        let now = SystemTime::now();
        let mut state = self.lock();
        let ended = state.registry.expire(now);
        state.end(ended);
        let made = state
            .registry
            .invite(token.digest(), label, admit, lifetime, now);
        self.change(&mut state);
        made
    }

    /// The links that are good now, in the order in which they were made, each with the number of
    /// sessions that were opened by it.
    pub(crate) fn invitations(&self) -> Vec<(Invitation, usize)> {
        self.expire(SystemTime::now());
        let state = self.lock();
        let sessions_of = |id: InvitationId| {
            let sessions = state.registry.sessions.iter();
            sessions.filter(|session| session.invitation == id).count()
        };
        let invitations = state.registry.invitations.iter();
        invitations
            .map(|it| (it.clone(), sessions_of(it.id)))
            .collect()
    }

    /// Ends a link and its sessions; whether there was such a link.
    pub(crate) fn revoke(&self, id: InvitationId) -> bool {
        let mut state = self.lock();
        let Some(ended) = state.registry.revoke(id) else {
            return false;
        };
        state.end(ended);
        self.change(&mut state);
        true
    }

    /// Waits until all that was changed so far is on disk.
    pub(crate) async fn stored(&self) -> Result<(), NotStored> {
        let wanted = self.lock().generation;
        let mut stored = self.0.stored.subscribe();
        let stored = stored.wait_for(|stored| stored.generation >= wanted).await;
        match stored.map(|stored| stored.failed) {
            Ok(false) => Ok(()),
            Ok(true) | Err(_) => Err(NotStored),
        }
    }
}

// --- for the server ---

/// A session as its page sees it.
#[derive(Clone, Debug)]
pub(super) struct OpenSession {
    pub(super) guest: GuestId,
    pub(super) name: String,
    pub(super) expires_at: SystemTime,
}

impl Guests {
    /// Opens a session by a link's token, or gives the one that the guest's cookie has by the same link
    /// its name. The cookie is what the guest shows from now on.
    pub(super) fn open_session(
        &self,
        token: &TokenDigest,
        shown: Option<Token>,
        fresh: Token,
        name: &str,
    ) -> Result<(OpenSession, Token), OpenError> {
        let now = SystemTime::now();
        let mut state = self.lock();
        let state = &mut *state;
        let invitation = state.registry.invitation_of(token, now);
        let invitation = invitation.ok_or(OpenError::LinkNotValid)?.id;
        if let Some(cookie) = shown {
            let session = state.registry.session_of(&cookie.digest(), now).cloned();
            if let Some(session) = session {
                if session.invitation == invitation {
                    if state.registry.rename(session.guest, name) {
                        self.change(state);
                    }
                    state.registry.seen(session.guest, now);
                    return open(&state.registry, session.guest).map(|session| (session, cookie));
                }
                // The browser keeps one cookie: nobody could come back to the other session.
                state.registry.end_session(session.guest);
                state.end([(session.guest, SessionEnd::SignedOut)]);
                self.change(state);
            }
        }
        let connections = &state.connections;
        let is_present = |guest| connections.contains_key(&guest);
        let opened = state.registry.open_session(
            token,
            fresh.digest(),
            name.to_owned(),
            self.0.places,
            is_present,
            now,
        );
        let (session, ended) = opened?;
        state.end(ended);
        self.change(state);
        open(&state.registry, session.guest).map(|session| (session, fresh))
    }

    /// The session that a cookie belongs to.
    pub(super) fn session(&self, cookie: &Token) -> Option<OpenSession> {
        let now = SystemTime::now();
        let mut state = self.lock();
        let guest = state.registry.session_of(&cookie.digest(), now)?.guest;
        state.registry.seen(guest, now);
        open(&state.registry, guest).ok()
    }

    /// A guest says that it leaves: others need not wait for its place.
    pub(super) fn left(&self, guest: GuestId) {
        self.lock().registry.keep_place(guest, false);
    }

    pub(super) fn rename(&self, guest: GuestId, name: &str) {
        let mut state = self.lock();
        if state.registry.rename(guest, name) {
            self.change(&mut state);
        }
    }

    /// Ends the session of a guest that goes.
    pub(super) fn sign_out(&self, guest: GuestId) {
        let mut state = self.lock();
        if state.registry.end_session(guest) {
            state.end([(guest, SessionEnd::SignedOut)]);
            self.change(&mut state);
        }
    }

    /// The name of a guest, and what its offer meets; `None` when its session is over.
    pub(super) fn knock(&self, guest: GuestId) -> Option<(String, Admit)> {
        let state = self.lock();
        let name = state.registry.session(guest)?.name.clone();
        Some((name, state.registry.admit_of(guest)?))
    }

    /// Counts what a guest does; whether it may. Nobody may without a session.
    pub(super) fn may(&self, guest: GuestId, what: Costly, now: Instant) -> bool {
        let mut state = self.lock();
        let has_session = state.registry.session(guest).is_some();
        has_session && state.limits.entry(guest).or_default().take(what, now)
    }

    pub(super) fn events(&self) -> &mpsc::Sender<GuestEvent> {
        &self.0.events
    }

    /// Takes the place of a guest's WebSocket. One that was there before is told to close, and this waits
    /// until it sends no more events. `None` when the session is over.
    pub(super) async fn attach(&self, guest: GuestId) -> Option<Attachment> {
        let (attachment, earlier) = self.take_place(guest)?;
        if let Some(earlier) = earlier {
            // An error is what is waited for: the other end is dropped.
            let _ = earlier.await;
        }
        Some(attachment)
    }

    fn take_place(&self, guest: GuestId) -> Option<(Attachment, Option<oneshot::Receiver<()>>)> {
        let mut state = self.lock();
        state.registry.session(guest)?;
        state.registry.seen(guest, SystemTime::now());
        state.registry.keep_place(guest, true);
        let (close, closed) = watch::channel(None);
        let (going, gone) = oneshot::channel();
        let number = state.next_connection;
        state.next_connection += 1;
        let connection = Connection {
            number,
            close,
            gone,
            over: None,
        };
        let earlier = state.connections.insert(guest, connection);
        let earlier = earlier.map(|earlier| {
            earlier.close.send_replace(Some(GuestEnd::TakenOver));
            earlier.gone
        });
        let attachment = Attachment {
            guests: self.clone(),
            guest,
            number,
            closed,
            _going: going,
        };
        Some((attachment, earlier))
    }

    fn detach(&self, guest: GuestId, number: u64) {
        let mut state = self.lock();
        let is_current = |connection: &Connection| connection.number == number;
        if !state.connections.get(&guest).is_some_and(is_current) {
            return;
        }
        let connection = state.connections.remove(&guest);
        state.registry.seen(guest, SystemTime::now());
        if let Some(why) = connection.and_then(|connection| connection.over) {
            state.over.push_back((guest, why));
            self.0.wake.notify_one();
        }
    }
}

fn open(registry: &Registry, guest: GuestId) -> Result<OpenSession, OpenError> {
    let session = registry.session(guest).ok_or(OpenError::LinkNotValid)?;
    let invitation = registry.invitation(session.invitation);
    let Session { guest, name, .. } = session.clone();
    Ok(OpenSession {
        guest,
        name,
        expires_at: invitation.ok_or(OpenError::LinkNotValid)?.expires_at,
    })
}

/// The place of a guest's WebSocket, given back when it is dropped: no event of that WebSocket may be sent
/// later.
#[derive(Debug)]
pub(super) struct Attachment {
    guests: Guests,
    guest: GuestId,
    number: u64,
    closed: watch::Receiver<Option<GuestEnd>>,
    _going: oneshot::Sender<()>,
}

impl Attachment {
    /// Waits until the WebSocket has to close, and why.
    pub(super) async fn closed(&mut self) -> GuestEnd {
        match self.closed.wait_for(Option::is_some).await {
            Ok(end) => end.unwrap_or(GuestEnd::Failed),
            // Another WebSocket has the place.
            Err(_) => GuestEnd::TakenOver,
        }
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.guests.detach(self.guest, self.number);
    }
}

// --- around all of it ---

impl Guests {
    /// Ends what expires, and tells the driver which sessions are over, for as long as it is awaited: when
    /// there is no driver any more, the service is about to end.
    pub async fn keep(self) {
        loop {
            let (over, next_look) = self.over_and_next_look();
            for (guest, why) in over {
                let event = GuestEvent::SessionOver { guest, why };
                // Nobody is left to tell.
                let _ = self.0.events.send(event).await;
            }
            tokio::select! {
                () = self.0.wake.notified() => {}
                () = tokio::time::sleep(next_look) => self.expire(SystemTime::now()),
            }
        }
    }

    fn over_and_next_look(&self) -> (VecDeque<Ended>, Duration) {
        let mut state = self.lock();
        let until = |time: SystemTime| time.duration_since(SystemTime::now()).unwrap_or_default();
        let next = state.registry.next_expiry().map_or(LOOK_AT_CLOCK, until);
        (std::mem::take(&mut state.over), next.min(LOOK_AT_CLOCK))
    }

    /// Ends the links that have expired at a time, and their sessions.
    pub(super) fn expire(&self, now: SystemTime) {
        let mut state = self.lock();
        if state.registry.next_expiry().is_some_and(|next| next <= now) {
            let ended = state.registry.expire(now);
            state.end(ended);
            self.change(&mut state);
        }
    }

    /// Brings each change to the disk, newest first: what was overtaken while the disk was busy is skipped.
    /// Ends when it is told to, with what is newest then.
    pub async fn store(self, store: GuestStore, stop: impl Future<Output = ()>) {
        let mut changed = self.0.changed.subscribe();
        let mut stop = std::pin::pin!(stop);
        let mut stopped = false;
        // What was changed before anybody listened is stored as well.
        loop {
            let (generation, registry) = {
                let state = self.lock();
                (state.generation, state.registry.clone())
            };
            if generation > self.0.stored.borrow().generation {
                let saved = store.save_off_thread(registry).await;
                if let Err(error) = &saved {
                    tracing::error!(%error, "links and sessions of guests are not stored");
                }
                let failed = saved.is_err();
                self.0.stored.send_replace(Stored { generation, failed });
            }
            if stopped {
                return;
            }
            tokio::select! {
                // Never fails: the sender is ours.
                _ = changed.changed() => {}
                () = stop.as_mut() => stopped = true,
            }
        }
    }

    /// Notes a change: it is brought to the disk, and whatever has ended is told.
    fn change(&self, state: &mut State) {
        state.generation += 1;
        self.0.changed.send_replace(state.generation);
        self.0.wake.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock; if something did, each change is whole by itself.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
