//! `google_read_slides`.

use futures_util::stream::{self, StreamExt};
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::grants::READ_SLIDES;
use super::super::refs::FileRef;
use super::super::room;
use super::model::{Element, Presentation, Slide};
use super::outline::{body, one_line, presentation};
use crate::kit::args::{Cursor, Limit};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Characters of a list of slides in a warning.
const SHOWN: usize = 80;
/// Thumbnails asked for at once; Google counts each as an expensive read.
const AT_ONCE: usize = 4;

/// Outline of a Google Slides deck: text, tables and notes of each slide.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadSlides {
    /// Deck id or URL.
    file: FileRef,
    /// Numbers from 1, or slide ids; all if omitted.
    #[serde(default)]
    slides: Vec<String>,
    /// Add image links (they expire in 30 minutes).
    #[serde(default)]
    thumbnails: bool,
    #[serde(default)]
    limit: Limit<25, 100>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Thumbnail {
    content_url: String,
}

impl Tool for ReadSlides {
    const NAME: &'static str = "google_read_slides";
    const TITLE: &'static str = "Read presentation";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = READ_SLIDES;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["file"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let deck = presentation(cx, &self.file).await?;
        let from: usize = match &self.cursor {
            Some(cursor) => cursor.read()?,
            None => 0,
        };
        let mut wanted = Vec::new();
        for name in &self.slides {
            wanted.push(slide(&deck, name).map_err(ToolError::Invalid)?);
        }
        if self.slides.is_empty() {
            wanted = (0..deck.slides.len()).collect();
        }
        let limit = self.limit.get() as usize;
        let page: Vec<usize> = wanted.iter().copied().skip(from).take(limit).collect();
        let mut output = Output::default();
        let mut links = vec![None; page.len()];
        if self.thumbnails {
            let slides = page.iter().map(|index| &deck.slides[*index]);
            let asked: Vec<_> = slides.map(|slide| self.thumbnail(cx, slide)).collect();
            let asked: Vec<_> = stream::iter(asked).buffered(AT_ONCE).collect().await;
            let mut missing = 0;
            for (link, answer) in links.iter_mut().zip(asked) {
                match answer {
                    Ok(found) => *link = Some(found.content_url),
                    Err(error) if error.is_partial() => missing += 1,
                    Err(error) => return Err(error.into()),
                }
            }
            if missing > 0 {
                output = output.warn(format!("{missing} thumbnails could not be made"));
            }
        }
        let mut cut = Vec::new();
        for (index, link) in page.iter().zip(links) {
            let (item, is_cut) = self.row(cx, &deck, *index, link);
            if is_cut {
                cut.push((index + 1).to_string());
            }
            output.items.push(item);
        }
        if !cut.is_empty() {
            output.truncated = true;
            output = output.warn(format!(
                "longer than the answer may be, and cut: slides {}; ask with a larger `max_chars`",
                room::listed(cut, SHOWN).join(", ")
            ));
        }
        let end = from.saturating_add(limit);
        Ok(output
            .total(u64::try_from(wanted.len()).ok())
            .next((end < wanted.len()).then(|| Cursor::of(&end))))
    }
}

impl ReadSlides {
    /// A slide, and whether its text is cut: a single slide longer than the answer would lose half of it on its way out.
    fn row(
        &self,
        cx: &Cx,
        deck: &Presentation,
        index: usize,
        thumbnail: Option<String>,
    ) -> (Item, bool) {
        let slide = &deck.slides[index];
        let layout = deck
            .layouts
            .iter()
            .find(|layout| layout.object_id == slide.slide_properties.layout_object_id);
        let title = slide.title().map(Element::text).unwrap_or_default();
        let mut item = Item::new(&slide.object_id)
            .url(format!(
                "https://docs.google.com/presentation/d/{}/edit#slide=id.{}",
                self.file, slide.object_id
            ))
            .field("number", index + 1)
            .field("title", one_line(&title))
            .field(
                "layout",
                layout.map(|layout| layout.layout_properties.name.as_str()),
            )
            .field("thumbnail", thumbnail);
        if slide.slide_properties.is_skipped {
            item.set("skipped", true);
        }
        let (text, notes) = (body(slide), slide.notes());
        let room = room::beside(cx, &mut item);
        // What the text leaves is for the notes, and a quarter in any case.
        let (text, text_cut) = room::clipped(&text, room - room::chars(&notes).min(room / 4));
        let (notes, notes_cut) = room::clipped(&notes, room.saturating_sub(room::chars(&text)));
        item.set("text", text);
        item.set("notes", notes);
        (item, text_cut || notes_cut)
    }

    async fn thumbnail(&self, cx: &Cx, slide: &Slide) -> Result<Thumbnail, ProviderError> {
        let path = [
            "v1",
            "presentations",
            self.file.id(),
            "pages",
            &slide.object_id,
            "thumbnail",
        ];
        cx.api
            .at("slides")
            .get(&path)
            .query("thumbnailProperties.thumbnailSize", "MEDIUM")
            .send()
            .await
    }
}

/// The index of the slide with this number or id.
pub(super) fn slide(deck: &Presentation, name: &str) -> Result<usize, String> {
    let name = name.trim();
    let by_id = deck.slides.iter().position(|slide| slide.object_id == name);
    let by_number = || {
        let number: usize = name.parse().ok()?;
        (1..=deck.slides.len())
            .contains(&number)
            .then(|| number - 1)
    };
    by_id.or_else(by_number).ok_or_else(|| {
        format!(
            "there is no slide `{name}`; the deck has {} slides, counted from 1",
            deck.slides.len()
        )
    })
}
