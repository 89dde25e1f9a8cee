//! Takes secrets and personal data out of recorded exchanges, and what people and models said, so that a case can be kept
//! and shown; what the gate decides by stays.
//!
//! Redaction is structural. Credentials, cookies, addresses, numbers, names and ids go wherever they stand: in heads,
//! targets, bodies, events and reads. Texts (prompts, answers, arguments and results of tools, files) are replaced word by
//! word unless they are to be kept. Everything is replaced by something of the same length and class from a keyed hash:
//! the same word has the same stand-in everywhere, turns of a conversation still begin alike, JSON keeps its shape, ids
//! keep their prefixes, and lengths stay true. Numbers of JSON stay, but for those that are text in another form.
//!
//! 1. [`tables`] says which names hold what, and how keys begin.
//! 2. [`patterns`] finds secrets and personal data by their shape; [`scan`] goes through a text with it.
//! 3. [`leaves`] finds the texts in JSON; [`json`], [`body`] and [`head`] replace them where they stand.
//! 4. [`stand_in`] makes what stands for them, and knows it again: redacting twice is redacting once.

mod body;

mod head;

mod json;

mod leaves;

mod patterns;

mod scan;

mod spelled;

mod stand_in;

mod tables;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderMap;
use serde_json::Value;

use self::scan::{Depth, Scan};
use self::stand_in::Mint;
use super::{Answer, Call, Case, Piece};
use crate::tape::Read;

/// What becomes of texts that people and models wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Text {
    /// They are replaced word by word.
    #[default]
    Replaced,
    /// They stay, but for secrets and personal data in them.
    Kept,
}

/// How cases are redacted.
#[derive(Clone)]
pub struct Redaction {
    mint: Mint,
    text: Text,
    /// Secrets that no request shows, but an answer may.
    known: Vec<String>,
}

/// What was replaced, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How often, of what was found at all.
    pub counts: BTreeMap<Kind, usize>,
}

/// A kind of what is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A key, a password, a token.
    Secret,
    /// The value of a cookie.
    Cookie,
    /// Letters and digits that may be a secret.
    Token,
    /// An e-mail address.
    Email,
    /// An IP address.
    Address,
    /// A telephone number.
    Phone,
    /// A user's name in a path.
    Name,
    /// An id of a user, an account, a message.
    Id,
    /// A word of a text.
    Text,
    /// Bytes that are no text.
    Binary,
}

// === impl Redaction ===

impl Redaction {
    /// A redaction whose stand-ins come from `key`: with the same key, the same has the same stand-in in all cases.
    pub fn new(key: [u8; 32], text: Text) -> Self {
        Self { mint: Mint::new(key), text, known: Vec::new() }
    }

    /// The same, with secrets of the gate itself: what echoes its requests says the keys that it was sent.
    #[must_use]
    pub fn knowing(mut self, secrets: Vec<String>) -> Self {
        self.known = secrets;
        self
    }

    /// Redacts a case in place.
    pub fn case(&self, case: &mut Case) -> Report {
        self.replaced(case).0
    }

    /// The credentials of a case: what must not be shown of it, even where all else may.
    pub fn credentials(&self, case: &Case) -> BTreeSet<String> {
        self.replaced(&mut case.clone()).1
    }

    /// Redacts a case; tells what was replaced, and the credentials themselves.
    fn replaced(&self, case: &mut Case) -> (Report, BTreeSet<String>) {
        let mut scan = Scan {
            mint: &self.mint,
            text: self.text,
            secrets: Vec::new(),
            names: BTreeSet::new(),
            seen: RefCell::default(),
            made: RefCell::default(),
            credentials: RefCell::default(),
            counts: RefCell::default(),
        };
        for secret in &self.known {
            head::keep(&mut scan, secret);
        }
        for call in &case.calls {
            head::collect(&mut scan, &call.head);
        }
        scan.names = names(&scan, case);
        case.about = scan.text(&case.about, Depth::Structure);
        for call in &mut case.calls {
            redact_call(&scan, call);
        }
        for answer in &mut case.answers {
            redact_answer(&scan, answer);
        }
        let client = case.setup.client;
        case.setup.client = scan.text(&client.to_string(), Depth::Structure).parse().unwrap_or(client);
        for value in case.setup.env.values_mut() {
            *value = scan.secret(value);
        }
        for read in &mut case.setup.reads {
            redact_read(&scan, read);
        }
        (Report { counts: scan.counts.into_inner() }, scan.credentials.into_inner())
    }
}

/// How reads begin that tell what the gate chose among its endpoints.
const CHOICES: [&str; 6] = ["endpoint ", "open endpoint ", "again ", "repetition ", "crowded ", "queue "];

