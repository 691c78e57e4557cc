//! Creating and changing contacts: read, change, write back with the version read.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::asks::{changes, seen};
use super::super::auth::CONTACTS;
use super::model::{Entry, Organization, Person};
use super::{FIELDS, card, person, person_id, sync};
use crate::kit::error::ToolError;
use crate::kit::mail::Address;
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Create a contact, or change one by id.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SaveContact {
    /// Else creates one.
    #[serde(default)]
    id: String,
    /// First name.
    #[serde(default)]
    given_name: String,
    /// Last name.
    #[serde(default)]
    family_name: String,
    /// To add; `-x` removes.
    #[serde(default)]
    emails: Vec<String>,
    /// Likewise.
    #[serde(default)]
    phones: Vec<String>,
    /// Company.
    #[serde(default)]
    organization: String,
    /// Job.
    #[serde(default)]
    title: String,
    /// Text.
    #[serde(default)]
    notes: String,
}

impl Tool for SaveContact {
    const NAME: &'static str = "google_save_contact";
    const TITLE: &'static str = "Save contact";
    const EFFECT: Effect = Effect::Write { idempotent: false };
    const SCOPES: Needs = Needs::All(&[CONTACTS]);
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["id"],
        dropped: &["notes"],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let id = person_id(&self.id).to_owned();
        let before = if id.is_empty() {
            None
        } else {
            let found = person(cx, &id).await;
            Some(seen(cx, &format!("contact {id}"), found)?)
        };
        let change = self.change(before.as_ref().unwrap_or(&Person::default()))?;
        if change.body.is_empty() {
            return Err(ToolError::Invalid(
                "nothing to do: give a name, `emails`, `phones`, `organization`, `title` or `notes` that differs".to_owned(),
            ));
        }
        if cx.dry_run {
            let item = before
                .as_ref()
                .map_or_else(|| Item::new("new"), |own| card(cx, own));
            let item = item.field("dry_run", true).field("changes", change.shown());
            return Ok(Output::one(item));
        }
        let (saved, done): (Person, &str) = match &before {
            None => {
                let request = cx.api.at("people").post(&["v1", "people:createContact"]);
                let request = request.query("personFields", FIELDS).json(&change.body);
                (request.send().await?, "created")
            }
            Some(before) => {
                let fields: Vec<&str> = change.body.keys().map(String::as_str).collect();
                let fields = fields.join(",");
                let mut body = change.body.clone();
                body.insert("etag".to_owned(), json!(before.etag));
                body.insert(
                    "metadata".to_owned(),
                    json!({ "sources": before.metadata.sources }),
                );
                let last = format!("{id}:updateContact");
                let request = cx.api.at("people").patch(&["v1", "people", &last]);
                let request = request
                    .query("updatePersonFields", fields)
                    .query("personFields", FIELDS)
                    .json(&body);
                let saved = request.send().await;
                (seen(cx, &format!("contact {id}"), saved)?, "updated")
            }
        };
        let item = card(cx, &saved)
            .field("done", done)
            .field("changes", change.shown());
        let output = Output::one(item);
        // Google may take minutes to list the change, so the rows are looked at again, not written here. It is saved;
        // that they could not be marked is a warning and no failure.
        if sync::outdate(cx).await.is_err() {
            return Ok(output.warn("google_search_contacts may not know it for some minutes"));
        }
        Ok(output)
    }
}

/// What a request says of a contact, and what that is for a person.
struct Change {
    body: Map<String, Value>,
    pairs: Vec<(&'static str, Value, Value)>,
}

impl Change {
    fn set(&mut self, field: &str, value: Value, name: &'static str, was: Value, is: Value) {
        if was != is {
            self.body.insert(field.to_owned(), value);
            self.pairs.push((name, was, is));
        }
    }

