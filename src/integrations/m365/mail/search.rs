//! Finding mail. Graph has two ways that exclude each other: `$search` (Exchange's index, newest first, no filter, no
//! order) and `$filter` (exact, in any order). Words, names and subjects take the first, everything else the second.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{READ, SHORT, folders, item};
use crate::integrations::m365::graph::{self, Page};
use crate::integrations::m365::model::Message;
use crate::integrations::m365::times::{own_zone, past, seconds, until};
use crate::kit::Timestamp;
use crate::kit::args::{Cursor, Limit};
use crate::kit::error::ToolError;
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};
use crate::kit::uri::encode;

/// Search mail, newest first; without words, list it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchMail {
    /// Words or KQL.
    #[serde(default)]
    q: String,
    /// Name or address.
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
    #[serde(default)]
    subject: String,
    /// Only unread, or read.
    #[serde(default)]
    unread: Option<bool>,
    /// Only with, or without.
    #[serde(default)]
    has_attachments: Option<bool>,
    /// Date, `7d`.
    #[serde(default)]
    since: String,
    /// As `since`.
    #[serde(default)]
    until: String,
    /// Name, path or id.
    #[serde(default)]
    folder: String,
    /// One row a conversation.
    #[serde(default)]
    group_by_thread: bool,
    /// Shared mailbox.
    #[serde(default)]
    mailbox: String,
    #[serde(default)]
    limit: Limit<20, 50>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

/// Conversations that are remembered from page to page.
const TOLD: usize = 64;
/// Characters of each.
const MARK: usize = 8;

/// Where a list of conversations goes on. One that was told stands there with its newest message; an older message of it
/// on a later page is nothing new.
#[derive(Serialize, Deserialize)]
struct Place {
    link: String,
    /// The [`mark`]s of those told last.
    told: String,
}

/// A conversation in few characters.
fn mark(id: &str) -> String {
    graph::digest(&[id]).chars().take(MARK).collect()
}

fn is_told(told: &str, id: &str) -> bool {
    let own = mark(id);
    told.as_bytes()
        .chunks(MARK)
        .any(|one| one == own.as_bytes())
}

impl Tool for SearchMail {
    const NAME: &'static str = "m365_search_mail";
    const TITLE: &'static str = "Search mail";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = READ;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["since", "until"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        super::shared(cx, &self.mailbox, "Mail.Read.Shared")?;
        let zone = own_zone(cx).zone;
        let since = past("since", &self.since, cx.now, &zone)?;
        let until = until("until", &self.until, cx.now, &zone)?;
        let mut told = String::new();
        let page: Page<Message> = match &self.cursor {
            Some(cursor) if self.group_by_thread => {
                let place: Place = cursor.read()?;
                told = place.told;
                graph::follow(cx, &Cursor(place.link)).send().await?
            }
            Some(cursor) => graph::follow(cx, cursor).send().await?,
            None => self.first(cx, since, until).await?,
        };
        let next = page.cursor();
        let fits = |message: &Message| self.fits(message, since, until);
        let found: Vec<Message> = page.value.into_iter().filter(fits).collect();
        if !self.group_by_thread {
            let rows = found.iter().map(|message| item(cx, &self.mailbox, message));
            return Ok(Output::of(rows.collect()).next(next));
        }
        let mut items = threads(cx, &self.mailbox, &found);
        items.retain(|item| !is_told(&told, &item.id));
        told.extend(items.iter().map(|item| mark(&item.id)));
        let first = told.len().saturating_sub(TOLD * MARK);
        let place = next.map(|Cursor(link)| Place {
            link,
            told: told.get(first..).unwrap_or_default().to_owned(),
        });
        Ok(Output::of(items).next(place.as_ref().map(Cursor::of)))
    }
}

impl SearchMail {
    /// Whether words are looked for, which only the index can.
    fn is_search(&self) -> bool {
        [&self.q, &self.from, &self.to, &self.subject]
            .iter()
            .any(|text| !text.trim().is_empty())
    }

