//! Answering and forwarding. Graph writes the draft, so the thread, the recipients and the quoted history are as Outlook
//! would have them; our text goes above it.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{addresses, attach, get, item, seen};
use crate::integrations::m365::graph;
use crate::integrations::m365::model::{Message, Recipient, names, recipient};
use crate::kit::documents::html_of_markdown;
use crate::kit::error::ToolError;
use crate::kit::mail::{forward_subject, reply_subject};
use crate::kit::output::{Item, Output};
use crate::kit::text;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Mode {
    #[default]
    Reply,
    ReplyAll,
    Forward,
}

impl Mode {
    const fn action(self) -> &'static str {
        match self {
            Self::Reply => "createReply",
            Self::ReplyAll => "createReplyAll",
            Self::Forward => "createForward",
        }
    }
}

/// Reply to a message or forward it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplyMail {
    /// Message.
    id: String,
    #[serde(default)]
    mode: Mode,
    /// Markdown, put above the quoted message.
    #[serde(default)]
    body_md: String,
    /// More people; whom a forward goes to.
    #[serde(default)]
    to: Vec<String>,
    /// `uri` of files, `ref` of attachments.
    #[serde(default)]
    attachments: Vec<String>,
    /// Keep it, do not send it.
    #[serde(default)]
    as_draft: bool,
    /// Shared mailbox.
    #[serde(default)]
    mailbox: String,
}

impl Tool for ReplyMail {
    const NAME: &'static str = "m365_reply_mail";
    const TITLE: &'static str = "Reply to mail";
    const EFFECT: Effect = Effect::Write { idempotent: false };
    const SCOPES: Needs = Needs::All(&["Mail.ReadWrite"]);
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["id"],
        dropped: &["body_md", "attachments"],
    };
    const OUTWARD: bool = true;

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        if !self.as_draft {
            cx.require("Mail.Send")?;
            super::shared(cx, &self.mailbox, "Mail.Send.Shared")?;
        }
        super::shared(cx, &self.mailbox, "Mail.ReadWrite.Shared")?;
        let more = addresses(&self.to)?;
        if self.mode == Mode::Forward && more.is_empty() && !self.as_draft {
            return Err(ToolError::Invalid(
                "`to` is empty: name whom to forward it to".to_owned(),
            ));
        }
        if cx.dry_run {
            return self.plan(cx).await;
        }
        let files = attach::files(cx, &self.attachments).await?;
        let path = graph::of(&self.mailbox, &["messages", &self.id, self.mode.action()]);
        let draft = cx.api.post(&path).send::<Message>().await;
        let draft = seen("message", &self.id, draft)?;
        let mut change = Map::new();
        if !self.body_md.is_empty() {
            let own = html_of_markdown(&self.body_md);
            let content = above(&own, &draft.body.content, &draft.body.content_type);
            change.insert(
                "body".to_owned(),
                json!({ "contentType": "html", "content": content }),
            );
        }
        if !more.is_empty() {
            let known = draft.to_recipients.iter().map(as_given);
            let added = more.iter().map(recipient);
            let all: Vec<Value> = known.chain(added).collect();
            change.insert("toRecipients".to_owned(), Value::Array(all));
        }
        let left = draft.id.clone();
        let unfinished = |error: ToolError| super::unfinished(&self.mailbox, &left, &error);
        let path = graph::of(&self.mailbox, &["messages", &left]);
        let draft = if change.is_empty() {
            draft
        } else {
            let written = cx.api.patch(&path).json(&change).send().await;
            written.map_err(|error| unfinished(ToolError::from(error)))?
        };
        let hung = attach::hang(cx, &self.mailbox, &draft.id, &files).await;
        hung.map_err(unfinished)?;
        let mut row = item(cx, &self.mailbox, &draft);
        row.fields.shift_remove("preview");
        if self.as_draft {
            return Ok(Output::one(row.field("done", "kept as a draft")));
        }
        let path = graph::of(&self.mailbox, &["messages", &draft.id, "send"]);
        let gone = cx.api.post(&path).done().await;
        gone.map_err(|error| super::unsent(&self.mailbox, &draft.id, &error))?;
        row.fields.shift_remove("draft");
        Ok(Output::one(row.field("done", "sent")))
    }
}

impl ReplyMail {
    /// What would be sent, and to whom. Outlook decides the recipients by the same rule: who asked for answers, else who
    /// sent it; and with all, everybody but the mailbox itself.
    async fn plan(&self, cx: &Cx) -> Result<Output, ToolError> {
        let (message, _) = get::message(cx, &self.mailbox, &self.id).await?;
        let own = if self.mailbox.is_empty() {
            &cx.account.label
        } else {
            &self.mailbox
        };
        let others = |list: &[Recipient]| -> Vec<String> {
            let others = list.iter();
            let others = others.filter(|one| !one.email_address.address.eq_ignore_ascii_case(own));
            others.map(ToString::to_string).collect()
        };
        let mut to = match self.mode {
            Mode::Forward => Vec::new(),
            Mode::Reply | Mode::ReplyAll if message.reply_to.is_empty() => {
                vec![message.from.to_string()]
            }
            Mode::Reply | Mode::ReplyAll => names(&message.reply_to),
        };
        let mut cc = Vec::new();
        if self.mode == Mode::ReplyAll {
            to.extend(others(&message.to_recipients));
            cc = others(&message.cc_recipients);
        }
        to.extend(self.to.iter().cloned());
        let subject = match self.mode {
            Mode::Forward => forward_subject(&message.subject),
            Mode::Reply | Mode::ReplyAll => reply_subject(&message.subject),
        };
        let quoted = text::clip(&message.body.markdown(), 500);
        Ok(Output::one(
            Item::new("new")
                .field("dry_run", true)
                .field(
                    "would",
                    if self.as_draft {
                        "keep as a draft"
                    } else {
                        "send"
                    },
                )
                .field("to", to)
                .field("cc", cc)
                .field("subject", subject)
                .field("body_md", text::clip(&self.body_md, cx.max_chars / 2))
                .field("attachments", self.attachments.clone())
                .field("quoted", quoted),
        ))
    }
}

fn as_given(known: &Recipient) -> Value {
    json!({ "emailAddress": { "name": known.email_address.name, "address": known.email_address.address } })
}

/// Our HTML above the one that Outlook quotes.
fn above(own: &str, quoted: &str, kind: &str) -> String {
    if !kind.eq_ignore_ascii_case("html") {
        let quoted = quoted.replace('&', "&amp;").replace('<', "&lt;");
        return format!("{own}\n<pre>{quoted}</pre>");
    }
    // `to_ascii_lowercase` keeps every offset.
    let lower = quoted.to_ascii_lowercase();
    let inside = lower
        .find("<body")
        .and_then(|at| Some(at + lower.get(at..)?.find('>')? + 1));
    match inside {
        Some(at) => {
            let (head, rest) = quoted.split_at(at);
            format!("{head}{own}{rest}")
        }
        None => format!("{own}\n{quoted}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_text_stands_above_the_quotation() {
        assert_eq!(
            above(
                "<p>a</p>",
                "<html><BODY dir=\"ltr\"><hr>q</BODY></html>",
                "html"
            ),
            "<html><BODY dir=\"ltr\"><p>a</p><hr>q</BODY></html>"
        );
        assert_eq!(above("<p>a</p>", "<hr>q", "HTML"), "<p>a</p>\n<hr>q");
        assert_eq!(
            above("<p>a</p>", "1 < 2", "text"),
            "<p>a</p>\n<pre>1 &lt; 2</pre>"
        );
    }
}
