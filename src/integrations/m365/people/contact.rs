//! Creating and changing contacts.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::model::{CONTACT, Contact};
use super::{item, sync};
use crate::integrations::m365::graph;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::mail::Address;
use crate::kit::output::{Item, Output};
use crate::kit::text;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Create or change a contact.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SaveContact {
    /// To change one.
    #[serde(default)]
    id: String,
    #[serde(default)]
    given_name: String,
    #[serde(default)]
    surname: String,
    /// Replaces all.
    #[serde(default)]
    emails: Option<Vec<String>>,
    #[serde(default)]
    company: String,
    #[serde(default)]
    job_title: String,
    #[serde(default)]
    mobile: String,
    /// Business phones, replaces all.
    #[serde(default)]
    phones: Option<Vec<String>>,
    #[serde(default)]
    notes: String,
}

impl Tool for SaveContact {
    const NAME: &'static str = "m365_save_contact";
    const TITLE: &'static str = "Save contact";
    const EFFECT: Effect = Effect::Write { idempotent: false };
    const SCOPES: Needs = Needs::All(&["Contacts.ReadWrite"]);
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["id"],
        dropped: &["notes"],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let wanted = self.wanted()?;
        if wanted.is_empty() {
            return Err(ToolError::Invalid(
                "nothing to do: give at least one field besides `id`".to_owned(),
            ));
        }
        if self.id.is_empty() {
            if cx.dry_run {
                return Ok(Output::one(
                    Item::new("new")
                        .field("dry_run", true)
                        .field("changes", changes(&Map::new(), &wanted)),
                ));
            }
            let path = graph::path(&["me", "contacts"]);
            let created: Contact = cx.api.post(&path).json(&wanted).send().await?;
            sync::stale(cx).await?;
            return Ok(Output::one(item(cx, &created).field("done", "created")));
        }
        let path = graph::path(&["me", "contacts", &self.id]);
        let before = cx.api.get(&path).query("$select", CONTACT).send().await;
        let before: Contact = before.map_err(|error| match error {
            ProviderError::NotFound => ToolError::NotFound(format!(
                "there is no contact `{}`; m365_search_people gives the ids",
                text::clip(&self.id, 60)
            )),
            error => error.into(),
        })?;
        let changes = changes(&as_wanted(&before), &wanted);
        if cx.dry_run {
            let row = item(cx, &before).field("dry_run", true);
            return Ok(Output::one(row.field("changes", changes)));
        }
        let changed: Contact = cx.api.patch(&path).json(&wanted).send().await?;
        sync::stale(cx).await?;
        let row = item(cx, &changed).field("done", "updated");
        Ok(Output::one(row.field("changes", changes)))
    }
}

impl SaveContact {
    fn wanted(&self) -> Result<Map<String, Value>, ToolError> {
        let mut wanted = Map::new();
        for (name, value) in [
            ("givenName", &self.given_name),
            ("surname", &self.surname),
            ("companyName", &self.company),
            ("jobTitle", &self.job_title),
            ("mobilePhone", &self.mobile),
            ("personalNotes", &self.notes),
        ] {
            if !value.is_empty() {
                wanted.insert(name.to_owned(), json!(value));
            }
        }
        if let Some(emails) = &self.emails {
            let mut list = Vec::new();
            for text in emails {
                let address = text.parse::<Address>()?;
                let name = address.name.as_ref().unwrap_or(&address.email);
                list.push(json!({ "address": address.email, "name": name }));
            }
            wanted.insert("emailAddresses".to_owned(), Value::Array(list));
        }
        if let Some(phones) = &self.phones {
            wanted.insert("businessPhones".to_owned(), json!(phones));
        }
        Ok(wanted)
    }
}

fn as_wanted(contact: &Contact) -> Map<String, Value> {
    let mut old = Map::new();
    for (name, value) in [
        ("givenName", json!(contact.given_name)),
        ("surname", json!(contact.surname)),
        ("companyName", json!(contact.company_name)),
        ("jobTitle", json!(contact.job_title)),
        ("mobilePhone", json!(contact.mobile_phone)),
        ("personalNotes", json!(contact.personal_notes)),
        ("emailAddresses", json!(contact.emails())),
        ("businessPhones", json!(contact.business_phones)),
    ] {
        old.insert(name.to_owned(), value);
    }
    old
}

fn changes(old: &Map<String, Value>, new: &Map<String, Value>) -> Map<String, Value> {
    new.iter()
        .map(|(name, value)| {
            let after: Value = match value.as_array() {
                Some(list) if name == "emailAddresses" => {
                    list.iter().map(|mail| mail["address"].clone()).collect()
                }
                _ => value.clone(),
            };
            let before = old.get(name).cloned().unwrap_or(Value::Null);
            (name.clone(), json!({ "before": before, "after": after }))
        })
        .collect()
}
