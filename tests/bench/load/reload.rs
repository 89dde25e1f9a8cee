//! The time from saving a policy to the first answer that it shaped.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use crate::Failure;
use crate::record::{Record, Times};
use crate::target::Target;
use crate::wire::Wire;
use crate::work::Variant;

/// Between two looks at what serves.
const LOOK: Duration = Duration::from_millis(1);
/// Between two saves: longer than any settling.
const BETWEEN: Duration = Duration::from_millis(400);
const PATIENCE: Duration = Duration::from_secs(5);

/// What the command is told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: Target,
    /// The policy to save. It sets the response header `x-revision` and holds its value, `revision-0` at first.
    #[arg(long)]
    file: PathBuf,
    /// How often to save.
    #[arg(long, default_value_t = 10)]
    n: usize,
}

/// Saves and waits, again and again.
pub(crate) async fn measure(arguments: &Arguments) -> Result<Record, Failure> {
    let text = fs::read_to_string(&arguments.file)?;
    let variants: Arc<[Variant]> = arguments.target.variants().into();
    let request = variants.first().map(|variant| variant.bytes.as_slice()).unwrap_or_default();
    let address = arguments.target.address;
    let mut times = Times::default();
    for turn in 1..=arguments.n {
        let revision = format!("revision-{turn}");
        sleep(BETWEEN).await; // paced: each save is to be seen by itself
        fs::write(&arguments.file, text.replace("revision-0", &revision))?;
        let saved = Instant::now();
        timeout(PATIENCE, served(address, request, revision.as_bytes())).await??;
        times.push(saved.elapsed());
    }
    let mut record = Record::new(&arguments.target.peer, "reload", arguments.target.work.name());
    record.set("saves", times.count());
    record.set_times("", &mut times);
    Ok(record)
}

/// Asks until an answer carries the revision. Each look is a connection of its own: the gate may close old ones.
async fn served(address: SocketAddr, request: &[u8], revision: &[u8]) -> std::io::Result<()> {
    loop {
        let mut wire = Wire::connect(address).await?;
        wire.write(request).await?;
        let head = wire.head().await?.ok_or(std::io::ErrorKind::UnexpectedEof)?;
        wire.body(&head, |_| ()).await?;
        if head.field("x-revision") == Some(revision) {
            return Ok(());
        }
        sleep(LOOK).await; // paced: the gate is to reload, not to be loaded
    }
}
