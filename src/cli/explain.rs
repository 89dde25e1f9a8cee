//! `tidegate explain`: every decision of a past exchange, and what another generation would do with it.

use std::process::ExitCode;

use serde_json::json;

use super::ExplainArgs;
use super::ask::{post, told};

/// Asks the gate, which plays the exchange again.
pub fn run(args: &ExplainArgs) -> ExitCode {
    let mut question = json!({"id": args.id});
    if let Some(with) = &args.with {
        question["with"] = json!(with);
    }
    told(&args.gate, post(args.gate.admin, "/-/explain", &question), |said| {
        said["text"].as_str().unwrap_or_default().to_owned()
    })
}
