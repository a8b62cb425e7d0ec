//! Checks single values and collects what is wrong with them.

use std::path::{Path, PathBuf};

use super::read;
use super::words::Words;
use crate::error::{ProblemCause, Rule};
use crate::location::KeyPath;
use crate::secret::SecretSource;

/// Every broken rule of a file, each with its key.
pub(super) type Causes = Vec<(KeyPath, ProblemCause)>;

/// Collects broken rules while a file is checked.
pub(super) struct Checker<'a> {
    directory: &'a Path,
    causes: Causes,
}

impl<'a> Checker<'a> {
    pub(super) fn new(directory: &'a Path) -> Self {
        Self {
            directory,
            causes: Vec::new(),
        }
    }

    /// `checked` when no rule was broken.
    pub(super) fn finish<T>(self, checked: T) -> Result<T, Causes> {
        if self.causes.is_empty() {
            Ok(checked)
        } else {
            Err(self.causes)
        }
    }

    pub(super) fn note(&mut self, key: KeyPath, cause: ProblemCause) {
        self.causes.push((key, cause));
    }

    /// Notes when only one of two keys that need each other is written. What matters is whether it
    /// is there, not whether its value is good: a bad value is one problem, not two.
    pub(super) fn go_together(
        &mut self,
        at: &KeyPath,
        (key, given): (&str, bool),
        (main, main_given): (&'static str, bool),
    ) {
        if main_given && !given {
            let cause = ProblemCause::MissingFor {
                because: main,
                rule: Rule::Path,
            };
            self.note(at.key(key), cause);
        }
        if given && !main_given {
            self.note(at.key(key), ProblemCause::Pointless { unless: main });
        }
    }

    /// A value in the words of its own type; `None` when it is not written or bad.
    pub(super) fn value<T>(
        &mut self,
        at: &KeyPath,
        key: &str,
        written: Option<String>,
        rule: Rule,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let found = written?;
        let value = read(&found);
        if value.is_none() {
            self.note(at.key(key), ProblemCause::BadValue { found, rule });
        }
        value
    }

    /// A value that must be there.
    pub(super) fn required<T>(
        &mut self,
        at: &KeyPath,
        key: &str,
        written: Option<String>,
        rule: Rule,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        if written.is_none() {
            let cause = ProblemCause::Missing { rule: rule.clone() };
            self.note(at.key(key), cause);
        }
        self.value(at, key, written, rule, read)
    }

    /// The good values of a list.
    pub(super) fn list<T>(
        &mut self,
        at: &KeyPath,
        key: &str,
        written: Option<Vec<String>>,
        rule: &Rule,
        read: impl Fn(&str) -> Option<T>,
    ) -> Vec<T> {
        let at = at.key(key);
        let mut values = Vec::new();
        for (position, found) in written.unwrap_or_default().into_iter().enumerate() {
            if let Some(value) = read(&found) {
                values.push(value);
            } else {
                let rule = rule.clone();
                self.note(at.index(position), ProblemCause::BadValue { found, rule });
            }
        }
        values
    }

    /// One of some words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        at: &KeyPath,
        key: &str,
        written: Option<String>,
        words: Words<T>,
        default: T,
    ) -> T {
        self.choice_if_valid(at, key, written, words, default)
            .unwrap_or(default)
    }

    /// One of some words: its default where nothing is written, and `None` for a bad word.
    pub(super) fn choice_if_valid<T: Copy>(
        &mut self,
        at: &KeyPath,
        key: &str,
        written: Option<String>,
        words: Words<T>,
        default: T,
    ) -> Option<T> {
        if written.is_none() {
            return Some(default);
        }
        let rule = Rule::OneOf(words.iter().map(|(word, _)| *word).collect());
        let meaning = |found: &str| {
            let known = words.iter().find(|(word, _)| *word == found);
            known.map(|(_, value)| *value)
        };
        self.value(at, key, written, rule, meaning)
    }

    /// A whole number between two bounds.
    pub(super) fn number(
        &mut self,
        at: &KeyPath,
        key: &str,
        written: Option<i64>,
        (least, most): (i64, i64),
        default: i64,
    ) -> i64 {
        let number = written.unwrap_or(default);
        if (least..=most).contains(&number) {
            return number;
        }
        let cause = ProblemCause::BadValue {
            found: number.to_string(),
            rule: Rule::Between { least, most },
        };
        self.note(at.key(key), cause);
        default
    }

    /// Text for people or for a header.
    pub(super) fn text(
        &mut self,
        at: &KeyPath,
        key: &str,
        written: Option<String>,
        most: usize,
    ) -> Option<String> {
        self.value(at, key, written, Rule::Text { most }, |text| {
            read::text(text, most)
        })
    }

    /// A path, from the directory of the file when it is relative.
    pub(super) fn path(
        &mut self,
        at: &KeyPath,
        key: &str,
        written: Option<String>,
    ) -> Option<PathBuf> {
        let path = self.value(at, key, written, Rule::Path, read::path)?;
        Some(self.absolute(&path))
    }

    pub(super) fn absolute(&self, path: &Path) -> PathBuf {
        self.directory.join(path)
    }

    /// A secret, by file or by credential but not by both.
    pub(super) fn secret(
        &mut self,
        at: &KeyPath,
        (file_key, file): (&'static str, Option<String>),
        (credential_key, credential): (&str, Option<String>),
    ) -> Option<SecretSource> {
        let file = self.path(at, file_key, file);
        let credential = self.value(at, credential_key, credential, Rule::Name, read::name);
        if file.is_some() && credential.is_some() {
            let cause = ProblemCause::Conflict { with: file_key };
            self.note(at.key(credential_key), cause);
        }
        file.map(SecretSource::File)
            .or(credential.map(SecretSource::Credential))
    }
}
