//! From a bundle's text to checked policies: every mistake in every file is reported at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use mlua::chunk::{ChunkMode, Compiler};
use mlua::{Function, Lua};

use super::hook::HostLimits;
use super::services::Services;
use super::set::PolicySet;
use super::source::{Mount, Secrets, Sources};
use super::vm::{Definition, Vm};
use crate::fault::Fault;

/// Code that this process compiled itself. Luau runs bytecode without checking it, so bytes from anywhere else would run
/// the gate's memory; nothing outside this file can make one.
struct TrustedBytecode(Vec<u8>);

/// One file.
struct File {
    /// Its text, to find the line of a mistake.
    text: String,
    /// Its code; `None` when its syntax is wrong.
    code: Option<TrustedBytecode>,
}

/// A bundle's files as code, whatever is mounted of them and with which parameters. Cheap to clone.
#[derive(Clone)]
pub struct Code(Arc<Files>);

/// What was compiled.
struct Files {
    /// Each file by its name.
    by_name: BTreeMap<String, File>,
    /// What is wrong with their syntax.
    faults: Vec<Fault>,
    /// Whether they count which of their lines run.
    counting: Counting,
}

/// Whether code counts which of its lines run. That costs time: production does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Counting {
    /// It does not.
    #[default]
    Off,
    /// Line by line.
    Lines,
}

/// A bundle's policies as code, shared by all VMs of a generation.
pub(super) struct Program {
    code: Code,
    /// The policies in their order.
    pub(super) mounts: Vec<Mount>,
    /// The settings' secrets.
    pub(super) secrets: Secrets,
}

/// Policies that were checked. Cheap to clone.
#[derive(Clone)]
pub struct Compiled {
    program: Arc<Program>,
    limits: HostLimits,
    definitions: Arc<[Definition]>,
    secrets_used: Arc<BTreeSet<String>>,
}

/// Compiles and evaluates all policies, and reports all that is wrong with them.
pub fn compile(sources: &Sources, limits: HostLimits) -> Result<Compiled, Vec<Fault>> {
    let code = Code::of(&sources.files, Counting::Off);
    code.mounted(sources.mounts.clone(), Arc::clone(&sources.secrets), limits)
}

// === impl Code ===

impl Code {
    /// Compiles files by their names and texts. What is wrong with them is told when they are mounted.
    pub fn of(files: &BTreeMap<String, String>, counting: Counting) -> Self {
        let mut faults = Vec::new();
        let by_name = files.iter().map(|(name, text)| {
            let code = compile_file(text, counting).map_err(|error| faults.push(syntax_fault(name, &error))).ok();
            (name.clone(), File { text: text.clone(), code })
        });
        let by_name = by_name.collect();
        Self(Arc::new(Files { by_name, faults, counting }))
    }

    /// Evaluates the policies that are mounted, and reports all that is wrong with them and with any file.
    pub fn mounted(&self, mounts: Vec<Mount>, secrets: Secrets, limits: HostLimits) -> Result<Compiled, Vec<Fault>> {
        let (program, mut faults) = Program::new(self, mounts, secrets);
        let program = Arc::new(program);
        let mut found = None;
        match Vm::build(&program, &limits, None) {
            Ok(built) => {
                faults.extend(built.faults);
                found = Some((built.vm.definitions(), Arc::new(built.secrets_used)));
            }
            Err(error) => faults.push(Fault::in_file("policies", error.to_string())),
        }
        faults.sort();
        faults.dedup();
        match found {
            Some((definitions, secrets_used)) if faults.is_empty() => {
                Ok(Compiled { program, limits, definitions, secrets_used })
            }
            _ => Err(faults),
        }
    }
}

// === impl Program ===

impl Program {
    fn new(code: &Code, mounts: Vec<Mount>, secrets: Secrets) -> (Self, Vec<Fault>) {
        let mut faults = code.0.faults.clone();
        let program = Self { code: code.clone(), mounts, secrets };
        for mount in &program.mounts {
            if !program.has(&mount.file) {
                let near = super::answer::nearest(&mount.file, program.files());
                let message = format!("policy `{}`: there is no file {}{near}", mount.name, mount.file);
                faults.push(super::params::fault(mount.line, message));
            }
        }
        (program, faults)
    }

