//! Labels: their names instead of Gmail's ids, and the tool that makes and changes them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::asks::{changes, seen};
use super::super::auth::GMAIL_LABELS;
use super::model::{Label, Labels};
use super::read::{gmail, me};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::text;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};
use crate::kit::uri::encode;

/// Labels that a refusal lists.
const LISTED: usize = 25;
/// Longest name that Gmail takes (its own limit, in characters).
const NAME_CHARS: usize = 225;

/// All labels of the mailbox.
pub(in super::super) async fn all_labels(cx: &Cx) -> Result<Vec<Label>, ProviderError> {
    let request = gmail(cx).get(&me(&["labels"]));
    let found: Labels = request.send().await?;
    Ok(found.labels)
}

/// The names of labels by their ids.
#[derive(Debug, Default)]
pub(super) struct LabelNames(BTreeMap<String, String>);

impl LabelNames {
    /// The names of the mailbox; none when they cannot be read, for ids are better than nothing.
    pub(super) async fn read(cx: &Cx) -> Self {
        Self::of(&all_labels(cx).await.unwrap_or_default())
    }

    pub(super) fn of(labels: &[Label]) -> Self {
        let pairs = labels.iter().map(|own| (own.id.clone(), own.name.clone()));
        Self(pairs.collect())
    }

    /// The names of these labels, whatever they are.
    pub(super) fn shown_all(&self, ids: &[String]) -> Vec<String> {
        let name = |id: &String| self.0.get(id).unwrap_or(id).clone();
        ids.iter().map(name).collect()
    }

    /// The names of these labels, each once, sorted. `UNREAD` is told as what it is elsewhere, and Gmail's categories say
    /// little.
    pub(super) fn shown(&self, ids: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<String> {
        let mut names = Vec::new();
        for id in ids {
            let id = id.as_ref();
            if id != "UNREAD" && !id.starts_with("CATEGORY_") {
                names.push(self.0.get(id).map_or(id, String::as_str).to_owned());
            }
        }
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// The label of this name or id. Gmail's own labels go by their ids (`INBOX`), in any case.
pub(in super::super) fn find<'a>(labels: &'a [Label], name: &str) -> Result<&'a Label, ToolError> {
    let name = name.trim();
    let same = |own: &&Label| own.name.eq_ignore_ascii_case(name) || own.id == name;
    let lower = |own: &&Label| own.name.to_lowercase() == name.to_lowercase();
    let found = labels
        .iter()
        .find(same)
        .or_else(|| labels.iter().find(lower));
    found.ok_or_else(|| {
        let mut own: Vec<&str> = labels
            .iter()
            .filter(|label| label.r#type != "system")
            .map(|label| label.name.as_str())
            .collect();
        own.sort_unstable();
        let more = if own.len() > LISTED { ", …" } else { "" };
        own.truncate(LISTED);
        ToolError::NotFound(format!(
            "there is no label `{}`; there are {}{more} and INBOX, UNREAD, STARRED, IMPORTANT, SENT, SPAM, TRASH; google_save_label makes one",
            text::clip(&text::printable(name), 80),
            own.join(", ")
        ))
    })
}

/// Gmail's palette (its reference of `LabelColor`); any other background is refused.
const PALETTE: &str = "000000 434343 666666 999999 cccccc efefef f3f3f3 ffffff fb4c2f ffad47 fad165 16a766 43d692 4a86e8 \
    a479e2 f691b3 f6c5be ffe6c7 fef1d1 b9e4d0 c6f3de c9daf8 e4d7f5 fcdee8 efa093 ffd6a2 fce8b3 89d3b2 a0eac9 a4c2f4 d0bcf1 \
    fbc8d9 e66550 ffbc6b fcda83 44b984 68dfa9 6d9eeb b694e8 f7a7c0 cc3a21 eaa041 f2c960 149e60 3dc789 3c78d8 8e63ce e07798 \
    ac2b16 cf8933 d5ae49 0b804b 2a9c68 285bac 653e9b b65775 822111 a46a21 aa8831 076239 1a764d 1c4587 41236d 83334c 464646 \
    e7e7e7 0d3472 b6cff5 0d3b44 98d7e4 3d188e e3d7ff 711a36 fbd3e0 8a1c0a f2b2a8 7a2e0b ffc8af 7a4706 ffdeb5 594c05 fbe983 \
    684e07 fdedc1 0b4f30 b3efd3 04502e a2dcc1 c2c2c2 4986e7 2da2bb b99aff 994a64 f691b2 ff7537 ffad46 662e37 ebdbde cca6ac \
    094228 42d692 16a765";

/// Create, rename, recolour or hide a label.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SaveLabel {
    /// `A/B` is B inside A.
    name: String,
    /// Renames it.
    #[serde(default)]
    new_name: String,
    /// Background such as #fb4c2f; the nearest of Gmail's is taken.
    #[serde(default)]
    color: String,
    /// In the label list.
    #[serde(default)]
    #[schemars(with = "Shown")]
    list: Option<Shown>,
}

/// Where the label list shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Shown {
    Show,
    ShowIfUnread,
    Hide,
}

