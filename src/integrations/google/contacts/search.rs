//! Searching people.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::auth::{CONTACTS_OTHER, CONTACTS_READ, DIRECTORY};
use super::model::{Directory, Found, Person};
use super::sync::{self, Row};
use super::{card, url};
use crate::kit::Record;
use crate::kit::args::{Cursor, Limit};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::text;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};
use crate::kit::uri::encode;

/// Fields of people outside the saved contacts.
const OTHER_FIELDS: &str = "names,emailAddresses,phoneNumbers";
const DIRECTORY_FIELDS: &str = "names,emailAddresses,phoneNumbers,organizations";
/// Largest answer of a search among the addresses that Google saved; it has no further pages.
const OTHER_PAGE: usize = 30;
/// The same of the directory. Always the largest one, so that every page of ours counts in the same list.
const DIRECTORY_PAGE: usize = 500;
/// When Google was last told that a search will come.
const WARM: &str = "contacts-warm";
/// The only key there.
const KEY: &str = "other";
/// Seconds for which that holds.
const WARM_S: i64 = 5 * 60;

/// Find people by name, address, number or company: saved contacts, addresses written to, the organization's directory.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchContacts {
    /// All saved contacts if empty.
    #[serde(default)]
    q: String,
    /// All that are permitted if empty.
    #[serde(default)]
    sources: Vec<Source>,
    /// Look for changes now, not every 15 minutes.
    #[serde(default)]
    sync: bool,
    #[serde(default)]
    limit: Limit<15, 100>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

/// Where people are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Source {
    Saved,
    Other,
    Directory,
}

impl Source {
    const fn scope(self) -> &'static str {
        match self {
            Self::Saved => CONTACTS_READ,
            Self::Other => CONTACTS_OTHER,
            Self::Directory => DIRECTORY,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Saved => "saved",
            Self::Other => "other",
            Self::Directory => "directory",
        }
    }
}

impl Tool for SearchContacts {
    const NAME: &'static str = "google_search_contacts";
    const TITLE: &'static str = "Search contacts";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = Needs::Any(&[CONTACTS_READ, CONTACTS_OTHER, DIRECTORY]);
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["sources", "sync"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let limit = self.limit.get() as usize;
        let from: usize = match &self.cursor {
            Some(cursor) => cursor.read()?,
            None => 0,
        };
        let mut output = Output::default();
        let mut seen: Vec<String> = Vec::new();
        let mut asked = 0;
        let mut refused = None;
        for source in [Source::Saved, Source::Other, Source::Directory] {
            let wanted = self.sources.contains(&source);
            if !wanted && !self.sources.is_empty() {
                continue;
            }
            if !cx.granted.has(source.scope()) {
                if wanted {
                    cx.require(source.scope())?;
                }
                continue;
            }
            // The others cannot be listed, only searched.
            if source != Source::Saved && self.q.trim().is_empty() {
                continue;
            }
            asked += 1;
            match self.found(cx, source, &mut output).await {
                Ok(items) => {
                    for item in items {
                        add(&mut output, &mut seen, item);
                    }
                }
                // An account without a Workspace organization has no directory.
                Err(ToolError::Provider(error)) if error.is_partial() => {
                    output.warnings.push(format!(
                        "{} people cannot be searched: {error}",
                        source.word()
                    ));
                    refused = Some(error);
                }
                Err(other) => return Err(other),
            }
        }
        if let (1, Some(refused)) = (asked, refused) {
            return Err(refused.into());
        }
        let all = output.items.len();
        if all > limit {
            output.total = Some(all as u64);
        }
        output.items = output.items.into_iter().skip(from).take(limit).collect();
        let end = from.saturating_add(limit);
        Ok(output.next((end < all).then(|| Cursor::of(&end))))
    }
}

/// Adds a person unless one with the same first address stands there already.
fn add(output: &mut Output, seen: &mut Vec<String>, item: Item) {
    let first = item
        .fields
        .get("emails")
        .and_then(|list| list.get(0)?.as_str());
    if let Some(email) = first.map(str::to_lowercase) {
        if seen.contains(&email) {
            return;
        }
        seen.push(email);
    }
    output.items.push(item);
}

impl SearchContacts {
    async fn found(
        &self,
        cx: &Cx,
        source: Source,
        output: &mut Output,
    ) -> Result<Vec<Item>, ToolError> {
        let q = self.q.trim();
        let people: Vec<Person> = match source {
            Source::Saved => {
                // With the pages behind the first one the rows are fresh.
                let anew = self.sync && self.cursor.is_none();
                let (rows, warning) = sync::rows(cx, anew).await?;
                output.warnings.extend(warning);
                let mut found: Vec<(u8, Row)> = rows
                    .into_iter()
                    .filter_map(|row| Some((rank(&row, q)?, row)))
                    .collect();
                found.sort_by_cached_key(|(rank, row)| (*rank, row.name.to_lowercase()));
                return Ok(found.iter().map(|(_, row)| saved(cx, row)).collect());
            }
            Source::Other => {
                warm(cx).await;
                let found = others(cx, q, Some(OTHER_PAGE)).await?;
                if found.len() >= OTHER_PAGE {
                    output.truncated = true;
                    output.warnings.push(format!(
                        "of the addresses written to only {OTHER_PAGE} are found at once: use more words"
                    ));
                }
                found
            }
            Source::Directory => {
                let found = directory(cx, q).await?;
                if found.next_page_token.is_some() {
                    output.truncated = true;
                    output.warnings.push(format!(
                        "of the directory only {DIRECTORY_PAGE} people are found at once: use more words"
                    ));
                }
                found.people
            }
        };
        let found = people.iter().map(|person| {
            let mut item = card(cx, person).field("source", source.word());
            // Neither has a page or a block of its own.
            item.url = None;
            item.uri = None;
            item.fields.shift_remove("etag");
            item
        });
        Ok(found.collect())
    }
}

