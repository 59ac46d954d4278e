//! What findings mean, and what to do about them.

use residua_ir::{Code, Level, Shown};
use serde::Serialize;

use crate::error::{Result, bail};
use crate::suggest;

/// The document of some codes; the schema is `residua.explain/1`.
#[derive(Debug, Serialize)]
pub struct Document {
    schema: &'static str,
    codes: Vec<Explained>,
}

#[derive(Debug, Serialize)]
struct Explained {
    code: &'static str,
    name: &'static str,
    level: Level,
    explanation: String,
}

impl From<&'static Code> for Explained {
    fn from(code: &'static Code) -> Self {
        Self { code: code.id, name: code.name, level: code.level, explanation: code.explanation() }
    }
}

/// The code of this id or name; all codes without one.
///
/// # Errors
/// Where there is none; with what was probably meant.
pub fn codes(wanted: Option<&str>) -> Result<Vec<&'static Code>> {
    let all = residua_verify::codes();
    let Some(wanted) = wanted else { return Ok(all) };
    match residua_verify::code(wanted) {
        Some(code) => Ok(vec![code]),
        None => {
            let names = all.iter().flat_map(|code| [code.id, code.name]);
            bail!("there is no finding `{}`{}", wanted.shown(), suggest::hint(wanted, names))
        }
    }
}

/// What they mean, as a document.
#[must_use]
pub fn document(codes: &[&'static Code]) -> Document {
    Document { schema: "residua.explain/1", codes: codes.iter().map(|&code| Explained::from(code)).collect() }
}
