//! Sending mail, and keeping drafts. A plain message is one request; one with large files, tracking or a draft is written
//! first and sent then.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::attach::{self, File};
use super::{addresses, item, seen, tracked};
use crate::integrations::m365::graph;
use crate::integrations::m365::model::{Message, names, recipient};
use crate::kit::documents::html_of_markdown;
use crate::kit::error::ToolError;
use crate::kit::output::{Item, Output};
use crate::kit::text;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// People a message may go to.
const PEOPLE: usize = 500;

/// Mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Mode {
    #[default]
    Send,
    Draft,
}

/// Send mail, or keep a draft.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SendMail {
    #[serde(default)]
    to: Vec<String>,
    #[serde(default)]
    cc: Vec<String>,
    #[serde(default)]
    bcc: Vec<String>,
    #[serde(default)]
    subject: String,
    /// Markdown.
    #[serde(default)]
    body_md: String,
    /// `uri` of files, `ref` of attachments.
    #[serde(default)]
    attachments: Vec<String>,
    #[serde(default)]
    mode: Mode,
    /// Draft to change or send.
    #[serde(default)]
    draft_id: String,
    /// Notice opens and clicks.
    #[serde(default)]
    track: bool,
    /// Shared mailbox.
    #[serde(default)]
    mailbox: String,
}

impl Tool for SendMail {
    const NAME: &'static str = "m365_send_mail";
    const TITLE: &'static str = "Send mail";
    const EFFECT: Effect = Effect::Write { idempotent: false };
    const SCOPES: Needs = Needs::Any(&["Mail.Send", "Mail.ReadWrite"]);
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["draft_id"],
        dropped: &["body_md", "attachments"],
    };
    const OUTWARD: bool = true;

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let sends = self.mode == Mode::Send;
        if sends {
            cx.require("Mail.Send")?;
            super::shared(cx, &self.mailbox, "Mail.Send.Shared")?;
        }
        if !sends || !self.draft_id.is_empty() {
            super::shared(cx, &self.mailbox, "Mail.ReadWrite.Shared")?;
        }
        let recipients = self.to.len() + self.cc.len() + self.bcc.len();
        if recipients > PEOPLE {
            return Err(ToolError::Invalid(format!(
                "`to`, `cc` and `bcc` name more than {PEOPLE} people; send it in parts"
            )));
        }
        if self.draft_id.is_empty() && sends && recipients == 0 {
            return Err(ToolError::Invalid(
                "`to` is empty: name at least one address, or set `mode` to draft".to_owned(),
            ));
        }
        let mut message = self.message()?;
        let before = self.before(cx).await?;
        let files = attach::files(cx, &self.attachments).await?;
        if cx.dry_run {
            return Ok(self.plan(cx, before.as_ref(), &files));
        }
        if sends && !self.track && self.draft_id.is_empty() && attach::fit(&files) {
            if !files.is_empty() {
                message.insert(
                    "attachments".to_owned(),
                    files.iter().map(attach::part).collect(),
                );
            }
            let path = graph::of(&self.mailbox, &["sendMail"]);
            let body = json!({ "message": message, "saveToSentItems": true });
            cx.api.post(&path).json(&body).done().await?;
            return Ok(Output::one(self.said().field("done", "sent")));
        }
        cx.require("Mail.ReadWrite")?;
        super::shared(cx, &self.mailbox, "Mail.ReadWrite.Shared")?;
        let tracking = self.mark(cx, &mut message, before.as_ref()).await?;
        let draft = self.write(cx, &message).await?;
        let hung = attach::hang(cx, &self.mailbox, &draft.id, &files).await;
        hung.map_err(|error| match self.draft_id.as_str() {
            "" => super::unfinished(&self.mailbox, &draft.id, &error),
            _ => super::half_attached(&error),
        })?;
        if !sends {
            return Ok(Output::one(
                item(cx, &self.mailbox, &draft).field("done", "kept as a draft"),
            ));
        }
        let path = graph::of(&self.mailbox, &["messages", &draft.id, "send"]);
        let gone = cx.api.post(&path).done().await;
        gone.map_err(|error| super::unsent(&self.mailbox, &draft.id, &error))?;
        let mut sent = item(cx, &self.mailbox, &draft).field("done", "sent");
        sent.fields.shift_remove("draft");
        let mut output = Output::one(sent);
        if let Some(id) = tracking
            && let Err(error) = tracked::keep(cx, &draft.id, &id, names(&draft.to_recipients)).await
        {
            output = output.warn(format!("what is noticed of it will not be shown: {error}"));
        }
        Ok(output)
    }
}

