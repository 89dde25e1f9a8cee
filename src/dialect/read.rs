//! Taking a body apart by move: fields of a JSON object out of their map, or a word on what is wrong and where.

use std::fmt;

use serde_json::{Map, Number, Value};

use super::codec::Malformed;

#[cfg(test)]
mod tests;

/// A place in a body, made without an allocation and only written out when something is wrong there.
#[derive(Clone, Copy, Debug)]
pub enum Path<'a> {
    /// The body itself.
    Root,
    /// A field of an object.
    Field(&'a Path<'a>, &'a str),
    /// An item of an array.
    Item(&'a Path<'a>, usize),
}

/// The fields of an object that were not taken yet, in their order. A `null` is as good as no field: it is taken and
/// forgotten.
#[derive(Debug)]
pub struct Fields<'a> {
    /// What is left.
    map: Map<String, Value>,
    /// Where the object stands.
    path: &'a Path<'a>,
}

// === impl Path ===

impl<'a> Path<'a> {
    /// The place of a field of the object here.
    #[must_use]
    pub fn field(&'a self, name: &'a str) -> Self {
        Self::Field(self, name)
    }

    /// The place of an item of the array here.
    #[must_use]
    pub fn item(&'a self, index: usize) -> Self {
        Self::Item(self, index)
    }

    /// That something is wrong here.
    pub fn malformed(&self, what: impl Into<String>) -> Malformed {
        Malformed::at(self.to_string(), what)
    }

    /// The object that must stand here.
    pub fn object(&'a self, value: Value) -> Result<Fields<'a>, Malformed> {
        match value {
            Value::Object(map) => Ok(Fields { map, path: self }),
            _ => Err(self.malformed("expected an object")),
        }
    }

    /// The array that must stand here.
    pub fn array(&self, value: Value) -> Result<Vec<Value>, Malformed> {
        match value {
            Value::Array(items) => Ok(items),
            _ => Err(self.malformed("expected an array")),
        }
    }

    /// The string that must stand here.
    pub fn string(&self, value: Value) -> Result<String, Malformed> {
        match value {
            Value::String(text) => Ok(text),
            _ => Err(self.malformed("expected a string")),
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

// === impl Fields ===

impl<'a> Fields<'a> {
    /// The fields of an object at hand.
    pub fn new(map: Map<String, Value>, path: &'a Path<'a>) -> Self {
        Self { map, path }
    }

    /// Where the object stands.
    pub fn path(&self) -> &'a Path<'a> {
        self.path
    }

    /// Takes a field, whatever it is.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.map.shift_remove(name).filter(|value| !value.is_null())
    }

    /// Takes a string.
    pub fn string(&mut self, name: &str) -> Result<Option<String>, Malformed> {
        self.take(name).map(|value| self.path.field(name).string(value)).transpose()
    }

    /// Takes a string that must be there.
    pub fn need_string(&mut self, name: &str) -> Result<String, Malformed> {
        self.string(name)?.ok_or_else(|| self.missing(name))
    }

    /// Takes a number, as it was written.
    pub fn number(&mut self, name: &str) -> Result<Option<Number>, Malformed> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(Some(number)),
            Some(_) => Err(self.path.field(name).malformed("expected a number")),
        }
    }

    /// Takes a boolean.
    pub fn boolean(&mut self, name: &str) -> Result<Option<bool>, Malformed> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(boolean)) => Ok(Some(boolean)),
            Some(_) => Err(self.path.field(name).malformed("expected true or false")),
        }
    }

    /// Takes an array; none is an empty one.
    pub fn array(&mut self, name: &str) -> Result<Vec<Value>, Malformed> {
        self.take(name).map_or_else(|| Ok(Vec::new()), |value| self.path.field(name).array(value))
    }

    /// Takes an object.
    pub fn object(&mut self, name: &str) -> Result<Option<Map<String, Value>>, Malformed> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(_) => Err(self.path.field(name).malformed("expected an object")),
        }
    }

    /// Takes a string if the field is one, and leaves anything else where it is: for answers, where no one is served
    /// by a complaint.
    pub fn string_if(&mut self, name: &str) -> Option<String> {
        match self.map.get_mut(name)? {
            Value::String(text) => {
                let text = std::mem::take(text);
                self.map.shift_remove(name);
                Some(text)
            }
            _ => None,
        }
    }

    /// A string that stays where it is.
    pub fn peek(&self, name: &str) -> Option<&str> {
        self.map.get(name)?.as_str()
    }

    /// A field that stays where it is.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.map.get(name)
    }

    /// That a field is missing.
    pub fn missing(&self, name: &str) -> Malformed {
        self.path.field(name).malformed("is required")
    }

    /// What was not taken, without its nulls.
    pub fn rest(mut self) -> Map<String, Value> {
        self.map.retain(|_, value| !value.is_null());
        self.map
    }

    /// What was not taken, nulls too: for what is to leave as it came.
    pub fn rest_as_it_came(self) -> Map<String, Value> {
        self.map
    }
}
