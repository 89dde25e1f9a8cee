//! `tidegate cache`: what the keys of requests are made of, what a gate's stores hold, and what is to go from them.

mod keys;

mod stores;

use std::process::ExitCode;

use clap::Subcommand;

use super::StatusArgs;

/// What is asked about the cache, or of it.
#[derive(Debug, Subcommand)]
pub enum CacheCommand {
    /// Say which parts of the cache keys of two requests differ. Exit code 0 when the keys are equal, else 1.
    Why(keys::WhyArgs),
    /// Print the parts of the cache key of a request.
    Key(keys::KeyArgs),
    /// Say of each field of a case's request which parts of the cache key it changes.
    Fields(keys::FieldsArgs),
    /// Say what each store holds and did.
    Stats(StatusArgs),
    /// Take stored answers away: from memory, from disk, from the Redis that gates share, and at those gates.
    Purge(stores::PurgeArgs),
}

/// Answers, or does it.
pub fn run(command: &CacheCommand) -> ExitCode {
    let answered = match command {
        CacheCommand::Why(args) => keys::why(args),
        CacheCommand::Key(args) => keys::key(args),
        CacheCommand::Fields(args) => keys::fields(args),
        CacheCommand::Stats(args) => Ok(stores::show(args)),
        CacheCommand::Purge(args) => Ok(stores::purge(args)),
    };
    answered.unwrap_or_else(|failed| failed)
}
