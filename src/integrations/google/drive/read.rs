//! `google_read_file`: any file as text.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::refs::{FileRef, seen};
use super::super::{docs, grants, room, sheets, slides};
use super::comments::{self, Open};
use super::model::{DOCUMENT, FOLDER, File, GOOGLE, PRESENTATION, SPREADSHEET, keyed, readable};
use super::rows;
use crate::kit::args::Cursor;
use crate::kit::documents::{self, Format, Wanted, extract, format_of};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::Output;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Largest file that is fetched to be read.
const MAX_BYTES: usize = 24 * 1024 * 1024;
/// The least text of a page, so that every page goes on.
const LEAST_CHARS: usize = 40;

/// Read a file: Docs as Markdown, Sheets as CSV, Slides as outline, PDF, Office and text files as text.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadFile {
    /// Id or URL.
    file: FileRef,
    /// Doc tab, id or title.
    #[serde(default)]
    tab: String,
    /// PDF pages or slides, such as `2-5`.
    #[serde(default)]
    pages: String,
    /// Sheet tab.
    #[serde(default)]
    sheet: String,
    /// A1 range.
    #[serde(default)]
    range: String,
    /// Only a doc's headings.
    #[serde(default)]
    outline: bool,
    /// Add open comments.
    #[serde(default)]
    comments: bool,
    #[serde(default)]
    cursor: Option<Cursor>,
}

/// Where a text goes on, and of which version.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Mark {
    version: Option<String>,
    /// A character of the text, a row or a page, as the kind of file has it.
    at: u64,
}

/// Which part of a file is wanted.
#[derive(Debug)]
pub(super) struct Part<'a> {
    tab: &'a str,
    pages: Option<(u32, u32)>,
    sheet: &'a str,
    range: &'a str,
    outline: bool,
    /// Where to go on.
    at: Option<u64>,
    /// Characters, as JSON, that the text and the names of its parts may take.
    room: usize,
}

impl Part<'_> {
    /// All of it that an answer holds.
    pub(super) const fn whole(cx: &Cx) -> Self {
        Self {
            tab: "",
            pages: None,
            sheet: "",
            range: "",
            outline: false,
            at: None,
            room: cx.max_chars,
        }
    }
}

/// A part of a file's text.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// `None` when the file has no text that can be read here.
    pub(super) text: Option<String>,
    pub(super) media: &'static str,
    pub(super) next: Option<u64>,
    /// The revision that an edit may name, of a document.
    revision: Option<String>,
    /// Pages, slides or sheets in all.
    total: Option<u64>,
    /// Tabs of a document, sheets of a workbook.
    parts: Vec<String>,
    /// Whether something of it is missing.
    pub(super) cut: bool,
    notes: Vec<String>,
}

impl Tool for ReadFile {
    const NAME: &'static str = "google_read_file";
    const TITLE: &'static str = "Read file";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = grants::READ;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["file", "tab", "pages"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let mark: Option<Mark> = match &self.cursor {
            Some(cursor) => Some(cursor.read()?),
            None => None,
        };
        let pages = documents::pages(&self.pages)?;
        let file = readable(cx, &self.file).await?;
        let mut output = Output::default();
        let open = self.open_comments(cx, &file, &mut output).await?;
        let mut item = rows::item(cx, &file);
        let room = room::beside(cx, &mut item);
        let part = Part {
            tab: &self.tab,
            pages,
            sheet: &self.sheet,
            range: &self.range,
            outline: self.outline,
            at: mark.as_ref().map(|mark| mark.at),
            // Comments take no more than a third from the text.
            room: room - open.chars().min(room / 3),
        };
        let page = page_of(cx, &file, &self.file, &part).await?;
        let taken = room::chars(&page.text) + room::chars(&page.parts);
        item.set("text", page.text);
        item.set("media", page.media);
        item.set("revision", page.revision);
        if let Some(total) = page.total {
            item.set(
                if file.mime_type == PRESENTATION {
                    "slides"
                } else {
                    "pages"
                },
                total,
            );
        }
        item.set("tabs", page.parts);
        let (shown, hidden) = open.fitting(room.saturating_sub(taken));
        item.set("comments", shown);
        if hidden > 0 {
            output.truncated = true;
            output = output.warn(format!(
                "{hidden} open comments are left out or cut; ask with a larger `max_chars`"
            ));
        }
        if let Some(before) = &mark
            && before.version.as_deref() != file.version()
        {
            output =
                output.warn("the file changed since the page before; start over to read it whole");
        }
        output.items.push(item);
        output.truncated |= page.cut || page.next.is_some();
        output.warnings.extend(page.notes);
        let version = file.version().map(ToOwned::to_owned);
        Ok(output.next(page.next.map(|at| Cursor::of(&Mark { version, at }))))
    }
}

