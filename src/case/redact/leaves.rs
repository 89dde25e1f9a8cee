//! Finds the texts in JSON, each with what is to be done with it. JSON that is cut off, or is none, is read as far as it
//! goes: what may hold somebody's words must not be skipped because a bracket is missing.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;

use super::scan::Depth;
use super::tables::{
    BLOCK_FIELDS, CHOICES, COMMON_FIELDS, FREE, FREE_BELOW, ID_FIELDS, JSON_TEXTS, PIECES, SCHEMAS, SECRET_FIELDS,
    STRUCTURE, TOKEN_LISTS,
};

/// What is to be done with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// It is gone through.
    Scan(Depth),
    /// All of it is a credential.
    Secret,
    /// It is JSON itself.
    Json,
    /// Its digits stand for text or for somebody.
    Number,
    /// Its digits but the first say whose something is.
    IdNumber,
}

/// A text in JSON.
pub(super) struct Leaf {
    /// Where it stands, without quotes.
    pub(super) range: Range<usize>,
    /// Whether it stands in quotes.
    pub(super) quoted: bool,
    /// What is to be done with it.
    pub(super) how: How,
    /// The fields that lead to it.
    path: String,
    /// The objects around it.
    objects: Vec<usize>,
}

/// All texts of a JSON text.
pub(super) struct Leaves {
    /// In the order of the text.
    pub(super) all: Vec<Leaf>,
    /// What tells the objects from others like them.
    objects: Vec<BTreeMap<&'static str, String>>,
}

/// An open bracket.
struct Frame {
    /// Whether it is an object's.
    object: bool,
    /// The field that it is the value of; of an array in an array the outer one's.
    name: String,
    /// The field that is being read.
    field: String,
    /// Whether a field's name comes next.
    wants_name: bool,
    /// Whose words stand in it.
    room: Room,
    /// Which object it is.
    id: usize,
}

/// Whose words stand in a part of a JSON text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    /// A dialect's, and somebody's where it has a place for them.
    Dialect,
    /// JSON Schema's.
    Schema,
    /// Somebody's.
    Free,
}

/// A walk through a text.
struct Walk<'t> {
    text: &'t str,
    /// Everything is what somebody wrote.
    free: bool,
    frames: Vec<Frame>,
    leaves: Leaves,
}

/// The texts of a JSON text; `free` when all of it is what somebody wrote.
pub(super) fn leaves(text: &str, free: bool) -> Leaves {
    let mut walk = Walk { text, free, frames: Vec::new(), leaves: Leaves { all: Vec::new(), objects: Vec::new() } };
    let mut at = 0;
    while let Some(byte) = text.as_bytes().get(at) {
        at = walk.step(*byte, at);
    }
    walk.leaves
}

// === impl Leaves ===

impl Leaves {
    /// What is the same for all pieces of one text in a stream; `None` for what stands for itself.
    pub(super) fn channel(&self, leaf: &Leaf) -> Option<String> {
        let field = leaf.path.rsplit('/').find(|name| !name.is_empty()).unwrap_or_default();
        let piece = leaf.path.split('/').any(|name| name == "delta") || PIECES.contains(&field);
        if !piece || !leaf.quoted || !matches!(leaf.how, How::Json | How::Scan(Depth::Words)) {
            return None;
        }
        let mut channel = leaf.path.clone();
        for object in &leaf.objects {
            for (name, value) in self.objects.get(*object).into_iter().flatten() {
                let _ = write!(channel, " {name}={value}");
            }
            channel.push('|');
        }
        Some(channel)
    }
}

// === impl Frame ===

impl Frame {
    /// The field that a value in this frame belongs to.
    fn field(&self) -> &str {
        if self.object { &self.field } else { &self.name }
    }
}

// === impl Walk ===

