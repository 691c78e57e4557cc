//! workbench-mcp
pub mod caller;
pub mod calls;
pub mod clock;
pub mod ids;
pub mod integrations;
pub mod kit;
pub mod links;
pub mod store;
