//! `tidegate test --splits` and `--lines`: what cases prove beyond their snapshots.

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use super::super::{EXIT_FAULTS, TestArgs, print};
use crate::bundle::{self, Bundle};
use crate::case::{Case, lines, review, splits};
use crate::fault::Fault;

/// The folder of a bundle's cases.
const CASES: &str = "cases";

/// How many times progress is told.
const STEPS: usize = 200;

/// Cuts streams everywhere, lets mishaps happen, and says what does not hold.
pub(super) fn splits(args: &TestArgs) -> ExitCode {
    let (bundle, cases) = match found(&args.bundle, args.filter.as_deref()) {
        Ok(found) => found,
        Err(faults) => return refuse(&faults),
    };
    let shown = console::user_attended_stderr();
    let splits = splits::prove(&bundle, &cases, splits::MOST_PLACES, &|done, all| {
        if shown && (done == all || done % (all / STEPS).max(1) == 0) {
            let end = if done == all { "\r\x1b[K" } else { "" };
            eprint!("\r{done} of {all} plays{end}");
        }
    });
    print(&if args.json { splits.to_json() } else { splits.to_text() });
    if splits.hold() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Says which lines of the policies no case reaches. That is no failure: it is for the owner to judge.
pub(super) fn lines(args: &TestArgs) -> ExitCode {
    let unreached =
        found(&args.bundle, args.filter.as_deref()).and_then(|(bundle, cases)| lines::unreached(&bundle, &cases));
    let unreached = match unreached {
        Ok(unreached) => unreached,
        Err(faults) => return refuse(&faults),
    };
    if args.json {
        print(&format!("{}\n", json!({ "unreached": unreached })));
    } else if unreached.is_empty() {
        print("every line of every policy is reached\n");
    } else {
        let lines: Vec<String> = unreached.iter().map(ToString::to_string).collect();
        print(&format!("{}\n", lines.join("\n")));
    }
    ExitCode::SUCCESS
}

/// The bundle and its cases; all faults of either.
fn found(dir: &Path, filter: Option<&str>) -> Result<(Bundle, Vec<Case>), Vec<Fault>> {
    let bundle = bundle::read(dir)?;
    let (mut cases, mut faults) = (Vec::new(), Vec::new());
    for (_, case) in review::find(&dir.join(CASES), filter)? {
        match case {
            Ok(case) => cases.push(case),
            Err(found) => faults.extend(found),
        }
    }
    if cases.is_empty() && faults.is_empty() {
        faults.push(Fault::in_file(format!("{CASES}/"), "there is no case to play"));
    }
    if faults.is_empty() { Ok((bundle, cases)) } else { Err(faults) }
}

fn refuse(faults: &[Fault]) -> ExitCode {
    for fault in faults {
        eprintln!("{fault}");
    }
    ExitCode::from(EXIT_FAULTS)
}
