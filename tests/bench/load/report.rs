//! The table: medians over all rounds, side by side, and what the gate was to reach.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;
use serde_json::json;

use crate::Failure;
use crate::record::Record;
use crate::work::PACED_EVENTS;

/// Who is measured by these names; others are listed as they come.
const GATE: &str = "tidegate";
const BARE: &str = "bare";
const DIRECT: &str = "direct";
const REPLY: &str = "reply";

/// All figures of all rounds.
struct Figures(BTreeMap<Key, Vec<f64>>);

/// Which figure: measure, work, peer, name.
type Key = (String, String, String, String);

/// One line of the table of targets.
#[derive(Serialize)]
struct Goal {
    what: &'static str,
    /// Nothing where it was not measured.
    figure: Option<f64>,
    bound: Bound,
    unit: &'static str,
}

/// What a figure was to reach.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
    /// Only reported.
    Open,
}

/// Compares the recorded lines.
pub(crate) fn report(lines: &str, as_json: bool) -> Result<String, Failure> {
    let records = lines.lines().map(serde_json::from_str).collect::<Result<Vec<Record>, _>>()?;
    let figures = Figures::collect(&records);
    let goals: Vec<Goal> = figures.goals().into_iter().filter(|goal| goal.figure.is_some()).collect();
    if as_json {
        return Ok(json!({ "records": records, "targets": goals }).to_string() + "\n");
    }
    let mut table = String::new();
    figures.load_table(&mut table)?;
    figures.latency_table(&mut table)?;
    for goal in &goals {
        goal.line(&mut table)?;
    }
    Ok(table)
}

// === impl Figures ===

impl Figures {
    fn collect(records: &[Record]) -> Self {
        let mut all: BTreeMap<Key, Vec<f64>> = BTreeMap::new();
        for record in records {
            for (name, figure) in &record.figures {
                let key = (record.measure.clone(), record.work.clone(), record.peer.clone(), name.clone());
                all.entry(key).or_default().push(*figure);
            }
        }
        for rounds in all.values_mut() {
            rounds.sort_by(f64::total_cmp);
        }
        Self(all)
    }

    /// The median over the rounds.
    fn get(&self, measure: &str, work: &str, peer: &str, name: &str) -> Option<f64> {
        let key = (measure.to_owned(), work.to_owned(), peer.to_owned(), name.to_owned());
        let rounds = self.0.get(&key)?;
        rounds.get(rounds.len() / 2).copied()
    }

    /// Requests per second of the gate against another's.
    fn ratio(&self, work: &str, other: &str) -> Option<f64> {
        Some(self.get("load", work, GATE, "rps")? / self.get("load", work, other, "rps")?)
    }

    /// Core time of a request at another against the gate's: some wait on purpose, so that requests per second would wrong
    /// them.
    fn core_ratio(&self, work: &str, other: &str) -> Option<f64> {
        Some(self.get("load", work, other, "cpu_us")? / self.get("load", work, GATE, "cpu_us")?)
    }

    /// How much longer a peer lets one client wait than the upstream itself.
    fn added(&self, work: &str, peer: &str, name: &str) -> Option<f64> {
        Some(self.get("latency", work, peer, name)? - self.get("latency", work, DIRECT, name)?)
    }

    /// Core time that the gate spends on an event that comes alone, over what the bare driver spends.
    fn per_event(&self, work: &str) -> Option<f64> {
        let more = self.get("load", work, GATE, "cpu_us")? - self.get("load", "d-paced", BARE, "cpu_us")?;
        Some(more / crate::record::count(PACED_EVENTS))
    }

    /// Everybody whom a measure has seen at a work, in the order of their names.
    fn rows(&self, measure: &str) -> Vec<(String, String)> {
        let mut rows: Vec<_> =
            self.0.keys().filter(|key| key.0 == measure).map(|key| (key.1.clone(), key.2.clone())).collect();
        rows.dedup();
        rows
    }

