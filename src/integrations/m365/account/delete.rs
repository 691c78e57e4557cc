//! Deleting: one tool for what the other toolsets make, each kind by its own call and its own scope.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::integrations::m365::calendar::Event;
use crate::integrations::m365::model::Message;
use crate::integrations::m365::refs::{FileRef, borrowed};
use crate::integrations::m365::{graph, people};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::text;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Kind {
    Mail,
    Event,
    Contact,
    File,
    ListItem,
    Permission,
}

/// Delete an item: mail to Deleted Items, files to the recycle bin; own meetings are cancelled.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeleteItem {
    kind: Kind,
    /// As lists give it.
    id: String,
    /// file: drive; list_item: site, list; permission: drive, file.
    #[serde(default)]
    within: Vec<String>,
    /// To attendees.
    #[serde(default)]
    message: String,
    /// Mail: not to Deleted Items.
    #[serde(default)]
    permanent: bool,
}

impl Tool for DeleteItem {
    const NAME: &'static str = "m365_delete_item";
    const TITLE: &'static str = "Delete item";
    const EFFECT: Effect = Effect::Destructive { idempotent: true };
    const SCOPES: Needs = Needs::Any(&[
        "Mail.ReadWrite",
        "Calendars.ReadWrite",
        "Contacts.ReadWrite",
        "Files.ReadWrite",
        "Files.ReadWrite.All",
        "Sites.ReadWrite.All",
        "Sites.Selected",
    ]);
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["id", "within"],
        dropped: &["message"],
    };
    const OUTWARD: bool = true;

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        if !self.message.is_empty() && self.kind != Kind::Event {
            return Err(ToolError::Invalid(
                "`message` goes with events only; leave it out".to_owned(),
            ));
        }
        match self.kind {
            Kind::Mail => self.mail(cx).await,
            Kind::Event => self.event(cx).await,
            Kind::Contact => {
                cx.require("Contacts.ReadWrite")?;
                let output = self.plain(cx, &["me", "contacts", &self.id]).await?;
                if cx.dry_run {
                    return Ok(output);
                }
                // It is deleted, whatever becomes of what we keep.
                Ok(match people::stale(cx).await {
                    Ok(()) => output,
                    Err(error) => {
                        output.warn(format!("searches may show it for some minutes: {error}"))
                    }
                })
            }
            Kind::File => {
                files(cx)?;
                let file = match self.within.as_slice() {
                    [] => item_of("", &self.id),
                    [drive] => item_of(drive, &self.id),
                    _ => None,
                };
                let file = file.ok_or_else(|| {
                    ToolError::Invalid(
                        "`id` must be `drive:item`, or `within` the drive's id".to_owned(),
                    )
                })?;
                let path = file.address(&[]);
                self.plain(cx, &borrowed(&path)[1..]).await
            }
            Kind::Permission => {
                files(cx)?;
                let file = match self.within.as_slice() {
                    [file] => item_of("", file),
                    [drive, file] => item_of(drive, file),
                    _ => None,
                };
                let file = file.ok_or_else(|| {
                    ToolError::Invalid(
                        "`within` must be the ids of the drive and the file".to_owned(),
                    )
                })?;
                let path = file.address(&["permissions", &self.id]);
                self.plain(cx, &borrowed(&path)[1..]).await
            }
            Kind::ListItem => {
                if !cx.granted.has("Sites.Selected") {
                    cx.require("Sites.ReadWrite.All")?;
                }
                let [site, list] = self.places("the ids of the site and the list")?;
                let path = ["sites", site, "lists", list, "items", &self.id];
                self.plain(cx, &path).await
            }
        }
    }
}

fn would(item: Item, what: &str) -> Output {
    Output::one(item.field("dry_run", true).field("would", what))
}

/// A file by `drive:item`, as our tools answer it, or by both ids. Nothing is deleted by its path: something else may be
/// there by now.
fn item_of(drive: &str, id: &str) -> Option<FileRef> {
    let (drive, item) = match id.split_once(':') {
        Some((own, item)) if drive.is_empty() || own == drive => (own, item),
        Some(_) => return None,
        None => (drive, id),
    };
    match FileRef::in_drive(drive, item) {
        file @ FileRef::Item { .. } if !drive.is_empty() => Some(file),
        FileRef::Item { .. } | FileRef::Path { .. } | FileRef::Link(_) => None,
    }
}

fn files(cx: &Cx) -> Result<(), ToolError> {
    if cx.granted.has("Files.ReadWrite") {
        return Ok(());
    }
    cx.require("Files.ReadWrite.All")
}

impl DeleteItem {
    fn places<const N: usize>(&self, what: &str) -> Result<[&str; N], ToolError> {
        let places: Vec<&str> = self.within.iter().map(String::as_str).collect();
        places
            .try_into()
            .map_err(|_| ToolError::Invalid(format!("`within` must be {what}")))
    }

