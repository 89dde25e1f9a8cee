//! A gate in this process that serves a bundle in a folder of its own, and follows it as `tidegate serve` does.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tidegate::admin::{Admin, Board};
use tidegate::bundle::{self, Hash, SETTLE, Watcher};
use tidegate::edge::{self, Listener, Server, tls};
use tidegate::fault::Fault;
use tidegate::gate::reload::{self, Adjust, First, Reloader};
use tidegate::gate::{Gate, background, live};
use tidegate::replay::archive::Archive;
use tidegate::replay::offended;
use tidegate::replay::shadow::{self, Shadow};
use tidegate::review::acceptance::{self, Acceptance};
use tidegate::settings::Settings;
use tidegate::upstream::dial::Dialer;
use tidegate::upstream::probe;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use super::talk::{Said, Talk};
use super::until;

/// Worker threads, and so VMs, of a gate in a test.
const WORKERS: usize = 2;

/// A running gate.
pub(crate) struct Bundled {
    folder: PathBuf,
    /// Removes the folder with the gate, unless it is the test's own.
    owned: Option<TempDir>,
    /// Where clients connect.
    pub(crate) address: SocketAddr,
    /// Where status and metrics are.
    pub(crate) admin: SocketAddr,
    /// The gate itself, for what cannot be seen from outside.
    pub(crate) gate: Arc<Gate<Dialer>>,
    /// Its listening side, to be closed.
    pub(crate) server: Arc<Server>,
    runtime: Option<Runtime>,
}

// === impl Bundled ===

impl Bundled {
    /// Serves a bundle of these files.
    pub(crate) fn serve(files: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        for (name, text) in files {
            fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
            fs::write(folder.path().join(name), text).unwrap();
        }
        Self::owning(folder)
    }

    /// Serves one policy before one upstream, after whatever else the settings say.
    pub(crate) fn policy(upstream: &str, settings: &str, lua: &str) -> Self {
        let settings = format!("{settings}\n[upstreams.up]\nurl = \"{upstream}\"\n[[policies]]\nfile = \"p.lua\"\n");
        Self::serve(&[("tidegate.toml", &settings), ("p.lua", lua)])
    }

    /// Serves the shipped policies with other settings.
    pub(crate) fn shipped(settings: &str) -> Self {
        let folder = TempDir::new().unwrap();
        copy(&root().join("policies"), folder.path());
        fs::write(folder.path().join("tidegate.toml"), settings).unwrap();
        Self::owning(folder)
    }

    /// Serves one upstream without policies, after whatever else the settings say.
    pub(crate) fn before(upstream: &str, settings: &str) -> Self {
        Self::serve(&[("tidegate.toml", &format!("{settings}\n[upstreams.up]\nurl = \"{upstream}\"\n"))])
    }

    fn owning(folder: TempDir) -> Self {
        let mut gate = Self::following(folder.path(), SETTLE);
        gate.owned = Some(folder);
        gate
    }

