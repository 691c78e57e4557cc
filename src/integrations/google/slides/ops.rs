//! Edits of a presentation, compiled to one batch. Slides are named as they were read; where they go is reckoned with
//! what the edits before have moved already.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::model::{Element, Layout, Presentation, Slide};
use super::outline::one_line;
use super::read::slide;
use crate::kit::text::clip;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum Kind {
    AddSlide,
    Fill,
    ReplaceText,
    Notes,
    Image,
    Move,
}

impl Kind {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::AddSlide => "add_slide",
            Self::Fill => "fill",
            Self::ReplaceText => "replace_text",
            Self::Notes => "notes",
            Self::Image => "image",
            Self::Move => "move",
        }
    }
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct Op {
    /// What.
    pub(super) op: Kind,
    /// Number or id.
    #[serde(default)]
    slide: String,
    /// As TITLE_AND_BODY.
    #[serde(default)]
    layout: String,
    /// Title.
    #[serde(default)]
    #[schemars(with = "String")]
    title: Option<String>,
    /// Lines; `- ` for bullets.
    #[serde(default)]
    #[schemars(with = "String")]
    body: Option<String>,
    /// Text, or an image id, to replace.
    #[serde(default)]
    find: String,
    /// New text, notes or image URL.
    #[serde(default)]
    text: String,
    /// Position from 1.
    #[serde(default)]
    #[schemars(with = "u32")]
    to: Option<usize>,
}

/// What an edit changes, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) op: &'static str,
    /// The slide's id; empty for all slides.
    pub(super) slide: String,
    pub(super) before: Value,
    pub(super) after: Value,
}

/// The batch, and what it changes.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) requests: Vec<Value>,
    pub(super) changes: Vec<Change>,
}

/// Compiles the edits, or says which one cannot be made and why.
pub(super) fn plan(deck: &Presentation, seed: &str, ops: &[Op]) -> Result<Plan, String> {
    let mut plan = Plan::default();
    let mut order: Vec<String> = deck
        .slides
        .iter()
        .map(|slide| slide.object_id.clone())
        .collect();
    for (op, number) in ops.iter().zip(1_usize..) {
        let ids = Ids { seed, number };
        let change = op
            .compile(deck, &ids, &mut order, &mut plan.requests)
            .map_err(|why| format!("op {number} ({}): {why}", op.op.word()))?;
        plan.changes.push(change);
    }
    Ok(plan)
}

/// Ids of new objects: the same for the same edit of the same revision, and taken by nothing else.
struct Ids<'a> {
    seed: &'a str,
    number: usize,
}

impl Ids<'_> {
    fn id(&self, what: &str) -> String {
        let hash = Sha256::digest(format!("{}\n{}\n{what}", self.seed, self.number));
        let mut id = format!("{what}_");
        for byte in &hash[..8] {
            let _ = write!(id, "{byte:02x}");
        }
        id
    }
}

impl Op {
    fn compile(
        &self,
        deck: &Presentation,
        ids: &Ids<'_>,
        order: &mut Vec<String>,
        requests: &mut Vec<Value>,
    ) -> Result<Change, String> {
        match self.op {
            Kind::AddSlide => self.add(deck, ids, order, requests),
            Kind::Fill => self.fill(self.slide(deck)?, requests),
            Kind::ReplaceText => self.replace(deck, requests),
            Kind::Notes => self.notes(self.slide(deck)?, requests),
            Kind::Image => self.image(self.slide(deck)?, ids, requests),
            Kind::Move => {
                let slide = self.slide(deck)?;
                let to = self.to.filter(|to| (1..=order.len()).contains(to));
                let to = to.ok_or_else(|| format!("`to` must be 1 to {}", order.len()))?;
                let from = order
                    .iter()
                    .position(|id| *id == slide.object_id)
                    .unwrap_or_default();
                // The index counts in the order before the move.
                let index = if to > from + 1 { to } else { to - 1 };
                let id = order.remove(from);
                order.insert(to - 1, id);
                requests.push(json!({ "updateSlidesPosition": {
                    "slideObjectIds": [slide.object_id], "insertionIndex": index,
                } }));
                Ok(self.change(
                    &slide.object_id,
                    json!({ "number": from + 1 }),
                    json!({ "number": to }),
                ))
            }
        }
    }

