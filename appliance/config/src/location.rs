//! Where in the text a key stands: key paths, lines and columns.

use std::fmt;
use std::ops::Range;

use toml_edit::{Document, Item, Table, TableLike, Value};

/// A place in the text. Both numbers count from 1; the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// The line.
    pub line: usize,
    /// The character within the line.
    pub column: usize,
}

impl Location {
    /// The place of the byte at `offset` in `text`; the end of the text for a larger offset.
    #[must_use]
    pub fn of_offset(text: &str, offset: usize) -> Self {
        let before = &text.as_bytes()[..offset.min(text.len())];
        let line_start = before
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |at| at + 1);
        Self {
            line: before.iter().filter(|&&byte| byte == b'\n').count() + 1,
            // Bytes 10xxxxxx continue a character and are not counted.
            column: before[line_start..]
                .iter()
                .filter(|&&byte| byte & 0xc0 != 0x80)
                .count()
                + 1,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// The way from the top of the file to a key, such as `account[1].username`. Indices count from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPath(Vec<Segment>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Key(String),
    Index(usize),
}

impl KeyPath {
    /// The top of the file.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// The path of `key` below this one.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.with(Segment::Key(key.to_owned()))
    }

    /// The path of the list's element `index`.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.with(Segment::Index(index))
    }

    /// The path without its last step; the root stays the root.
    #[must_use]
    pub fn parent(&self) -> Self {
        Self(self.0[..self.0.len().saturating_sub(1)].to_vec())
    }

    /// Whether this is the top of the file.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    fn with(&self, segment: Segment) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment);
        Self(segments)
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) if position == 0 => f.write_str(key)?,
                Segment::Key(key) => write!(f, ".{key}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// The places of every key and value of a parsed text.
pub(crate) struct Index<'a> {
    text: &'a str,
    entries: Vec<Entry>,
}

struct Entry {
    path: KeyPath,
    key: Option<Range<usize>>,
    value: Option<Range<usize>>,
}

impl<'a> Index<'a> {
    pub(crate) fn new(document: &'a Document<&'a str>) -> Self {
        let mut index = Self {
            text: document.raw(),
            entries: Vec::new(),
        };
        index.add_table(&KeyPath::root(), document.as_table());
        index
    }

    /// Where the value at `path` stands, or the nearest table above it that is written down.
    pub(crate) fn locate(&self, path: &KeyPath) -> Location {
        let mut path = path.clone();
        loop {
            let entry = self.entries.iter().find(|entry| entry.path == path);
            if let Some(span) = entry.and_then(|entry| entry.value.as_ref().or(entry.key.as_ref()))
            {
                return Location::of_offset(self.text, span.start);
            }
            if path.is_root() {
                return Location { line: 1, column: 1 };
            }
            path = path.parent();
        }
    }

    /// The path of the smallest key or value that covers the byte at `offset`.
    pub(crate) fn path_at(&self, offset: usize) -> KeyPath {
        let covering = |span: &Option<Range<usize>>| {
            span.as_ref()
                .filter(|span| span.contains(&offset))
                .map(ExactSizeIterator::len)
        };
        self.entries
            .iter()
            .filter_map(|entry| {
                let size = covering(&entry.key)
                    .into_iter()
                    .chain(covering(&entry.value))
                    .min()?;
                Some((size, &entry.path))
            })
            .min_by_key(|(size, _)| *size)
            .map_or_else(KeyPath::root, |(_, path)| path.clone())
    }

    fn add_table(&mut self, path: &KeyPath, table: &Table) {
        for (name, item) in table {
            let key = table.key(name).and_then(toml_edit::Key::span);
            self.add_item(&path.key(name), key, item);
        }
    }

    fn add_item(&mut self, path: &KeyPath, key: Option<Range<usize>>, item: &Item) {
        match item {
            Item::None => {}
            Item::Value(value) => self.add_value(path, key, value),
            Item::Table(table) => {
                self.entries.push(Entry {
                    path: path.clone(),
                    key,
                    value: table.span(),
                });
                self.add_table(path, table);
            }
            Item::ArrayOfTables(tables) => {
                self.entries.push(Entry {
                    path: path.clone(),
                    key,
                    value: tables.span(),
                });
                for (position, table) in tables.iter().enumerate() {
                    let path = path.index(position);
                    self.entries.push(Entry {
                        path: path.clone(),
                        key: None,
                        value: table.span(),
                    });
                    self.add_table(&path, table);
                }
            }
        }
    }

    fn add_value(&mut self, path: &KeyPath, key: Option<Range<usize>>, value: &Value) {
        self.entries.push(Entry {
            path: path.clone(),
            key,
            value: value.span(),
        });
        match value {
            Value::Array(values) => {
                for (position, value) in values.iter().enumerate() {
                    self.add_value(&path.index(position), None, value);
                }
            }
            Value::InlineTable(table) => {
                for (name, item) in TableLike::iter(table) {
                    let key = table.key(name).and_then(toml_edit::Key::span);
                    self.add_item(&path.key(name), key, item);
                }
            }
            Value::String(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "version = 1\n[room]\nname = \"会议室\" # x\n\n[[account]]\nname = \"a\"\n\
                        [[account]]\nname = \"b\"\nlist = [1, 22]\n";

    fn with_index(check: impl FnOnce(&Index<'_>)) {
        let document = Document::parse(TEXT).unwrap();
        check(&Index::new(&document));
    }

    #[test]
    fn columns_count_characters_not_bytes() {
        let offset = TEXT.find('#').unwrap();
        assert_eq!(
            Location::of_offset(TEXT, offset),
            Location {
                line: 3,
                column: 14
            }
        );
        assert_eq!(
            Location::of_offset(TEXT, usize::MAX),
            Location {
                line: 10,
                column: 1
            }
        );
    }

    #[test]
    fn a_path_is_found_in_lists_of_tables_and_in_arrays() {
        with_index(|index| {
            let second = KeyPath::root().key("account").index(1);
            assert_eq!(
                index.locate(&second.key("name")),
                Location { line: 8, column: 8 }
            );
            assert_eq!(
                index.locate(&second.key("list").index(1)),
                Location {
                    line: 9,
                    column: 12
                }
            );
            assert_eq!(
                second.key("list").index(1).to_string(),
                "account[1].list[1]"
            );
        });
    }

    #[test]
    fn a_missing_key_is_located_at_its_table() {
        with_index(|index| {
            let missing = KeyPath::root().key("account").index(1).key("address");
            assert_eq!(index.locate(&missing).line, 7);
            assert_eq!(
                index.locate(&KeyPath::root().key("sip")),
                Location { line: 1, column: 1 }
            );
        });
    }

    #[test]
    fn an_offset_leads_back_to_its_key() {
        with_index(|index| {
            let at = |needle: &str| index.path_at(TEXT.find(needle).unwrap()).to_string();
            assert_eq!(at("\"b\""), "account[1].name");
            assert_eq!(at("22"), "account[1].list[1]");
            assert_eq!(at("list"), "account[1].list");
        });
    }
}
