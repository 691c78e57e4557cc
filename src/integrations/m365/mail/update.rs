//! Changing up to twenty messages in one request: read, flag, categories, importance, folder. Each succeeds or fails by
//! itself.

use http::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{folders, uri};
use crate::integrations::m365::graph::{self, BATCH, Step};
use crate::integrations::m365::model::Message;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// What is read of a message before a change. A change itself is answered with the whole message.
const SELECT: &str = "$select=id,subject,isRead,flag,categories,importance,parentFolderId";

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
    /// Messages.
    #[schemars(length(min = 1, max = 20))]
    ids: Vec<String>,
    /// Mark as read, or unread.
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
    /// Folder.
    #[serde(default)]
    copy_to: String,
    /// Shared mailbox.
    #[serde(default)]
    mailbox: String,
}

impl Tool for UpdateMail {
    const NAME: &'static str = "m365_update_mail";
    const TITLE: &'static str = "Update mail";
    // Each copy is a message more.
    const EFFECT: Effect = Effect::Write { idempotent: false };
    const SCOPES: Needs = Needs::All(&["Mail.ReadWrite"]);
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["ids"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        super::shared(cx, &self.mailbox, "Mail.ReadWrite.Shared")?;
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
        let ids = self.ids();
        let mut rows: Vec<Row> = ids.iter().map(|id| Row::new(id)).collect();
        if !set.is_empty() {
            let change = Value::Object(set.clone());
            let results = self
                .each(cx, &ids, Method::PATCH, &[], Some(&change))
                .await?;
            for (row, result) in rows.iter_mut().zip(results) {
                row.take(result, set.keys().map(|name| format!("set {name}")));
            }
        }
        if let Some((action, id)) = &target {
            self.file(cx, &mut rows, action, id, folder).await?;
        }
        let mut output = Output::default();
        for row in &rows {
            output.warnings.extend(row.warning());
            if !row.done.is_empty() {
                output.items.push(row.item(cx, &self.mailbox));
            }
        }
        if output.items.is_empty() {
            return Err(refused(&rows, &output.warnings));
        }
        Ok(output)
    }
}

impl UpdateMail {
    fn ids(&self) -> Vec<&str> {
        self.ids.iter().map(String::as_str).collect()
    }

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

    /// Moves or copies those that nothing failed for yet. Where something was changed before, that is told even if this
    /// fails as a whole.
    async fn file(
        &self,
        cx: &Cx,
        rows: &mut [Row<'_>],
        action: &str,
        target: &str,
        folder: &str,
    ) -> Result<(), ToolError> {
        let alive = rows.iter_mut().filter(|row| row.failed.is_none());
        let alive: Vec<&mut Row> = alive.collect();
        if alive.is_empty() {
            return Ok(());
        }
        let changed = alive.iter().any(|row| !row.done.is_empty());
        let ids: Vec<&str> = alive.iter().map(|row| row.id).collect();
        let body = json!({ "destinationId": target });
        let results = self
            .each(cx, &ids, Method::POST, &[action], Some(&body))
            .await;
        let results = match results {
            Ok(results) => results,
            Err(error) if changed => vec![Err(error); ids.len()],
            Err(error) => return Err(error.into()),
        };
        let word = if action == "copy" { "copied" } else { "moved" };
        for (row, result) in alive.into_iter().zip(results) {
            row.take(result, [format!("{word} to {folder}")]);
        }
        Ok(())
    }

    /// Does one thing to each of these, in one request.
    async fn each(
        &self,
        cx: &Cx,
        ids: &[&str],
        method: Method,
        action: &[&str],
        body: Option<&Value>,
    ) -> Result<Vec<Result<Message, ProviderError>>, ProviderError> {
        let mut steps = Vec::with_capacity(ids.len());
        for id in ids {
            let path = ["messages", *id];
            let path: Vec<&str> = path.iter().chain(action).copied().collect();
            let mut step = Step::new(method.clone(), &graph::of(&self.mailbox, &path)[1..])?;
            if method == Method::GET {
                step = step.query(SELECT);
            }
            if let Some(body) = body {
                step = step.json(body.clone());
            }
            steps.push(step);
        }
        let results = graph::batch(cx, steps).await?.into_iter();
        let read = |body| {
            serde_json::from_value(body).map_err(|error| ProviderError::Unavailable {
                reason: format!("unreadable answer ({error})"),
            })
        };
        Ok(results.map(|result| result.and_then(read)).collect())
    }

    /// What each message is now and would be.
    async fn plan(&self, cx: &Cx, set: &Map<String, Value>) -> Result<Output, ToolError> {
        let ids = self.ids();
        let results = self.each(cx, &ids, Method::GET, &[], None).await?;
        let mut output = Output::default();
        for (id, result) in ids.into_iter().zip(results) {
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

/// Why no message was changed: a reason that all share is that of the call; a limit is waited for, a lost permission is
/// asked for again.
fn refused(rows: &[Row<'_>], warnings: &[String]) -> ToolError {
    let mut reasons = rows.iter().filter_map(|row| row.failed.as_ref());
    let said = format!("no message was changed: {}", warnings.join("; "));
    match reasons.next() {
        Some(first) if reasons.all(|other| other.code() == first.code()) => match first {
            ProviderError::NotFound => ToolError::NotFound(said),
            ProviderError::Conflict { .. } => ToolError::Conflict(said),
            ProviderError::BadSegment(_) | ProviderError::Invalid { .. } => {
                ToolError::Invalid(said)
            }
            other => ToolError::Provider(other.clone()),
        },
        _ => ToolError::Invalid(said),
    }
}

/// What became of one message.
struct Row<'a> {
    id: &'a str,
    /// As Graph answered it last.
    message: Message,
    done: Vec<String>,
    /// Why nothing more was done.
    failed: Option<ProviderError>,
}

impl<'a> Row<'a> {
    fn new(id: &'a str) -> Self {
        Self {
            id,
            message: Message::default(),
            done: Vec::new(),
            failed: None,
        }
    }

    /// Notes what one request came to.
    fn take(
        &mut self,
        result: Result<Message, ProviderError>,
        done: impl IntoIterator<Item = String>,
    ) {
        match result {
            Ok(message) => {
                self.message = message;
                self.done.extend(done);
            }
            Err(reason) => self.failed = Some(reason),
        }
    }

    fn warning(&self) -> Option<String> {
        let (id, reason) = (self.id, self.failed.as_ref()?);
        Some(if self.done.is_empty() {
            format!("{id} was not changed: {reason}")
        } else {
            format!("{id} was changed but not moved or copied: {reason}")
        })
    }

    fn item(&self, cx: &Cx, mailbox: &str) -> Item {
        // A copy is a message of its own.
        let now = match self.message.id.as_str() {
            "" => self.id,
            now => now,
        };
        let mut item = Item::new(now)
            .field("subject", self.message.subject.as_str())
            .field("done", self.done.clone());
        if now != self.id {
            item.set("was", self.id);
        }
        item.uri = uri(cx, mailbox, now);
        item
    }
}
