//! Texts of protocol 0, which are written with escapes. (Source: CPython's `Lib/pickletools.py`, `stringnl` and
//! `unicodestringnl`.)

use residua_ir::Shown;

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

/// A text in Latin-1, with `\uXXXX` for what that does not have; escapes that are none stay as they are.
pub(super) fn text(line: &[u8]) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((&byte, behind)) = rest.split_first() {
        let digits = match behind.first() {
            Some(b'u') if byte == b'\\' => 4,
            Some(b'U') if byte == b'\\' => 8,
            Some(_) | None => 0,
        };
        let hex = behind.get(1..=digits).filter(|hex| digits > 0 && hex.iter().all(u8::is_ascii_hexdigit));
        let code = hex.and_then(|hex| u32::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match code.and_then(char::from_u32) {
            Some(character) => {
                out.push(character);
                rest = &behind[1 + digits..];
            }
            None => {
                out.push(char::from(byte));
                rest = behind;
            }
        }
    }
    out
}

/// What a message shows of a text from a file.
pub(super) fn shortened(text: &str) -> String {
    format!("`{}`", text.chars().take(40).collect::<String>().shown())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_what_they_stand_for() {
        assert_eq!(bytes(r"a\x00\xff\n\\\'").as_deref(), Some(&b"a\x00\xff\n\\'"[..]));
        assert_eq!(bytes(r"\x0"), None);
        assert_eq!(bytes("\\"), None);
        assert_eq!(text(b"a\xe9\\u00e9\\U0001F600\\q\\u12\\u+123\\"), "aéé😀\\q\\u12\\u+123\\");
    }
}
