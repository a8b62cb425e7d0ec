//! Percentiles of what was measured.

/// Measured values in ascending order; at least one, and none that is not a number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    /// Sorts the values; `None` when there are none. What is not a number is left out.
    pub(crate) fn new(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().filter(|value| !value.is_nan()).collect();
        values.sort_by(f64::total_cmp);
        (!values.is_empty()).then_some(Self(values))
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The smallest value that `percent` of all values do not exceed (nearest rank).
    pub(crate) fn percentile(&self, percent: f64) -> f64 {
        let rank = (percent / 100.0 * self.0.len() as f64).ceil() as usize;
        self.0[rank.clamp(1, self.0.len()) - 1]
    }

    /// The 50th percentile.
    pub(crate) fn median(&self) -> f64 {
        self.percentile(50.0)
    }

    /// The 95th percentile.
    pub(crate) fn p95(&self) -> f64 {
        self.percentile(95.0)
    }

    /// The arithmetic mean.
    pub(crate) fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }

    /// The distribution as points to draw: a value, and the percentage of values up to it.
    pub(crate) fn distribution(&self) -> Vec<(f64, f64)> {
        let share = |index: usize| 100.0 * (index + 1) as f64 / self.0.len() as f64;
        self.0
            .iter()
            .enumerate()
            .map(|(index, value)| (*value, share(index)))
            .collect()
    }

    /// `median 4.8, p95 6.1, 900 samples`: for a row's note.
    pub(crate) fn summary(&self) -> String {
        format!(
            "median {:.1}, p95 {:.1}, {} samples",
            self.median(),
            self.p95(),
            self.count()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Samples;

    #[test]
    fn no_values_are_no_samples() {
        assert_eq!(Samples::new([]), None);
        assert_eq!(Samples::new([f64::NAN]), None);
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let samples = Samples::new((1..=20).rev().map(f64::from)).unwrap();
        assert_eq!(samples.count(), 20);
        assert_eq!(samples.median(), 10.0);
        assert_eq!(samples.p95(), 19.0);
        assert_eq!(samples.percentile(0.0), 1.0);
        assert_eq!(samples.percentile(100.0), 20.0);
        assert_eq!(samples.mean(), 10.5);
    }

    #[test]
    fn the_distribution_ends_at_all_values() {
        let samples = Samples::new([3.0, 1.0]).unwrap();
        assert_eq!(samples.distribution(), [(1.0, 50.0), (3.0, 100.0)]);
    }
}
