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
    ("wba_", 8),
    ("wbr_", 8),
    ("wbc_", 8),
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
    let after = |word: &str| {
        let start = before.len().checked_sub(word.len());
        start
            .and_then(|start| before.get(start..))
            .is_some_and(|found| found.eq_ignore_ascii_case(word))
    };
    // A word in a sentence about authentication has no digits and is not that long.
    let random =
        token.len() >= 20 || token.len() >= 8 && token.contains(|c: char| c.is_ascii_digit());
    known || web_token || (random && (after("bearer ") || after("basic ")))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Something that looks like a secret, made here so that none stands in the source.
    fn secret(prefix: &str) -> String {
        format!("{prefix}{}", "x1".repeat(16))
    }

    #[test]
    fn every_known_shape_is_masked_wherever_it_stands() {
        for (prefix, _) in PREFIXES {
            let secret = secret(prefix);
            for text in [
                secret.clone(),
                format!("({secret})"),
                format!("key={secret}&more"),
                format!("a: \"{secret}\", then\n{secret}"),
            ] {
                let clean = scrub(&text);
                assert!(!clean.contains("x1x1"), "{text} became {clean}");
                assert!(clean.contains(MASK));
            }
        }
    }

    #[test]
    fn web_tokens_authorizations_and_private_keys_are_masked() {
        let token = format!(
            "eyJ{}.eyJ{}.{}",
            "a".repeat(10),
            "b".repeat(10),
            "c".repeat(10)
        );
        assert_eq!(scrub(&format!("got {token}!")), "got [masked]!");
        assert_eq!(
            scrub(&format!("BEARER {}", "z9".repeat(6))),
            "BEARER [masked]"
        );
        assert_eq!(
            scrub(&format!("Basic {}==", "z9".repeat(6))),
            "Basic [masked]"
        );
        let pem = |kind: &str| format!("-----BEGIN {kind}-----\nAAAA\n-----END {kind}-----");
        assert_eq!(
            scrub(&format!("a {} b", pem("PRIVATE KEY"))),
            "a [masked] b"
        );
        assert_eq!(scrub("-----BEGIN RSA PRIVATE KEY-----\nAAAA"), MASK);
        assert_eq!(scrub(&pem("CERTIFICATE")), pem("CERTIFICATE"));
    }

    #[test]
    fn ordinary_words_stay() {
        for text in [
            "",
            "basic understanding of bearer authentication",
            "task-based sk-ip and wbt_ and ghp_short, 1//0",
            "https://example.test/a/b?c=d&e=f",
            "550e8400-e29b-41d4-a716-446655440000",
        ] {
            assert!(
                matches!(scrub(text), Cow::Borrowed(same) if same == text),
                "{text}"
            );
        }
    }

    #[test]
    fn values_are_cleaned_to_the_leaves() {
        let mut value = json!({ secret("sk-"): [1, { "a": secret("wbt_") }], "b": "c" });
        scrub_value(&mut value);
        assert_eq!(
            value,
            json!({ "[masked]": [1, { "a": "[masked]" }], "b": "c" })
        );
    }

    proptest! {
        #[test]
        fn a_clean_text_stays_clean(text in any::<String>(), prefix in 0..PREFIXES.len()) {
            let dirty = format!("{text} {} {text}", secret(PREFIXES[prefix].0));
            let clean = scrub(&dirty).into_owned();
            prop_assert!(!clean.contains("x1x1x1"));
            prop_assert_eq!(scrub(&clean).into_owned(), clean);
        }

        #[test]
        fn a_column_is_one_short_line(text in any::<String>()) {
            let line = short(&text);
            prop_assert!(!line.contains(char::is_control));
            prop_assert!(line.chars().count() <= text.chars().count().min(MAX_CHARS) + MASK.len());
        }
    }
}
