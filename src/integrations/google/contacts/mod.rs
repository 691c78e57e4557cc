//! Toolset "Contacts".

mod block;
mod model;
mod save;
mod search;
mod sync;

use model::{Entry, Person};
pub(super) use sync::outdate;

use crate::kit::block::BlockDef;
use crate::kit::error::ProviderError;
use crate::kit::integration::Toolset;
use crate::kit::output::Item;
use crate::kit::text;
use crate::kit::tool::{Cx, ToolDef};
use crate::kit::uri::encode;

pub(super) const TOOLSET: Toolset = Toolset {
    id: "contacts",
    title: "Contacts",
    tools: &[
        ToolDef::of::<search::SearchContacts>(),
        ToolDef::of::<save::SaveContact>(),
    ],
    blocks: &[BlockDef::of::<block::ContactBlock>()],
};

/// What is read of a contact.
const FIELDS: &str =
    "names,emailAddresses,phoneNumbers,organizations,addresses,biographies,urls,metadata";
/// Characters of a note in a row.
const NOTE: usize = 500;

/// The last part of `people/c7`, which is how ids are given here.
pub(super) fn person_id(resource: &str) -> &str {
    resource.trim().trim_start_matches("people/")
}

/// One contact.
pub(super) async fn person(cx: &Cx, id: &str) -> Result<Person, ProviderError> {
    let request = cx.api.at("people").get(&["v1", "people", person_id(id)]);
    request.query("personFields", FIELDS).send().await
}

/// The page of a contact.
fn url(id: &str) -> String {
    format!("https://contacts.google.com/person/{}", encode(id))
}

/// A contact as a row.
pub(super) fn card(cx: &Cx, person: &Person) -> Item {
    let id = person_id(&person.resource_name);
    let values = |list: &[Entry]| -> Vec<String> {
        list.iter()
            .map(|own| text::visible(own.value.clone()))
            .collect()
    };
    let organization = person.organizations.first();
    let note = person.biographies.first().map(|own| own.value.clone());
    Item::new(id)
        .url(url(id))
        .uri(cx.uri(&format!("contacts/{}", encode(id))))
        .field("name", text::visible(person.name().to_owned()))
        .field("emails", values(&person.email_addresses))
        .field("phones", values(&person.phone_numbers))
        .field("organization", organization.map(|own| own.name.clone()))
        .field("title", organization.map(|own| own.title.clone()))
        .field("department", organization.map(|own| own.department.clone()))
        .field(
            "addresses",
            person
                .addresses
                .iter()
                .map(|own| own.formatted_value.replace('\n', ", "))
                .collect::<Vec<_>>(),
        )
        .field("urls", values(&person.urls))
        .field(
            "notes",
            text::clip(&text::visible(note.unwrap_or_default()), NOTE),
        )
        .field("etag", person.etag.as_str())
}
