//! Which characters act where they are shown, by the Unicode Character Database (UAX #44).

/// Whether a character does something other than show: moves a cursor, ends a line, reorders what stands beside it, or
/// is there without being seen; or is no character at all.
pub(super) fn acts(c: char) -> bool {
    match c {
        ' '..='~' => false,
        // C0, delete, C1, and the soft hyphen.
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' => true,
        '\u{a0}'..='\u{33f}' => false,
        c => reorders(c) || is_unseen(c) || is_none(c),
    }
}

/// Line and paragraph separators, and the controls of UAX #9, which turn the order of text around.
fn reorders(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Characters of the categories Cf and of Default_Ignorable_Code_Point (joiners, fillers, variation selectors, tags), and
/// a blank of Braille.
fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{34f}'
            | '\u{600}'..='\u{605}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{890}'..='\u{891}'
            | '\u{8e2}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200d}'
            | '\u{2060}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{110bd}'
            | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Noncharacters.
fn is_none(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_any_language_are_shown() {
        let words = "conv1_bn/γ:0 größe café naïve слой 層 畳み込み 합성곱 שכבה طبقة परत ชั้น ՇԵՐՏ ∑ → ² 🙂 a\u{301}";
        assert_eq!(words.chars().find(|&c| acts(c)), None);
    }

    #[test]
    fn what_acts_is_not() {
        let last = [0xfffe_u32, 0xffff, 0x1_fffe, 0x10_ffff].into_iter().filter_map(char::from_u32);
        let unseen = "\0\t\n\r\u{1b}\u{7f}\u{85}\u{9b}\u{ad}\u{61c}\u{200b}\u{200d}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2060}\u{2066}\u{2069}\u{feff}\u{fff9}\u{fdd0}\u{e0041}\u{fe0f}\u{3164}";
        assert_eq!(unseen.chars().chain(last).find(|&c| !acts(c)), None);
    }
}
