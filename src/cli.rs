//! The commands: what is said to people, and which part of the library does it.

pub mod ask;

pub mod cache;

pub mod check;

pub mod coverage;

pub mod explain;

pub mod generations;

pub mod matrix;

pub mod mock;

pub mod new;

pub mod review;

pub mod runtime;

pub mod record;

pub mod replay;

pub mod serve;

pub mod status;

pub mod test;

pub mod types;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::dialect::matrix::NAMES;
use crate::gate::canary::By;

/// Exit code for mistakes in a bundle or on the command line.
pub const EXIT_FAULTS: u8 = 2;

/// What every command's exit code means.
const EXIT_CODES: &str = "Exit codes: 0 all is well; 1 something differs, is not accepted, was refused, or no gate \
    answers; 2 a mistake in the bundle or on the command line.";

/// A programmable reverse proxy: Lua policies decide who is calling, where requests go, what is cached and what
/// happens when an upstream fails.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a bundle of your own.
    New {
        /// The folder to make; it must not exist or be empty.
        dir: PathBuf,
    },
    /// Serve a bundle, or everything to one upstream.
    Serve(ServeArgs),
    /// Say what a running gate serves, since when, what waits for a review and what was rejected.
    Status(StatusArgs),
    /// Check a bundle and say every fault at once.
    Check(BundleArgs),
    /// Play a bundle's cases and compare with their snapshots.
    Test(TestArgs),
    /// Show what a changed bundle does to its cases, and accept it.
    Review(ReviewArgs),
    /// Save the last exchanges of a running gate as cases, redacted, with snapshots.
    Record(RecordArgs),
    /// Tell every decision of a past exchange, with file and line.
    Explain(ExplainArgs),
    /// Play recorded exchanges on what is live and on what is to be, and count what changes.
    Replay(ReplayArgs),
    /// Look into the cache of a running gate, or take answers out of it; say what the keys of requests are made of.
    #[command(subcommand)]
    Cache(cache::CacheCommand),
    /// List the bundles that a running gate keeps: live, staged, held, kept.
    Generations(StatusArgs),
    /// Print a token with which a generation that does not serve answers.
    ///
    /// Requests that carry it in the header `x-tidegate-preview` are answered by that generation, on the same address,
    /// with a cache, limits and counters of its own.
    Preview(PreviewArgs),
    /// Let an accepted generation serve: everyone at once, or a share of the users at first.
    Promote(PromoteArgs),
    /// Go back to a generation that served before; it stays until the bundle is saved again.
    Rollback(RollbackArgs),
    /// Print the reference of all settings.
    Settings,
    /// Print the types of the policy API for editors (luau-lsp).
    Types,
    /// Translate every feature between every two dialects, and say what survives.
    Matrix(MatrixArgs),
    /// Run every hook for every dialect in every situation, and say where it ran.
    Coverage(CoverageArgs),
    /// Be an upstream that speaks every dialect, with faults on request: for trying out and for tests.
    Mock {
        /// The address to listen on.
        #[arg(long, default_value = "127.0.0.1:9100")]
        listen: SocketAddr,
        /// Its name, which every answer carries in `x-mock`.
        #[arg(long, default_value = "mock")]
        name: String,
    },
}

/// What to serve, and where.
#[derive(Clone, Debug, clap::Args)]
pub struct ServeArgs {
    /// The bundle: a folder with tidegate.toml.
    #[arg(conflicts_with = "upstream", required_unless_present = "upstream")]
    pub bundle: Option<PathBuf>,
    /// Serve without a bundle: everything goes to this URL.
    #[arg(long)]
    pub upstream: Option<String>,
    /// The address for clients, in place of the settings'.
    #[arg(long)]
    pub listen: Option<SocketAddr>,
    /// The address for status and metrics, in place of the settings'.
    #[arg(long)]
    pub admin: Option<SocketAddr>,
    /// Add nothing to the messages that are forwarded: no `X-Forwarded-*`, no `Via`, no request id.
    #[arg(long)]
    pub transparent: bool,
    /// Worker threads; one for each processor unless given.
    #[arg(long)]
    pub threads: Option<usize>,
}

/// A bundle, and how to say what was found.
#[derive(Debug, clap::Args)]
pub struct BundleArgs {
    /// The bundle: a folder with tidegate.toml.
    pub bundle: PathBuf,
    /// One JSON object for programs.
    #[arg(long)]
    pub json: bool,
}

