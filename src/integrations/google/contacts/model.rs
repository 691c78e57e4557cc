//! People's JSON, only the fields that are read.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A person.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in super::super) struct Person {
    /// `people/c7`.
    pub(in super::super) resource_name: String,
    pub(in super::super) etag: String,
    pub(in super::super) names: Vec<Name>,
    pub(in super::super) email_addresses: Vec<Entry>,
    pub(in super::super) phone_numbers: Vec<Entry>,
    pub(in super::super) organizations: Vec<Organization>,
    pub(in super::super) addresses: Vec<Address>,
    pub(in super::super) biographies: Vec<Entry>,
    pub(in super::super) urls: Vec<Entry>,
    pub(in super::super) metadata: Metadata,
}

/// A name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in super::super) struct Name {
    pub(in super::super) display_name: String,
    pub(in super::super) given_name: String,
    pub(in super::super) family_name: String,
    /// Whole, because a change sends it back.
    #[serde(flatten)]
    pub(in super::super) rest: Map<String, Value>,
}

/// A value of a certain type: an address, a number, a note, a page.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in super::super) struct Entry {
    pub(in super::super) value: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in super::super) r#type: String,
    /// Whole, because a change sends it back.
    #[serde(flatten)]
    pub(in super::super) rest: Map<String, Value>,
}

/// Where somebody works.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(in super::super) struct Organization {
    pub(in super::super) name: String,
    pub(in super::super) title: String,
    pub(in super::super) department: String,
    /// Whole, because a change sends it back.
    #[serde(flatten)]
    pub(in super::super) rest: Map<String, Value>,
}

/// Where somebody lives or works.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in super::super) struct Address {
    pub(in super::super) formatted_value: String,
}

/// Where the data come from.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(in super::super) struct Metadata {
    /// In a list of changes: gone.
    pub(in super::super) deleted: bool,
    /// Whole, because a change sends them back.
    pub(in super::super) sources: Vec<Value>,
}

/// A page of contacts.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Connections {
    pub(super) connections: Vec<Person>,
    pub(super) next_page_token: Option<String>,
    pub(super) next_sync_token: Option<String>,
    pub(super) total_items: u32,
}

/// What a search of the addresses that Google saved finds.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Found {
    pub(super) results: Vec<FoundPerson>,
}

/// One of them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct FoundPerson {
    pub(super) person: Person,
}

/// What a search of the directory finds.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Directory {
    pub(super) people: Vec<Person>,
    pub(super) next_page_token: Option<String>,
}

impl Person {
    /// What to call the person.
    pub(in super::super) fn name(&self) -> &str {
        let name = self
            .names
            .first()
            .map_or("", |own| own.display_name.as_str());
        if !name.is_empty() {
            return name;
        }
        let organization = self.organizations.first().map(|own| own.name.as_str());
        let email = self.email_addresses.first().map(|own| own.value.as_str());
        organization
            .filter(|name| !name.is_empty())
            .or(email)
            .unwrap_or_default()
    }
}
