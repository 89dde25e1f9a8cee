//! Chooses the next endpoint of an upstream: by weight among those not tried yet, the reserve last.

use super::Endpoint;

/// Chooses among `endpoints` those that `tried` does not exclude, by weight; endpoints of weight 0 only when no
/// other is left. `draw` gives a number in `0.0..1.0`, and is asked only when there is a choice. `None` when all were
/// tried.
pub fn choose<E: AsRef<Endpoint>>(
    endpoints: &[E],
    tried: impl Fn(&Endpoint) -> bool,
    draw: impl FnOnce() -> f64,
) -> Option<&E> {
    let left = || endpoints.iter().filter(|endpoint| !tried((*endpoint).as_ref()));
    if left().nth(1).is_none() {
        return left().next();
    }
    let draw = draw();
    let total: u64 = left().map(|endpoint| u64::from(endpoint.as_ref().weight)).sum();
    if total == 0 {
        let count = left().count() as u64;
        return left().zip(0..).find(|(_, place)| *place == scale(draw, count)).map(|(endpoint, _)| endpoint);
    }
    let mut mark = scale(draw, total);
    left().find(|endpoint| {
        let weight = u64::from(endpoint.as_ref().weight);
        let hit = mark < weight;
        mark = mark.saturating_sub(weight);
        hit
    })
}

/// Scales a draw to `0..total`.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "weights are far below 2^52 and the draw is below 1"
)]
fn scale(draw: f64, total: u64) -> u64 {
    ((draw.clamp(0.0, 1.0) * total as f64) as u64).min(total.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::upstream::{HttpVersion, Trust};

    fn endpoint(name: &str, weight: u32) -> Endpoint {
        Endpoint {
            name: name.to_owned(),
            tls: false,
            host: "127.0.0.1".to_owned(),
            port: 80,
            prefix: String::new(),
            weight,
            headers: Vec::new(),
            host_header: http::HeaderValue::from_static("127.0.0.1"),
            preserve_host: false,
            http: HttpVersion::One,
            trust: Trust::default(),
            keep_alive: std::time::Duration::ZERO,
            write_timeout: std::time::Duration::ZERO,
            connect_timeout: std::time::Duration::ZERO,
            peers: crate::upstream::peers::Peers::default(),
        }
    }

    fn shares(weights: &[u32], tried: &[&str]) -> Vec<usize> {
        let endpoints: Vec<Arc<Endpoint>> =
            weights.iter().enumerate().map(|(i, weight)| Arc::new(endpoint(&i.to_string(), *weight))).collect();
        let mut counts = vec![0; weights.len()];
        for step in 0..1000 {
            let draw = f64::from(step) / 1000.0;
            if let Some(chosen) = choose(&endpoints, |e| tried.contains(&e.name.as_str()), || draw) {
                counts[chosen.name.parse::<usize>().unwrap()] += 1;
            }
        }
        counts
    }

    #[test]
    fn weights_are_respected() {
        assert_eq!(shares(&[1, 3], &[]), [250, 750]);
    }

    #[test]
    fn weight_zero_serves_only_as_reserve() {
        assert_eq!(shares(&[0, 1], &[]), [0, 1000]);
        assert_eq!(shares(&[0, 1], &["1"]), [1000, 0]);
    }

    #[test]
    fn all_zero_is_uniform() {
        assert_eq!(shares(&[0, 0], &[]), [500, 500]);
    }

    #[test]
    fn a_tried_endpoint_is_never_chosen_again() {
        assert_eq!(shares(&[5, 1], &["0"]), [0, 1000]);
        assert_eq!(shares(&[5, 1], &["0", "1"]), [0, 0]);
    }
}
