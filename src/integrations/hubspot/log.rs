//! Adding to what happened with a record.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::kit::error::ToolError;
use crate::kit::output::{Item, Output};
use crate::kit::text;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

use super::activity::Activity;
use super::kinds::{Kind, Target};
use super::model::Record;
use super::moments::{instant, moment};
use super::{names, records};

/// Logs an activity on records; sends nothing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogActivity {
    /// Kind
    kind: Activity,
    /// Text
    body: String,
    /// Subject
    #[serde(default)]
    title: String,
    /// contacts/101
    on: Vec<String>,
    /// Name or id
    #[serde(default)]
    owner: String,
    /// When; a task's due time
    #[serde(default)]
    at: String,
    /// Length
    #[serde(default)]
    minutes: u32,
    /// Call, e-mail
    #[serde(default)]
    direction: Direction,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Direction {
    #[default]
    Outbound,
    Inbound,
}

/// Records that one activity can be logged on.
const ON: usize = 20;

impl Tool for LogActivity {
    const NAME: &'static str = "hubspot_log_activity";
    const TITLE: &'static str = "Log activity";
    const EFFECT: Effect = Effect::Write { idempotent: false };
    const SCOPES: Needs = Needs::All(&["crm.objects.contacts.write"]);
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["kind", "on", "at", "direction"],
        dropped: &["body"],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        if self.on.is_empty() || self.on.len() > ON {
            return Err(ToolError::Invalid(format!(
                "on must name 1 to {ON} records"
            )));
        }
        if self.body.trim().is_empty() && self.title.trim().is_empty() {
            return Err(ToolError::Invalid("body must say something".to_owned()));
        }
        if self.kind == Activity::Task && self.at.is_empty() {
            return Err(ToolError::Invalid(
                "a task needs at, its due time".to_owned(),
            ));
        }
        let at = moment(&self.at, "at", false)?.unwrap_or(cx.now.micros() / 1_000);
        let Some(standard) = self.kind.standard() else {
            return Err(ToolError::Invalid("no such activity".to_owned()));
        };
        let kind = Kind::Standard(standard);
        kind.may_write(cx)?;
        let owner = match self.owner.trim() {
            "" => String::new(),
            owner if owner.bytes().all(|b| b.is_ascii_digit()) => owner.to_owned(),
            owner => {
                let found = names::owners(cx).await?;
                let ids = names::owner_ids(&found.owners, owner)?;
                ids.into_iter().next().unwrap_or_default()
            }
        };
        let properties = self.properties(at, &owner);
        let mut associations = Vec::new();
        let mut on = Vec::new();
        let mut known: Vec<(String, Value)> = Vec::new();
        let targets: Vec<&str> = self.on.iter().map(String::as_str).collect();
        for target in Target::find_all(cx, &targets, "on").await? {
            let segment = target.kind.segment().to_owned();
            let spec = if let Some((_, spec)) = known.iter().find(|(own, _)| *own == segment) {
                spec.clone()
            } else {
                let types = records::association_types(cx, &kind, &target.kind).await?;
                let found = records::association(&types, "", &kind, &target.kind)?;
                let spec = records::association_spec(found);
                known.push((segment, spec.clone()));
                spec
            };
            on.push(target.text());
            associations.push(json!({ "to": { "id": target.id }, "types": [spec] }));
        }
        if cx.dry_run {
            let item = Item::new("new-1")
                .field("would", "create")
                .field("type", self.kind.word())
                .field("properties", properties)
                .field("on", on);
            return Ok(Output::one(item));
        }
        let record: Record = cx
            .api
            .post(&["crm", "v3", "objects", kind.segment()])
            .json(&json!({ "properties": properties, "associations": associations }))
            .send()
            .await?;
        let mut item = records::head(cx, &kind, &record.id);
        item.url = None;
        item.set("outcome", "created");
        item.set("type", self.kind.word());
        item.set("at", instant(at));
        item.set("on", on);
        Ok(Output::one(item))
    }
}

impl LogActivity {
    /// The properties of the new activity, in HubSpot's names.
    fn properties(&self, at: i64, owner: &str) -> Map<String, Value> {
        let mut properties = Map::new();
        let mut set = |name: &str, value: String| {
            if !value.is_empty() {
                properties.insert(name.to_owned(), Value::String(value));
            }
        };
        let body = html_of_text(&self.body);
        let title = self.title.trim().to_owned();
        let minutes = i64::from(self.minutes);
        let incoming = self.direction == Direction::Inbound;
        set("hs_timestamp", instant(at));
        set("hubspot_owner_id", owner.to_owned());
        match self.kind {
            Activity::Note if title.is_empty() => set("hs_note_body", body),
            Activity::Note => {
                let title = html_of_text(&title);
                set(
                    "hs_note_body",
                    format!("<strong>{title}</strong><br>{body}"),
                );
            }
            Activity::Task => {
                // A task without a subject has no name in the task list.
                let subject = if title.is_empty() {
                    text::clip(self.body.lines().next().unwrap_or_default(), 100)
                } else {
                    title
                };
                set("hs_task_subject", subject);
                set("hs_task_body", body);
                set("hs_task_status", "NOT_STARTED".to_owned());
                set("hs_task_type", "TODO".to_owned());
            }
            Activity::Call => {
                set("hs_call_title", title);
                set("hs_call_body", body);
                let direction = if incoming { "INBOUND" } else { "OUTBOUND" };
                set("hs_call_direction", direction.to_owned());
                set("hs_call_status", "COMPLETED".to_owned());
                if minutes > 0 {
                    set("hs_call_duration", (minutes * 60_000).to_string());
                }
            }
            Activity::Meeting => {
                set("hs_meeting_title", title);
                set("hs_meeting_body", body);
                set("hs_meeting_start_time", instant(at));
                let minutes = if minutes > 0 { minutes } else { 30 };
                set("hs_meeting_end_time", instant(at + minutes * 60_000));
            }
            Activity::Email => {
                set("hs_email_subject", title);
                set("hs_email_text", self.body.trim().to_owned());
                let direction = if incoming { "INCOMING_EMAIL" } else { "EMAIL" };
                set("hs_email_direction", direction.to_owned());
                set("hs_email_status", "SENT".to_owned());
            }
        }
        properties
    }
}

/// Plain text as HTML, for bodies that HubSpot takes as HTML.
fn html_of_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.trim().chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\n' => out.push_str("<br>"),
            '\r' => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::html_of_text;
    use crate::kit::documents::markdown_of_html;

    #[test]
    fn text_survives_the_way_there_and_back() {
        let text = "a < b & c\nsecond line";
        assert_eq!(markdown_of_html(&html_of_text(text)), text);
    }
}