impl Shown {
    const fn word(self) -> &'static str {
        match self {
            Self::Show => "labelShow",
            Self::ShowIfUnread => "labelShowIfUnread",
            Self::Hide => "labelHide",
        }
    }
}

impl Tool for SaveLabel {
    const NAME: &'static str = "google_save_label";
    const TITLE: &'static str = "Save mail label";
    const EFFECT: Effect = Effect::Write { idempotent: true };
    const SCOPES: Needs = Needs::All(&[GMAIL_LABELS]);
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["color", "list"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let name = proper("name", &self.name)?;
        let new_name = match self.new_name.trim() {
            "" => name.clone(),
            given => proper("new_name", given)?,
        };
        let labels = all_labels(cx).await?;
        let same = |own: &&Label| own.name.to_lowercase() == name.to_lowercase();
        let Some(label) = labels.iter().find(same) else {
            if !self.new_name.trim().is_empty() {
                find(&labels, &name)?;
            }
            return self.create(cx, &labels, &name).await;
        };
        if label.r#type == "system" {
            return Err(ToolError::Invalid(format!(
                "`{name}` is one of Gmail's own labels, which cannot be changed"
            )));
        }
        self.update(cx, label, &new_name).await
    }
}

impl SaveLabel {
    /// The fields to send.
    fn fields(&self, output: &mut Output) -> Result<Map<String, Value>, ToolError> {
        let mut fields = Map::new();
        if !self.color.is_empty() {
            let color = nearest(&self.color)?;
            if !color.eq_ignore_ascii_case(self.color.trim()) {
                output
                    .warnings
                    .push(format!("Gmail has no such colour; {color} is the nearest"));
            }
            fields.insert(
                "color".to_owned(),
                json!({ "backgroundColor": color, "textColor": text_on(&color) }),
            );
        }
        if let Some(list) = self.list {
            fields.insert("labelListVisibility".to_owned(), json!(list.word()));
        }
        Ok(fields)
    }

    async fn create(&self, cx: &Cx, labels: &[Label], name: &str) -> Result<Output, ToolError> {
        let mut output = Output::default();
        let fields = self.fields(&mut output)?;
        // Gmail shows `A/B` inside `A` only when there is an `A`.
        let mut missing: Vec<&str> = name
            .match_indices('/')
            .map(|(at, _)| &name[..at])
            .filter(|parent| {
                let parent = parent.to_lowercase();
                !labels.iter().any(|own| own.name.to_lowercase() == parent)
            })
            .collect();
        missing.push(name);
        if cx.dry_run {
            output.items.push(
                Item::new("new")
                    .field("name", name)
                    .field("dry_run", true)
                    .field("creates", missing)
                    .field("with", fields),
            );
            return Ok(output);
        }
        for one in missing {
            let mut body = json!({
                "name": one, "labelListVisibility": "labelShow", "messageListVisibility": "show",
            });
            if one == name
                && let Some(members) = body.as_object_mut()
            {
                members.extend(fields.clone());
            }
            let request = gmail(cx).post(&me(&["labels"])).json(&body);
            let label: Label = request.send().await?;
            output
                .items
                .insert(0, label_item(cx, &label).field("done", "created"));
        }
        Ok(output)
    }

