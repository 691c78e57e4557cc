//! Searching mail.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::asks::{DAY_S, Moment};
use super::super::auth::GMAIL_READ;
use super::labels::{self, LabelNames};
use super::read::{self, Kind};
use crate::kit::args::{Cursor, Limit};
use crate::kit::error::ToolError;
use crate::kit::output::Output;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Search mail, newest first.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchMail {
    /// Gmail query.
    #[serde(default)]
    q: String,
    /// Who.
    #[serde(default)]
    from: String,
    /// Whom.
    #[serde(default)]
    to: String,
    /// Name.
    #[serde(default)]
    label: String,
    /// Only.
    #[serde(default)]
    has_attachment: bool,
    /// Date, or time.
    #[serde(default)]
    since: String,
    /// Likewise.
    #[serde(default)]
    until: String,
    /// Rows.
    #[serde(default)]
    by: Kind,
    #[serde(default)]
    limit: Limit<15, 50>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

/// Where a search goes on, with all that it was.
#[derive(Serialize, Deserialize)]
struct Page {
    q: String,
    label: Option<String>,
    messages: bool,
    token: String,
}

impl Tool for SearchMail {
    const NAME: &'static str = "google_search_mail";
    const TITLE: &'static str = "Search mail";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = Needs::All(&[GMAIL_READ]);
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["by", "since", "until"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let all = labels::all_labels(cx).await?;
        let names = LabelNames::of(&all);
        let (page, token) = if let Some(cursor) = &self.cursor {
            let page: Page = cursor.read()?;
            let token = page.token.clone();
            (page, Some(token))
        } else {
            let label = match self.label.as_str() {
                "" => None,
                name => Some(labels::find(&all, name)?.id.clone()),
            };
            let page = Page {
                q: self.query()?,
                label,
                messages: self.by == Kind::Message,
                token: String::new(),
            };
            (page, None)
        };
        let kind = if page.messages {
            Kind::Message
        } else {
            Kind::Thread
        };
        let label = page.label.as_deref();
        let limit = self.limit.get();
        let listed = read::listed(cx, kind, &page.q, label, limit, token.as_deref()).await?;
        let ids: Vec<String> = listed
            .threads
            .into_iter()
            .chain(listed.messages)
            .map(|own| own.id)
            .collect();
        let items = read::rows(cx, kind, &ids, &names).await?;
        let next = listed
            .next_page_token
            .map(|token| Cursor::of(&Page { token, ..page }));
        Ok(Output::of(items).next(next))
    }
}

impl SearchMail {
    /// The query in Gmail's syntax. Dates alone would be read in Google's own time zone, seconds are exact.
    fn query(&self) -> Result<String, ToolError> {
        let mut parts = Vec::new();
        if !self.q.trim().is_empty() {
            // `from:a OR from:b` with more behind it means something else without the brackets.
            let q = self.q.trim();
            parts.push(if q.contains(" OR ") && !q.starts_with('(') {
                format!("({q})")
            } else {
                q.to_owned()
            });
        }
        for (word, value) in [("from", &self.from), ("to", &self.to)] {
            let value = value.trim();
            if value.contains(['(', ')', '{', '}', '"']) {
                return Err(ToolError::Invalid(format!(
                    "`{word}` takes plain words; write brackets and quotes in `q`"
                )));
            }
            if !value.is_empty() {
                parts.push(format!("{word}:({value})"));
            }
        }
        if self.has_attachment {
            parts.push("has:attachment".to_owned());
        }
        if !self.since.is_empty() {
            let since = Moment::read("since", &self.since)?.seconds();
            parts.push(format!("after:{since}"));
        }
        if !self.until.is_empty() {
            let until = match Moment::read("until", &self.until)? {
                // The whole day.
                day @ Moment::Day(_) => day.seconds() + DAY_S,
                instant @ Moment::Instant(_) => instant.seconds(),
            };
            parts.push(format!("before:{until}"));
        }
        Ok(parts.join(" "))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;

    #[test]
    fn arguments_become_gmail_syntax() {
        let query = SearchMail {
            q: "invoice OR offer".to_owned(),
            from: "dana@northwind.example".to_owned(),
            has_attachment: true,
            since: "2026-11-01".to_owned(),
            until: "2026-11-20".to_owned(),
            ..SearchMail::default()
        };
        assert_eq!(
            query.query().unwrap(),
            "(invoice OR offer) from:(dana@northwind.example) has:attachment after:1793491200 before:1795219200"
        );
        let tricky = SearchMail {
            to: "x) from:(ceo".to_owned(),
            ..SearchMail::default()
        };
        assert!(tricky.query().is_err());
    }
}
