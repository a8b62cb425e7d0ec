//! How long to wait after a registration has failed (RFC 5626 section 4.5).

use std::time::Duration;

use rand_core::Rng;

/// The longest that a registrar may put us off by Retry-After: a box that stays away for longer is
/// taken for broken.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// The waits between failed registrations. They double with each failure in a row, and half of each
/// is random, so that the boxes of a house do not come back to their registrar all at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackOff {
    /// Half of the longest first wait while no flow of the account carries a registration: the box
    /// cannot be called.
    pub all_failed: Duration,
    /// The same while another flow does.
    pub some_work: Duration,
    /// No wait is longer.
    pub longest: Duration,
}

impl Default for BackOff {
    /// The RFC's values: 30 s, 90 s and half an hour.
    fn default() -> Self {
        Self {
            all_failed: Duration::from_secs(30),
            some_work: Duration::from_secs(90),
            longest: Duration::from_secs(1_800),
        }
    }
}

/// How the other flows of the account are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OtherFlows {
    /// There are none, or none that carries a registration.
    Failed,
    /// At least one does.
    Work,
}

impl BackOff {
    /// The wait after this many failures in a row, 1 or more; longer if the registrar asks for it.
    pub(crate) fn wait(
        &self,
        failures: u32,
        others: OtherFlows,
        retry_after: Option<Duration>,
        rng: &mut impl Rng,
    ) -> Duration {
        let base = match others {
            OtherFlows::Failed => self.all_failed,
            OtherFlows::Work => self.some_work,
        };
        let longest = base
            .saturating_mul(2_u32.saturating_pow(failures))
            .min(self.longest);
        let ours = longest / 2 + random_part(longest / 2, rng);
        // Who is put off together must not come back together.
        let theirs = retry_after
            .map(|wanted| wanted.min(RETRY_AFTER_MAX))
            .map(|wanted| wanted + random_part(wanted / 10, rng));
        theirs.unwrap_or_default().max(ours)
    }
}

/// A random time from zero up to `longest`.
pub(crate) fn random_part(longest: Duration, rng: &mut impl Rng) -> Duration {
    longest.mul_f64(f64::from(rng.next_u32()) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng;

    use super::*;

    fn waits(failures: u32, others: OtherFlows, retry_after: Option<u64>) -> Vec<u64> {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let retry_after = retry_after.map(Duration::from_secs);
        (0..200)
            .map(|_| BackOff::default().wait(failures, others, retry_after, &mut rng))
            .map(|wait| wait.as_secs())
            .collect()
    }

    #[test]
    fn waits_are_those_of_the_rfc() {
        for (failures, others, from, to) in [
            // "the first retry happens somewhere between 30 and 60 seconds after the failure"
            (1, OtherFlows::Failed, 30, 60),
            // "if the base-time is 30 seconds, and there were three failures, then the
            // upper-bound wait time is [...] 240 seconds"
            (3, OtherFlows::Failed, 120, 240),
            // "with a random time of 15 to 30 minutes between each attempt"
            (9, OtherFlows::Failed, 900, 1_800),
            (1, OtherFlows::Work, 90, 180),
            (u32::MAX, OtherFlows::Work, 900, 1_800),
        ] {
            let waits = waits(failures, others, None);
            assert!(
                waits.iter().all(|wait| (from..=to).contains(wait)),
                "{failures}: {waits:?}"
            );
            let spread = waits.iter().max().unwrap() - waits.iter().min().unwrap();
            assert!(spread >= (to - from) * 8 / 10, "{failures}: {spread} s");
        }
    }

    #[test]
    fn a_registrar_may_ask_for_more_time_but_not_for_less_nor_without_end() {
        for (retry_after, from, to) in [
            (5, 30, 60),
            (300, 300, 330),
            (u64::from(u32::MAX), 3_600, 3_960),
        ] {
            let waits = waits(1, OtherFlows::Failed, Some(retry_after));
            assert!(
                waits.iter().all(|wait| (from..=to).contains(wait)),
                "{retry_after}: {waits:?}"
            );
        }
    }
}
