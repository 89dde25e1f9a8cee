//! The `tidegate` command.

use std::process::ExitCode;

/// Requests are many small allocations of short life; mimalloc serves them with a tenth less CPU than the
/// system's allocator (`scripts/bench`). Its feature `no_thp` keeps it off huge pages, which took twice the memory for
/// an idle stream.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tidegate::cli::run()
}
