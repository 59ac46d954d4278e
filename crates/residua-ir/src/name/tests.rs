//! What is spelled out, and what is not.

use proptest::prelude::*;

use super::*;

#[test]
fn ordinary_names_are_shown_as_they_are() {
    let names =
        ["conv1/kernel:0", "model.layer1.0.bn1.weight", "слой_1", "層1", "/a b/c", "a::b", "C:\\x", "#1", "a ## b"];
    for name in names {
        assert_eq!(printable(name), name);
        assert_eq!(Name::from(name).to_string(), name);
    }
    assert_eq!(format!("[{:6}]", Name::from("層1")), "[層1    ]");
}

#[test]
fn what_acts_is_spelled_out() {
    let cases = [
        ("a\u{1b}[2Jb\n\u{202e}c", "a\\u{1b}[2Jb\\n\\u{202e}c"),
        ("a\r\tb\0\u{7f}\u{9b}", "a\\r\\tb\\u{0}\\u{7f}\\u{9b}"),
        ("::error::x", "\\u{3a}:error::x"),
        ("  ::error::x", "  \\u{3a}:error::x"),
        ("\u{a0}::error::x", "\u{a0}\\u{3a}:error::x"),
        ("a ##[error]x", "a #\\u{23}[error]x"),
        ("##vso[task.setvariable variable=x]y", "#\\u{23}vso[task.setvariable variable=x]y"),
        ("###[error]", "#\\u{23}#[error]"),
        ("##a##[b", "#\\u{23}a#\\u{23}[b"),
    ];
    for (name, shown) in cases {
        assert_eq!(printable(name), shown, "{name:?}");
        assert_eq!(Name::from(name).to_string(), shown);
        assert_eq!(format!("{:?}", Text::from(name)), format!("\"{shown}\""));
    }
}

#[test]
fn joiners_are_shown_where_a_language_needs_them_and_nowhere_else() {
    // Persian (also with a vowel sign between), Hindi, Malayalam, Sinhala, and pictographs.
    let words = [
        "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
        "\u{645}\u{6cc}\u{650}\u{200c}\u{627}",
        "\u{915}\u{94d}\u{200d}\u{937}",
        "\u{915}\u{94d}\u{200c}\u{937}",
        "\u{d05}\u{d35}\u{d28}\u{d4d}\u{200d}",
        "\u{dc1}\u{dca}\u{200d}\u{dbb}\u{dd3}",
        "\u{1f469}\u{200d}\u{1f33e}",
        "\u{1f469}\u{1f3fd}\u{200d}\u{1f680}",
        "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
    ];
    for word in words {
        assert_eq!(printable(word), word, "{word:?}");
        assert_eq!(printable_lines(&format!("{word}\n{word}"), &[]), format!("{word}\n{word}"));
        // Without what stands before the joiner, with the joiner twice, and behind another letter.
        let joiner = word.find(['\u{200c}', '\u{200d}']).unwrap();
        let (before, after) = word.split_at(joiner);
        let twice = format!("{before}{}{after}", &after[..3]);
        for other in [after, &twice, &format!("a{after}")] {
            assert!(printable(other).contains("\\u{200"), "{other:?}");
        }
    }
    // At the ends, in Latin, beside a letter that joins nothing, before a vowel sign, with a selector that shows nothing.
    let hidden = [
        "\u{200d}a",
        "a\u{200c}",
        "conv\u{200d}1",
        "\u{627}\u{200c}\u{628}",
        "\u{645}\u{200c}",
        "\u{645}\u{200d}\u{645}",
        "\u{915}\u{200d}\u{937}",
        "\u{94d}\u{200d}",
        "\u{915}\u{94d}\u{200d}\u{93f}",
        "\u{2764}\u{fe0f}\u{200d}\u{1f525}",
        "\u{1f469}\u{200d}",
    ];
    for word in hidden {
        assert!(printable(word).contains("\\u{200"), "{word:?}");
    }
}

#[test]
fn lines_of_ours_stay_lines() {
    let text = "error: \u{1b}[1mx\u{1b}[0m\u{1b}[2J\n\t::warning::y\u{7}\n";
    assert_eq!(
        printable_lines(text, &["\u{1b}[1m", "\u{1b}[0m"]),
        "error: \u{1b}[1mx\u{1b}[0m\\u{1b}[2J\n\t\\u{3a}:warning::y\\u{7}\n"
    );
    assert_eq!(printable_lines("a\nb ::c\n", &[]), "a\nb ::c\n");
}

#[test]
fn a_name_of_any_length_is_a_line() {
    let name = Name::from("a".repeat(500_000) + "\u{1b}" + &"b".repeat(500_000));
    let shown = name.to_string();
    assert!(shown.starts_with("aaa") && shown.ends_with("bbb") && shown.chars().count() <= 1000, "{}", shown.len());
    assert!(shown.contains("…(999041 characters left out)…"), "{shown}");
    assert_eq!(Name::from("é".repeat(1000)).to_string(), "é".repeat(1000));
}

/// Whether a runner takes one of the lines for a command.
fn commands(text: &str) -> bool {
    let old = |line: &str| {
        line.match_indices("##")
            .any(|(at, _)| line[at + 2..].trim_start_matches(|c: char| c.is_ascii_alphabetic()).starts_with('['))
    };
    text.lines().any(|line| line.trim_start().starts_with("::") || old(line))
}

/// Text with much in it that acts.
fn nasty() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        any::<char>().prop_map(String::from),
        "[ -~]{0,3}",
        prop::sample::select(vec![
            "::",
            ":",
            "#",
            "##",
            "[",
            "vso[",
            "\n",
            "\r",
            " ",
            "\u{1b}[0m",
            "\u{202e}",
            "\u{2028}",
            "\u{200c}",
            "\u{200d}",
            "\u{645}",
            "\u{1f469}",
            "\u{915}\u{94d}",
            "\\u{3a}"
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn nothing_that_is_shown_acts(text in nasty()) {
        let shown = printable(&text).into_owned();
        prop_assert!(!shown.contains(|c| acts(c) && !matches!(c, '\u{200c}' | '\u{200d}')), "{shown:?}");
        prop_assert!(!shown.contains("\u{200c}\u{200d}") && !shown.contains("\u{200d}\u{200d}"), "{shown:?}");
        prop_assert!(!commands(&shown), "{shown:?}");
        prop_assert_eq!(&printable(&shown), &shown);
        prop_assert_eq!(Name::from(text.as_str()).to_string(), shown.clone());
        // Nor in lines of ours that quote it.
        let lines = printable_lines(&text, &["\u{1b}[0m"]).into_owned();
        prop_assert!(!lines.replace("\u{1b}[0m", "").contains(|c| acts(c) && !matches!(c, '\n' | '\t' | '\u{200c}' | '\u{200d}')), "{lines:?}");
        prop_assert!(!commands(&lines), "{lines:?}");
        prop_assert_eq!(&printable_lines(&lines, &["\u{1b}[0m"]), &lines);
    }

    #[test]
    fn what_has_nothing_that_acts_is_itself(text in "[\\PC&&[^:#]]{0,40}") {
        let unseen = text.char_indices().any(|(at, c)| acts(c) && !joins(&text[..at], c, &text[at + c.len_utf8()..]));
        prop_assert_eq!(printable(&text) == text, !unseen);
    }

    /// Two names without backslashes are never shown as one.
    #[test]
    fn different_names_are_shown_differently(a in nasty(), b in nasty()) {
        prop_assume!(a != b && !a.contains('\\') && !b.contains('\\'));
        prop_assert_ne!(printable(&a), printable(&b));
    }
}