/// People among the addresses that Google saved.
async fn others(cx: &Cx, q: &str, most: Option<usize>) -> Result<Vec<Person>, ProviderError> {
    let request = cx.api.at("people").get(&["v1", "otherContacts:search"]);
    let request = request
        .query("query", q)
        .query("readMask", OTHER_FIELDS)
        .query_opt("pageSize", most);
    let found: Found = request.send().await?;
    Ok(found.results.into_iter().map(|own| own.person).collect())
}

/// Asks for nothing, as Google wants it before a search: only then it looks at what was saved meanwhile. That this
/// failed, or cannot be noted, costs at most the newest addresses.
async fn warm(cx: &Cx) {
    let last = cx.records.get(WARM, KEY).await.ok().flatten();
    let last = last.and_then(|record| record.version.parse::<i64>().ok());
    let now = cx.now.seconds();
    if last.is_some_and(|last| now - last < WARM_S) || others(cx, "", None).await.is_err() {
        return;
    }
    let record = Record {
        key: KEY.to_owned(),
        version: now.to_string(),
        body: String::new(),
    };
    cx.records.put(WARM, &record).await.ok();
}

async fn directory(cx: &Cx, q: &str) -> Result<Directory, ProviderError> {
    let request = cx
        .api
        .at("people")
        .get(&["v1", "people:searchDirectoryPeople"]);
    let request = request
        .query("query", q)
        .query("readMask", DIRECTORY_FIELDS)
        .query("sources", "DIRECTORY_SOURCE_TYPE_DOMAIN_PROFILE")
        .query("pageSize", DIRECTORY_PAGE);
    request.send().await
}

/// How well a contact fits: 0 is best, `None` not at all. Each word must be somewhere.
fn rank(row: &Row, q: &str) -> Option<u8> {
    let name = row.name.to_lowercase();
    let mut all = vec![
        name.clone(),
        row.organization.to_lowercase(),
        row.title.to_lowercase(),
    ];
    all.extend(row.emails.iter().map(|email| email.to_lowercase()));
    let digits = |text: &str| -> String { text.chars().filter(char::is_ascii_digit).collect() };
    let phones: Vec<String> = row.phones.iter().map(|phone| digits(phone)).collect();
    let q = q.to_lowercase();
    for word in q.split_whitespace() {
        let number = digits(word);
        let by_phone = number.len() >= 4 && phones.iter().any(|phone| phone.contains(&number));
        if !by_phone && !all.iter().any(|text| text.contains(word)) {
            return None;
        }
    }
    let starts = name.starts_with(&q)
        || row
            .emails
            .iter()
            .any(|email| email.to_lowercase().starts_with(&q));
    Some(if starts {
        0
    } else {
        u8::from(!name.contains(&q)) + 1
    })
}

fn saved(cx: &Cx, row: &Row) -> Item {
    Item::new(&row.id)
        .url(url(&row.id))
        .uri(cx.uri(&format!("contacts/{}", encode(&row.id))))
        .field("name", text::visible(row.name.clone()))
        .field("emails", row.emails.clone())
        .field("phones", row.phones.clone())
        .field("organization", text::visible(row.organization.clone()))
        .field("title", text::visible(row.title.clone()))
        .field("source", Source::Saved.word())
}

/// Ids of saved contacts that fit, best first.
pub(super) async fn ids(cx: &Cx, q: &str) -> Result<Vec<String>, ToolError> {
    const MOST: usize = 20;
    let (rows, _) = sync::rows(cx, false).await?;
    let mut found: Vec<(u8, Row)> = rows
        .into_iter()
        .filter_map(|row| Some((rank(&row, q.trim())?, row)))
        .collect();
    found.sort_by_cached_key(|(rank, row)| (*rank, row.name.to_lowercase()));
    Ok(found
        .into_iter()
        .take(MOST)
        .map(|(_, row)| row.id)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_must_fit() {
        let row = Row {
            id: "c1".to_owned(),
            name: "Dana Whitfield".to_owned(),
            emails: vec!["dana@northwind.example".to_owned()],
            phones: vec!["+1 (555) 0100-234".to_owned()],
            organization: "Northwind".to_owned(),
            title: "Head of Purchasing".to_owned(),
        };
        let table = [
            ("", Some(0)),
            ("dana", Some(0)),
            ("DANA@north", Some(0)),
            ("whitfield", Some(1)),
            ("whitfield northwind", Some(2)),
            ("5550100", Some(2)),
            ("dana contoso", None),
            ("555", None),
        ];
        for (q, expected) in table {
            assert_eq!(rank(&row, q), expected, "{q}");
        }
    }
}
