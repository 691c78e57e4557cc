//! What happened with a record: notes, calls, e-mails, meetings and tasks on one timeline.

use futures_util::{StreamExt, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kit::args::{Cursor, Limit};
use crate::kit::documents::markdown_of_html;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::mail::own_text;
use crate::kit::output::{Item, Output};
use crate::kit::text;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

use super::filters::{Filter, Group};
use super::kinds::{Kind, STANDARD, Standard, Target};
use super::model::{Owner, Page, Record};
use super::moments::{millis, moment};
use super::names;
use super::records::{self, Linked};
use super::search::Search;

/// Searches at the same time: HubSpot takes four or five a second.
const AT_ONCE: usize = 3;
/// Without it, HubSpot hides what logged e-mails say.
const EMAIL_READ: &str = "sales-email-read";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(super) enum Activity {
    Note,
    Call,
    Email,
    Meeting,
    Task,
}

impl Activity {
    const ALL: [Self; 5] = [
        Self::Note,
        Self::Call,
        Self::Email,
        Self::Meeting,
        Self::Task,
    ];

    /// What answers call it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Call => "call",
            Self::Email => "email",
            Self::Meeting => "meeting",
            Self::Task => "task",
        }
    }

    /// The type of record it is.
    pub(super) fn standard(self) -> Option<&'static Standard> {
        STANDARD.iter().find(|kind| kind.singular == self.word())
    }
}

/// One timeline of a record's notes, calls, e-mails, meetings and tasks, newest first.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListActivities {
    /// contacts, deals, custom…
    object_type: String,
    /// The record's id
    id: String,
    /// Default: all
    #[serde(default)]
    types: Vec<Activity>,
    /// Date or time
    #[serde(default)]
    since: String,
    /// Date or time
    #[serde(default)]
    until: String,
    #[serde(default)]
    limit: Limit<20, 50>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

/// Where a page of a timeline starts: at this instant, without what was shown of it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Mark {
    at: i64,
    seen: Vec<String>,
}

impl Tool for ListActivities {
    const NAME: &'static str = "hubspot_list_activities";
    const TITLE: &'static str = "List activities";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = Needs::All(&["crm.objects.contacts.read"]);
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["object_type", "id", "types", "since", "until"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let since = moment(&self.since, "since", false)?;
        let until = moment(&self.until, "until", true)?;
        let mark: Option<Mark> = match &self.cursor {
            None => None,
            Some(cursor) => Some(cursor.read()?),
        };
        let name = format!("{}/{}", self.object_type, self.id);
        let target = Target::find(cx, &name, "object_type and id").await?;
        target.kind.may_read(cx)?;
        let types = if self.types.is_empty() {
            Activity::ALL.to_vec()
        } else {
            self.types
        };
        let limit = self.limit.get() as usize;
        let first = mark.is_none();
        let mut timeline = timeline(cx, &target, &types, since, until, mark, limit).await?;
        let owners = if timeline.entries.iter().any(Entry::has_owner) {
            match names::owners(cx).await {
                Ok(found) => found.owners,
                Err(error) => {
                    let text = format!("owners are shown by id: {error}");
                    timeline.warnings.push(text);
                    Vec::new()
                }
            }
        } else {
            Vec::new()
        };
        let body_chars = (cx.max_chars / limit.max(1)).clamp(200, 2_000);
        let mut output = Output::default();
        for entry in &timeline.entries {
            let (item, cut) = entry.item(cx, &owners, body_chars);
            output.truncated |= cut;
            output.items.push(item);
        }
        let hidden = timeline
            .entries
            .iter()
            .any(|entry| entry.activity == Activity::Email)
            && !cx.granted.has(EMAIL_READ);
        output.warnings = timeline.warnings;
        if hidden {
            output.warnings.push(format!(
                "e-mails may lack their text: the connection lacks {EMAIL_READ}"
            ));
        }
        output.next_cursor = timeline.next.map(|mark| Cursor::of(&mark));
        Ok(output.total(timeline.total.filter(|_| first)))
    }
}

