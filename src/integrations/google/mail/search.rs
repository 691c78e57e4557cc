//! Searching mail.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::asks::Moment;
use super::super::auth::{EVENTS_READ, GMAIL_READ};
use super::super::calendar::own_zone;
use super::labels::{self, LabelNames};
use super::read::{self, Kind};
use crate::kit::args::{Cursor, Limit};
use crate::kit::error::ToolError;
use crate::kit::output::Output;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};
use crate::kit::zone::Zone;

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
        let mut output = Output::default();
        let (page, token) = if let Some(cursor) = &self.cursor {
            let page: Page = cursor.read()?;
            let token = page.token.clone();
            (page, Some(token))
        } else {
            let label = match self.label.as_str() {
                "" => None,
                name => Some(labels::find(&all, name)?.id.clone()),
            };
            let (since, until) = (bound("since", &self.since)?, bound("until", &self.until)?);
            let has_day = [since, until]
                .iter()
                .any(|at| matches!(at, Some(Moment::Day(_))));
            let zone = if has_day { zone(cx).await } else { None };
            if has_day && zone.is_none() {
                output = output.warn(
                    "days are UTC: your own calendar, which has your time zone, cannot be seen",
                );
            }
            let page = Page {
                q: self.query(since, until, &zone.unwrap_or(Zone::UTC))?,
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
        output.items = items;
        Ok(output.next(next))
    }
}

/// The zone whose days are meant, that of the person's own calendar; `None` where that cannot be seen now. Mail is found
/// without it too.
async fn zone(cx: &Cx) -> Option<Zone> {
    if !cx.granted.has(EVENTS_READ) {
        return None;
    }
    own_zone(cx).await.ok().flatten()
}

/// What stands in an argument that may be empty.
fn bound(argument: &str, text: &str) -> Result<Option<Moment>, ToolError> {
    if text.is_empty() {
        return Ok(None);
    }
    Moment::read(argument, text).map(Some)
}

impl SearchMail {
    /// The query in Gmail's syntax. Dates alone would be read in Google's own time zone, seconds are exact.
    fn query(
        &self,
        since: Option<Moment>,
        until: Option<Moment>,
        zone: &Zone,
    ) -> Result<String, ToolError> {
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
        if let Some(since) = since {
            parts.push(format!("after:{}", since.begins(zone)));
        }
        if let Some(until) = until {
            // The whole day.
            parts.push(format!("before:{}", until.ends(zone)));
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
            ..SearchMail::default()
        };
        let (since, until) = (
            bound("since", "2026-11-01").unwrap(),
            bound("until", "2026-11-20").unwrap(),
        );
        assert_eq!(
            query.query(since, until, &Zone::UTC).unwrap(),
            "(invoice OR offer) from:(dana@northwind.example) has:attachment after:1793491200 before:1795219200"
        );
        let berlin = Zone::named("Europe/Berlin").unwrap();
        assert_eq!(
            SearchMail::default().query(since, until, &berlin).unwrap(),
            "after:1793487600 before:1795215600"
        );
        let tricky = SearchMail {
            to: "x) from:(ceo".to_owned(),
            ..SearchMail::default()
        };
        assert!(tricky.query(None, None, &Zone::UTC).is_err());
    }
}
