//! Answering an invitation.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::model::Event;
use super::{SHORT, WRITE, in_zone, item, seen};
use crate::integrations::m365::graph;
use crate::integrations::m365::times::own_zone;
use crate::kit::error::ToolError;
use crate::kit::output::Output;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Response {
    Accept,
    Tentative,
    Decline,
}

impl Response {
    const fn action(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Tentative => "tentativelyAccept",
            Self::Decline => "decline",
        }
    }

    const fn done(self) -> &'static str {
        match self {
            Self::Accept => "accepted",
            Self::Tentative => "tentative",
            Self::Decline => "declined",
        }
    }
}

const fn yes() -> bool {
    true
}

/// Accept or decline an invitation.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RespondEvent {
    /// Event.
    id: String,
    response: Response,
    /// To the organizer.
    #[serde(default)]
    comment: String,
    /// Tell the organizer.
    #[serde(default = "yes")]
    notify: bool,
}

impl Tool for RespondEvent {
    const NAME: &'static str = "m365_respond_event";
    const TITLE: &'static str = "Answer invitation";
    const EFFECT: Effect = Effect::Write { idempotent: true };
    const SCOPES: Needs = WRITE;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["id"],
        dropped: &["comment"],
    };
    const OUTWARD: bool = true;

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        if !self.comment.is_empty() && !self.notify {
            return Err(ToolError::Invalid(
                "`comment` reaches nobody without `notify`; leave one of them out".to_owned(),
            ));
        }
        let path = graph::of("", &["events", &self.id]);
        let request = cx.api.get(&path).query("$select", SHORT);
        let event = graph::prefer(request, &[&in_zone(&own_zone(cx).sent)]).send::<Event>();
        let event = seen(&self.id, event.await)?;
        if event.is_organizer {
            return Err(ToolError::Invalid(
                "this event is your own: change it with m365_save_event, or cancel it with m365_delete_item".to_owned(),
            ));
        }
        let before = event.response();
        let mut row = item(cx, "", &event);
        row.fields.shift_remove("my_response");
        if cx.dry_run {
            let row = row
                .field("dry_run", true)
                .field(
                    "changes",
                    json!({ "my_response": { "before": before, "after": self.response.done() } }),
                )
                .field("tells_organizer", self.notify)
                .field("comment", self.comment);
            return Ok(Output::one(row));
        }
        let path = graph::of("", &["events", &self.id, self.response.action()]);
        let mut body = json!({ "sendResponse": self.notify });
        if !self.comment.is_empty() {
            body["comment"] = json!(self.comment);
        }
        seen(&self.id, cx.api.post(&path).json(&body).done().await)?;
        // Declining takes the event out of the calendar.
        if self.response == Response::Decline {
            row.uri = None;
        }
        Ok(Output::one(row.field("my_response", self.response.done())))
    }
}
