//! Who is asking: plain data that `auth` makes and everything below the faces carries along.

use std::fmt;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::ids::{GrantId, GroupId, OrgId, UserId};

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

/// Who may say yes to a call that a rule asks about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Approver {
    /// The person in whose name the call would happen.
    #[default]
    Person,
    /// Any admin of the organization.
    Admin,
}

impl Approver {
    /// The word stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Admin => "admin",
        }
    }

    /// Reads the stored word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Person, Self::Admin]
            .into_iter()
            .find(|approver| approver.as_str() == word)
    }
}

/// What a credential allows, whatever its person may do: the OAuth scopes of this server (RFC 6749 §3.3).
///
/// | Scope | Allows |
/// |---|---|
/// | `tools:read` | tools that only read, and context blocks |
/// | `tools:write` | tools that change something, destructive ones included |
/// | `audit:read` | the audit log, where the person may read it |
/// | `integration:<id>` | narrows the others to the integrations named like this |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scopes {
    /// `tools:read`.
    pub read: bool,
    /// `tools:write`.
    pub write: bool,
    /// `audit:read`.
    pub audit: bool,
    /// The integrations of `integration:<id>`, sorted; `None` is all.
    pub integrations: Option<Arc<[String]>>,
}

impl Scopes {
    /// What a person may do who is there themselves.
    pub const ALL: Self = Self {
        read: true,
        write: true,
        audit: true,
        integrations: None,
    };
    /// Tools that only read.
    pub const READ_ONLY: Self = Self {
        read: true,
        write: false,
        audit: false,
        integrations: None,
    };

    /// Reads scope words separated by spaces; the error is the first word that is none of ours.
    pub fn parse(text: &str) -> Result<Self, &str> {
        let mut scopes = Self {
            read: false,
            write: false,
            audit: false,
            integrations: None,
        };
        let mut integrations = Vec::new();
        for word in text.split_ascii_whitespace() {
            match word {
                "tools:read" => scopes.read = true,
                "tools:write" => scopes.write = true,
                "audit:read" => scopes.audit = true,
                _ => match word.strip_prefix("integration:") {
                    Some(id) if !id.is_empty() => integrations.push(id.to_owned()),
                    _ => return Err(word),
                },
            }
        }
        if !integrations.is_empty() {
            integrations.sort_unstable();
            integrations.dedup();
            scopes.integrations = Some(integrations.into());
        }
        Ok(scopes)
    }

    /// Whether this integration is within them.
    pub fn cover(&self, integration: &str) -> bool {
        self.integrations
            .as_ref()
            .is_none_or(|ids| ids.iter().any(|id| id == integration))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [
            (self.read, "tools:read"),
            (self.write, "tools:write"),
            (self.audit, "audit:read"),
        ];
        let mut gap = "";
        for (_, word) in words.iter().filter(|(allowed, _)| *allowed) {
            write!(f, "{gap}{word}")?;
            gap = " ";
        }
        for id in self.integrations.iter().flat_map(|ids| ids.iter()) {
            write!(f, "{gap}integration:{id}")?;
            gap = " ";
        }
        Ok(())
    }
}

/// How the caller proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A personal access token (`wbt_…`).
    Token(GrantId),
    /// A browser session.
    Session(GrantId),
    /// An access token of the external issuer, which holds until then.
    External(Timestamp),
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
    /// The groups they belong to.
    pub groups: Arc<[GroupId]>,
    /// What the credential allows.
    pub scopes: Scopes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_and_written() {
        for (text, written) in [
            ("", Ok("")),
            ("tools:read", Ok("tools:read")),
            ("  tools:write   tools:read ", Ok("tools:read tools:write")),
            (
                "audit:read tools:read audit:read",
                Ok("tools:read audit:read"),
            ),
            (
                "integration:hubspot tools:read integration:github",
                Ok("tools:read integration:github integration:hubspot"),
            ),
            ("tools:read admin", Err("admin")),
            ("integration:", Err("integration:")),
            ("TOOLS:READ", Err("TOOLS:READ")),
        ] {
            let read = Scopes::parse(text).map(|scopes| scopes.to_string());
            assert_eq!(read, written.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn naming_integrations_narrows() {
        let narrow = Scopes::parse("tools:read integration:github");
        assert!(narrow.as_ref().is_ok_and(|scopes| scopes.cover("github")));
        assert!(narrow.is_ok_and(|scopes| !scopes.cover("hubspot")));
        assert!(Scopes::ALL.cover("hubspot"));
    }
}
