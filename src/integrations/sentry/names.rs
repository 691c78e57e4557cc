//! How people name issues and traces: by number, by short id, by an address from the browser.

use serde::Deserialize;
use url::Url;

use super::org::{Org, seen};
use crate::kit::error::ToolError;
use crate::kit::tool::Cx;

/// `GET …/shortids/{id}/`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Numbered {
    group_id: String,
}

/// An issue as somebody named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// A number, or a short id such as `ACME-WEB-1A`.
    pub(super) id: String,
    /// The organization, when the address names it.
    pub(super) org: Option<String>,
    /// The event, when the address names one.
    pub(super) event: Option<String>,
}

impl Named {
    /// Reads `4501`, `ACME-WEB-1A` and addresses of Sentry's pages.
    pub(super) fn issue(text: &str) -> Result<Self, ToolError> {
        let text = text.trim();
        let wrong = || {
            ToolError::Invalid(format!(
                "`{}` is no issue; give a number, a short id such as ACME-WEB-1A or its address",
                crate::kit::text::clip(text, 80)
            ))
        };
        let found = if text.contains("://") {
            let url = Url::parse(text).map_err(|_| wrong())?;
            let parts: Vec<&str> = url.path_segments().into_iter().flatten().collect();
            let after = |word: &str| {
                let at = parts.iter().position(|part| *part == word)?;
                let next = parts.get(at + 1).filter(|next| !next.is_empty());
                next.map(|next| (*next).to_owned())
            };
            Self {
                id: after("issues").ok_or_else(wrong)?,
                org: after("organizations").or_else(|| subdomain(&url)),
                event: after("events"),
            }
        } else {
            Self {
                id: text.to_owned(),
                org: None,
                event: None,
            }
        };
        let is_word = |id: &str| {
            !id.is_empty()
                && id.len() <= 100
                && id
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        };
        let is_number = found.id.bytes().all(|byte| byte.is_ascii_digit());
        if is_word(&found.id) && (is_number || found.id.contains('-')) {
            Ok(found)
        } else {
            Err(wrong())
        }
    }

    /// A trace's id and the organization, from 32 hexadecimal digits or the address of its page.
    pub(super) fn trace(text: &str) -> Result<Self, ToolError> {
        let text = text.trim();
        let (id, org) = match Url::parse(text) {
            Ok(url) if text.contains("://") => {
                let mut parts = url.path_segments().into_iter().flatten();
                let id = parts.find(|part| is_trace(part)).map(ToOwned::to_owned);
                let mut parts = url.path_segments().into_iter().flatten();
                let org = parts
                    .find(|part| *part == "organizations")
                    .and_then(|_| parts.next());
                let org = org.map(ToOwned::to_owned).or_else(|| subdomain(&url));
                (id, org)
            }
            _ => (is_trace(text).then(|| text.to_owned()), None),
        };
        let id = id.ok_or_else(|| {
            ToolError::Invalid(
                "`trace` must be 32 hexadecimal digits, or the address of a trace's page"
                    .to_owned(),
            )
        })?;
        Ok(Self {
            id: id.to_ascii_lowercase(),
            org,
            event: None,
        })
    }

    /// The organization that is meant: the one named beside it, else the one in its address.
    pub(super) async fn org(&self, cx: &Cx, beside: Option<&str>) -> Result<Org, ToolError> {
        Org::of(cx, beside.or(self.org.as_deref())).await
    }

    /// The issue's number, asked for when only its short id is known.
    pub(super) async fn number(&self, org: &Org) -> Result<String, ToolError> {
        if self.id.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(self.id.clone());
        }
        let id = self.id.to_ascii_uppercase();
        let found = org.get(&["shortids", &id]).send::<Numbered>().await;
        Ok(seen(&format!("issue {id}"), found)?.group_id)
    }
}

fn is_trace(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// `acme` of `acme.sentry.io`.
fn subdomain(url: &Url) -> Option<String> {
    let name = url.host_str()?.strip_suffix(".sentry.io")?;
    let shared = ["www", "us", "de", "eu"].contains(&name) || name.contains('.');
    (!shared).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

    use super::*;

    #[test]
    fn issues_are_named_in_many_ways() {
        for (text, id, org, event) in [
            ("4501", "4501", None, None),
            (" ACME-WEB-1A ", "ACME-WEB-1A", None, None),
            (
                "https://acme.sentry.io/issues/4501/?project=1",
                "4501",
                Some("acme"),
                None,
            ),
            (
                "https://sentry.io/organizations/acme/issues/4501/events/latest/",
                "4501",
                Some("acme"),
                Some("latest"),
            ),
            (
                "https://sentry.example.com/organizations/acme/issues/ACME-WEB-1A",
                "ACME-WEB-1A",
                Some("acme"),
                None,
            ),
            ("https://de.sentry.io/issues/4501/", "4501", None, None),
        ] {
            let found = Named::issue(text).unwrap();
            let expected = (id, org, event);
            let found = (&*found.id, found.org.as_deref(), found.event.as_deref());
            assert_eq!(found, expected, "{text}");
        }
        for wrong in [
            "",
            "acme",
            "ACME WEB",
            "../../1-2",
            "https://acme.sentry.io/issues/",
            "https://acme.sentry.io/projects/web/",
            "https://acme.sentry.io/issues/a%2Fb-c",
        ] {
            assert!(Named::issue(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn traces_are_named_by_digits_or_address() {
        let id = "7f3c0d5e9b1a4c2e8d6f0a1b2c3d4e5f";
        let page = format!("https://acme.sentry.io/explore/traces/trace/{id}/?x=1");
        for text in [id, &id.to_ascii_uppercase(), &page] {
            assert_eq!(Named::trace(text).unwrap().id, id);
        }
        assert_eq!(Named::trace(&page).unwrap().org.as_deref(), Some("acme"));
        assert!(Named::trace("7f3c").is_err());
    }
}
