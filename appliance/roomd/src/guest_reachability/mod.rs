//! Whether guests reach the room from outside, as far as that can be told from inside.
//!
//! ```text
//!                ┌─ page: name ─> addresses ─> TLS: our certificate?
//!  test, bounded ┤
//!  in time       │                ┌─ STUN: at which address are we seen?
//!                └─ TURN servers ─┤
//!                                 └─ each way: connection ─> address ─> does what is sent there come?
//! ```
//!
//! All is looked at at once, each step has its deadline, and what nobody can know from inside is said to be that.
//! There is one test at a time, which asks servers of others: who wants one meanwhile gets what it finds. It goes on
//! when nobody waits for it any more.

mod page;
mod relay_probe;
mod seen_address;
mod turn;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use api::reachability::Finding;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::turn_servers::TurnServers;

pub use page::Page;

/// What is tested.
#[derive(Debug)]
pub struct GuestReachabilityParts {
    /// The page of guests.
    pub page: Page,
    /// By which servers media goes where there is no direct way.
    pub turn: TurnServers,
    /// The addresses of a router that forwards ports to this machine.
    pub public_addresses: Vec<IpAddr>,
}

/// What a test finds; `None` until it has.
type Found = watch::Receiver<Option<Vec<Finding>>>;

/// The test that goes on, or was the last one.
#[derive(Debug, Default)]
struct Tests {
    /// One task at most.
    task: JoinSet<()>,
    found: Option<Found>,
}

/// Tests the ways of guests to the room. Clones share one test at a time, which ends with the last of them.
#[derive(Clone, Debug)]
pub struct GuestReachability {
    parts: Arc<GuestReachabilityParts>,
    tests: Arc<Mutex<Tests>>,
}

impl GuestReachability {
    /// Tests these.
    #[must_use]
    pub fn new(parts: GuestReachabilityParts) -> Self {
        Self {
            parts: Arc::new(parts),
            tests: Arc::default(),
        }
    }

    /// Looks at everything, which takes less than ten seconds.
    pub async fn test(&self) -> Vec<Finding> {
        let parts = Arc::clone(&self.parts);
        shared(&self.tests, async move { parts.test().await }).await
    }
}

/// What the test that goes on finds, or else this one.
async fn shared(
    tests: &Mutex<Tests>,
    test: impl Future<Output = Vec<Finding>> + Send + 'static,
) -> Vec<Finding> {
    let mut found = {
        let mut tests = tests.lock().unwrap_or_else(PoisonError::into_inner);
        while tests.task.try_join_next().is_some() {}
        let going_on = tests.found.take().filter(|_| !tests.task.is_empty());
        let found = going_on.unwrap_or_else(|| {
            let (tell, found) = watch::channel(None);
            tests.task.spawn(async move {
                tell.send_replace(Some(test.await));
            });
            found
        });
        tests.found = Some(found.clone());
        found
    };
    let found = found.wait_for(Option::is_some).await;
    // Without anything found, the test has failed by a fault of its own.
    found
        .ok()
        .and_then(|found| found.clone())
        .unwrap_or_default()
}

impl GuestReachabilityParts {
    async fn test(&self) -> Vec<Finding> {
        let (mut findings, of_servers) = tokio::join!(
            self.page.look(),
            turn::look(&self.turn, &self.public_addresses)
        );
        findings.extend(of_servers);
        findings
    }
}

/// Whether an address means something on some networks only.
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            // RFC 6598: behind the NAT of a provider.
            let [first, second, ..] = address.octets();
            let is_shared = first == 100 && (64..128).contains(&second);
            address.is_private() || address.is_loopback() || address.is_link_local() || is_shared
        }
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::Pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Poll;

    use api::reachability::FindingCode;
    use tokio::sync::Notify;

    use super::*;

    async fn is_pending(mut future: Pin<&mut impl Future>) -> bool {
        poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
    }

    #[tokio::test]
    async fn who_wants_a_test_while_one_goes_on_gets_what_that_finds() {
        let tests = Mutex::default();
        let (begun, finish) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let test = || {
            let (begun, finish) = (Arc::clone(&begun), Arc::clone(&finish));
            async move {
                let number = begun.fetch_add(1, Ordering::Relaxed);
                finish.notified().await;
                let code = FindingCode::NoTurnServer;
                vec![Finding::new(code, number.to_string(), None)]
            }
        };
        {
            // One that nobody waits for any more goes on.
            let given_up = shared(&tests, test());
            tokio::pin!(given_up);
            assert!(is_pending(given_up.as_mut()).await);
        }
        let waiting = async {
            let (first, second) = tokio::join!(shared(&tests, test()), shared(&tests, test()));
            assert_eq!(first, second);
            first
        };
        tokio::pin!(waiting);
        assert!(is_pending(waiting.as_mut()).await);
        finish.notify_one();
        assert_eq!(waiting.await[0].subject, "0");
        assert_eq!(begun.load(Ordering::Relaxed), 1);
        finish.notify_one();
        assert_eq!(shared(&tests, test()).await[0].subject, "1");
    }

    #[test]
    fn addresses_of_some_networks_only_are_told_from_those_of_all() {
        for (address, private) in [
            ("10.1.2.3", true),
            ("127.0.0.1", true),
            ("100.64.0.1", true),
            ("100.128.0.1", false),
            ("203.0.113.7", false),
            ("::ffff:192.168.1.1", true),
            ("fd00::1", true),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_private(address.parse().unwrap()), private, "{address}");
        }
    }
}
