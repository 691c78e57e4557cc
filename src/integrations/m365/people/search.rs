//! Finding people in contacts, among those one works with, and in the directory; one row a person.

use futures_util::future::join3;
use http::HeaderName;
use schemars::JsonSchema;
use serde::Deserialize;

use super::model::{Contact, Person, User};
use super::{item, sync};
use crate::integrations::m365::graph::{self, Page};
use crate::kit::args::Limit;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};
use crate::kit::uri::encode;

/// What a search of the directory takes (Graph's advanced queries).
const CONSISTENCY: HeaderName = HeaderName::from_static("consistencylevel");

/// Where to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Source {
    Contacts,
    Relevant,
    Directory,
}

/// Find people by name, address or company.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchPeople {
    /// Name, address or words.
    q: String,
    /// Default all.
    #[serde(default)]
    sources: Vec<Source>,
    #[serde(default)]
    limit: Limit<10, 50>,
}

impl Tool for SearchPeople {
    const NAME: &'static str = "m365_search_people";
    const TITLE: &'static str = "Search people";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = Needs::Any(&["Contacts.Read", "People.Read", "User.ReadBasic.All"]);
    const AUDIT: AuditArgs = AuditArgs::NONE;

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let words = self.q.trim().to_lowercase();
        if words.is_empty() {
            return Err(ToolError::Invalid(
                "`q` is empty: say whom to look for".to_owned(),
            ));
        }
        let wanted = |source, scope| {
            let named = self.sources.is_empty() || self.sources.contains(&source);
            named && (!self.sources.is_empty() || cx.granted.has(scope))
        };
        for (source, scope) in [
            (Source::Contacts, "Contacts.Read"),
            (Source::Relevant, "People.Read"),
            (Source::Directory, "User.ReadBasic.All"),
        ] {
            if self.sources.contains(&source) {
                cx.require(scope)?;
            }
        }
        let contacts = async {
            if wanted(Source::Contacts, "Contacts.Read") {
                sync::contacts(cx).await
            } else {
                Ok(Vec::new())
            }
        };
        let relevant = async {
            if wanted(Source::Relevant, "People.Read") {
                self.relevant(cx).await
            } else {
                Ok(Vec::new())
            }
        };
        let directory = async {
            if wanted(Source::Directory, "User.ReadBasic.All") {
                self.directory(cx).await
            } else {
                Ok(Vec::new())
            }
        };
        let (contacts, relevant, directory) = join3(contacts, relevant, directory).await;
        let mut found = Found::default();
        let contacts = found.part("contacts", contacts)?;
        for contact in contacts.iter().filter(|contact| fits(contact, &words)) {
            found.add(item(cx, contact), &contact.emails());
        }
        for user in found.part("directory", directory)? {
            let row = Item::new(&user.id)
                .uri(cx.uri(&format!("people/{}", encode(&user.id))))
                .field("name", user.display_name.as_str())
                .field("emails", vec![user.address().to_owned()])
                .field("job_title", user.job_title.as_str())
                .field("source", "directory");
            found.add(row, &[user.address().to_owned()]);
        }
        for person in found.part("relevant people", relevant)? {
            let emails = person.scored_email_addresses.iter();
            let emails: Vec<String> = emails.map(|mail| mail.address.clone()).collect();
            let row = Item::new(&person.id)
                .field("name", person.display_name.as_str())
                .field("emails", emails.clone())
                .field("company", person.company_name.as_str())
                .field("job_title", person.job_title.as_str())
                .field("source", "relevant");
            found.add(row, &emails);
        }
        let most = usize::try_from(self.limit.get()).unwrap_or(10);
        let total = found.items.len();
        found.items.truncate(most);
        Ok(Output {
            truncated: total > most,
            warnings: found.warnings,
            ..Output::of(found.items)
        })
    }
}

impl SearchPeople {
    async fn relevant(&self, cx: &Cx) -> Result<Vec<Person>, ToolError> {
        let page: Page<Person> = cx
            .api
            .get(&graph::path(&["me", "people"]))
            .query("$search", phrase(self.q.trim()))
            .query(
                "$select",
                "id,displayName,companyName,jobTitle,scoredEmailAddresses",
            )
            .query("$top", self.limit.get())
            .send()
            .await?;
        Ok(page.value)
    }

    async fn directory(&self, cx: &Cx) -> Result<Vec<User>, ToolError> {
        let word = phrase(self.q.trim());
        let word = word.trim_matches('"');
        let page: Page<User> = cx
            .api
            .get(&graph::path(&["users"]))
            .query(
                "$search",
                format!("\"displayName:{word}\" OR \"mail:{word}\""),
            )
            .query("$select", "id,displayName,mail,userPrincipalName,jobTitle")
            .query("$top", self.limit.get())
            .header(CONSISTENCY, "eventual")
            .send()
            .await?;
        Ok(page.value)
    }
}

fn phrase(text: &str) -> String {
    format!("\"{}\"", text.replace(['"', '\\'], " "))
}

fn fits(contact: &Contact, words: &str) -> bool {
    let all = format!(
        "{} {} {} {}",
        contact.display_name,
        contact.company_name,
        contact.job_title,
        contact.emails().join(" ")
    )
    .to_lowercase();
    words.split_whitespace().all(|word| all.contains(word))
}

/// Rows so far, and the addresses that are in them.
#[derive(Default)]
struct Found {
    items: Vec<Item>,
    known: Vec<String>,
    warnings: Vec<String>,
}

impl Found {
    /// A part of the search; one that is refused is a warning as long as nothing worse happens.
    fn part<T>(
        &mut self,
        name: &str,
        found: Result<Vec<T>, ToolError>,
    ) -> Result<Vec<T>, ToolError> {
        match found {
            Err(ToolError::Provider(
                error @ (ProviderError::Forbidden { .. }
                | ProviderError::InsufficientScope { .. }
                | ProviderError::NotFound
                | ProviderError::Invalid { .. }
                | ProviderError::PlanRequired { .. }),
            )) => {
                self.warnings.push(format!("{name}: {error}"));
                Ok(Vec::new())
            }
            found => found,
        }
    }

    /// Adds somebody who is not there yet under another address.
    fn add(&mut self, item: Item, emails: &[String]) {
        let emails: Vec<String> = emails.iter().map(|email| email.to_lowercase()).collect();
        if emails.iter().any(|email| self.known.contains(email)) {
            return;
        }
        self.known.extend(emails);
        self.items.push(item);
    }
}
