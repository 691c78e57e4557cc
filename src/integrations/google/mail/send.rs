//! Sending: new messages, answers, forwarded messages and drafts.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::asks::seen;
use super::super::auth::{GMAIL_COMPOSE, GMAIL_READ, GMAIL_SEND};
use super::attach::{self, Found};
use super::compose::{self, Given, Mode};
use super::model::{Draft, Message, SendAs};
use super::read::{self, Kind, gmail, me};
use super::tracked;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::mail::{Address, Outgoing};
use crate::kit::output::{Item, Output};
use crate::kit::text;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};
use crate::kit::tracking::Leaving;

/// From this size on a message goes to Gmail's upload address.
const LARGE: usize = 4 * 1024 * 1024;
/// Characters of the text that a dry run shows.
const SHOWN: usize = 4_000;

/// Send, answer, forward mail.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SendMail {
    /// Kind.
    #[serde(default)]
    #[schemars(with = "Mode")]
    mode: Option<Mode>,
    /// Old one.
    #[serde(default)]
    message_id: String,
    /// By commas.
    #[serde(default)]
    to: String,
    /// Or bcc:x.
    #[serde(default)]
    cc: String,
    /// Line.
    #[serde(default)]
    subject: String,
    /// Markdown.
    #[serde(default)]
    body: String,
    /// `ref`, drive:ID
    #[serde(default)]
    files: Vec<String>,
    /// Alias.
    #[serde(default)]
    from: String,
    /// `new`; id replaces, alone sends.
    #[serde(default)]
    draft: String,
    /// Opens.
    #[serde(default)]
    track: bool,
}

impl Tool for SendMail {
    const NAME: &'static str = "google_send_mail";
    const TITLE: &'static str = "Send mail";
    const EFFECT: Effect = Effect::Write { idempotent: false };
    const SCOPES: Needs = Needs::All(&[GMAIL_SEND]);
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["mode", "message_id", "draft"],
        dropped: &["body"],
    };
    const OUTWARD: bool = true;

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        self.check(cx)?;
        if self.is_bare_draft() {
            return self.send_draft(cx).await;
        }
        let old = match self.mode() {
            Mode::New => None,
            Mode::Reply | Mode::ReplyAll | Mode::Forward => {
                let id = self.message_id.trim();
                let found = read::message(cx, id).await;
                Some(seen(cx, &format!("message {id}"), found)?)
            }
        };
        // What goes on from a message comes from the address that it was sent to, forwarded or answered.
        let aliases = if old.is_some() || !self.from.is_empty() {
            read::send_as(cx).await?
        } else {
            Vec::new()
        };
        let from = if self.from.is_empty() {
            old.as_ref()
                .and_then(|old| compose::addressed(old, &aliases))
        } else {
            Some(compose::alias(&aliases, &self.from)?)
        };
        let mut mail = compose::compose(&self.given(from), old.as_ref(), &own(cx, &aliases))?;
        if !self.is_kept() {
            mail.check()?;
        }
        let mut files = attach::find(cx, &self.files).await?;
        if let (Mode::Forward, Some(old)) = (self.mode(), &old) {
            files.extend(attach::of_message(old));
            attach::fits(&files)?;
        }
        let thread = old.as_ref().map(|old| old.thread_id.as_str());
        if cx.dry_run {
            return Ok(Output::one(self.planned(cx, &mail, &files, thread)));
        }
        mail.attachments = attach::fetch(cx, &files).await?;
        self.deliver(cx, mail, &files, thread).await
    }
}

impl SendMail {
    /// Arguments that do not go together, and scopes that some of them need.
    fn check(&self, cx: &Cx) -> Result<(), ToolError> {
        let invalid = |text: &str| Err(ToolError::Invalid(text.to_owned()));
        let refers = !self.message_id.trim().is_empty();
        if self.mode() == Mode::New && refers {
            return invalid("`message_id` needs `mode` reply, reply_all or forward");
        }
        if self.mode() != Mode::New && !refers {
            return invalid("`mode` reply, reply_all and forward need `message_id`");
        }
        let is_whole = [&self.to, &self.subject, &self.body]
            .iter()
            .all(|text| !text.trim().is_empty());
        let replaces = self.is_kept() && !self.draft_id().is_empty();
        if replaces && self.mode() == Mode::New && !is_whole {
            return invalid(
                "a draft is replaced whole: give `to`, `subject` and `body` again, and `mode` with `message_id` if it answers a message",
            );
        }
        if self.track && !self.draft.is_empty() {
            return invalid("`track` goes with a message that is sent now, not with a draft");
        }
        if !self.draft.is_empty() {
            cx.require(GMAIL_COMPOSE)?;
        }
        let reads = refers
            || !self.from.is_empty()
            || self.files.iter().any(|own| !own.starts_with("drive:"));
        if reads {
            cx.require(GMAIL_READ)?;
        }
        Ok(())
    }

