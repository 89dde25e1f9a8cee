//! Hooks and lines of policies that no case reaches, so that what is not pinned by any snapshot has a name.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;

use serde::{Serialize, Serializer};

use super::{Case, Player};
use crate::bundle::Bundle;
use crate::fault::Fault;
use crate::policy::{Covered, Lines};

/// Lines of one hook, or of a file outside its hooks, that no case reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unreached {
    /// The file, relative to the bundle.
    pub file: String,
    /// The hook in whose function they stand; `None` for the rest of the file.
    pub hook: Option<String>,
    /// The lines, counted from 1; lines without code between two of them are part of a range.
    #[serde(serialize_with = "as_pairs")]
    pub lines: Vec<RangeInclusive<usize>>,
}

/// The ending of files that only tell editors about types.
const TYPES: &str = ".d.luau";

/// Plays cases, and says which lines of the bundle's policies and libraries none of them reaches, by file and line. A file
/// that nothing requires counts whole. Errors when a case cannot be played.
pub fn unreached(bundle: &Bundle, cases: &[Case]) -> Result<Vec<Unreached>, Vec<Fault>> {
    let mut covered = Covered::default();
    let mut faults = BTreeSet::new();
    for played in Player::counting_lines(bundle).play_all(cases) {
        match played {
            Ok(played) => covered.add(&played.covered),
            Err(found) => faults.extend(found),
        }
    }
    if !faults.is_empty() {
        return Err(faults.into_iter().collect());
    }
    let files = bundle.files.iter().filter(|(file, _)| !file.ends_with(TYPES));
    let unreached = files.flat_map(|(file, text)| match covered.of(file) {
        Some(lines) => of_file(file, lines),
        None => vec![Unreached { file: file.clone(), hook: None, lines: vec![1..=text.lines().count().max(1)] }],
    });
    Ok(unreached.collect())
}

/// The unreached lines of a file that was loaded, one entry for each of its hooks.
fn of_file(file: &str, lines: &Lines) -> Vec<Unreached> {
    let mut found: Vec<Unreached> = Vec::new();
    let mut last: Option<Option<&str>> = None;
    for (number, line) in lines.iter() {
        if line.ran {
            last = None;
            continue;
        }
        let place = found.iter().position(|known| known.hook.as_deref() == line.hook).unwrap_or_else(|| {
            let hook = line.hook.map(str::to_owned);
            found.push(Unreached { file: file.to_owned(), hook, lines: Vec::new() });
            found.len() - 1
        });
        if let Some(entry) = found.get_mut(place) {
            match entry.lines.last_mut() {
                Some(range) if last == Some(line.hook) => *range = *range.start()..=number,
                _ => entry.lines.push(number..=number),
            }
        }
        last = Some(line.hook);
    }
    found
}

fn as_pairs<S: Serializer>(ranges: &[RangeInclusive<usize>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(ranges.iter().map(|range| [*range.start(), *range.end()]))
}

impl fmt::Display for Unreached {
    /// `route.lua:31-34, 40 (hook route)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        for (at, range) in self.lines.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            match (range.start(), range.end()) {
                (start, end) if start == end => write!(f, "{comma}{start}")?,
                (start, end) => write!(f, "{comma}{start}-{end}")?,
            }
        }
        match &self.hook {
            Some(hook) => write!(f, " (hook {hook})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::case::tests::{SETTINGS, bundle, case};

    const LIBRARY: &str =
        "local M = {}\nfunction M.twice(n)\n  return n * 2\nend\nfunction M.half(n)\n  return n / 2\nend\nreturn M\n";

    const POLICY: &str = "local lib = require('./lib')\nlocal function unused()\n  return 1\nend\nreturn policy {\n  api = 1,\n  \
        route = function(req)\n    if req.path == '/a' then\n      return { upstream = 'sea', timeout = lib.twice(2) }\n    end\n    \
        if req.path == '/b' then\n      local x = 1\n\n      -- A word.\n      return { upstream = 'sea', timeout = x }\n    end\n    \
        return nil\n  end,\n  on_error = function(err)\n    log.info('an error')\n  end,\n}\n";

    fn found(paths: &[&str]) -> Vec<String> {
        let mut bundle = bundle(SETTINGS, &[("p.lua", POLICY)]);
        bundle.files.insert("lib.lua".to_owned(), LIBRARY.to_owned());
        bundle.files.insert("lost.lua".to_owned(), "return {\n}\n".to_owned());
        bundle.files.insert("api.d.luau".to_owned(), "type Json = any\n".to_owned());
        let cases: Vec<Case> = paths
            .iter()
            .map(|path| {
                case(&format!("# A.\n> client\nGET {path} HTTP/1.1\n\n< upstream sea\nHTTP/1.1 200 OK\n\nok\n"))
            })
            .collect();
        unreached(&bundle, &cases).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn lines_and_hooks_that_no_case_reaches_are_named() {
        assert_eq!(
            found(&["/a"]),
            ["lib.lua:6", "lost.lua:1-2", "p.lua:3", "p.lua:11-17 (hook route)", "p.lua:20 (hook on_error)"]
        );
    }

    #[test]
    fn what_one_case_leaves_out_another_may_reach() {
        let found = found(&["/a", "/b", "/c"]);
        assert_eq!(found, ["lib.lua:6", "lost.lua:1-2", "p.lua:3", "p.lua:20 (hook on_error)"]);
    }

    #[test]
    fn a_case_with_a_fault_is_an_error() {
        let case = case("# A.\nset param tide.height 3\n> client\nGET /a HTTP/1.1\n");
        let faults = unreached(&bundle(SETTINGS, &[]), &[case]).unwrap_err();
        assert_eq!(faults[0].to_string(), "t.http:2:1: the settings have no policy `tide`");
    }

    #[test]
    fn programs_get_ranges_as_pairs() {
        let one = Unreached { file: "p.lua".to_owned(), hook: Some("route".to_owned()), lines: vec![3..=4, 9..=9] };
        assert_eq!(json!(one), json!({"file": "p.lua", "hook": "route", "lines": [[3, 4], [9, 9]]}));
    }
}
