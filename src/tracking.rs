//! Opens and clicks of sent mail: off unless an admin switches it on, and then only for messages whose sender asked.
//!
//! A marked message carries a picture of one pixel and links that lead through this server. What they carry is signed,
//! the target included, so a link leads where the sender pointed it and nowhere else, for as long as the key is kept, even
//! when nobody counts any more. Counted is how often, per message and link; nothing is kept of who asked from where.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::clock::Clock;
use crate::ids::{ConnectionId, OrgId, TrackedMailId};
use crate::kit::error::ToolError;
use crate::kit::text;
use crate::kit::tracking::{Leaving, Marked, Noticed, Notices, Tracking};
use crate::links::Links;
use crate::rulebook::Rulebook;
use crate::store::{Store, StoreError, TrackedMail};
use crate::vault::Mac;

/// Links of one message that are led through us; further ones stay as they are.
const LINKS: usize = 50;
/// Longest link that is led through us, in bytes.
const LINK_BYTES: usize = 1_500;
/// Longest subject that is kept, in characters.
const SUBJECT_CHARS: usize = 200;
/// Messages in an answer that names none.
const LATEST: i64 = 50;
/// How long the same picture or link counts once.
const ONCE: Duration = Duration::from_secs(2);

/// Notices. Cheap to clone.
#[derive(Clone)]
pub struct MailTracking {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    clock: Clock,
    rulebook: Rulebook,
    links: Links,
    mac: Mac,
    org: OrgId,
    /// Signed words that were counted a moment ago.
    just_counted: Cache<String, ()>,
}

/// What [`MailTracking::new`] is made of.
pub struct Parts {
    /// Messages and counts.
    pub store: Store,
    /// Time.
    pub clock: Clock,
    /// Whether the organization wants it.
    pub rulebook: Rulebook,
    /// Our own addresses.
    pub links: Links,
    /// Signs what messages carry.
    pub mac: Mac,
    /// The organization.
    pub org: OrgId,
}

/// What a link of a message carries: the message, and where the link leads.
#[derive(Serialize, Deserialize)]
struct Carried(TrackedMailId, String);

impl MailTracking {
    /// Over these parts.
    pub fn new(parts: Parts) -> Self {
        let just_counted = Cache::builder()
            .max_capacity(10_000)
            .time_to_live(ONCE)
            .build();
        Self {
            inner: Arc::new(Inner {
                store: parts.store,
                clock: parts.clock,
                rulebook: parts.rulebook,
                links: parts.links,
                mac: parts.mac,
                org: parts.org,
                just_counted,
            }),
        }
    }

    /// The tracking of one connection's mail.
    pub fn of(&self, connection: ConnectionId) -> Tracking {
        Tracking::by(Arc::new(OfConnection {
            tracking: self.clone(),
            connection,
        }))
    }

    /// Somebody's mail program fetched the picture with this signed word. A word that is not ours counts nothing.
    pub async fn opened(&self, signed: &str) -> Result<(), StoreError> {
        let Some(id) = self.inner.mac.open(&[b"open"], signed) else {
            return Ok(());
        };
        let Ok(id) = id.parse::<TrackedMailId>() else {
            return Ok(());
        };
        if self.counts(signed).await? {
            let now = self.inner.clock.now();
            self.inner.store.count_open(id, now).await?;
        }
        Ok(())
    }

    /// Where the link with this signed word leads. `None` when it is none of ours.
    pub async fn followed(&self, signed: &str) -> Option<Url> {
        let text = self.inner.mac.open(&[b"follow"], signed)?;
        let Carried(id, target) = serde_json::from_str(&text).ok()?;
        let url = Url::parse(&target).ok()?;
        // Whoever clicks is led on, whether or not the click can be counted.
        if self.counts(signed).await.unwrap_or(false)
            && let Err(error) = self.inner.store.count_click(id, &target).await
        {
            tracing::warn!(error = %error, "a click was not counted");
        }
        Some(url)
    }

    /// Whether this one is counted now.
    async fn counts(&self, signed: &str) -> Result<bool, StoreError> {
        if self.inner.just_counted.contains_key(signed) {
            return Ok(false);
        }
        self.inner.just_counted.insert(signed.to_owned(), ());
        let rules = self.inner.rulebook.rules(self.inner.org).await?;
        Ok(rules.track_mail)
    }
}

struct OfConnection {
    tracking: MailTracking,
    connection: ConnectionId,
}

