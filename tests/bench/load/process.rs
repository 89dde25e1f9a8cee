//! What the kernel knows of another process: its memory and the time it spent on its core.

use std::fs;
use std::io::{self, ErrorKind};
use std::time::Duration;

/// Memory that the process holds, in KiB.
pub(crate) fn resident_kib(pid: u32) -> io::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.trim().split(' ').next()).and_then(|number| number.parse().ok());
    number.ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "the process tells no VmRSS"))
}

/// Time that all threads of the process spent running, kernel time included (`proc_pid_schedstat`).
pub(crate) fn busy(pid: u32) -> io::Result<Duration> {
    let mut nanos = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread that ended meanwhile takes its share with it; servers keep theirs.
        let Ok(stat) = fs::read_to_string(thread?.path().join("schedstat")) else {
            continue;
        };
        nanos += stat.split(' ').next().and_then(|number| number.parse::<u64>().ok()).unwrap_or_default();
    }
    Ok(Duration::from_nanos(nanos))
}
