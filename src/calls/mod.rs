//! The one path of a tool call or a block read (design 3.5). Nothing else calls [`crate::kit::tool::ToolDef::call`].
//!
//! This module does not know MCP, HTTP or SQL.

mod error;

use serde_json::{Map, Value};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::caller::{Caller, Client};
use crate::clock::Timestamp;
use crate::ids::{CallId, ConnectionId};
use crate::kit::block::{BlockDef, Content};
use crate::kit::integration::Integration;
use crate::kit::output::Output;
use crate::kit::progress::Progress;
use crate::kit::tool::ToolDef;

pub use error::{Action, CallError};

/// What surrounds a request: who transports it, in which conversation, and how to follow and stop it.
#[derive(Clone, Default)]
pub struct Context {
    /// The client, for the audit log.
    pub client: Client,
    /// The conversation the caller acts in (`_meta["workbench-mcp/thread"]`).
    pub thread: Option<String>,
    /// Where progress goes.
    pub progress: Progress,
    /// Cancelled when the caller takes the request back; upstream work stops then.
    pub cancel: CancellationToken,
}

/// A tool's answer, capped, cleaned, with its cursor sealed.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The audit record.
    pub call: CallId,
    /// The integration that answered.
    pub integration: &'static Integration,
    /// The account it came from, as the `account` argument names it.
    pub account: String,
    /// The data.
    pub output: Output,
}

/// A context block's answer.
#[derive(Clone, Debug)]
pub struct BlockAnswer {
    /// The audit record.
    pub call: CallId,
    /// The integration that answered; `None` for our own `workbench://accounts`.
    pub integration: Option<&'static Integration>,
    /// The account it came from; empty for our own.
    pub account: String,
    /// The text, capped and cleaned; `mime` is always filled in.
    pub content: Content,
    /// When it was read from the provider.
    pub fetched_at: Timestamp,
}

/// What one caller may use now, in stable order.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// Tools of connected, granted, enabled integrations that the credential allows.
    pub tools: Vec<(&'static Integration, &'static ToolDef)>,
    /// Blocks, by the same rule.
    pub blocks: Vec<(&'static Integration, &'static BlockDef)>,
}

/// One account of the caller.
#[derive(Clone, Debug, serde::Serialize)]
pub struct AccountStatus {
    /// The connection.
    pub id: ConnectionId,
    /// The integration's id.
    pub integration: String,
    /// The integration's name.
    pub service: String,
    /// What people recognise it by.
    pub account: String,
    /// The alias the person gave it.
    pub alias: Option<String>,
    /// `Connected`, `Expired`, `Error` or `Disabled`.
    pub status: &'static str,
    /// Why it is not connected, in words.
    pub reason: Option<String>,
    /// RFC 3339.
    pub connected_on: String,
    /// RFC 3339; `None` before the first call.
    pub last_used: Option<String>,
}

/// Something that changes what a caller may use or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// An account of the person was connected, disconnected, expired or renamed, or an integration was switched.
    CatalogueChanged,
}

/// The calls of everyone. Cheap to clone.
#[derive(Clone)]
pub struct Calls {}

impl Calls {
    /// Calls a tool. `arguments` are as the client sent them, cross-cutting ones (`account`, `dry_run`, `max_chars`)
    /// included. The tool is refused when the caller could not see it.
    pub async fn call(
        &self,
        _caller: &Caller,
        _name: &str,
        _arguments: Map<String, Value>,
        _context: Context,
    ) -> Result<Answer, CallError> {
        unimplemented!()
    }

    /// Reads the context block at `uri`, or `workbench://accounts`.
    pub async fn read(
        &self,
        _caller: &Caller,
        _uri: &str,
        _context: Context,
    ) -> Result<BlockAnswer, CallError> {
        unimplemented!()
    }

    /// Values for `field` of the block with this template, at most 100, best first. An unknown template or field, a
    /// missing account or a failing provider is an empty list: completion never disturbs typing.
    pub async fn complete(
        &self,
        _caller: &Caller,
        _template: &str,
        _field: &str,
        _prefix: &str,
        _chosen: &Map<String, Value>,
        _context: Context,
    ) -> Vec<String> {
        unimplemented!()
    }

    /// What the caller may use now.
    pub async fn catalogue(&self, _caller: &Caller) -> Result<Catalogue, CallError> {
        unimplemented!()
    }

    /// The address at which the person does what a failure asks for. For somebody at `stdio` it also signs the browser
    /// in, once.
    pub async fn link(&self, _caller: &Caller, _action: &Action) -> String {
        unimplemented!()
    }

    /// Tells when something changes for this caller, on this replica or another.
    pub fn events(&self, _caller: &Caller) -> broadcast::Receiver<Event> {
        unimplemented!()
    }
}
