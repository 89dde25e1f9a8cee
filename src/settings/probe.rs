//! Settings of how the gate itself finds out whether endpoints are alive.

use std::time::Duration;

use super::section::section;

section! {
    /// How the gate itself finds out whether endpoints are alive. Without this section none is asked: an API that is paid
    /// for needs it least. An endpoint that is open is revived by it without a client's request.
    pub struct Probe {
        /// What is asked for with GET, below the path of the endpoint's URL.
        path: String => reload;
        /// How often.
        every: Duration = Duration::from_secs(10) => reload;
        /// How long an answer may take.
        timeout: Duration = Duration::from_secs(2) => reload;
        /// The status that says it is alive; any from 200 to 399 unless written.
        expect: Option<u32> = None => reload;
    }
}
