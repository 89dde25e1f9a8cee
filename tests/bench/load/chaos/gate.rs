//! The gate under the storm: its bundle, its process, its memory.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::process::{Child, ChildStderr, Command};

use super::endpoint::Endpoint;
use crate::{Failure, process};

/// A running gate.
pub(crate) struct Gate {
    /// Where clients connect.
    pub(crate) address: SocketAddr,
    /// Its memory in KiB, second by second.
    pub(crate) memory: Vec<f64>,
    child: Child,
    /// The bundle that it serves.
    folder: PathBuf,
}

/// The policy that is saved again and again.
const POLICY: &str = "route.lua";

/// How often it is looked whether the gate listens, and how long.
const LOOK: Duration = Duration::from_millis(50);
const LOOKS: usize = 200;

// === impl Gate ===

impl Gate {
    /// Lays the bundles over each other in a folder of its own, fills the addresses in, and starts the gate on it.
    pub(crate) async fn start(
        program: &Path,
        bundles: &[PathBuf],
        upstreams: &[Vec<Endpoint>],
    ) -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("tidegate-chaos-{}", std::process::id()));
        let (address, admin) = (free()?, free()?);
        let fill = |text: String| {
            let text = text.replace("@GATE@", &address.to_string()).replace("@ADMIN@", &admin.to_string());
            upstreams.iter().flatten().fold(text, |text, endpoint| {
                text.replace(&format!("@{}@", endpoint.name), &endpoint.address.to_string())
            })
        };
        for bundle in bundles {
            copy(bundle, &folder, &fill)?;
        }
        let child =
            Command::new(program).arg("serve").arg(&folder).stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
        for _ in 0..LOOKS {
            if TcpStream::connect(address).await.is_ok() {
                return Ok(Self { address, memory: Vec::new(), child, folder });
            }
            tokio::time::sleep(LOOK).await; // paced: the gate is starting
        }
        Err("the gate does not listen".into())
    }

    /// Its log, for the one who reads it.
    pub(crate) fn take_log(&mut self) -> Result<ChildStderr, Failure> {
        self.child.stderr.take().ok_or_else(|| "the log is taken".into())
    }

    /// Notes its memory. An error when it is gone.
    pub(crate) fn look(&mut self) -> Result<(), Failure> {
        let pid = self.child.id().ok_or("the gate has ended")?;
        self.memory.push(process::resident_kib(pid)?);
        Ok(())
    }

    /// Saves a policy with another comment at its end, as an owner would who edits it.
    pub(crate) fn save(&self, second: u64) -> Result<(), Failure> {
        let file = self.folder.join(POLICY);
        let text = fs::read_to_string(&file)?;
        let kept = text.split("-- saved at ").next().unwrap_or_default();
        fs::write(&file, format!("{kept}-- saved at {second}\n"))?;
        Ok(())
    }

    /// Ends it as an owner would, and waits until it has.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        if let Some(pid) = self.child.id() {
            Command::new("kill").arg(pid.to_string()).status().await?;
        }
        self.child.wait().await?;
        fs::remove_dir_all(&self.folder)?;
        Ok(())
    }
}

/// An address that nobody listens on.
fn free() -> Result<SocketAddr, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Copies the files of a folder and those below it, each text through `fill`.
fn copy(from: &Path, to: &Path, fill: &impl Fn(String) -> String) -> Result<(), Failure> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target, fill)?;
        } else {
            fs::write(target, fill(fs::read_to_string(entry.path())?))?;
        }
    }
    Ok(())
}
