//! What outlives an exchange: the store that policies keep values in, the limiter that counts for them, and what several
//! gates have in common.

pub mod limit;
pub mod redis;
pub mod shared;
pub mod store;

pub use limit::{Limiter, Rate, Taken};
pub use redis::Redis;
pub use shared::Shared;
pub use store::{NamespaceStats, Refused, Store, StoreLimits, Value};
