//! What commands print to be read: text for a terminal. All other formats are the library's.

pub(crate) mod differences;
pub(crate) mod evaluation;
pub(crate) mod finding;
pub(crate) mod inspect;
pub(crate) mod manifest;
pub(crate) mod predictions;
pub(crate) mod report;
pub(crate) mod table;
pub(crate) mod values;
pub(crate) mod verification;
