//! Runs the real binary for a test: mock upstreams and gates on free ports, ended when they go out of scope.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything that a test waits for should take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process of the binary that listens, killed when dropped.
pub(crate) struct Running(Child);

// === impl Running ===

impl Running {
    /// Starts the binary; `address` is where it will listen.
    pub(crate) fn start(arguments: &[&str], address: SocketAddr) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        let running = Self(command.spawn().unwrap());
        assert!(until(|| TcpStream::connect(address).is_ok()), "nothing listens on {address}");
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An address on which nobody listens now.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Waits until something holds; false when it does not in time.
pub(crate) fn until(mut holds: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if holds() {
            return true;
        }
        thread::sleep(Duration::from_millis(10)); // paced: between two looks at another process
    }
    false
}
