//! tidegate: a programmable reverse proxy. A pingora core carries the bytes; Lua policies decide.
//!
//! # Words
//! *client* (who calls) · *upstream* (a named service) · *endpoint* (one address of an upstream) · *policy* (a Lua
//! file with hooks) · *library* (a Lua file without) · *hook* · *bundle* (a folder with settings, policies, cases and
//! snapshots) · *generation* (one loaded state of a bundle) · *exchange* (one request and its response) · *attempt*
//! (one try at one endpoint) · *plan* (the ordered attempts) · *event* (one item of a stream) · *dialect* (a wire
//! format) · *case* (a scripted exchange in a file) · *snapshot* (what the gate did with it) · *loss* (something a
//! translation could not carry).
//!
//! # Invariants
//! Only [`edge`] and [`upstream`] import pingora, but for the two head types that [`message`] names; only [`policy`]
//! imports mlua. [`json`], [`stream`], [`dialect`], [`cache`] keys and snapshot rendering do no I/O and have no clock
//! of their own. A request keeps the generation that it started on. Policies return data; Rust does the I/O.

// The path of a request, in the order it meets them.

pub mod edge;

pub mod exchange;

pub mod policy;

pub mod upstream;

pub mod cache;

// What serves the path.

pub mod message;

pub mod dialect;

pub mod stream;

pub mod json;

pub mod state;

pub mod tape;

pub mod gate;

pub mod generation;

// Around it.

pub mod bundle;

pub mod settings;

pub mod fault;

pub mod case;

pub mod review;

pub mod admin;

pub mod cli;

pub mod mock;

pub mod metrics;

pub mod error;

pub mod clock;