impl ReadFile {
    /// The comments, if they are wanted: with the first page, and not again with those behind it.
    async fn open_comments(
        &self,
        cx: &Cx,
        file: &File,
        output: &mut Output,
    ) -> Result<Open, ToolError> {
        if !self.comments || self.cursor.is_some() {
            return Ok(Open::default());
        }
        if !cx.granted.missing(grants::READ_FILES).is_empty() {
            let warning = "its comments were not read: they need access to Drive's files";
            output.warnings.push(warning.to_owned());
            return Ok(Open::default());
        }
        match comments::open(cx, &file.id).await {
            Ok(open) => {
                if open.is_more {
                    let warning =
                        "it has more comments than are looked at: open ones may be missing";
                    output.warnings.push(warning.to_owned());
                }
                Ok(open)
            }
            Err(error) if error.is_partial() => {
                let warning = format!("its comments were not read: {error}");
                output.warnings.push(warning);
                Ok(Open::default())
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The text of a file, as much as the caller wants of it. `named` is how the caller names it: its address may point to a
/// tab.
pub(super) async fn page_of(
    cx: &Cx,
    file: &File,
    named: &FileRef,
    part: &Part<'_>,
) -> Result<Page, ToolError> {
    let mut target = FileRef::parse(&file.id).ok_or(ProviderError::NotFound)?;
    target.inner.clone_from(&named.inner);
    target.resource_key.clone_from(&named.resource_key);
    match file.mime_type.as_str() {
        FOLDER => Err(ToolError::Invalid(format!(
            "`file` is a folder; list it with google_search_files and `folder` {}",
            file.id
        ))),
        DOCUMENT => document(cx, &target, part).await,
        SPREADSHEET => spreadsheet(cx, &target, part).await,
        PRESENTATION => presentation(cx, &target, part).await,
        other if other.starts_with(GOOGLE) => Ok(Page {
            notes: vec![format!(
                "a {} has no text that can be read here; open it at {}",
                rows::kind(other),
                rows::page(file)
            )],
            ..Page::default()
        }),
        _ => stored(cx, file, &target, part).await,
    }
}

async fn document(cx: &Cx, file: &FileRef, part: &Part<'_>) -> Result<Page, ToolError> {
    let tab = match (part.tab, &file.inner) {
        ("", Some(inner)) => inner,
        (tab, _) => tab,
    };
    let wanted = docs::Part {
        tab,
        outline: part.outline,
    };
    let found = docs::read(cx, file, wanted).await?;
    let parts = names(found.tabs, part.room / 4);
    let room = part.room.saturating_sub(room::chars(&parts));
    Ok(Page {
        media: "text/markdown",
        parts,
        revision: found.revision,
        ..lines(&found.markdown, part.at.unwrap_or_default(), room)
    })
}

async fn spreadsheet(cx: &Cx, file: &FileRef, part: &Part<'_>) -> Result<Page, ToolError> {
    let slice = sheets::Slice {
        sheet: part.sheet,
        range: part.range,
        row: part.at.and_then(|row| u32::try_from(row).ok()),
        max_chars: part.room,
        names_chars: part.room / 4,
    };
    let found = sheets::csv(cx, file, slice).await?;
    let note = |row| {
        format!(
            "row {row} is longer than the answer may be: ask for fewer columns in `range`, or with a larger `max_chars`"
        )
    };
    Ok(Page {
        parts: names(found.tabs, part.room / 4),
        text: Some(found.text),
        media: "text/csv",
        next: found.next_row.map(u64::from),
        cut: found.cut_row.is_some(),
        notes: found.cut_row.map(note).into_iter().collect(),
        ..Page::default()
    })
}

async fn presentation(cx: &Cx, file: &FileRef, part: &Part<'_>) -> Result<Page, ToolError> {
    let found = slides::deck(cx, file).await?;
    let total = found.slides.len();
    let (from, to) = part.pages.map_or((0, total), |(from, to)| {
        ((from - 1) as usize, (to as usize).min(total))
    });
    if from >= to && total > 0 {
        return Err(ToolError::Invalid(format!(
            "`pages`: the deck has {total} slides"
        )));
    }
    let text = found.slides.get(from..to).unwrap_or_default().join("\n");
    Ok(Page {
        media: "text/markdown",
        total: u64::try_from(total).ok(),
        ..lines(&text, part.at.unwrap_or_default(), part.room)
    })
}

/// A file that is stored as it was uploaded.
async fn stored(
    cx: &Cx,
    file: &File,
    target: &FileRef,
    part: &Part<'_>,
) -> Result<Page, ToolError> {
    let unread = |why: &str| Page {
        notes: vec![format!("{why}; open it at {}", rows::page(file))],
        ..Page::default()
    };
    let known = format_of(&file.mime_type, &file.name, &[]);
    let is_media = ["image/", "video/", "audio/"]
        .iter()
        .any(|kind| file.mime_type.starts_with(kind));
    if known.is_none() && is_media {
        return Ok(unread(&format!("{} has no text", file.mime_type)));
    }
    if file.bytes().is_some_and(|bytes| bytes > MAX_BYTES as u64) {
        return Ok(unread("the file is too large to be read here"));
    }
    let request = cx
        .api
        .get(&["drive", "v3", "files", &file.id])
        .query("alt", "media")
        .query("supportsAllDrives", true)
        .max_bytes(MAX_BYTES)
        .download();
    let answer = keyed(request, target).bytes().await;
    let bytes = seen(cx, &format!("file {}", file.id), answer)?.body;
    let Some(format) = format_of(&file.mime_type, &file.name, &bytes) else {
        return Ok(match String::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => Page {
                media: "text/plain",
                ..lines(&text, part.at.unwrap_or_default(), part.room)
            },
            _ => unread(&format!("{} cannot be read as text", file.mime_type)),
        });
    };
    match format {
        Format::Pdf | Format::Pptx | Format::Xlsx | Format::Csv => {
            parted(bytes, format, part).await
        }
        Format::Docx | Format::Html | Format::Text | Format::Mail => {
            unparted(bytes, format, part).await
        }
    }
}

/// What has pages, or rows that are asked for by `range`.
async fn parted(bytes: Vec<u8>, format: Format, part: &Part<'_>) -> Result<Page, ToolError> {
    let pages = match (
        part.at.and_then(|page| u32::try_from(page).ok()),
        part.pages,
    ) {
        (Some(page), Some((_, last))) => Some((page, last.max(page))),
        (Some(page), None) => Some((page, u32::MAX)),
        (None, pages) => pages,
    };
    // As JSON the text is longer: line breaks, quotation marks. A workbook has the names of its sheets besides.
    let spare = if format == Format::Xlsx { 4 } else { 8 };
    let wanted = Wanted {
        pages,
        sheet: (!part.sheet.is_empty()).then(|| part.sheet.to_owned()),
        range: (!part.range.is_empty()).then(|| part.range.to_owned()),
        max_chars: part.room - part.room / spare,
    };
    let found = extract(bytes, format, wanted).await?;
    Ok(Page {
        text: Some(found.text),
        media: found.media,
        next: found.next_page.map(u64::from),
        total: found.total.map(u64::from),
        parts: room::listed(found.parts, part.room / 8),
        cut: found.truncated,
        notes: found.notes,
        ..Page::default()
    })
}

/// What is one long text. It is taken whole and cut here, where a page begins at a character: pages of the asked length
/// would shift with every call that asks for another length.
async fn unparted(bytes: Vec<u8>, format: Format, part: &Part<'_>) -> Result<Page, ToolError> {
    let wanted = Wanted {
        max_chars: usize::MAX,
        ..Wanted::default()
    };
    let found = extract(bytes, format, wanted).await?;
    let mut notes = found.notes;
    if part.pages.is_some() {
        notes.push("it has no pages: a long text goes on with the cursor".to_owned());
    }
    Ok(Page {
        media: found.media,
        cut: found.truncated,
        notes,
        ..lines(&found.text, part.at.unwrap_or_default(), part.room)
    })
}

/// The names of a file's parts with their ids, as many as fit.
fn names(parts: Vec<(String, String)>, room: usize) -> Vec<String> {
    let named = parts
        .into_iter()
        .map(|(id, title)| format!("{title} ({id})"));
    room::listed(named.collect(), room)
}

/// The text from this character on, as many whole lines as fit as JSON.
fn lines(text: &str, from: u64, room: usize) -> Page {
    let skip = usize::try_from(from).unwrap_or(usize::MAX);
    let start = text
        .char_indices()
        .nth(skip)
        .map_or(text.len(), |(at, _)| at);
    let rest = &text[start..];
    let full = room::fitting(rest, room.max(LEAST_CHARS));
    if full.len() == rest.len() {
        return Page {
            text: Some(rest.to_owned()),
            ..Page::default()
        };
    }
    // A line longer than all that fits is cut within.
    let kept = full.rfind('\n').map_or(full, |at| &full[..=at]);
    Page {
        text: Some(kept.to_owned()),
        next: u64::try_from(skip + kept.chars().count()).ok(),
        ..Page::default()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;

    #[test]
    fn a_long_text_is_read_in_whole_lines() {
        let long = "three ".repeat(8);
        let text = format!("one 🚀\n\"two\"\n{long}\n");
        let mut at = 0;
        let mut seen = Vec::new();
        loop {
            let page = lines(&text, at, 0);
            let text = page.text.unwrap();
            assert!(room::chars(&text) <= LEAST_CHARS + 2, "{text}");
            seen.push(text);
            match page.next {
                Some(next) => at = next,
                None => break,
            }
        }
        assert_eq!(seen.concat(), text);
        assert_eq!(seen[0], "one 🚀\n\"two\"\n");
        assert_eq!(seen[1], long[..LEAST_CHARS]);
        assert_eq!(seen.len(), 3);
    }
}
