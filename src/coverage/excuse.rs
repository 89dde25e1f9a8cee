//! Why a hook cannot run in a situation: all excuses in one table, in sentences for the owner of a policy.

use super::Situation;
use super::dialect::Tongue;
use crate::policy::Hook;

/// For which clients an excuse holds.
#[derive(Clone, Copy)]
enum For {
    /// All.
    Everyone,
    /// Those of no dialect.
    Other,
}

/// Hooks that do not run in these situations, for these clients, and why.
type Excuse = (&'static [Hook], &'static [Situation], For, &'static str);

/// The table. The first row that fits is the one that is shown.
const TABLE: &[Excuse] = {
    use Hook::{Background, Commit, Endpoints, Failover, OnAttempt, OnError, OnEvent, OnResponse, OnStreamEnd};
    use Situation as S;
    &[
        (&[Background], &S::ALL, For::Everyone, "background work belongs to no call: it runs by the clock"),
        (&[Failover], &[S::Whole, S::Stream], For::Everyone, "the first attempt succeeds"),
        (&[Commit], &[S::Whole], For::Everyone, "the answer does not stream"),
        (&[OnAttempt, Commit, Failover], &[S::Hit], For::Everyone, "a stored answer needs no attempt"),
        (&[OnAttempt, Commit, Failover], &[S::Join], For::Everyone, "the joined call makes them"),
        (&[Failover], &[S::Abort], For::Everyone, "nobody is left for whom another attempt could be made"),
        (&[OnStreamEnd], &[S::Whole], For::Everyone, "the answer does not stream"),
        (&[OnEvent], &[S::Whole, S::Hit], For::Other, "a whole answer of no dialect has no pieces that the gate knows"),
        (&[OnStreamEnd], &[S::Hit], For::Other, "a stream of no dialect is not stored: nothing says that it is whole"),
        (&[OnStreamEnd, OnError], &[S::Abort], For::Everyone, "nobody is left who could be told anything"),
        (
            &[OnError],
            &[S::Whole, S::Stream, S::Hit, S::Join, S::Failover],
            For::Everyone,
            "the gate makes no error of its own",
        ),
        (&[Commit, OnResponse, OnEvent, OnStreamEnd], &[S::Error], For::Everyone, "no upstream gives a response"),
        (&[Endpoints], &[S::Hit], For::Everyone, "the answer of a policy's own endpoint is not stored"),
        (&[Endpoints], &[S::Join], For::Everyone, "a policy's own endpoint answers each call by itself"),
        (&[Endpoints], &[S::Failover], For::Everyone, "a policy's own endpoint answers without an attempt"),
    ]
};

/// Why a hook cannot run in a situation for clients of a dialect; nothing when it must.
pub(super) fn of(hook: Hook, situation: Situation, tongue: &Tongue) -> Option<&'static str> {
    let fits = |(hooks, situations, clients, _): &&Excuse| {
        let concerns = match clients {
            For::Everyone => true,
            For::Other => tongue.is_other(),
        };
        concerns && hooks.contains(&hook) && situations.contains(&situation)
    };
    TABLE.iter().find(fits).map(|(.., why)| *why)
}
