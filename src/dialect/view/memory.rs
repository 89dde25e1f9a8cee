//! What earlier events of a stream said that gives later ones their meaning.

use super::{Part, Usage};
use crate::dialect::Dialect;
use crate::dialect::event::Stop;

/// What is remembered of a stream.
#[derive(Debug, Default)]
pub struct Memory {
    /// The choices that called a tool.
    called: Vec<u32>,
    /// What was used as far as was said.
    usage: Option<Usage>,
}

// === impl Memory ===

impl Memory {
    /// Completes the parts of the next event. Ollama and Gemini report a plain end although they called a tool, and
    /// Anthropic says at the end only how much was written.
    pub fn complete(&mut self, dialect: Dialect, parts: &mut [Part]) {
        let silent = matches!(dialect, Dialect::OllamaChat | Dialect::Gemini);
        for part in parts {
            if part.tool.is_some() && silent && !self.called.contains(&part.choice) {
                self.called.push(part.choice);
            }
            if part.stop == Some(Stop::End) && self.called.contains(&part.choice) {
                part.stop = Some(Stop::Tool);
            }
            if let Some(usage) = &mut part.usage {
                *usage = self.usage.map_or(*usage, |earlier| usage.after(earlier));
                self.usage = Some(*usage);
            }
        }
    }
}
