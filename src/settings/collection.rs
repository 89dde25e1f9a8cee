//! The values of settings that hold other values: lists, names, what may be left out, and any value at all.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

use serde_json::{Map, Value as Json};
use toml::de::DeValue;

use super::parse::{Key, Node, Reader, Shape, Value};

/// A value that remembers where it stands, for faults found after reading.
#[derive(Clone, Debug)]
pub struct Placed<T> {
    /// Line and column in the settings file, counted from 1; 1 and 1 for values made in code.
    pub place: (usize, usize),
    /// The value.
    pub value: T,
}

// === impl Placed ===

impl<T> From<T> for Placed<T> {
    fn from(value: T) -> Self {
        Self { place: (1, 1), value }
    }
}

impl<T> Deref for Placed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Placed<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

/// Two values are the same wherever they stand.
impl<T: PartialEq> PartialEq for Placed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Value> Value for Placed<T> {
    fn kind() -> String {
        T::kind()
    }

    fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self> {
        let place = reader.place(node.span().start);
        T::read(reader, node).map(|value| Self { place, value })
    }

    fn shown(&self) -> Json {
        self.value.shown()
    }

    fn shape() -> Shape {
        T::shape()
    }

    fn keys() -> Vec<Key> {
        T::keys()
    }

    fn about() -> String {
        T::about()
    }
}

// === impl Value for what may be left out ===

impl<T: Value> Value for Option<T> {
    fn kind() -> String {
        T::kind()
    }

    fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self> {
        T::read(reader, node).map(Some)
    }

    fn shown(&self) -> Json {
        self.as_ref().map_or(Json::Null, Value::shown)
    }

    fn shape() -> Shape {
        T::shape()
    }

    fn keys() -> Vec<Key> {
        T::keys()
    }

    fn about() -> String {
        T::about()
    }
}

// === impl Value for collections ===

impl<T: Value> Value for Vec<T> {
    fn kind() -> String {
        match T::shape() {
            Shape::Section => "tables".to_owned(),
            _ => format!("list of {}", T::kind()),
        }
    }

    fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self> {
        let Some(items) = node.get_ref().as_array() else {
            reader.mistyped(node, "a list");
            return None;
        };
        Some(items.iter().filter_map(|item| T::read(reader, item)).collect())
    }

    fn shown(&self) -> Json {
        self.iter().map(Value::shown).collect()
    }

    fn shape() -> Shape {
        match T::shape() {
            Shape::Section => Shape::List,
            other => other,
        }
    }

    fn keys() -> Vec<Key> {
        T::keys()
    }

    fn about() -> String {
        T::about()
    }
}

impl<T: Value> Value for BTreeMap<String, T> {
    fn kind() -> String {
        match T::shape() {
            Shape::Section => "tables by name".to_owned(),
            _ => format!("{} by name", T::kind()),
        }
    }

    fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self> {
        let Some(table) = node.get_ref().as_table() else {
            reader.mistyped(node, "a table of names");
            return None;
        };
        let mut values = Self::new();
        for (key, item) in table {
            let name: &str = key.get_ref();
            if !is_name(name) {
                reader.fault(key.span(), format!("`{name}` is not a name: letters, digits, `-`, `_` and `.`"));
            }
            if let Some(value) = reader.within(name, |reader| T::read(reader, item)) {
                values.insert(name.to_owned(), value);
            }
        }
        Some(values)
    }

    fn shown(&self) -> Json {
        let shown = self.iter().map(|(name, value)| (name.clone(), value.shown()));
        Json::Object(shown.collect())
    }

    fn shape() -> Shape {
        match T::shape() {
            Shape::Section => Shape::Named,
            other => other,
        }
    }

    fn keys() -> Vec<Key> {
        T::keys()
    }

    fn about() -> String {
        T::about()
    }
}

impl Value for Map<String, Json> {
    fn kind() -> String {
        "table of any values".to_owned()
    }

    fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self> {
        if !node.get_ref().is_table() {
            reader.mistyped(node, "a table");
            return None;
        }
        match json(reader, node)? {
            Json::Object(table) => Some(table),
            _ => None,
        }
    }

    fn shown(&self) -> Json {
        Json::Object(self.clone())
    }
}

/// Whether a name can stand in logs, metrics and commands without quotes.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Any TOML value as JSON; dates become text.
fn json(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Json> {
    match node.get_ref() {
        DeValue::String(text) => Some(text.as_ref().into()),
        DeValue::Integer(_) => reader.integer(node, "a whole number").map(Json::from),
        DeValue::Float(float) => {
            let number = float.as_str().parse().ok().and_then(serde_json::Number::from_f64);
            if number.is_none() {
                reader.fault(node.span(), "the number must be finite");
            }
            number.map(Json::Number)
        }
        DeValue::Boolean(switch) => Some((*switch).into()),
        DeValue::Datetime(date) => Some(date.to_string().into()),
        DeValue::Array(items) => items.iter().map(|item| json(reader, item)).collect(),
        DeValue::Table(table) => {
            let mut object = Map::new();
            for (key, item) in table {
                let value = reader.within(key.get_ref(), |reader| json(reader, item))?;
                object.insert(key.get_ref().clone().into_owned(), value);
            }
            Some(Json::Object(object))
        }
    }
}
