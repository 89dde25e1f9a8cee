//! The phrases for changes of a snapshot.

use super::json;
use super::page::{Line, OUTCOME, Part, Section};

/// Longer texts are shown in part where they are examples.
const LONGEST: usize = 36;

/// How much of what is the same stands before the difference then.
const BEFORE: usize = 12;

/// For whom the cache keeps an answer that is for all.
const EVERYBODY: &str = "everybody";

/// The phrase for a cache that serves everybody what one user was told.
const SHARED: &str = "answers are now shared between users";

/// What changed, and the value that may differ from case to case.
type Phrase = (String, Option<String>);

/// The phrase for a body that is another one altogether, because the message is.
pub(super) fn another_body(line: &Line<'_>) -> Phrase {
    (format!("another body of {}", noun(line)), Some(line.text.to_owned()))
}

/// Whether a message is another one altogether: one with another status, or in place of none.
pub(super) fn is_another(old: &Line<'_>, new: &Line<'_>) -> bool {
    let none = |line: &Line<'_>| line.text.starts_with('(');
    let status = |line: &Line<'_>| status(line.text).split(' ').next().map(str::to_owned);
    none(old) != none(new) || new.section == Section::Client && status(old) != status(new)
}

/// The phrases for a line that says something else about the same thing.
pub(super) fn changed(old: &Line<'_>, new: &Line<'_>) -> Vec<Phrase> {
    let noun = noun(new);
    let value = || Some(example(value(old), value(new)));
    if old.text == new.text {
        return vec![(format!("{} moved", thing(new)), None)];
    }
    match new.part {
        Part::Opening => vec![(opening(new), Some(example(old.text, new.text)))],
        Part::Header(name) => vec![(format!("header {} changed in {noun}", name.to_lowercase()), value())],
        Part::First if new.section == Section::Client => {
            vec![(format!("status of {noun}: {}", between(status(old.text), status(new.text))), None)]
        }
        Part::First if new.text.starts_with('(') => vec![(format!("{} nothing", noun_start(&noun)), None)],
        Part::First if old.text.starts_with('(') => vec![(format!("{} a request", noun_start(&noun)), value())],
        Part::First => vec![(format!("request line of {noun} changed"), value())],
        Part::Key(name) => vec![(format!("cache key `{name}` changed"), value())],
        Part::Body => body(old, new, &noun),
        Part::Word(word) => words(word, old, new),
    }
}

/// The phrase for a line that was not there.
pub(super) fn added(line: &Line<'_>) -> Phrase {
    let noun = noun(line);
    let what = match line.part {
        Part::Word("cache") if scope(value(line)).1 == EVERYBODY => SHARED.to_owned(),
        Part::Opening => match line.section {
            Section::Call => "a call more".to_owned(),
            Section::Upstream(name) => format!("upstream {name} is asked"),
            Section::Client => "the client gets an answer".to_owned(),
        },
        Part::Word(_) => format!("{} added", thing(line)),
        _ => format!("{} added to {noun}", thing(line)),
    };
    (what, Some(value(line).to_owned()))
}

/// The phrase for a line that is gone.
pub(super) fn removed(line: &Line<'_>) -> Phrase {
    let noun = noun(line);
    let what = match line.part {
        Part::Opening => match line.section {
            Section::Call => "a call less".to_owned(),
            Section::Upstream(name) => format!("upstream {name} is no longer asked"),
            Section::Client => "the client gets no answer".to_owned(),
        },
        Part::Word(_) => format!("{} gone", thing(line)),
        _ => format!("{} removed from {noun}", thing(line)),
    };
    (what, Some(value(line).to_owned()))
}

/// What it was and what it is.
pub(super) fn between(old: &str, new: &str) -> String {
    format!("{old} \u{2192} {new}")
}

/// The same as an example: of long texts only what is around the first difference.
pub(super) fn example(old: &str, new: &str) -> String {
    if old.len().max(new.len()) <= LONGEST {
        return between(old, new);
    }
    let same = old.chars().zip(new.chars()).take_while(|(old, new)| old == new).count();
    let skipped = same.saturating_sub(BEFORE);
    let around = |text: &str| {
        let start = if skipped > 0 { "\u{2026}" } else { "" };
        let shown: String = text.chars().skip(skipped).take(LONGEST).collect();
        let end = if text.chars().nth(skipped + LONGEST).is_some() { "\u{2026}" } else { "" };
        format!("{start}{shown}{end}")
    };
    between(&around(old), &around(new))
}

/// Where a phrase stands among others: what was decided first, what follows from it last.
pub(super) fn weight(what: &str) -> usize {
    let starts = |words: &[&str]| words.iter().any(|start| what.starts_with(start));
    if what == SHARED {
        0
    } else if starts(&["header content-length ", "header x-request-id ", "tokens used ", "time ", "an answer never"]) {
        4
    } else if starts(&["hook ", "order of hooks ", "cache key ", "outcome ", "end:"]) && !what.ends_with(" fails") {
        3
    } else if starts(&["status ", "plan: ", "upstream ", "identity ", "hook "]) {
        1
    } else {
        2
    }
}

/// What a line is part of.
fn noun(line: &Line<'_>) -> String {
    match (line.section, line.part) {
        (_, Part::Key(_)) => "the cache's key".to_owned(),
        (Section::Upstream(name), _) => format!("what upstream {name} is sent"),
        (Section::Client, _) => "what the client gets".to_owned(),
        (Section::Call, _) => "the call".to_owned(),
    }
}

/// The sentence of what somebody is sent, up to its object.
fn noun_start(noun: &str) -> &str {
    noun.strip_prefix("what ").unwrap_or(noun)
}

/// What a line is.
fn thing(line: &Line<'_>) -> String {
    match line.part {
        Part::Opening => "opening".to_owned(),
        Part::Header(name) => format!("header {}", name.to_lowercase()),
        Part::Key(name) => format!("cache key `{name}`"),
        Part::First => "first line".to_owned(),
        Part::Body => "a line of the body".to_owned(),
        Part::Word(word) => word_of(word, line.section),
    }
}

/// What a line of the gate's own is called.
fn word_of(word: &str, section: Section<'_>) -> String {
    match (word, section) {
        (OUTCOME, Section::Upstream(name)) => format!("outcome of upstream {name}"),
        ("ended", _) => "end".to_owned(),
        ("log", _) => "log line".to_owned(),
        ("failed", _) => "failure".to_owned(),
        ("usage", _) => "tokens used".to_owned(),
        ("never", _) => "an answer never asked for".to_owned(),
        (word, _) => word.to_owned(),
    }
}

/// The value in a line, without what names it.
fn value<'t>(line: &Line<'t>) -> &'t str {
    let separator = match line.part {
        Part::Header(_) => ":",
        Part::Word(OUTCOME) | Part::Key(_) => "= ",
        Part::Word(_) => ": ",
        Part::Opening | Part::First | Part::Body => return line.text,
    };
    line.text.split_once(separator).map_or(line.text, |(_, value)| value.trim())
}

