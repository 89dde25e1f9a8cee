//! `tidegate serve`: binds, serves, follows the bundle, and drains when told to stop.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

use super::runtime::{self, Signals, Stop};
use super::{EXIT_FAULTS, ServeArgs, fail};
use crate::admin::{Admin, Board};
use crate::bundle::Watcher;
use crate::edge::{self, Listener, Server, tls};
use crate::fault::Fault;
use crate::gate::reload::{self, Adjust, Reloader, Serving};
use crate::gate::{Gate, background, live};
use crate::generation::Candidate;
use crate::replay::archive::Archive;
use crate::replay::offended;
use crate::replay::shadow::{self, Shadow};
use crate::settings::{LogFormat, RequestId, Settings};
use crate::upstream::dial::Dialer;
use crate::upstream::probe;

/// How long a save may settle before it is read: editors write in several steps.
const SETTLE: std::time::Duration = std::time::Duration::from_millis(60);

/// Addresses that are bound, and not served yet.
struct Bound {
    admin: TcpListener,
    /// Those for clients, and whether they are under TLS.
    clients: Vec<(Listener, bool)>,
}

/// Serves until a signal ends it.
pub fn run(args: &ServeArgs) -> ExitCode {
    let (candidate, serving) = match first(args) {
        Ok(first) => first,
        Err(faults) => {
            for fault in faults {
                eprintln!("{fault}");
            }
            return ExitCode::from(EXIT_FAULTS);
        }
    };
    start_log(&candidate.settings);
    let threads = args.threads.or(candidate.settings.workers.map(|workers| workers.get() as usize));
    let workers = threads.unwrap_or_else(runtime::processors).max(1);
    let runtime = match runtime::build(Some(workers)) {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.to_string()),
    };
    let code = runtime.block_on(serve(args, candidate, serving, workers));
    runtime.shutdown_background();
    code
}

/// What the bundle named on the command line begins with, or the drop-in, with flags over environment over file.
fn first(args: &ServeArgs) -> Result<(Candidate, Option<Serving>), Vec<Fault>> {
    match (&args.bundle, &args.upstream) {
        (Some(dir), _) => reload::first(dir, &*adjusting(args)).map(|first| (first.candidate, Some(first.serving))),
        (None, Some(url)) => {
            let listen = args.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8800)));
            let admin = args.admin.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8801)));
            let mut settings =
                Settings::drop_in(url, listen, admin).map_err(|reason| vec![Fault::in_file("--upstream", reason)])?;
            adjust(&mut settings, args)?;
            Candidate::drop_in(settings).map(|candidate| (candidate, None))
        }
        (None, None) => Err(vec![Fault::in_file("serve", "name a bundle, or --upstream URL")]),
    }
}

/// What flags and environment change in every bundle's settings.
fn adjusting(args: &ServeArgs) -> Arc<Adjust> {
    let args = args.clone();
    Arc::new(move |settings| adjust(settings, &args))
}

/// Flags override the environment, which overrides the file.
fn adjust(settings: &mut Settings, args: &ServeArgs) -> Result<(), Vec<Fault>> {
    settings.apply_env(|name| std::env::var(name).ok())?;
    if let Some(listen) = args.listen {
        settings.listen_on(listen);
    }
    if args.transparent {
        settings.forwarding.x_forwarded = false;
        settings.forwarding.via = false;
        settings.forwarding.request_id = RequestId(None);
    }
    if let Some(admin) = args.admin {
        settings.admin.address = admin;
    }
    Ok(())
}

fn start_log(settings: &Settings) {
    let filter = EnvFilter::builder()
        .with_default_directive(tracing::Level::WARN.into())
        .parse_lossy(format!("tidegate={}", settings.log.level.as_str()));
    let json = match settings.log.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !console::user_attended_stderr(),
    };
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if json {
        log.json().flatten_event(true).with_current_span(false).init();
    } else {
        log.with_target(false).with_ansi(console::colors_enabled_stderr()).init();
    }
}

