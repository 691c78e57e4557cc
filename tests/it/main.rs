//! The one test binary.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::wildcard_enum_match_arm,
    clippy::too_many_lines,
    unreachable_pub,
    reason = "a test says what went wrong by failing"
)]

mod approvals;
mod audit;
mod bad_input;
mod catalogue;
mod connect;
mod contracts;
mod crash;
mod door;
mod fuzz;
mod generated;
mod harness;
mod integrations;
mod isolation;
mod mcp;
mod mcp_json;
mod open;
mod pages;
mod people;
mod refresh;
mod rules;
mod sandbox;
mod secrets;
mod store;
mod tidy;
mod tracking;
mod vault;
