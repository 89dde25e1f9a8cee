//! The `tidegate` command.

use std::process::ExitCode;

/// Requests are many small allocations of short life; mimalloc serves them with a tenth less CPU than the
/// system's allocator (`scripts/bench`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tidegate::cli::run()
}