/// Something that happened.
#[derive(Debug)]
pub(super) struct Entry {
    activity: Activity,
    at: i64,
    record: Record,
}

/// A part of a timeline, newest first.
#[derive(Debug)]
pub(super) struct Timeline {
    pub(super) entries: Vec<Entry>,
    pub(super) warnings: Vec<String>,
    total: Option<u64>,
    next: Option<Mark>,
}

/// Reads a part of the timeline: the newest `limit` of each type, merged. A type that cannot be read becomes a warning;
/// when none can, the first reason is the answer.
async fn timeline(
    cx: &Cx,
    target: &Target,
    types: &[Activity],
    since: Option<i64>,
    until: Option<i64>,
    mark: Option<Mark>,
    limit: usize,
) -> Result<Timeline, ToolError> {
    let mark = mark.unwrap_or_default();
    let latest = if mark.at > 0 { Some(mark.at) } else { until };
    let most = u32::try_from(limit + 1 + mark.seen.len()).map_or(100, |most| most.min(100));
    let reads = types.iter().copied().map(|activity| async move {
        let found = search(cx, target, activity, since, latest, most).await;
        (activity, found)
    });
    let found: Vec<_> = stream::iter(reads).buffered(AT_ONCE).collect().await;
    let mut warnings = Vec::new();
    let mut entries = Vec::new();
    let mut total = Some(0);
    let mut first_failure = None;
    let mut read = 0;
    for (activity, found) in found {
        match found {
            Ok((page, more)) => {
                read += 1;
                warnings.extend(more);
                total = total.zip(page.total).map(|(sum, more)| sum + more);
                entries.extend(page.results.into_iter().map(|record| Entry {
                    at: millis(record.get("hs_timestamp"), false).unwrap_or_default(),
                    activity,
                    record,
                }));
            }
            Err(error) => {
                warnings.push(format!("{}s are missing: {error}", activity.word()));
                total = None;
                first_failure.get_or_insert(error);
            }
        }
    }
    if let (0, Some(error)) = (read, first_failure) {
        return Err(error);
    }
    entries.retain(|entry| !mark.seen.contains(&entry.record.id));
    entries.sort_by(|a, b| (b.at, &b.record.id).cmp(&(a.at, &a.record.id)));
    let more = entries.len() > limit;
    entries.truncate(limit);
    let next = entries.last().filter(|_| more).map(|last| {
        let same = entries.iter().filter(|entry| entry.at == last.at);
        let mut seen: Vec<String> = same.map(|entry| entry.record.id.clone()).collect();
        if last.at == mark.at {
            seen.extend(mark.seen.iter().cloned());
        }
        Mark { at: last.at, seen }
    });
    Ok(Timeline {
        entries,
        warnings,
        total,
        next,
    })
}

/// The newest ten, for a block.
pub(super) async fn latest(cx: &Cx, target: &Target) -> Result<Timeline, ToolError> {
    timeline(cx, target, &Activity::ALL, None, None, None, 10).await
}

async fn search(
    cx: &Cx,
    target: &Target,
    activity: Activity,
    since: Option<i64>,
    until: Option<i64>,
    limit: u32,
) -> Result<(Page<Record>, Vec<String>), ToolError> {
    let Some(standard) = activity.standard() else {
        return Err(ToolError::Invalid("no such activity".to_owned()));
    };
    let kind = Kind::Standard(standard);
    let mut warnings = Vec::new();
    let mut filters = match records::linked_filter(cx, target, &kind, &mut warnings).await? {
        Linked::By(filter) => vec![filter],
        Linked::Nothing => {
            let nothing = Page {
                results: Vec::new(),
                total: Some(0),
                paging: None,
                errors: Vec::new(),
            };
            return Ok((nothing, warnings));
        }
    };
    if let Some(since) = since {
        filters.push(Filter::one("hs_timestamp", "GTE", since.to_string()));
    }
    if let Some(until) = until {
        filters.push(Filter::one("hs_timestamp", "LTE", until.to_string()));
    }
    let properties = kind.fields();
    let found = Search {
        groups: vec![Group { filters }],
        sort: "-hs_timestamp",
        properties: &properties,
        limit,
        ..Search::default()
    }
    .send(cx, kind.segment())
    .await?;
    Ok((found, warnings))
}

