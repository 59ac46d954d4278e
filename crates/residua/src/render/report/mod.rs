//! Reports of checks, in each format that other programs read.

mod github;
mod json;
mod junit;
mod markdown;
mod sarif;

pub use github::write as github;
pub use json::write as json;
pub use junit::write as junit;
pub use markdown::write as markdown;
pub use sarif::write as sarif;
