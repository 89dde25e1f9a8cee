//! What differs between two generations' settings and needs a restart to come into force.

use serde_json::Value as Json;

use super::Settings;
use super::parse::{Key, Reach, Shape, Value};

/// One sentence for each changed setting that stays as it was until the gate is started again.
pub fn reload_notes(old: &Settings, new: &Settings) -> Vec<String> {
    let mut notes = Vec::new();
    compare(&Settings::keys(), "", &old.shown(), &new.shown(), &mut notes);
    notes
}

fn compare(keys: &[Key], prefix: &str, old: &Json, new: &Json, notes: &mut Vec<String>) {
    for key in keys {
        let (Some(before), Some(after)) = (old.get(key.name), new.get(key.name)) else {
            continue;
        };
        if before == after {
            continue;
        }
        let path = format!("{prefix}{}", key.name);
        if key.reach == Reach::Restart {
            notes.push(format!("`{path}` changed from {before} to {after}: takes effect when the gate is restarted"));
        } else if key.shape == Shape::Section {
            compare(&key.keys, &format!("{path}."), before, after, notes);
        }
    }
}
