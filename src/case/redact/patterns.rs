//! Secrets and personal data by their shape. Whether something is found depends on its classes of characters and on
//! words that stay, never on letters that are replaced: what was found once is found again in the redacted text.

use std::net::Ipv6Addr;

use super::Kind;
use super::scan::{Scan, run_end};
use super::tables::{COMMON_FIELDS, ID_WORDS, KEYS, SECRET_FIELDS};

/// Something that was found.
pub(super) struct Found {
    /// Where it ends.
    pub(super) end: usize,
    /// What stands for it, from where it begins.
    pub(super) text: String,
    /// What it is.
    pub(super) kind: Kind,
}

/// The longest part of an address before its `@` (RFC 5321 §4.5.3.1.1).
const LONGEST_LOCAL: usize = 64;

/// Letters and digits in a row that are more than a word.
const LONG_RUN: usize = 16;

/// What begins at `at`, where a run of letters and digits begins.
pub(super) fn at(scan: &Scan<'_>, text: &str, at: usize) -> Option<Found> {
    let rest = text.get(at..)?;
    let before = text.get(..at)?;
    let run = text.get(at..run_end(text, at))?;
    known(scan, rest)
        .or_else(|| key(scan, run, rest))
        .or_else(|| web_token(scan, rest))
        .or_else(|| bearer(scan, run, rest))
        .or_else(|| private_key(scan, run, before, rest))
        .or_else(|| home(scan, run, before, rest))
        .or_else(|| email(scan, rest))
        .or_else(|| uuid(scan, rest))
        .or_else(|| address(scan, before, rest))
        .or_else(|| wide_address(scan, rest))
        .or_else(|| phone(scan, run, before, rest))
        .or_else(|| id(scan, run, rest))
        .or_else(|| long(scan, run, rest))
        .or_else(|| assigned(scan, run, before, rest))
        .map(|found| Found { end: at + found.end, ..found })
}

/// The stand-in of a credential: it keeps the word for its kind, and how keys of its maker begin.
pub(super) fn credential(scan: &Scan<'_>, value: &str) -> String {
    if let Some((scheme, rest)) = value.split_once(' ').filter(|(scheme, _)| is_scheme(scheme)) {
        return format!("{scheme} {}", credential(scan, rest));
    }
    let start = KEYS.iter().find(|(start, least)| value.strip_prefix(start).is_some_and(|rest| rest.len() >= *least));
    let start = start.map_or("", |(start, _)| *start);
    let start = if start.is_empty() && value.starts_with("eyJ") { "eyJ" } else { start };
    format!("{start}{}", scan.mint.mint(value.get(start.len()..).unwrap_or_default()))
}

/// Whether a word names a scheme of HTTP authentication.
fn is_scheme(word: &str) -> bool {
    ["bearer", "basic", "digest", "token", "apikey", "negotiate", "aws4-hmac-sha256"]
        .iter()
        .any(|scheme| word.eq_ignore_ascii_case(scheme))
}

/// How many bytes of the text are of a kind.
fn span(text: &str, fits: impl Fn(char) -> bool) -> usize {
    text.find(|c| !fits(c)).unwrap_or(text.len())
}

fn found(kind: Kind, end: usize, text: String) -> Found {
    Found { end, text, kind }
}

/// The start of a text as it is, then the stand-in of what follows up to `end`.
fn kept_then_minted(scan: &Scan<'_>, kind: Kind, rest: &str, kept: usize, end: usize) -> Option<Found> {
    let made = scan.mint.mint(rest.get(kept..end)?);
    Some(found(kind, end, format!("{}{made}", rest.get(..kept)?)))
}

/// A credential of this case.
fn known(scan: &Scan<'_>, rest: &str) -> Option<Found> {
    let whole = |secret: &&String| {
        let after = rest.strip_prefix(secret.as_str());
        after.is_some_and(|after| !after.starts_with(char::is_alphanumeric))
    };
    let secret = scan.secrets.iter().find(whole)?;
    Some(found(Kind::Secret, secret.len(), credential(scan, secret)))
}

/// A key that begins as its maker's keys do.
fn key(scan: &Scan<'_>, run: &str, rest: &str) -> Option<Found> {
    if run.len() < LONG_RUN && !rest.get(run.len()..)?.starts_with(['-', '_', '.', '/']) {
        return None;
    }
    let (start, _) = KEYS
        .iter()
        .find(|(start, least)| rest.strip_prefix(start).is_some_and(|after| span(after, is_key_char) >= *least))?;
    let after = rest.get(start.len()..)?;
    let mut length = span(after, is_key_char);
    if start.ends_with('.') {
        length = span(after, |c| is_key_char(c) || c == '.');
    }
    kept_then_minted(scan, Kind::Secret, rest, start.len(), start.len() + length)
}