/// Which cases to play.
#[derive(Debug, clap::Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct TestArgs {
    /// The bundle: a folder with tidegate.toml.
    pub bundle: PathBuf,
    /// Only cases whose name contains this.
    pub filter: Option<String>,
    /// Write the snapshots anew: what the gate does now becomes what it should do.
    #[arg(long)]
    pub update: bool,
    /// Cut every stream at every place, let every mishap happen after every event, and say what does not hold.
    #[arg(long, conflicts_with_all = ["update", "lines"])]
    pub splits: bool,
    /// Say which lines of the policies no case reaches.
    #[arg(long, conflicts_with = "update")]
    pub lines: bool,
    /// One JSON object for programs.
    #[arg(long)]
    pub json: bool,
}

/// Which bundle to review, and how.
#[derive(Debug, clap::Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own on the command line")]
pub struct ReviewArgs {
    /// The bundle: a folder with tidegate.toml.
    pub bundle: PathBuf,
    /// Ask only about cases whose name contains this; the bundle is accepted when nothing else differs.
    #[arg(long)]
    pub filter: Option<String>,
    /// Ask nothing: exit code 0 when nothing differs and exactly this bundle was accepted, else 1 with what differs.
    #[arg(long, conflicts_with_all = ["accept_all", "filter"])]
    pub ci: bool,
    /// Ask nothing and accept everything.
    #[arg(long)]
    pub accept_all: bool,
    /// Who accepts; git's user.name unless given, else the name of the account.
    #[arg(long)]
    pub name: Option<String>,
    /// Accept without going live: `tidegate promote` decides when.
    #[arg(long, conflicts_with = "ci")]
    pub hold: bool,
    /// One JSON object for programs: groups, cases, old and new texts. Asks nothing.
    #[arg(long)]
    pub json: bool,
}

/// Which dialects to translate between, and how to say what came of it.
#[derive(Debug, clap::Args)]
pub struct MatrixArgs {
    /// Only clients of this dialect.
    #[arg(long, value_parser = NAMES)]
    pub client: Option<String>,
    /// Only upstreams of this dialect.
    #[arg(long, value_parser = NAMES)]
    pub upstream: Option<String>,
    /// One JSON object for programs, with every reason.
    #[arg(long, conflicts_with = "markdown")]
    pub json: bool,
    /// A table in Markdown.
    #[arg(long)]
    pub markdown: bool,
}

/// How to show where hooks ran.
#[derive(Debug, clap::Args)]
pub struct CoverageArgs {
    /// One JSON object for programs.
    #[arg(long, conflicts_with = "markdown")]
    pub json: bool,
    /// A table in Markdown.
    #[arg(long)]
    pub markdown: bool,
}

/// Which exchanges to save, and how.
#[derive(Debug, clap::Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct RecordArgs {
    /// One exchange by its id (in the log, and in the header x-request-id), or the beginning of it.
    pub id: Option<String>,
    /// So many of those that are meant, the newest; one unless given, with `--list` all.
    #[arg(long, conflicts_with = "id")]
    pub last: Option<usize>,
    /// Only of clients whose name contains this, such as pycharm.
    #[arg(long)]
    pub client: Option<String>,
    /// Only of users whose name contains this.
    #[arg(long)]
    pub user: Option<String>,
    /// Only with a path that contains this.
    #[arg(long)]
    pub path: Option<String>,
    /// Only with this status, or this kind of status: 429, 5xx.
    #[arg(long)]
    pub status: Option<String>,
    /// List what is kept, and save nothing.
    #[arg(long)]
    pub list: bool,
    /// Save the exchange of this id from a file, of recordings or HAR, into the bundle that --into names.
    #[arg(long, requires = "id", requires = "into", conflicts_with_all = ["list", "jsonl"])]
    pub from: Option<PathBuf>,
    /// Print recordings for `replay`, a line each, and write no files.
    #[arg(long, conflicts_with = "list")]
    pub jsonl: bool,
    /// The case's name, such as route/pycharm, in place of one made from client and path.
    #[arg(long, conflicts_with = "last")]
    pub name: Option<String>,
    /// The bundle to write to, in place of the gate's own.
    #[arg(long)]
    pub into: Option<PathBuf>,
    /// Keep texts as people and models wrote them; secrets, addresses and ids are replaced all the same.
    #[arg(long)]
    pub keep_text: bool,
    /// Keep everything as it came, secrets too.
    #[arg(long, conflicts_with = "keep_text")]
    pub as_is: bool,
    /// Which gate to ask.
    #[command(flatten)]
    pub gate: StatusArgs,
}

