//! A person at the terminal: few keys for many differences, an editor in between, and the gate that follows.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::thread;

use tidegate::review::{Standing, standing};

use super::bundle::{Bundle, printed};
use super::terminal::Terminal;

/// Answers like a gate that follows the bundle: it serves `before` until the record is there.
fn gate(bundle: &Bundle, before: &str) {
    let listener = TcpListener::bind(bundle.admin).unwrap();
    let hash = bundle.hash().to_string();
    let record: PathBuf = bundle.path().join(format!("reviews/{hash}.toml"));
    let before = before.to_owned();
    thread::spawn(move || {
        let mut asked = 0;
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            asked += usize::from(record.exists());
            // The third answer is the first with the new generation: it was waited for.
            let live = if asked > 2 { &hash } else { &before };
            let body = format!("{{\"live\":{{\"hash\":\"{live}\"}}}}");
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        }
    });
}

#[test]
fn two_hundred_differences_are_accepted_with_two_keys_and_go_live() {
    let bundle = Bundle::edited(200);
    gate(&bundle, "0123456789ab");
    let mut terminal = Terminal::start(&mut bundle.command(&["--name", "Ada"]), 80);
    terminal.sees("150 cases: header x-user added to what upstream sea is sent");
    terminal.sees("user0, user1, user2 and 147 more");
    terminal.press(1, 'a');
    terminal.sees("50 cases: header x-team added to what upstream sea is sent");
    terminal.press(2, 'a');
    terminal.sees(&format!("accepted generation {} by Ada: 200 snapshots written", bundle.hash()));
    terminal.sees("\nlive");
    assert_eq!(terminal.ended(), Some(0));
    for line in terminal.printed().lines() {
        assert!(console::measure_text_width(line.trim_end()) <= 80, "{line}");
    }
    let Standing::Accepted(acceptance) = standing(bundle.path(), &bundle.hash()) else { panic!("not accepted") };
    assert_eq!((acceptance.differences, acceptance.snapshots.len(), acceptance.live), (200, 200, true));
    assert!(bundle.review(&["--ci"]).status.success());
}

#[test]
fn a_screen_of_80_columns_shows_story_sides_and_keys() {
    let bundle = Bundle::edited(3);
    let mut terminal = Terminal::start(bundle.command(&["--name", "Ada"]).env("NO_COLOR", "1"), 80);
    terminal.sees("? help >");
    let screen = terminal.screen();
    for shown in [
        "\u{2500}\u{2500} 1 of 1 \u{2500}",
        "3 cases: header x-user added",
        "ship/000: Ship 0 asks for the tide.",
        "\u{b7}\u{b7}\u{b7} < upstream sea/127.0.0.1:1",
        "\u{2502} +     x-user: user0",
        "a accept  r reject  s skip  e edit  d details  A accept all  q leave  ? help >",
    ] {
        assert!(screen.contains(shown), "{shown} is not in\n{screen}");
    }
    assert!(!terminal.raw().contains('\u{1b}'), "{:?}", terminal.raw());
    terminal.press(1, 'q');
    assert_eq!(terminal.ended(), Some(1));
    assert!(matches!(standing(bundle.path(), &bundle.hash()), Standing::Waiting(_)));
}

#[test]
fn colours_come_on_a_terminal_and_a_narrow_one_gets_one_column() {
    let bundle = Bundle::edited(1);
    let mut terminal = Terminal::start(&mut bundle.command(&["--name", "Ada"]), 60);
    terminal.press(1, 'q');
    assert_eq!(terminal.ended(), Some(1));
    assert!(terminal.raw().contains("\u{1b}[32m+ "), "{:?}", terminal.raw());
    assert!(terminal.printed().contains("\n+     x-user: user0"), "{}", terminal.printed());
    assert!(!terminal.printed().contains('\u{2502}'));
}

#[test]
fn an_edit_in_between_is_played_and_shown() {
    let bundle = Bundle::edited(2);
    // An editor with an argument of its own.
    bundle.write("editor/run", "sed -i 's/x-user/x-sailor/' \"$1\"\n");
    let editor = format!("sh {}", bundle.path().join("editor/run").display());
    let mut command = bundle.command(&["--name", "Ada"]);
    command.env_remove("VISUAL").env("EDITOR", editor);
    let mut terminal = Terminal::start(&mut command, 80);
    terminal.press(1, 'e');
    terminal.sees("  2 mark.lua");
    terminal.press(2, '2');
    terminal.sees("2 cases: header x-sailor added to what upstream sea is sent");
    terminal.press(3, 'a');
    terminal.sees("accepted generation ");
    assert_eq!(terminal.ended(), Some(0));
    assert!(bundle.read("mark.lua").contains("x-sailor"));
    assert!(matches!(standing(bundle.path(), &bundle.hash()), Standing::Accepted(_)));
}

#[test]
fn what_was_accepted_is_written_although_the_rest_is_not() {
    let bundle = Bundle::edited(8);
    let mut terminal = Terminal::start(&mut bundle.command(&["--name", "Ada"]), 80);
    terminal.press(1, 'a');
    terminal.press(2, 'r');
    terminal.sees("6 accepted, 2 rejected, 0 left");
    terminal.sees("6 snapshots written");
    assert_eq!(terminal.ended(), Some(1));
    assert!(matches!(standing(bundle.path(), &bundle.hash()), Standing::Waiting(_)));
    assert!(bundle.read("snapshots/ship/000.snap").contains("x-user: user0"));
    assert!(!bundle.read("snapshots/ship/003.snap").contains("x-team"));
}

#[test]
fn leaving_with_an_interrupt_writes_nothing() {
    let bundle = Bundle::edited(8);
    let before = bundle.snapshots();
    let mut terminal = Terminal::start(&mut bundle.command(&["--name", "Ada"]), 80);
    terminal.press(1, 'a');
    terminal.press(2, '\u{3}');
    assert_ne!(terminal.ended(), Some(0));
    assert_eq!(bundle.snapshots(), before);
}

#[test]
fn an_edit_that_no_case_shows_is_asked_about_once() {
    let bundle = Bundle::accepted(2);
    bundle.write("mark.lua", &format!("{}-- Only a comment.\n", bundle.read("mark.lua")));
    let mut terminal = Terminal::start(&mut bundle.command(&["--name", "Ada", "--hold"]), 80);
    terminal.sees("All 2 cases do what their snapshots say.");
    terminal.press(1, 'a');
    terminal.sees("`tidegate promote ");
    assert_eq!(terminal.ended(), Some(0));
    let Standing::Accepted(acceptance) = standing(bundle.path(), &bundle.hash()) else { panic!("not accepted") };
    assert_eq!((acceptance.differences, acceptance.live), (0, false));
    let mut again = Terminal::start(&mut bundle.command(&[]), 80);
    again.sees("accepted by Ada at ");
    assert_eq!(again.ended(), Some(0));
}

#[test]
fn without_a_terminal_the_ways_without_one_are_named() {
    let bundle = Bundle::edited(1);
    let output = bundle.review(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--ci, --json and --accept-all"));
    assert!(printed(&output).is_empty());
    assert_eq!(fs::read_dir(bundle.path().join("reviews")).unwrap().count(), 1);
}