impl SendMail {
    /// What was given, as Graph takes it.
    fn message(&self) -> Result<Map<String, Value>, ToolError> {
        let mut message = Map::new();
        for (name, list) in [
            ("toRecipients", &self.to),
            ("ccRecipients", &self.cc),
            ("bccRecipients", &self.bcc),
        ] {
            if !list.is_empty() {
                let list = addresses(list)?;
                message.insert(name.to_owned(), list.iter().map(recipient).collect());
            }
        }
        if !self.subject.is_empty() {
            message.insert("subject".to_owned(), json!(self.subject));
        }
        if !self.body_md.is_empty() {
            let html = html_of_markdown(&self.body_md);
            message.insert(
                "body".to_owned(),
                json!({ "contentType": "html", "content": html }),
            );
        }
        Ok(message)
    }

    /// The draft that is to be changed or sent.
    async fn before(&self, cx: &Cx) -> Result<Option<Message>, ToolError> {
        if self.draft_id.is_empty() {
            return Ok(None);
        }
        let path = graph::of(&self.mailbox, &["messages", &self.draft_id]);
        let found = cx.api.get(&path).query("$select", super::get::WHOLE).send();
        let found: Message = seen("draft", &self.draft_id, found.await)?;
        if found.is_draft {
            return Ok(Some(found));
        }
        Err(ToolError::Invalid(
            "`draft_id` names a message that was sent already; answer it with m365_reply_mail"
                .to_owned(),
        ))
    }

    /// Has the body marked, when that is wanted.
    async fn mark(
        &self,
        cx: &Cx,
        message: &mut Map<String, Value>,
        before: Option<&Message>,
    ) -> Result<Option<String>, ToolError> {
        if !self.track || self.mode == Mode::Draft {
            return Ok(None);
        }
        let html = match message
            .get("body")
            .and_then(|body| body["content"].as_str())
        {
            Some(html) => html.to_owned(),
            None => before
                .map(|draft| draft.body.content.clone())
                .unwrap_or_default(),
        };
        let subject = match before {
            Some(draft) if self.subject.is_empty() => &draft.subject,
            _ => &self.subject,
        };
        let to = match before {
            Some(draft) if self.to.is_empty() => names(&draft.to_recipients),
            _ => self.to.clone(),
        };
        let marked = tracked::mark(cx, subject, to, html).await?;
        message.insert(
            "body".to_owned(),
            json!({ "contentType": "html", "content": marked.html }),
        );
        Ok(Some(marked.id))
    }

    async fn write(&self, cx: &Cx, message: &Map<String, Value>) -> Result<Message, ToolError> {
        if self.draft_id.is_empty() {
            let path = graph::of(&self.mailbox, &["messages"]);
            return Ok(cx.api.post(&path).json(message).send().await?);
        }
        let path = graph::of(&self.mailbox, &["messages", &self.draft_id]);
        let written = if message.is_empty() {
            cx.api
                .get(&path)
                .query("$select", super::SHORT)
                .send()
                .await
        } else {
            cx.api.patch(&path).json(message).send().await
        };
        seen("draft", &self.draft_id, written)
    }

    /// What was given, in words.
    fn said(&self) -> Item {
        let id = if self.draft_id.is_empty() {
            "new"
        } else {
            &self.draft_id
        };
        Item::new(id)
            .field("to", self.to.clone())
            .field("cc", self.cc.clone())
            .field("bcc", self.bcc.clone())
            .field("subject", self.subject.as_str())
    }

    fn plan(&self, cx: &Cx, before: Option<&Message>, files: &[File]) -> Output {
        let mut item = self
            .said()
            .field("dry_run", true)
            .field(
                "would",
                match self.mode {
                    Mode::Send => "send",
                    Mode::Draft => "keep as a draft",
                },
            )
            .field("body_md", text::clip(&self.body_md, cx.max_chars / 2))
            .field("attachments", attach::listed(files));
        if self.track {
            item.set("track", true);
        }
        if let Some(before) = before {
            let body = text::clip(&before.body.markdown(), 1_000);
            item.set(
                "before",
                json!({
                    "to": names(&before.to_recipients), "cc": names(&before.cc_recipients),
                    "subject": before.subject, "body": body,
                }),
            );
        }
        Output::one(item)
    }
}
