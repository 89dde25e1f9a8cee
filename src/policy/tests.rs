//! What the policy host promises, kept apart by what it is about.

mod api;
mod commit;
mod compose;
mod contract;
mod load;
mod runaway;
mod sandbox;
mod stream;
mod support;
mod typed;
mod waiting;
