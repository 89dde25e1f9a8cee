//! Shows bodies in a snapshot: as they are, with pauses between their pieces; long ones by their ends and a hash.

use std::time::Duration;

use super::Page;
use super::time;

/// Longer bodies are shown by their ends.
const LONGEST: usize = 2048;

/// How much of the start of a long body is shown.
const HEAD: usize = 900;

/// How much of its end.
const TAIL: usize = 300;

/// Writes a body of pieces that came at these moments.
pub(super) fn pieces(page: &mut Page<'_>, pieces: &[(Duration, &[u8])]) {
    let length: usize = pieces.iter().map(|(_, bytes)| bytes.len()).sum();
    if length == 0 {
        return;
    }
    page.blank();
    let whole: Vec<u8> = pieces.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
    let Ok(text) = std::str::from_utf8(&whole) else {
        return page.indented(&format!("({})", summary(&whole)));
    };
    if length > LONGEST {
        return long(page, text);
    }
    let mut last = None;
    let mut line = String::new();
    for (at, bytes) in pieces {
        if let Some(pause) = last.map(|last| at.saturating_sub(last)).filter(|pause| !pause.is_zero()) {
            flush(page, &mut line, true);
            page.indented(&format!("~ {}", time(pause)));
        }
        last = Some(*at);
        line.push_str(&String::from_utf8_lossy(bytes));
    }
    flush(page, &mut line, false);
}

/// Writes what was collected; one that ends in mid-line says so when a pause or nothing follows.
fn flush(page: &mut Page<'_>, text: &mut String, more: bool) {
    let torn = !text.is_empty() && !text.ends_with('\n');
    let shown = text.strip_suffix('\n').unwrap_or(text);
    if torn && more {
        page.indented(&format!("{shown}\u{2026}"));
    } else if !text.is_empty() {
        page.indented(shown);
    }
    text.clear();
}

/// Writes the ends of a long text, cut between characters.
fn long(page: &mut Page<'_>, text: &str) {
    let head = text.get(..text.floor_char_boundary(HEAD)).unwrap_or_default();
    let tail = text.get(text.ceil_char_boundary(text.len() - TAIL)..).unwrap_or_default();
    page.indented(&format!("{head}\u{2026}"));
    page.indented(&format!("({})", summary(text.as_bytes())));
    page.indented(&format!("\u{2026}{}", tail.trim_end_matches('\n')));
}

/// What tells a body from others without showing it.
fn summary(bytes: &[u8]) -> String {
    let hash = blake3::hash(bytes).to_hex();
    format!("{} bytes, blake3 {}", bytes.len(), hash.get(..12).unwrap_or_default())
}
