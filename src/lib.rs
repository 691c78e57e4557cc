//! workbench-mcp
pub mod caller;
pub mod clock;
pub mod ids;
pub mod integrations;
pub mod kit;
pub mod sandbox;
pub mod store;