    async fn update(&self, cx: &Cx, label: &Label, new_name: &str) -> Result<Output, ToolError> {
        let mut output = Output::default();
        let mut fields = self.fields(&mut output)?;
        if label.name != new_name {
            fields.insert("name".to_owned(), json!(new_name));
        }
        let before = label
            .color
            .as_ref()
            .map(|own| own.background_color.as_str());
        let after = fields
            .get("color")
            .map(|own| own["backgroundColor"].clone());
        let list = fields.get("labelListVisibility").cloned();
        let difference = changes([
            ("name", json!(label.name), json!(new_name)),
            (
                "color",
                json!(before),
                after.unwrap_or_else(|| json!(before)),
            ),
            (
                "list",
                json!(label.label_list_visibility),
                list.unwrap_or_else(|| json!(label.label_list_visibility)),
            ),
        ]);
        if difference.as_object().is_some_and(Map::is_empty) {
            output
                .items
                .push(label_item(cx, label).field("done", "unchanged"));
            return Ok(output);
        }
        if cx.dry_run {
            let item = label_item(cx, label)
                .field("dry_run", true)
                .field("changes", difference);
            output.items.push(item);
            return Ok(output);
        }
        let path = me(&["labels", &label.id]);
        let changed = gmail(cx).patch(&path).json(&fields).send::<Label>().await;
        let changed = seen(cx, &format!("label `{}`", label.name), changed)?;
        let item = label_item(cx, &changed)
            .field("done", "updated")
            .field("changes", difference);
        output.items.push(item);
        Ok(output)
    }
}

/// A label as a row.
pub(in super::super) fn label_item(cx: &Cx, label: &Label) -> Item {
    let item = Item::new(&label.id)
        .uri(cx.uri(&format!("labels/{}", encode(&label.name))))
        .field("name", label.name.as_str());
    match &label.color {
        Some(color) => item.field("color", color.background_color.as_str()),
        None => item,
    }
}

/// A name without spaces around its parts.
fn proper(argument: &str, name: &str) -> Result<String, ToolError> {
    let parts: Vec<&str> = name.split('/').map(str::trim).collect();
    if parts.iter().any(|part| part.is_empty()) || name.chars().count() > NAME_CHARS {
        return Err(ToolError::Invalid(format!(
            "`{argument}` must be a label's name such as Customers or Customers/Northwind, at most {NAME_CHARS} characters"
        )));
    }
    Ok(parts.join("/"))
}

/// The nearest colour that Gmail takes.
fn nearest(color: &str) -> Result<String, ToolError> {
    let wanted = rgb(color.trim().trim_start_matches('#')).ok_or_else(|| {
        ToolError::Invalid("`color` must be six hexadecimal digits such as #fb4c2f".to_owned())
    })?;
    let distance = |own: &&str| {
        let Some(own) = rgb(own) else { return i32::MAX };
        let pairs = wanted.iter().zip(own);
        pairs
            .map(|(a, b)| (i32::from(*a) - i32::from(b)).pow(2))
            .sum()
    };
    let nearest = PALETTE.split_whitespace().min_by_key(distance);
    Ok(format!("#{}", nearest.unwrap_or("999999")))
}

/// Black or white, whichever can be read on it.
fn text_on(background: &str) -> &'static str {
    let [red, green, blue] = rgb(background.trim_start_matches('#')).unwrap_or_default();
    // Rec. 601 luma, in thousandths.
    let luma = 299 * u32::from(red) + 587 * u32::from(green) + 114 * u32::from(blue);
    if luma > 140_000 { "#000000" } else { "#ffffff" }
}

fn rgb(hex: &str) -> Option<[u8; 3]> {
    if hex.len() != 6 || !hex.is_ascii() {
        return None;
    }
    let part = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).ok();
    Some([part(0)?, part(2)?, part(4)?])
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;

    #[test]
    fn colours_are_those_that_gmail_takes() {
        assert_eq!(nearest("#fb4c2f").unwrap(), "#fb4c2f");
        assert_eq!(nearest("ff0000").unwrap(), "#cc3a21");
        assert!(nearest("red").is_err());
        assert_eq!(text_on("#000000"), "#ffffff");
        assert_eq!(text_on("#fad165"), "#000000");
        assert!(PALETTE.split_whitespace().all(|own| rgb(own).is_some()));
    }

    #[test]
    fn names_have_parts() {
        assert_eq!(proper("name", " A / B ").unwrap(), "A/B");
        for wrong in ["", "/A", "A//B", "A/"] {
            assert!(proper("name", wrong).is_err(), "{wrong}");
        }
    }
}
