//! What a client got, without the moments at which it came, and where two of these differ.

use std::fmt::Write;

use bytes::Bytes;

use crate::case::client::Got;
use crate::case::play::{Played, PlayedCall};

/// Bytes shown on either side of a place.
const AROUND: usize = 24;

/// What the client of one call got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// Heads in their order, in words.
    pub(super) heads: String,
    /// The body's pieces, joined.
    pub(super) body: Bytes,
    /// What came after the body.
    pub(super) trailers: String,
    /// Whether it was broken off.
    pub(super) broken: bool,
}

/// What the clients of all calls got; what must not be shown is masked in heads.
pub(super) fn all(played: &Played) -> Vec<Heard> {
    played.calls.iter().map(|call| Heard::of(played, call)).collect()
}

// === impl Heard ===

impl Heard {
    fn of(played: &Played, call: &PlayedCall) -> Self {
        let mut all = Self::default();
        let mut body = Vec::new();
        for got in &call.got {
            match got {
                Got::Continue => all.heads.push_str("100 Continue\n"),
                Got::Head(_, head) => {
                    let _ = writeln!(all.heads, "{}", head.status.as_u16());
                    for (name, value) in &head.headers {
                        let value = String::from_utf8_lossy(value.as_bytes());
                        let _ = writeln!(all.heads, "{name}: {}", played.mask.header(name.as_str(), &value));
                    }
                }
                Got::Piece(_, bytes) => body.extend_from_slice(bytes),
                Got::Trailers(trailers) => all.trailers = format!("{trailers:?}"),
                Got::BrokenOff(_) => all.broken = true,
            }
        }
        all.body = Bytes::from(body);
        all
    }

    /// Where two differ first: the text of either there.
    pub(super) fn difference(&self, other: &Self) -> Option<(String, String)> {
        if self == other {
            return None;
        }
        let line = |one: &str, two: &str| {
            let mut two = two.lines();
            one.lines().find(|line| two.next() != Some(line)).unwrap_or("nothing more").to_owned()
        };
        if self.heads != other.heads {
            return Some((line(&self.heads, &other.heads), line(&other.heads, &self.heads)));
        }
        if self.body != other.body {
            let same = self.body.iter().zip(&other.body).take_while(|(one, two)| one == two).count();
            return Some((around(&self.body, same, ""), around(&other.body, same, "")));
        }
        let end = |heard: &Self| {
            let broken = if heard.broken { "broken off" } else { "a clean end" };
            format!("{broken} {}", heard.trailers).trim_end().to_owned()
        };
        Some((end(self), end(other)))
    }
}

/// The bytes around a place, with a mark there; what an editor would not show is escaped.
pub(super) fn around(bytes: &[u8], at: usize, mark: &str) -> String {
    let (start, end) = (at.saturating_sub(AROUND), (at + AROUND).min(bytes.len()));
    let show = |bytes: Option<&[u8]>| -> String {
        let text = String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
    };
    let (before, after) = (if start > 0 { "…" } else { "" }, if end < bytes.len() { "…" } else { "" });
    format!("{before}{}{mark}{}{after}", show(bytes.get(start..at.min(end))), show(bytes.get(at.min(end)..end)))
}
