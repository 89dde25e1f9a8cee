//! How the benches time a call: in batches, of which the best counts, as noise only ever adds.

use std::time::{Duration, Instant};

/// Time given to each figure.
const BUDGET: Duration = Duration::from_millis(200);

/// Nanoseconds of one call, in the best batch that fits the budget.
pub(crate) fn best(mut call: impl FnMut()) -> f64 {
    let begin = Instant::now();
    call();
    let batch = (Duration::from_millis(2).as_nanos() / begin.elapsed().as_nanos().max(20)).clamp(1, 100_000) as u32;
    let mut best = f64::MAX;
    let begin = Instant::now();
    while begin.elapsed() < BUDGET {
        let start = Instant::now();
        for _ in 0..batch {
            call();
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(batch));
    }
    best
}
