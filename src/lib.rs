//! workbench-mcp
pub mod audit;
pub mod auth;
pub mod caller;
pub mod calls;
pub mod changes;
pub mod clock;
pub mod config;
pub mod connect;
pub mod faults;
pub mod ids;
pub mod integrations;
pub mod kit;
pub mod links;
pub mod policy;
pub mod sandbox;
pub mod store;
pub mod vault;
