//! The terminal: what is said to it, which key comes back, and the editor that takes it over for a while.

use std::env;
use std::io;
use std::path::Path;
use std::process::Command;

use console::{Key, Term};

/// What a review needs of a terminal.
pub trait Screen {
    /// How many columns it has.
    fn width(&self) -> usize;
    /// Whether it shows colours.
    fn colour(&self) -> bool;
    /// Prints.
    fn say(&mut self, text: &str) -> io::Result<()>;
    /// Waits for a key; those without a character are a space.
    fn key(&mut self) -> io::Result<char>;
    /// Opens a file in the editor, and waits until it is closed.
    fn edit(&mut self, file: &Path) -> io::Result<()>;
}

/// The terminal that the process was started on.
pub struct Tty(Term);

/// The editor of those who have not named one (POSIX, `crontab -e`).
const EDITOR: &str = "vi";

// === impl Tty ===

impl Tty {
    /// The terminal of standard output, when both ends are one.
    pub fn open() -> Option<Self> {
        let term = Term::stdout();
        (term.is_term() && io::IsTerminal::is_terminal(&io::stdin())).then_some(Self(term))
    }
}

impl Screen for Tty {
    fn width(&self) -> usize {
        usize::from(self.0.size().1)
    }

    fn colour(&self) -> bool {
        console::colors_enabled()
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        self.0.write_str(text)
    }

    fn key(&mut self) -> io::Result<char> {
        Ok(match self.0.read_key()? {
            Key::Char(key) => key,
            Key::Enter => '\n',
            _ => ' ',
        })
    }

    /// The editor may have arguments of its own, as git's may; a shell takes it apart.
    fn edit(&mut self, file: &Path) -> io::Result<()> {
        let named = |name: &str| env::var(name).ok().filter(|editor| !editor.trim().is_empty());
        let editor = named("VISUAL").or_else(|| named("EDITOR")).unwrap_or_else(|| EDITOR.to_owned());
        let status = Command::new("sh").arg("-c").arg(format!("{editor} \"$@\"")).arg("sh").arg(file).status()?;
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("`{editor}` failed: {status}"))) }
    }
}
