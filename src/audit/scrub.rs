//! The second net: whatever looks like a secret is masked before it enters the log, wherever it came from.

use std::borrow::Cow;

use serde_json::Value;

/// What stands where something was masked.
const MASK: &str = "[masked]";

/// Longest text of a column, in characters.
const MAX_CHARS: usize = 256;

/// How the secrets begin that providers, or we ourselves, hand out, and how many more characters make it one.
const PREFIXES: &[(&str, usize)] = &[
    ("wbt_", 8),
    ("sk-", 12),
    ("sk_live_", 8),
    ("sk_test_", 8),
    ("rk_live_", 8),
    ("rk_test_", 8),
    ("whsec_", 8),
    ("ghp_", 16),
    ("gho_", 16),
    ("ghu_", 16),
    ("ghs_", 16),
    ("ghr_", 16),
    ("github_pat_", 16),
    ("sntrys_", 8),
    ("sntryu_", 8),
    ("pat-na", 16),
    ("pat-eu", 16),
    ("xoxb-", 8),
    ("xoxp-", 8),
    ("xoxa-", 8),
    ("xapp-", 8),
    ("ya29.", 16),
    ("1//0", 20),
    ("AKIA", 16),
    ("access-sandbox-", 8),
    ("access-production-", 8),
];

/// Characters that secrets are made of.
const fn in_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '~' | '+' | '/' | '=')
}

fn is_secret(token: &str, before: &str) -> bool {
    let known = PREFIXES.iter().any(|(prefix, more)| {
        token
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.len() >= *more)
    });
    // A JSON Web Token: two or three dots, and a header that begins with `{"`.
    let web_token =
        token.len() >= 20 && token.starts_with("eyJ") && token.matches('.').count() >= 2;
    let bearer = before
        .len()
        .checked_sub(7)
        .and_then(|at| before.get(at..))
        .is_some_and(|word| {
            word.eq_ignore_ascii_case("bearer ") || word.eq_ignore_ascii_case(" basic ")
        });
    known || web_token || (bearer && token.len() >= 8)
}

/// The text with everything masked that looks like a secret: tokens of known shapes, JSON Web Tokens, what follows
/// `Bearer`, and private keys in PEM form.
pub fn scrub(text: &str) -> Cow<'_, str> {
    let mut clean = String::new();
    // Up to here the text is in `clean` or known to stay as it is.
    let mut kept = 0;
    let mut masked = 0_u64;
    let mut from = 0;
    while let Some(start) = text[from..].find(in_token).map(|at| from + at) {
        let end = text[start..]
            .find(|c| !in_token(c))
            .map_or(text.len(), |at| start + at);
        // `key=secret` is one run of characters: each part is looked at.
        let mut part = start;
        while part < end {
            let token = &text[part..end];
            if is_secret(token, &text[..part]) {
                clean.push_str(&text[kept..part]);
                clean.push_str(MASK);
                kept = end;
                masked += 1;
                break;
            }
            if token.starts_with("-----BEGIN") && text[part..].contains("PRIVATE KEY") {
                clean.push_str(&text[kept..part]);
                clean.push_str(MASK);
                let rest = &text[end..];
                // Through the line that ends the key, or to the end when it is cut off.
                kept = rest
                    .find("-----END")
                    .and_then(|at| Some(end + at + 8 + rest[at + 8..].find("-----")? + 5))
                    .unwrap_or(text.len());
                masked += 1;
                break;
            }
            part = token
                .find(['=', '/', '+', '~'])
                .map_or(end, |at| part + at + 1);
        }
        from = end.max(kept);
    }
    if masked == 0 {
        return Cow::Borrowed(text);
    }
    metrics::counter!("workbench_audit_masked_total").increment(masked);
    clean.push_str(&text[kept..]);
    Cow::Owned(clean)
}

/// [`scrub`] for every text in a JSON value, names of members included.
pub fn scrub_value(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(clean) = scrub(text) {
                *text = clean;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(scrub_value),
        Value::Object(members) => {
            if members
                .keys()
                .any(|name| matches!(scrub(name), Cow::Owned(_)))
            {
                *members = std::mem::take(members)
                    .into_iter()
                    .map(|(name, value)| (scrub(&name).into_owned(), value))
                    .collect();
            }
            members.values_mut().for_each(scrub_value);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A text from outside as a column keeps it: scrubbed, on one line, not too long.
pub(super) fn short(text: &str) -> Cow<'_, str> {
    let fits = text.len() <= MAX_CHARS || text.char_indices().nth(MAX_CHARS).is_none();
    if fits && !text.contains(char::is_control) {
        return scrub(text);
    }
    let line: String = text
        .chars()
        .take(MAX_CHARS)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    Cow::Owned(scrub(&line).into_owned())
}
