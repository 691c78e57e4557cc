//! Deleting: one tool for all products, so that one switch turns deleting off.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::asks::seen;
use super::auth::{
    CONTACTS, DRIVE, DRIVE_FILE, EVENTS, GMAIL_ALL, GMAIL_COMPOSE, GMAIL_LABELS, GMAIL_MODIFY,
};
use super::calendar::model::Event;
use super::calendar::rows;
use super::contacts;
use super::mail;
use super::mail::model::{Draft, Message};
use super::mail::read::{gmail, me};
use crate::kit::client::Request;
use crate::kit::error::ToolError;
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Delete a mail thread, message, draft, label, event, contact, file or permission. Mail and files go to the trash.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeleteItem {
    /// What.
    kind: Kind,
    /// Id; a label's name.
    id: String,
    /// Calendar of an event (primary if empty); file of a permission.
    #[serde(default)]
    parent: String,
    /// Not to the trash.
    #[serde(default)]
    permanent: bool,
    /// Mail the event's guests.
    #[serde(default)]
    notify: bool,
}

/// What to delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Kind {
    Thread,
    Message,
    Draft,
    Label,
    Event,
    Contact,
    File,
    Permission,
}

/// The part of a Drive file that a person recognizes it by.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct File {
    name: String,
    web_view_link: String,
}

/// The part of a permission that a person recognizes it by.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Permission {
    r#type: String,
    role: String,
    email_address: String,
}

impl Tool for DeleteItem {
    const NAME: &'static str = "google_delete_item";
    const TITLE: &'static str = "Delete Google item";
    const EFFECT: Effect = Effect::Destructive { idempotent: true };
    const SCOPES: Needs = Needs::Any(&[
        GMAIL_MODIFY,
        GMAIL_COMPOSE,
        GMAIL_LABELS,
        EVENTS,
        CONTACTS,
        DRIVE,
        DRIVE_FILE,
    ]);
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["kind", "id", "parent"],
        dropped: &[],
    };
    /// With `notify` the guests of an event get mail.
    const OUTWARD: bool = true;

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        self.check(cx)?;
        let id = self.id.trim();
        let what = format!("{} {id}", self.kind.word());
        // Read first, so that the answer says by name what is gone.
        let (id, item) = self.look(cx, id).await?;
        let item = item.field("kind", self.kind.word());
        let fate = if self.is_trash() {
            "moved to the trash"
        } else {
            "deleted for good"
        };
        if cx.dry_run {
            return Ok(Output::one(
                item.field("dry_run", true).field("would_be", fate),
            ));
        }
        seen(cx, &what, self.removal(cx, &id).done().await)?;
        let output = Output::one(item.field("done", fate));
        // It is deleted; that the kept contacts could not be marked is a warning and no failure.
        if self.kind == Kind::Contact && contacts::outdate(cx).await.is_err() {
            return Ok(output.warn("google_search_contacts may still find it for some minutes"));
        }
        Ok(output)
    }
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Thread => "thread",
            Self::Message => "message",
            Self::Draft => "draft",
            Self::Label => "label",
            Self::Event => "event",
            Self::Contact => "contact",
            Self::File => "file",
            Self::Permission => "permission",
        }
    }
}

impl DeleteItem {
    /// Whether it can be taken out of a trash again.
    fn is_trash(&self) -> bool {
        let has_trash = matches!(self.kind, Kind::Thread | Kind::Message | Kind::File);
        has_trash && !self.permanent
    }

    fn check(&self, cx: &Cx) -> Result<(), ToolError> {
        let scope = match self.kind {
            Kind::Thread | Kind::Message if self.permanent => GMAIL_ALL,
            Kind::Thread | Kind::Message => GMAIL_MODIFY,
            Kind::Draft => GMAIL_COMPOSE,
            Kind::Label => GMAIL_LABELS,
            Kind::Event => EVENTS,
            Kind::Contact => CONTACTS,
            Kind::File | Kind::Permission if cx.granted.has(DRIVE_FILE) => DRIVE_FILE,
            Kind::File | Kind::Permission => DRIVE,
        };
        if scope == GMAIL_ALL && !cx.granted.has(GMAIL_ALL) {
            return Err(ToolError::Invalid(
                "`permanent`: this connection never asks to delete mail for good; leave it out, which moves the mail to \
                 the trash, from where Gmail deletes it after 30 days"
                    .to_owned(),
            ));
        }
        cx.require(scope)?;
        if self.kind == Kind::Permission && self.parent.trim().is_empty() {
            return Err(ToolError::Invalid(
                "`parent` must be the id of the file whose permission is deleted".to_owned(),
            ));
        }
        if self.notify && self.kind != Kind::Event {
            return Err(ToolError::Invalid(
                "`notify` goes with an event; deleting anything else tells nobody".to_owned(),
            ));
        }
        Ok(())
    }

