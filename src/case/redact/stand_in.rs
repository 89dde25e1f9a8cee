//! Stand-ins: text of the same length and class as what it stands for, from a keyed hash, so that lengths, repeats and
//! shapes survive and nothing else does.
//!
//! The last characters of a stand-in are a checksum of the others: it is known again as one and stays as it is, so that
//! redacting twice is redacting once.

use super::tables::{ID_WORDS, KEYS, RUN_STARTS, RUN_WORDS, SCHEMES, SECRET_FIELDS};

/// Makes stand-ins with one key.
#[derive(Clone)]
pub(super) struct Mint {
    key: [u8; 32],
}

/// What a character may be replaced by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// A range of ASCII characters, or of others of the same length in UTF-8.
    Range(char, u32),
    /// Nothing: it stays.
    Kept,
}

/// Stand-ins that would read as the start of something else are not taken; so many are tried.
const TRIES: u32 = 64;

// === impl Mint ===

impl Mint {
    pub(super) fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// The stand-in of a text: letters for letters, digits for digits, everything else as it is. A text with fewer than
    /// two letters and digits is its own.
    pub(super) fn mint(&self, text: &str) -> String {
        let hex = is_hex(text);
        let places: Vec<(char, Class)> = text.chars().map(|c| (c, class(c, hex))).collect();
        let open = places.iter().filter(|(_, class)| *class != Class::Kept).count();
        if open < 2 || self.is_stand_in(&places, open) {
            return text.to_owned();
        }
        let mut made = String::new();
        for salt in 0..TRIES {
            made = self.make(text, &places, open, salt);
            if !reads_as_something(&made) && (hex || !is_hex(&made)) {
                break;
            }
        }
        made
    }

    /// Whether a text would stay as it is.
    pub(super) fn is_minted(&self, text: &str) -> bool {
        let hex = is_hex(text);
        let places: Vec<(char, Class)> = text.chars().map(|c| (c, class(c, hex))).collect();
        let open = places.iter().filter(|(_, class)| *class != Class::Kept).count();
        open < 2 || self.is_stand_in(&places, open)
    }

    /// Bytes in place of bytes that are no text.
    pub(super) fn noise(&self, bytes: &[u8]) -> Vec<u8> {
        let Some((said, sum)) = bytes.split_last_chunk::<16>() else {
            return vec![0; bytes.len()];
        };
        let mut check = [0; 16];
        self.stream("noise of", said).fill(&mut check);
        if *sum == check {
            return bytes.to_vec();
        }
        let mut made = vec![0; said.len()];
        self.stream("noise", bytes).fill(&mut made);
        self.stream("noise of", &made).fill(&mut check);
        made.extend_from_slice(&check);
        made
    }

    /// A number from 0 to below `most`, for a purpose and a text.
    pub(super) fn number(&self, purpose: &str, text: &str, most: u32) -> u32 {
        let mut bytes = [0; 4];
        self.stream(purpose, text.as_bytes()).fill(&mut bytes);
        u32::from_le_bytes(bytes) % most.max(1)
    }

    fn make(&self, text: &str, places: &[(char, Class)], open: usize, salt: u32) -> String {
        let mut purpose = "stand-in".to_owned();
        purpose.push_str(&salt.to_string());
        let mut random = Random(self.stream(&purpose, text.as_bytes()));
        let free = open - checked(open);
        let mut made = String::with_capacity(text.len());
        let mut rest = Vec::new();
        let mut seen = 0;
        for (c, class) in places {
            seen += usize::from(*class != Class::Kept);
            if seen <= free {
                made.push(random.pick(*c, *class));
            } else {
                rest.push((*c, *class));
            }
        }
        let sum = self.checksum(&made, &rest);
        made.push_str(&sum);
        made
    }

    /// What must follow `said` for the whole to be a stand-in.
    fn checksum(&self, said: &str, rest: &[(char, Class)]) -> String {
        let mut random = Random(self.stream("checksum", said.as_bytes()));
        rest.iter().map(|(c, class)| random.pick(*c, *class)).collect()
    }

    fn is_stand_in(&self, places: &[(char, Class)], open: usize) -> bool {
        let free = open - checked(open);
        let mut seen = 0;
        let end = places.iter().position(|(_, class)| {
            seen += usize::from(*class != Class::Kept);
            seen > free
        });
        let (said, rest) = places.split_at(end.unwrap_or(places.len()));
        let said: String = said.iter().map(|(c, _)| *c).collect();
        self.checksum(&said, rest).chars().eq(rest.iter().map(|(c, _)| *c))
    }

    fn stream(&self, purpose: &str, text: &[u8]) -> blake3::OutputReader {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(purpose.as_bytes());
        hasher.update(&[0]);
        hasher.update(text);
        hasher.finalize_xof()
    }
}

/// How many of the characters are the checksum: fewer where that would leave nothing to choose.
fn checked(open: usize) -> usize {
    match open {
        0..=3 => 1,
        4..=6 => 2,
        7..=12 => 3,
        _ => 5,
    }
}

/// Whether all its letters and digits are hexadecimal, a letter among them: such a text stays one.
fn is_hex(text: &str) -> bool {
    let hex = text.chars().all(|c| c.is_ascii_hexdigit() || !c.is_alphanumeric());
    hex && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

fn class(c: char, hex: bool) -> Class {
    match c {
        '0'..='9' => Class::Range('0', 10),
        'a'..='f' if hex => Class::Range('a', 6),
        'A'..='F' if hex => Class::Range('A', 6),
        'a'..='z' => Class::Range('a', 26),
        'A'..='Z' => Class::Range('A', 26),
        _ if c.is_ascii() || !c.is_alphanumeric() => Class::Kept,
        _ => match c.len_utf8() {
            2 if c.is_lowercase() => Class::Range('\u{430}', 32),
            2 if c.is_uppercase() => Class::Range('\u{410}', 32),
            2 => Class::Range('\u{5d0}', 24),
            3 => Class::Range('\u{4e00}', 4096),
            _ => Class::Range('\u{20000}', 4096),
        },
    }
}

/// Whether a made word would be taken for the start of a key, an id or a path.
fn reads_as_something(made: &str) -> bool {
    let known = |run: &str| {
        [&ID_WORDS[..], &RUN_WORDS, &SCHEMES, &SECRET_FIELDS]
            .iter()
            .any(|words| words.iter().any(|word| run.eq_ignore_ascii_case(word)))
    };
    let key = |run: &str| KEYS.iter().any(|(key, _)| key.split(|c: char| !c.is_alphanumeric()).next() == Some(run));
    let mut runs = made.split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty());
    runs.any(|run| RUN_STARTS.iter().any(|start| run.starts_with(start)) || known(run) || key(run))
}

/// Characters from a stream of bytes.
struct Random(blake3::OutputReader);

// === impl Random ===

impl Random {
    /// A character of a class; `c` where it stays.
    fn pick(&mut self, c: char, class: Class) -> char {
        match class {
            Class::Kept => c,
            Class::Range(first, count) => {
                let mut bytes = [0; 4];
                self.0.fill(&mut bytes);
                char::from_u32(u32::from(first) + u32::from_le_bytes(bytes) % count).unwrap_or(first)
            }
        }
    }
}
