//! What comes back from a provider: successes with their headers, refusals as a provider's own rules look at them.

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use url::Url;

use crate::kit::error::ProviderError;
use crate::kit::text;

/// A refusal as a provider's own rules look at it.
#[derive(Debug)]
pub struct Failure<'a> {
    /// The status.
    pub status: u16,
    /// The answer's headers.
    pub headers: &'a HeaderMap,
    /// The body when it was JSON, else null.
    pub body: &'a Value,
}

impl Failure<'_> {
    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The provider's own sentence about it, short and scrubbed.
    pub fn message(&self) -> String {
        let said = ["message", "error_description", "detail"]
            .iter()
            .find_map(|name| self.body.get(name).and_then(Value::as_str))
            .or_else(|| self.body.get("error").and_then(Value::as_str))
            .unwrap_or("no reason given");
        text::clip(&text::scrub(said), 300)
    }

    /// Seconds of `Retry-After` (RFC 9110 §10.2.3). A date counts from the answer's own `Date`, so that clocks may differ.
    pub fn retry_after_s(&self) -> Option<u64> {
        let said = self.header(RETRY_AFTER.as_str())?.trim();
        let date = |text: &str| OffsetDateTime::parse(text, &Rfc2822).ok();
        said.parse().ok().or_else(|| {
            let now = self.header(DATE.as_str()).and_then(date);
            let left = date(said)? - now.unwrap_or_else(OffsetDateTime::now_utc);
            Some(u64::try_from(left.whole_seconds()).unwrap_or(0))
        })
    }

    /// What the status alone says.
    pub(super) fn by_status(&self) -> ProviderError {
        let message = self.message();
        match self.status {
            400 | 405 | 411..=415 | 422 => ProviderError::Invalid { message },
            401 => ProviderError::Unauthorized,
            402 => ProviderError::PlanRequired { message },
            403 | 451 => ProviderError::Forbidden { message },
            404 | 410 => ProviderError::NotFound,
            409 => ProviderError::Conflict { message },
            408 => ProviderError::Timeout,
            429 => ProviderError::RateLimited {
                retry_after_s: self.retry_after_s().unwrap_or(60),
            },
            status => ProviderError::Unavailable {
                reason: format!("status {status}"),
            },
        }
    }
}

/// A successful answer with what surrounds its body.
#[derive(Clone, Debug)]
pub struct Answer<T> {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: T,
}

impl<T> Answer<T> {
    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A quoted parameter of the `WWW-Authenticate` header (RFC 9110 §11.6.1), such as `claims`; bounded.
    pub(super) fn challenged(&self, parameter: &str) -> Option<String> {
        let header = self.header("www-authenticate")?;
        let start = header.match_indices(parameter).find_map(|(at, _)| {
            let before = header.get(..at)?.chars().next_back();
            let rest = header.get(at + parameter.len()..)?.trim_start();
            let begins = before.is_none_or(|c| matches!(c, ' ' | ','));
            rest.strip_prefix('=').filter(|_| begins)
        })?;
        let value = start.trim_start().strip_prefix('"')?.split('"').next()?;
        (value.len() <= 8_192).then(|| value.to_owned())
    }

    /// A query parameter of the `Link` header's target with this relation (RFC 8288), such as `page` of `next`.
    pub fn link_param(&self, relation: &str, parameter: &str) -> Option<String> {
        let wanted = format!("rel=\"{relation}\"");
        let link = self
            .header("link")?
            .split(',')
            .find(|link| link.contains(&wanted))?;
        let target = link.split_once('<')?.1.split_once('>')?.0;
        let url = Url::parse(target).ok()?;
        url.query_pairs()
            .find(|(name, _)| name == parameter)
            .map(|(_, value)| value.into_owned())
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_wait_is_told_in_seconds_or_as_a_date() {
        let today = Some("Fri, 20 Nov 2026 12:00:00 GMT");
        for (said, date, expected) in [
            ("120", None, Some(120)),
            (" 5 ", today, Some(5)),
            ("Fri, 20 Nov 2026 12:01:30 GMT", today, Some(90)),
            ("Fri, 20 Nov 2026 11:00:00 GMT", today, Some(0)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", None, Some(0)),
            ("soon", today, None),
            ("-3", today, None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(said));
            if let Some(date) = date {
                headers.insert(DATE, HeaderValue::from_static(date));
            }
            let failure = Failure {
                status: 429,
                headers: &headers,
                body: &Value::Null,
            };
            assert_eq!(failure.retry_after_s(), expected, "{said}");
        }
    }
}