    fn calendar(&self) -> &str {
        match self.parent.trim() {
            "" => "primary",
            given => given,
        }
    }

    /// The id to delete, and what a person knows it as.
    async fn look(&self, cx: &Cx, id: &str) -> Result<(String, Item), ToolError> {
        let what = format!("{} {id}", self.kind.word());
        let item = match self.kind {
            Kind::Thread => {
                let request = gmail(cx).get(&me(&["threads", id]));
                let request = request.query("format", "metadata");
                let request = request.query("metadataHeaders", "Subject").send();
                let thread: mail::model::Thread = seen(cx, &what, request.await)?;
                let subject = thread.messages.first().map(|own| own.header("Subject"));
                mail::read::item(cx, mail::read::Kind::Thread, id)
                    .field("subject", subject)
                    .field("messages", thread.messages.len())
            }
            Kind::Message => {
                let message: Message = seen(cx, &what, mail::read::envelope(cx, id).await)?;
                mail::read::item(cx, mail::read::Kind::Message, id)
                    .field("subject", message.header("Subject"))
                    .field("from", message.header("From"))
            }
            Kind::Draft => {
                let request = gmail(cx).get(&me(&["drafts", id]));
                let request = request.query("format", "metadata").send();
                let draft: Draft = seen(cx, &what, request.await)?;
                Item::new(id)
                    .field("subject", draft.message.header("Subject"))
                    .field("to", mail::read::shown(draft.message.header("To")))
            }
            Kind::Label => {
                let labels = mail::all_labels(cx).await?;
                let label = mail::find_label(&labels, id)?;
                return Ok((label.id.clone(), mail::label_item(cx, label)));
            }
            Kind::Event => {
                let path = ["calendar", "v3", "calendars", self.calendar(), "events", id];
                let event: Event = seen(cx, &what, cx.api.get(&path).send().await)?;
                if event.status == "cancelled" {
                    return Err(ToolError::NotFound(format!("{what} is deleted already")));
                }
                rows::event(cx, self.calendar(), &event)
            }
            Kind::Contact => {
                let person = contacts::person(cx, id).await;
                contacts::card(cx, &seen(cx, &what, person)?)
            }
            Kind::File => {
                let request = cx.api.get(&["drive", "v3", "files", id]);
                let request = request.query("fields", "name,webViewLink");
                let request = request.query("supportsAllDrives", true).send();
                let file: File = seen(cx, &what, request.await)?;
                Item::new(id)
                    .url(file.web_view_link)
                    .field("name", file.name)
            }
            Kind::Permission => {
                let path = [
                    "drive",
                    "v3",
                    "files",
                    self.parent.trim(),
                    "permissions",
                    id,
                ];
                let request = cx.api.get(&path);
                let request = request.query("fields", "type,role,emailAddress");
                let request = request.query("supportsAllDrives", true).send();
                let found: Permission = seen(cx, &what, request.await)?;
                Item::new(id)
                    .field("file", self.parent.trim())
                    .field("of", found.r#type)
                    .field("role", found.role)
                    .field("email", found.email_address)
            }
        };
        let id = match self.kind {
            Kind::Contact => contacts::person_id(id).to_owned(),
            _other => id.to_owned(),
        };
        Ok((id, item))
    }

    fn removal(&self, cx: &Cx, id: &str) -> Request {
        let is_trash = self.is_trash();
        match self.kind {
            Kind::Thread if is_trash => gmail(cx).post(&me(&["threads", id, "trash"])),
            Kind::Thread => gmail(cx).delete(&me(&["threads", id])),
            Kind::Message if is_trash => gmail(cx).post(&me(&["messages", id, "trash"])),
            Kind::Message => gmail(cx).delete(&me(&["messages", id])),
            Kind::Draft => gmail(cx).delete(&me(&["drafts", id])),
            Kind::Label => gmail(cx).delete(&me(&["labels", id])),
            Kind::Event => {
                let path = ["calendar", "v3", "calendars", self.calendar(), "events", id];
                let tell = if self.notify { "all" } else { "none" };
                cx.api.delete(&path).query("sendUpdates", tell)
            }
            Kind::Contact => {
                let last = format!("{id}:deleteContact");
                cx.api.at("people").delete(&["v1", "people", &last])
            }
            Kind::File => {
                let path = ["drive", "v3", "files", id];
                let request = if is_trash {
                    cx.api.patch(&path).json(&json!({ "trashed": true }))
                } else {
                    cx.api.delete(&path)
                };
                request.query("supportsAllDrives", true)
            }
            Kind::Permission => {
                let path = [
                    "drive",
                    "v3",
                    "files",
                    self.parent.trim(),
                    "permissions",
                    id,
                ];
                cx.api.delete(&path).query("supportsAllDrives", true)
            }
        }
    }
}