fn is_key_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

/// A JSON web token (RFC 7519): its parts begin with what `{"` is in base64.
fn web_token(scan: &Scan<'_>, rest: &str) -> Option<Found> {
    let after = rest.strip_prefix("eyJ")?;
    let first = span(after, is_key_char);
    let second = span(after.get(first..)?.strip_prefix('.')?, is_key_char);
    if first < 8 || second < 4 {
        return None;
    }
    let length = span(after, |c| is_key_char(c) || c == '.');
    kept_then_minted(scan, Kind::Secret, rest, 3, 3 + length)
}

/// What follows the word of a scheme of HTTP authentication.
fn bearer(scan: &Scan<'_>, run: &str, rest: &str) -> Option<Found> {
    if !["bearer", "basic"].iter().any(|word| run.eq_ignore_ascii_case(word)) {
        return None;
    }
    let kept = run.len() + 1;
    let after = rest.get(run.len()..)?.strip_prefix(' ')?;
    let length = span(after, |c| c.is_ascii_alphanumeric() || "-._~+/=".contains(c));
    let token = after.get(..length)?;
    let telling = length >= 20 || (length >= 8 && token.bytes().any(|byte| byte.is_ascii_digit()));
    telling.then(|| found(Kind::Secret, kept + length, format!("{run} {}", credential(scan, token))))
}

/// A private key in PEM (RFC 7468), up to its end or that of the text.
fn private_key(scan: &Scan<'_>, run: &str, before: &str, rest: &str) -> Option<Found> {
    if run != "BEGIN" || !before.ends_with("-----") {
        return None;
    }
    let head = rest.find("-----").filter(|at| *at < 40)? + 5;
    if !rest.get(..head)?.contains("PRIVATE KEY") {
        return None;
    }
    let end = rest.get(head..)?.find("-----END").map_or(rest.len(), |at| head + at);
    kept_then_minted(scan, Kind::Secret, rest, head, end)
}

/// The user's name in the path of a home.
fn home(scan: &Scan<'_>, run: &str, before: &str, rest: &str) -> Option<Found> {
    if !["home", "Users", "users"].contains(&run) {
        return None;
    }
    let mark = before.chars().next_back().filter(|c| matches!(c, '/' | '\\' | '-'))?;
    // Claude Code names a project's folder by its path with `-` in place of `/`.
    let bare = before.get(..before.len() - 1)?;
    if mark == '-' && bare.ends_with(char::is_alphanumeric) {
        return None;
    }
    let kept = run.len() + span(rest.get(run.len()..)?, |c| c == mark);
    if kept == run.len() || (mark != '\\' && kept > run.len() + 1) {
        return None;
    }
    let name = rest.get(kept..)?;
    let length = span(name, |c| !ends_name(c) && (c != '-' || mark != '-'));
    let name = name.get(..length).filter(|name| !name.is_empty())?;
    scan.see(name);
    Some(found(Kind::Name, kept + length, format!("{}{}", rest.get(..kept)?, runs(scan, name))))
}

/// Whether a character ends a name in a path.
fn ends_name(c: char) -> bool {
    c.is_whitespace() || c.is_control() || "/\\\"'`<>:;,()|*?&#".contains(c)
}

/// A text with each of its words replaced.
pub(super) fn runs(scan: &Scan<'_>, text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
        if c.is_alphanumeric() {
            let end = run_end(text, at);
            out.push_str(&scan.mint.mint(text.get(at..end).unwrap_or_default()));
            at = end;
        } else {
            out.push(c);
            at += c.len_utf8();
        }
    }
    out
}

/// Names of hosts that nobody has (RFC 2606; `zz` is no country's, ISO 3166).
const NOBODYS: [&str; 3] = [".example", ".test", ".zz"];

/// An e-mail address.
fn email(scan: &Scan<'_>, rest: &str) -> Option<Found> {
    let near = rest.get(..rest.floor_char_boundary(LONGEST_LOCAL + 1))?;
    near.find('@')?;
    let local = span(near, |c| c.is_ascii_alphanumeric() || "._%+-".contains(c));
    let after = rest.get(local..)?.strip_prefix('@')?;
    let mut length = span(after, |c| c.is_ascii_alphanumeric() || c == '.' || c == '-');
    length = after.get(..length)?.trim_end_matches(['.', '-']).len();
    let domain = after.get(..length)?;
    let (_, top) = domain.rsplit_once('.').filter(|(host, _)| !host.is_empty())?;
    if local == 0 || top.len() < 2 || !top.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return None;
    }
    let name = rest.get(..local)?;
    let ending = NOBODYS.into_iter().find(|ending| domain.len() > ending.len())?;
    let host: String =
        domain.chars().take(domain.len() - ending.len()).map(|c| if c.is_alphanumeric() { c } else { 'x' }).collect();
    scan.see(name);
    Some(found(Kind::Email, local + 1 + length, format!("{}@{}{ending}", runs(scan, name), scan.mint.mint(&host))))
}

