//! Tests: who shows a certificate to whom, over real TLS on loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use config::ClientCertificates;
use sip::endpoint::{AccountName, Endpoint, EndpointSettings, IncomingPolicy};
use tempfile::TempDir;

use super::*;
use crate::certificate;

/// A test that waits longer than this has failed.
const LIMIT: Duration = Duration::from_secs(10);

/// Certificates of one authority.
struct Authority(TempDir);

impl Authority {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn identity(&self, name: &str) -> TlsIdentity {
        let file = |ending: &str| self.0.path().join(format!("{name}.{ending}"));
        if !file("pem").exists() {
            let address = Ipv4Addr::LOCALHOST.into();
            certificate::create(self.0.path(), name, &[address]).unwrap();
        }
        TlsIdentity {
            certificate_chain: file("pem"),
            private_key: file("key"),
        }
    }

    fn trust(&self) -> TlsTrust {
        TlsTrust {
            authorities: vec![Path::join(self.0.path(), "authority.pem")],
        }
    }
}

fn account(name: &str) -> AccountName {
    AccountName::new(name)
}

/// A listener that asks, and its events.
async fn server(
    authority: &Authority,
    client_certificates: ClientCertificates,
) -> (SipSockets, mpsc::Receiver<SocketEvent>) {
    let tls = TlsSettings {
        listener: Some(authority.identity("server.example")),
        client_certificates,
        trust: authority.trust(),
        ..TlsSettings::default()
    };
    let wanted = ListenAddresses {
        tls: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        ..ListenAddresses::default()
    };
    SipSockets::listen(&wanted, &tls).await.unwrap()
}

/// A name for a connection, as an endpoint gives them.
pub(super) fn flow() -> FlowId {
    let settings = EndpointSettings {
        accounts: Vec::new(),
        instance_id: None,
        user_agent: "test".to_owned(),
        incoming: IncomingPolicy::default(),
        listen: sip::endpoint::ListenAddresses::default(),
        dial_limit: LIMIT,
    };
    Endpoint::new(settings, [1; 32]).reserve_flow()
}

/// Connects in the name of `identity`, with a certificate of `authority` for the account `office`.
/// What the server has learnt of who has connected, if it has let it in.
async fn names_shown(
    asked: ClientCertificates,
    servers: &Authority,
    clients: &Authority,
    identity: Option<&str>,
) -> Option<Vec<String>> {
    let (server, mut accepted) = server(servers, asked).await;
    let tls = TlsSettings {
        accounts: vec![(account("office"), clients.identity("office.example"))],
        trust: servers.trust(),
        ..TlsSettings::default()
    };
    let nowhere = ListenAddresses::default();
    let (mut client, mut opened) = SipSockets::listen(&nowhere, &tls).await.unwrap();
    let remote = server.bound().tls.unwrap();
    let (name, identity) = ("127.0.0.1".to_owned(), identity.map(account));
    client.open(
        flow(),
        Transport::Tls,
        remote,
        name,
        identity.as_ref(),
        None,
    );
    // With TLS 1.3 a client hears only after its handshake that it was refused.
    let refused = async {
        loop {
            match opened.recv().await {
                Some(SocketEvent::Closed { .. }) => return,
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    };
    let outcome = async {
        tokio::select! {
            event = accepted.recv() => match event {
                Some(SocketEvent::Accepted(stream)) => Some(stream.info.verified_names),
                event => panic!("{event:?}"),
            },
            () = refused => None,
        }
    };
    tokio::time::timeout(LIMIT, outcome).await.unwrap()
}

#[tokio::test]
async fn an_accounts_certificate_is_shown_to_a_server_that_asks_in_its_name_alone() {
    let authority = Authority::new();
    let shown = async |asked, identity| names_shown(asked, &authority, &authority, identity).await;
    let office = ["office.example", "127.0.0.1"].map(str::to_owned).to_vec();
    for asked in [ClientCertificates::Optional, ClientCertificates::Required] {
        assert_eq!(
            shown(asked, Some("office")).await,
            Some(office.clone()),
            "{asked:?}"
        );
    }
    let nothing = Some(Vec::new());
    let optional = ClientCertificates::Optional;
    for identity in [None, Some("another")] {
        assert_eq!(shown(optional, identity).await, nothing, "{identity:?}");
    }
    assert_eq!(
        shown(ClientCertificates::Off, Some("office")).await,
        nothing
    );
}

#[tokio::test]
async fn who_shows_nothing_or_a_stranger_s_certificate_is_not_let_in_where_one_is_required() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let required = ClientCertificates::Required;
    assert_eq!(names_shown(required, &ours, &ours, None).await, None);
    for asked in [required, ClientCertificates::Optional] {
        let shown = names_shown(asked, &ours, &theirs, Some("office")).await;
        assert_eq!(shown, None, "{asked:?}");
    }
}
