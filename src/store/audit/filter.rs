//! What to look for among completed events, and what is found.

use super::AuditClass;
use crate::clock::Timestamp;
use crate::ids::{CallId, ConnectionId, UserId};

/// A value, or what it is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Like<T> {
    /// This.
    Is(T),
    /// Any of this class; of outcomes, everything but `ok`.
    Class(AuditClass),
    /// Everything but `ok`.
    NotOk,
}

/// Words to look for in the texts of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditWords {
    /// In lower case (ASCII): found anywhere in tool, integration, thread, kind or outcome, or, of what is no call, in its
    /// facts.
    pub text: String,
    /// Events of these people fit too.
    pub users: Vec<UserId>,
    /// And events through these connections.
    pub connections: Vec<ConnectionId>,
}

/// Which completed events to look for; `None` does not ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditSearch {
    /// Who.
    pub user: Option<UserId>,
    /// Integration id.
    pub integration: Option<String>,
    /// Connection.
    pub connection: Option<ConnectionId>,
    /// Tool or block name.
    pub tool: Option<String>,
    /// Effect.
    pub effect: Option<String>,
    /// Outcome: a code, or [`Like::NotOk`].
    pub outcome: Option<Like<String>>,
    /// Conversation.
    pub thread: Option<String>,
    /// Kind of event, or a class of kinds.
    pub kind: Option<Like<String>>,
    /// Words.
    pub words: Option<AuditWords>,
    /// Only events after this one.
    pub above: i64,
    /// Only events before this one; `i64::MAX` does not ask.
    pub below: i64,
}

/// In which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditOrder {
    /// The newest first.
    Down,
    /// The oldest first.
    Up,
}

/// An event as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditLine {
    /// Its place in the chain.
    pub seq: i64,
    /// When it was appended.
    pub at: Timestamp,
    /// `tool.outcome`, `connection.connected`, …
    pub kind: String,
    /// The call.
    pub call_id: CallId,
    /// Who; `None` is the server itself.
    pub user_id: Option<UserId>,
    /// The integration's id.
    pub integration: Option<String>,
    /// Through which connection.
    pub connection_id: Option<ConnectionId>,
    /// The tool's or block's name.
    pub tool: Option<String>,
    /// `read`, `write` or `destructive`.
    pub effect: Option<String>,
    /// The conversation.
    pub thread: Option<String>,
    /// `ok`, or the code of what went wrong.
    pub outcome: String,
    /// What else is kept for good, as a JSON object.
    pub facts: String,
}

/// What a stretch found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditStretch {
    /// The events that fit, in the order asked for.
    pub lines: Vec<AuditLine>,
    /// The last event that was looked at, when there may be more beyond it.
    pub reached: Option<i64>,
}
