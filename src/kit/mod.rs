//! Everything an integration may use, and nothing else.
//!
//! An integration is data (`integration`) with a few functions in it: tools (`tool`), context blocks (`block`), and the
//! hooks of its provider. It reaches the world through [`client::ProviderClient`] alone and answers in the envelope of
//! `output`. What three integrations need moves here; what one needs stays there.
//! Files and mail messages, which several providers hold, are read and written by `documents` and `mail`.
//!
//! This module does not know users, tokens, SQL, MCP or HTTP servers.

pub mod args;
pub mod block;
pub mod client;
pub mod documents;
pub mod error;
pub mod integration;
pub mod mail;
pub mod output;
pub mod people;
pub mod progress;
pub mod schema;
pub mod text;
pub mod tool;
pub mod tracking;
pub mod uri;
pub mod zone;

// Integrations name nothing of this crate but `kit`, and need these two values of the layers below.
pub use crate::clock::Timestamp;
pub use crate::store::Record;
