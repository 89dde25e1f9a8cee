//! `tidegate test`: a bundle's cases against its snapshots.

mod proofs;

use std::process::ExitCode;

use super::{EXIT_FAULTS, TestArgs, print};
use crate::case::{self, TestOptions};
use crate::review;

/// Plays the cases and says what differs.
pub fn run(args: &TestArgs) -> ExitCode {
    if let Err(error) = review::recover(&args.bundle) {
        eprintln!("tidegate: an acceptance is unfinished: {error}");
    }
    if args.splits {
        return proofs::splits(args);
    }
    if args.lines {
        return proofs::lines(args);
    }
    let options = TestOptions { filter: args.filter.clone(), update: args.update };
    let report = match case::test_bundle(&args.bundle, &options) {
        Ok(report) => report,
        Err(faults) => {
            for fault in faults {
                eprintln!("{fault}");
            }
            return ExitCode::from(EXIT_FAULTS);
        }
    };
    print(&if args.json { report.to_json() } else { report.to_text() });
    if report.failed() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