impl Notices for OfConnection {
    fn mark(&self, leaving: Leaving) -> BoxFuture<'_, Result<Marked, ToolError>> {
        async move {
            let inner = &self.tracking.inner;
            if !inner.rulebook.rules(inner.org).await?.track_mail {
                return Err(crate::kit::tracking::switched_off());
            }
            let now = inner.clock.now();
            let id = TrackedMailId::new(now);
            let (html, links) = rewritten(&leaving.html, |target| {
                let carried = serde_json::to_string(&Carried(id, target.to_owned())).ok()?;
                Some(
                    inner
                        .links
                        .followed(&inner.mac.sign(&[b"follow"], &carried)),
                )
            });
            let picture = inner
                .links
                .opened(&inner.mac.sign(&[b"open"], &id.to_string()));
            let html = format!("{html}<img src=\"{picture}\" width=\"1\" height=\"1\" alt=\"\">");
            let subject = text::clip(&leaving.subject, SUBJECT_CHARS);
            let mail = TrackedMail {
                id,
                subject,
                sent_at: now,
                opens: 0,
                last_opened_at: None,
                clicks: links.into_iter().map(|url| (url, 0)).collect(),
            };
            inner
                .store
                .insert_tracked_mail(self.connection, &mail)
                .await?;
            Ok(Marked {
                id: id.to_string(),
                html,
            })
        }
        .boxed()
    }

    fn results(&self, ids: Vec<String>) -> BoxFuture<'_, Result<Vec<Noticed>, ToolError>> {
        async move {
            let store = &self.tracking.inner.store;
            let wanted: Vec<TrackedMailId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
            let found = if ids.is_empty() {
                store.latest_tracked_mail(self.connection, LATEST).await?
            } else {
                let mut found = Vec::new();
                for id in wanted {
                    found.extend(store.tracked_mail(self.connection, id).await?);
                }
                found
            };
            Ok(found.into_iter().map(noticed).collect())
        }
        .boxed()
    }
}

fn noticed(mail: TrackedMail) -> Noticed {
    Noticed {
        id: mail.id.to_string(),
        subject: mail.subject,
        sent_at: mail.sent_at,
        opens: mail.opens,
        last_opened_at: mail.last_opened_at,
        clicks: mail.clicks,
    }
}

/// The body with its links led elsewhere, and the links that were. The body is what `html_of_markdown` writes, so a link
/// is `<a href="…"` with `&`, `<`, `>` and quotes escaped, and in text and code there is no `<`.
fn rewritten(html: &str, lead: impl Fn(&str) -> Option<String>) -> (String, Vec<String>) {
    const HREF: &str = "<a href=\"";
    let mut led: BTreeMap<String, String> = BTreeMap::new();
    let mut out = String::with_capacity(html.len() * 2);
    let mut rest = html;
    while let Some(at) = rest.find(HREF) {
        let (before, after) = rest.split_at(at + HREF.len());
        out.push_str(before);
        let end = after.find('"').unwrap_or(after.len());
        let written = &after[..end];
        rest = &after[end..];
        let target = unescaped(written);
        let room = led.len() < LINKS || led.contains_key(&target);
        if !room || target.len() > LINK_BYTES || !is_web(&target) {
            out.push_str(written);
            continue;
        }
        match led.get(&target).cloned().or_else(|| lead(&target)) {
            Some(link) => {
                out.push_str(&link);
                led.insert(target, link);
            }
            None => out.push_str(written),
        }
    }
    out.push_str(rest);
    (out, led.into_keys().collect())
}

fn is_web(target: &str) -> bool {
    Url::parse(target).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

fn unescaped(text: &str) -> String {
    text.replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&#x27;", "'")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

impl std::fmt::Debug for MailTracking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MailTracking").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_led_elsewhere_once_each_and_the_rest_stays() {
        let html = "<p><a href=\"https://a.example/?x=1&amp;y=2\">a</a> <a href=\"https://a.example/?x=1&amp;y=2\">b</a> \
                    <a href=\"mailto:x@y.example\">mail</a> <a href=\"javascript:alert(1)\">no</a></p>";
        let (out, links) = rewritten(html, |target| Some(format!("https://us/{}", target.len())));
        assert_eq!(links, ["https://a.example/?x=1&y=2"]);
        assert_eq!(out.matches("https://us/26").count(), 2, "{out}");
        assert!(out.contains("mailto:x@y.example") && out.contains("javascript:alert(1)"));
        let many: Vec<String> = (0..60)
            .map(|n| format!("<a href=\"https://a.example/{n}\">x</a>"))
            .collect();
        let (out, links) = rewritten(&many.concat(), |_| Some("https://us/".to_owned()));
        assert_eq!((links.len(), out.matches("https://us/").count()), (50, 50));
        let code = "<p>write <code>href=\"https://a.example/\"</code> or &lt;a href=\"https://a.example/\"&gt;</p>";
        let (out, links) = rewritten(code, |_| Some("https://us/".to_owned()));
        assert_eq!((out.as_str(), links.len()), (code, 0));
        let (out, links) = rewritten("<a href=\"https://unfinished", |_| None);
        assert_eq!(
            (out.as_str(), links.len()),
            ("<a href=\"https://unfinished", 0)
        );
    }
}