    fn change(&self, slide: &str, before: Value, after: Value) -> Change {
        Change {
            op: self.op.word(),
            slide: slide.to_owned(),
            before,
            after,
        }
    }

    fn slide<'a>(&self, deck: &'a Presentation) -> Result<&'a Slide, String> {
        if self.slide.trim().is_empty() {
            return Err("needs `slide`, a number or id".to_owned());
        }
        slide(deck, &self.slide).map(|index| &deck.slides[index])
    }

    fn add(
        &self,
        deck: &Presentation,
        ids: &Ids<'_>,
        order: &mut Vec<String>,
        requests: &mut Vec<Value>,
    ) -> Result<Change, String> {
        if !self.text.is_empty() || !self.slide.is_empty() {
            return Err(
                "takes `layout`, `title`, `body` and `to`; add notes in a second call".to_owned(),
            );
        }
        let layout = layout(deck, &self.layout)?;
        let to = self.to.unwrap_or(order.len() + 1);
        if !(1..=order.len() + 1).contains(&to) {
            return Err(format!("`to` must be 1 to {}", order.len() + 1));
        }
        let id = ids.id("slide");
        let mut mappings = Vec::new();
        let mut texts = Vec::new();
        for (what, text, kinds) in [
            ("title", &self.title, &["TITLE", "CENTERED_TITLE"][..]),
            ("body", &self.body, &["BODY", "SUBTITLE"][..]),
        ] {
            let Some(text) = text.as_deref().filter(|text| !text.trim().is_empty()) else {
                continue;
            };
            let place = placeholder(layout, kinds).ok_or_else(|| {
                format!(
                    "the layout {} has no place for a {what}",
                    layout.layout_properties.name
                )
            })?;
            let object = ids.id(what);
            mappings.push(json!({
                "layoutPlaceholder": { "type": place.0, "index": place.1 },
                "objectId": object,
            }));
            texts.push((object, text));
        }
        requests.push(json!({ "createSlide": {
            "objectId": id,
            "insertionIndex": to - 1,
            "slideLayoutReference": { "layoutId": layout.object_id },
            "placeholderIdMappings": mappings,
        } }));
        for (object, text) in texts {
            write(&object, text, requests);
        }
        order.insert(to - 1, id.clone());
        let after = json!({
            "number": to, "layout": layout.layout_properties.name, "title": self.title, "body": self.body,
        });
        Ok(self.change(&id, Value::Null, after))
    }

    fn fill(&self, slide: &Slide, requests: &mut Vec<Value>) -> Result<Change, String> {
        if self.title.is_none() && self.body.is_none() {
            return Err("needs `title` or `body`".to_owned());
        }
        let mut before = serde_json::Map::new();
        let mut after = serde_json::Map::new();
        for (what, text, element) in [
            ("title", &self.title, slide.title()),
            ("body", &self.body, slide.body()),
        ] {
            let Some(text) = text else { continue };
            let element = element.ok_or_else(|| format!("the slide has no place for a {what}"))?;
            let held = element.text();
            rewrite(&element.object_id, &held, text, requests);
            before.insert(what.to_owned(), json!(held));
            after.insert(what.to_owned(), json!(text));
        }
        Ok(self.change(&slide.object_id, before.into(), after.into()))
    }

    fn replace(&self, deck: &Presentation, requests: &mut Vec<Value>) -> Result<Change, String> {
        if self.find.is_empty() {
            return Err("needs `find`".to_owned());
        }
        let slides: Vec<&Slide> = if self.slide.is_empty() {
            deck.slides.iter().collect()
        } else {
            vec![self.slide(deck)?]
        };
        let count: usize = slides
            .iter()
            .map(|slide| occurrences(&slide.page_elements, &self.find))
            .sum();
        if count == 0 {
            return Err(format!(
                "“{}” is on none of these slides",
                clip(&self.find, 80)
            ));
        }
        let mut request = json!({
            "containsText": { "text": self.find, "matchCase": true },
            "replaceText": self.text,
        });
        let id = if self.slide.is_empty() {
            ""
        } else {
            &slides[0].object_id
        };
        // Without pages layouts and notes would be searched too.
        request["pageObjectIds"] = slides.iter().map(|slide| json!(slide.object_id)).collect();
        requests.push(json!({ "replaceAllText": request }));
        Ok(self.change(
            id,
            json!({ "text": self.find, "occurrences": count }),
            json!({ "text": self.text }),
        ))
    }

    fn notes(&self, slide: &Slide, requests: &mut Vec<Value>) -> Result<Change, String> {
        let id = &slide
            .slide_properties
            .notes_page
            .notes_properties
            .speaker_notes_object_id;
        if id.is_empty() {
            return Err("the slide has no place for notes".to_owned());
        }
        let held = slide.notes();
        rewrite(id, &held, &self.text, requests);
        Ok(self.change(
            &slide.object_id,
            json!({ "notes": held }),
            json!({ "notes": self.text }),
        ))
    }

    fn image(
        &self,
        slide: &Slide,
        ids: &Ids<'_>,
        requests: &mut Vec<Value>,
    ) -> Result<Change, String> {
        if !self.text.starts_with("https://") {
            return Err(
                "`text` must be the https address of an image that anyone can open".to_owned(),
            );
        }
        if self.find.is_empty() {
            let id = ids.id("image");
            requests.push(json!({ "createImage": {
                "objectId": id,
                "url": self.text,
                "elementProperties": { "pageObjectId": slide.object_id },
            } }));
            return Ok(self.change(
                &slide.object_id,
                Value::Null,
                json!({ "image": id, "url": self.text }),
            ));
        }
        let mut elements = slide.page_elements.iter();
        let held =
            elements.find(|element| element.object_id == self.find && element.image.is_some());
        let held = held.ok_or_else(|| {
            format!(
                "the slide has no image with the id `{}`",
                clip(&self.find, 80)
            )
        })?;
        requests.push(json!({ "replaceImage": {
            "imageObjectId": held.object_id,
            "imageReplaceMethod": "CENTER_INSIDE",
            "url": self.text,
        } }));
        Ok(self.change(
            &slide.object_id,
            json!({ "image": held.object_id }),
            json!({ "url": self.text }),
        ))
    }
}

