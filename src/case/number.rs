//! Fractions as exactly as they were written: `serde_json` may read one a last place off, and a recorded random number
//! that is not the same one decides otherwise.

use serde_json::{Number, Value};

/// Gives the fractions in `value`, which was read from `text`, exactly the values that the text says.
pub(super) fn exact(value: &mut Value, text: &str) {
    let mut said = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c == '"' || c == '-' || c.is_ascii_digit()) {
        rest = rest.get(at..).unwrap_or_default();
        let end = if rest.starts_with('"') { string(rest) } else { number(rest) };
        let token = rest.get(..end).unwrap_or_default();
        if !token.starts_with('"') {
            said.push(token);
        }
        rest = rest.get(end..).unwrap_or_default();
    }
    put(value, &mut said.into_iter());
}

/// Puts what was said in place of the fractions, both in the order of the text.
fn put<'t>(value: &mut Value, said: &mut impl Iterator<Item = &'t str>) {
    match value {
        Value::Number(number) => {
            let exact = said.next().and_then(|token| token.parse().ok());
            // Two fields of one name would upset the order: only what is nearly the same is the same.
            let near = |exact: &f64| number.as_f64().is_some_and(|read| (read - exact).abs() <= read.abs() * 1e-12);
            if let Some(exact) = exact.filter(near).filter(|_| number.is_f64()).and_then(Number::from_f64) {
                *number = exact;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| put(value, said)),
        Value::Object(fields) => fields.values_mut().for_each(|value| put(value, said)),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// The length of the string token at the start.
fn string(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let end = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        end
    });
    end.map_or(text.len(), |at| at + 2)
}

/// The length of the number token at the start.
fn number(text: &str) -> usize {
    text.find(|c: char| !matches!(c, '-' | '+' | '.' | 'e' | 'E' | '0'..='9')).unwrap_or(text.len())
}
