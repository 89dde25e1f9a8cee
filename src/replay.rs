//! Plays recorded exchanges again: to explain one, and to compare what two generations do with many.
//!
//! 1. [`aspects`] says what a play came to, in parts that can be compared.
//! 2. [`truth`] holds a play against what happened: an explanation is shown only with its verdict.
//! 3. [`explain`] tells an exchange step by step; [`table`] counts what changes over many.
//! 4. [`archive`] does so for what a gate has on tape, [`shadow`] without being asked.
//! 5. [`keyed`] says what the cache keys of requests are made of, [`fields`] what of a request changes them.
//! 6. [`save`] makes cases of it, [`files`] writes them down, [`offended`] does both when a canary went back.

pub mod archive;

pub mod aspects;

pub mod explain;

pub mod fields;

pub mod files;

pub mod keyed;

pub mod offended;

pub mod save;

pub mod shadow;

pub mod table;

pub mod truth;

#[cfg(test)]
mod tests;
