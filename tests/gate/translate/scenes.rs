//! What upstreams say in these tests, in no dialect's words.

/// An answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene {
    /// Its name, by which a client's header asks for it.
    pub(super) name: &'static str,
    /// Its text, in the pieces of a stream.
    pub(super) text: &'static [&'static str],
    /// The tools it calls.
    pub(super) calls: &'static [Call],
    /// Why it ends.
    pub(super) stop: Stop,
    /// Tokens read, those from a cache included.
    pub(super) input: u64,
    /// Tokens read from a cache.
    pub(super) cached: u64,
    /// Tokens written.
    pub(super) output: u64,
}

/// A call of a tool.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    /// The tool.
    pub(super) name: &'static str,
    /// The arguments, in the pieces of a stream.
    pub(super) arguments: &'static [&'static str],
}

/// Why an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It is finished.
    End,
    /// Its length is used up.
    Length,
    /// Tools are to be called.
    Tool,
}

/// All of them. Arguments have spaces and escapes of their own, which must stay where a dialect carries text.
pub(super) const SCENES: [Scene; 6] = [
    Scene {
        name: "text",
        text: &["Gr\u{fc}\u{df}e, ", "\u{4e16}\u{754c}\n\n", "\"data: [DONE]\"", " \u{1f30a}", " "],
        calls: &[],
        stop: Stop::End,
        input: 57,
        cached: 7,
        output: 21,
    },
    Scene { name: "short", text: &["cut o"], calls: &[], stop: Stop::Length, input: 9, cached: 0, output: 1 },
    Scene {
        name: "call",
        text: &[],
        calls: &[Call { name: "weather", arguments: &["{\"city\": \"Z\\u00fc", "rich\",  \"d", "ays\":1.50}"] }],
        stop: Stop::Tool,
        input: 130,
        cached: 100,
        output: 33,
    },
    Scene {
        name: "bare",
        text: &[],
        calls: &[Call { name: "now", arguments: &[] }],
        stop: Stop::Tool,
        input: 12,
        cached: 0,
        output: 3,
    },
    Scene {
        name: "parallel",
        text: &["Both", " at once."],
        calls: &[
            Call { name: "weather", arguments: &["{\"city\":", "\"Oslo\"}"] },
            Call { name: "weather", arguments: &["{\"city\":\"Rome\"", "}"] },
            Call { name: "now", arguments: &["{}"] },
        ],
        stop: Stop::Tool,
        input: 140,
        cached: 0,
        output: 61,
    },
    Scene { name: "nothing", text: &[], calls: &[], stop: Stop::End, input: 8, cached: 0, output: 1 },
];

// === impl Scene ===

impl Scene {
    /// The scene of a name.
    pub(super) fn named(name: &str) -> Self {
        *SCENES.iter().find(|scene| scene.name == name).unwrap()
    }

    /// All of its text.
    pub(super) fn all(&self) -> String {
        self.text.concat()
    }
}

// === impl Call ===

impl Call {
    /// All of its arguments, those of a call without any as dialects with text have them.
    pub(super) fn all(&self) -> String {
        let all = self.arguments.concat();
        if all.is_empty() { "{}".to_owned() } else { all }
    }
}
