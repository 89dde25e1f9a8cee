//! The cache: which requests are the same, which answers are worth keeping, and a bounded place in memory for them.

pub mod admit;
pub mod bypass;
pub mod http;
pub mod key;
pub mod memory;
pub mod record;

pub use admit::Refusal;
pub use bypass::{Bypass, bypass};
pub use key::{Form, Key, canonical, differs};
pub use memory::{MemoryCache, Stats};
pub use record::{Entry, Recorder, Recording};