    fn load_table(&self, table: &mut String) -> std::fmt::Result {
        let rows = self.rows("load");
        if rows.is_empty() {
            return Ok(());
        }
        let head = ["work", "peer", "req/s", "/ bare", "/ nginx", "core µs", "busy", "p50 µs", "p99 µs", "wrong"];
        write_row(table, &head.map(str::to_owned))?;
        for (work, peer) in rows {
            let get = |name: &str| self.get("load", &work, &peer, name);
            let against = |other: &str| Some(get("rps")? / self.get("load", &work, other, "rps")?);
            let wrong = get("errors").zip(get("mismatches")).map(|(errors, mismatches)| errors + mismatches);
            let cells = [
                number(get("rps"), 0),
                number(against(BARE), 2),
                number(against("nginx"), 2),
                number(get("cpu_us"), 1),
                number(get("busy"), 2),
                number(get("p50_us"), 0),
                number(get("p99_us"), 0),
                number(wrong, 0),
            ];
            write_row(table, &[&[work, peer], cells.as_slice()].concat())?;
        }
        writeln!(table)
    }

    fn latency_table(&self, table: &mut String) -> std::fmt::Result {
        let rows = self.rows("latency");
        if rows.is_empty() {
            return Ok(());
        }
        let head = [
            "one client",
            "peer",
            "p50 µs",
            "p99 µs",
            "added p50",
            "added p99",
            "max µs",
            "first p50",
            "first p99",
            "wrong",
        ];
        write_row(table, &head.map(str::to_owned))?;
        for (work, peer) in rows {
            let get = |name: &str| number(self.get("latency", &work, &peer, name), 0);
            let added = |name: &str| number(self.added(&work, &peer, name), 0);
            let cells = [
                get("p50_us"),
                get("p99_us"),
                added("p50_us"),
                added("p99_us"),
                get("max_us"),
                get("first_p50_us"),
                get("first_p99_us"),
                get("mismatches"),
            ];
            write_row(table, &[&[work, peer], cells.as_slice()].concat())?;
        }
        writeln!(table)
    }

    fn goals(&self) -> Vec<Goal> {
        let mut goals = self.throughput_goals();
        goals.extend(self.translation_goals());
        goals.extend(self.waiting_goals());
        goals.extend(self.memory_goals());
        goals.extend(self.cache_goals());
        goals.extend(self.crowd_goals());
        goals
    }

    fn throughput_goals(&self) -> Vec<Goal> {
        vec![
            Goal::new("(a) against the bare driver", self.ratio("a", BARE), Bound::Open, "x"),
            Goal::new("(a) against nginx", self.ratio("a", "nginx"), Bound::Open, "x"),
            Goal::new("(b) against the bare driver", self.ratio("b", BARE), Bound::AtLeast(0.85), "x"),
            Goal::new("(b) against nginx", self.ratio("b", "nginx"), Bound::Open, "x"),
            Goal::new("(b) against Envoy", self.ratio("b", "envoy"), Bound::AtLeast(2.0), "x"),
            Goal::new("(c) 300 B against the bare driver", self.ratio("c300", BARE), Bound::AtLeast(0.75), "x"),
            Goal::new("(c) 100 kB against nginx", self.ratio("c100k", "nginx"), Bound::AtLeast(1.5), "x"),
        ]
    }

    fn translation_goals(&self) -> Vec<Goal> {
        let against = |what, work, other| Goal::new(what, self.core_ratio(work, other), Bound::Open, "x");
        vec![
            against("(t) 300 B, core time of LiteLLM", "t300", "litellm"),
            against("(t) 100 kB, core time of LiteLLM", "t100k", "litellm"),
            against("(t) a stream, core time of LiteLLM", "ts", "litellm"),
            against("(t) 300 B, core time of Portkey", "t300", "portkey"),
            against("(t) 100 kB, core time of Portkey", "t100k", "portkey"),
            against("(t) a stream, core time of Portkey", "ts", "portkey"),
        ]
    }

