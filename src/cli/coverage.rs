//! `tidegate coverage`: that every hook runs wherever it can, found out by running it.

use std::process::ExitCode;

use serde_json::json;

use super::{CoverageArgs, EXIT_FAULTS, print};
use crate::coverage::Certificate;

/// Runs the certificate and shows it; a hole is a failure.
pub fn run(args: &CoverageArgs) -> ExitCode {
    let certificate = match Certificate::run() {
        Ok(certificate) => certificate,
        Err(faults) => {
            for fault in faults {
                eprintln!("{fault}");
            }
            return ExitCode::from(EXIT_FAULTS);
        }
    };
    let holes: Vec<String> = certificate.holes().collect();
    print(&match () {
        () if args.json => format!("{}\n", json!({"cells": certificate.cells, "holes": holes})),
        () if args.markdown => certificate.markdown(),
        () => certificate.text(),
    });
    if holes.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
