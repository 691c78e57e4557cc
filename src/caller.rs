//! Who is asking: plain data that `auth` makes and everything below the faces carries along.

use std::sync::Arc;

use crate::ids::{GrantId, OrgId, UserId};

/// What a person may do in their organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Uses tools and manages their own connections.
    Member,
    /// Also sets OAuth apps, switches integrations, sets policy.
    Admin,
    /// Also reads recorded arguments in the audit log.
    Auditor,
}

impl Role {
    /// The word stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Auditor => "auditor",
        }
    }

    /// Reads the stored word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Member, Self::Admin, Self::Auditor]
            .into_iter()
            .find(|role| role.as_str() == word)
    }
}

/// How the caller proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A personal access token (`wbt_…`).
    Token(GrantId),
    /// A browser session.
    Session(GrantId),
    /// The local person of `stdio`: whoever can start the process is trusted with the database anyway.
    Local,
}

/// The face and client a request came through, for the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// Name and version the MCP client gave of itself; empty when it gave none.
    pub name: String,
    /// Protocol revision, such as `2026-07-28`; empty outside MCP.
    pub protocol: String,
    /// `stdio`, `http`, `sse` or `web`.
    pub transport: &'static str,
}

/// A person, their organization, and what their credential allows. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The person.
    pub user: UserId,
    /// Their organization.
    pub org: OrgId,
    /// Their e-mail address, as shown to themselves and in the audit log.
    pub email: Arc<str>,
    /// Their role.
    pub role: Role,
    /// What they showed.
    pub credential: Credential,
    /// Whether the credential only allows reading.
    pub read_only: bool,
}
