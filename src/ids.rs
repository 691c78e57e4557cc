//! Identifiers: UUIDv7 newtypes that print with a prefix (`con_…`), so that a log line or an error says what it names.
//!
//! Version 7 (RFC 9562 §5.7) keeps rows of one table in creation order, which is what the listings want.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Timestamp;

/// The text was not an identifier of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an id that starts with `{prefix}_`")]
pub struct InvalidId {
    /// The prefix that was expected.
    pub prefix: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// What the printed form starts with, before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// A fresh id, ordered by `now`.
            pub fn new(now: Timestamp) -> Self {
                Self(uuid_v7(now))
            }

            /// The id as the stores keep it.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The bare UUID, for the store.
            pub const fn uuid(self) -> Uuid {
                self.0
            }

            /// When it was made, to the millisecond (RFC 9562 §5.7).
            pub fn made_at(self) -> Timestamp {
                let [a, b, c, d, e, f, ..] = *self.0.as_bytes();
                let millis = i64::from_be_bytes([0, 0, a, b, c, d, e, f]);
                Timestamp::from_micros(millis * 1_000)
            }

            /// The UUID's bytes, for associated data.
            pub const fn bytes(&self) -> &[u8] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}_{}", $prefix, self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(|rest| Uuid::try_parse(rest).ok())
                    .map(Self)
                    .ok_or(InvalidId { prefix: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// A sent message whose opens and clicks are noticed.
    TrackedMailId,
    "mail"
);
id!(
    /// An organization: the boundary of data, policy and audit.
    OrgId, "org"
);
id!(
    /// A person of an organization.
    UserId, "usr"
);
id!(
    /// One person's connected account at one provider.
    ConnectionId, "con"
);
id!(
    /// One tool call or block read; also the id of its audit records.
    CallId, "call"
);
id!(
    /// A personal access token or a browser session.
    GrantId, "grt"
);
id!(
    /// A group of people.
    GroupId, "grp"
);
id!(
    /// A rule of an organization's policy.
    RuleId, "rul"
);
id!(
    /// A link that makes somebody a member.
    InvitationId, "inv"
);
id!(
    /// One attempt to connect an account, from the link to the callback.
    FlowId, "flow"
);
id!(
    /// A question to a person whether a call may happen.
    ApprovalId, "apr"
);
id!(
    /// One attempt to sign an MCP client in, from its request to the exchange of its code.
    AuthorizationId, "athz"
);
id!(
    /// A signed-in MCP client: all tokens that come from one consent.
    FamilyId, "fam"
);
id!(
    /// A data key of the vault.
    DataKeyId, "dek"
);

/// An unguessable word: `prefix` and 256 random bits as unpadded base64url (RFC 4648 §5), so 43 more characters.
pub fn random_token(prefix: &str) -> String {
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random::<32>()))
}

fn uuid_v7(now: Timestamp) -> Uuid {
    let millis = u64::try_from(now.micros() / 1_000).unwrap_or(0);
    // Ids only need to be unique, so the counterless v7 layout with 74 random bits is enough.
    uuid::Builder::from_unix_timestamp_millis(millis, &random()).into_uuid()
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // An operating system without randomness cannot run this product at all.
    if getrandom::fill(&mut bytes).is_err() {
        std::process::abort();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_parses_with_its_prefix() {
        let id = ConnectionId::new(Timestamp::from_micros(1_700_000_000_000_000));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(
            id.to_string().parse::<UserId>(),
            Err(InvalidId { prefix: "usr" })
        );
        assert_eq!(
            "con_".parse::<ConnectionId>(),
            Err(InvalidId { prefix: "con" })
        );
    }

    #[test]
    fn random_tokens_are_long_and_differ() {
        let token = random_token("x_");
        assert_eq!(token.len(), 2 + 43);
        assert!(token.starts_with("x_"));
        assert_ne!(token, random_token("x_"));
    }

    #[test]
    fn later_ids_sort_later() {
        let early = CallId::new(Timestamp::from_micros(1_000_000));
        let late = CallId::new(Timestamp::from_micros(2_000_000));
        assert!(early < late);
    }
}
