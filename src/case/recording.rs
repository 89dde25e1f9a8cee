//! Recorded exchanges in files, one a line: what `record` and canaries keep many of, and `replay` plays.
//!
//! A line is one JSON object: `{"id":…,"at":…,"generation":…,"case":"<the text of the case>"}`.

use std::io::{self, BufRead, Write};
use std::time::SystemTime;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::write::write;
use super::{Case, read};
use crate::fault::Fault;

/// An exchange that was recorded.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The exchange's id.
    pub id: String,
    /// When it began.
    pub at: SystemTime,
    /// The generation that served it; empty where it is not known.
    pub generation: String,
    /// What it took from outside.
    pub case: Case,
}

/// Reads recordings line by line: a file of any size needs the room of its longest line.
#[derive(Debug)]
pub struct Recordings<R> {
    /// How faults name the file.
    file: String,
    lines: R,
    /// The line that was read last, counted from 1.
    line: usize,
}

/// A line as it stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    id: String,
    at: String,
    #[serde(default)]
    generation: String,
    case: String,
}

// === impl Recording ===

impl Recording {
    /// Writes it as one line.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let at = Timestamp::try_from(self.at).map_err(io::Error::other)?.to_string();
        let stored = Stored { id: self.id.clone(), at, generation: self.generation.clone(), case: write(&self.case) };
        let mut line = serde_json::to_vec(&stored).map_err(io::Error::other)?;
        line.push(b'\n');
        to.write_all(&line)
    }

    fn read(file: &str, line: usize, text: &str) -> Result<Self, Fault> {
        let fault = |why: String| Fault::at(file, line, 1, why);
        let stored: Stored =
            serde_json::from_str(text).map_err(|error| fault(format!("this is no recording: {error}")))?;
        let at: Timestamp =
            stored.at.parse().map_err(|error| fault(format!("`{}` is not a time: {error}", stored.at)))?;
        let case = read::read(&stored.id, &stored.case).map_err(|faults| {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            fault(format!("its case has faults: {}", faults.join("; ")))
        })?;
        Ok(Self { id: stored.id, at: SystemTime::from(at), generation: stored.generation, case })
    }
}

// === impl Recordings ===

impl<R: BufRead> Recordings<R> {
    /// The recordings that `lines` holds; `file` names it in faults.
    pub fn new(file: &str, lines: R) -> Self {
        Self { file: file.to_owned(), lines, line: 0 }
    }
}

impl<R: BufRead> Iterator for Recordings<R> {
    /// A recording, or what is wrong with its line. A faulty line does not end the file; one that cannot be read does.
    type Item = Result<Recording, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            self.line += 1;
            match self.lines.read_until(b'\n', &mut bytes) {
                Ok(0) => return None,
                Ok(_) if bytes.trim_ascii().is_empty() => {}
                Ok(_) => break,
                Err(error) => {
                    bytes.clear();
                    let fault = Fault::at(&self.file, self.line, 1, format!("the file cannot be read on: {error}"));
                    return Some(Err(fault));
                }
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        Some(Recording::read(&self.file, self.line, text.trim()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::time::Duration;

    use super::*;
    use crate::case::same::same;

    fn recording(n: u64) -> Recording {
        let text =
            format!("# Exchange {n}.\n> client\nGET /{n} HTTP/1.1\n\n< upstream sea\nHTTP/1.1 200 OK\n\n{n} é\n");
        let case = read::read("t.http", &text).unwrap();
        Recording {
            id: format!("id-{n}"),
            at: SystemTime::UNIX_EPOCH + Duration::from_millis(n),
            generation: "ab".to_owned(),
            case,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let mut file = Vec::new();
        for n in 0..3 {
            recording(n).write(&mut file).unwrap();
        }
        assert_eq!(file.split(|byte| *byte == b'\n').count(), 4);
        let read: Vec<Recording> = Recordings::new("t.jsonl", Cursor::new(file)).map(Result::unwrap).collect();
        for (n, read) in (0..3).zip(&read) {
            let written = recording(n);
            assert_eq!((&read.id, read.at, &read.generation), (&written.id, written.at, &written.generation));
            assert!(same(&read.case, &written.case));
        }
        assert_eq!(read.len(), 3);
    }

    #[test]
    fn every_faulty_line_is_told_and_the_others_are_read() {
        let mut file = b"{\"id\":1}\n\n".to_vec();
        recording(1).write(&mut file).unwrap();
        file.extend_from_slice(b"\xff\n{\"id\":\"a\",\"at\":\"noon\",\"case\":\"\"}\n");
        file.extend_from_slice(b"{\"id\":\"a\",\"at\":\"2026-01-01T00:00:00Z\",\"case\":\"# A.\\n> client\\nGET\\n\"}");
        let (read, faults): (Vec<_>, Vec<_>) = Recordings::new("t.jsonl", Cursor::new(file)).partition(Result::is_ok);
        let faults: Vec<String> = faults.into_iter().map(|fault| fault.unwrap_err().to_string()).collect();
        assert_eq!(read.len(), 1);
        for (fault, start) in
            faults.iter().zip(["t.jsonl:1:1: ", "t.jsonl:4:1: ", "t.jsonl:5:1: `noon`", "t.jsonl:6:1: its case"])
        {
            assert!(fault.starts_with(start), "{faults:?}");
        }
        assert_eq!(faults.len(), 4);
        assert!(faults[3].contains("a:3:1: a request begins like"), "{faults:?}");
    }
}