impl Entry {
    fn has_owner(&self) -> bool {
        !self.record.get("hubspot_owner_id").is_empty()
    }

    /// Its title and body, as text.
    fn texts(&self) -> (&str, String) {
        let get = |name: &str| self.record.get(name);
        let (title, body) = match self.activity {
            Activity::Note => ("", get("hs_note_body")),
            Activity::Call => (get("hs_call_title"), get("hs_call_body")),
            Activity::Meeting => (get("hs_meeting_title"), get("hs_meeting_body")),
            Activity::Task => (get("hs_task_subject"), get("hs_task_body")),
            Activity::Email => {
                let body = match get("hs_email_text") {
                    "" => markdown_of_html(get("hs_email_html")),
                    text => text.to_owned(),
                };
                let subject = get("hs_email_subject");
                let (body, _) = own_text(subject, &body);
                return (subject, text::visible(body));
            }
        };
        (title, text::visible(markdown_of_html(body)))
    }

    fn item(&self, cx: &Cx, owners: &[Owner], body_chars: usize) -> (Item, bool) {
        let get = |name: &str| self.record.get(name);
        let mut item = match self.activity.standard() {
            Some(standard) => records::head(cx, &Kind::Standard(standard), &self.record.id),
            None => Item::new(&self.record.id),
        };
        // The web app shows activities on the records they are on, not on a page of their own.
        item.url = None;
        let (title, body) = self.texts();
        let short = text::clip(&body, body_chars);
        let cut = short.len() != body.len();
        item.set("type", self.activity.word());
        item.set("at", get("hs_timestamp"));
        item.set("title", title);
        item.set("body", short);
        match self.activity {
            Activity::Note => {}
            Activity::Call => {
                item.set("direction", get("hs_call_direction").to_lowercase());
                item.set("status", get("hs_call_status").to_lowercase());
                if let Ok(millis) = get("hs_call_duration").parse::<u64>() {
                    item.set("duration_s", millis / 1_000);
                }
            }
            Activity::Email => {
                let direction = match get("hs_email_direction") {
                    "INCOMING_EMAIL" => "inbound",
                    "" => "",
                    _ => "outbound",
                };
                item.set("direction", direction);
                item.set("from", get("hs_email_from_email"));
                item.set("to", get("hs_email_to_email"));
                item.set("status", get("hs_email_status").to_lowercase());
            }
            Activity::Meeting => {
                item.set("ends_at", get("hs_meeting_end_time"));
                item.set("outcome", get("hs_meeting_outcome").to_lowercase());
                item.set("location", get("hs_meeting_location"));
            }
            Activity::Task => {
                item.set("status", get("hs_task_status").to_lowercase());
                item.set("priority", get("hs_task_priority").to_lowercase());
            }
        }
        let owner = get("hubspot_owner_id");
        let name = owners.iter().find(|own| own.id == owner).map(Owner::name);
        item.set("owner", name.unwrap_or_else(|| owner.to_owned()));
        (item, cut)
    }

    /// One line of a block.
    pub(super) fn line(&self) -> String {
        let (title, body) = self.texts();
        let at = self.record.get("hs_timestamp");
        let day = at.get(..10).unwrap_or(at);
        let body = body.split_whitespace().collect::<Vec<_>>().join(" ");
        let said = match (title, body.as_str()) {
            ("", body) => text::clip(body, 240),
            (title, "") => title.to_owned(),
            (title, body) => format!("{title}: {}", text::clip(body, 240)),
        };
        format!("- {day} {}: {said}", self.activity.word())
    }
}

/// The reason why a part of a block is missing, in a line.
pub(super) fn reason(error: &ToolError) -> String {
    if let ToolError::Provider(ProviderError::InsufficientScope { .. }) = error {
        "the connection may not read them".to_owned()
    } else {
        error.to_string()
    }
}
