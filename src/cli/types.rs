//! `tidegate types` and `tidegate settings`: references for editors and owners.

use std::process::ExitCode;

use super::print;
use crate::{policy, settings};

/// Prints the definitions that luau-lsp reads, with what an editor needs to find them.
pub fn run() -> ExitCode {
    print(policy::TYPES);
    eprintln!(
        "Save this as api.d.luau and tell luau-lsp of it: \
         \"luau-lsp.types.definitionFiles\": {{\"@tidegate\": \"api.d.luau\"}}, \
         \"luau-lsp.platform.type\": \"standard\"."
    );
    ExitCode::SUCCESS
}

/// Prints the reference of all settings, in Markdown.
pub fn settings() -> ExitCode {
    print(&settings::reference());
    ExitCode::SUCCESS
}
