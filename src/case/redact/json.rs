//! Redacts JSON, in bodies and in the events of a stream: texts are replaced where they stand, and the pieces of one
//! text in many events are put together first, so that a word or a key is found wherever it was cut.

use std::collections::BTreeMap;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::leaves::{How, leaves};
use super::scan::{Depth, Scan};
use super::spelled::{Notation, Spelled};
use super::tables::MEDIA;
use super::{Kind, Text};

/// A text that is too short for base64 to be told from words.
const SHORTEST_BASE64: usize = 24;

/// Longer texts in the letters of base64 are base64, whatever they hold.
const LONG_BASE64: usize = 64;

/// A piece of a text: which JSON text it is in, and where.
struct Part {
    of: usize,
    range: Range<usize>,
    notation: Notation,
    spelled: Spelled,
}

/// The parts of one text, and what is to be done with it.
struct Group {
    how: How,
    parts: Vec<Part>,
}

/// A JSON text as it may be kept; `free` when all of it is what somebody wrote.
pub(super) fn whole(scan: &Scan<'_>, text: &str, free: bool) -> String {
    let mut texts = vec![text.to_owned()];
    // Gemini's streams may come as one array of answers.
    let joined = text.trim_start().starts_with('[') && text.contains("\"candidates\"");
    all(scan, &mut texts, free, joined);
    texts.pop().unwrap_or_default()
}

/// The JSON texts of a stream's events, as they may be kept.
pub(super) fn events(scan: &Scan<'_>, texts: &mut [String]) {
    all(scan, texts, false, true);
}

fn all(scan: &Scan<'_>, texts: &mut [String], free: bool, joined: bool) {
    let mut groups: Vec<Group> = Vec::new();
    let mut channels: BTreeMap<String, usize> = BTreeMap::new();
    for (of, text) in texts.iter().enumerate() {
        let leaves = leaves(text, free);
        for leaf in &leaves.all {
            let notation = if leaf.quoted { Notation::Json } else { Notation::Plain };
            let spelled = Spelled::read(text.get(leaf.range.clone()).unwrap_or_default(), notation);
            let part = Part { of, range: leaf.range.clone(), notation, spelled };
            let channel = Some(leaf).filter(|_| joined).and_then(|leaf| leaves.channel(leaf));
            let known = channel.as_ref().and_then(|channel| channels.get(channel)).copied();
            if let Some(group) = known.and_then(|known| groups.get_mut(known)) {
                group.parts.push(part);
            } else {
                channels.extend(channel.map(|channel| (channel, groups.len())));
                groups.push(Group { how: leaf.how, parts: vec![part] });
            }
        }
    }
    write(scan, texts, &groups);
}

/// Replaces the groups' texts where they stand: nothing moves, for nothing changes its length.
fn write(scan: &Scan<'_>, texts: &mut [String], groups: &[Group]) {
    let mut made: Vec<(usize, Range<usize>, String)> = Vec::new();
    for group in groups {
        let text: String = group.parts.iter().map(|part| part.spelled.text.as_str()).collect();
        let replaced = replace(scan, &text, group.how);
        let mut chars = replaced.chars();
        for part in &group.parts {
            let raw = texts.get(part.of).and_then(|text| text.get(part.range.clone())).unwrap_or_default();
            let written = part.spelled.write(raw, chars.by_ref().take(part.spelled.count()), part.notation);
            if written != raw {
                made.push((part.of, part.range.clone(), written));
            }
        }
    }
    made.sort_by_key(|(of, range, _)| (*of, range.start));
    let mut made = made.into_iter().peekable();
    for (of, text) in texts.iter_mut().enumerate() {
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        while let Some((_, range, written)) = made.next_if(|(owner, ..)| *owner == of) {
            out.push_str(text.get(at..range.start).unwrap_or_default());
            out.push_str(&written);
            at = range.end;
        }
        out.push_str(text.get(at..).unwrap_or_default());
        *text = out;
    }
}

fn replace(scan: &Scan<'_>, text: &str, how: How) -> String {
    match how {
        How::Scan(depth) => value(scan, text, depth),
        How::Secret => {
            let made = scan.secret(text);
            scan.see(text);
            made
        }
        How::Json => whole(scan, text, true),
        How::Number => "1".repeat(text.len()),
        How::IdNumber => {
            let (first, rest) = text.split_at(1);
            let made = scan.mint.mint(rest);
            scan.count(Kind::Id, rest, &made);
            format!("{first}{made}")
        }
    }
}

/// A whole value as it may be kept: JSON in a text as JSON, base64 by what it holds, anything else as text.
pub(super) fn value(scan: &Scan<'_>, text: &str, depth: Depth) -> String {
    if depth == Depth::Structure || depth == Depth::Seen {
        return scan.text(text, depth);
    }
    if is_json(text) {
        return whole(scan, text, depth == Depth::Words);
    }
    let data = text.starts_with("data:").then(|| text.find(";base64,")).flatten().map_or(0, |at| at + 8);
    let (head, rest) = text.split_at(data);
    if depth == Depth::Words
        && let Some(made) = base64(scan, rest)
    {
        scan.count(Kind::Binary, rest, &made);
        return format!("{head}{made}");
    }
    scan.text(text, depth)
}

/// Whether a text is an object or an array.
pub(super) fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// A text in base64 as it may be kept: text in it is gone through, anything else replaced. `None`: it is not base64.
fn base64(scan: &Scan<'_>, text: &str) -> Option<String> {
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte);
    let bare = text.trim_end_matches('=');
    if text.len() < SHORTEST_BASE64 || text.len() - bare.len() > 2 || !bare.bytes().all(letters) {
        return None;
    }
    let media = MEDIA.iter().find(|start| text.starts_with(**start)).map_or(0, |start| start.len());
    let (start, rest) = text.split_at(media);
    if scan.mint.is_minted(rest) {
        return Some(text.to_owned());
    }
    if let Some(made) = text_inside(scan, text) {
        return Some(made);
    }
    if text.len() < LONG_BASE64 {
        return None;
    }
    if media > 0 && scan.text == Text::Kept {
        return Some(text.to_owned());
    }
    Some(format!("{start}{}", scan.mint.mint(rest)))
}

/// What base64 holds, gone through and encoded as it was; `None` when it holds no text.
fn text_inside(scan: &Scan<'_>, text: &str) -> Option<String> {
    let mode = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_encode_padding(text.ends_with('=') || text.len().is_multiple_of(4));
    let alphabets = [&base64::alphabet::STANDARD, &base64::alphabet::URL_SAFE];
    let engines = alphabets.map(|alphabet| GeneralPurpose::new(alphabet, mode));
    let (engine, bytes) = engines.iter().find_map(|engine| Some((engine, engine.decode(text).ok()?)))?;
    let inside = String::from_utf8(bytes).ok()?;
    let printable = inside.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'));
    if !printable || engine.encode(&inside) != text {
        return None;
    }
    scan.see(&inside);
    Some(engine.encode(super::body::text(scan, &inside, "")))
}