/// The layout of this name; the usual one when none is given.
fn layout<'a>(deck: &'a Presentation, wanted: &str) -> Result<&'a Layout, String> {
    let wanted = if wanted.trim().is_empty() {
        "TITLE_AND_BODY"
    } else {
        wanted.trim()
    };
    let is = |layout: &&Layout| {
        let names = &layout.layout_properties;
        layout.object_id == wanted
            || names.name.eq_ignore_ascii_case(wanted)
            || names.display_name.eq_ignore_ascii_case(wanted)
    };
    deck.layouts.iter().find(is).ok_or_else(|| {
        let names: Vec<_> = deck
            .layouts
            .iter()
            .map(|layout| layout.layout_properties.name.as_str())
            .collect();
        format!(
            "there is no layout “{}”; the layouts are: {}",
            clip(wanted, 80),
            clip(&names.join(", "), 400)
        )
    })
}

/// Kind and index of the layout's first place of these kinds.
fn placeholder<'a>(layout: &'a Layout, kinds: &[&str]) -> Option<(&'a str, u32)> {
    kinds.iter().find_map(|kind| {
        let roles = layout.page_elements.iter().filter_map(Element::role);
        let mut fitting = roles.filter(|role| role.kind == *kind);
        fitting.next().map(|role| (role.kind.as_str(), role.index))
    })
}

fn occurrences(elements: &[Element], text: &str) -> usize {
    let of = |element: &Element| {
        let own = element.text().matches(text).count();
        let cells = element.table.iter().flat_map(|table| &table.table_rows);
        let cells = cells.flat_map(|row| &row.table_cells);
        let in_table: usize = cells
            .map(|cell| cell.text.plain().matches(text).count())
            .sum();
        let group = element.element_group.as_ref();
        own + in_table + group.map_or(0, |group| occurrences(&group.children, text))
    };
    elements.iter().map(of).sum()
}

/// Other text for an element. Deleting from an empty one is refused by the API.
fn rewrite(id: &str, held: &str, text: &str, requests: &mut Vec<Value>) {
    if !held.is_empty() {
        requests.push(json!({ "deleteText": { "objectId": id, "textRange": { "type": "ALL" } } }));
    }
    write(id, text, requests);
}

