//! The running gate over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::format_collect,
    clippy::similar_names,
    clippy::large_stack_arrays,
    reason = "what a test cannot do without is there, or the test fails"
)]

mod support;

mod abuse;
mod admin;
mod affinity;
mod again;
mod balance;
mod binary;
mod cache;
mod canary;
mod commit;
mod crowd;
mod decisions;
mod dns;
mod explained;
mod failover;
mod forward;
mod framing;
mod generations;
mod gone;
mod h2;
mod health;
mod hedge;
mod hidden;
mod hooks;
mod http_cache;
mod http_stores;
mod join;
mod keys;
mod limits;
mod limits_policy;
mod log;
mod offended;
mod ping;
mod preview;
mod queue;
mod record;
mod redis;
mod reload;
mod replayed;
mod resent;
mod reviewed;
mod shadow;
mod sharing;
mod shutdown;
mod stores;
mod stream;
mod tls;
mod traffic;
mod translate;
mod traps;
mod typed;
mod upgrade;
mod upload;