/// Which exchange to explain.
#[derive(Debug, clap::Args)]
pub struct ExplainArgs {
    /// Its id (in the log, and in the header x-request-id), or the beginning of it.
    pub id: String,
    /// Say too what this generation would do: the first digits of its hash (`tidegate generations` lists them).
    #[arg(long)]
    pub with: Option<String>,
    /// Which gate to ask.
    #[command(flatten)]
    pub gate: StatusArgs,
}

/// What to play, and on what.
#[derive(Debug, clap::Args)]
pub struct ReplayArgs {
    /// Recordings, a line each (`tidegate record --last 500 --jsonl`), or a HAR file that ends in .har.
    pub file: PathBuf,
    /// The bundle. What its gate served last is compared with what is on disk.
    pub bundle: PathBuf,
    /// Compare with this bundle instead.
    #[arg(long)]
    pub candidate: Option<PathBuf>,
    /// One JSON object for programs.
    #[arg(long)]
    pub json: bool,
}

/// Which gate to ask.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// The gate's admin address.
    #[arg(long, env = "TIDEGATE_ADMIN", hide_env_values = true, default_value = "127.0.0.1:8801")]
    pub admin: SocketAddr,
    /// The whole answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Which generation to go back to.
#[derive(Debug, clap::Args)]
pub struct RollbackArgs {
    /// The first digits of its hash, at least 4; the one that was live before unless given.
    pub generation: Option<String>,
    /// Which gate to ask.
    #[command(flatten)]
    pub gate: StatusArgs,
}

/// Which generation is to serve, and whom.
#[derive(Debug, clap::Args)]
pub struct PromoteArgs {
    /// The first digits of its hash, at least 4.
    #[arg(required_unless_present = "stop", conflicts_with = "stop")]
    pub generation: Option<String>,
    /// Serve so many of a hundred users with it, always the same ones; everyone at once unless given.
    #[arg(long)]
    pub percent: Option<f64>,
    /// What makes a user: who is unknown is told by the address.
    #[arg(long, requires = "percent", value_parser = By::WORDS)]
    pub by: Option<String>,
    /// After how long `status` says that it is time to decide, such as 10m. It keeps its share all the same.
    #[arg(long = "for", requires = "percent")]
    pub time: Option<String>,
    /// Give the share back when this holds, such as `policy_errors>0 or p99>+20%`. It may ask for
    /// `policy_errors`, `errors`, `p50`, `p99`, `first`, against a count, 1%, 2s, or a change from what is live: +20%.
    #[arg(long, requires = "percent")]
    pub abort: Option<String>,
    /// Give back the share of the generation that has one.
    #[arg(long)]
    pub stop: bool,
    /// Which gate to ask.
    #[command(flatten)]
    pub gate: StatusArgs,
}

/// Which generation to look at.
#[derive(Debug, clap::Args)]
pub struct PreviewArgs {
    /// The first digits of its hash, at least 4; the staged one unless given.
    pub generation: Option<String>,
    /// How long the token lasts, such as 30m.
    #[arg(long = "for", default_value = "1h")]
    pub time: String,
    /// Which gate to ask.
    #[command(flatten)]
    pub gate: StatusArgs,
}

/// Runs the command line and turns its end into an exit code.
pub fn run() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(args) => serve::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Review(args) => review::run(&args),
        Command::Record(args) => record::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Cache(command) => cache::run(&command),
        Command::Status(args) => status::run(&args),
        Command::Generations(args) => generations::list(&args),
        Command::Rollback(args) => generations::rollback(&args),
        Command::Promote(args) => generations::promote(&args),
        Command::Preview(args) => generations::preview(&args),
        Command::New { dir } => new::run(&dir),
        Command::Types => types::run(),
        Command::Settings => types::settings(),
        Command::Matrix(args) => matrix::run(&args),
        Command::Coverage(args) => coverage::run(&args),
        Command::Mock { listen, name } => mock::run(listen, name),
    }
}

/// Says what went wrong, and gives the exit code for it.
fn fail(message: &str) -> ExitCode {
    eprintln!("tidegate: {message}");
    ExitCode::from(EXIT_FAULTS)
}

/// Prints text for people or programs; a reader that closed the pipe is no error.
fn print(text: &str) {
    use std::io::Write;
    let _ = std::io::stdout().write_all(text.as_bytes());
}
