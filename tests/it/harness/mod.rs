//! What the tests stand on.

pub mod app;
pub mod database;
pub mod fixtures;
pub mod http;
pub mod identity;
pub mod openapi;
pub mod process;
pub mod rows;
pub mod upstream;
