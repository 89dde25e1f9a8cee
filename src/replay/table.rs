//! Counts over many exchanges what another generation would do otherwise.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::aspects::{Aspect, Aspects};

/// The most different changes of one aspect that are shown; the rest are counted.
const MOST: usize = 5;

/// The most different changes of one aspect that are told apart.
const MOST_KEPT: usize = 200;

/// What changed, counted.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Exchanges that were compared.
    pub compared: u64,
    /// Exchanges in which anything changed.
    pub changed: u64,
    /// Exchanges that could not be played, by why.
    pub failed: BTreeMap<String, u64>,
    rows: BTreeMap<Aspect, Row>,
}

/// What changed in one aspect.
#[derive(Clone, Debug, Default)]
struct Row {
    count: u64,
    /// What it was and what it is, with how often and an exchange that shows it.
    changes: BTreeMap<(String, String), (u64, String)>,
}

// === impl Table ===

impl Table {
    /// Compares two plays of the exchange called `id`. Says whether anything changed.
    pub fn note(&mut self, id: &str, old: &Aspects, new: &Aspects) -> bool {
        self.compared += 1;
        let changes = old.changes(new);
        for change in &changes {
            let row = self.rows.entry(change.aspect).or_default();
            row.count += 1;
            let key = (change.old.clone(), change.new.clone());
            if row.changes.len() < MOST_KEPT || row.changes.contains_key(&key) {
                row.changes.entry(key).or_insert_with(|| (0, id.to_owned())).0 += 1;
            }
        }
        self.changed += u64::from(!changes.is_empty());
        !changes.is_empty()
    }

    /// Notes an exchange that could not be played.
    pub fn failed(&mut self, why: String) {
        *self.failed.entry(why).or_default() += 1;
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let exchanges = if self.compared == 1 { "exchange" } else { "exchanges" };
        let mut text = format!("{} {exchanges}, {} changed\n", self.compared, self.changed);
        for aspect in Aspect::ALL {
            let row = self.rows.get(&aspect);
            let count = row.map_or(0, |row| row.count);
            let _ = writeln!(text, "  {:<15} {:>7}  {count}", aspect.as_str(), self.share(count));
            for (old, new, count, id) in row.map(Row::foremost).unwrap_or_default() {
                let change = aspect.change(old, new);
                let _ = writeln!(text, "      {count} × {change}\n        such as {id}");
            }
        }
        for (why, count) in &self.failed {
            let _ = writeln!(text, "  {count} could not be played: {why}");
        }
        text
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        let rows = Aspect::ALL.iter().map(|aspect| {
            let row = self.rows.get(aspect);
            let changes = row.map(Row::foremost).unwrap_or_default();
            let changes = changes.into_iter().map(|(old, new, count, id)| {
                json!({"change": aspect.change(old, new), "old": old, "new": new, "count": count, "such_as": id})
            });
            json!({
                "aspect": aspect.as_str(),
                "count": row.map_or(0, |row| row.count),
                "changes": changes.collect::<Vec<_>>(),
            })
        });
        json!({
            "compared": self.compared,
            "changed": self.changed,
            "aspects": rows.collect::<Vec<_>>(),
            "failed": self.failed,
        })
    }

    #[allow(clippy::cast_precision_loss, reason = "a share for people, from counts far below 2^52")]
    fn share(&self, count: u64) -> String {
        let share = if self.compared == 0 { 0.0 } else { count as f64 * 100.0 / self.compared as f64 };
        format!("{share:.1} %")
    }
}

// === impl Row ===

impl Row {
    /// The changes that came most often: what it was, what it is, how often, and an exchange that shows it.
    fn foremost(&self) -> Vec<(&str, &str, u64, &str)> {
        let all =
            self.changes.iter().map(|((old, new), (count, id))| (old.as_str(), new.as_str(), *count, id.as_str()));
        let mut all: Vec<_> = all.collect();
        all.sort_by_key(|(_, _, count, _)| std::cmp::Reverse(*count));
        all.truncate(MOST);
        all
    }
}
