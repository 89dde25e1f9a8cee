//! `tidegate check`: every fault of a bundle at once.

use std::process::ExitCode;

use serde_json::json;

use super::{BundleArgs, EXIT_FAULTS, print};
use crate::generation::Candidate;

/// Checks a bundle and says what was found.
pub fn run(args: &BundleArgs) -> ExitCode {
    let faults = match Candidate::read(&args.bundle) {
        Ok(candidate) => {
            let said = if args.json {
                json!({"ok": true, "hash": candidate.hash, "faults": []}).to_string()
            } else {
                format!("{}: no faults ({})", args.bundle.display(), candidate.hash)
            };
            print(&format!("{said}\n"));
            return ExitCode::SUCCESS;
        }
        Err(faults) => faults,
    };
    if args.json {
        print(&format!("{}\n", json!({"ok": false, "faults": faults})));
    } else {
        for fault in &faults {
            eprintln!("{fault}");
        }
        let many = if faults.len() == 1 { "1 fault".to_owned() } else { format!("{} faults", faults.len()) };
        eprintln!("{}: {many}", args.bundle.display());
    }
    ExitCode::from(EXIT_FAULTS)
}
