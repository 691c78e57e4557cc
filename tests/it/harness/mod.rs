//! What the tests stand on.

pub mod database;
pub mod fixtures;
pub mod openapi;
pub mod rows;
pub mod upstream;
