//! `tidegate review` as people and pipelines use it: the real binary, in a pseudo-terminal where it asks.

#![allow(clippy::unwrap_used, reason = "what a test cannot do without is there, or the test fails")]

#[path = "review/bundle.rs"]
mod bundle;

#[path = "review/killed.rs"]
mod killed;

#[path = "review/pipeline.rs"]
mod pipeline;

#[path = "review/terminal.rs"]
mod terminal;

#[path = "review/asked.rs"]
mod asked;
