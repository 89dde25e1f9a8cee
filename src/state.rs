//! What outlives an exchange: the store that policies keep values in, and the limiter that counts for them.

pub mod limit;
pub mod store;

pub use limit::{Limiter, Rate, Taken};
pub use store::{NamespaceStats, Refused, Store, StoreLimits, Value};
