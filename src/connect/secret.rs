//! A connection's credential as one sealed document, so that an access token and a refresh token of different versions
//! cannot be mixed.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::error::ConnectError;
use crate::store::ConnectionRow;
use crate::vault::{Place, Sealed, Vault};

/// What is sealed of a connection. It has no `Debug`, and is serialized only into the vault.
pub(super) enum Tokens {
    /// OAuth tokens.
    OAuth {
        access: SecretString,
        refresh: Option<SecretString>,
    },
    /// A key that the person pasted.
    Key(SecretString),
    /// Nothing: the person disconnected, and kept what was synced.
    Nothing,
}

#[derive(Serialize, Deserialize)]
struct Document<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
}

impl Tokens {
    /// What goes into the credential of a request.
    pub(super) fn bearer(&self) -> Option<&SecretString> {
        match self {
            Self::OAuth { access, .. } => Some(access),
            Self::Key(key) => Some(key),
            Self::Nothing => None,
        }
    }

    /// Whether it can be renewed without the person.
    pub(super) const fn can_refresh(&self) -> bool {
        matches!(
            self,
            Self::OAuth {
                refresh: Some(_),
                ..
            }
        )
    }

    /// Seals it for version `version` of `row`.
    pub(super) fn seal(
        &self,
        vault: &Vault,
        row: &ConnectionRow,
        version: i64,
    ) -> Result<Sealed, ConnectError> {
        let document = match self {
            Self::OAuth { access, refresh } => Document {
                access: Some(access.expose_secret()),
                refresh: refresh.as_ref().map(ExposeSecret::expose_secret),
                key: None,
            },
            Self::Key(key) => Document {
                access: None,
                refresh: None,
                key: Some(key.expose_secret()),
            },
            Self::Nothing => Document {
                access: None,
                refresh: None,
                key: None,
            },
        };
        let text =
            Zeroizing::new(serde_json::to_string(&document).map_err(|_| ConnectError::Secret)?);
        Ok(vault.seal(&place(row, version), &SecretString::from(text.as_str()))?)
    }

    /// Opens what is stored of `row`.
    pub(super) fn open(vault: &Vault, row: &ConnectionRow) -> Result<Self, ConnectError> {
        let text = vault.open(&place(row, row.token_version), &row.sealed)?;
        // Tokens are printable ASCII, so the document holds no escapes and can be borrowed from.
        let document: Document<'_> =
            serde_json::from_str(text.expose_secret()).map_err(|_| ConnectError::Secret)?;
        match document {
            Document {
                access: Some(access),
                refresh,
                ..
            } => Ok(Self::OAuth {
                access: access.into(),
                refresh: refresh.map(Into::into),
            }),
            Document { key: Some(key), .. } => Ok(Self::Key(key.into())),
            Document {
                access: None,
                refresh: None,
                key: None,
            } => Ok(Self::Nothing),
            Document { .. } => Err(ConnectError::Secret),
        }
    }
}

/// Where a connection's credential of this version stands.
pub(super) fn place(row: &ConnectionRow, version: i64) -> Place<'_> {
    Place {
        table: "connections",
        column: "sealed",
        org: row.org_id,
        user: Some(row.user_id),
        row: row.id.bytes(),
        provider: &row.provider,
        version,
    }
}
