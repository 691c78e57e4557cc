//! The person's saved contacts, kept in our own records so that searching them asks Google nothing.
//!
//! Google gives a token with the last page of the list; with it the next list is only what changed, for seven days after
//! the full one. Rows are spread over a few documents, so that one change rewrites one of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::model::{Connections, Person};
use super::person_id;
use crate::kit::Record;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::tool::Cx;

/// The rows.
const COLLECTION: &str = "contacts";
/// How far they reach.
const STATE: &str = "contacts-sync";
/// The only key there.
const KEY: &str = "saved";
/// Documents that rows are spread over.
const SHARDS: u32 = 16;
/// Contacts of one page; Google's largest.
const PAGE: u32 = 1_000;
/// Pages of one call: Google keeps at most 25,000 contacts.
const PAGES: u32 = 30;
/// Seconds for which rows are fresh.
const FRESH_S: i64 = 15 * 60;
/// The fields of a row.
const FIELDS: &str = "names,emailAddresses,phoneNumbers,organizations,metadata";

/// A contact as it is searched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) emails: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) phones: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) organization: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) title: String,
}

/// How far the rows reach.
#[derive(Serialize, Deserialize)]
struct State {
    token: String,
    /// The last look, in seconds since 1970; 0 when something is known to have changed since.
    at: i64,
}

/// All rows, by id.
type Rows = BTreeMap<String, Row>;

/// What is known, brought up to date if it is not fresh or `anew` is wanted; and a warning when it could not be.
pub(super) async fn rows(cx: &Cx, anew: bool) -> Result<(Vec<Row>, Option<String>), ToolError> {
    let state = state(cx).await?;
    let fresh = state
        .as_ref()
        .is_some_and(|state| cx.now.seconds() - state.at < FRESH_S);
    if fresh && !anew {
        return Ok((read(cx).await?.into_values().collect(), None));
    }
    let known = match state {
        Some(_) => read(cx).await?,
        None => Rows::new(),
    };
    let token = state.as_ref().map(|state| state.token.as_str());
    match bring(cx, token, known.clone()).await {
        Ok(rows) => Ok((rows.into_values().collect(), None)),
        // Old rows are better than none when Google does not answer now.
        Err(ToolError::Provider(
            error @ (ProviderError::RateLimited { .. }
            | ProviderError::Unavailable { .. }
            | ProviderError::Timeout),
        )) if state.is_some() => {
            let warning = format!("saved contacts are those of the last look: {error}");
            Ok((known.into_values().collect(), Some(warning)))
        }
        Err(other) => Err(other),
    }
}

/// Makes the next search look again: the contacts have changed.
pub(in super::super) async fn outdate(cx: &Cx) -> Result<(), ToolError> {
    match state(cx).await? {
        Some(state) => keep(cx, &state.token, 0).await,
        None => Ok(()),
    }
}

async fn bring(cx: &Cx, token: Option<&str>, mut rows: Rows) -> Result<Rows, ToolError> {
    let before = rows.clone();
    let next = match changes(cx, token, &mut rows).await {
        Err(ToolError::Provider(ProviderError::Conflict { .. } | ProviderError::NotFound))
            if token.is_some() =>
        {
            // Too old: everything again.
            rows.clear();
            changes(cx, None, &mut rows).await?
        }
        other => other?,
    };
    write(cx, &before, &rows).await?;
    // Last, so that a call that breaks off is repeated.
    keep(cx, &next, cx.now.seconds()).await?;
    Ok(rows)
}