    fn mode(&self) -> Mode {
        self.mode.unwrap_or_default()
    }

    /// Whether the message becomes a draft, a new one or in place of another.
    fn is_kept(&self) -> bool {
        !self.draft.is_empty() && !self.is_bare_draft()
    }

    /// The draft that is replaced or sent; empty for a new one.
    fn draft_id(&self) -> &str {
        match self.draft.trim() {
            "new" => "",
            id => id,
        }
    }

    /// Whether only the draft is named, so that it is sent as it is.
    fn is_bare_draft(&self) -> bool {
        let written = [
            &self.subject,
            &self.body,
            &self.message_id,
            &self.from,
            &self.to,
            &self.cc,
        ];
        !self.draft_id().is_empty()
            && self.files.is_empty()
            && written.iter().all(|text| text.is_empty())
    }

    fn given<'a>(&'a self, from: Option<&'a SendAs>) -> Given<'a> {
        Given {
            mode: self.mode(),
            to: &self.to,
            cc: &self.cc,
            subject: &self.subject,
            body: &self.body,
            from,
        }
    }

    fn planned(&self, cx: &Cx, mail: &Outgoing, files: &[Found], thread: Option<&str>) -> Item {
        let done = if self.is_kept() {
            "keep as a draft"
        } else {
            "send"
        };
        let mut item = described(Item::new("new"), mail, files)
            .field("dry_run", true)
            .field("would", done)
            .field("draft_id", self.draft_id())
            .field("track", read::flag(self.track))
            .field("text", text::clip(&mail.text, SHOWN));
        if let Some(thread) = thread {
            item.set("thread_id", thread);
            item.url = Some(read::url(cx, thread));
        }
        item
    }

    async fn deliver(
        &self,
        cx: &Cx,
        mut mail: Outgoing,
        files: &[Found],
        thread: Option<&str>,
    ) -> Result<Output, ToolError> {
        let mut tracking = None;
        if self.track {
            let to = [&mail.to, &mail.cc, &mail.bcc].into_iter().flatten();
            let leaving = Leaving {
                subject: mail.subject.clone(),
                to: to.map(|one| one.email.clone()).collect(),
                html: mail.html.clone().unwrap_or_default(),
            };
            let marked = cx.tracking.mark(leaving).await?;
            mail.html = Some(marked.html);
            tracking = Some(marked.id);
        }
        let mime = mail.to_mime(cx.now)?;
        if self.is_kept() {
            let draft = self.save_draft(cx, &mime, thread).await?;
            let item = read::item(cx, Kind::Message, &draft.message.id)
                .field("done", "draft saved")
                .field("draft_id", draft.id)
                .field("thread_id", draft.message.thread_id);
            return Ok(Output::one(described(item, &mail, files)));
        }
        let path = ["messages", "send"];
        let around = Around::Message { thread };
        let sent: Message = transmit(cx, Method::POST, &path, &mime, &around).await?;
        let item = read::item(cx, Kind::Message, &sent.id)
            .field("done", "sent")
            .field("thread_id", sent.thread_id.as_str());
        let mut output = Output::one(described(item, &mail, files));
        if let Some(tracking) = tracking {
            // It is sent; that its id could not be kept is a warning and no failure.
            if tracked::keep(cx, &tracking, &sent.id, &sent.thread_id)
                .await
                .is_err()
            {
                output = output
                    .warn("it is tracked, but google_get_mail will not show what was noticed");
            }
            output.items[0].set("tracked", true);
        }
        Ok(output)
    }

    async fn save_draft(
        &self,
        cx: &Cx,
        mime: &[u8],
        thread: Option<&str>,
    ) -> Result<Draft, ToolError> {
        let id = self.draft_id();
        let around = Around::Draft { id, thread };
        if id.is_empty() {
            return Ok(transmit(cx, Method::POST, &["drafts"], mime, &around).await?);
        }
        let saved = transmit(cx, Method::PUT, &["drafts", id], mime, &around).await;
        seen(cx, &format!("draft {id}"), saved)
    }

    /// Sends a draft as it is.
    async fn send_draft(&self, cx: &Cx) -> Result<Output, ToolError> {
        let id = self.draft_id();
        if cx.dry_run {
            let request = gmail(cx)
                .get(&me(&["drafts", id]))
                .query("format", "metadata");
            let draft = seen(cx, &format!("draft {id}"), request.send::<Draft>().await)?;
            let item = read::item(cx, Kind::Message, &draft.message.id)
                .field("dry_run", true)
                .field("would", "send")
                .field("draft_id", id)
                .field("subject", draft.message.header("Subject"))
                .field("to", read::shown(draft.message.header("To")))
                .field("cc", read::shown(draft.message.header("Cc")))
                .field("bcc", read::shown(draft.message.header("Bcc")));
            return Ok(Output::one(item));
        }
        let request = gmail(cx).post(&me(&["drafts", "send"]));
        let sent = request.json(&json!({ "id": id })).send::<Message>().await;
        let sent = seen(cx, &format!("draft {id}"), sent)?;
        let item = read::item(cx, Kind::Message, &sent.id)
            .field("done", "sent")
            .field("thread_id", sent.thread_id);
        Ok(Output::one(item))
    }
}