impl Walk<'_> {
    /// Reads what stands at `at`; returns where to go on.
    fn step(&mut self, byte: u8, at: usize) -> usize {
        match byte {
            b'{' | b'[' => self.open(byte == b'{'),
            b'}' | b']' => {
                self.frames.pop();
            }
            b',' => self.turn(true),
            b':' => self.turn(false),
            b'"' => return self.string(at),
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => return self.bare(at),
        }
        at + 1
    }

    fn turn(&mut self, to_name: bool) {
        if let Some(frame) = self.frames.last_mut() {
            frame.wants_name = to_name && frame.object;
        }
    }

    fn open(&mut self, object: bool) {
        let name = self.frames.last().map(|frame| frame.field().to_owned()).unwrap_or_default();
        let outside = if self.free { Room::Free } else { Room::Dialect };
        let within = self.frames.last().map_or(outside, |frame| frame.room);
        let owner = self.frames.last().map(|frame| frame.name.as_str()).unwrap_or_default();
        let result = FREE_BELOW.0.contains(&owner) && name == FREE_BELOW.1;
        let named = FREE.contains(&name.as_str()) && (object || name != "input");
        let room = match within {
            Room::Dialect if SCHEMAS.contains(&name.as_str()) => Room::Schema,
            Room::Dialect if result || named => Room::Free,
            within => within,
        };
        let id = self.leaves.objects.len();
        self.leaves.objects.push(BTreeMap::new());
        self.frames.push(Frame { object, name, field: String::new(), wants_name: object, room, id });
    }

    /// Reads a string, which the text may break off.
    fn string(&mut self, at: usize) -> usize {
        let bytes = self.text.as_bytes();
        let mut end = at + 1;
        while let Some(byte) = bytes.get(end).filter(|byte| **byte != b'"') {
            let escapes = *byte == b'\\' && bytes.get(end + 1).is_some_and(u8::is_ascii);
            end += if escapes { 2 } else { 1 };
        }
        let end = end.min(bytes.len());
        let range = at + 1..end;
        let inside = self.text.get(range.clone()).unwrap_or_default();
        if let Some(frame) = self.frames.last_mut().filter(|frame| frame.wants_name) {
            inside.clone_into(&mut frame.field);
            self.leaf(range, true, How::Scan(Depth::Structure));
        } else {
            let how = self.how(inside);
            self.note(inside);
            self.leaf(range, true, how);
        }
        end + 1
    }

    /// Reads a number, a literal, or what should not be there.
    fn bare(&mut self, at: usize) -> usize {
        let rest = self.text.get(at..).unwrap_or_default();
        let length = rest.find(|c: char| "{}[],:\" \t\r\n".contains(c)).unwrap_or(rest.len()).max(1);
        let token = rest.get(..length).unwrap_or_default();
        self.note(token);
        let digits = token.bytes().all(|byte| byte.is_ascii_digit());
        let field = self.frames.last().map(Frame::field).unwrap_or_default();
        let listed = self.frames.last().is_some_and(|frame| !frame.object) && TOKEN_LISTS.contains(&field);
        if digits && listed {
            self.leaf(at..at + length, false, How::Number);
        } else if digits && token.len() >= 5 && is_id(field) {
            self.leaf(at..at + length, false, How::IdNumber);
        } else if token.parse::<f64>().is_err() && !["true", "false", "null"].contains(&token) {
            self.leaf(at..at + length, false, How::Scan(Depth::Words));
        }
        at + length
    }

    /// Keeps what tells this object from others like it.
    fn note(&mut self, value: &str) {
        let Some(frame) = self.frames.last().filter(|frame| frame.object && value.len() < 100) else {
            return;
        };
        let name = BLOCK_FIELDS.iter().find(|name| **name == frame.field);
        if let (Some(name), Some(object)) = (name, self.leaves.objects.get_mut(frame.id)) {
            object.insert(name, value.to_owned());
        }
    }

    fn leaf(&mut self, range: Range<usize>, quoted: bool, how: How) {
        let mut path = String::new();
        for frame in &self.frames {
            path.push_str(if frame.object { &frame.field } else { "" });
            path.push('/');
        }
        let objects = self.frames.iter().map(|frame| frame.id).collect();
        self.leaves.all.push(Leaf { range, quoted, how, path, objects });
    }

    /// What is to be done with the string that stands here.
    fn how(&self, value: &str) -> How {
        let Some(frame) = self.frames.last() else {
            return How::Scan(Depth::Words);
        };
        let field = frame.field();
        let probable = self.frames.iter().any(|frame| frame.name.contains("logprobs"));
        if is_secret(field, probable) {
            How::Secret
        } else if JSON_TEXTS.contains(&field) {
            How::Json
        } else if is_id(field) || (field == "name" && self.names_somebody()) {
            How::Scan(Depth::Id)
        } else if frame.room != Room::Free && is_structure(field, value) {
            How::Scan(Depth::Structure)
        } else {
            How::Scan(Depth::Words)
        }
    }

    /// Whether the `name` that stands here is a person's: a participant's of a chat, or an account's.
    fn names_somebody(&self) -> bool {
        let owner = self.frames.last().map(|frame| frame.name.as_str()).unwrap_or_default();
        owner == "messages" || ID_FIELDS.contains(&owner)
    }
}

fn is_secret(field: &str, probable: bool) -> bool {
    let small: String = field.chars().filter(|c| *c != '-' && *c != '_').map(|c| c.to_ascii_lowercase()).collect();
    let known = SECRET_FIELDS.contains(&small.as_str());
    known && (!COMMON_FIELDS.contains(&small.as_str()) || (small == "token" && !probable))
}

fn is_id(field: &str) -> bool {
    let small = field.to_ascii_lowercase();
    small == "id"
        || small.ends_with("_id")
        || small.ends_with("_ids")
        || small.ends_with("_uuid")
        || field.ends_with("Id")
        || ID_FIELDS.contains(&small.as_str())
}

/// Whether a value is a word of a dialect.
fn is_structure(field: &str, value: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || "_.:/@+-,;=*$#[]()".contains(c);
    let blanks = value.bytes().filter(|byte| *byte == b' ').count();
    // `text/plain; charset=utf-8`, `2026-03-01 12:00:00`, names of models for people.
    let spaced = ["model", "mime", "media", "_at"].iter().any(|part| field.contains(part));
    let short = value.len() <= 128 && blanks <= usize::from(spaced) * 2;
    let timed = value.len() >= 19
        && value
            .bytes()
            .zip("0000-00-00T00:00:00".bytes())
            .all(|(byte, shape)| if shape == b'0' { byte.is_ascii_digit() } else { byte == shape });
    let known = STRUCTURE.contains(&field) && short && value.chars().all(|c| word(c) || c == ' ');
    known || timed && value.len() <= 40 || (CHOICES.0.contains(&field) && CHOICES.1.contains(&value))
}
