//! Whom to measure, with which work: what several commands ask for.

use std::net::SocketAddr;

use crate::work::{Variant, Work};

/// A target and its work.
#[derive(Clone, clap::Args)]
pub(crate) struct Target {
    /// Where the target listens.
    #[arg(long = "target")]
    pub address: SocketAddr,
    /// The name it has in the table.
    #[arg(long, default_value = "target")]
    pub peer: String,
    /// The work it does.
    #[arg(long, value_enum)]
    pub work: Work,
    /// Looks at the status and the length only, for targets that are to do nothing but forward.
    #[arg(long)]
    pub unchecked: bool,
    /// A field that the target needs in every request, `name: value`; may come more than once.
    #[arg(long = "field")]
    pub fields: Vec<String>,
}

/// A target whose process is watched.
#[derive(Clone, clap::Args)]
pub(crate) struct Watched {
    #[command(flatten)]
    pub target: Target,
    /// The process to watch.
    #[arg(long)]
    pub pid: u32,
}

// === impl Target ===

impl Target {
    /// The requests to send, in turn.
    pub(crate) fn variants(&self) -> Vec<Variant> {
        self.work.variants(!self.unchecked, &self.fields)
    }
}
