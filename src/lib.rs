//! workbench-mcp: one server that connects a team's business systems to any AI client over the Model Context Protocol.
//!
//! # Map
//!
//! Modules in reading order, which is also the direction of imports: a module names those before it, as the table in
//! `tests/it/tidy.rs` allows, and never one after it.
//!
//! | Layer | Modules |
//! |---|---|
//! | Base | [`ids`], [`clock`], [`config`], [`telemetry`], [`faults`], [`turns`], [`caller`], [`links`], [`fetch`] |
//! | Secrets and rows | [`vault`] (envelope encryption, no I/O), [`store`] (SQL lives there and nowhere else), [`changes`] |
//! | What an integration may use | [`kit`] |
//! | Integrations | [`integrations`], one folder each; they name nothing but `kit` |
//! | Services | [`audit`] (two-phase log), [`policy`] (pure), [`rulebook`] (what admins set), [`auth`] (inbound), [`connect`] (outbound), [`removal`] (of a person, from both), [`approvals`] (a human's yes), [`keys`], [`system`] (as admins see it) |
//! | The one path of a call | [`calls`] |
//! | Faces | [`mcp`] (the protocol), [`web`] (routes and pages) |
//! | Around it | [`jobs`], [`sandbox`] (stands in for the providers), [`schemas`], [`app`] (builds it all), [`cli`] |
//!
//! # Invariants
//!
//! Each has a test or a type behind it.
//!
//! 1. `integrations` names only `kit`: it cannot reach a token, a user, SQL or MCP.
//! 2. Only `mcp` names rmcp; only `web`, `sandbox` and `app` name axum; only `store` names sqlx; only `kit::client`,
//!    `connect` and [`fetch`] name reqwest; only `vault` names a cipher.
//! 3. Plaintext credentials exist only inside `connect` and [`kit::client::ProviderClient`], in types without `Debug`,
//!    `Display` or `Serialize`.
//! 4. Every tool call and block read goes through [`calls`]; nothing else calls [`kit::tool::ToolDef::call`].
//! 5. What one request leaves for the next is in the [`store`]; memory holds copies that a change or a few seconds end.
//! 6. No wall clock and no randomness outside `clock`, `ids` and `vault`.
//! 7. A transaction never leaves a [`store::Store`] method.
//! 8. Paths at a provider are segments, never formatted text.
//!
//! # The life of a call
//!
//! `POST /mcp` passes `web::bearer`, which asks [`auth::Auth`] whose token it is and puts a [`caller::Caller`] into the
//! request. `mcp::handler` decodes it, and from here nothing knows MCP. [`calls::Calls::call`] finds the tool, queues the
//! audit record of the intent, asks [`policy::decide`], checks the arguments against the compiled schema, takes the
//! idempotency key if there is one, and lets [`connect::Connections::open`] choose the account, check its scopes, renew its
//! token if need be and unseal it into a [`kit::client::ProviderClient`]. An integration that is open to everyone has no
//! account: its client takes fair turns at each source instead, and gives answers again. A write now waits until its record is durable,
//! and a call that a rule asks about takes the person's yes from [`approvals`]. The tool runs inside a timeout and a
//! panic boundary; its answer is cleaned, capped at record boundaries and its cursor sealed. The outcome is recorded, and
//! only then does `mcp::render` turn the answer, or the one [`kit::error::Code`] of its failure, into the protocol's words.
//! A block read is the same path.

pub mod app;
pub mod approvals;
pub mod audit;
pub mod auth;
pub mod caller;
pub mod calls;
pub mod changes;
pub mod cli;
pub mod clock;
pub mod config;
pub mod connect;
pub mod faults;
pub mod fetch;
pub mod ids;
pub mod integrations;
pub mod jobs;
pub mod keys;
pub mod kit;
pub mod links;
pub mod mcp;
pub mod policy;
pub mod removal;
pub mod rounds;
pub mod rulebook;
pub mod sandbox;
pub mod schemas;
pub mod store;
pub mod system;
pub mod telemetry;
pub mod tracking;
pub mod turns;
pub mod vault;
pub mod web;
