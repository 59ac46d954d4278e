//! How wide text is, without knowing its font: a little wider than any usual sans-serif makes it.

/// Widths in thousandths of the font's size, rounded up from DejaVu Sans, one of the widest that browsers fall back to.
fn advance(c: char) -> f64 {
    match c {
        'i' | 'j' | 'l' | '\'' | '|' | '.' | ',' | ':' | ';' | '!' => 0.34,
        'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '/' | ' ' | '-' | 'I' => 0.42,
        'm' | 'w' | 'M' | 'W' | '%' | '@' | '—' => 0.98,
        'A'..='Z' | '×' | '+' | '=' | '…' => 0.74,
        c if c.is_ascii() => 0.64,
        // Ideographs and the like are square.
        '\u{2e80}'..='\u{ffdc}' | '\u{1f000}'..='\u{3ffff}' => 1.05,
        _ => 0.8,
    }
}

/// Width of a text at this size.
pub(super) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(advance).sum::<f64>() * size
}

/// The text as far as it has room, with an ellipsis where that is not all of it.
pub(super) fn fitted(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let mut left = room / size - advance('…');
    let mut short: String = text
        .chars()
        .take_while(|&c| {
            left -= advance(c);
            left >= 0.0
        })
        .collect();
    short.truncate(short.trim_end().len());
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_where_it_has_no_room() {
        assert_eq!(fitted("3×3, 64", 12.0, 100.0), "3×3, 64");
        let short = fitted(&"W".repeat(100), 12.0, 100.0);
        assert!(short.ends_with('…') && width(&short, 12.0) <= 100.0, "{short}");
        assert_eq!(fitted("anything", 12.0, 0.0), "…");
    }
}
