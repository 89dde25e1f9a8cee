//! The wait between two attempts that `failover` asked for.

use std::time::Duration;

use crate::error::{Error, Kind};
use crate::exchange::wire::Client;
use crate::exchange::{Exchange, opening};

/// Waits before the next attempt, unless the client leaves.
pub(super) async fn wait<C: Client>(client: &mut C, x: &mut Exchange, after: Duration) -> Result<(), Error> {
    if after.is_zero() || x.remaining().is_some_and(|left| left <= after) {
        return Ok(());
    }
    // Played again, who left in this wait leaves in it, however late the timers are.
    let key = || "left while waiting".to_owned();
    let leaves: bool = x.tape.told(key).unwrap_or_default();
    let waiting = async {
        if leaves {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(after).await; // paced: the back-off that failover asked for
    };
    let waited = opening::meanwhile(client, x, waiting).await;
    if waited.as_ref().is_err_and(|error| error.kind() == Kind::ClientGone) {
        x.tape.note(key, &true);
    }
    waited
}
