//! Texts of protocol 0, which are written with escapes. (Source: CPython's `Lib/pickletools.py`, `stringnl` and
//! `unicodestringnl`.)

/// The bytes of a string literal of Python 2, without its quotes; [`None`] where an escape is none.
pub(super) fn bytes(literal: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(literal.len());
    let mut rest = literal.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        out.push(match rest.next()? {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'x' => {
                let (high, low) = (char::from(rest.next()?).to_digit(16)?, char::from(rest.next()?).to_digit(16)?);
                u8::try_from(high * 16 + low).ok()?
            }
            other @ (b'\\' | b'\'' | b'"') => other,
            _ => return None,
        });
    }
    Some(out)
}

/// A text with `\uXXXX` for what is not Latin-1; escapes that are none stay as they are.
pub(super) fn text(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let digits = match rest.as_bytes().get(at + 1) {
            Some(b'u') => 4,
            Some(b'U') => 8,
            _ => 0,
        };
        let code = rest.get(at + 2..at + 2 + digits).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let (character, end) = match code.and_then(char::from_u32).filter(|_| digits > 0) {
            Some(character) => (character, at + 2 + digits),
            None => ('\\', at + 1),
        };
        out.push(character);
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// What a message shows of a text from a file.
pub(super) fn shortened(text: &str) -> String {
    format!("`{}`", text.chars().take(40).collect::<String>().escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_what_they_stand_for() {
        assert_eq!(bytes(r"a\x00\xff\n\\\'").as_deref(), Some(&b"a\x00\xff\n\\'"[..]));
        assert_eq!(bytes(r"\x0"), None);
        assert_eq!(bytes("\\"), None);
        assert_eq!(text(r"a\u00e9\U0001F600\q\u12"), "aé😀\\q\\u12");
    }
}
