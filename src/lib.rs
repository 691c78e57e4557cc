//! workbench-mcp
pub mod audit;
pub mod caller;
pub mod clock;
pub mod ids;
pub mod integrations;
pub mod kit;
pub mod store;
pub mod vault;