/// The addresses of the person.
fn own(cx: &Cx, aliases: &[SendAs]) -> Vec<String> {
    let mut own = vec![cx.account.label.clone()];
    own.extend(aliases.iter().map(|alias| alias.send_as_email.clone()));
    own
}

/// Who, what and with which files.
fn described(item: Item, mail: &Outgoing, files: &[Found]) -> Item {
    let list = |addresses: &[Address]| -> Vec<String> {
        addresses.iter().map(ToString::to_string).collect()
    };
    item.field("from", mail.from.as_ref().map(ToString::to_string))
        .field("to", list(&mail.to))
        .field("cc", list(&mail.cc))
        .field("bcc", list(&mail.bcc))
        .field("subject", mail.subject.as_str())
        .field("attachments", attach::listing(files))
}

/// What surrounds a message in a request.
enum Around<'a> {
    Message {
        thread: Option<&'a str>,
    },
    Draft {
        id: &'a str,
        thread: Option<&'a str>,
    },
}

impl Around<'_> {
    /// The JSON of it, with the message itself in it or not.
    fn json(&self, raw: Option<String>) -> Value {
        let (Self::Message { thread } | Self::Draft { thread, .. }) = self;
        let mut message = serde_json::Map::new();
        if let Some(raw) = raw {
            message.insert("raw".to_owned(), json!(raw));
        }
        if let Some(thread) = thread {
            message.insert("threadId".to_owned(), json!(thread));
        }
        match self {
            Self::Message { .. } => Value::Object(message),
            Self::Draft { id: "", .. } => json!({ "message": message }),
            Self::Draft { id, .. } => json!({ "id": id, "message": message }),
        }
    }
}

/// Sends the message as JSON, or as an upload when it is large.
async fn transmit<T: serde::de::DeserializeOwned>(
    cx: &Cx,
    method: Method,
    path: &[&str],
    mime: &[u8],
    around: &Around<'_>,
) -> Result<T, ProviderError> {
    let request = |path: &[&str]| {
        if method == Method::PUT {
            gmail(cx).put(path)
        } else {
            gmail(cx).post(path)
        }
    };
    if mime.len() < LARGE {
        let body = around.json(Some(URL_SAFE_NO_PAD.encode(mime)));
        return request(&me(path)).json(&body).send().await;
    }
    let mut upload = vec!["upload"];
    upload.extend(me(path));
    let (media, body) = related(&around.json(None), mime);
    let request = request(&upload).query("uploadType", "multipart");
    request.body(&media, body).send().await
}

/// RFC 2387: the JSON, then the message.
fn related(around: &Value, mime: &[u8]) -> (String, Vec<u8>) {
    let mut boundary = "workbench".to_owned();
    while mime
        .windows(boundary.len())
        .any(|part| part == boundary.as_bytes())
    {
        boundary.push_str("-x");
    }
    let mut body = format!(
        "--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{around}\r\n--{boundary}\r\nContent-Type: message/rfc822\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(mime);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    (format!("multipart/related; boundary={boundary}"), body)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;

    #[test]
    fn a_large_message_is_uploaded_in_two_parts() {
        let around = Around::Message {
            thread: Some("t-1"),
        };
        let (media, body) = related(&around.json(None), b"Subject: workbench\r\n\r\nHello");
        assert_eq!(media, "multipart/related; boundary=workbench-x");
        let body = String::from_utf8(body).unwrap();
        assert_eq!(body.matches("--workbench-x").count(), 3);
        assert!(body.contains("{\"threadId\":\"t-1\"}"), "{body}");
        assert!(body.ends_with("Hello\r\n--workbench-x--\r\n"), "{body}");
    }

    #[test]
    fn drafts_are_wrapped() {
        let new = Around::Draft {
            id: "",
            thread: None,
        };
        assert_eq!(
            new.json(Some("x".to_owned())).to_string(),
            r#"{"message":{"raw":"x"}}"#
        );
        let old = Around::Draft {
            id: "r-1",
            thread: Some("t-1"),
        };
        assert_eq!(
            old.json(Some("x".to_owned())).to_string(),
            r#"{"id":"r-1","message":{"raw":"x","threadId":"t-1"}}"#
        );
    }
}
