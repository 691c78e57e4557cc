//! Changing up to twenty messages in one request: read, flag, categories, importance, folder. Each succeeds or fails by
//! itself.

use http::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{folders, uri};
use crate::integrations::m365::graph::{self, BATCH, Step};
use crate::integrations::m365::model::Message;
use crate::kit::error::ToolError;
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Flag {
    Flagged,
    Complete,
    None,
}

impl Flag {
    const fn word(self) -> &'static str {
        match self {
            Self::Flagged => "flagged",
            Self::Complete => "complete",
            Self::None => "notFlagged",
        }
    }
}

/// Importance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Importance {
    Low,
    Normal,
    High,
}

impl Importance {
    const fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}

/// Mark, flag, categorize, move or copy messages.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateMail {
    #[schemars(length(min = 1, max = 20))]
    ids: Vec<String>,
    #[serde(default)]
    read: Option<bool>,
    #[serde(default)]
    flag: Option<Flag>,
    /// Replaces all.
    #[serde(default)]
    categories: Option<Vec<String>>,
    #[serde(default)]
    importance: Option<Importance>,
    /// Folder.
    #[serde(default)]
    move_to: String,
    #[serde(default)]
    copy_to: String,
    /// Shared mailbox.
    #[serde(default)]
    mailbox: String,
}

impl Tool for UpdateMail {
    const NAME: &'static str = "m365_update_mail";
    const TITLE: &'static str = "Update mail";
    const EFFECT: Effect = Effect::Write { idempotent: true };
    const SCOPES: Needs = Needs::All(&["Mail.ReadWrite"]);
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["ids"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let set = self.set();
        if set.is_empty() && self.move_to.is_empty() && self.copy_to.is_empty() {
            return Err(ToolError::Invalid(
                "nothing to do: give `read`, `flag`, `categories`, `importance`, `move_to` or `copy_to`".to_owned(),
            ));
        }
        if self.ids.is_empty() || self.ids.len() > BATCH {
            return Err(ToolError::Invalid(format!(
                "`ids` takes 1 to {BATCH} messages"
            )));
        }
        if !self.move_to.is_empty() && !self.copy_to.is_empty() {
            return Err(ToolError::Invalid(
                "give `move_to` or `copy_to`, not both".to_owned(),
            ));
        }
        let (action, folder) = match (self.move_to.as_str(), self.copy_to.as_str()) {
            ("", "") => (None, ""),
            ("", copy) => (Some(("copy", "copy_to")), copy),
            (move_to, _) => (Some(("move", "move_to")), move_to),
        };
        let target = match action {
            Some((action, argument)) => {
                let id = folders::resolve(cx, &self.mailbox, argument, folder).await?;
                Some((action, id))
            }
            None => None,
        };
        if cx.dry_run {
            return self.plan(cx, &set).await;
        }
        let mut rows: Vec<(&String, Result<Message, String>)> = self
            .ids
            .iter()
            .map(|id| (id, Ok(Message::default())))
            .collect();
        if !set.is_empty() {
            let change = Value::Object(set.clone());
            self.each(cx, &mut rows, Method::PATCH, &[], Some(&change))
                .await?;
        }
        if let Some((action, id)) = &target {
            let body = json!({ "destinationId": id });
            self.each(cx, &mut rows, Method::POST, &[action], Some(&body))
                .await?;
        }
        let mut output = Output::default();
        for (id, result) in rows {
            match result {
                Ok(message) => {
                    // A copy is a message of its own.
                    let now = if message.id.is_empty() {
                        id
                    } else {
                        &message.id
                    };
                    let mut item = Item::new(now)
                        .field("subject", message.subject.as_str())
                        .field("done", done(&set, action.map(|(action, _)| action), folder));
                    if now != id {
                        item.set("was", id.as_str());
                    }
                    item.uri = uri(cx, &self.mailbox, now);
                    output.items.push(item);
                }
                Err(reason) => output
                    .warnings
                    .push(format!("{id} was not changed: {reason}")),
            }
        }
        if output.items.is_empty() {
            let reason = output.warnings.join("; ");
            return Err(ToolError::Invalid(format!(
                "no message was changed: {reason}"
            )));
        }
        Ok(output)
    }
}

