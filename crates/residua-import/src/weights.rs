//! Networks known from their weights alone.
