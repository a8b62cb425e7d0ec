//! The report: one row for each number, kept in `report.json` from run to run.
//!
//! A run of one area replaces that area's rows and leaves the others as they are.

use std::fmt;
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::language::Language;

/// One number beside its anchor.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Row {
    /// Area and name: `sip.invite_to_200_ms`.
    pub(crate) name: String,
    /// `ms`, `fps`, `cores`, `MB`.
    pub(crate) unit: String,
    /// What was measured; `None` when it could not be.
    pub(crate) value: Option<f64>,
    /// What stands beside it.
    pub(crate) anchor_name: String,
    /// The anchor, measured in the same run; `None` when it could not be, or for a goal that
    /// stands by itself.
    pub(crate) anchor_value: Option<f64>,
    /// What the value must be.
    pub(crate) goal: String,
    /// Whether it is.
    pub(crate) holds: bool,
    /// How it was measured, and what else was seen.
    pub(crate) note: String,
}

/// What a value must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Goal {
    /// No more than this.
    AtMost(f64),
    /// Less than this.
    Below(f64),
    /// No less than this.
    AtLeast(f64),
    /// No less than `least`, and no less than `factor` times the anchor.
    AtLeastAlsoTimesAnchor {
        /// By itself.
        least: f64,
        /// Beside the anchor.
        factor: f64,
    },
    /// No more than this times the anchor.
    AtMostTimesAnchor(f64),
}

impl Goal {
    fn is_met(self, value: f64, anchor: Option<f64>) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::Below(limit) => value < limit,
            Self::AtLeast(limit) => value >= limit,
            Self::AtLeastAlsoTimesAnchor { least, factor } => {
                value >= least && anchor.is_some_and(|anchor| value >= factor * anchor)
            }
            Self::AtMostTimesAnchor(factor) => {
                anchor.is_some_and(|anchor| value <= factor * anchor)
            }
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(limit) => write!(f, "<= {limit}"),
            Self::Below(limit) => write!(f, "< {limit}"),
            Self::AtLeast(limit) => write!(f, ">= {limit}"),
            Self::AtLeastAlsoTimesAnchor { least, factor } => {
                write!(f, ">= {least} and >= {factor} x anchor")
            }
            Self::AtMostTimesAnchor(factor) => write!(f, "<= {factor} x anchor"),
        }
    }
}

/// What a number is, before it is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) anchor_name: &'static str,
    pub(crate) goal: Goal,
}

impl Figure {
    /// The row of a number that was measured.
    pub(crate) fn measured(&self, value: f64, anchor: Option<f64>, note: String) -> Row {
        Row {
            value: Some(value),
            anchor_value: anchor,
            holds: self.goal.is_met(value, anchor),
            ..self.row(note)
        }
    }

    /// The row of a number that could not be measured.
    pub(crate) fn failed(&self, error: &anyhow::Error) -> Row {
        self.row(format!("not measured: {error:#}"))
    }

    fn row(&self, note: String) -> Row {
        Row {
            name: self.name.to_owned(),
            unit: self.unit.to_owned(),
            value: None,
            anchor_name: self.anchor_name.to_owned(),
            anchor_value: None,
            goal: self.goal.to_string(),
            holds: false,
            note,
        }
    }
}

/// All rows of this and earlier runs.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(transparent)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

impl Report {
    /// Reads the report of earlier runs; an empty one when there was none.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let text =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text)
            .with_context(|| format!("{} is no report; delete it", path.display()))
    }

    /// Puts the rows in the place of those of the same names, and drops what the area (which
    /// measures `known`) has no more. Areas stand in the order of their names.
    pub(crate) fn replace(&mut self, area: &str, known: &[&str], rows: Vec<Row>) {
        let is_new = |name: &str| rows.iter().any(|row| row.name == name);
        self.rows.retain(|row| {
            area_of(&row.name) != area || known.contains(&row.name.as_str()) && !is_new(&row.name)
        });
        self.rows.extend(rows);
        self.rows
            .sort_by(|a, b| area_of(&a.name).cmp(area_of(&b.name)));
    }

    /// Writes the report as a whole or not at all.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let folder = path.parent().context("a report needs a folder")?;
        let mut file = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o644))
            .tempfile_in(folder)?;
        serde_json::to_writer_pretty(&mut file, self)?;
        file.write_all(b"\n")?;
        file.persist(path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(())
    }

    /// The report as a table for a terminal. Where it is narrow, lines wrap.
    pub(crate) fn table(&self, language: Language) -> String {
        let head = match language {
            Language::English => ["", "value", "anchor", "goal", "holds", "note"],
            Language::Chinese => ["", "测量值", "参照值", "目标", "达标", "说明"],
        };
        let mut lines = vec![head.map(str::to_owned)];
        lines.extend(self.rows.iter().map(|row| cells(row, language)));
        layout(&lines)
    }
}

