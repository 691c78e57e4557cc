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

mod audit;
mod catalogue;
mod contracts;
mod generated;
mod harness;
mod integrations;
mod mcp;
mod mcp_json;
mod sandbox;
mod store;
mod tidy;
