//! The README is run: commands do what it says they do, and every piece of Lua and TOML in it is loaded.

#![allow(clippy::unwrap_used, reason = "what a test cannot do without is there, or the test fails")]

#[path = "support/running.rs"]
mod running;

#[allow(dead_code, reason = "a reader needs a part of it")]
#[path = "review/terminal.rs"]
mod terminal;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use running::{Running, free_address, until};
use tempfile::TempDir;
use terminal::Terminal;

/// The headings under which `my-gate` is a reviewed bundle that serves, and a client has asked something through it.
const REVIEWED: [&str; 9] = [
    "# tidegate",
    "### Record a request",
    "### Cases",
    "### Review",
    "### Generations",
    "### Try it before it serves",
    "### Explain",
    "### Replay",
    "### What cases prove",
];

/// What that client asks.
const ASKED: &str = r#"curl -sN http://127.0.0.1:8800/v1/chat/completions -A 'OpenAIClientImpl/Java 4.0.0' \
    -H 'content-type: application/json' -H 'authorization: Bearer sk-of-nobody' \
    -d '{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"high tide"}]}'"#;

/// The policy that the README edits, as it is before.
const HOUSE: &str = "--!strict\n-- The rules of this house: none yet.\nreturn policy { api = 1 }\n";

/// The addresses that the README writes down. Each is replaced by a free one while it is run.
const DOCUMENTED: [&str; 7] = [
    "127.0.0.1:8800",
    "127.0.0.1:8801",
    "127.0.0.1:9000",
    "127.0.0.1:9101",
    "127.0.0.1:9102",
    "127.0.0.1:9103",
    "127.0.0.1:9104",
];

/// One fenced block.
struct Block {
    /// The line of its fence.
    line: usize,
    /// What stands behind the fence: `sh`, `text`, `lua`, `toml`, `http`, `yaml`.
    kind: String,
    /// What is in it.
    text: String,
    /// The line of prose before it.
    before: String,
    /// The heading that it stands under.
    heading: String,
}

/// A reader who does what the README says.
struct Reader {
    /// Where the reader works.
    folder: TempDir,
    /// The free address in place of each documented one.
    addresses: BTreeMap<&'static str, String>,
    /// What was started and not ended yet.
    running: Vec<Running>,
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn blocks() -> Vec<Block> {
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let (mut blocks, mut open): (Vec<Block>, Option<Block>) = (Vec::new(), None);
    let (mut heading, mut before) = (String::new(), String::new());
    for (index, line) in readme.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(kind), None) => {
                let (before, heading) = (std::mem::take(&mut before), heading.clone());
                open = Some(Block { line: index + 1, kind: kind.to_owned(), text: String::new(), before, heading });
            }
            (None, Some(block)) => block.text.extend([line, "\n"]),
            (None, None) if line.starts_with('#') => line.clone_into(&mut heading),
            (None, None) if !line.is_empty() => line.clone_into(&mut before),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "the last block is not closed");
    blocks
}

// === impl Block ===

impl Block {
    /// The file that the prose says to save it as.
    fn file(&self) -> Option<&str> {
        let saved = self.before.starts_with("Save this");
        saved.then(|| self.before.split('`').nth(1)).flatten()
    }
}

// === impl Reader ===

