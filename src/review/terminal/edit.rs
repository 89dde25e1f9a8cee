//! Opens the files behind a difference in the editor, and plays again what they say then.

use std::collections::BTreeMap;
use std::io;

use super::super::look::Compared;
use super::super::side::visible;
use super::{Item, Session};
use crate::case::review::file_of;
use crate::fault::Fault;

/// How many files are offered: each has a digit.
const CHOICES: usize = 9;

/// How the line of a snapshot begins that names the hooks that answered.
const HOOKS: &str = "hooks: ";

/// The files behind a case, from the bundle's root: the case itself, then the policies that its snapshots name, then
/// the others: a hook that only edits is not named.
fn files_of(case: &Compared, policies: &BTreeMap<String, String>) -> Vec<String> {
    let mut files = Vec::new();
    if case.new.is_some() || !case.faults.is_empty() {
        files.push(file_of(&case.name));
    }
    let texts = [&case.new, &case.old].into_iter().flatten();
    let hooks = texts.flat_map(|text| text.lines().filter_map(|line| line.strip_prefix(HOOKS)));
    for file in hooks.flat_map(|hooks| hooks.split(", ")).filter_map(|hook| hook.rsplit(' ').next()) {
        if policies.contains_key(file) && !files.iter().any(|known| known == file) {
            files.push(file.to_owned());
        }
    }
    let others: Vec<&String> = policies.keys().filter(|file| !files.contains(file)).collect();
    files.extend(others.into_iter().cloned());
    files
}

// === impl Session ===

impl Session<'_> {
    /// Lets the person edit a file behind the item, and plays again. False when nothing was opened.
    pub(super) fn edit(&mut self, item: &Item) -> io::Result<bool> {
        let bundle = &self.look.sight.bundle;
        let files = self.cases(item).first().map(|case| files_of(case, &bundle.files));
        let Some(file) = self.choose(&files.unwrap_or_default())? else { return Ok(false) };
        let path = self.look.sight.root.join(&file);
        loop {
            if let Err(error) = self.screen.edit(&path) {
                self.screen.say(&format!("{}\n", visible(&error.to_string())))?;
                return Ok(false);
            }
            if !self.play_again()? {
                return Ok(true);
            }
        }
    }

    /// Asks which file; not when there is only one.
    fn choose(&mut self, files: &[String]) -> io::Result<Option<String>> {
        match files {
            [] => {
                self.screen.say("There is no file behind it.\n")?;
                return Ok(None);
            }
            [file] => return Ok(Some(file.clone())),
            _ => {}
        }
        for (number, file) in files.iter().enumerate().take(CHOICES) {
            self.screen.say(&format!("  {} {}\n", number + 1, visible(file)))?;
        }
        self.screen.say("which one? any other key for none >")?;
        let key = self.screen.key()?;
        self.screen.say("\n")?;
        let number = key.to_digit(10).and_then(|digit| (digit as usize).checked_sub(1));
        Ok(number.and_then(|number| files.get(number)).cloned())
    }

    /// Plays everything again. True when the file has to be opened once more.
    fn play_again(&mut self) -> io::Result<bool> {
        loop {
            let faults = match (self.play)() {
                Ok(look) => {
                    self.look = look;
                    self.collect();
                    return Ok(false);
                }
                Err(faults) => faults,
            };
            let told: Vec<String> = faults.iter().map(Fault::to_string).map(|fault| visible(&fault)).collect();
            self.screen.say(&format!("{}\n", told.join("\n")))?;
            self.screen.say("e open it again  p play again  q leave >")?;
            let key = self.screen.key()?;
            self.screen.say("\n")?;
            match key {
                'e' => return Ok(true),
                'q' => {
                    self.left = true;
                    return Ok(false);
                }
                _ => {}
            }
        }
    }
}