impl UpdateMail {
    /// The fields to set, as Graph takes them.
    fn set(&self) -> Map<String, Value> {
        let mut set = Map::new();
        if let Some(read) = self.read {
            set.insert("isRead".to_owned(), json!(read));
        }
        if let Some(flag) = self.flag {
            set.insert("flag".to_owned(), json!({ "flagStatus": flag.word() }));
        }
        if let Some(categories) = &self.categories {
            set.insert("categories".to_owned(), json!(categories));
        }
        if let Some(importance) = self.importance {
            set.insert("importance".to_owned(), json!(importance.word()));
        }
        set
    }

    /// Does one thing to all of those that nothing failed for yet.
    async fn each(
        &self,
        cx: &Cx,
        rows: &mut [(&String, Result<Message, String>)],
        method: Method,
        action: &[&str],
        body: Option<&Value>,
    ) -> Result<(), ToolError> {
        let alive = rows.iter_mut().filter(|(_, result)| result.is_ok());
        let alive: Vec<&mut (&String, Result<Message, String>)> = alive.collect();
        if alive.is_empty() {
            return Ok(());
        }
        let mut steps = Vec::with_capacity(alive.len());
        for (id, _) in &alive {
            let path = ["messages", id.as_str()];
            let path: Vec<&str> = path.iter().chain(action).copied().collect();
            let mut step = Step::new(method.clone(), &graph::of(&self.mailbox, &path)[1..])?;
            if let Some(body) = body {
                step = step.json(body.clone());
            }
            steps.push(step);
        }
        let results = graph::batch(cx, steps).await?;
        for (row, result) in alive.into_iter().zip(results) {
            row.1 = result.and_then(|body| {
                serde_json::from_value(body).map_err(|error| format!("unreadable answer ({error})"))
            });
        }
        Ok(())
    }

    /// What each message is now and would be.
    async fn plan(&self, cx: &Cx, set: &Map<String, Value>) -> Result<Output, ToolError> {
        let mut rows: Vec<(&String, Result<Message, String>)> = self
            .ids
            .iter()
            .map(|id| (id, Ok(Message::default())))
            .collect();
        self.each(cx, &mut rows, Method::GET, &[], None).await?;
        let mut output = Output::default();
        for (id, result) in rows {
            let message = match result {
                Ok(message) => message,
                Err(reason) => {
                    output.warnings.push(format!("{id}: {reason}"));
                    continue;
                }
            };
            let mut changes = Map::new();
            for (name, wanted) in set {
                let before = match name.as_str() {
                    "isRead" => json!(message.is_read),
                    "flag" => json!({ "flagStatus": message.flag.flag_status }),
                    "categories" => json!(message.categories),
                    _ => json!(message.importance),
                };
                if before != *wanted {
                    changes.insert(name.clone(), json!({ "before": before, "after": wanted }));
                }
            }
            for (name, folder) in [("move", &self.move_to), ("copy", &self.copy_to)] {
                if !folder.is_empty() {
                    let from = &message.parent_folder_id;
                    changes.insert(name.to_owned(), json!({ "before": from, "after": folder }));
                }
            }
            output.items.push(
                Item::new(id)
                    .field("dry_run", true)
                    .field("subject", message.title())
                    .field("changes", changes),
            );
        }
        Ok(output)
    }
}

fn done(set: &Map<String, Value>, action: Option<&str>, folder: &str) -> Vec<String> {
    let mut done: Vec<String> = set.keys().map(|name| format!("set {name}")).collect();
    match action {
        Some("copy") => done.push(format!("copied to {folder}")),
        Some(_) => done.push(format!("moved to {folder}")),
        None => {}
    }
    done
}