impl Reader {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let addresses = DOCUMENTED.map(|address| (address, free_address().to_string())).into();
        let reader = Self { folder, addresses, running: Vec::new() };
        reader.copy(&repository().join("policies"), &reader.folder.path().join("policies"));
        reader
    }

    /// Copies a bundle with its addresses replaced.
    fn copy(&self, from: &Path, to: &Path) {
        fs::create_dir(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            let to = to.join(path.file_name().unwrap());
            if path.is_dir() {
                self.copy(&path, &to);
            } else {
                fs::write(to, self.replaced(&fs::read_to_string(path).unwrap())).unwrap();
            }
        }
    }

    /// A text with free addresses in place of the documented ones.
    fn replaced(&self, text: &str) -> String {
        self.addresses.iter().fold(text.to_owned(), |text, (documented, free)| text.replace(documented, free))
    }

    /// Has a reviewed bundle serve a client.
    fn set_the_scene(&mut self) {
        let bundle = self.folder.path().join("my-gate");
        self.copy(&repository().join("policies"), &bundle);
        let settings = fs::read_to_string(bundle.join("tidegate.toml")).unwrap();
        let settings = settings.replace("go_live = \"on-save\"", "go_live = \"reviewed\"");
        fs::write(bundle.join("tidegate.toml"), settings + "\n[[policies]]\nfile = \"house.lua\"\n").unwrap();
        fs::write(bundle.join("house.lua"), HOUSE).unwrap();
        self.start("tidegate mock --listen 127.0.0.1:9101 &");
        self.start("tidegate mock --listen 127.0.0.1:9102 &");
        let accepted = self.run("tidegate review my-gate --accept-all --name Ada");
        assert!(accepted.contains("accepted generation"), "{accepted}");
        self.start("tidegate serve my-gate &");
        let answer = self.run(ASKED);
        assert!(answer.contains("[DONE]"), "{answer}");
        assert!(until(|| self.run("tidegate record --list").contains("pycharm")), "it is not recorded");
    }

    /// Leaves what a heading was about.
    fn clear(&mut self) {
        self.running.clear();
        let _ = fs::remove_dir_all(self.folder.path().join("my-gate"));
    }

    /// A command of the binary's folder, for this reader's gate and in Ada's name.
    fn command(&self, program: &str) -> Command {
        let binaries = Path::new(env!("CARGO_BIN_EXE_tidegate")).parent().unwrap().to_owned();
        let path: Vec<PathBuf> =
            [binaries].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())).collect();
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).env("PATH", std::env::join_paths(path).unwrap());
        command.env("TIDEGATE_ADMIN", &self.addresses["127.0.0.1:8801"]);
        command.envs([("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "user.name"), ("GIT_CONFIG_VALUE_0", "Ada")]);
        command
    }

    /// Starts a command that the README puts into the background.
    fn start(&mut self, line: &str) {
        let line = self.replaced(line.strip_suffix(" &").unwrap());
        let mut arguments: Vec<&str> = line.split_whitespace().skip(1).collect();
        let bundle = self.folder.path().join(arguments.get(1).unwrap_or(&""));
        let (listen, admin) = (self.addresses["127.0.0.1:8800"].clone(), self.addresses["127.0.0.1:8801"].clone());
        let mut address = listen.clone();
        if arguments[0] == "serve" {
            if bundle.is_dir() {
                arguments[1] = bundle.to_str().unwrap();
            }
            arguments.extend(["--listen", &listen, "--admin", &admin]);
        } else {
            arguments[2].clone_into(&mut address);
        }
        self.running.push(Running::start(&arguments, address.parse().unwrap()));
    }

    /// Runs commands and returns what they print; they may fail only where they are tried again.
    fn run(&self, commands: &str) -> String {
        let mut bash = self.command("bash");
        let done = bash.args(["-euo", "pipefail", "-c", &self.replaced(commands)]).output().unwrap();
        String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr)
    }

    /// Reviews at a terminal of 80 columns, and accepts the one difference that is shown.
    fn reviews(&self) -> String {
        let mut review = self.command(env!("CARGO_BIN_EXE_tidegate"));
        let mut terminal = Terminal::start(review.args(["review", "my-gate"]), 80);
        terminal.press(1, 'a');
        let code = terminal.ended();
        assert_eq!(code, Some(0), "{}", terminal.printed());
        terminal.printed()
    }

    /// Runs a block until it prints what the README says: a saved policy needs its moment.
    fn shows(&self, block: &Block, expected: &str) {
        let mut output = String::new();
        let expected = self.replaced(expected);
        let asks_only = block.text.starts_with("curl ") || block.text == "tidegate status\n";
        let held = until(|| {
            let reviews = block.text == "tidegate review my-gate\n";
            output = if reviews { self.reviews() } else { self.run(&block.text) };
            let shown = expected.lines().all(|line| has(&output, line));
            shown || !asks_only
        });
        let missing: Vec<&str> = expected.lines().filter(|line| !has(&output, line)).collect();
        assert!(held && missing.is_empty(), "README.md:{}: {missing:?} is not in\n{output}", block.line);
    }

    /// Plays a case in a copy of the shipped bundle.
    fn plays(&self, block: &Block) {
        let case = self.folder.path().join("my-gate/cases/shown.http");
        fs::create_dir_all(case.parent().unwrap()).unwrap();
        fs::write(case, &block.text).unwrap();
        let output = self.run("tidegate test my-gate shown --update");
        assert!(output.contains("1 passed"), "README.md:{}: {output}", block.line);
    }

    /// Runs the commands of a pipeline on a bundle that was accepted.
    fn passes(&self, block: &Block) {
        for command in block.text.lines().filter_map(|line| line.trim().strip_prefix("- run: ")) {
            let output = self.run(&format!("{command} && echo passed"));
            assert!(output.contains("passed"), "README.md:{}: {command}: {output}", block.line);
        }
    }

    /// Checks a bundle with this file among the shipped policies.
    fn checks(&self, block: &Block) {
        let bundle = TempDir::new_in(self.folder.path()).unwrap();
        self.copy(&repository().join("policies"), &bundle.path().join("it"));
        let bundle = bundle.path().join("it");
        if block.kind == "toml" {
            fs::write(bundle.join("tidegate.toml"), &block.text).unwrap();
        } else {
            let settings = fs::read_to_string(bundle.join("tidegate.toml")).unwrap();
            fs::write(bundle.join("tidegate.toml"), settings + "\n[[policies]]\nfile = \"shown.lua\"\n").unwrap();
            fs::write(bundle.join("shown.lua"), &block.text).unwrap();
        }
        let output = self.run(&format!("OPENAI_API_KEY=sk-test tidegate check '{}'", bundle.display()));
        assert!(output.contains("no faults"), "README.md:{}: {output}", block.line);
    }
}

