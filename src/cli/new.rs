//! `tidegate new`: a bundle of one's own.

use std::path::Path;
use std::process::ExitCode;

use super::{fail, print};
use crate::bundle;

/// Writes a small bundle and says how to go on.
pub fn run(dir: &Path) -> ExitCode {
    match bundle::create(dir) {
        Ok(files) => {
            for file in files {
                print(&format!("{}\n", file.display()));
            }
            print(&format!(
                "\ntidegate serve {dir}    serves it\ntidegate check {dir}    says every fault in it\n\
                 tidegate test {dir}     plays its cases\ntidegate review {dir}   shows what a change does, and accepts it\n",
                dir = dir.display()
            ));
            ExitCode::SUCCESS
        }
        Err(error) => fail(&format!("{}: {error}", dir.display())),
    }
}
