//! Answers on their way out: made visible, capped at item boundaries so that nothing is lost, their cursor sealed.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::kit::args::Cursor;
use crate::kit::block::Content;
use crate::kit::output::{Item, Output};
use crate::kit::text;
use crate::vault::Mac;

/// Longest text within a record that had to be cut to fit at all, in characters.
const LEAST_FIELD_CHARS: usize = 200;

/// Where a page starts: the tool's own cursor, and how many of that page's records the caller has already.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    #[serde(rename = "c", skip_serializing_if = "Option::is_none")]
    pub(super) inner: Option<String>,
    #[serde(rename = "s", default)]
    pub(super) skip: usize,
}

/// Reads a cursor that we sealed for the same person and tool.
pub(super) fn unseal(mac: &Mac, context: &[&[u8]], cursor: Option<&str>) -> Result<Place, String> {
    let Some(cursor) = cursor else {
        return Ok(Place::default());
    };
    mac.open(context, cursor)
        .and_then(|text| serde_json::from_str(&text).ok())
        .ok_or_else(|| {
            "cursor: is not one that this tool gave you; leave it out to start over".to_owned()
        })
}

/// Drops what the caller has already, caps the rest at `max_chars`, and seals where the next page starts.
pub(super) fn output(
    mut output: Output,
    place: Place,
    max_chars: usize,
    pages: bool,
    mac: &Mac,
    context: &[&[u8]],
) -> Output {
    let skip = place.skip.min(output.items.len());
    output.items.drain(..skip);
    let mut room = max_chars;
    let mut keep = 0;
    for item in &mut output.items {
        clean_item(item);
        let size = item_chars(item);
        if size > room {
            break;
        }
        room -= size;
        keep += 1;
    }
    if keep == 0 && !output.items.is_empty() {
        // A single record larger than the cap: its long texts are cut, its address leads to the whole.
        shorten(&mut output.items[0], max_chars);
        output.truncated = true;
        keep = 1;
    }
    let mut next = output.next_cursor.take().map(|cursor| Place {
        inner: Some(cursor.0),
        skip: 0,
    });
    if keep < output.items.len() {
        for item in &mut output.items[keep..] {
            item.fields.clear();
        }
        output.items.truncate(keep);
        output.truncated = true;
        if pages {
            next = Some(Place {
                inner: place.inner,
                skip: skip + keep,
            });
        } else {
            output
                .warnings
                .push("the answer was cut at max_chars; ask for less at once".to_owned());
        }
    }
    output.next_cursor = next
        .and_then(|place| serde_json::to_string(&place).ok())
        .map(|text| Cursor(mac.sign(context, &text)));
    output.warnings = output.warnings.into_iter().map(text::visible).collect();
    output
}

/// Cleans and caps a block's text.
pub(super) fn content(mut content: Content, usual_mime: &str, max_chars: usize) -> Content {
    content.text = text::visible(content.text);
    if content.text.chars().nth(max_chars).is_some() {
        content.text = text::clip(&content.text, max_chars);
        content.truncated = true;
    }
    content.mime.get_or_insert_with(|| usual_mime.to_owned());
    content
}

fn clean_item(item: &mut Item) {
    item.fields.values_mut().for_each(clean);
}

fn clean(value: &mut Value) {
    match value {
        Value::String(text) => *text = text::visible(std::mem::take(text)),
        Value::Array(list) => list.iter_mut().for_each(clean),
        Value::Object(map) => map.values_mut().for_each(clean),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// About how long a record is as JSON, in characters.
fn item_chars(item: &Item) -> usize {
    let named = item.id.len()
        + item.url.as_ref().map_or(0, String::len)
        + item.uri.as_ref().map_or(0, String::len);
    named
        + 30
        + item
            .fields
            .iter()
            .map(|(name, value)| name.len() + 4 + chars(value))
            .sum::<usize>()
}

fn chars(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 6,
        Value::String(text) => text.chars().count() + 3,
        Value::Array(list) => list.iter().map(|value| chars(value) + 1).sum::<usize>() + 2,
        Value::Object(map) => {
            map.iter()
                .map(|(name, value)| name.len() + 4 + chars(value))
                .sum::<usize>()
                + 2
        }
    }
}

/// Halves the longest allowed text until the record fits, or texts are as short as they get.
fn shorten(item: &mut Item, max_chars: usize) {
    let mut longest = max_chars / 2;
    while item_chars(item) > max_chars && longest >= LEAST_FIELD_CHARS {
        item.fields
            .values_mut()
            .for_each(|value| cut(value, longest));
        longest /= 2;
    }
    while item_chars(item) > max_chars {
        // Texts are short and it is still too large: a long list or map. The largest field goes.
        let largest = item
            .fields
            .iter()
            .max_by_key(|(_, value)| chars(value))
            .map(|(name, _)| name.clone());
        match largest {
            Some(name) => {
                item.fields.shift_remove(&name);
            }
            None => return,
        }
    }
}

fn cut(value: &mut Value, longest: usize) {
    match value {
        Value::String(text) => *text = text::clip(text, longest),
        Value::Array(list) => list.iter_mut().for_each(|value| cut(value, longest)),
        Value::Object(map) => map.values_mut().for_each(|value| cut(value, longest)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

    use super::*;
    use crate::vault::{Secrets, generate_entry};

    fn mac() -> Mac {
        Secrets::parse(&generate_entry("k").unwrap())
            .unwrap()
            .mac("cursor")
    }

    /// A tool that pages by two upstream pages of four records of about 1,000 characters each.
    fn page(inner: Option<&str>) -> Output {
        let first = inner.is_none();
        let items = (0..4)
            .map(|at| Item::new(if first { at } else { at + 4 }).field("text", "x".repeat(1_000)));
        Output::of(items.collect()).next(first.then(|| Cursor("second".to_owned())))
    }

    #[test]
    fn records_cut_by_the_cap_come_on_the_next_page() {
        let mac = mac();
        let context: &[&[u8]] = &[b"person", b"tool"];
        let mut cursor: Option<String> = None;
        let mut seen = Vec::new();
        for _ in 0..8 {
            let place = unseal(&mac, context, cursor.as_deref()).unwrap();
            let upstream = page(place.inner.as_deref());
            let answer = output(upstream, place, 3_200, true, &mac, context);
            assert!(!answer.items.is_empty());
            seen.extend(answer.items.iter().map(|item| item.id.clone()));
            cursor = answer.next_cursor.map(|cursor| cursor.0);
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, ["0", "1", "2", "3", "4", "5", "6", "7"]);
    }

    #[test]
    fn a_cursor_serves_only_its_person_and_tool() {
        let mac = mac();
        let sealed = mac.sign(&[b"person", b"tool"], r#"{"c":"p2","s":0}"#);
        assert!(unseal(&mac, &[b"person", b"tool"], Some(&sealed)).is_ok());
        for (context, cursor) in [
            ([b"other!".as_slice(), b"tool"], sealed.as_str()),
            ([b"person".as_slice(), b"loot"], sealed.as_str()),
            ([b"person".as_slice(), b"tool"], "forged"),
        ] {
            assert!(unseal(&mac, &context, Some(cursor)).is_err());
        }
    }

    #[test]
    fn one_record_larger_than_the_cap_is_cut_and_said_to_be() {
        let item = Item::new("big")
            .field("body", "é".repeat(50_000))
            .field("list", vec!["y"; 9_000]);
        let answer = output(
            Output::one(item),
            Place::default(),
            1_000,
            false,
            &mac(),
            &[],
        );
        assert!(answer.truncated && item_chars(&answer.items[0]) <= 1_000);
    }
}
