//! Who the people in a message are: contacts by their e-mail address.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::filters::{Filter, Group};
use super::kinds::CONTACT_TYPE;
use super::records;
use super::search::Search;
use crate::kit::error::ToolError;
use crate::kit::integration::ContactLookup;
use crate::kit::people::Contact;
use crate::kit::tool::{Cx, Needs};
use crate::kit::uri;

/// Contacts are found by what HubSpot keeps as their main address; further addresses of a contact are not searched.
pub(super) const LOOKUP: ContactLookup = ContactLookup {
    tool: "hubspot_search_records",
    needs: Needs::All(&["crm.objects.contacts.read"]),
    find,
};

fn find<'a>(cx: &'a Cx, emails: &'a [String]) -> BoxFuture<'a, Result<Vec<Contact>, ToolError>> {
    async move {
        let properties = ["firstname", "lastname", "email"].map(ToOwned::to_owned);
        let filters = vec![Filter::any("email", emails.to_vec())];
        let search = Search {
            groups: vec![Group { filters }],
            properties: &properties,
            // One address may stand in several contacts of a badly kept portal; the first one is shown.
            limit: 100,
            ..Search::default()
        };
        let page = search.send(cx, "contacts").await?;
        let mut found: Vec<Contact> = Vec::new();
        for record in &page.results {
            let email = record.get("email").to_lowercase();
            if found.iter().any(|contact| contact.email == email) {
                continue;
            }
            let name = format!("{} {}", record.get("firstname"), record.get("lastname"));
            let name = name.trim();
            found.push(Contact {
                name: if name.is_empty() {
                    email.clone()
                } else {
                    name.to_owned()
                },
                email,
                system: cx.provider.name.to_owned(),
                uri: cx.uri(&format!("contacts/{}", uri::encode(&record.id))),
                url: records::url(cx, Some(CONTACT_TYPE), &record.id),
            });
        }
        Ok(found)
    }
    .boxed()
}
