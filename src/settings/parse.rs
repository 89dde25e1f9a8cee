//! Reads settings out of a TOML document value by value, so that one mistake does not hide the others.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use super::secret::Place;
use crate::fault::Fault;

/// One value of the document with its place.
pub(crate) type Node<'i> = Spanned<DeValue<'i>>;

/// Where the value of a secret is looked up; an error says why there is none.
pub type Lookup<'a> = &'a dyn Fn(&Place) -> Result<String, String>;

/// Something that can stand in the settings.
pub(crate) trait Value: Sized {
    /// What the reference calls this type.
    fn kind() -> String;

    /// Reads it. `None` means that a fault was noted.
    fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self>;

    /// How status and the reference show it: as it is written in the file, secrets masked.
    fn shown(&self) -> Json;

    /// How its keys, if it has any, stand in the file.
    fn shape() -> Shape {
        Shape::Plain
    }

    /// Its keys, for the reference and for comparing two generations.
    fn keys() -> Vec<Key> {
        Vec::new()
    }

    /// What it is as a whole, for the reference.
    fn about() -> String {
        String::new()
    }
}

/// How the keys of a value stand in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// It has none.
    Plain,
    /// `[section]`
    Section,
    /// `[[section]]`, any number of times.
    List,
    /// `[section.NAME]`, any number of times.
    Named,
}

/// Whether a reload brings a changed value into force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// With the next generation.
    Reload,
    /// Only when the gate starts.
    Restart,
}

/// One key as the reference shows it.
pub(crate) struct Key {
    /// Its name in the file.
    pub(crate) name: &'static str,
    /// What its type is called.
    pub(crate) kind: String,
    /// What it is when it is not written; `None` for a key that must be written.
    pub(crate) default: Option<Json>,
    /// What it does.
    pub(crate) doc: String,
    /// Whether a reload can change it.
    pub(crate) reach: Reach,
    /// How its own keys stand in the file.
    pub(crate) shape: Shape,
    /// Its own keys.
    pub(crate) keys: Vec<Key>,
    /// What the section below it is for.
    pub(crate) about: String,
}

/// Reads one document and collects what is wrong with it.
pub(crate) struct Reader<'a> {
    /// The document, to turn offsets into lines.
    text: &'a str,
    /// The name of the file in faults.
    file: &'a str,
    /// The folder that relative paths start from.
    folder: &'a Path,
    /// Where secrets come from.
    lookup: Lookup<'a>,
    /// The keys that lead to the value being read.
    path: Vec<String>,
    /// Whether the document could be parsed whole; if not, what is missing may merely be unreadable.
    whole: bool,
    /// The paths of the values with faults.
    faulty: Vec<String>,
    /// Everything wrong so far.
    faults: Vec<Fault>,
}

// === impl Key ===

impl Key {
    /// Describes a key of type `T`.
    pub(crate) fn of<T: Value>(name: &'static str, default: Option<&T>, doc: &[&str], reach: Reach) -> Self {
        Self {
            name,
            kind: T::kind(),
            default: default.map(Value::shown),
            doc: sentence(doc),
            reach,
            shape: T::shape(),
            keys: T::keys(),
            about: T::about(),
        }
    }
}

// === impl Reader ===

impl<'a> Reader<'a> {
    /// A reader of `text`; `file` names it in faults.
    pub(crate) fn new(text: &'a str, file: &'a str, folder: &'a Path, lookup: Lookup<'a>) -> Self {
        Self { text, file, folder, lookup, path: Vec::new(), whole: true, faulty: Vec::new(), faults: Vec::new() }
    }