    /// Serves a folder that is the test's own; a change is taken when it has settled for so long.
    pub(crate) fn following(folder: &Path, settle: Duration) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build().unwrap();
        let board = Arc::new(Board::default());
        let adjust: Arc<Adjust> = Arc::new(|_: &mut Settings| Ok(()));
        let First { candidate, serving } =
            reload::first(folder, &*adjust).unwrap_or_else(|faults| panic!("{}", list(&faults)));
        let gate =
            live::start(candidate, WORKERS, Arc::clone(&board)).unwrap_or_else(|faults| panic!("{}", list(&faults)));
        let gate = Arc::new(gate);
        let most = gate.live.load().settings.limits.connections.get() as usize;
        let server = Arc::new(Server::new(Arc::clone(&gate), most));
        let reloader = Reloader::new(Arc::clone(&gate), Arc::clone(&board), WORKERS, Arc::clone(&adjust), serving);
        let reloader = Arc::new(reloader);
        let (archive, shadow) = (Arc::new(Archive::new(adjust)), Arc::new(Shadow::default()));
        let answers = Admin {
            gate: Arc::clone(&gate),
            board,
            reloader: Some(Arc::clone(&reloader)),
            archive: Some(Arc::clone(&archive)),
            shadow: Arc::clone(&shadow),
        };
        let (address, admin) = runtime.block_on(listen(&gate, &server, answers));
        let inside = runtime.enter();
        background::start(&gate);
        probe::start(&gate);
        tokio::spawn(shadow::follow(shadow, Arc::clone(&gate), Arc::clone(&reloader), Arc::clone(&archive)));
        tokio::spawn(offended::follow(Arc::clone(&gate), archive));
        tokio::spawn(reload::follow(reloader, Watcher::start(folder, settle)));
        drop(inside);
        Self { folder: folder.to_owned(), owned: None, address, admin, gate, server, runtime: Some(runtime) }
    }

    /// A connection.
    pub(crate) fn talk(&self) -> Talk {
        Talk::to(self.address)
    }

    /// Stops as the binary does when it is told to; whether all exchanges ended in time.
    pub(crate) fn close(&self, grace: Duration) -> bool {
        self.runtime.as_ref().unwrap().block_on(self.server.close(grace))
    }

    /// A file of the bundle.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Saves a file as most editors do: written beside it, then renamed over it.
    pub(crate) fn save(&self, name: &str, text: &str) {
        let beside = self.file(&format!(".{name}.new"));
        fs::write(&beside, text).unwrap();
        fs::rename(&beside, self.file(name)).unwrap();
    }

    /// The number of the generation that serves.
    pub(crate) fn generation(&self) -> u64 {
        self.gate.live.load().number
    }

    /// Saves a file and waits until another generation serves.
    pub(crate) fn save_live(&self, name: &str, text: &str) {
        let before = self.generation();
        self.save(name, text);
        assert!(until(|| self.generation() > before), "not live: {:#}", self.status());
    }

    /// Waits until the status says that the bundle was rejected, and returns its faults.
    pub(crate) fn rejected(&self) -> Vec<String> {
        assert!(until(|| self.status()["rejected"].is_object()), "not rejected: {:#}", self.status());
        let faults = self.status()["rejected"]["faults"].clone();
        serde_json::from_value(faults).unwrap()
    }

    /// Asks the admin listener for something to be done, as the command line does.
    pub(crate) fn tell(&self, path: &str, wish: &Value) -> Said {
        tell(self.admin, path, wish)
    }

    /// What `/-/generations` lists.
    pub(crate) fn generations(&self) -> Vec<Value> {
        let mut admin = Talk::to(self.admin);
        admin.send(format!("GET /-/generations HTTP/1.1\r\nHost: {}\r\n\r\n", self.admin));
        admin.read().json()["generations"].as_array().unwrap().clone()
    }

    /// The hash of what is on disk.
    pub(crate) fn on_disk(&self) -> Hash {
        bundle::read(&self.folder).unwrap().hash
    }

    /// What `/-/status` says.
    pub(crate) fn status(&self) -> Value {
        Talk::to(self.admin).get("/-/status", &[]).json()
    }

    /// What `/-/metrics` says.
    pub(crate) fn metrics(&self) -> String {
        Talk::to(self.admin).get("/-/metrics", &[]).text()
    }
}

impl Drop for Bundled {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
    }
}

/// Binds the first listener of the settings and the admin's, both on ports that the system chooses.
async fn listen(gate: &Arc<Gate<Dialer>>, server: &Arc<Server>, answers: Admin) -> (SocketAddr, SocketAddr) {
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    let admin = TcpListener::bind(free).await.unwrap();
    let admin_address = admin.local_addr().unwrap();
    tokio::spawn(edge::local::serve(admin, answers));
    let settings = Arc::clone(&gate.live.load().settings);
    let asked = settings.listen.first().unwrap();
    let acceptor = asked.tls.as_ref().map(|files| tls::acceptor(files.cert.path(), files.key.path()).unwrap());
    let listener = Listener::bind(free, acceptor, asked.h2c).await.unwrap();
    let address = listener.address().unwrap();
    tokio::spawn(Arc::clone(server).accept(listener));
    (address, admin_address)
}

/// Asks an admin listener for something to be done, as the command line does.
pub(crate) fn tell(admin: SocketAddr, path: &str, wish: &Value) -> Said {
    let body = wish.to_string();
    let mut talk = Talk::to(admin);
    let length = body.len();
    talk.send(format!(
        "POST {path} HTTP/1.1\r\nHost: {admin}\r\nX-Tidegate-Admin: 1\r\nContent-Length: {length}\r\n\r\n{body}"
    ));
    talk.read()
}

/// Accepts what is in a folder, as a review does: the record appears whole.
pub(crate) fn accept(folder: &Path, live: bool, snapshots: &[(&str, &str)]) -> Hash {
    let hash = bundle::read(folder).unwrap().hash;
    let snapshots = snapshots.iter().map(|(name, text)| ((*name).to_owned(), acceptance::digest(text))).collect();
    let record = Acceptance {
        generation: hash.full(),
        accepted_at: jiff::Timestamp::now(),
        accepted_by: "ann".to_owned(),
        differences: 0,
        live,
        snapshots,
    };
    fs::create_dir_all(folder.join("reviews")).unwrap();
    let beside = folder.join("reviews/.new");
    fs::write(&beside, record.to_text().unwrap()).unwrap();
    fs::rename(&beside, folder.join(acceptance::file(&hash))).unwrap();
    hash
}

fn list(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The root of the tree.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Copies a folder with what is in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
