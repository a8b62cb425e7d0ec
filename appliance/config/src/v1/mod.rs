//! Version 1 of the file.
//!
//! [`File`] is the text as serde sees it: every key optional, every value of a plain type.
//! `check` turns it into [`Config`], `render` turns a [`Config`] back into text.

mod check;
mod checker;
mod devices;
mod file;
mod guests;
mod read;
mod render;
mod words;

use std::path::Path;

use toml_edit::Document;

pub use file::File;
pub use render::render;

use crate::error::{Problem, ProblemCause};
use crate::location::{Index, KeyPath, Location};
use crate::settings::Config;

/// The version that this module reads.
pub const VERSION: i64 = 1;

/// Reads and checks a text. Relative paths are taken from the directory of `file`.
///
/// # Errors
/// Every problem that was found, in the order of the text. A syntax error, an unknown key or a
/// wrong type ends the reading, so that it stands alone.
pub fn parse(text: &str, file: &Path) -> Result<Config, Vec<Problem>> {
    let document = Document::parse(text).map_err(|error| vec![syntax_problem(text, &error)])?;
    let index = Index::new(&document);
    // Before anything else: the keys of another version would all seem unknown.
    check_version(&document, &index).map_err(|problem| vec![problem])?;
    let wire: File =
        toml::from_str(text).map_err(|error| vec![reading_problem(text, &index, &error)])?;
    let directory = file.parent().unwrap_or_else(|| Path::new(""));
    check::check(wire, directory).map_err(|causes| {
        let mut problems: Vec<_> = causes
            .into_iter()
            .map(|(key, cause)| Problem {
                location: index.locate(&key),
                key,
                cause,
            })
            .collect();
        problems.sort_by_key(|problem| problem.location);
        problems
    })
}

fn check_version(document: &Document<&str>, index: &Index<'_>) -> Result<(), Problem> {
    let key = KeyPath::root().key("version");
    match document.get("version") {
        None => Err(Problem {
            location: Location { line: 1, column: 1 },
            key: KeyPath::root(),
            cause: ProblemCause::NoVersion,
        }),
        Some(version) if version.as_integer() == Some(VERSION) => Ok(()),
        Some(_) => Err(Problem {
            location: index.locate(&key),
            key,
            cause: ProblemCause::UnknownVersion,
        }),
    }
}

fn syntax_problem(text: &str, error: &toml_edit::TomlError) -> Problem {
    let offset = error.span().map_or(0, |span| span.start);
    Problem {
        location: Location::of_offset(text, offset),
        key: KeyPath::root(),
        cause: ProblemCause::Syntax {
            detail: error.message().to_owned(),
        },
    }
}

/// What serde complains about: only an unknown key or a wrong type, for all keys are optional.
fn reading_problem(text: &str, index: &Index<'_>, error: &toml::de::Error) -> Problem {
    let offset = error.span().map_or(0, |span| span.start);
    let detail = error.message();
    let cause = match unknown_key(detail) {
        Some((unknown, _)) if is_password(&unknown) => ProblemCause::PasswordInFile,
        Some((unknown, known)) => ProblemCause::UnknownKey {
            nearest: nearest(&unknown, &known),
            known,
        },
        None => ProblemCause::WrongType {
            detail: detail.to_owned(),
        },
    };
    Problem {
        location: Location::of_offset(text, offset),
        key: index.path_at(offset),
        cause,
    }
}

/// The key and its possible neighbours in serde's "unknown field `a`, expected one of `b`, `c`".
fn unknown_key(detail: &str) -> Option<(String, Vec<String>)> {
    let quoted = detail.strip_prefix("unknown field ")?;
    let mut names = quoted.split('`').skip(1).step_by(2).map(str::to_owned);
    let unknown = names.next()?;
    Some((unknown, names.collect()))
}

fn is_password(key: &str) -> bool {
    ["password", "passwd", "secret", "token"].contains(&key.to_ascii_lowercase().as_str())
}

fn nearest(unknown: &str, known: &[String]) -> Option<String> {
    known
        .iter()
        .map(|name| (strsim::jaro_winkler(unknown, name), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name.clone())
}