/// The status in a status line, with its reason.
fn status(line: &str) -> &str {
    line.split_once(' ').map_or(line, |(_, status)| status)
}

/// The phrase for a section that begins otherwise.
fn opening(line: &Line<'_>) -> String {
    match line.section {
        Section::Call => "what the client asks for changed".to_owned(),
        Section::Upstream(name) => format!("how upstream {name} is asked changed"),
        Section::Client => "time until the client gets an answer changed".to_owned(),
    }
}

/// The phrases for a line of a body: by path, where it is JSON.
fn body(old: &Line<'_>, new: &Line<'_>, noun: &str) -> Vec<Phrase> {
    let of_body = |(path, verb, value): json::Found| {
        let path = if path.is_empty() { "the whole".to_owned() } else { format!("`{path}`") };
        (format!("{path} {verb} the body of {noun}"), value)
    };
    let found = json::both(old.text, new.text).map(|(old, new)| json::changes(&old, &new)).unwrap_or_default();
    if found.is_empty() {
        // The same values, otherwise written; or no JSON at all.
        return vec![(format!("body of {noun} changed"), Some(example(old.text, new.text)))];
    }
    found.into_iter().map(of_body).collect()
}

/// The phrases for a line of the gate's own. What was decided is part of the phrase where there are few ways to
/// decide: two plans are two differences.
fn words(word: &str, old: &Line<'_>, new: &Line<'_>) -> Vec<Phrase> {
    let thing = word_of(word, new.section);
    let (was, is) = (value(old), value(new));
    match word {
        "plan" | "ended" | OUTCOME => vec![(format!("{thing}: {}", between(was, is)), None)],
        "hooks" => hooks(was, is),
        "cache" => {
            let ((verdict, rest), (now, rest_now)) = (verdict(was), verdict(is));
            let mut phrases = Vec::new();
            if verdict != now {
                phrases.push((format!("cache: {}", between(verdict, now)), None));
            }
            phrases.extend(time_and_scope(rest, rest_now));
            phrases
        }
        _ => vec![(format!("{thing} changed"), Some(example(was, is)))],
    }
}

/// The phrases for a cache that keeps answers for another time, or for others. That everybody may be served what one user
/// was told is said first, and in so many words.
fn time_and_scope(was: &str, is: &str) -> Vec<Phrase> {
    let ((time, whom), (time_now, whom_now)) = (scope(was), scope(is));
    let mut phrases = Vec::new();
    if time != time_now {
        phrases.push(("time of the cache changed".to_owned(), Some(example(time, time_now))));
    }
    match (whom == EVERYBODY, whom_now == EVERYBODY) {
        (false, true) => phrases.push((SHARED.to_owned(), Some(example(whom, whom_now)))),
        (true, false) => phrases.push(("answers are no longer shared between users".to_owned(), None)),
        _ if whom != whom_now => {
            phrases.push(("for whom answers are kept changed".to_owned(), Some(example(whom, whom_now))));
        }
        _ => {}
    }
    phrases
}

/// How long the cache keeps an answer, and for whom.
fn scope(text: &str) -> (&str, &str) {
    text.split_once(" for ").unwrap_or((text, ""))
}

/// What the cache did, and how long for whom.
fn verdict(text: &str) -> (&str, &str) {
    text.split_once("; ").unwrap_or((text, ""))
}

/// The hooks that answer now, and those that did.
fn hooks(was: &str, is: &str) -> Vec<Phrase> {
    let list = |text: &str| -> Vec<String> { text.split(", ").map(str::to_owned).collect() };
    let (was, is) = (list(was), list(is));
    let phrase = |hook: &String, answers: &str, fails: &str| match hook.strip_prefix("failed ") {
        Some(hook) => (format!("hook {hook} {fails}"), None),
        None => (format!("hook {hook} {answers}"), None),
    };
    let more = is.iter().filter(|hook| !was.contains(hook)).map(|hook| phrase(hook, "answers", "fails"));
    let less =
        was.iter().filter(|hook| !is.contains(hook)).map(|hook| phrase(hook, "answers no more", "fails no more"));
    let phrases: Vec<Phrase> = more.chain(less).collect();
    if phrases.is_empty() { vec![("order of hooks changed".to_owned(), None)] } else { phrases }
}