/// A UUID (RFC 9562 §4).
fn uuid(scan: &Scan<'_>, rest: &str) -> Option<Found> {
    let text = rest.get(..36).filter(|text| text.as_bytes().get(8) == Some(&b'-'))?;
    let shape = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    let ends = !rest.get(36..)?.starts_with(char::is_alphanumeric);
    (ends && text.bytes().enumerate().all(shape)).then(|| found(Kind::Id, 36, scan.mint.mint(text)))
}

/// An IPv4 address, or what looks like one: loopback, documentation (RFC 5737) and whole networks stay, others become
/// one that no host has, in 0/8 or 240/4 (RFC 6890).
fn address(scan: &Scan<'_>, before: &str, rest: &str) -> Option<Found> {
    if !rest.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let length = span(rest.get(..rest.floor_char_boundary(16))?, |c| c.is_ascii_digit() || c == '.');
    let text = rest.get(..length)?.trim_end_matches('.');
    let after = rest.get(text.len()..)?;
    let parts: Vec<&str> = text.split('.').collect();
    let fits = parts.len() == 4 && parts.iter().all(|part| matches!(part.len(), 1..=3));
    if !fits || before.ends_with('.') || after.starts_with(char::is_alphanumeric) {
        return None;
    }
    let stays = ["127.", "192.0.2.", "198.51.100.", "203.0.113.", "0."].iter().any(|start| text.starts_with(start));
    let reserved =
        parts.first().and_then(|part| part.parse::<u16>().ok()).is_some_and(|first| (240..=249).contains(&first));
    if stays || reserved || text.ends_with(".0.0") || text == "255.255.255.255" {
        return Some(found(Kind::Address, text.len(), text.to_owned()));
    }
    Some(found(Kind::Address, text.len(), nowhere(scan, text)))
}

/// An address of the same length that no host has.
fn nowhere(scan: &Scan<'_>, text: &str) -> String {
    let digits = text.len().min(15) - 3;
    let first = if digits > 10 { 3 } else { 1 };
    let mut left = digits - first;
    let mut made =
        if first == 3 { (240 + scan.mint.number("address 0", text, 10)).to_string() } else { "0".to_owned() };
    for part in 0u32..3 {
        let length = left.div_ceil(3 - part as usize);
        left -= length;
        let (least, count) = match length {
            1 => (1, 9),
            2 => (10, 90),
            _ => (100, 156),
        };
        made.push('.');
        made.push_str(&(least + scan.mint.number(&format!("address {}", part + 1), text, count)).to_string());
    }
    made
}

/// An IPv6 address: its first group becomes `f`s, a block that no host is in (RFC 4291 §2.7).
fn wide_address(scan: &Scan<'_>, rest: &str) -> Option<Found> {
    let length = span(rest.get(..rest.floor_char_boundary(40))?, |c| c.is_ascii_hexdigit() || c == ':');
    let text = rest.get(..length)?;
    let colons = text.bytes().filter(|byte| *byte == b':').count();
    // Of the first group, whose letters and digits go, only its length may count.
    let digits = text.split_once(':')?.1.bytes().any(|byte| byte.is_ascii_digit());
    if colons < 2 || !(digits || colons > 3) || rest.get(length..)?.starts_with(char::is_alphanumeric) {
        return None;
    }
    let parsed: Ipv6Addr = text.parse().ok()?;
    let group = text.find(':')?;
    let stand_in = text.get(..group)?.bytes().all(|byte| byte.eq_ignore_ascii_case(&b'f'));
    let documentation = parsed.segments().first() == Some(&0x2001) && parsed.segments().get(1) == Some(&0xdb8);
    if stand_in || documentation {
        return Some(found(Kind::Address, length, text.to_owned()));
    }
    Some(found(Kind::Address, length, format!("{}{}", "f".repeat(group), scan.mint.mint(text.get(group..)?))))
}

