//! Where in a policy something happens: `route.lua:12`, for faults, logs and decisions.

use mlua::{Function, Lua};

use super::host::short_name;

/// A line of a file of the bundle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spot {
    /// The file, relative to the bundle's root.
    pub(super) file: String,
    /// The line, counted from 1.
    pub(super) line: usize,
}

// === impl Spot ===

impl Spot {
    /// The line of a policy that called the host function now running, however many helpers stand between.
    pub(super) fn here(lua: &Lua) -> Option<Self> {
        (0..12).find_map(|level| {
            let look = |debug: &mlua::debug::Debug<'_>| {
                let source = debug.source().source?;
                let file = short_name(&source)?.to_owned();
                Some(Self { file, line: debug.current_line()? })
            };
            lua.inspect_stack(level, look).flatten()
        })
    }

    /// Where a function starts.
    pub(super) fn of(function: &Function) -> Option<Self> {
        let info = function.info();
        let source = info.source?;
        Some(Self { file: short_name(&source)?.to_owned(), line: info.line_defined? })
    }

    /// The first place in a message or traceback, whose lines look like `lib/sse.lua:12: text`.
    pub(super) fn find(text: &str) -> Option<Self> {
        text.lines().find_map(Self::start_of)
    }

    /// The first place in a line: what it starts with, or what stands in brackets.
    fn start_of(line: &str) -> Option<Self> {
        let line = line.trim_start();
        let end = [".lua:", ".luau:"].iter().filter_map(|ending| Some(line.find(ending)? + ending.len())).min()?;
        let file = line.get(..end - 1)?.rsplit('(').next()?;
        let digits: String = line.get(end..)?.chars().take_while(char::is_ascii_digit).collect();
        Some(Self { file: file.to_owned(), line: digits.parse().ok()? })
    }
}

impl std::fmt::Display for Spot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}
