//! Two columns hold everything that changed, whatever its length, at every width.

use console::{measure_text_width, strip_ansi_codes};

use super::{Look, alone, by_side};

const PLAIN: Look = Look { width: 80, colour: false, whole: false };

fn page(middle: &str) -> String {
    format!(
        "> client: GET /\nplan: sea\n< upstream sea/one\n    GET / HTTP/1.1\n    Host: a\n    Via: b\n{middle}= 200\nended: done"
    )
}

#[test]
fn only_what_changed_is_shown_below_its_message() {
    let shown = by_side(&page("    x-a: 1\n"), &page("    x-a: 2\n    x-b: 3\n"), PLAIN);
    let expected = "\
\u{b7}\u{b7}\u{b7} < upstream sea/one
      Host: a                          \u{2502}       Host: a
      Via: b                           \u{2502}       Via: b
~     x-a: 1                           \u{2502} ~     x-a: 2
                                       \u{2502} +     x-b: 3
  = 200                                \u{2502}   = 200
  ended: done                          \u{2502}   ended: done
";
    assert_eq!(shown, expected);
}

#[test]
fn a_long_line_is_wrapped_and_none_of_its_changes_is_lost() {
    let words = |word: &str| (0..60).map(|n| format!("{word}{n}")).collect::<Vec<_>>().join(",");
    let (old, new) = (page(&format!("    x-a: {}\n", words("old"))), page(&format!("    x-a: {}\n", words("new"))));
    for width in [40, 70, 80, 81, 120, 500] {
        let shown = by_side(&old, &new, Look { width, ..PLAIN });
        for line in shown.lines() {
            assert!(measure_text_width(line) <= width, "{width}: {line}");
        }
        let right: String = shown
            .lines()
            .map(|line| {
                let side = line.split('\u{2502}').next_back().unwrap_or_default();
                side.trim_start_matches([' ', '\u{21b3}', '~', '+']).to_owned()
            })
            .collect();
        for number in 0..60 {
            assert!(right.contains(&format!("new{number}")), "{width}: new{number} is not in\n{shown}");
        }
    }
}

#[test]
fn a_changed_word_in_a_long_line_is_shown_without_the_rest_unless_all_is_wanted() {
    let line = |word: &str| page(&format!("    {}{word}{}\n", "a ".repeat(400), "b ".repeat(400)));
    let (old, new) = (line("six"), line("seven"));
    let short = by_side(&old, &new, PLAIN);
    assert!(short.lines().count() < 15 && short.contains("seven") && short.contains('\u{2026}'), "{short}");
    let whole = by_side(&old, &new, Look { whole: true, ..PLAIN });
    assert!(whole.matches("b b b").count() > 20 && whole.contains("plan: sea"), "{whole}");
}

#[test]
fn a_narrow_terminal_gets_one_column() {
    let shown = by_side(&page("    x-a: 1\n"), &page("    x-a: 2\n"), Look { width: 60, ..PLAIN });
    assert!(shown.contains("\n-     x-a: 1\n+     x-a: 2\n") && !shown.contains('\u{2502}'), "{shown}");
}

#[test]
fn colours_add_nothing_but_colours() {
    let (old, new) = (page("    x-a: 1\n"), page("    x-a: 2\n    x-b: 3\n"));
    let coloured = by_side(&old, &new, Look { colour: true, ..PLAIN });
    assert!(coloured.contains("\u{1b}[") && coloured.contains("\u{1b}[7m"), "{coloured:?}");
    let stripped: Vec<String> = coloured.lines().map(|line| strip_ansi_codes(line).trim_end().to_owned()).collect();
    assert_eq!(stripped.join("\n") + "\n", by_side(&old, &new, PLAIN));
}

#[test]
fn no_file_writes_to_the_terminal_and_no_difference_is_invisible() {
    let shown = by_side(&page("    x-a: 1\n"), &page("    x-a: 1\u{200b}\u{1b}[2J\u{202e}\n"), PLAIN);
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
    assert!(shown.contains("1\\u{200b}\u{241b}[2J\\u{202e}"), "{shown}");
    assert_eq!(alone("a\tb", '+', PLAIN), "+ a\u{2409}b\n");
}

#[test]
fn wide_characters_keep_the_columns_straight() {
    let shown = by_side(&page("    x-a: \u{6f6e}\u{6c50}\n"), &page("    x-a: \u{6f6e}\n"), PLAIN);
    for line in shown.lines().filter(|line| line.contains('\u{2502}')) {
        let left = line.split('\u{2502}').next().unwrap_or_default();
        assert_eq!(measure_text_width(left), 39, "{line}");
    }
}
