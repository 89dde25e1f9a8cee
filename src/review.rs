//! From a difference to an acceptance: what a changed bundle does to its cases is shown, equal differences as one, and
//! what a person accepts is written so that it can be committed.
//!
//! 1. [`look`] plays the cases and puts what they do beside their snapshots.
//! 2. [`change`] says in phrases what differs between two snapshots; [`group`] makes equal differences one.
//! 3. [`side`] shows old and new beside each other; [`terminal`] asks, [`report`] tells programs and pipelines.
//! 4. [`write`] writes snapshots and record as one; [`acceptance`] says what is accepted,
//!    [`who`] accepts it, and [`live`] when the gate serves it.

pub mod look;

pub mod change;

pub mod group;

pub mod side;

pub mod terminal;

pub mod report;

pub mod who;

pub mod live;

pub mod write;

pub mod acceptance;

pub use acceptance::{Acceptance, Standing, standing};
pub use write::recover;