    async fn first(
        &self,
        cx: &Cx,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Page<Message>, ToolError> {
        let folder = match self.folder.trim() {
            "" => None,
            folder => Some(folders::resolve(cx, &self.mailbox, "folder", folder).await?),
        };
        let path = match &folder {
            Some(folder) => graph::of(&self.mailbox, &["mailFolders", folder, "messages"]),
            None => graph::of(&self.mailbox, &["messages"]),
        };
        let request = cx
            .api
            .get(&path)
            .query("$select", SHORT)
            .query("$top", self.limit.get());
        let request = if self.is_search() {
            request.query("$search", self.kql(since, until))
        } else {
            request
                .query_opt("$filter", self.filter(since, until))
                .query("$orderby", "receivedDateTime desc")
        };
        Ok(request.send().await?)
    }

    /// The search as one quoted text. Days are what KQL counts in, so the edges are looked at again in
    /// [`SearchMail::fits`].
    fn kql(&self, since: Option<Timestamp>, until: Option<Timestamp>) -> String {
        let mut parts = Vec::new();
        if !self.q.trim().is_empty() {
            parts.push(graph::grouped(self.q.trim()));
        }
        for (property, text) in [
            ("from", &self.from),
            ("to", &self.to),
            ("subject", &self.subject),
        ] {
            if !text.trim().is_empty() {
                parts.push(format!("{property}:{}", phrase(text.trim())));
            }
        }
        let day = |at: Timestamp| at.rfc3339().chars().take(10).collect::<String>();
        if let Some(since) = since {
            parts.push(format!("received>={}", day(since)));
        }
        if let Some(until) = until {
            parts.push(format!("received<={}", day(until)));
        }
        if let Some(wanted) = self.has_attachments {
            parts.push(format!("hasAttachments:{wanted}"));
        }
        let text = parts.join(" ");
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }

    /// The exact conditions. What is ordered by must stand first in a filter, or Exchange refuses both together.
    fn filter(&self, since: Option<Timestamp>, until: Option<Timestamp>) -> Option<String> {
        let mut rest = Vec::new();
        if let Some(until) = until {
            rest.push(format!("receivedDateTime lt {}", seconds(until)));
        }
        if let Some(unread) = self.unread {
            rest.push(format!("isRead eq {}", !unread));
        }
        if let Some(wanted) = self.has_attachments {
            rest.push(format!("hasAttachments eq {wanted}"));
        }
        if since.is_none() && rest.is_empty() {
            return None;
        }
        let since = since.map_or_else(|| "1970-01-01T00:00:00Z".to_owned(), seconds);
        rest.insert(0, format!("receivedDateTime ge {since}"));
        Some(rest.join(" and "))
    }

    /// What the index cannot be asked: whether a message was read, and times within a day.
    fn fits(&self, message: &Message, since: Option<Timestamp>, until: Option<Timestamp>) -> bool {
        let at = Timestamp::parse_rfc3339(&message.received_date_time);
        let unread = self.unread.is_none_or(|unread| unread != message.is_read);
        let after = |since: Timestamp| at.is_none_or(|at| at >= since);
        let before = |until: Timestamp| at.is_none_or(|at| at < until);
        unread && since.is_none_or(after) && until.is_none_or(before)
    }
}

/// A value of a KQL property: quoted when it has more than one word, and without quotes of its own.
fn phrase(text: &str) -> String {
    let bare = text.replace('"', " ");
    if bare
        .chars()
        .all(|c| c.is_alphanumeric() || "@._-+".contains(c))
    {
        bare
    } else {
        format!("\"{}\"", bare.trim())
    }
}

/// The conversations of these messages, each where its newest message stands.
fn threads(cx: &Cx, mailbox: &str, messages: &[Message]) -> Vec<Item> {
    let mut order: Vec<&str> = Vec::new();
    let mut groups: HashMap<&str, Vec<&Message>> = HashMap::new();
    for message in messages {
        let group = groups.entry(&message.conversation_id).or_default();
        if group.is_empty() {
            order.push(&message.conversation_id);
        }
        group.push(message);
    }
    let row = |id: &&str| {
        let group = groups.get(id)?;
        let newest = group.first()?;
        let mut people: Vec<String> = Vec::new();
        for message in group {
            let from = message.from.to_string();
            if !people.contains(&from) {
                people.push(from);
            }
        }
        let ids: Vec<&str> = group.iter().map(|message| message.id.as_str()).collect();
        let mut item = Item::new(id)
            .field("subject", newest.title())
            .field("people", people)
            .field("latest", newest.received_date_time.as_str())
            .field("preview", newest.body_preview.trim())
            .field("found", group.len())
            .field(
                "unread",
                group.iter().filter(|message| !message.is_read).count(),
            )
            .field("messages", ids);
        if mailbox.is_empty() {
            item = item.uri(cx.uri(&format!("threads/{}", encode(id))));
        }
        if !newest.web_link.is_empty() {
            item = item.url(newest.web_link.as_str());
        }
        Some(item)
    };
    order.iter().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;
    use serde_json::json;

    fn asked(arguments: serde_json::Value) -> SearchMail {
        serde_json::from_value(arguments).unwrap()
    }

    #[test]
    fn words_are_quoted_once() {
        let since = Timestamp::parse_rfc3339("2026-11-13T12:00:00Z");
        let search = asked(json!({"q": "plan AND \"go live\"", "from": "Dana Whitfield"}));
        assert!(search.is_search());
        assert_eq!(
            search.kql(since, None),
            r#""plan AND \"go live\" from:\"Dana Whitfield\" received>=2026-11-13""#
        );
        let search = asked(json!({"from": "dana@northwind.example", "subject": "a \"b\""}));
        assert_eq!(
            search.kql(None, None),
            r#""from:dana@northwind.example subject:\"a  b\"""#
        );
    }

    #[test]
    fn alternatives_do_not_pass_by_the_other_conditions() {
        let search = asked(json!({"q": "plan OR budget", "from": "dana@northwind.example"}));
        assert_eq!(
            search.kql(None, None),
            r#""(plan OR budget) from:dana@northwind.example""#
        );
    }

    #[test]
    fn filters_begin_with_what_is_ordered_by() {
        let list = asked(json!({"unread": true}));
        assert!(!list.is_search());
        assert_eq!(
            list.filter(None, None).unwrap(),
            "receivedDateTime ge 1970-01-01T00:00:00Z and isRead eq false"
        );
        assert_eq!(asked(json!({})).filter(None, None), None);
    }
}
