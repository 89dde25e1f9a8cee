//! The policy host: everything that knows Luau. Policies are data and functions to the rest of the gate.
//!
//! Reading order: [`hook`] lists what a policy can do; [`source`] is what it is made from and [`load`] checks it;
//! `vm` builds the sandbox and `burst` and `interrupt` bound what runs in it; [`api`] is what policies call; `answer` reads
//! what they return; [`set`] holds the VMs of a generation and [`run`] is one exchange's side of them.

mod answer;
mod api;
mod burst;
mod coverage;
mod failure;
mod hook;
mod host;
#[allow(unsafe_code, reason = "stops a running VM from outside; the file argues for it")]
mod interrupt;
mod load;
mod modules;
mod params;
mod picture;
mod place;
mod run;
mod services;
mod set;
mod source;
mod vm;

pub use coverage::{Covered, Line, Lines};
pub use hook::{Deadlines, Hook, HostLimits};
pub use load::{Code, Compiled, Counting, compile};
pub use run::{AttemptFacts, Decision, Facts, HeldFacts, Run, Trace};
pub use services::{CallError, CallRequest, CallResponse, Called, HookReport, LogLevel, LogLine, Services};
pub use set::{BackgroundJob, EndpointMatch, MountInfo, PolicySet};
pub use source::{Mount, OnError, Secrets, Sources};

/// The types of the policy API, for editors.
pub const TYPES: &str = include_str!("policy/api.d.luau");

#[cfg(test)]
mod tests;
