//! Reads what requests and answers of `OpenAI`'s Responses refer to, and takes it out.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::Mark;
use crate::json::{Doc, Item, JsonError, NodeId};

/// The key under which sealed reasoning stands, at whatever depth (`OpenAI`, "Reasoning models", encrypted items).
const SEALED: &str = "encrypted_content";

/// The key that names the answer which a request follows.
const PREVIOUS: &str = "previous_response_id";

/// What a request refers to.
#[derive(Debug, Default, PartialEq, Eq, serde::Deserialize)]
pub struct Refers {
    /// The answer that it follows.
    #[serde(default)]
    pub previous_response_id: Option<String>,
    /// The sealed reasoning in it.
    #[serde(default)]
    pub input: Sealed,
}

/// What an answer can be referred to by.
#[derive(Debug, Default, PartialEq, Eq, serde::Deserialize)]
pub struct Made {
    /// Its id.
    #[serde(default)]
    pub id: Option<String>,
    /// The sealed reasoning in it.
    #[serde(default)]
    pub output: Sealed,
}

/// The marks of all sealed reasoning within a value, at whatever depth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sealed(pub Vec<Mark>);

/// Walks through a value and collects what is sealed in it.
struct Walk<'a> {
    marks: &'a mut Vec<Mark>,
    /// Whether the value is sealed reasoning, if it is a text.
    sealed: bool,
}

/// Takes out all that a request refers to: the answer that it follows, and each item of sealed reasoning.
pub fn strip(doc: &mut Doc) -> Result<(), JsonError> {
    let Item::Object(root) = doc.root()? else { return Ok(()) };
    doc.remove(root, PREVIOUS)?;
    match doc.get(root, "input")? {
        Some(Item::Array(items)) => unseal_items(doc, items),
        Some(Item::Object(item)) => unseal_keys(doc, item),
        _ => Ok(()),
    }
}

/// Takes the sealed ones out of a list.
fn unseal_items(doc: &mut Doc, items: NodeId) -> Result<(), JsonError> {
    for index in (0..doc.len(items)?).rev() {
        let item = match doc.at(items, index)? {
            Some(Item::Object(item)) => item,
            Some(Item::Array(inner)) => {
                unseal_items(doc, inner)?;
                continue;
            }
            _ => continue,
        };
        if matches!(doc.get(item, SEALED)?, Some(Item::String(_))) {
            doc.remove_at(items, index)?;
        } else {
            unseal_keys(doc, item)?;
        }
    }
    Ok(())
}

/// Takes what is sealed out of an object that is no item of a list itself.
fn unseal_keys(doc: &mut Doc, object: NodeId) -> Result<(), JsonError> {
    if matches!(doc.get(object, SEALED)?, Some(Item::String(_))) {
        doc.remove(object, SEALED)?;
    }
    for key in doc.keys(object)? {
        match doc.get(object, &key)? {
            Some(Item::Array(items)) => unseal_items(doc, items)?,
            Some(Item::Object(inner)) => unseal_keys(doc, inner)?,
            _ => {}
        }
    }
    Ok(())
}

// === impl Refers ===

impl Refers {
    /// What the body of a request refers to; nothing when it is no JSON object, which its upstream will say.
    pub fn of(body: &[u8]) -> Self {
        let says = |key: &str| memchr::memmem::find(body, key.as_bytes()).is_some();
        if says(PREVIOUS) || says(SEALED) { serde_json::from_slice(body).unwrap_or_default() } else { Self::default() }
    }

    /// Whether it follows an answer by its id, which says more than the reasoning in it.
    pub fn follows(&self) -> bool {
        self.previous_response_id.as_ref().is_some_and(|id| !id.is_empty())
    }

    /// The marks to look for.
    pub fn marks(&self) -> Vec<Mark> {
        match &self.previous_response_id {
            Some(id) if self.follows() => vec![Mark::response(id)],
            _ => self.input.0.clone(),
        }
    }
}

// === impl Made ===

impl Made {
    /// All its marks.
    pub fn marks(&self) -> impl Iterator<Item = Mark> {
        self.id.iter().map(|id| Mark::response(id)).chain(self.output.0.iter().copied())
    }
}

// === impl Sealed ===

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut marks = Vec::new();
        Walk { marks: &mut marks, sealed: false }.deserialize(deserializer)?;
        Ok(Self(marks))
    }
}

// === impl Walk ===

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            map.next_value_seed(Walk { marks: &mut *self.marks, sealed: key == SEALED })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Walk { marks: &mut *self.marks, sealed: false })?.is_some() {}
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if self.sealed && !text.is_empty() {
            self.marks.push(Mark::sealed(text));
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}