    fn waiting_goals(&self) -> Vec<Goal> {
        let slowest =
            [("c300", "every"), ("d-hook", "every")].map(|(work, peer)| self.get("latency", work, peer, "max_us"));
        let slowest = slowest.into_iter().flatten().reduce(f64::max);
        let every = |work: &str, name: &str| self.added(work, "every", name);
        vec![
            Goal::new("one client, added p99, every hook", every("c300", "p99_us"), Bound::AtMost(200.0), "µs"),
            Goal::new(
                "first event, added p99, every hook",
                every("d-hook", "first_p99_us"),
                Bound::AtMost(500.0),
                "µs",
            ),
            Goal::new("longest wait of one client", slowest, Bound::AtMost(40_000.0), "µs"),
            Goal::new("per event, over the bare driver", self.per_event("d-paced"), Bound::AtMost(5.0), "µs"),
            Goal::new("per event with a hook, the same", self.per_event("d-paced-hook"), Bound::AtMost(20.0), "µs"),
            Goal::new("save to live, longest", self.reload_ms("max_us"), Bound::AtMost(300.0), "ms"),
        ]
    }

    fn reload_ms(&self, name: &str) -> Option<f64> {
        self.get("reload", "a", GATE, name).map(|micros| micros / 1000.0)
    }

    fn memory_goals(&self) -> Vec<Goal> {
        let get = |name: &str| self.get("memory", "c300", GATE, name);
        let growth = get("rested_kib").zip(get("loaded_kib")).map(|(rested, loaded)| (rested - loaded) / 1024.0);
        vec![
            Goal::new("idle memory", get("idle_kib").map(|kib| kib / 1024.0), Bound::AtMost(40.0), "MiB"),
            Goal::new("memory of an idle stream", get("per_stream_kib"), Bound::AtMost(64.0), "KiB"),
            Goal::new("memory after load", get("loaded_kib").map(|kib| kib / 1024.0), Bound::Open, "MiB"),
            Goal::new("growth at rest after load", growth, Bound::AtMost(1.0), "MiB"),
        ]
    }

    fn cache_goals(&self) -> Vec<Goal> {
        let follow = |name: &str| self.get("follow", "follow", GATE, name);
        let pick = self.get("pick", "dearest", GATE, "ns").map(|nanos| nanos / 1000.0);
        vec![
            Goal::new("a hit against a reply of a policy", self.ratio("hit", REPLY), Bound::AtLeast(0.8), "x"),
            Goal::new("endpoint chosen and judged", pick, Bound::AtMost(2.0), "µs"),
            Goal::new("calls for 1,000 who follow", follow("asked"), Bound::AtMost(1.0), ""),
            Goal::new("of those without a whole answer", follow("mismatches"), Bound::AtMost(0.0), ""),
            Goal::new("core time of one who follows", follow("cpu_us"), Bound::Open, "µs"),
        ]
    }

    fn crowd_goals(&self) -> Vec<Goal> {
        let slow = |name: &str| self.get("slow", "slow", GATE, name);
        vec![
            Goal::new("slow streams at once", slow("requests"), Bound::AtLeast(10_000.0), ""),
            Goal::new("of those not whole", slow("mismatches"), Bound::AtMost(0.0), ""),
            Goal::new("memory for them", slow("most_kib").map(|kib| kib / 1024.0), Bound::AtMost(1024.0), "MiB"),
            Goal::new("cores for them", slow("busy"), Bound::AtMost(2.0), ""),
        ]
    }
}

/// The first two columns to the left, all others to the right.
fn write_row(table: &mut String, cells: &[String]) -> std::fmt::Result {
    for (column, cell) in cells.iter().enumerate() {
        match column {
            0 | 1 => write!(table, "{cell:<14}")?,
            _ => write!(table, "{cell:>10}")?,
        }
    }
    writeln!(table)
}

fn number(figure: Option<f64>, digits: usize) -> String {
    figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.digits$}"))
}

// === impl Goal ===

impl Goal {
    fn new(what: &'static str, figure: Option<f64>, bound: Bound, unit: &'static str) -> Self {
        Self { what, figure, bound, unit }
    }

    fn line(&self, table: &mut String) -> std::fmt::Result {
        let Some(figure) = self.figure else {
            return Ok(());
        };
        let (wanted, reached) = match self.bound {
            Bound::AtLeast(bound) => (format!("at least {bound}"), figure >= bound),
            Bound::AtMost(bound) => (format!("at most {bound}"), figure <= bound),
            Bound::Open => ("reported".to_owned(), true),
        };
        let word = if reached { "ok" } else { "missed" };
        writeln!(table, "{:<38}{figure:>10.2} {:<4}{wanted:<16}{word}", self.what, self.unit)
    }
}