fn area_of(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

fn cells(row: &Row, language: Language) -> [String; 6] {
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), rounded);
    let anchor = match row.anchor_value {
        Some(value) => format!("{} {}", rounded(value), row.anchor_name),
        None => "-".to_owned(),
    };
    let holds = match row.holds {
        true => language.choose("yes", "是"),
        false => language.choose("NO", "否"),
    };
    [
        row.name.clone(),
        format!("{} {}", number(row.value), row.unit),
        anchor,
        row.goal.clone(),
        holds.to_owned(),
        row.note.clone(),
    ]
}

/// Three significant digits.
fn rounded(value: f64) -> String {
    let digits = match value.abs() {
        magnitude if magnitude >= 100.0 => 0,
        magnitude if magnitude >= 10.0 => 1,
        magnitude if magnitude >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

/// Columns as wide as their widest cell; the last one runs free.
fn layout(lines: &[[String; 6]]) -> String {
    let mut widths = [0; 5];
    for line in lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = columns(cell).max(*width);
        }
    }
    let mut text = String::new();
    for line in lines {
        for (cell, width) in line.iter().zip(widths) {
            text.push_str(cell);
            text.push_str(&" ".repeat(width - columns(cell) + 2));
        }
        text.push_str(&line[5]);
        text.push('\n');
    }
    text
}

/// A Chinese character takes two columns of a terminal.
fn columns(text: &str) -> usize {
    text.chars()
        .map(|character| if character >= '\u{1100}' { 2 } else { 1 })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIGURE: Figure = Figure {
        name: "sip.invite_to_200_ms",
        unit: "ms",
        anchor_name: "baresip",
        goal: Goal::AtMostTimesAnchor(0.8),
    };

    fn named(name: &'static str) -> Row {
        Figure { name, ..FIGURE }.measured(1.0, None, String::new())
    }

    #[test]
    fn each_goal_is_judged_at_its_border() {
        let cases = [
            (Goal::AtMost(40.0), 40.0, 40.1, "<= 40"),
            (Goal::Below(0.01), 0.009, 0.01, "< 0.01"),
            (Goal::AtLeast(29.9), 29.9, 29.8, ">= 29.9"),
            (Goal::AtMostTimesAnchor(0.5), 50.0, 50.1, "<= 0.5 x anchor"),
            (
                Goal::AtLeastAlsoTimesAnchor {
                    least: 200.0,
                    factor: 3.0,
                },
                300.0,
                299.9,
                ">= 200 and >= 3 x anchor",
            ),
            (
                Goal::AtLeastAlsoTimesAnchor {
                    least: 400.0,
                    factor: 3.0,
                },
                400.0,
                399.9,
                ">= 400 and >= 3 x anchor",
            ),
        ];
        for (goal, good, bad, text) in cases {
            assert!(goal.is_met(good, Some(100.0)), "{goal}");
            assert!(!goal.is_met(bad, Some(100.0)), "{goal}");
            assert_eq!(goal.to_string(), text);
        }
    }

    #[test]
    fn a_goal_beside_an_anchor_is_not_met_without_the_anchor() {
        assert!(!FIGURE.measured(0.001, None, String::new()).holds);
    }

    #[test]
    fn what_could_not_be_measured_has_no_value_and_does_not_hold() {
        let row = FIGURE.failed(&anyhow::anyhow!("no peer"));
        assert_eq!((row.value, row.holds), (None, false));
        assert_eq!(row.note, "not measured: no peer");
        let json = serde_json::to_value(&row).unwrap();
        assert!(json["value"].is_null());
    }

    #[test]
    fn a_run_replaces_its_rows_and_drops_those_that_its_area_has_no_more() {
        let mut report = Report::default();
        report.replace("sip", &[], vec![named("sip.gone"), named("sip.kept")]);
        report.replace("sip", &["sip.gone", "sip.kept"], vec![named("sip.new")]);
        report.replace("media", &[], vec![named("media.path_ms")]);
        report.replace("sip", &["sip.kept", "sip.new"], vec![named("sip.new")]);
        let names: Vec<&str> = report.rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["media.path_ms", "sip.kept", "sip.new"]);
    }

    #[test]
    fn a_saved_report_is_read_again_as_a_bare_list() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        assert_eq!(Report::load(&path).unwrap(), Report::default());
        let mut report = Report::default();
        report.replace("sip", &[], vec![named("sip.invite_to_200_ms")]);
        report.save(&path).unwrap();
        assert_eq!(Report::load(&path).unwrap(), report);
        let json: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(json[0]["name"], "sip.invite_to_200_ms");
        std::fs::write(&path, "{").unwrap();
        assert!(Report::load(&path).is_err());
    }

    #[test]
    fn columns_of_the_table_align_in_both_languages() {
        let mut report = Report::default();
        report.replace(
            "sip",
            &[],
            vec![named("sip.invite_to_200_ms"), named("sip.x")],
        );
        for language in [Language::English, Language::Chinese] {
            let table = report.table(language);
            let goal_at = |line: &str| columns(line.split("<= 0.8").next().unwrap());
            let starts: Vec<usize> = table.lines().skip(1).map(goal_at).collect();
            assert_eq!(starts[0], starts[1], "{table}");
        }
    }
}
