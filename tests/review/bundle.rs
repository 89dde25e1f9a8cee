//! Bundles whose cases differ from their snapshots, and the command that reviews them.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// A bundle that was accepted, and edited since.
pub(crate) struct Bundle {
    /// Its folder.
    pub(crate) dir: TempDir,
    /// The admin address in its settings; nobody listens there.
    pub(crate) admin: SocketAddr,
}

/// The policy: a header of its own for two kinds of users.
const POLICY: &str = "--!strict
-- Marks what upstreams are sent.
return policy {
  api = 1,
  on_request = function(req)
    EDIT
  end,
}
";

/// What is put in the policy after the first acceptance.
const EDIT: &str = r#"if req.headers:get("x-crew") then
      req.headers:set("x-team", "sea")
    else
      req.headers:set("x-user", req.headers:get("x-name") or "nobody")
    end"#;

// === impl Bundle ===

impl Bundle {
    /// A bundle with this many cases, all of them accepted by Grace; the edit of its policy changes every one.
    pub(crate) fn edited(cases: usize) -> Self {
        let bundle = Self::accepted(cases);
        bundle.write("mark.lua", &POLICY.replace("EDIT", EDIT));
        bundle
    }

    /// The same before the edit.
    pub(crate) fn accepted(cases: usize) -> Self {
        let admin = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let bundle = Self { dir: tempfile::tempdir().unwrap(), admin };
        let settings = format!(
            "[admin]\naddress = \"{admin}\"\n[upstreams.sea]\nurl = \"http://127.0.0.1:1\"\n[[policies]]\nfile = \"mark.lua\"\n"
        );
        bundle.write("tidegate.toml", &settings);
        bundle.write("mark.lua", &POLICY.replace("EDIT", "local _ = req"));
        for number in 0..cases {
            let header = if number % 4 == 3 { "x-crew: 1".to_owned() } else { format!("x-name: user{number}") };
            let case = format!(
                "# Ship {number} asks for the tide.\n> client\nGET /tide HTTP/1.1\nHost: gate.test\n{header}\n\n< upstream sea\nHTTP/1.1 200 OK\n\nAt six.\n"
            );
            bundle.write(&format!("cases/ship/{number:03}.http"), &case);
        }
        let accepted = bundle.review(&["--accept-all", "--name", "Grace"]);
        assert!(accepted.status.success(), "{accepted:?}");
        bundle
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }

    /// The hash of the bundle as it is now.
    pub(crate) fn hash(&self) -> tidegate::bundle::Hash {
        tidegate::bundle::read(self.path()).unwrap().hash
    }

    /// Every snapshot by its name.
    pub(crate) fn snapshots(&self) -> BTreeMap<String, String> {
        let folder = self.path().join("snapshots/ship");
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        entries
            .map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap()))
            .collect()
    }

    /// The command, ready to be started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.arg("review").arg(self.path()).args(arguments).env_remove("NO_COLOR");
        command
    }

    /// Runs the command without a terminal.
    pub(crate) fn review(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stdin(std::process::Stdio::null()).output().unwrap()
    }
}

/// What a command printed.
pub(crate) fn printed(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}