    fn seen<T>(&self, found: Result<T, ProviderError>) -> Result<T, ToolError> {
        found.map_err(|error| match error {
            ProviderError::NotFound => ToolError::NotFound(format!(
                "there is no such item `{}`; it may be deleted already",
                text::clip(&self.id, 60)
            )),
            error => error.into(),
        })
    }

    /// A resource with a DELETE of its own. It is looked at first when nothing is to be deleted.
    async fn plain(&self, cx: &Cx, path: &[&str]) -> Result<Output, ToolError> {
        let path = graph::path(path);
        if cx.dry_run {
            let found = cx.api.get(&path).send::<serde_json::Value>().await;
            let found = self.seen(found)?;
            let name = ["name", "displayName"]
                .iter()
                .find_map(|name| found.get(name)?.as_str())
                .unwrap_or_default();
            let item = Item::new(&self.id)
                .field("name", name)
                .field("roles", found.get("roles").cloned().unwrap_or_default());
            return Ok(would(item, "delete"));
        }
        self.seen(cx.api.delete(&path).done().await)?;
        Ok(Output::one(Item::new(&self.id).field("done", "deleted")))
    }

    async fn mail(&self, cx: &Cx) -> Result<Output, ToolError> {
        cx.require("Mail.ReadWrite")?;
        let path = graph::path(&["me", "messages", &self.id]);
        let done = if self.permanent {
            "delete for good"
        } else {
            "move to Deleted Items"
        };
        if cx.dry_run {
            let found = cx.api.get(&path).query("$select", "id,subject,from").send();
            let found: Message = self.seen(found.await)?;
            let item = Item::new(&self.id)
                .field("subject", found.title())
                .field("from", found.from.to_string());
            return Ok(would(item, done));
        }
        if self.permanent {
            self.seen(cx.api.delete(&path).done().await)?;
            return Ok(Output::one(Item::new(&self.id).field("done", "deleted")));
        }
        let path = graph::path(&["me", "messages", &self.id, "move"]);
        let body = json!({ "destinationId": "deleteditems" });
        let moved: Message = self.seen(cx.api.post(&path).json(&body).send().await)?;
        Ok(Output::one(
            Item::new(&moved.id)
                .field("subject", moved.title())
                .field("done", "moved to Deleted Items"),
        ))
    }

    /// A meeting of one's own with others is cancelled, so that they are told; anything else leaves the calendar.
    async fn event(&self, cx: &Cx) -> Result<Output, ToolError> {
        cx.require("Calendars.ReadWrite")?;
        let path = graph::path(&["me", "events", &self.id]);
        let found = cx
            .api
            .get(&path)
            .query("$select", "id,subject,isOrganizer,attendees")
            .send();
        let event: Event = self.seen(found.await)?;
        let cancels = event.is_organizer && !event.attendees.is_empty();
        if !self.message.is_empty() && !cancels {
            return Err(ToolError::Invalid(
                "`message` reaches nobody: the event is not yours or has no attendees; decline with m365_respond_event to tell the organizer".to_owned(),
            ));
        }
        let item = Item::new(&self.id)
            .field("subject", event.title())
            .field("attendees", event.attendees.len());
        if cx.dry_run {
            let what = if cancels {
                "cancel and tell the attendees"
            } else {
                "delete"
            };
            return Ok(would(item.field("message", self.message.as_str()), what));
        }
        if cancels {
            let path = graph::path(&["me", "events", &self.id, "cancel"]);
            let body = json!({ "comment": self.message });
            self.seen(cx.api.post(&path).json(&body).done().await)?;
            return Ok(Output::one(item.field("done", "cancelled")));
        }
        self.seen(cx.api.delete(&path).done().await)?;
        Ok(Output::one(item.field("done", "deleted")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_deleted_by_their_ids_only() {
        let found = |drive, id| item_of(drive, id).map(|file| file.address(&[]).join("/"));
        let expected = Some("v1.0/drives/b!x/items/01AB".to_owned());
        assert_eq!(found("", "b!x:01AB"), expected);
        assert_eq!(found("b!x", "b!x:01AB"), expected);
        assert_eq!(found("b!x", "01AB"), expected);
        assert_eq!(
            found("me", "01AB").as_deref(),
            Some("v1.0/me/drive/items/01AB")
        );
        for (drive, id) in [
            ("", "01AB"),
            ("", ":01AB"),
            ("", "b!x:"),
            ("", "b!x:/Plans/a"),
            ("b!y", "b!x:01AB"),
            ("b!x", ""),
        ] {
            assert_eq!(found(drive, id), None, "{drive} {id}");
        }
    }
}
