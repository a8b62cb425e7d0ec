//! Waiting for states that announce themselves to nobody: a file, a socket, an exit.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

const INTERVAL: Duration = Duration::from_millis(5);

/// Looks again and again until `look` finds something.
///
/// # Errors
/// When `look` fails, or has found nothing when the time is over.
pub fn until<T>(
    what: &str,
    timeout: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        ensure!(
            Instant::now() < deadline,
            "{what} did not come within {timeout:?}"
        );
        std::thread::sleep(INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::until;

    #[test]
    fn what_comes_later_is_found() {
        let mut looks = 0;
        let found = until("the third look", Duration::from_secs(60), || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        });
        assert_eq!(found.unwrap(), 3);
    }

    #[test]
    fn what_never_comes_is_named() {
        let error = until("the moon", Duration::ZERO, || Ok(None::<()>)).unwrap_err();
        assert!(error.to_string().contains("the moon"), "{error}");
    }
}
