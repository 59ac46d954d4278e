//! How results are printed: text, JSON, tables, drawings.
//!
//! Renderers take data and a writer; they decide nothing and look nothing up.
//!
//! Invariant: what a file says is data in each format. Text has it through [`Name`](residua_ir::Name), [`table`] (which
//! writes CSV, too), [`markdown`], [`markup`] (HTML, SVG, XML), [`mod@json`]; Graphviz and Mermaid in [`drawing`], annotations
//! in [`report`]. Each begins with [`residua_ir::name::printable`].

pub mod blocks;
pub mod columns;
pub mod differences;
#[cfg(feature = "html")]
pub mod drawing;
#[cfg(feature = "more-images")]
pub mod evaluation;
pub mod finding;
#[cfg(feature = "html")]
pub mod html;
pub mod inspect;
pub mod json;
pub mod markdown;
pub mod markup;
#[cfg(feature = "more-images")]
pub mod predictions;
#[cfg(feature = "reports")]
pub mod report;
pub mod table;

use residua_ir::Text;

pub use json::json;

/// A sentence that may quote what a file says: on one line, of a length that can be read.
pub fn said(text: &str) -> String {
    Text::from(text).to_string()
}

/// A number with thousands separators: `25,613,800`.
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size in powers of 1024: `97.8 MiB`.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub fn bytes(value: u64) -> String {
    let mut size = value as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if size < 999.95 {
            break;
        }
        size /= 1024.0;
        unit = next;
    }
    if unit == "B" { format!("{value} B") } else { format!("{size:.1} {unit}") }
}

/// A count in powers of 1000: `3.48 G`.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub fn magnitude(value: u64) -> String {
    let mut size = value as f64;
    let mut unit = "";
    for next in [" k", " M", " G", " T", " P"] {
        if size < 999.5 {
            break;
        }
        size /= 1000.0;
        unit = next;
    }
    let digits = match size {
        _ if unit.is_empty() => 0,
        s if s < 9.995 => 2,
        s if s < 99.95 => 1,
        _ => 0,
    };
    format!("{size:.digits$}{unit}")
}

/// A small number as people write it: `0`, `1.2e-7`, `0.03`.
pub fn small(value: f64) -> String {
    if value == 0.0 {
        "0".to_owned()
    } else if (1e-3..1e4).contains(&value.abs()) {
        format!("{value:.4}").trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        format!("{value:.2e}")
    }
}

/// `1 layer`, `2 layers`.
pub fn plural(count: usize, noun: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{} {noun}{s}", number(count as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_thousands_separators() {
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (25_613_800, "25,613,800")];
        for (value, expected) in cases {
            assert_eq!(number(value), expected);
        }
    }

    #[test]
    fn sizes_and_counts_keep_three_digits() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1_300_000), "1.2 MiB");
        assert_eq!(magnitude(3_484_000_000), "3.48 G");
        assert_eq!(magnitude(999_600), "1.00 M");
        assert_eq!(magnitude(12), "12");
    }

    #[test]
    fn small_numbers_are_readable() {
        assert_eq!(small(0.0), "0");
        assert_eq!(small(1.234e-7), "1.23e-7");
        assert_eq!(small(0.03), "0.03");
        assert_eq!(small(-12.5), "-12.5");
    }
}
