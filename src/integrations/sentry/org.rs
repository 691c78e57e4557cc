//! Where a call goes: the organization that is meant, in its region, and the pages, addresses and periods of it.

use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

use super::model::Organization;
use crate::kit::Timestamp;
use crate::kit::args::Cursor;
use crate::kit::client::{Answer, ProviderClient, Request};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::text;
use crate::kit::tool::Cx;
use crate::kit::uri;

/// Where Sentry's API begins.
pub(super) const ROOT: [&str; 2] = ["api", "0"];
/// Records on one page of lists that are read whole.
pub(super) const PAGE: u32 = 100;
/// The detail of an account that holds its organizations.
pub(super) const DETAIL: &str = "organizations";

/// The detail that remembers these organizations.
pub(super) fn remembered(organizations: &[Organization]) -> Value {
    let known = organizations.iter().map(|found| {
        json!({
            "slug": found.slug,
            "name": found.name,
            "region": found.links.region_url,
            "web": found.links.organization_url,
        })
    });
    Value::Array(known.collect())
}

/// An organization, and the road to it.
pub(super) struct Org {
    pub(super) slug: String,
    pub(super) name: String,
    api: ProviderClient,
    region: String,
    web: String,
    /// Whether addresses of blocks must name it.
    several: bool,
}

