use config::DirectoryUrl;

use super::super::tests::{NAME, issued};
use super::*;

const DIRECTORY: &str = "https://ca.example/directory";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn keeper(state: &Path) -> Keeper {
    let (facts, _) = mpsc::channel(8);
    let (_, wishes) = mpsc::channel(1);
    let (_, address_changes) = watch::channel(0);
    let orders = Orders {
        settings: AcmeSettings {
            directory: DirectoryUrl::new(DIRECTORY).unwrap(),
            contact: None,
            authority: None,
            http_listen: None,
            external_account: None,
        },
        external: None,
        client: AcmeClient::new(connector(&TlsTrust::default()).unwrap()),
        store: AcmeStore::new(state),
        shown: Shown::new(NAME),
    };
    Keeper::new(
        orders,
        facts,
        wishes,
        watch::channel(false).0,
        address_changes,
    )
}

#[tokio::test]
async fn a_certificate_that_could_not_be_stored_is_stored_once_that_is_possible() {
    let state = tempfile::tempdir().unwrap();
    let place = state.path().join("acme");
    // Not a directory yet, but a file of that name.
    std::fs::write(&place, "").unwrap();
    let mut keeper = keeper(&place);
    let now = SystemTime::now();
    let refused = keeper
        .take(issued((now - DAY, now + 89 * DAY), DIRECTORY), now)
        .await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.reason, Reason::NotStored);
    keeper.failed(&refused, now);
    keeper.store_again().await;
    assert!(keeper.is_unstored && keeper.last_failure.is_some());
    // It is shown all the same.
    assert!(keeper.orders.shown.has_certificate());

    std::fs::remove_file(&place).unwrap();
    std::fs::create_dir(&place).unwrap();
    keeper.store_again().await;
    assert!(!keeper.is_unstored && keeper.last_failure.is_none());
    let kept = AcmeStore::new(&place).certificate().unwrap();
    assert!(kept.names(NAME));
    assert_eq!(AcmeStore::new(&place).failures().failures.count, 0);
}