/// Whether an output holds a line of the README; `…` in it stands for what differs from run to run.
fn has(output: &str, line: &str) -> bool {
    let line = line.trim();
    if !line.contains('…') {
        return output.contains(line);
    }
    output.lines().any(|said| {
        let rest = line.split('…').try_fold(said, |said, part| said.split_once(part.trim()).map(|(_, rest)| rest));
        rest.is_some()
    })
}

#[test]
fn every_block_does_what_the_text_says() {
    let blocks = blocks();
    let mut reader = Reader::new();
    let mut heading = String::new();
    for (index, block) in blocks.iter().enumerate() {
        if block.heading != heading {
            reader.clear();
            heading.clone_from(&block.heading);
            if REVIEWED.contains(&heading.as_str()) {
                reader.set_the_scene();
            }
        }
        let expected = blocks.get(index + 1).filter(|next| next.kind == "text" && next.heading == heading);
        match (block.kind.as_str(), block.file()) {
            ("sh", _) if block.text.lines().all(|line| line.ends_with(" &")) => {
                block.text.lines().for_each(|line| reader.start(line));
            }
            ("sh", _) => reader.shows(block, expected.map_or("", |next| next.text.as_str())),
            ("lua", Some(file)) => {
                reader.checks(block);
                fs::write(reader.folder.path().join(file), &block.text).unwrap();
            }
            ("lua" | "toml", None) => reader.checks(block),
            ("http", _) => reader.plays(block),
            ("yaml", _) => reader.passes(block),
            ("text", _) => {}
            (kind, _) => panic!("README.md:{}: nobody runs a block of the kind `{kind}`", block.line),
        }
    }
    assert!(blocks.iter().filter(|block| block.kind == "sh").count() >= 6, "the README shows too little");
}

#[test]
fn the_readme_shows_what_the_matrix_says() {
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let command = readme.lines().find(|line| line.starts_with("tidegate matrix")).unwrap();
    let said = Command::new(env!("CARGO_BIN_EXE_tidegate")).args(command.split(' ').skip(1)).output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("| text"), "{said}");
    assert!(readme.contains(&said), "the README does not show what `{command}` prints now:\n{said}");
}

#[test]
fn the_readme_says_of_each_policy_what_the_policy_says_of_itself() {
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    for entry in fs::read_dir(repository().join("policies")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.extension().is_some_and(|ending| ending == "lua") {
            let text = fs::read_to_string(&path).unwrap();
            let said = text.lines().nth(1).and_then(|line| line.strip_prefix("-- ")).unwrap();
            assert!(readme.contains(&format!("| `{name}` | {said} |")), "{name}: {said}");
        }
    }
}

#[test]
fn the_readme_lists_every_hook() {
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    for hook in tidegate::policy::Hook::ALL {
        let name = hook.name();
        let listed = [format!("| `{name}(req"), format!("| `{name}("), format!("| `{name}` |")]
            .iter()
            .any(|row| readme.contains(row));
        assert!(listed, "{name}");
    }
}