/// Names of users in paths of a case: they are taken out of other texts too.
fn names(scan: &Scan<'_>, case: &Case) -> BTreeSet<String> {
    let bodies = case.calls.iter().map(|call| &call.body).chain(case.answers.iter().map(|answer| &answer.body));
    for body in bodies {
        let bytes: Vec<u8> = body.iter().flat_map(|piece| piece.bytes.iter().copied()).collect();
        // Only what is found by its shape is looked at: what becomes of it is not used.
        scan.text(&String::from_utf8_lossy(&bytes), Depth::Structure);
    }
    scan.counts.borrow_mut().clear();
    std::mem::take(&mut *scan.seen.borrow_mut())
}

fn redact_call(scan: &Scan<'_>, call: &mut Call) {
    let (body, length) = redact_body(scan, &call.head.headers, &call.body);
    call.body = body;
    if let Some(head) = head::request(scan, &call.head, length) {
        call.head = head;
    }
}

fn redact_answer(scan: &Scan<'_>, answer: &mut Answer) {
    let Some(last) = answer.heads.last() else {
        return;
    };
    let (body, length) = redact_body(scan, &last.headers, &answer.body);
    answer.body = body;
    for head in &mut answer.heads {
        if let Some(made) = head::response(scan, head, length) {
            *head = made;
        }
    }
}

/// A body as it may be kept, with its length where its coding was undone.
fn redact_body(scan: &Scan<'_>, headers: &HeaderMap, pieces: &[Piece]) -> (Vec<Piece>, Option<usize>) {
    let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = value("content-type");
    let coding = value("content-encoding");
    if coding.is_empty() || coding.eq_ignore_ascii_case("identity") {
        return (body::pieces(scan, pieces, kind), None);
    }
    match body::unfolded(pieces, coding) {
        Some(unfolded) => {
            let length = unfolded.iter().map(|piece| piece.bytes.len()).sum();
            (body::pieces(scan, &unfolded, kind), Some(length))
        }
        None => (body::hidden(scan, pieces), None),
    }
}

/// A read: what was asked for keeps the words that came from nobody's data, so that it is asked for again.
fn redact_read(scan: &Scan<'_>, read: &mut Read) {
    // Names of the settings, not words of the client, though a client may have used the same.
    if CHOICES.iter().any(|choice| read.what.starts_with(choice)) {
        return;
    }
    read.what = scan.text(&read.what, Depth::Seen);
    redact_value(scan, &mut read.value);
}

fn redact_value(scan: &Scan<'_>, value: &mut Value) {
    match value {
        Value::String(text) => {
            // One word may be what a policy decides by; more than that is what somebody wrote.
            let prose = text.trim().contains([' ', '\n']) || json::is_json(text);
            *text = json::value(scan, text, if prose { Depth::Words } else { Depth::Seen });
        }
        Value::Array(values) => values.iter_mut().for_each(|value| redact_value(scan, value)),
        Value::Object(fields) => {
            let old = std::mem::take(fields);
            for (name, mut value) in old {
                redact_value(scan, &mut value);
                fields.insert(scan.text(&name, Depth::Seen), value);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What base64 says, where it says something: credentials name their owners.
fn said_in_base64(text: &str) -> Option<String> {
    let mode = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let engine = GeneralPurpose::new(&base64::alphabet::URL_SAFE, mode);
    let claims = text.split('.').nth(1).unwrap_or(text).replace('+', "-").replace('/', "_");
    String::from_utf8(engine.decode(claims).ok()?).ok()
}

// === impl Report ===

impl fmt::Display for Report {
    /// Such as `2 secrets, 1 e-mail address, 340 words`; `nothing` when nothing was replaced.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.counts.is_empty() {
            return f.write_str("nothing");
        }
        for (index, (kind, count)) in self.counts.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            let (one, many) = kind.names();
            write!(f, "{comma}{count} {}", if *count == 1 { one } else { many })?;
        }
        Ok(())
    }
}

// === impl Kind ===

impl Kind {
    /// What one is called, and several.
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Secret => ("secret", "secrets"),
            Self::Cookie => ("cookie", "cookies"),
            Self::Token => ("token", "tokens"),
            Self::Email => ("e-mail address", "e-mail addresses"),
            Self::Address => ("IP address", "IP addresses"),
            Self::Phone => ("telephone number", "telephone numbers"),
            Self::Name => ("user name", "user names"),
            Self::Id => ("id", "ids"),
            Self::Text => ("word", "words"),
            Self::Binary => ("binary value", "binary values"),
        }
    }
}
