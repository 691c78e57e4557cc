//! Lists of records and the people who own records.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::kit::args::{Cursor, Limit};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

use super::describe::offset;
use super::kinds::{Kind, record_id};
use super::model::{List, ListAnswer, ListPage, Membership, Owner, Page, Record};
use super::names::{self, Names};
use super::records::{self, Fields};

/// The scope of lists.
pub(super) const LISTS_READ: &str = "crm.lists.read";

/// Finds lists (segments) by name or, with list_id, shows one with its members or its filters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetLists {
    /// Words in the name
    #[serde(default)]
    q: String,
    /// Exactly this list
    #[serde(default)]
    list_id: String,
    /// Of list_id
    #[serde(default)]
    expand: Expand,
    #[serde(default)]
    limit: Limit<20, 100>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Expand {
    #[default]
    None,
    Members,
    Filters,
}

impl Tool for GetLists {
    const NAME: &'static str = "hubspot_get_lists";
    const TITLE: &'static str = "Get lists";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = Needs::All(&[LISTS_READ]);
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["list_id", "expand"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        if self.list_id.is_empty() {
            if self.expand != Expand::None {
                return Err(ToolError::Invalid("expand needs list_id".to_owned()));
            }
            let from = offset(self.cursor.as_ref())?;
            let page = search(cx, &self.q, self.limit.get(), from as u64).await?;
            let next = page
                .has_more
                .then(|| Cursor(page.offset.to_string()))
                .filter(|_| !page.lists.is_empty());
            let items = page.lists.iter().map(|list| list_item(cx, list));
            return Ok(Output::of(items.collect())
                .next(next)
                .total(Some(page.total)));
        }
        let id = record_id(&self.list_id)
            .ok_or_else(|| ToolError::Invalid("list_id must be a number".to_owned()))?;
        let list = get(cx, &id, self.expand == Expand::Filters).await?;
        if self.expand != Expand::Members {
            let mut item = list_item(cx, &list);
            item.set("filters", list.filter_branch.unwrap_or_default());
            return Ok(Output::one(item));
        }
        let after = self.cursor.as_ref().map(|cursor| cursor.0.as_str());
        let page = members(cx, &id, self.limit.get(), after).await?;
        let next = page.after().map(Cursor);
        let mut output = Output::default().next(next).total(list.members());
        let kind = Kind::find(cx, &list.object_type_id).await?;
        let (records, names, fields) = read_members(cx, &kind, &page.results, &mut output).await?;
        for member in &page.results {
            let record = records.iter().find(|record| record.id == member.record_id);
            let mut item = match record {
                Some(record) => {
                    let (item, cut) = records::item(cx, &kind, record, &fields, &names);
                    output.truncated |= cut;
                    item
                }
                None => records::head(cx, &kind, &member.record_id),
            };
            item.set("member_since", member.membership_timestamp.clone());
            output.items.push(item);
        }
        Ok(output)
    }
}

/// The records of members. Without the right to read them the members are ids only, with a warning.
async fn read_members(
    cx: &Cx,
    kind: &Kind,
    members: &[Membership],
    output: &mut Output,
) -> Result<(Vec<Record>, Names, Fields), ToolError> {
    let fields = Fields::of(cx, kind, &[]).await?;
    if members.is_empty() {
        return Ok((Vec::new(), Names::default(), fields));
    }
    if let Err(error) = kind.may_read(cx) {
        output
            .warnings
            .push(format!("members are shown by id: {error}"));
        return Ok((Vec::new(), Names::default(), fields));
    }
    let ids: Vec<String> = members.iter().map(|one| one.record_id.clone()).collect();
    let read = records::read(cx, kind, &ids, "", &fields.names, &[]);
    let (names, found) = Names::beside(cx, kind, &fields.names, read).await;
    output.warnings.extend(names.warnings.iter().cloned());
    match found {
        Ok(found) => Ok((found.results, names, fields)),
        Err(error) => {
            output
                .warnings
                .push(format!("members are shown by id: {error}"));
            Ok((Vec::new(), names, fields))
        }
    }
}

/// Lists whose name has the words of `q`.
pub(super) async fn search(
    cx: &Cx,
    q: &str,
    limit: u32,
    from: u64,
) -> Result<ListPage, ProviderError> {
    let mut body = json!({
        "offset": from, "count": limit, "additionalProperties": ["hs_list_size"],
    });
    if !q.is_empty() {
        body["query"] = json!(q);
    }
    cx.api
        .post(&["crm", "v3", "lists", "search"])
        .json(&body)
        .reads()
        .send()
        .await
}