    /// Whether there is such a file.
    pub(super) fn has(&self, file: &str) -> bool {
        self.code.0.by_name.contains_key(file)
    }

    /// The names of all files.
    pub(super) fn files(&self) -> impl Iterator<Item = &str> {
        self.code.0.by_name.keys().map(String::as_str)
    }

    /// Whether its code counts which of its lines run.
    pub(super) fn counts_lines(&self) -> bool {
        self.code.0.counting == Counting::Lines
    }

    /// A file as a function, freshly loaded; `None` when it has no code.
    pub(super) fn load(&self, lua: &Lua, file: &str) -> mlua::Result<Option<Function>> {
        let Some(code) = self.code.0.by_name.get(file).and_then(|file| file.code.as_ref()) else {
            return Ok(None);
        };
        let chunk = lua.load(code.0.as_slice()).set_name(format!("@{file}")).set_mode(ChunkMode::Binary);
        chunk.into_function().map(Some)
    }

    /// The line on which a file says `key =` first.
    pub(super) fn line_of(&self, file: &str, key: &str) -> Option<usize> {
        let text = &self.code.0.by_name.get(file)?.text;
        let says = |line: &str| {
            line.match_indices(key).any(|(at, _)| {
                let before = line.get(..at).and_then(|before| before.chars().next_back());
                let after =
                    line.get(at + key.len()..).unwrap_or_default().trim_start_matches(['"', '\'', ']']).trim_start();
                before.is_none_or(|c| !c.is_alphanumeric() && c != '_')
                    && after.starts_with('=')
                    && !after.starts_with("==")
            })
        };
        text.lines().position(says).map(|index| index + 1)
    }
}

/// What wraps the built-ins that no interrupt can stop. It is compiled once, as every VM begins with it.
pub(super) fn prelude(lua: &Lua) -> mlua::Result<Function> {
    static COMPILED: OnceLock<mlua::Result<TrustedBytecode>> = OnceLock::new();
    match COMPILED.get_or_init(|| compile_file(include_str!("prelude.luau"), Counting::Off)) {
        Ok(code) => lua.load(code.0.as_slice()).set_name("=tidegate").set_mode(ChunkMode::Binary).into_function(),
        Err(error) => Err(error.clone()),
    }
}

/// Level 1 keeps the frames that tracebacks and places are made of; 2 would inline them.
fn compile_file(text: &str, counting: Counting) -> mlua::Result<TrustedBytecode> {
    let compiler = Compiler::new().set_optimization_level(1).set_debug_level(1);
    compiler.set_coverage_level(u8::from(counting == Counting::Lines)).compile(text).map(TrustedBytecode)
}

/// Luau says `:12: message`, with or without a name before it; of code that was only compiled, `12: message`.
fn syntax_fault(file: &str, error: &mlua::Error) -> Fault {
    let text = match error {
        mlua::Error::SyntaxError { message, .. } => message.clone(),
        other => other.to_string(),
    };
    let unnamed = text.split_once(':').map_or("", |(_, rest)| rest);
    let numbered = [text.as_str(), unnamed].into_iter().find_map(|text| {
        let (digits, message) = text.split_once(':')?;
        Some((digits.trim().parse().ok()?, message.trim().to_owned()))
    });
    match numbered {
        Some((line, message)) => Fault { file: file.to_owned(), line: Some(line), column: None, message },
        None => Fault::in_file(file, text),
    }
}

// === impl Compiled ===

impl Compiled {
    /// Builds the VMs of a generation, one for each worker.
    pub fn instantiate(&self, services: Arc<dyn Services>, workers: usize) -> Result<PolicySet, Vec<Fault>> {
        PolicySet::new(&self.program, &self.limits, &self.definitions, services, workers.max(1))
    }

    /// The names of all secrets that policies ask for, so that unused ones can be pointed out.
    pub fn secrets_used(&self) -> &BTreeSet<String> {
        &self.secrets_used
    }
}

impl std::fmt::Debug for Compiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compiled").field("mounts", &self.program.mounts).finish_non_exhaustive()
    }
}