    /// Reads the whole document as a `T`.
    pub(crate) fn document<T: Value>(&mut self) -> Option<T> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        self.whole = errors.is_empty();
        for error in errors {
            self.fault(error.span().unwrap_or(0..0), error.message());
        }
        let span = table.span();
        T::read(self, &Spanned::new(span, DeValue::Table(table.into_inner())))
    }

    /// Whether the value at `path`, and what is below it, was read as it stands in the file: then what it lacks is
    /// truly missing.
    pub(crate) fn understood(&self, path: &str) -> bool {
        let below =
            |faulty: &String| faulty.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        self.whole && !self.faulty.iter().any(below)
    }

    /// Notes a fault at a place, under the key being read.
    pub(crate) fn fault(&mut self, span: Range<usize>, message: impl AsRef<str>) {
        let (line, column) = self.place(span.start);
        let path = self.path.join(".");
        let message = match (path.as_str(), message.as_ref()) {
            ("", message) => message.to_owned(),
            (path, message) => format!("{path}: {message}"),
        };
        self.faulty.push(path);
        self.faults.push(Fault::at(self.file, line, column, message));
    }

    /// Notes that something else stands where `wanted` should.
    pub(crate) fn mistyped(&mut self, node: &Node<'_>, wanted: &str) {
        let found = node.get_ref().type_str();
        self.fault(node.span(), format!("expected {wanted}, found {}", article(found)));
    }

    /// Line and column of an offset, counted from 1.
    pub(crate) fn place(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.get(line_start..).map_or(0, |line| line.chars().count()) + 1;
        (line, column)
    }

    /// Reads one key of a table. A value that is wrong is noted and replaced by the default, so that reading goes on.
    pub(crate) fn field<T: Value>(&mut self, node: &Node<'_>, key: &'static str, default: Option<T>) -> Option<T> {
        let found = node.get_ref().as_table().and_then(|table| table.get(key));
        if let Some(found) = found {
            return self.within(key, |reader| T::read(reader, found)).or(default);
        }
        if default.is_none() && self.whole {
            self.fault(node.span(), format!("`{key}` is missing"));
        }
        default
    }

    /// Runs `read` with `key` added to the path that faults name.
    pub(crate) fn within<T>(&mut self, key: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(key.to_owned());
        let value = read(self);
        self.path.pop();
        value
    }

    /// Whether the value is a table; notes its keys that are not among `known`.
    pub(crate) fn section(&mut self, node: &Node<'_>, known: &[&str]) -> Option<()> {
        let Some(table) = node.get_ref().as_table() else {
            self.mistyped(node, "a table");
            return None;
        };
        for key in table.keys() {
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                let advice = advice(name, known.iter().copied());
                self.fault(key.span(), format!("unknown key `{name}`{advice}"));
            }
        }
        Some(())
    }

    /// The text of a string; `wanted` is what the string should hold.
    pub(crate) fn text<'n>(&mut self, node: &'n Node<'_>, wanted: &str) -> Option<&'n str> {
        let text = node.get_ref().as_str();
        if text.is_none() {
            self.mistyped(node, wanted);
        }
        text
    }

    /// A string that `parse` understands, or says why not.
    pub(crate) fn parsed<T>(
        &mut self,
        node: &Node<'_>,
        wanted: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(node, wanted)?;
        match parse(text) {
            Ok(value) => Some(value),
            Err(why) => {
                self.fault(node.span(), why);
                None
            }
        }
    }

    /// A whole number.
    pub(crate) fn integer(&mut self, node: &Node<'_>, wanted: &str) -> Option<i64> {
        let DeValue::Integer(integer) = node.get_ref() else {
            self.mistyped(node, wanted);
            return None;
        };
        let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
        if number.is_none() {
            self.fault(node.span(), "the number is too large");
        }
        number
    }

    /// A path as the file means it: relative paths start in the file's own folder.
    pub(crate) fn resolve(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// The value of a secret.
    pub(crate) fn secret(&self, place: &Place) -> Result<String, String> {
        let value = match place {
            Place::Env(_) => (self.lookup)(place),
            Place::File(path) => (self.lookup)(&Place::File(self.folder.join(path))),
        }?;
        if value.is_empty() {
            return Err(format!("{place} is empty"));
        }
        Ok(value)
    }

    /// Adds a fault found later, at a place already known.
    pub(crate) fn fault_at(&mut self, (line, column): (usize, usize), message: impl Into<String>) {
        self.faults.push(Fault::at(self.file, line, column, message));
    }

    /// All faults, in the order of the file.
    pub(crate) fn finish(mut self) -> Vec<Fault> {
        self.faults.sort();
        self.faults.dedup();
        self.faults
    }
}

/// `; did you mean …?` when a known word is near, else a list of the known ones when it is short.
pub(crate) fn advice<'k>(word: &str, known: impl Iterator<Item = &'k str> + Clone) -> String {
    let nearest = known
        .clone()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((likeness, candidate)) if likeness > 0.8 => format!("; did you mean `{candidate}`?"),
        _ => {
            let known: Vec<_> = known.map(|candidate| format!("`{candidate}`")).collect();
            format!("; known: {}", known.join(", "))
        }
    }
}

/// Doc lines as one paragraph.
pub(crate) fn sentence(lines: &[&str]) -> String {
    let lines: Vec<_> = lines.iter().map(|line| line.trim()).collect();
    lines.join(" ").trim().to_owned()
}

/// A type's name with its article.
fn article(kind: &str) -> String {
    let vowel = kind.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {kind}", if vowel { "an" } else { "a" })
}
