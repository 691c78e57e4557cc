//! The one test binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::wildcard_enum_match_arm,
    missing_docs,
    unreachable_pub,
    reason = "a test says what went wrong by failing"
)]

mod audit;
mod bad_input;
mod connect;
mod crash;
mod harness;
mod integrations;
mod isolation;
mod refresh;
mod sandbox;
mod secrets;
mod store;
mod vault;
