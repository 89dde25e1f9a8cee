//! Real Redis servers for one test: started on free ports, killed and started again at will.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::until;

/// A running server, killed when dropped.
pub(crate) struct Server {
    /// Where it is.
    pub(crate) port: u16,
    /// Its options beside the port.
    options: Vec<String>,
    folder: TempDir,
    child: Option<Child>,
    /// What a client of it must say first.
    access: Vec<String>,
}

// === impl Server ===

impl Server {
    /// A plain server.
    pub(crate) fn start() -> Self {
        Self::with(&[], &[])
    }

    /// A server with more options; `access` is what the command line client needs to reach it.
    pub(crate) fn with(options: &[&str], access: &[&str]) -> Self {
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        let mut server = Self {
            port: free_port(),
            options: texts(options),
            folder: TempDir::new().unwrap(),
            child: None,
            access: texts(access),
        };
        server.revive();
        server
    }

    /// A server that only speaks TLS, with these files.
    pub(crate) fn under_tls(cert: &Path, key: &Path) -> Self {
        let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
        let files = ["--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert];
        Self::with(&[&files[..], &["--tls-auth-clients", "no", "--tls-port"]].concat(), &["--tls", "--cacert", cert])
    }

    /// Starts it again on the same port, with nothing in it.
    pub(crate) fn revive(&mut self) {
        let port = self.port.to_string();
        let mut command = Command::new("redis-server");
        // An option without a value takes the port in place of the usual one.
        let under_tls = self.options.last().is_some_and(|last| last == "--tls-port");
        let ports = if under_tls { vec![port.as_str(), "--port", "0"] } else { vec!["--port", port.as_str()] };
        command.args(&self.options).args(ports);
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"]).arg(self.folder.path());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.child = Some(child.expect("no redis-server: scripts/setup installs it"));
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        assert!(until(|| TcpStream::connect(address).is_ok()), "redis-server does not start");
    }

    /// Ends it at once, as a machine that fails.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Stops it in the middle of whatever it does, or lets it go on.
    pub(crate) fn freeze(&self, frozen: bool) {
        let signal = if frozen { "-STOP" } else { "-CONT" };
        let id = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// What the command line client says to a command.
    pub(crate) fn ask(&self, command: &[&str]) -> String {
        let port = self.port.to_string();
        let asked = Command::new("redis-cli").args(["-p", &port]).args(&self.access).args(command).output().unwrap();
        String::from_utf8(asked.stdout).unwrap().trim_end().to_owned()
    }

    /// The names of all keys that begin like this.
    pub(crate) fn keys(&self, start: &str) -> Vec<String> {
        let mut keys: Vec<String> = self.ask(&["KEYS", "*"]).lines().map(str::to_owned).collect();
        keys.retain(|key| key.starts_with(start));
        keys.sort();
        keys
    }

    /// Its address for a gate.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that nobody listens on, and neither on the one that a cluster's node adds to it.
fn free_port() -> u16 {
    loop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if let Some(bus) = port.checked_add(10_000)
            && TcpListener::bind(("127.0.0.1", bus)).is_ok()
        {
            return port;
        }
    }
}
