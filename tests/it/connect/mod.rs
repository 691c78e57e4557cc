//! Connecting accounts, from the first click to the last: what people see, what clients see, and what nobody can do to
//! somebody else (security.md 1.3).

mod accounts;
mod attacks;
mod keys;
mod life;
mod pages;
mod products;

use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use url::Url;
use workbench_mcp::sandbox::{Command, Fault, Place};

use crate::harness::app::{Person, TestApp, World, for_each_world, still, until};
use crate::harness::http::{Browser, Page};