    fn shown(&self) -> Value {
        changes(self.pairs.iter().cloned())
    }
}

impl SaveContact {
    fn change(&self, before: &Person) -> Result<Change, ToolError> {
        let mut change = Change {
            body: Map::new(),
            pairs: Vec::new(),
        };
        let old = before.names.first();
        let or = |given: &str, old: &str| match given.trim() {
            "" => old.to_owned(),
            given => given.to_owned(),
        };
        let given = or(&self.given_name, old.map_or("", |own| &own.given_name));
        let family = or(&self.family_name, old.map_or("", |own| &own.family_name));
        let was = old.map_or(Value::Null, |own| {
            json!(format!("{} {}", own.given_name, own.family_name).trim())
        });
        let is = format!("{given} {family}");
        let is = if is.trim().is_empty() {
            Value::Null
        } else {
            json!(is.trim())
        };
        let mut name = old.map_or_else(Map::new, |own| kept(&own.rest));
        name.insert("givenName".to_owned(), json!(given));
        name.insert("familyName".to_owned(), json!(family));
        change.set("names", json!([name]), "name", was, is);
        for (field, label, given, old) in [
            (
                "emailAddresses",
                "emails",
                &self.emails,
                &before.email_addresses,
            ),
            (
                "phoneNumbers",
                "phones",
                &self.phones,
                &before.phone_numbers,
            ),
        ] {
            let merged = merged(label, given, old)?;
            let shown = |list: &[Entry]| -> Vec<String> {
                list.iter().map(|own| own.value.clone()).collect()
            };
            let (was, is) = (json!(shown(old)), json!(shown(&merged)));
            change.set(field, json!(merged), label, was, is);
        }
        let old = before.organizations.first();
        let organization = or(&self.organization, old.map_or("", |own| &own.name));
        let title = or(&self.title, old.map_or("", |own| &own.title));
        let was = json!([
            old.map_or("", |own| &own.name),
            old.map_or("", |own| &own.title)
        ]);
        let is = json!([organization, title]);
        // The others, and what else the first one says, stay.
        let first = Organization {
            name: organization,
            title,
            ..old.cloned().unwrap_or_default()
        };
        let others = before.organizations.iter().skip(1);
        let all: Vec<Value> = std::iter::once(&first).chain(others).map(work).collect();
        change.set("organizations", json!(all), "organization", was, is);
        let note = self.notes.trim();
        if !note.is_empty() {
            let was = before
                .biographies
                .first()
                .map_or(Value::Null, |own| json!(own.value));
            let value = json!([{ "value": note, "contentType": "TEXT_PLAIN" }]);
            change.set("biographies", value, "notes", was, json!(note));
        }
        Ok(change)
    }
}

/// What of the members that are not read goes back: all but what Google makes of the others itself.
fn kept(rest: &Map<String, Value>) -> Map<String, Value> {
    let mut kept = rest.clone();
    for made in [
        "metadata",
        "formattedType",
        "canonicalForm",
        "displayNameLastFirst",
        "unstructuredName",
    ] {
        kept.remove(made);
    }
    kept
}

/// An organization as a change sends it.
fn work(own: &Organization) -> Value {
    let mut work = kept(&own.rest);
    work.insert("name".to_owned(), json!(own.name));
    work.insert("title".to_owned(), json!(own.title));
    if !own.department.is_empty() {
        work.insert("department".to_owned(), json!(own.department));
    }
    Value::Object(work)
}

/// The old entries with those to add and without those to remove; types stay.
fn merged(argument: &str, given: &[String], old: &[Entry]) -> Result<Vec<Entry>, ToolError> {
    let same = |own: &Entry| Entry {
        rest: kept(&own.rest),
        ..own.clone()
    };
    let mut merged: Vec<Entry> = old.iter().map(same).collect();
    for value in given {
        let value = value.trim();
        if let Some(gone) = value.strip_prefix('-') {
            merged.retain(|own| !own.value.eq_ignore_ascii_case(gone.trim()));
            continue;
        }
        if argument == "emails" && value.parse::<Address>().is_err() {
            return Err(ToolError::Invalid(format!(
                "`emails`: `{}` is not a mail address",
                crate::kit::text::clip(&crate::kit::text::printable(value), 80)
            )));
        }
        let is_new = !merged
            .iter()
            .any(|own| own.value.eq_ignore_ascii_case(value));
        if is_new && !value.is_empty() {
            merged.push(Entry {
                value: value.to_owned(),
                ..Entry::default()
            });
        }
    }
    Ok(merged)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;

    #[test]
    fn only_what_differs_is_written() {
        let before = Person {
            names: vec![super::super::model::Name {
                given_name: "Dana".to_owned(),
                family_name: "Whitfield".to_owned(),
                ..super::super::model::Name::default()
            }],
            email_addresses: vec![Entry {
                value: "dana@northwind.example".to_owned(),
                r#type: "work".to_owned(),
                ..Entry::default()
            }],
            ..Person::default()
        };
        let save = SaveContact {
            given_name: "Dana".to_owned(),
            phones: vec!["+1 555 0100".to_owned()],
            emails: vec!["DANA@northwind.example".to_owned()],
            ..SaveContact::default()
        };
        let change = save.change(&before).unwrap();
        assert_eq!(change.body.keys().collect::<Vec<_>>(), ["phoneNumbers"]);
        assert_eq!(
            change.shown(),
            json!({"phones": {"before": [], "after": ["+1 555 0100"]}})
        );
        let nothing = SaveContact::default().change(&Person::default()).unwrap();
        assert!(nothing.body.is_empty());
    }
}
