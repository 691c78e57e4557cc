//! A person as a card: a contact or somebody of the directory, with recent mail.

use std::fmt::Write as _;

use futures_util::future::join;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::model::{CONTACT, Contact, User};
use super::sync;
use crate::integrations::m365::graph::{self, Page};
use crate::integrations::m365::model::Message;
use crate::integrations::m365::refs::has_any;
use crate::kit::block::{Content, ContextBlock};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::text;
use crate::kit::tool::{Cx, Needs};
use crate::kit::uri::encode;

/// The permissions with one of which somebody's manager can be read
/// (<https://learn.microsoft.com/graph/api/user-list-manager>). None of them is asked for: they take an administrator.
const MANAGER: &[&str] = &[
    "User.Read.All",
    "User.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
];
/// Messages that a card lists.
const MESSAGES: u32 = 5;

/// A person.
#[derive(Deserialize)]
pub(super) struct PersonBlock {
    id: String,
}

impl ContextBlock for PersonBlock {
    const URI: &'static str = "m365://{account}/people/{id}";
    const NAME: &'static str = "m365_person";
    const TITLE: &'static str = "Person";
    const DESCRIPTION: &'static str = "A contact or colleague: card, recent mail, and the manager where the organization allows it.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = Needs::Any(&["Contacts.Read", "User.ReadBasic.All"]);

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        // The directory numbers people with UUIDs, contacts have longer ids.
        if self.id.len() == 36 || self.id.contains('@') {
            cx.require("User.ReadBasic.All")?;
            self.colleague(cx).await
        } else {
            cx.require("Contacts.Read")?;
            self.contact(cx).await
        }
    }

    async fn complete(
        cx: &Cx,
        _field: &str,
        prefix: &str,
        _chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        if !cx.granted.has("Contacts.Read") {
            return Ok(Vec::new());
        }
        let prefix = prefix.to_lowercase();
        let fits = |contact: &Contact| {
            contact.display_name.to_lowercase().contains(&prefix)
                || contact
                    .emails()
                    .iter()
                    .any(|email| email.starts_with(&prefix))
        };
        let contacts = sync::contacts(cx).await?;
        let found = contacts.into_iter().filter(fits).take(100);
        Ok(found.map(|contact| contact.id).collect())
    }
}

impl PersonBlock {
    fn missing(&self, error: ProviderError) -> ToolError {
        match error {
            ProviderError::NotFound => ToolError::NotFound(format!(
                "there is nobody with the id `{}`; m365_search_people gives the ids",
                text::clip(&self.id, 60)
            )),
            error => error.into(),
        }
    }

    async fn contact(&self, cx: &Cx) -> Result<Content, ToolError> {
        let path = graph::path(&["me", "contacts", &self.id]);
        if let Some(held) = &cx.held {
            let now = cx.api.get(&path).query("$select", "id,changeKey").send();
            let now: Contact = now.await.map_err(|error| self.missing(error))?;
            if now.change_key == *held {
                return Ok(Content::unchanged());
            }
        }
        let found = cx.api.get(&path).query("$select", CONTACT).send();
        let contact: Contact = found.await.map_err(|error| self.missing(error))?;
        let mut text = format!("# {}\n\n", contact.display_name);
        for (name, value) in [
            ("E-mail", contact.emails().join(", ")),
            ("Phone", contact.phones().join(", ")),
            ("Company", contact.company_name.clone()),
            ("Job title", contact.job_title.clone()),
        ] {
            fact(&mut text, name, &value);
        }
        if !contact.personal_notes.trim().is_empty() {
            let _ = write!(text, "\n{}\n", contact.personal_notes.trim());
        }
        let address = contact.emails().into_iter().next().unwrap_or_default();
        recent(cx, &mut text, &address).await;
        Ok(card(cx, &text, Some(contact.change_key)))
    }

    async fn colleague(&self, cx: &Cx) -> Result<Content, ToolError> {
        const SELECT: &str =
            "id,displayName,mail,userPrincipalName,jobTitle,department,officeLocation,mobilePhone";
        let path = graph::path(&["users", &self.id]);
        let user = cx.api.get(&path).query("$select", SELECT).send::<User>();
        let manager = async {
            if !has_any(cx, MANAGER) {
                return None;
            }
            let path = graph::path(&["users", &self.id, "manager"]);
            Some(cx.api.get(&path).send::<User>().await)
        };
        let (user, manager) = join(user, manager).await;
        let user = user.map_err(|error| self.missing(error))?;
        let mut text = format!("# {}\n\n", user.display_name);
        for (name, value) in [
            ("E-mail", user.address()),
            ("Phone", &user.mobile_phone),
            ("Job title", &user.job_title),
            ("Department", &user.department),
            ("Office", &user.office_location),
        ] {
            fact(&mut text, name, value);
        }
        match manager {
            Some(Ok(manager)) => {
                let uri = cx.uri(&format!("people/{}", encode(&manager.id)));
                fact(
                    &mut text,
                    "Manager",
                    &format!("[{}]({uri})", manager.display_name),
                );
            }
            // Nobody above them, or nobody whom we may see: a card without a manager.
            Some(Err(_)) => {}
            None => fact(
                &mut text,
                "Manager",
                "not shown, the permission `User.Read.All` is not granted",
            ),
        }
        recent(cx, &mut text, user.address()).await;
        Ok(card(cx, &text, None))
    }
}

fn fact(text: &mut String, name: &str, value: &str) {
    if !value.trim().is_empty() {
        let _ = writeln!(text, "- {name}: {value}");
    }
}

/// What they wrote lately, where mail may be read.
async fn recent(cx: &Cx, text: &mut String, address: &str) {
    if address.is_empty() || address.contains(['"', '\\']) || !cx.granted.has("Mail.Read") {
        return;
    }
    let page = cx
        .api
        .get(&graph::path(&["me", "messages"]))
        .query("$search", format!("\"from:{address}\""))
        .query("$select", "id,subject,receivedDateTime,conversationId")
        .query("$top", MESSAGES)
        .send::<Page<Message>>();
    let Ok(page) = page.await else {
        text.push_str("\n*Recent mail could not be read.*\n");
        return;
    };
    if page.value.is_empty() {
        return;
    }
    text.push_str("\n## Recent mail\n\n");
    for message in &page.value {
        let uri = cx.uri(&format!("threads/{}", encode(&message.conversation_id)));
        let _ = writeln!(
            text,
            "- {} [{}]({uri})",
            message.received_date_time,
            message.title()
        );
    }
}

fn card(cx: &Cx, text: &str, version: Option<String>) -> Content {
    let short = text::clip(text, cx.max_chars);
    Content {
        truncated: short.len() != text.len(),
        version: version.filter(|version| !version.is_empty()),
        ..Content::text(short)
    }
}