/// Binds everything before anything is served, so that a taken port is an error at once.
async fn serve(args: &ServeArgs, candidate: Candidate, serving: Option<Serving>, workers: usize) -> ExitCode {
    let settings = Arc::clone(&candidate.settings);
    let board = Arc::new(Board::default());
    let gate = match live::start(candidate, workers, Arc::clone(&board)) {
        Ok(gate) => Arc::new(gate),
        Err(faults) => {
            for fault in faults {
                eprintln!("{fault}");
            }
            return ExitCode::from(EXIT_FAULTS);
        }
    };
    let signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return fail(&error.to_string()),
    };
    let bound = match Bound::open(&settings).await {
        Ok(bound) => bound,
        Err(message) => return fail(&message),
    };
    let server = Arc::new(Server::new(Arc::clone(&gate), settings.limits.connections.get() as usize));
    let reloader = serving.map(|serving| {
        let (gate, board) = (Arc::clone(&gate), Arc::clone(&board));
        Arc::new(Reloader::new(gate, board, workers, adjusting(args), serving))
    });
    let archive = reloader.as_ref().map(|_| Arc::new(Archive::new(adjusting(args))));
    let shadow = Arc::new(Shadow::default());
    let admin = Admin {
        gate: Arc::clone(&gate),
        board,
        reloader: reloader.clone(),
        archive: archive.clone(),
        shadow: Arc::clone(&shadow),
    };
    bound.serve(&server, admin);
    background::start(&gate);
    probe::start(&gate);
    if let (Some(dir), Some(reloader), Some(archive)) = (&args.bundle, reloader, archive) {
        tokio::spawn(shadow::follow(shadow, Arc::clone(&gate), Arc::clone(&reloader), Arc::clone(&archive)));
        tokio::spawn(offended::follow(Arc::clone(&gate), archive));
        tokio::spawn(reload::follow(reloader, Watcher::start(dir, SETTLE)));
    }
    stop(&server, &gate, signals).await
}

// === impl Bound ===

impl Bound {
    /// Binds the admin's address and the clients'.
    async fn open(settings: &Settings) -> Result<Self, String> {
        let admin = settings.admin.address;
        let listener = TcpListener::bind(admin).await.map_err(|error| format!("admin {admin}: {error}"))?;
        let mut clients = Vec::new();
        for placed in &settings.listen {
            let acceptor = match &placed.tls {
                Some(files) => Some(tls::acceptor(files.cert.path(), files.key.path())?),
                None => None,
            };
            let address = placed.address;
            let listener = Listener::bind(address, acceptor, placed.h2c).await;
            clients.push((listener.map_err(|error| format!("listen {address}: {error}"))?, placed.tls.is_some()));
        }
        Ok(Self { admin: listener, clients })
    }

    /// Serves them all, and says where.
    fn serve(self, server: &Arc<Server>, answers: Admin) {
        let hash = answers.gate.live.load().short_hash().to_owned();
        let admin = self.admin.local_addr().map_or_else(|error| error.to_string(), |admin| admin.to_string());
        tokio::spawn(edge::local::serve(self.admin, answers));
        for (listener, tls) in self.clients {
            let scheme = if tls { "https" } else { "http" };
            if let Ok(address) = listener.address() {
                eprintln!("tidegate {hash} serves {scheme}://{address} (admin http://{admin})");
            }
            tokio::spawn(Arc::clone(server).accept(listener));
        }
    }
}

/// Waits for a signal, then ends as it asks.
async fn stop(server: &Server, gate: &ArcGate, mut signals: Signals) -> ExitCode {
    if signals.next().await == Stop::AtOnce {
        return ExitCode::SUCCESS;
    }
    let grace = gate.live.load().settings.limits.shutdown;
    tracing::info!(connections = server.open(), grace = ?grace, "draining");
    let drained = tokio::select! {
        drained = server.close(grace) => drained,
        _ = signals.next() => false,
    };
    if drained {
        ExitCode::SUCCESS
    } else {
        tracing::warn!(connections = server.open(), "stopped with exchanges under way");
        ExitCode::FAILURE
    }
}

/// A running gate.
type ArcGate = Arc<Gate<Dialer>>;
