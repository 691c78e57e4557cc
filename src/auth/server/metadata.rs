//! What a client says of itself, in a registration (RFC 7591 §2) or in its metadata document: which of it is believed,
//! kept and shown. Pure.

use serde::Deserialize;

use super::redirect;

/// Most redirect URIs looked at, and most kept.
const MAX_URIS: usize = 20;
/// Longest name shown, in characters.
const MAX_NAME: usize = 60;

/// The fields that are read; all others are ignored, logos among them.
#[derive(Debug, Default, Deserialize)]
pub struct ClientMetadata {
    /// Only in a metadata document: its own address.
    pub client_id: Option<String>,
    /// A name for people.
    pub client_name: Option<String>,
    /// Where codes go.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// How it would prove itself at the token endpoint.
    pub token_endpoint_auth_method: Option<String>,
    /// How it would get tokens.
    pub grant_types: Option<Vec<String>>,
    /// What it would have sent to the redirect URI.
    pub response_types: Option<Vec<String>>,
    /// A shared secret, which a public document must not have.
    pub client_secret: Option<serde_json::Value>,
}

/// Why a client cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadClient {
    /// None of its redirect URIs can be used; the reason is of the first one.
    #[error("no redirect URI can be used: {0}")]
    Redirect(String),
    /// Something else in it.
    #[error("{0}")]
    Metadata(&'static str),
}

/// What is kept of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Described {
    /// A name that is safe to show; empty when it gave none.
    pub name: String,
    /// The redirect URIs that can be used.
    pub redirect_uris: Vec<String>,
}

/// Checks what a client says. A set of redirect URIs is cut down to those that can be used: clients register all the forms
/// that they might ever need at once.
pub(super) fn check(metadata: &ClientMetadata) -> Result<Described, BadClient> {
    // Clients without a field mean its default, and some name methods that they then do not use; a secret is never given
    // out, so whatever they name they are public clients. In a document, naming a secret is a mistake.
    if metadata.client_id.is_some() {
        let public = metadata
            .token_endpoint_auth_method
            .as_deref()
            .is_none_or(|method| method == "none");
        if !public || metadata.client_secret.is_some() {
            return Err(BadClient::Metadata(
                "a metadata document must say token_endpoint_auth_method none and hold no secret",
            ));
        }
    }
    let wants = |list: &Option<Vec<String>>, word: &str| {
        list.as_ref()
            .is_none_or(|list| list.is_empty() || list.iter().any(|item| item == word))
    };
    if !wants(&metadata.grant_types, "authorization_code") {
        return Err(BadClient::Metadata(
            "grant_types must have authorization_code",
        ));
    }
    if !wants(&metadata.response_types, "code") {
        return Err(BadClient::Metadata("response_types must have code"));
    }
    if metadata.redirect_uris.len() > MAX_URIS {
        return Err(BadClient::Redirect(format!(
            "there are more than {MAX_URIS}"
        )));
    }
    let mut reason = None;
    let mut redirect_uris: Vec<String> = Vec::new();
    for uri in &metadata.redirect_uris {
        match redirect::read(uri) {
            Ok(_) if redirect_uris.contains(uri) => {}
            Ok(_) => redirect_uris.push(uri.clone()),
            Err(problem) => {
                reason.get_or_insert(problem.to_string());
            }
        }
    }
    if redirect_uris.is_empty() {
        let reason = reason.unwrap_or_else(|| "redirect_uris is missing or empty".to_owned());
        return Err(BadClient::Redirect(reason));
    }
    Ok(Described {
        name: shown(metadata.client_name.as_deref().unwrap_or_default()),
        redirect_uris,
    })
}

/// A name as it may stand on a page: one line, without characters that hide, join or turn others.
fn shown(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_whitespace() {
            if !text.is_empty() && !text.ends_with(' ') {
                text.push(' ');
            }
        } else if !is_invisible(letter) {
            text.push(letter);
        }
    }
    let text: String = text.trim().chars().take(MAX_NAME).collect();
    text.trim_end().to_owned()
}

/// Control and format characters (bidirectional controls, zero-width characters, tags, variation selectors, fillers).
fn is_invisible(letter: char) -> bool {
    letter.is_control()
        || matches!(
            u32::from(letter),
            0xad | 0x34f
                | 0x61c
                | 0x115f..=0x1160
                | 0x17b4..=0x17b5
                | 0x180b..=0x180f
                | 0x200b..=0x200f
                | 0x2028..=0x202e
                | 0x2060..=0x206f
                | 0x3164
                | 0xe000..=0xf8ff
                | 0xfe00..=0xfe0f
                | 0xfeff
                | 0xffa0
                | 0xfff0..=0xfffb
                | 0x1_d173..=0x1_d17a
                | 0xe_0000..=0x10_ffff
        )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

    use serde_json::{Value, json};

    use super::*;

    fn checked(body: Value) -> Result<Described, BadClient> {
        check(&serde_json::from_value(body).unwrap())
    }

    #[test]
    fn the_valid_part_of_a_set_is_kept() {
        let described = checked(json!({
            "client_name": "Editor",
            "redirect_uris": [
                "cursor://anysphere.cursor-mcp/oauth/callback",
                "evil://x/cb",
                "http://localhost:8787/callback",
                "http://app.example.test/cb",
                "http://localhost:8787/callback",
            ],
            "logo_uri": "https://app.example.test/logo.png",
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "client_secret_basic",
            "unknown": { "x": 1 },
        }));
        let described = described.unwrap();
        assert_eq!(
            described.redirect_uris,
            [
                "cursor://anysphere.cursor-mcp/oauth/callback",
                "http://localhost:8787/callback"
            ]
        );
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let uri = "https://app.example.test/cb";
        let many: Vec<_> = (0..=MAX_URIS).map(|n| format!("{uri}{n}")).collect();
        for body in [
            json!({}),
            json!({ "redirect_uris": [] }),
            json!({ "redirect_uris": ["evil://x/cb"] }),
            json!({ "redirect_uris": many }),
            json!({ "redirect_uris": [uri], "grant_types": ["client_credentials"] }),
            json!({ "redirect_uris": [uri], "response_types": ["token"] }),
            json!({ "client_id": "x", "redirect_uris": [uri], "token_endpoint_auth_method": "client_secret_basic" }),
            json!({ "client_id": "x", "redirect_uris": [uri], "client_secret": "x" }),
        ] {
            assert!(checked(body.clone()).is_err(), "{body}");
        }
    }

    #[test]
    fn names_are_inert() {
        let long = "x".repeat(500);
        for (given, expected) in [
            ("Claude", "Claude"),
            ("  Claude \r\n Code ", "Claude Code"),
            ("a\u{202e}b\u{200b}c\u{feff}\u{2066}", "abc"),
            ("\u{e0041}\u{fe0f}x\0\u{1b}[31m", "x[31m"),
            ("B\u{fc}ro", "B\u{fc}ro"),
            ("\u{200b}", ""),
            (&long, &long[..MAX_NAME]),
        ] {
            assert_eq!(shown(given), expected, "{given:?}");
        }
    }
}