/// A telephone number: one that begins with `+`, or of three, three and four digits.
fn phone(scan: &Scan<'_>, run: &str, before: &str, rest: &str) -> Option<Found> {
    if !run.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let reach = span(rest.get(..rest.floor_char_boundary(24))?, |c| c.is_ascii_digit() || " .()-".contains(c));
    let text = rest.get(..reach)?.trim_end_matches(|c: char| !c.is_ascii_digit());
    let groups: Vec<usize> =
        text.split(|c: char| !c.is_ascii_digit()).map(str::len).filter(|length| *length > 0).collect();
    let digits: usize = groups.iter().sum();
    let ends = !rest.get(text.len()..)?.starts_with(char::is_alphanumeric);
    let plus = before.ends_with('+') && (8..=15).contains(&digits);
    let grouped = groups == [3, 3, 4] && (text.len() == 12 || before.ends_with('('));
    (ends && (plus || grouped)).then(|| found(Kind::Phone, text.len(), scan.mint.mint(text)))
}

/// What follows the word that ids of a kind begin with.
fn id(scan: &Scan<'_>, run: &str, rest: &str) -> Option<Found> {
    let after = rest.get(run.len()..)?;
    let tail = after.strip_prefix(['_', '-']).filter(|_| ID_WORDS.contains(&run))?;
    let value = tail.get(..run_end(tail, 0))?;
    let kept = run.len() + 1;
    if let Some(whole) = uuid(scan, tail) {
        return Some(found(Kind::Id, kept + whole.end, format!("{}{}", rest.get(..kept)?, whole.text)));
    }
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let telling = digits == value.len() && digits >= 6 || digits > 0 && value.len() >= 8;
    if !telling {
        return None;
    }
    let end = kept + extended(tail, value.len());
    kept_then_minted(scan, Kind::Id, rest, kept, end)
}

/// Letters and digits in a row that are more than a word: a token, a digest, an account's number.
fn long(scan: &Scan<'_>, run: &str, rest: &str) -> Option<Found> {
    if !is_token(run) {
        return None;
    }
    let end = extended(rest, run.len());
    Some(found(Kind::Token, end, scan.mint.mint(rest.get(..end)?)))
}

fn is_token(run: &str) -> bool {
    let digits = run.bytes().filter(u8::is_ascii_digit).count();
    let letters = run.bytes().filter(u8::is_ascii_alphabetic).count();
    let mixed = run.len() >= LONG_RUN && digits >= 2 && letters >= 3;
    run.is_ascii() && (mixed || (letters == 0 && digits >= 13))
}

/// The end of a token whose first run ends at `end`: it goes on over what base64 has besides letters and digits, while
/// what follows is no word.
fn extended(text: &str, end: usize) -> usize {
    let mut end = end;
    loop {
        let after = text.get(end..).unwrap_or_default();
        let marks = span(after, |c| "-_+/=".contains(c));
        let run = after.get(marks..run_end(after, marks)).unwrap_or_default();
        let digits = run.bytes().any(|byte| byte.is_ascii_digit());
        let cases = run.bytes().any(|byte| byte.is_ascii_lowercase())
            && run.bytes().skip(1).any(|byte| byte.is_ascii_uppercase());
        if marks == 0 || run.is_empty() || !run.is_ascii() || !(digits || cases) {
            return end;
        }
        end += marks + run.len();
    }
}

/// What is said to be a secret: `password=…`, `api_key: …`.
fn assigned(scan: &Scan<'_>, run: &str, before: &str, rest: &str) -> Option<Found> {
    let after = rest.get(run.len()..)?;
    let marks = span(after, |c| " \"'=:\\".contains(c));
    let told = after.get(..marks).is_some_and(|marks| marks.contains(['=', ':']));
    if !told || !is_secret_name(run, before) {
        return None;
    }
    let value = after.get(marks..)?;
    let length = span(value, |c| !c.is_whitespace() && !c.is_control() && !"\"'\\`&,;<>(){}[]|".contains(c));
    let kept = run.len() + marks;
    let value = value.get(..length).filter(|value| value.chars().count() >= 6)?;
    Some(found(Kind::Secret, kept + length, format!("{}{}", rest.get(..kept)?, credential(scan, value))))
}

/// Whether a word is the name of a secret, with what stands before it.
fn is_secret_name(run: &str, before: &str) -> bool {
    let small = run.to_ascii_lowercase();
    if !SECRET_FIELDS.contains(&small.as_str()) || small == "authorization" {
        return false;
    }
    let joined =
        ["api_", "api-", "access_", "access-", "auth_", "auth-", "private_", "private-", "session_", "secret_"];
    !COMMON_FIELDS.contains(&small.as_str())
        || before.ends_with(['?', '&'])
        || joined.iter().any(|word| ends_with(before, word))
}

/// Whether a text ends with a word, whatever the size of its letters.
fn ends_with(text: &str, word: &str) -> bool {
    let start = text.len().checked_sub(word.len());
    start.and_then(|start| text.get(start..)).is_some_and(|end| end.eq_ignore_ascii_case(word))
}