/// Text for an empty element. When every line of it is an item, it becomes a list; tabs before an item are its depth.
fn write(id: &str, text: &str, requests: &mut Vec<Value>) {
    let text = text.trim_end();
    if text.is_empty() {
        return;
    }
    let items: Option<Vec<String>> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let bare = line.trim_start();
            let words = bare
                .strip_prefix("- ")
                .or_else(|| bare.strip_prefix("* "))?;
            let columns: usize = line[..line.len() - bare.len()]
                .chars()
                .map(|c| if c == '\t' { 4 } else { 1 })
                .sum();
            Some(format!(
                "{}{}",
                "\t".repeat(columns.div_ceil(4)),
                one_line(words)
            ))
        })
        .collect();
    let plain = items
        .as_ref()
        .map_or_else(|| text.to_owned(), |items| items.join("\n"));
    requests.push(json!({ "insertText": { "objectId": id, "insertionIndex": 0, "text": plain } }));
    if items.is_some() {
        requests.push(json!({ "createParagraphBullets": {
            "objectId": id,
            "textRange": { "type": "ALL" },
            "bulletPreset": "BULLET_DISC_CIRCLE_SQUARE",
        } }));
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;

    fn deck() -> Presentation {
        let slide = |id: &str| {
            json!({ "objectId": id, "pageElements": [
            { "objectId": format!("{id}_t"), "shape": { "placeholder": { "type": "TITLE" }, "text": {
                "textElements": [{ "textRun": { "content": "Old\n" } }] } } },
        ] })
        };
        serde_json::from_value(json!({
            "slides": [slide("a"), slide("b"), slide("c")],
            "layouts": [{ "objectId": "l1", "layoutProperties": { "name": "TITLE_AND_BODY" }, "pageElements": [
                { "shape": { "placeholder": { "type": "TITLE" } } },
                { "shape": { "placeholder": { "type": "BODY", "index": 0 } } },
            ] }],
        }))
        .unwrap()
    }

    fn ops(list: &Value) -> Result<Plan, String> {
        let ops: Vec<Op> = serde_json::from_value(list.clone()).unwrap();
        plan(&deck(), "r1", &ops)
    }

    #[test]
    fn moves_count_in_the_order_that_is_there_then() {
        let plan = ops(&json!([
            { "op": "move", "slide": "1", "to": 3 },
            { "op": "move", "slide": "c", "to": 1 },
            { "op": "move", "slide": "a", "to": 3 },
        ]))
        .unwrap();
        let indices: Vec<_> = plan
            .requests
            .iter()
            .map(|request| request["updateSlidesPosition"]["insertionIndex"].clone())
            .collect();
        // a b c → b c a → c b a; the last is there already.
        assert_eq!(indices, [json!(3), json!(0), json!(2)]);
    }

    #[test]
    fn new_slides_have_ids_of_their_own() {
        let list = json!([
            { "op": "add_slide", "title": "One", "body": "- x\n    - y" },
            { "op": "add_slide", "title": "Two", "to": 1 },
        ]);
        let found = ops(&list).unwrap();
        assert_eq!(found.requests, ops(&list).unwrap().requests);
        let first = &found.requests[0]["createSlide"];
        assert_eq!(first["insertionIndex"], json!(3));
        assert_ne!(
            first["objectId"],
            found.requests[4]["createSlide"]["objectId"]
        );
        assert_eq!(found.requests[2]["insertText"]["text"], json!("x\n\ty"));
        assert!(found.requests[3].get("createParagraphBullets").is_some());
    }

    #[test]
    fn what_cannot_be_done_names_the_op() {
        for (list, why) in [
            (
                json!([{ "op": "fill", "slide": "1", "title": "x" }, { "op": "fill", "slide": "9", "title": "x" }]),
                "op 2 (fill): there is no slide `9`",
            ),
            (
                json!([{ "op": "fill", "slide": "1", "body": "x" }]),
                "op 1 (fill): the slide has no place for a body",
            ),
            (
                json!([{ "op": "replace_text", "find": "zzz", "text": "x" }]),
                "op 1 (replace_text): “zzz” is on none",
            ),
            (
                json!([{ "op": "add_slide", "layout": "NOPE" }]),
                "op 1 (add_slide): there is no layout “NOPE”",
            ),
            (
                json!([{ "op": "notes", "slide": "1", "text": "x" }]),
                "op 1 (notes): the slide has no place for notes",
            ),
            (
                json!([{ "op": "image", "slide": "1", "text": "http://x" }]),
                "op 1 (image): `text` must be the https",
            ),
        ] {
            let refused = ops(&list).unwrap_err();
            assert!(refused.starts_with(why), "{refused}");
        }
    }
}
