//! Shows the matrix: as a terse table for people, with reasons where it is one pair, and in Markdown.

use std::fmt::Write;

use super::{Cell, Matrix, Row, Verdict, Way};

/// A line of a table: a feature, and the signs of each client.
struct Line {
    way: Way,
    feature: String,
    signs: Vec<String>,
}

// === impl Matrix ===

impl Matrix {
    /// For people: a sign for each upstream under each client; for one pair its verdicts in words, and why.
    pub fn text(&self) -> String {
        if self.rows.iter().all(|row| row.cells.len() == 1) {
            return self.pair();
        }
        let clients = self.clients();
        let lines = self.lines();
        let first = lines.iter().map(|line| line.feature.chars().count()).max().unwrap_or_default();
        let mut text = format!("Under each client, a sign for each upstream: {}.\n{}.\n", self.upstreams(), legend(""));
        let mut last = None;
        for line in &lines {
            let part = part(line.way);
            if last.replace(part) != Some(part) {
                let _ = write!(text, "\n{part:first$}");
                text.extend(clients.iter().flat_map(|client| ["  ", client]));
                text.push('\n');
            }
            let _ = write!(text, "{:first$}", line.feature);
            for (signs, client) in line.signs.iter().zip(&clients) {
                let _ = write!(text, "  {signs:wide$}", wide = client.len());
            }
            text.truncate(text.trim_end_matches(' ').len());
            text.push('\n');
        }
        text
    }

    /// The same in Markdown; features that fare alike share a line.
    pub fn markdown(&self) -> String {
        let clients = self.clients();
        let mut text = format!("Each cell has a sign for each upstream: {}.\n{}.\n", self.upstreams(), legend("`"));
        let mut last = None;
        for line in alike(self.lines()) {
            let part = part(line.way);
            if last.replace(part) != Some(part) {
                let (heads, rule) = (clients.join(" | "), " | ---".repeat(clients.len()));
                let _ = writeln!(text, "\n| {part} | {heads} |\n| ---{rule} |");
            }
            let _ = writeln!(text, "| {} | `{}` |", line.feature, line.signs.join("` | `"));
        }
        text
    }

    /// One pair: each feature with its verdict in a word, and the reasons below.
    fn pair(&self) -> String {
        let wide = self.rows.iter().map(|row| row.feature.chars().count()).max().unwrap_or_default();
        let mut text = String::new();
        for way in [Way::Request, Way::Answer, Way::Stream] {
            let of_way = self.rows.iter().filter(|row| row.way == way);
            for (at, (row, cell)) in of_way.filter_map(|row| Some((row, row.cells.first()?))).enumerate() {
                if at == 0 {
                    let gap = if text.is_empty() { "" } else { "\n" };
                    let _ = writeln!(text, "{gap}{}: {} to {}", title(way), cell.client, cell.upstream);
                }
                let _ = writeln!(text, "  {:wide$}  {}", row.feature, cell.verdict.as_str());
                for reason in &cell.reasons {
                    let _ = writeln!(text, "    {reason}");
                }
            }
        }
        text
    }

    fn clients(&self) -> Vec<&'static str> {
        let mut clients: Vec<_> = self.first_cells().iter().map(|cell| cell.client).collect();
        clients.dedup();
        clients
    }

    fn upstreams(&self) -> String {
        let cells = self.first_cells();
        let first = cells.first().map(|cell| cell.client);
        let upstreams: Vec<_> =
            cells.iter().filter(|cell| Some(cell.client) == first).map(|cell| cell.upstream).collect();
        upstreams.join(", ")
    }

    fn first_cells(&self) -> &[Cell] {
        self.rows.first().map_or(&[], |row| &row.cells)
    }

    /// The rows as lines; an answer that fares the same whole and streamed has one line.
    fn lines(&self) -> Vec<Line> {
        let mut lines: Vec<Line> = Vec::new();
        for row in &self.rows {
            let signs = signs(row);
            let mut feature = row.feature.clone();
            if row.way == Way::Stream
                && let Some(whole) = lines.last_mut().filter(|line| line.feature == feature)
            {
                if whole.signs == signs {
                    continue;
                }
                whole.feature.push_str(", whole");
                feature.push_str(", streamed");
            }
            lines.push(Line { way: row.way, feature, signs });
        }
        lines
    }
}

/// The signs of a row, by client.
fn signs(row: &Row) -> Vec<String> {
    let by_client = row.cells.chunk_by(|one, other| one.client == other.client);
    by_client.map(|cells| cells.iter().map(|cell| cell.verdict.sign()).collect()).collect()
}

/// Lines of which those with the same signs are one.
fn alike(lines: Vec<Line>) -> Vec<Line> {
    let mut together: Vec<Line> = Vec::new();
    for line in lines {
        let same = |other: &&mut Line| part(other.way) == part(line.way) && other.signs == line.signs;
        match together.iter_mut().find(same) {
            Some(other) => other.feature.extend([", ", &line.feature]),
            None => together.push(line),
        }
    }
    together
}

/// What the signs mean.
fn legend(quote: &str) -> String {
    let signs = Verdict::ALL.map(|verdict| format!("{quote}{}{quote} {}", verdict.sign(), verdict.meaning()));
    signs.join("; ")
}

/// The heading of a part of the table.
fn part(way: Way) -> &'static str {
    match way {
        Way::Request => "of a request",
        Way::Answer | Way::Stream => "of an answer",
    }
}

/// The heading of a part of one pair's list.
fn title(way: Way) -> &'static str {
    match way {
        Way::Request => "requests",
        Way::Answer => "whole answers",
        Way::Stream => "streamed answers",
    }
}
