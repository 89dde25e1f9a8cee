//! Every kind of mistake is told with its line, all of them at once; what is right is read, masked and compared.

mod faulty;
mod sound;

use std::path::Path;

use super::{Place, Settings, parse_in};

/// Secrets of a machine that has one key in its environment and one in a file.
fn machine(place: &Place) -> Result<String, String> {
    match place {
        Place::Env(name) if name == "KEY" => Ok("sk-hidden".to_owned()),
        Place::File(path) if path == Path::new("bundle/key") => Ok("fk-hidden".to_owned()),
        Place::Env(name) => Err(format!("the environment variable `{name}` is not set")),
        Place::File(path) => Err(format!("the secret in file `{}` cannot be read", path.display())),
    }
}

fn sound(text: &str) -> Settings {
    match parse_in(text, "tidegate.toml", Path::new("bundle"), &machine) {
        Ok(settings) => settings,
        Err(faults) => panic!("{faults:#?}"),
    }
}

/// The faults as an owner reads them.
fn faults(text: &str) -> Vec<String> {
    match parse_in(text, "tidegate.toml", Path::new("bundle"), &machine) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}
