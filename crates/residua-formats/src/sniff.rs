//! Tells from bytes, never from a name, what a file is.
