//! Rendezvous hashing with weights (Thaler and Ravishankar 1998; Schindelhauer and Schomaker 2005): each endpoint has a
//! number for each key, and the largest wins. When one goes, only its keys move, and they come back with it.

use std::sync::Arc;

use super::Candidates;
use crate::upstream::Endpoint;

/// The number of a key, or of a name.
pub fn key_of(bytes: &[u8]) -> u64 {
    let hash = blake3::hash(bytes);
    hash.as_bytes().iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// The endpoint that a key is at home at.
pub(super) fn nearest<'e>(those: impl Candidates<'e>, key: u64) -> Option<&'e Arc<Endpoint>> {
    let mut weights = those.clone().map(|endpoint| endpoint.weight);
    let first = weights.next()?;
    if weights.all(|weight| weight == first) {
        // Among equals the order of the numbers is that of the scores, and costs no logarithm.
        return those.max_by_key(|endpoint| mixed(key, endpoint.seed));
    }
    those.max_by(|one, other| score(key, one).total_cmp(&score(key, other)))
}

#[allow(clippy::cast_precision_loss, reason = "53 bits are kept, as many as the type has")]
fn score(key: u64, endpoint: &Endpoint) -> f64 {
    let unit = ((mixed(key, endpoint.seed) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    -f64::from(endpoint.weight.max(1)) / unit.ln()
}

/// Both as one number (the finalizer of splitmix64, Steele et al. 2014).
fn mixed(key: u64, seed: u64) -> u64 {
    let mut z = key ^ seed.rotate_left(32);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
