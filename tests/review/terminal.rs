//! A pseudo-terminal of 24 rows: keys go in, and what a person would see comes out.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// Longer than anything that a test waits for should take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A process on a terminal, killed when dropped.
pub(crate) struct Terminal {
    child: Child,
    keys: File,
    seen: Arc<Mutex<Seen>>,
}

/// What came out.
struct Seen {
    screen: vt100::Parser,
    bytes: Vec<u8>,
}

// === impl Terminal ===

impl Terminal {
    /// Starts a command on a terminal with this many columns.
    pub(crate) fn start(command: &mut Command, columns: u16) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let theirs = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        tcsetwinsize(&theirs, Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let end = |end: &OwnedFd| Stdio::from(end.try_clone().unwrap());
        command.stdin(end(&theirs)).stdout(end(&theirs)).stderr(end(&theirs)).env("TERM", "xterm-256color");
        let child = command.spawn().unwrap();
        // The command keeps ends of the terminal: without them gone, the end of the process would not be seen.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        drop(theirs);
        let seen = Arc::new(Mutex::new(Seen {
            screen: vt100::Parser::new(NonZero::new(24).unwrap(), NonZero::new(columns).unwrap(), 0),
            bytes: Vec::new(),
        }));
        let mut output = File::from(ours.try_clone().unwrap());
        let watched = Arc::clone(&seen);
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut piece) {
                let mut seen = watched.lock().unwrap();
                seen.screen.process(&piece[..read]);
                seen.bytes.extend_from_slice(&piece[..read]);
            }
        });
        Self { child, keys: File::from(ours), seen }
    }

    /// Waits until it has asked this often, then presses a key.
    pub(crate) fn press(&mut self, asked: usize, key: char) {
        self.wait(|seen| seen.matches(" >").count() >= asked, "a question");
        self.keys.write_all(key.to_string().as_bytes()).unwrap();
    }

    /// Waits until this is printed.
    pub(crate) fn sees(&self, text: &str) {
        self.wait(|seen| seen.contains(text), text);
    }

    /// Everything that was printed, without colours.
    pub(crate) fn printed(&self) -> String {
        console::strip_ansi_codes(&self.raw()).into_owned()
    }

    /// Everything as it came.
    pub(crate) fn raw(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap().bytes).into_owned()
    }

    /// What the screen shows now.
    pub(crate) fn screen(&self) -> String {
        self.seen.lock().unwrap().screen.screen().contents()
    }

    /// Waits for the end; the exit code, none after a signal.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            thread::sleep(Duration::from_millis(5)); // paced: between two looks at another process
        }
        panic!("it does not end:\n{}", self.printed());
    }

    fn wait(&self, holds: impl Fn(&str) -> bool, what: &str) {
        let begun = Instant::now();
        while !holds(&self.printed()) {
            assert!(begun.elapsed() < PATIENCE, "{what} is not in\n{}", self.printed());
            thread::sleep(Duration::from_millis(5)); // paced: between two looks at another process
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