impl Org {
    /// The organization that `wanted` names by slug or name, or the only one of the account. Several and none named is a
    /// question, never a guess.
    pub(super) async fn of(cx: &Cx, wanted: Option<&str>) -> Result<Self, ToolError> {
        let known = Self::all(cx)?;
        let slugs = || {
            let slugs: Vec<&str> = known.iter().map(|org| org.slug.as_str()).collect();
            slugs.join(", ")
        };
        let wanted = wanted.map(str::trim).filter(|wanted| !wanted.is_empty());
        let Some(wanted) = wanted else {
            if known.len() > 1 {
                return Err(ToolError::Invalid(format!(
                    "this account has several organizations; say in `org` which: {}",
                    slugs()
                )));
            }
            return known.into_iter().next().ok_or_else(|| {
                ToolError::Invalid(
                    "the organizations of this account are not known; reconnect it, or name one in `org`"
                        .to_owned(),
                )
            });
        };
        let named = |org: &&Self| {
            org.slug.eq_ignore_ascii_case(wanted) || org.name.eq_ignore_ascii_case(wanted)
        };
        if let Some(at) = known.iter().position(|org| named(&org)) {
            return known.into_iter().nth(at).ok_or_else(|| missing(wanted, ""));
        }
        // One that came after the account was connected, or that a moderator sees without being a member.
        let path = [ROOT[0], ROOT[1], "organizations", wanted];
        let found = cx.api.get(&path).slash().query("detailed", "0");
        match found.send::<Organization>().await {
            Ok(found) => {
                let region = &found.links.region_url;
                let api = if region.is_empty() {
                    cx.api.clone()
                } else {
                    cx.api.region(region)?
                };
                Ok(Self {
                    api,
                    region: region.clone(),
                    web: found.links.organization_url,
                    slug: found.slug,
                    name: found.name,
                    several: true,
                })
            }
            Err(ProviderError::NotFound | ProviderError::Forbidden { .. }) => {
                Err(missing(wanted, &slugs()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The organizations that the account is known to have.
    pub(super) fn all(cx: &Cx) -> Result<Vec<Self>, ToolError> {
        let known = cx.account.details.get(DETAIL).and_then(Value::as_array);
        let known = known.map(Vec::as_slice).unwrap_or_default();
        let text = |org: &Value, name: &str| org[name].as_str().unwrap_or_default().to_owned();
        known
            .iter()
            .map(|org| {
                let region = text(org, "region");
                Ok(Self {
                    api: if region.is_empty() {
                        cx.api.clone()
                    } else {
                        cx.api.region(&region)?
                    },
                    region,
                    slug: text(org, "slug"),
                    name: text(org, "name"),
                    web: text(org, "web"),
                    several: known.len() > 1,
                })
            })
            .collect()
    }

    /// The organization and the rest of what a block's address names: `acme:4501`, or `4501` alone where there is one.
    pub(super) async fn named<'a>(cx: &Cx, id: &'a str) -> Result<(Self, &'a str), ToolError> {
        if let Some((slug, rest)) = id.split_once(':')
            && Self::all(cx)?.iter().any(|org| org.slug == slug)
        {
            return Ok((Self::of(cx, Some(slug)).await?, rest));
        }
        Ok((Self::of(cx, None).await?, id))
    }

    /// A request that reads something of it.
    pub(super) fn get(&self, path: &[&str]) -> Request {
        self.api.get(&self.path(path)).slash()
    }

    /// A request that changes something of it.
    pub(super) fn put(&self, path: &[&str]) -> Request {
        self.api.put(&self.path(path)).slash()
    }

    /// A request that adds something to it.
    pub(super) fn post(&self, path: &[&str]) -> Request {
        self.api.post(&self.path(path)).slash()
    }

    /// A request that reads something of one of its projects.
    pub(super) fn project(&self, project: &str, path: &[&str]) -> Request {
        let begin = [ROOT[0], ROOT[1], "projects", &self.slug, project];
        self.api.get(&[&begin, path].concat()).slash()
    }

    fn path<'a>(&'a self, rest: &[&'a str]) -> Vec<&'a str> {
        [&[ROOT[0], ROOT[1], "organizations", &self.slug], rest].concat()
    }

    /// Where its data is kept; empty where there are no regions.
    pub(super) fn region(&self) -> &str {
        &self.region
    }

    /// Its pages: `https://acme.sentry.io/issues/…` where the organization is in the host, else
    /// `https://sentry.example.com/organizations/acme/issues/…`.
    pub(super) fn page(&self, rest: &[&str]) -> String {
        let Ok(mut url) = Url::parse(&self.web) else {
            return String::new();
        };
        let own_host = url
            .host_str()
            .is_some_and(|host| host.starts_with(&format!("{}.", self.slug)));
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty();
            if !own_host {
                segments.extend(["organizations", &self.slug]);
            }
            segments.extend(rest).push("");
        }
        url.into()
    }

    /// The address of a block: `sentry://account/issues/4501`, with the organization before the last id where an account
    /// has several.
    pub(super) fn uri(&self, cx: &Cx, kind: &str, id: &str, rest: &[&str]) -> String {
        let id = if self.several {
            format!("{}:{id}", self.slug)
        } else {
            id.to_owned()
        };
        let mut path = format!("{kind}/{}", uri::encode(&id));
        for segment in rest {
            path.push('/');
            path.push_str(&uri::encode(segment));
        }
        cx.uri(&path)
    }

    /// The id as completions offer it.
    pub(super) fn offered(&self, id: &str) -> String {
        if self.several {
            format!("{}:{id}", self.slug)
        } else {
            id.to_owned()
        }
    }
}

fn missing(wanted: &str, known: &str) -> ToolError {
    ToolError::NotFound(format!(
        "no organization `{wanted}` is visible to this account, which sees {known}"
    ))
}

/// What was not found, in words.
pub(super) fn seen<T>(what: &str, found: Result<T, ProviderError>) -> Result<T, ToolError> {
    found.map_err(|error| {
        if error == ProviderError::NotFound {
            ToolError::NotFound(format!(
                "{what} does not exist, or this account has no access to its project"
            ))
        } else {
            error.into()
        }
    })
}

/// Where the next page starts. Sentry names it in `Link` even when there is none, and says so: `results="false"`.
pub(super) fn next<T>(answer: &Answer<T>) -> Option<Cursor> {
    let header = answer.header("link")?;
    let link = header
        .split(", <")
        .find(|link| link.contains("rel=\"next\"") && link.contains("results=\"true\""))?;
    let cursor = link.split_once("cursor=\"")?.1.split_once('"')?.0;
    Some(Cursor(cursor.to_owned()))
}

/// A stretch of time, as Sentry takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Period {
    /// Back from now, such as `24h`.
    Last(String),
    /// Between these.
    Between(Timestamp, Timestamp),
}

impl Period {
    /// Reads `30m`, `24h`, `14d`, `2w` or a date or time of RFC 3339; `usual` when there is none.
    pub(super) fn read(
        since: Option<&str>,
        usual: &str,
        now: Timestamp,
    ) -> Result<Self, ToolError> {
        let text = since.map(str::trim).filter(|text| !text.is_empty());
        let text = text.unwrap_or(usual);
        if stretch(text).is_some() {
            return Ok(Self::Last(text.to_owned()));
        }
        let start = Timestamp::parse_rfc3339(text)
            .or_else(|| Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")));
        match start {
            Some(start) if start < now => Ok(Self::Between(start, now)),
            _ => Err(ToolError::Invalid(format!(
                "`since` must be a stretch such as 24h or 14d, or a past date such as 2026-11-01, and not `{}`",
                text::clip(text, 60)
            ))),
        }
    }

    /// Adds it to a request.
    pub(super) fn of(&self, request: Request) -> Request {
        match self {
            Self::Last(stretch) => request.query("statsPeriod", stretch),
            Self::Between(start, end) => request
                .query("start", start.rfc3339())
                .query("end", end.rfc3339()),
        }
    }

    /// How long it is.
    pub(super) fn length(&self) -> Duration {
        match self {
            Self::Last(text) => stretch(text).unwrap_or(Duration::from_hours(24)),
            Self::Between(start, end) => end.since(*start),
        }
    }

    /// The same stretch, so much earlier.
    pub(super) fn earlier(&self, by: Duration, now: Timestamp) -> Self {
        let end = now.minus(by);
        Self::Between(end.minus(self.length()), end)
    }
}

impl std::fmt::Display for Period {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Last(stretch) => write!(f, "the last {stretch}"),
            Self::Between(start, end) => write!(f, "{} to {}", start.rfc3339(), end.rfc3339()),
        }
    }
}

/// How long `24h` is.
pub(super) fn stretch(text: &str) -> Option<Duration> {
    let unit_s = match text.chars().last()? {
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _other => return None,
    };
    let number = text.get(..text.len() - 1)?;
    let digits = number.len() <= 4 && number.bytes().all(|byte| byte.is_ascii_digit());
    let count: u64 = number.parse().ok().filter(|_| digits)?;
    (count > 0).then(|| Duration::from_secs(count * unit_s))
}
/// Adds each of these as a parameter of its own.
pub(super) fn each(request: Request, name: &str, values: &[String]) -> Request {
    values
        .iter()
        .fold(request, |request, value| request.query(name, value))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

    use http::HeaderMap;

    use super::*;

    #[test]
    fn pages_end_when_sentry_says_so() {
        let at = |results: &str| {
            let mut headers = HeaderMap::new();
            let link = format!(
                "<https://de.sentry.io/api/0/x/?a=1,2&cursor=0:0:1>; rel=\"previous\"; results=\"false\"; cursor=\"0:0:1\", \
                 <https://de.sentry.io/api/0/x/?a=1,2&cursor=0:25:0>; rel=\"next\"; results=\"{results}\"; cursor=\"0:25:0\""
            );
            headers.insert("link", link.parse().unwrap());
            next(&Answer {
                status: 200,
                headers,
                body: (),
            })
        };
        assert_eq!(at("true"), Some(Cursor("0:25:0".to_owned())));
        assert_eq!(at("false"), None);
    }

    #[test]
    fn periods_are_stretches_or_dates() {
        let now = Timestamp::from_micros(1_795_176_000_000_000);
        let read = |text| Period::read(Some(text), "14d", now);
        assert_eq!(read("24h").unwrap(), Period::Last("24h".to_owned()));
        assert_eq!(read(" ").unwrap(), Period::Last("14d".to_owned()));
        let since = read("2026-11-19").unwrap();
        assert_eq!(
            since.to_string(),
            "2026-11-19T00:00:00Z to 2026-11-20T12:00:00Z"
        );
        assert_eq!(since.length(), Duration::from_hours(36));
        let before = since.earlier(Duration::from_hours(24), now);
        assert_eq!(
            before.to_string(),
            "2026-11-18T00:00:00Z to 2026-11-19T12:00:00Z"
        );
        assert_eq!(read("2w").unwrap().length(), Duration::from_hours(336));
        for wrong in [
            "yesterday",
            "h",
            "0h",
            "99999d",
            "24h&x",
            "2026-13-01",
            "-1d",
            "2027-01-01",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
