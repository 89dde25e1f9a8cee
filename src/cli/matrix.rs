//! `tidegate matrix`: what survives a translation between two dialects, found out by running it.

use std::process::ExitCode;

use serde_json::json;

use super::{MatrixArgs, fail, print};
use crate::dialect::matrix::{Matrix, Only};

/// Runs the translations that are asked for, and shows what came of them.
pub fn run(args: &MatrixArgs) -> ExitCode {
    let only = Only { client: args.client.clone(), upstream: args.upstream.clone() };
    let matrix = match Matrix::run(&only) {
        Ok(matrix) => matrix,
        Err(error) => return fail(&format!("the features cannot be read: {error}")),
    };
    print(&match () {
        () if args.json => format!("{}\n", json!(matrix)),
        () if args.markdown => matrix.markdown(),
        () => matrix.text(),
    });
    ExitCode::SUCCESS
}
