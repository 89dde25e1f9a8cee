//! The plain values of settings: switches, numbers, text, sizes and durations with their units.

use std::fmt::Display;
use std::num::NonZeroU32;
use std::time::Duration;

use serde_json::Value as Json;

use super::parse::{Node, Reader, Value};

/// The units of sizes, largest first.
const SIZES: [(&str, usize); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// The units of durations in milliseconds, largest first.
const DURATIONS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

// === impl Value for switches, numbers and text ===

impl Value for bool {
    fn kind() -> String {
        "true or false".to_owned()
    }

    fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self> {
        let switch = node.get_ref().as_bool();
        if switch.is_none() {
            reader.mistyped(node, "true or false");
        }
        switch
    }

    fn shown(&self) -> Json {
        (*self).into()
    }
}

impl Value for u32 {
    fn kind() -> String {
        "number".to_owned()
    }

    fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self> {
        let number = reader.integer(node, "a whole number")?;
        let fitting = Self::try_from(number).ok();
        if fitting.is_none() {
            reader.fault(node.span(), format!("{number} is not between 0 and {}", Self::MAX));
        }
        fitting
    }

    fn shown(&self) -> Json {
        (*self).into()
    }
}

impl Value for NonZeroU32 {
    fn kind() -> String {
        "number from 1".to_owned()
    }

    fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self> {
        let number = Self::new(u32::read(reader, node)?);
        if number.is_none() {
            reader.fault(node.span(), "must be at least 1");
        }
        number
    }

    fn shown(&self) -> Json {
        self.get().into()
    }
}

impl Value for String {
    fn kind() -> String {
        "text".to_owned()
    }

    fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self> {
        let text = reader.text(node, "a string")?;
        if text.is_empty() {
            reader.fault(node.span(), "must not be empty");
            return None;
        }
        Some(text.to_owned())
    }

    fn shown(&self) -> Json {
        self.as_str().into()
    }
}

/// A `usize` in the settings is always a number of bytes.
impl Value for usize {
    fn kind() -> String {
        "size".to_owned()
    }

    fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self> {
        reader.parsed(node, "a size like \"8MiB\"", parse_size)
    }

    fn shown(&self) -> Json {
        let unit = SIZES.iter().find(|(_, unit)| self.is_multiple_of(*unit));
        let (name, unit) = unit.copied().unwrap_or(("B", 1));
        format!("{}{name}", self / unit).into()
    }
}

impl Value for Duration {
    fn kind() -> String {
        "duration".to_owned()
    }

    fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self> {
        reader.parsed(node, "a duration like \"250ms\", \"5s\" or \"15m\"", parse_duration)
    }

    fn shown(&self) -> Json {
        let millis = u64::try_from(self.as_millis()).unwrap_or(u64::MAX);
        let unit = DURATIONS.iter().find(|(_, unit)| millis.is_multiple_of(*unit));
        let (name, unit) = unit.copied().unwrap_or(("ms", 1));
        format!("{}{name}", millis / unit).into()
    }
}

/// A positive size in bytes: a whole number and a unit.
fn parse_size(text: &str) -> Result<usize, String> {
    let (number, unit) = number_and_unit(text);
    let unit = SIZES.iter().find(|(name, _)| *name == unit).map(|(_, size)| *size);
    let size = number.parse::<usize>().ok().zip(unit).and_then(|(n, unit)| n.checked_mul(unit));
    positive(size, text, "a size: write a whole number with B, KiB, MiB or GiB")
}

/// A positive duration: a whole number and a unit.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = number_and_unit(text);
    let unit = DURATIONS.iter().find(|(name, _)| *name == unit).map(|(_, millis)| *millis);
    let millis = number.parse::<u64>().ok().zip(unit).and_then(|(n, unit)| n.checked_mul(unit));
    let millis = millis.filter(|millis| *millis <= 366 * 24 * 3_600_000);
    let millis = positive(millis, text, "a duration: write a whole number with ms, s, m or h, up to a year")?;
    Ok(Duration::from_millis(millis))
}

/// Splits `8MiB` into its digits and the rest.
fn number_and_unit(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start())
}

/// The number, unless there is none or it is zero.
fn positive<T: Default + PartialEq>(number: Option<T>, text: &str, what: impl Display) -> Result<T, String> {
    match number {
        Some(number) if number == T::default() => Err("must be more than 0".to_owned()),
        Some(number) => Ok(number),
        None => Err(format!("`{text}` is not {what}")),
    }
}
