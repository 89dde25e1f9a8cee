//! The calls that the certificate plays: for each situation and dialect a case, made from the dialect's texts.

use super::Situation;
use super::dialect::Tongue;
use crate::case::{Case, Played, read};
use crate::fault::Fault;
use crate::policy::Hook;

/// Before a dialect's own path: a policy's endpoint serves it.
const LOCAL: &str = "/local";

/// One case and what it can show.
pub(super) struct Scene {
    /// Its calls and answers.
    text: String,
    /// What it shows.
    pub(super) shows: Shows,
}

/// Which hooks a scene speaks for, and in which of its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shows {
    /// Those of an upstream's answer, in the last call.
    Upstream,
    /// Those of a policy's own endpoint.
    Endpoint,
}

/// The scenes of a situation: with an upstream, and with a policy's endpoint where it can be in that situation.
pub(super) fn of(situation: Situation, tongue: &Tongue) -> Vec<Scene> {
    let upstream = |text: String| Scene { text, shows: Shows::Upstream };
    let endpoint = |text: String| Scene { text, shows: Shows::Endpoint };
    let local = |words: &str, wanted: &str| {
        let target = format!("{LOCAL}{}", tongue.target);
        call(words, &target, &format!("x-do: {wanted}\n"), tongue.ask)
    };
    match situation {
        Situation::Whole => {
            vec![upstream(tongue.asks_whole("") + &tongue.answers_whole()), endpoint(local("", "answer"))]
        }
        Situation::Stream => {
            vec![upstream(tongue.asks_stream("") + &tongue.streams("")), endpoint(local("", "stream"))]
        }
        Situation::Hit if tongue.is_other() => {
            let twice = tongue.asks_whole("") + &tongue.asks_whole(" after=1s");
            vec![upstream(twice + &tongue.answers_whole())]
        }
        Situation::Hit => {
            let twice = tongue.asks_stream("") + &tongue.asks_stream(" after=1s");
            vec![upstream(twice + &tongue.streams(""))]
        }
        Situation::Join => {
            let twice = tongue.asks_stream("") + &tongue.asks_stream(" after=1s beside");
            vec![upstream(twice + &tongue.streams("~ 5s\n"))]
        }
        Situation::Failover => {
            let refusal = answer("", "503 Service Unavailable", "text/plain", "busy");
            vec![upstream(tongue.asks_stream("") + &refusal + &tongue.streams(""))]
        }
        Situation::Abort => {
            let slow = answer(" slow=5s", "200 OK", "text/plain", "late");
            vec![
                upstream(tongue.asks_stream(" leaves=2s") + &tongue.streams("~ 5s\n")),
                endpoint(local(" leaves=2s", "wait") + &slow),
            ]
        }
        Situation::Error => {
            let refused = "< upstream sea fault=refuse\n\n".to_owned();
            vec![upstream(tongue.asks_whole("") + &refused), endpoint(local("", "fail"))]
        }
    }
}

/// The hooks that ran in the calls that the scene speaks for.
pub(super) fn hooks(played: &Played, shows: Shows) -> Vec<Hook> {
    let lines = played.log_lines().last().unwrap_or_default();
    let said = lines.iter().filter_map(|line| Hook::named(line.message.strip_prefix("ran ")?));
    said.filter(|hook| (*hook == Hook::Endpoints) == (shows == Shows::Endpoint)).collect()
}

// === impl Scene ===

impl Scene {
    /// The case.
    pub(super) fn case(&self, situation: Situation, tongue: &Tongue) -> Result<Case, Vec<Fault>> {
        let name = format!("{}, {}", tongue.name, situation.as_str());
        read::read(&name, &format!("# {name}.\n\n{}", self.text))
    }
}

// === impl Tongue: blocks of a case ===

impl Tongue {
    fn asks_whole(&self, words: &str) -> String {
        call(words, self.target, "", self.ask)
    }

    fn asks_stream(&self, words: &str) -> String {
        call(words, self.stream_target, "", self.stream_ask)
    }

    fn answers_whole(&self) -> String {
        answer("", "200 OK", self.kind, self.answer)
    }

    /// The stream, with this between its first events and the others.
    fn streams(&self, between: &str) -> String {
        let (first, rest) = self.stream;
        answer("", "200 OK", self.stream_kind, &format!("{first}{between}{rest}"))
    }
}

/// A block of the client.
fn call(words: &str, target: &str, headers: &str, body: &str) -> String {
    format!(
        "> client{words}\nPOST {target} HTTP/1.1\nhost: gate.test\ncontent-type: application/json\n{headers}\n{body}\n\n"
    )
}

/// A block of the upstream.
fn answer(words: &str, status: &str, kind: &str, body: &str) -> String {
    format!("< upstream sea{words}\nHTTP/1.1 {status}\ncontent-type: {kind}\n\n{body}\n\n")
}
