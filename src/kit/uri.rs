//! Addresses of context blocks: the part of RFC 6570 that they use, `{name}` and a final `{/name*}`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value};

/// Everything but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// One value as it stands between two slashes of an address.
pub fn encode(value: &str) -> String {
    utf8_percent_encode(value, RESERVED).to_string()
}

/// The names of a template's variables, in order.
pub fn variables(template: &str) -> Vec<&str> {
    template
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split('}').next())
        .map(|name| name.trim_start_matches('/').trim_end_matches('*'))
        .collect()
}

/// The address that `template` makes of these variables, or the name of the first one that is missing. What
/// [`matches()`] takes apart is put together again; `{/path*}` takes its segments joined by `/`, or nothing.
pub fn expand<'a>(template: &'a str, variables: &Map<String, Value>) -> Result<String, &'a str> {
    let text = |name: &str| {
        let value = variables.get(name).and_then(Value::as_str);
        value.filter(|value| !value.is_empty())
    };
    let mut parts = template.split('{');
    let mut address = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap_or((part, ""));
        if let Some(list) = name.strip_prefix('/') {
            let path = text(list.trim_end_matches('*')).unwrap_or_default();
            for segment in path.split('/').filter(|segment| !segment.is_empty()) {
                address.push('/');
                address.push_str(&encode(segment));
            }
        } else {
            address.push_str(&encode(text(name).ok_or(name)?));
        }
        address.push_str(rest);
    }
    Ok(address)
}

/// Matches `address` against `template`; the variables come back decoded. A value is never empty; a `{/path*}` comes
/// back as its segments joined by `/`, the empty text when there are none.
pub fn matches(template: &str, address: &str) -> Option<Map<String, Value>> {
    let (scheme, pattern) = template.split_once("://")?;
    let (address_scheme, rest) = address.split_once("://")?;
    if scheme != address_scheme {
        return None;
    }
    let (pattern, tail) = match pattern.split_once("{/") {
        Some((head, tail)) => (head, Some(tail.trim_end_matches("*}"))),
        None => (pattern, None),
    };
    let mut found = Map::new();
    let mut segments = rest.split('/');
    for expected in pattern.split('/') {
        let segment = segments.next()?;
        match expected
            .strip_prefix('{')
            .and_then(|name| name.strip_suffix('}'))
        {
            Some(name) => {
                found.insert(name.to_owned(), Value::String(decode(segment)?));
            }
            None if expected == segment => {}
            None => return None,
        }
    }
    match tail {
        Some(name) => {
            let path = segments.map(decode).collect::<Option<Vec<_>>>()?;
            found.insert(name.to_owned(), Value::String(path.join("/")));
        }
        None if segments.next().is_some() => return None,
        None => {}
    }
    Some(found)
}

fn decode(segment: &str) -> Option<String> {
    let text = percent_decode_str(segment).decode_utf8().ok()?;
    (!text.is_empty()).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_matched_whole() {
        let table = [
            (
                "hubspot://{account}/contacts/{id}",
                "hubspot://acme/contacts/7",
                Some(r#"{"account":"acme","id":"7"}"#),
            ),
            (
                "hubspot://{account}/contacts/{id}",
                "hubspot://a%2Fb/contacts/x%20y",
                Some(r#"{"account":"a/b","id":"x y"}"#),
            ),
            (
                "hubspot://{account}/contacts/{id}",
                "hubspot://acme/contacts/",
                None,
            ),
            (
                "hubspot://{account}/contacts/{id}",
                "hubspot://acme/contacts/7/8",
                None,
            ),
            (
                "hubspot://{account}/contacts/{id}",
                "github://acme/contacts/7",
                None,
            ),
            ("hubspot://{account}/contacts/{id}", "hubspot:acme", None),
            (
                "g://{account}/{o}/blob/{ref}{/path*}",
                "g://a/o/blob/main/src/lib.rs",
                Some(r#"{"account":"a","o":"o","ref":"main","path":"src/lib.rs"}"#),
            ),
            (
                "g://{account}/{o}/blob/{ref}{/path*}",
                "g://a/o/blob/main",
                Some(r#"{"account":"a","o":"o","ref":"main","path":""}"#),
            ),
            (
                "g://{account}/{o}/blob/{ref}{/path*}",
                "g://a/o/blob/main/src//lib.rs",
                None,
            ),
            ("g://{account}/{o}", "g://a/%ff", None),
        ];
        for (template, address, expected) in table {
            let found = matches(template, address).map(|map| Value::Object(map).to_string());
            assert_eq!(found.as_deref(), expected, "{address}");
        }
    }

    #[test]
    fn variables_are_named_in_order() {
        assert_eq!(
            variables("g://{account}/{o}/blob/{ref}{/path*}"),
            ["account", "o", "ref", "path"]
        );
    }

    #[test]
    fn what_is_taken_apart_is_put_together() {
        for (template, address) in [
            (
                "hubspot://{account}/contacts/{id}",
                "hubspot://a%2Fb/contacts/x%20y",
            ),
            (
                "g://{account}/{o}/blob/{ref}{/path*}",
                "g://a/o/blob/main/src/lib.rs",
            ),
            ("g://{account}/{o}/blob/{ref}{/path*}", "g://a/o/blob/v%2F1"),
        ] {
            let variables = matches(template, address).unwrap_or_default();
            assert_eq!(expand(template, &variables).as_deref(), Ok(address));
        }
        assert_eq!(expand("x://{account}/{id}", &Map::new()), Err("account"));
    }

    proptest::proptest! {
        #[test]
        fn an_encoded_value_comes_back(value in "\\PC{1,40}") {
            let found = matches("x://{account}/y", &format!("x://{}/y", encode(&value)));
            proptest::prop_assert_eq!(found.and_then(|map| map.get("account").cloned()), Some(Value::String(value)));
        }
    }
}
