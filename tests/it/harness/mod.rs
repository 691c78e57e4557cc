//! What the tests stand on.

pub mod fixtures;
pub mod upstream;
