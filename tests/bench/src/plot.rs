//! Plots as SVG files: lines over two linear axes, which is all that the benchmark draws.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 52.0;
/// About how many numbers an axis shows.
const TICKS: f64 = 8.0;
/// Told apart by people who do not tell red from green.
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];

/// A plot.
#[derive(Clone, Debug)]
pub(crate) struct Plot {
    /// What is shown.
    pub(crate) title: String,
    /// Name and unit of the horizontal axis.
    pub(crate) x_label: &'static str,
    /// Name and unit of the vertical axis.
    pub(crate) y_label: &'static str,
    /// The lines, in the order of the legend.
    pub(crate) lines: Vec<Line>,
}

/// One line of a plot.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Its name in the legend.
    pub(crate) name: String,
    /// Its points, from left to right.
    pub(crate) points: Vec<(f64, f64)>,
}

/// Where values lie on the picture.
struct Scale {
    first: f64,
    step: f64,
    count: usize,
    /// The picture's coordinates of the first and last tick.
    from: f64,
    to: f64,
}

impl Scale {
    /// An axis from a round number to a round number that holds all values, and zero.
    fn around(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (low, high) = values
            .filter(|value| value.is_finite())
            .fold((0.0_f64, 0.0_f64), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        let step = round_step((high - low).max(1e-3) / TICKS);
        let first = (low / step).floor();
        let last = (high / step).ceil().max(first + 1.0);
        Self {
            first: first * step,
            step,
            count: (last - first) as usize,
            from,
            to,
        }
    }

    fn place(&self, value: f64) -> f64 {
        let share = (value - self.first) / (self.step * self.count as f64);
        self.from + share * (self.to - self.from)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        (0..=self.count).map(|tick| self.first + tick as f64 * self.step)
    }

    /// A tick's number, without digits that all ticks share as zero.
    fn label(&self, tick: f64) -> String {
        let digits = (-self.step.log10().floor()).max(0.0) as usize;
        format!("{tick:.digits$}")
    }
}

/// The next of 1, 2 or 5 times a power of ten.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|digit| digit * power)
        .find(|round| *round >= step * 0.999)
        .unwrap_or(10.0 * power)
}

impl Plot {
    /// Draws the plot into a file.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        std::fs::write(path, self.svg()).with_context(|| format!("cannot write {}", path.display()))
    }

    fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| line.points.iter());
        let x = Scale::around(points().map(|point| point.0), LEFT, WIDTH - RIGHT);
        let y = Scale::around(points().map(|point| point.1), HEIGHT - BOTTOM, TOP);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
             viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        text(
            &mut svg,
            (LEFT, 22.0),
            "start",
            &format!("font-size=\"16\">{}", escaped(&self.title)),
        );
        self.draw_axes(&mut svg, &x, &y);
        for (index, line) in self.lines.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            draw_line(&mut svg, line, colour, &x, &y);
            let at = (LEFT + 210.0 * index as f64, 46.0);
            text(
                &mut svg,
                at,
                "start",
                &format!("fill=\"{colour}\">{}", escaped(&line.name)),
            );
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn draw_axes(&self, svg: &mut String, x: &Scale, y: &Scale) {
        for tick in x.ticks() {
            let at = x.place(tick);
            grid_line(svg, (at, TOP), (at, HEIGHT - BOTTOM));
            let label = format!(">{}", x.label(tick));
            text(svg, (at, HEIGHT - BOTTOM + 18.0), "middle", &label);
        }
        for tick in y.ticks() {
            let at = y.place(tick);
            grid_line(svg, (LEFT, at), (WIDTH - RIGHT, at));
            text(
                svg,
                (LEFT - 8.0, at + 4.0),
                "end",
                &format!(">{}", y.label(tick)),
            );
        }
        let middle = (LEFT + WIDTH - RIGHT) / 2.0;
        text(
            svg,
            (middle, HEIGHT - 12.0),
            "middle",
            &format!(">{}", escaped(self.x_label)),
        );
        let turned = format!(
            "transform=\"rotate(-90 16 {0})\">{1}",
            HEIGHT / 2.0,
            escaped(self.y_label)
        );
        text(svg, (16.0, HEIGHT / 2.0), "middle", &turned);
    }
}

/// A text element; `rest` is further attributes, `>`, and the text.
fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, rest: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" {rest}</text>"
    );
}

fn grid_line(svg: &mut String, from: (f64, f64), to: (f64, f64)) {
    let _ = writeln!(
        svg,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"#ddd\"/>",
        from.0, from.1, to.0, to.1
    );
}

fn draw_line(svg: &mut String, line: &Line, colour: &str, x: &Scale, y: &Scale) {
    let places: Vec<String> = line
        .points
        .iter()
        .filter(|point| point.0.is_finite() && point.1.is_finite())
        .map(|point| format!("{:.1},{:.1}", x.place(point.0), y.place(point.1)))
        .collect();
    let _ = writeln!(
        svg,
        "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\" points=\"{}\"/>",
        places.join(" ")
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(points: Vec<(f64, f64)>) -> String {
        let lines = vec![Line {
            name: "a < b & c".to_owned(),
            points,
        }];
        Plot {
            title: "title".to_owned(),
            x_label: "s",
            y_label: "ms",
            lines,
        }
        .svg()
    }

    #[test]
    fn axes_end_at_round_numbers_that_hold_all_values() {
        for (low, high) in [(0.0, 1.0), (3.2, 196.4), (-38.0, 41.0), (0.0, 0.004)] {
            let scale = Scale::around([low, high].into_iter(), 0.0, 100.0);
            let ticks: Vec<f64> = scale.ticks().collect();
            assert!(ticks[0] <= low.min(0.0) && ticks[ticks.len() - 1] >= high);
            assert!((4..=12).contains(&ticks.len()), "{ticks:?}");
            assert_eq!(scale.place(ticks[0]), 0.0);
        }
    }

    #[test]
    fn steps_are_one_two_or_five() {
        for (step, round) in [(0.013, 0.02), (0.2, 0.2), (3.1, 5.0), (61.0, 100.0)] {
            assert!((round_step(step) - round).abs() < 1e-9, "{step}");
        }
    }

    #[test]
    fn nothing_to_draw_and_what_is_no_number_still_give_a_picture() {
        for points in [vec![], vec![(f64::NAN, 1.0), (1.0, f64::INFINITY)]] {
            let svg = plot(points);
            assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN") && !svg.contains("inf\""));
        }
    }

    #[test]
    fn names_are_text_and_never_markup() {
        let svg = plot(vec![(0.0, 1.0), (1.0, 2.0)]);
        assert!(svg.contains("a &lt; b &amp; c") && !svg.contains("a < b"));
    }
}
