//! Context block: a contact.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::asks::seen;
use super::super::auth::CONTACTS_READ;
use super::{FIELDS, person, person_id, search, url};
use crate::kit::block::{Content, ContextBlock};
use crate::kit::error::ToolError;
use crate::kit::text;
use crate::kit::tool::{Cx, Needs};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Etag {
    etag: String,
}

/// A saved contact.
#[derive(Debug, Deserialize)]
pub(super) struct ContactBlock {
    id: String,
}

impl ContextBlock for ContactBlock {
    const URI: &'static str = "google://{account}/contacts/{id}";
    const NAME: &'static str = "google_contact";
    const TITLE: &'static str = "Google contact";
    const DESCRIPTION: &'static str = "A saved contact: addresses, numbers, company, notes.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = Needs::All(&[CONTACTS_READ]);

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let id = person_id(&self.id);
        let what = format!("contact {id}");
        if let Some(held) = &cx.held {
            // The same fields: Google's versions are of what was asked for.
            let request = cx.api.at("people").get(&["v1", "people", id]);
            let request = request
                .query("personFields", FIELDS)
                .query("fields", "etag");
            if seen(cx, &what, request.send::<Etag>().await)?.etag == *held {
                return Ok(Content::unchanged());
            }
        }
        let person = seen(cx, &what, person(cx, id).await)?;
        let mut out = format!("# {}\n\n", text::visible(person.name().to_owned()));
        for work in &person.organizations {
            let parts = [&work.title, &work.department, &work.name];
            let parts: Vec<&str> = parts
                .iter()
                .map(|part| part.as_str())
                .filter(|part| !part.is_empty())
                .collect();
            if !parts.is_empty() {
                let _ = writeln!(out, "- Work: {}", text::visible(parts.join(", ")));
            }
        }
        for (name, list) in [
            ("Mail", &person.email_addresses),
            ("Phone", &person.phone_numbers),
            ("Page", &person.urls),
        ] {
            for entry in list {
                let value = text::visible(entry.value.clone());
                let _ = match entry.r#type.as_str() {
                    "" => writeln!(out, "- {name}: {value}"),
                    kind => writeln!(out, "- {name} ({}): {value}", text::printable(kind)),
                };
            }
        }
        for address in &person.addresses {
            let line = address.formatted_value.replace('\n', ", ");
            let _ = writeln!(out, "- Address: {}", text::visible(line));
        }
        for note in &person.biographies {
            let _ = write!(out, "\n## Notes\n\n{}\n", text::visible(note.value.clone()));
        }
        let short = text::clip(&out, cx.max_chars);
        Ok(Content {
            version: Some(person.etag).filter(|etag| !etag.is_empty()),
            url: Some(url(id)),
            truncated: short.len() != out.len(),
            ..Content::text(short)
        })
    }

    async fn complete(
        cx: &Cx,
        _field: &str,
        prefix: &str,
        _chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        search::ids(cx, prefix).await
    }
}