/// Reads all pages into the rows; answers the next token.
async fn changes(cx: &Cx, token: Option<&str>, rows: &mut Rows) -> Result<String, ToolError> {
    let mut page_token: Option<String> = None;
    let (mut done, mut total) = (0, None);
    for _ in 0..PAGES {
        let request = cx
            .api
            .at("people")
            .get(&["v1", "people", "me", "connections"]);
        let request = request
            .query("personFields", FIELDS)
            .query("pageSize", PAGE)
            .query("requestSyncToken", true)
            .query_opt("syncToken", token)
            .query_opt("pageToken", page_token.as_deref());
        let page: Connections = request.send().await?;
        done += u32::try_from(page.connections.len()).unwrap_or(0);
        total = Some(page.total_items).filter(|total| *total > 0).or(total);
        for person in &page.connections {
            let row = row(person);
            if person.metadata.deleted {
                rows.remove(&row.id);
            } else {
                rows.insert(row.id.clone(), row);
            }
        }
        cx.progress.step(done, total, "contacts read");
        if let Some(token) = page.next_sync_token {
            return Ok(token);
        }
        page_token = page.next_page_token;
        if page_token.is_none() {
            break;
        }
    }
    Err(ProviderError::Unavailable {
        reason: "gave no end of the list of contacts".to_owned(),
    }
    .into())
}

fn row(person: &Person) -> Row {
    let organization = person.organizations.first();
    let values = |list: &[super::model::Entry]| list.iter().map(|own| own.value.clone()).collect();
    Row {
        id: person_id(&person.resource_name).to_owned(),
        name: person.name().to_owned(),
        emails: values(&person.email_addresses),
        phones: values(&person.phone_numbers),
        organization: organization.map(|own| own.name.clone()).unwrap_or_default(),
        title: organization
            .map(|own| own.title.clone())
            .unwrap_or_default(),
    }
}

async fn state(cx: &Cx) -> Result<Option<State>, ToolError> {
    let record = cx.records.get(STATE, KEY).await?;
    Ok(record.and_then(|record| serde_json::from_str(&record.body).ok()))
}

async fn keep(cx: &Cx, token: &str, at: i64) -> Result<(), ToolError> {
    let state = State {
        token: token.to_owned(),
        at,
    };
    let record = Record {
        key: KEY.to_owned(),
        version: at.to_string(),
        body: serde_json::to_string(&state).unwrap_or_default(),
    };
    Ok(cx.records.put(STATE, &record).await?)
}

/// The document that a contact is in. FNV-1a: small, and the same in every version.
fn shard(id: &str) -> u32 {
    let hash = id.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    hash % SHARDS
}

fn key(shard: u32) -> String {
    format!("{shard:02}")
}

async fn read(cx: &Cx) -> Result<Rows, ToolError> {
    let mut rows = Rows::new();
    for shard in 0..SHARDS {
        let record = cx.records.get(COLLECTION, &key(shard)).await?;
        let kept: Vec<Row> = record
            .and_then(|record| serde_json::from_str(&record.body).ok())
            .unwrap_or_default();
        rows.extend(kept.into_iter().map(|row| (row.id.clone(), row)));
    }
    Ok(rows)
}

/// Writes the documents that differ.
async fn write(cx: &Cx, before: &Rows, after: &Rows) -> Result<(), ToolError> {
    let of = |rows: &Rows, wanted: u32| -> Vec<Row> {
        let own = rows.values().filter(|row| shard(&row.id) == wanted);
        own.cloned().collect()
    };
    for shard in 0..SHARDS {
        let rows = of(after, shard);
        if rows == of(before, shard) {
            continue;
        }
        if rows.is_empty() {
            cx.records.delete(COLLECTION, &key(shard)).await?;
            continue;
        }
        let record = Record {
            key: key(shard),
            version: cx.now.seconds().to_string(),
            body: serde_json::to_string(&rows).unwrap_or_default(),
        };
        cx.records.put(COLLECTION, &record).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contacts_stay_in_their_document() {
        assert_eq!(shard("c7"), shard("c7"));
        assert!(
            (0..100)
                .map(|n| shard(&format!("c{n}")))
                .all(|own| own < SHARDS)
        );
        let spread: std::collections::BTreeSet<u32> =
            (0..100).map(|n| shard(&format!("c{n}"))).collect();
        assert!(spread.len() > 12, "{}", spread.len());
    }
}
