//! What choosing an endpoint and judging it costs, for each strategy. Run: `cargo bench --bench balance`; with
//! `--record` it says the dearest figure only, as a line for `scripts/bench`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints what it measured and ends where it cannot"
)]

#[path = "timing.rs"]
mod timing;

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use tidegate::clock::Clock;
use tidegate::settings;
use tidegate::upstream::health::{Ask, Ticket};
use tidegate::upstream::{Upstream, balance, build};

/// All strategies.
const BY: [&str; 6] = ["weighted", "round-robin", "least-busy", "latency", "score", "hash"];

fn main() {
    if std::env::args().any(|word| word == "--record") {
        let dearest = BY.iter().map(|by| cost(by, 3)).fold(0.0, f64::max);
        println!(r#"{{"peer":"tidegate","measure":"pick","work":"dearest","ns":{dearest:.0}}}"#);
        return;
    }
    println!("ns for a whole request: choice, leave, head, end; best batch");
    for by in BY {
        let mut line = format!("  {by:<12}");
        for count in [1, 3, 100] {
            let _ = write!(line, "  {count:>3} endpoints {:>6.0} ns", cost(by, count));
        }
        println!("{line}");
    }
}

fn cost(by: &str, count: usize) -> f64 {
    let upstream = upstream(by, count);
    let (clock, headers) = (Clock::live(), HeaderMap::new());
    // One of many is open, and each has answered before, so that all there is to think about is thought about.
    for _ in 0..if count > 1 { 5 } else { 0 } {
        let ask = Ask { now: clock.elapsed(), ..Ask::default() };
        let ticket = Ticket::take(&upstream, &upstream.endpoints[0], &ask, clock, true).unwrap();
        ticket.judged(500);
    }
    let mut random = fastrand::Rng::with_seed(1);
    timing::best(|| {
        let ask = Ask { now: clock.elapsed() + Duration::from_millis(1), ..Ask::default() };
        let key = Some(random.u64(..));
        let found = balance::choose(&upstream, &ask, key, |_| false, || random.f64());
        let mut ticket = Ticket::take(&upstream, found.fit.unwrap(), &ask, clock, false).unwrap();
        ticket.heard(200, &headers, || true);
        ticket.served(Some(100));
        black_box(found.left);
    })
}

fn upstream(by: &str, count: usize) -> Arc<Upstream> {
    let endpoints: Vec<_> =
        (0..count).map(|at| format!("{{ url = \"http://h{at}\", weight = {} }}", 1 + at % 3)).collect();
    let text = format!("[upstreams.up]\nendpoints = [{}]\nbalance.by = \"{by}\"\n", endpoints.join(", "));
    let settings = settings::parse(&text, "tidegate.toml").unwrap();
    Arc::clone(build::upstreams(&settings).get("up").unwrap())
}
