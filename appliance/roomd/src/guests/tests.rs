//! The whole server with a real TLS client, a real WebSocket client and a scripted driver.

mod client;
mod joining;
mod limits;
mod links;
mod pages;
mod taking_over;

use std::path::Path;
use std::time::Duration;

use config::{Admit, GuestServerIdentity, GuestSettings};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::connection::Pings;
use super::connections::Patience;
use super::server::{GuestServer, GuestServerParts};
use super::signalling::{GuestEvent, GuestId, GuestReply, guest_events};
use crate::sip_sockets::TlsTrust;
use crate::turn_servers::TurnServers;
use client::{Browser, Page};

/// Whatever can happen has happened before this is over.
const LONG: Duration = Duration::from_secs(20);

/// A room with a server, whose driver is the test.
struct Room {
    server: GuestServer,
    events: mpsc::Receiver<GuestEvent>,
    state: TempDir,
    _address_changes: watch::Sender<u64>,
}

fn settings() -> GuestSettings {
    GuestSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        public_url: None,
        identity: GuestServerIdentity::LocalAuthority,
        max_guests: 4,
        admit: Admit::Ask,
        link_lifetime: Duration::from_secs(3600),
        media_tcp_port: None,
        public_addresses: Vec::new(),
        turn: Vec::new(),
    }
}

impl Room {
    async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), &settings()).await
    }

    async fn start_in(state: TempDir, settings: &GuestSettings) -> Self {
        Self::start_with(state, settings, Pings::default(), Patience::default()).await
    }

    async fn start_with(
        state: TempDir,
        settings: &GuestSettings,
        pings: Pings,
        patience: Patience,
    ) -> Self {
        let (sender, events) = guest_events();
        let (changes, address_changes) = watch::channel(0);
        let parts = GuestServerParts {
            room_name: "Board room".to_owned(),
            state: state.path(),
            turn: TurnServers::new(&settings.turn, None, &TlsTrust::default()).unwrap(),
            credentials: None,
            facts: mpsc::channel(64).0,
            events: sender,
            address_changes,
        };
        let server = GuestServer::start_with(settings, parts, pings, patience);
        Self {
            server: server.await.unwrap(),
            events,
            state,
            _address_changes: changes,
        }
    }

    fn state(&self) -> &Path {
        self.state.path()
    }

    async fn stop(self) -> TempDir {
        self.server.shut_down().await;
        self.state
    }

    /// The next link's token.
    async fn link(&self) -> String {
        self.link_with(None).await
    }

    async fn link_with(&self, admit: Option<Admit>) -> String {
        let link = self.server.links().invite(None, admit, None).await.unwrap();
        link.token.expose().to_owned()
    }

    fn browser(&self) -> Browser {
        Browser::new(self.server.address(), self.state())
    }

    /// A browser whose guest has opened a link.
    async fn guest(&self, token: &str) -> Browser {
        let mut browser = self.browser();
        let answer = browser.open_session(token, "Anna").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        browser
    }

    async fn next(&mut self) -> GuestEvent {
        let event = timeout(LONG, self.events.recv()).await;
        event.expect("an event comes").expect("the server runs")
    }

    async fn next_offer(&mut self) -> Offer {
        match self.next().await {
            GuestEvent::Offer {
                guest,
                name,
                admit,
                sdp,
                replies,
            } => Offer {
                guest,
                name,
                admit,
                sdp,
                replies,
            },
            other => panic!("no offer: {other:?}"),
        }
    }

    /// A guest that has offered, as page and driver see it.
    async fn knocking(&mut self) -> (Browser, Page, Offer) {
        let token = self.link().await;
        let browser = self.guest(&token).await;
        let mut page = browser.page().await;
        page.offer("v=0").await;
        let offer = self.next_offer().await;
        (browser, page, offer)
    }
}

/// Waits for what has to come.
async fn within_long<T>(what: impl Future<Output = T>) -> T {
    timeout(LONG, what).await.expect("it comes within the time")
}

/// An offer, as the driver gets it.
#[derive(Debug)]
struct Offer {
    guest: GuestId,
    name: String,
    admit: Admit,
    sdp: String,
    replies: mpsc::Sender<GuestReply>,
}
