//! What became of every request, as its client saw it, beside what the gate and the endpoints say.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::hits::Hits;
use super::journal::Line;
use super::question::Question;

/// How one request ended for its client.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// With the right answer, whole. What `x-cache` said.
    Served(String),
    /// With a status that is not 200.
    FailedBefore(u16),
    /// With an answer that began and did not end, and how that was told.
    FailedAfter(&'static str),
    /// The client did not wait for it.
    Left,
    /// With a wrong answer, or a cut one that looked whole.
    Wrong(String),
    /// With nothing.
    Unanswered(String),
}

/// Counts outcomes.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    numbers: AtomicU64,
    sent: AtomicU64,
    served: AtomicU64,
    outcomes: Mutex<HashMap<String, (Question, Outcome)>>,
}

/// The whole of it in words, and whether nothing was lost.
pub(crate) struct Report {
    /// Lines for people.
    pub(crate) text: String,
    /// Whether everything adds up and nothing failed that did not have to.
    pub(crate) sound: bool,
}

/// Faults of each kind that are shown.
const SHOWN: usize = 5;

/// How much the gate's memory may grow between the first quarter of the time and the last.
const GROWTH: f64 = 1.2;

/// What may be lost of a run's end: memory is compared from here on, when caches and pools are full.
const WARM: usize = 4;

// === impl Tally ===

