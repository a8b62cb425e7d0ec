//! The rows of the report, one module for what is measured together.

mod flood;
mod guest_first_picture;
mod guest_legs;
mod idle;
mod invite_to_200;
mod lip_sync;
mod media_path;
mod network_loss;
mod network_step;
mod parse;
mod press_to_first_frame;
mod rejoin;
mod simulation;
mod whole_call;

use anyhow::Result;

use crate::plot::Line;
use crate::report::{Figure, Row};
use crate::setting::Setting;
use crate::statistics::Samples;

/// A part of the report that can be measured by itself. Its rows' names begin with its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Area {
    /// Call set-up.
    Sip,
    /// Picture, sound and what they cost.
    Media,
    /// Guests on bad networks.
    Network,
    /// Guests on good ones.
    WebRtc,
}

impl Area {
    /// All areas.
    pub(crate) const ALL: [Self; 4] = [Self::Sip, Self::Media, Self::Network, Self::WebRtc];

    /// The first part of its rows' names.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sip => "sip",
            Self::Media => "media",
            Self::Network => "network",
            Self::WebRtc => "webrtc",
        }
    }

    /// The names of its rows.
    pub(crate) fn figure_names(self) -> Vec<&'static str> {
        let figures = self.measurements().iter().flat_map(|it| it.figures);
        figures.map(|figure| figure.name).collect()
    }

    /// What is measured, in this order.
    pub(crate) fn measurements(self) -> &'static [Measurement] {
        match self {
            Self::Sip => &[
                invite_to_200::MEASUREMENT,
                press_to_first_frame::MEASUREMENT,
                rejoin::MEASUREMENT,
                flood::MEASUREMENT,
                parse::MEASUREMENT,
                simulation::MEASUREMENT,
            ],
            Self::Media => &[
                media_path::MEASUREMENT,
                lip_sync::MEASUREMENT,
                whole_call::MEASUREMENT,
                idle::MEASUREMENT,
            ],
            Self::Network => &[network_step::MEASUREMENT, network_loss::MEASUREMENT],
            Self::WebRtc => &[guest_first_picture::MEASUREMENT, guest_legs::MEASUREMENT],
        }
    }
}

/// Figures that come out of one measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measurement {
    /// What comes out, in the order of the rows.
    pub(crate) figures: &'static [Figure],
    /// Measures.
    pub(crate) measure: fn(&Setting) -> Result<Vec<Row>>,
}

/// The two lines of a plot that compares distributions.
fn distributions(ours: (&str, &Samples), anchor: (&str, &Samples)) -> Vec<Line> {
    [ours, anchor]
        .into_iter()
        .map(|(name, samples)| Line {
            name: name.to_owned(),
            points: samples.distribution(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::Area;

    #[test]
    fn the_names_of_all_figures_begin_with_their_area_and_differ() {
        let mut names = Vec::new();
        for area in Area::ALL {
            for figure in area.measurements().iter().flat_map(|it| it.figures) {
                assert!(figure.name.starts_with(&format!("{}.", area.name())));
                names.push(figure.name);
            }
        }
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
