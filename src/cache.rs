//! The cache: which requests are the same, which answers are worth keeping, and a bounded place in memory for them.

pub mod admit;
pub mod bypass;
pub mod entry;
pub mod fill;
pub mod flight;
pub mod key;
pub mod memory;
pub mod record;

pub use admit::Refusal;
pub use bypass::{Bypass, bypass};
pub use entry::{Entry, Listener, Provenance, Tokens};
pub use fill::{Fill, Followers};
pub use flight::{Flights, Following, Leading, Outcome, Role};
pub use key::{Form, Key, canonical, differs};
pub use memory::{MemoryCache, Stats};
pub use record::{Recorder, Recording};
