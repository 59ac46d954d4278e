//! Where the two joiners that languages need stand as they must: there they change what is seen, and are shown.
//!
//! By UAX #31, section 2.3 (contexts A1, A2 and B), for the scripts in which names are written so: Arabic, and those of India
//! from Devanagari to Sinhala; and between two pictographs (UTS #51, ED-16). Anywhere else a joiner hides a difference between
//! names, as two in a row do, and is spelled out. So is the variation selector within a pictograph, with which it looks as
//! without.

const NON_JOINER: char = '\u{200c}';
const JOINER: char = '\u{200d}';

/// Whether a joiner between these two parts of a text changes what is seen there.
pub(super) fn joins(before: &str, c: char, after: &str) -> bool {
    match c {
        NON_JOINER => parts_arabic(before, after) || is_behind_virama(before) && starts_indic_letter(after),
        JOINER => {
            is_behind_virama(before) && !after.starts_with(is_indic_sign) && !after.starts_with([JOINER, NON_JOINER])
                || ends_pictograph(before) && after.starts_with(is_pictograph)
        }
        _ => false,
    }
}

/// A1: between two letters of Arabic that would be joined.
fn parts_arabic(before: &str, after: &str) -> bool {
    let before = before.trim_end_matches(is_arabic_mark);
    let after = after.trim_start_matches(is_arabic_mark);
    before.ends_with(joins_both_sides) && after.starts_with(|c| joins_both_sides(c) || joins_what_is_before(c))
}

/// Joining_Type T.
fn is_arabic_mark(c: char) -> bool {
    matches!(c, '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{6d6}'..='\u{6dc}' | '\u{6df}'..='\u{6e4}')
}

/// Joining_Type D.
fn joins_both_sides(c: char) -> bool {
    matches!(c,
        '\u{620}' | '\u{626}' | '\u{628}' | '\u{62a}'..='\u{62e}' | '\u{633}'..='\u{63f}' | '\u{641}'..='\u{647}'
        | '\u{649}'..='\u{64a}' | '\u{66e}'..='\u{66f}' | '\u{678}'..='\u{687}' | '\u{69a}'..='\u{6bf}'
        | '\u{6c1}'..='\u{6c2}' | '\u{6cc}' | '\u{6ce}' | '\u{6d0}'..='\u{6d1}' | '\u{6fa}'..='\u{6fc}' | '\u{6ff}')
}

/// Joining_Type R.
fn joins_what_is_before(c: char) -> bool {
    matches!(c,
        '\u{622}'..='\u{625}' | '\u{627}' | '\u{629}' | '\u{62f}'..='\u{632}' | '\u{648}' | '\u{671}'..='\u{673}'
        | '\u{675}'..='\u{677}' | '\u{688}'..='\u{699}' | '\u{6c0}' | '\u{6c3}'..='\u{6cb}' | '\u{6cd}' | '\u{6cf}'
        | '\u{6d2}'..='\u{6d3}' | '\u{6d5}' | '\u{6ee}'..='\u{6ef}')
}

/// A2 and B: behind the sign that takes a consonant its vowel.
fn is_behind_virama(before: &str) -> bool {
    let rest = before.strip_suffix(|c| {
        matches!(
            c,
            '\u{94d}'
                | '\u{9cd}'
                | '\u{a4d}'
                | '\u{acd}'
                | '\u{b4d}'
                | '\u{bcd}'
                | '\u{c4d}'
                | '\u{ccd}'
                | '\u{d4d}'
                | '\u{dca}'
        )
    });
    rest.is_some_and(|rest| rest.ends_with(is_indic_letter))
}

fn starts_indic_letter(after: &str) -> bool {
    after.starts_with(is_indic_letter)
}

/// The ten blocks are laid out alike, but for the last.
fn is_indic_letter(c: char) -> bool {
    match u32::from(c) {
        at @ 0x900..=0xd7f => matches!(at % 0x80, 0x05..=0x39 | 0x58..=0x61 | 0x70..=0x7f),
        at => matches!(at, 0xd85..=0xdc6),
    }
}

/// Vowels that belong to the letter before them, and other marks.
fn is_indic_sign(c: char) -> bool {
    match u32::from(c) {
        at @ 0x900..=0xd7f => matches!(at % 0x80, 0x00..=0x03 | 0x3a..=0x57 | 0x62..=0x63),
        at => matches!(at, 0xd81..=0xd83 | 0xdca..=0xddf | 0xdf2..=0xdf3),
    }
}

fn ends_pictograph(before: &str) -> bool {
    // A tone of skin belongs to the pictograph before it.
    before.trim_end_matches(|c| matches!(c, '\u{1f3fb}'..='\u{1f3ff}')).ends_with(is_pictograph)
}

/// Extended_Pictographic, as far as it is in sequences: symbols, and the planes of pictographs.
fn is_pictograph(c: char) -> bool {
    matches!(c, '\u{2600}'..='\u{27bf}' | '\u{2b00}'..='\u{2bff}' | '\u{1f300}'..='\u{1f3fa}' | '\u{1f400}'..='\u{1faff}')
}
