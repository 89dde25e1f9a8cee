//! The real binary: started with arguments and environment, what it says kept line by line, ended by signals.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;
use serde_json::Value;

use super::talk::Talk;
use super::until;

/// A running binary, killed when dropped.
pub(crate) struct Process {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

/// The binary with these arguments.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs the binary to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

// === impl Process ===

impl Process {
    /// Starts a command and keeps what it says.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        keep(child.stdout.take().unwrap(), &lines);
        keep(child.stderr.take().unwrap(), &lines);
        Self { child, lines }
    }

    /// Serves a bundle on free ports.
    pub(crate) fn serve(folder: &Path) -> Self {
        Self::start(command(&serving(folder)))
    }

    /// Its id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// All lines so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().clone()
    }

    /// The first line with a text in it.
    pub(crate) fn line(&self, text: &str) -> String {
        let found = || self.lines.lock().iter().find(|line| line.contains(text)).cloned();
        assert!(until(|| found().is_some()), "no line has {text:?}: {:#?}", self.lines());
        found().unwrap()
    }

    /// The fields of the first JSON line with a text in it.
    pub(crate) fn entry(&self, text: &str) -> Value {
        serde_json::from_str(&self.line(text)).unwrap()
    }

    /// Where it serves clients, and where status is: it says so when it has bound both.
    pub(crate) fn addresses(&self) -> (SocketAddr, SocketAddr) {
        let line = self.line(" serves ");
        let mut found = line.split("http://").skip(1);
        let mut next = || {
            found
                .next()
                .unwrap()
                .trim_matches(|c: char| !c.is_ascii_digit())
                .split(' ')
                .next()
                .unwrap()
                .parse()
                .unwrap()
        };
        (next(), next())
    }

    /// A connection.
    pub(crate) fn talk(&self) -> Talk {
        Talk::to(self.addresses().0)
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    /// Its exit code, once it has ended.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        let mut status = None;
        until(|| {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.expect("the process does not end").code()
    }

    /// Whether it is still there.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Keeps all lines that come from a pipe.
fn keep(pipe: impl Read + Send + 'static, lines: &Arc<Mutex<Vec<String>>>) {
    let lines = Arc::clone(lines);
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            lines.lock().push(line);
        }
    });
}

/// The arguments that serve a bundle on free ports.
pub(crate) fn serving(folder: &Path) -> [&str; 8] {
    let folder = folder.to_str().unwrap();
    ["serve", folder, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--threads", "2"]
}
