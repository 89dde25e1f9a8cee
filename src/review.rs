//! From a difference to an acceptance: what a person accepts is written so that it can be committed.

pub mod acceptance;
