//! `google_read_file`: any file as text.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::refs::{FileRef, seen};
use super::super::{docs, grants, sheets, slides};
use super::model::{
    DOCUMENT, FOLDER, File, GOOGLE, PRESENTATION, SPREADSHEET, User, keyed, resolved,
};
use super::rows;
use crate::kit::args::Cursor;
use crate::kit::documents::{self, Wanted, extract, format_of};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::Output;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Largest file that is fetched to be read.
const MAX_BYTES: usize = 24 * 1024 * 1024;
/// Most comments told.
const MAX_COMMENTS: u32 = 100;

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
#[derive(Debug, Default)]
pub(super) struct Part<'a> {
    tab: &'a str,
    pages: Option<(u32, u32)>,
    sheet: &'a str,
    range: &'a str,
    outline: bool,
    /// Where to go on.
    at: Option<u64>,
}

/// A part of a file's text.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// `None` when the file has no text that can be read here.
    pub(super) text: Option<String>,
    pub(super) media: &'static str,
    pub(super) next: Option<u64>,
    /// Pages, slides or sheets in all.
    total: Option<u64>,
    /// Tabs of a document, sheets of a workbook: id and title.
    parts: Vec<(String, String)>,
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
        let file = resolved(cx, &self.file).await?;
        let part = Part {
            tab: &self.tab,
            pages,
            sheet: &self.sheet,
            range: &self.range,
            outline: self.outline,
            at: mark.as_ref().map(|mark| mark.at),
        };
        let page = page_of(cx, &file, &self.file, &part).await?;
        let mut item = rows::item(cx, &file)
            .field("text", page.text)
            .field("media", page.media);
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
        let parts: Vec<String> = page
            .parts
            .iter()
            .map(|(id, title)| {
                if id.is_empty() {
                    title.clone()
                } else {
                    format!("{title} ({id})")
                }
            })
            .collect();
        item.set("tabs", parts);
        let mut output = Output::default();
        if self.comments {
            match comments(cx, &file.id).await {
                Ok(found) => item.set("comments", found),
                Err(error) if error.is_partial() => {
                    output = output.warn(format!("its comments were not read: {error}"));
                }
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(before) = &mark
            && before.version.as_deref() != file.version()
        {
            output =
                output.warn("the file changed since the page before; start over to read it whole");
        }
        output.items.push(item);
        output.truncated = page.cut || page.next.is_some();
        output.warnings.extend(page.notes);
        let version = file.version().map(ToOwned::to_owned);
        Ok(output.next(page.next.map(|at| Cursor::of(&Mark { version, at }))))
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
    Ok(Page {
        media: "text/markdown",
        parts: found.tabs,
        ..lines(&found.markdown, part.at.unwrap_or_default(), cx.max_chars)
    })
}

async fn spreadsheet(cx: &Cx, file: &FileRef, part: &Part<'_>) -> Result<Page, ToolError> {
    let slice = sheets::Slice {
        sheet: part.sheet,
        range: part.range,
        row: part.at.and_then(|row| u32::try_from(row).ok()),
        max_chars: cx.max_chars,
    };
    let found = sheets::csv(cx, file, slice).await?;
    Ok(Page {
        text: Some(found.text),
        media: "text/csv",
        next: found.next_row.map(u64::from),
        parts: found.tabs,
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
        ..lines(&text, part.at.unwrap_or_default(), cx.max_chars)
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
                ..lines(&text, part.at.unwrap_or_default(), cx.max_chars)
            },
            _ => unread(&format!("{} cannot be read as text", file.mime_type)),
        });
    };
    // What has no pages of its own is cut into pages as large as the caller wants them.
    let pages = match (
        part.at.and_then(|page| u32::try_from(page).ok()),
        part.pages,
    ) {
        (Some(page), Some((_, last))) => Some((page, last.max(page))),
        (Some(page), None) => Some((page, u32::MAX)),
        (None, pages) => pages,
    };
    let wanted = Wanted {
        pages,
        sheet: (!part.sheet.is_empty()).then(|| part.sheet.to_owned()),
        range: (!part.range.is_empty()).then(|| part.range.to_owned()),
        max_chars: cx.max_chars,
    };
    let found = extract(bytes, format, wanted).await?;
    let parts = found.parts.into_iter().map(|title| (String::new(), title));
    Ok(Page {
        text: Some(found.text),
        media: found.media,
        next: found.next_page.map(u64::from),
        total: found.total.map(u64::from),
        parts: parts.collect(),
        cut: found.truncated,
        notes: found.notes,
    })
}

/// The text from this character on, as many whole lines as fit.
fn lines(text: &str, from: u64, max_chars: usize) -> Page {
    let skip = usize::try_from(from).unwrap_or(usize::MAX);
    let start = text
        .char_indices()
        .nth(skip)
        .map_or(text.len(), |(at, _)| at);
    let rest = &text[start..];
    let Some((full, _)) = rest.char_indices().nth(max_chars) else {
        return Page {
            text: Some(rest.to_owned()),
            ..Page::default()
        };
    };
    // A line longer than all that fits is cut within.
    let end = rest[..full].rfind('\n').map_or(full, |at| at + 1);
    let taken = rest[..end].chars().count();
    Page {
        text: Some(rest[..end].to_owned()),
        next: u64::try_from(skip + taken).ok(),
        ..Page::default()
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Comments {
    comments: Vec<Comment>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Comment {
    author: User,
    content: String,
    created_time: String,
    resolved: bool,
    quoted_file_content: Option<Quoted>,
    replies: Vec<Reply>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Quoted {
    value: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Reply {
    author: User,
    content: String,
}

/// The comments that are not resolved, each as a short text.
async fn comments(cx: &Cx, id: &str) -> Result<Vec<String>, ProviderError> {
    let found: Comments = cx
        .api
        .get(&["drive", "v3", "files", id, "comments"])
        .query("pageSize", MAX_COMMENTS)
        .query("fields", "comments(author(displayName,emailAddress),content,createdTime,resolved,quotedFileContent(value),replies(author(displayName,emailAddress),content))")
        .send()
        .await?;
    let open = found
        .comments
        .into_iter()
        .filter(|comment| !comment.resolved);
    Ok(open
        .map(|comment| {
            let mut text = format!(
                "{} ({})",
                rows::person(&comment.author),
                comment.created_time
            );
            if let Some(quoted) = comment.quoted_file_content {
                let _ = write!(
                    text,
                    " on “{}”",
                    crate::kit::text::clip(quoted.value.trim(), 200)
                );
            }
            let _ = write!(text, ": {}", comment.content);
            for reply in comment
                .replies
                .iter()
                .filter(|reply| !reply.content.is_empty())
            {
                let _ = write!(
                    text,
                    "\n↳ {}: {}",
                    rows::person(&reply.author),
                    reply.content
                );
            }
            text
        })
        .collect())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;

    #[test]
    fn a_long_text_is_read_in_whole_lines() {
        let text = "one 🚀\ntwo\nthree three\n";
        let mut at = 0;
        let mut seen = Vec::new();
        loop {
            let page = lines(text, at, 8);
            seen.push(page.text.unwrap());
            match page.next {
                Some(next) => at = next,
                None => break,
            }
        }
        assert_eq!(seen, ["one 🚀\n", "two\n", "three th", "ree\n"]);
    }
}
