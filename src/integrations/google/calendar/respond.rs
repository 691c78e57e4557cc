//! Answering an invitation.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::asks::{changes, seen};
use super::super::auth::EVENTS;
use super::model::Event;
use super::{below, event, resolve_one, rows};
use crate::kit::error::ToolError;
use crate::kit::output::Output;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Answer an invitation: the organizer is told.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RespondEvent {
    /// Of an occurrence, or of a series for all of it.
    id: String,
    /// Yours if empty.
    #[serde(default)]
    calendar: String,
    /// Yours.
    response: Answer,
    /// For the organizer.
    #[serde(default)]
    comment: String,
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Answer {
    Accepted,
    Tentative,
    Declined,
}

impl Answer {
    const fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Tentative => "tentative",
            Self::Declined => "declined",
        }
    }
}

impl Tool for RespondEvent {
    const NAME: &'static str = "google_respond_event";
    const TITLE: &'static str = "Answer invitation";
    const EFFECT: Effect = Effect::Write { idempotent: true };
    const SCOPES: Needs = Needs::All(&[EVENTS]);
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["id", "response"],
        dropped: &["comment"],
    };
    const OUTWARD: bool = true;

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let calendar = resolve_one(cx, &self.calendar).await?;
        let before = event(cx, &calendar, self.id.trim()).await?;
        let mine = before.attendees.iter().find(|own| own["self"] == true);
        let Some(mine) = mine else {
            return Err(ToolError::Invalid(
                "you are not invited to this event, so there is nothing to answer".to_owned(),
            ));
        };
        let was = mine["responseStatus"].clone();
        let said = mine.get("comment").cloned().unwrap_or(Value::Null);
        let comment = match self.comment.trim() {
            "" => said.clone(),
            given => json!(given),
        };
        let difference = changes([
            ("response", was.clone(), json!(self.response.word())),
            ("comment", said.clone(), comment.clone()),
        ]);
        let item = rows::event(cx, &calendar, &before);
        if difference
            .as_object()
            .is_some_and(serde_json::Map::is_empty)
        {
            return Ok(Output::one(item.field("done", "unchanged")));
        }
        if cx.dry_run {
            let item = item.field("dry_run", true).field("changes", difference);
            return Ok(Output::one(item));
        }
        let mut own = json!({ "email": mine["email"], "responseStatus": self.response.word() });
        if !comment.is_null() {
            own["comment"] = comment;
        }
        // Of the guests only this one is sent, so that nobody else's answer is written over.
        let body = json!({ "attendeesOmitted": true, "attendees": [own] });
        let request = cx.api.patch(&below(&calendar, &["events", &before.id]));
        let request = request.query("sendUpdates", "all").json(&body);
        let after = seen(cx, "the event", request.send::<Event>().await)?;
        let item = rows::event(cx, &calendar, &after)
            .field("done", self.response.word())
            .field("changes", difference);
        Ok(Output::one(item))
    }
}
