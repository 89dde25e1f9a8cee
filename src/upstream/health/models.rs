//! The breakers of an endpoint's models: as many as an endpoint has models in use, and never more than a few.

use std::time::Duration;

use crate::upstream::breaker::Breaker;

/// Models of one endpoint that are told apart; names come from clients, so that there could be any number.
const MOST: usize = 64;

/// The breakers of an endpoint's models.
#[derive(Debug, Default)]
pub(super) struct Models(Vec<Model>);

#[derive(Debug)]
struct Model {
    name: Box<str>,
    breaker: Breaker,
    used: Duration,
}

// === impl Models ===

impl Models {
    /// The breaker of a model that was in use.
    pub(super) fn get(&self, name: &str) -> Option<&Breaker> {
        self.0.iter().find(|model| &*model.name == name).map(|model| &model.breaker)
    }

    /// The breaker of a model. When there are too many, the one that was not in use for longest makes room, a closed one
    /// before others.
    pub(super) fn at(&mut self, name: &str, now: Duration) -> &mut Breaker {
        let found = self.0.iter().position(|model| &*model.name == name);
        let at = found.unwrap_or_else(|| {
            let new = Model { name: name.into(), breaker: Breaker::default(), used: now };
            if self.0.len() < MOST {
                self.0.push(new);
                return self.0.len() - 1;
            }
            let oldest = self.0.iter().enumerate().min_by_key(|(_, model)| (!model.breaker.is_closed(), model.used));
            let at = oldest.map_or(0, |(at, _)| at);
            self.0[at] = new;
            at
        });
        self.0[at].used = now;
        &mut self.0[at].breaker
    }

    /// Whether all are closed.
    pub(super) fn are_closed(&self) -> bool {
        self.0.iter().all(|model| model.breaker.is_closed())
    }

    /// All of them, with their names.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Breaker)> {
        self.0.iter().map(|model| (&*model.name, &model.breaker))
    }

    /// Forgets all of them; returns the names of those that were not closed.
    pub(super) fn take_open(&mut self) -> Vec<Box<str>> {
        let all = std::mem::take(&mut self.0);
        all.into_iter().filter(|model| !model.breaker.is_closed()).map(|model| model.name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_without_number_are_told_apart_only_up_to_a_few_and_open_ones_stay() {
        let mut models = Models::default();
        models.at("open", Duration::ZERO).told_open(Duration::from_secs(9), 1);
        for n in 0..10_000 {
            models.at(&n.to_string(), Duration::from_secs(n));
        }
        assert_eq!(models.0.len(), MOST);
        assert!(models.get("open").is_some_and(|breaker| !breaker.is_closed()) && models.get("9999").is_some());
        assert_eq!(models.take_open(), [Box::<str>::from("open")]);
    }
}