impl Tally {
    /// A number that was not given before.
    pub(crate) fn next(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Counts one request that is over.
    pub(crate) fn count(&self, id: String, question: &Question, outcome: Outcome) {
        self.sent.fetch_add(1, Ordering::Relaxed);
        if matches!(outcome, Outcome::Served(_)) {
            self.served.fetch_add(1, Ordering::Relaxed);
        }
        if let Ok(mut outcomes) = self.outcomes.lock() {
            outcomes.insert(id, (question.clone(), outcome));
        }
    }

    /// Where it stands.
    pub(crate) fn line(&self) -> String {
        let (sent, served) = (self.sent.load(Ordering::Relaxed), self.served.load(Ordering::Relaxed));
        format!("{sent} requests, {served} served, {} not", sent - served)
    }

    /// Adds everything up.
    pub(crate) fn report(&self, journal: &HashMap<String, Line>, hits: &Hits, memory: &[f64]) -> Report {
        let outcomes = self.outcomes.lock().map(|outcomes| outcomes.clone()).unwrap_or_default();
        let mut faults = Faults::default();
        let mut text = balance(self.sent.load(Ordering::Relaxed), &outcomes, &mut faults);
        check_outcomes(&outcomes, journal, &mut faults);
        text += &calls(journal, hits, &mut faults);
        text += &memory_line(memory, &mut faults);
        let sound = faults.0.is_empty();
        text += &faults.into_text();
        Report { text, sound }
    }
}

/// What must not have happened, by kind.
#[derive(Default)]
struct Faults(BTreeMap<&'static str, Vec<String>>);

// === impl Faults ===

impl Faults {
    fn add(&mut self, kind: &'static str, what: String) {
        self.0.entry(kind).or_default().push(what);
    }

    fn into_text(self) -> String {
        if self.0.is_empty() {
            return "nothing was lost\n".to_owned();
        }
        let mut text = String::new();
        for (kind, all) in self.0 {
            let _ = writeln!(text, "FAULT {kind}: {}", all.len());
            for one in all.iter().take(SHOWN) {
                let _ = writeln!(text, "    {one}");
            }
        }
        text
    }
}

/// Sent requests on one side, and what became of them on the other.
fn balance(sent: u64, outcomes: &HashMap<String, (Question, Outcome)>, faults: &mut Faults) -> String {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for (_, outcome) in outcomes.values() {
        let name = match outcome {
            Outcome::Served(cache) if cache.is_empty() => "served".to_owned(),
            Outcome::Served(cache) => format!("served, cache: {}", cache.split(';').next().unwrap_or_default()),
            Outcome::FailedBefore(status) => format!("failed before it began: {status}"),
            Outcome::FailedAfter(how) => format!("failed after it began: {how}"),
            Outcome::Left => "left by the client".to_owned(),
            Outcome::Wrong(_) => "wrong".to_owned(),
            Outcome::Unanswered(_) => "unanswered".to_owned(),
        };
        *counts.entry(name).or_default() += 1;
    }
    let sum: u64 = counts.values().sum();
    let mut text = format!("sent {sent:>33}\n");
    for (name, count) in &counts {
        let _ = writeln!(text, "  {name:<30} {count:>6}");
    }
    let _ = writeln!(text, "sum {sum:>34}");
    if sum != sent {
        faults.add("the tally does not balance", format!("{sent} sent, {sum} ended"));
    }
    text
}

/// Compares what each client saw with what the gate says.
fn check_outcomes(
    outcomes: &HashMap<String, (Question, Outcome)>,
    journal: &HashMap<String, Line>,
    faults: &mut Faults,
) {
    for (id, (question, outcome)) in outcomes {
        let line = journal.get(id);
        let said = line.map_or_else(|| "nothing in the log".to_owned(), ToString::to_string);
        let shown = |what: &str| format!("{id} {:?} stream={} {what}; {said}", question.shape, question.stream);
        match outcome {
            Outcome::Wrong(what) => faults.add("wrong answers", shown(what)),
            Outcome::Unanswered(what) => faults.add("requests without an answer", shown(what)),
            Outcome::FailedBefore(status) => {
                faults.add("failures that another endpoint could have spared", shown(&status.to_string()));
            }
            Outcome::Served(_) | Outcome::FailedAfter(_) => {
                let served = matches!(outcome, Outcome::Served(_));
                match line {
                    None => faults.add("exchanges that the log does not know", shown("")),
                    Some(line) if (line.reason == "done") != served => {
                        faults.add("exchanges that ended otherwise in the log", shown(&format!("{outcome:?}")));
                    }
                    Some(_) => {}
                }
            }
            Outcome::Left => {}
        }
    }
}

/// Compares the requests that reached endpoints with the attempts that the log counts.
fn calls(journal: &HashMap<String, Line>, hits: &Hits, faults: &mut Faults) -> String {
    let mut counted: HashMap<u64, u64> = HashMap::new();
    for (id, line) in journal {
        let number =
            id.strip_prefix('q').and_then(|rest| rest.split('-').next()).and_then(|digits| digits.parse().ok());
        if let Some(number) = number {
            *counted.entry(number).or_default() += line.calls;
        }
    }
    let hits = hits.all();
    for (number, hit) in &hits {
        let logged = counted.get(number).copied().unwrap_or_default();
        if *hit > logged {
            let ours = format!("q{number}-");
            let lines = journal.iter().filter(|(id, _)| id.starts_with(&ours)).take(SHOWN);
            let lines: Vec<_> = lines.map(|(_, line)| line.to_string()).collect();
            let lines = lines.join("; ");
            faults.add("calls beyond the counted attempts", format!("question {number}: {hit} of {logged}: {lines}"));
        }
    }
    let made: u64 = hits.values().sum();
    let logged: u64 = counted.values().sum();
    format!("calls at endpoints {made}, attempts in the log {logged} (those refused at once never got there)\n")
}

/// The gate's memory at the beginning and at the end.
fn memory_line(memory: &[f64], faults: &mut Faults) -> String {
    let quarter = memory.len() / WARM;
    let median = |part: &[f64]| {
        let mut part = part.to_vec();
        part.sort_by(f64::total_cmp);
        part.get(part.len() / 2).copied().unwrap_or_default()
    };
    let (early, late) = (
        median(memory.get(quarter..quarter * 2).unwrap_or_default()),
        median(memory.get(memory.len() - quarter..).unwrap_or_default()),
    );
    if late > early * GROWTH {
        faults.add("memory that grew", format!("{early:.0} KiB to {late:.0} KiB"));
    }
    format!("memory {:.1} MiB in the second quarter, {:.1} MiB in the last\n", early / 1024.0, late / 1024.0)
}
