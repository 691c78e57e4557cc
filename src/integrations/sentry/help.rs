//! What a query may name. Sentry refuses a query it does not understand with a word or two; with the fields there are, the
//! model writes a better one, and no other model has to.

use serde::Deserialize;

use super::model::Tag;
use super::org::Org;
use crate::kit::error::{ProviderError, ToolError};

/// Fields named at most.
const NAMED: usize = 60;

/// What a query is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// Issues.
    Issues,
    /// Rows of this dataset.
    Rows(&'static str),
}

/// Properties of issues that are no tags.
const OF_ISSUES: &str = "is, assigned, assigned_or_suggested, bookmarks, lastSeen, firstSeen, firstRelease, timesSeen, \
                         age, level, issue.category, issue.type, issue.priority, has, release, dist";
/// What every table takes besides its fields.
const FUNCTIONS: &str = "count(), count_unique(field), min(), max(), avg(), sum(), p50(), p75(), p95(), p99(), epm(), \
                         failure_rate()";
/// Fields of errors that are no tags.
const OF_ERRORS: &str = "id, timestamp, title, message, issue, project, transaction, trace, user, error.type, \
                         error.value, error.handled, stack.filename, stack.function, platform";

/// The answer, or what a refused query could have named instead.
pub(super) async fn corrected<T>(
    org: &Org,
    about: About,
    found: Result<T, ProviderError>,
) -> Result<T, ToolError> {
    let message = match found {
        Ok(found) => return Ok(found),
        Err(ProviderError::Invalid { message }) => message,
        Err(error) => return Err(error.into()),
    };
    let mut said = format!(
        "Sentry did not accept the query: {}.",
        message.trim_end_matches('.')
    );
    let names = names(org, about).await.unwrap_or_default().join(", ");
    let (fixed, functions) = match about {
        About::Issues => (OF_ISSUES, ""),
        About::Rows("errors") => (OF_ERRORS, FUNCTIONS),
        About::Rows(_) => ("", FUNCTIONS),
    };
    let fields = [fixed, names.as_str()].map(str::trim);
    let fields: Vec<&str> = fields.into_iter().filter(|some| !some.is_empty()).collect();
    if !fields.is_empty() {
        said.push_str(" Fields: ");
        said.push_str(&fields.join(", "));
        said.push('.');
    }
    if !functions.is_empty() {
        said.push_str(" Functions: ");
        said.push_str(functions);
        said.push('.');
    }
    Err(ToolError::Invalid(said))
}

#[derive(Deserialize)]
struct Attribute {
    name: String,
}

/// The names that this organization's data has.
async fn names(org: &Org, about: About) -> Result<Vec<String>, ProviderError> {
    let mut names: Vec<String> = match about {
        About::Issues | About::Rows("errors") => {
            let request = org.get(&["tags"]);
            let request = request
                .query("dataset", "events")
                .query("statsPeriod", "14d");
            let tags: Vec<Tag> = request.send().await?;
            tags.into_iter().map(|tag| tag.key).collect()
        }
        About::Rows(dataset @ ("spans" | "logs")) => {
            let request = org.get(&["trace-items", "attributes"]);
            let request = request
                .query("dataset", dataset)
                .query("statsPeriod", "14d");
            let attributes: Vec<Attribute> = request.send().await?;
            attributes.into_iter().map(|found| found.name).collect()
        }
        About::Rows(_) => Vec::new(),
    };
    names.truncate(NAMED);
    Ok(names)
}

/// A condition of a query: `release:"1.0 beta"`.
pub(super) fn is(name: &str, value: &str) -> String {
    let plain =
        |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | '+' | '#' | '/');
    if !value.is_empty() && value.chars().all(plain) {
        return format!("{name}:{value}");
    }
    format!("{name}:{}", quoted(value))
}

/// A value between quotes in which nothing means more than itself. Of Sentry's parser (`event_search.py`): a quote needs a
/// backslash before it, a backslash none; an asterisk is a wildcard, within quotes too, unless an odd number of backslashes
/// is before it.
pub(super) fn quoted(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    let mut backslashes = 0;
    for c in value.chars() {
        match c {
            '"' => text.push('\\'),
            '*' => text.push_str(if backslashes % 2 == 0 { "\\" } else { "\\\\" }),
            _ => {}
        }
        backslashes = if c == '\\' { backslashes + 1 } else { 0 };
        text.push(c);
    }
    if backslashes > 0 {
        // It would take the closing quote for its own. A wildcard finds the value, and others that begin like it.
        text.truncate(text.len() - backslashes);
        text.push('*');
    }
    format!("\"{text}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_values() {
        for (value, expected) in [
            ("web@1.2.0+7", "release:web@1.2.0+7"),
            ("1.0 beta", "release:\"1.0 beta\""),
            ("", "release:\"\""),
            ("x OR is:resolved", "release:\"x OR is:resolved\""),
            ("\" OR \"", "release:\"\\\" OR \\\"\""),
            ("App\\Shop@pay", "release:\"App\\Shop@pay\""),
            ("\\\"", "release:\"\\\\\"\""),
            ("*", "release:\"\\*\""),
            ("/items/*/edit", "release:\"/items/\\*/edit\""),
            ("a\\*", "release:\"a\\\\\\*\""),
            ("C:\\", "release:\"C:*\""),
        ] {
            assert_eq!(is("release", value), expected);
        }
    }
}
