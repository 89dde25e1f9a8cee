//! Anthropic's blocks: a client that was not told of a block's beginning knows neither its end nor its number.

use std::collections::BTreeSet;

use super::{read, renumber};
use crate::dialect::view::walk;
use crate::json::Limits;
use crate::stream::Event;

/// Whether an event is of a block whose beginning was not sent.
pub(super) fn is_of(gone: &BTreeSet<u64>, event: &Event, limits: Limits) -> bool {
    block(event, limits).is_some_and(|(_, index)| gone.contains(&index))
}

/// Takes note of an event, and numbers what was sent for it.
pub(super) fn follow(gone: &mut BTreeSet<u64>, came: &Event, sent: &mut [Event], limits: Limits) {
    if let Some((true, index)) = block(came, limits)
        && !sent.iter().any(|event| block(event, limits) == Some((true, index)))
    {
        gone.insert(index);
    }
    for event in sent {
        renumber(event, "index", gone, limits);
    }
}

/// Which block an event is of, and whether it begins there.
fn block(event: &Event, limits: Limits) -> Option<(bool, u64)> {
    let (mut doc, root) = read(event, limits)?;
    let kind = walk::word(&mut doc, root, "type")?;
    let index = walk::number(&mut doc, root, "index")?;
    kind.starts_with("content_block").then_some((kind == "content_block_start", index))
}