/// One list.
pub(super) async fn get(cx: &Cx, id: &str, filters: bool) -> Result<List, ToolError> {
    let answer: Result<ListAnswer, ProviderError> = cx
        .api
        .get(&["crm", "v3", "lists", id])
        .query("includeFilters", filters)
        .send()
        .await;
    match answer {
        Err(ProviderError::NotFound) => Err(ToolError::NotFound(format!(
            "there is no list {id}; hubspot_get_lists without list_id finds lists by name"
        ))),
        answer => Ok(answer?.list),
    }
}

/// A page of members.
pub(super) async fn members(
    cx: &Cx,
    id: &str,
    limit: u32,
    after: Option<&str>,
) -> Result<Page<Membership>, ProviderError> {
    cx.api
        .get(&["crm", "v3", "lists", id, "memberships"])
        .query("limit", limit)
        .query_opt("after", after)
        .send()
        .await
}

/// The page of a list in the web app.
pub(super) fn url(cx: &Cx, id: &str) -> Option<String> {
    let hub = cx.account.detail("hub_id");
    let domain = cx.account.detail("ui_domain");
    let known = !hub.is_empty() && !domain.is_empty();
    known.then(|| format!("https://{domain}/contacts/{hub}/objectLists/{id}/filters"))
}

fn list_item(cx: &Cx, list: &List) -> Item {
    let mut item = Item::new(&list.id).uri(cx.uri(&format!("lists/{}", list.id)));
    item.url = url(cx, &list.id);
    item.set("name", list.name.as_str());
    let kind = super::kinds::standard(&list.object_type_id);
    item.set(
        "object_type",
        kind.map_or(list.object_type_id.as_str(), |kind| kind.name),
    );
    item.set("processing", list.processing_type.to_lowercase());
    item.set("size", list.members());
    item.set("updated_at", list.updated_at.clone());
    item
}

/// Lists owners, the people and queues that records are assigned to, with their teams.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListOwners {
    /// Words in name, e-mail or team
    #[serde(default)]
    q: String,
    /// Exact e-mail
    #[serde(default)]
    email: String,
    #[serde(default)]
    limit: Limit<25, 100>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

impl Tool for ListOwners {
    const NAME: &'static str = "hubspot_list_owners";
    const TITLE: &'static str = "List owners";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = Needs::All(&["crm.objects.owners.read"]);

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let from = offset(self.cursor.as_ref())?;
        let (found, more) = if self.email.is_empty() {
            let found = names::owners(cx).await?;
            (found.owners, found.more)
        } else {
            let page: Page<Owner> = cx
                .api
                .get(&["crm", "v3", "owners"])
                .query("email", self.email.trim())
                .query("limit", 100)
                .send()
                .await?;
            (page.results, false)
        };
        let q = self.q.to_lowercase();
        let fitting: Vec<&Owner> = found.iter().filter(|owner| fits(owner, &q)).collect();
        let limit = self.limit.get() as usize;
        let page = fitting.iter().skip(from).take(limit);
        let mut output = Output::of(page.map(|owner| owner_item(owner)).collect());
        if from + limit < fitting.len() {
            output.next_cursor = Some(Cursor((from + limit).to_string()));
        }
        if more {
            output.truncated = true;
            output = output.warn("the portal has more owners than were read; give email instead");
        }
        Ok(output.total(u64::try_from(fitting.len()).ok()))
    }
}

fn fits(owner: &Owner, q: &str) -> bool {
    let mut text = owner.name();
    for more in owner
        .email
        .iter()
        .chain(owner.teams.iter().map(|team| &team.name))
    {
        text.push(' ');
        text.push_str(more);
    }
    let text = text.to_lowercase();
    q.split_whitespace().all(|word| text.contains(word))
}

fn owner_item(owner: &Owner) -> Item {
    let teams: Vec<&str> = owner.teams.iter().map(|team| team.name.as_str()).collect();
    Item::new(&owner.id)
        .field("name", owner.name())
        .field("email", owner.email.clone())
        .field("user_id", owner.user_id)
        .field("type", owner.kind.to_lowercase())
        .field("teams", teams)
}
