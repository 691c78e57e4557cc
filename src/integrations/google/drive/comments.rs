//! The comments on a file.

use std::fmt::Write as _;

use serde::Deserialize;

use super::super::room;
use super::model::User;
use super::rows;
use crate::kit::error::ProviderError;
use crate::kit::text;
use crate::kit::tool::Cx;

/// Comments of one page; Google's largest.
const PAGE: u32 = 100;
/// Pages that are read: those that are resolved come too, and a busy document has hundreds.
const PAGES: u32 = 5;
/// The least of a comment that is worth telling, in characters.
const LEAST: usize = 80;
/// Characters of the warning that some are left out.
const WARNING: usize = 100;
/// Characters told of the place that a comment is on.
const QUOTED: usize = 200;
const FIELDS: &str = "comments(author(displayName,emailAddress),content,createdTime,resolved,quotedFileContent(value),replies(author(displayName,emailAddress),content)),nextPageToken";

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Comments {
    comments: Vec<Comment>,
    next_page_token: Option<String>,
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

/// The comments that are not resolved.
#[derive(Debug, Default)]
pub(super) struct Open {
    /// Each as a short text.
    texts: Vec<String>,
    /// Whether there are more comments than were looked at.
    pub(super) is_more: bool,
}

impl Open {
    /// Length of all of them as JSON, in characters.
    pub(super) fn chars(&self) -> usize {
        if self.texts.is_empty() {
            return 0;
        }
        room::chars(&self.texts)
    }

    /// As many of them as fit, the last one cut if need be, and how many are not whole.
    pub(super) fn fitting(self, room: usize) -> (Vec<String>, usize) {
        let all = self.texts.len();
        let mut left = room;
        if self.chars() > room {
            left = room.saturating_sub(WARNING);
        }
        let mut shown = Vec::new();
        for text in self.texts {
            let taken = room::chars(&text) + 1;
            if taken > left {
                let hidden = all - shown.len();
                if left > LEAST {
                    shown.push(room::clipped(&text, left - 3).0);
                }
                return (shown, hidden);
            }
            left -= taken;
            shown.push(text);
        }
        (shown, 0)
    }
}

/// Reads the open comments of a file.
pub(super) async fn open(cx: &Cx, id: &str) -> Result<Open, ProviderError> {
    let mut open = Open::default();
    let mut token: Option<String> = None;
    for _ in 0..PAGES {
        let page: Comments = cx
            .api
            .get(&["drive", "v3", "files", id, "comments"])
            .query("pageSize", PAGE)
            .query("fields", FIELDS)
            .query_opt("pageToken", token.as_deref())
            .send()
            .await?;
        let unresolved = page.comments.iter().filter(|comment| !comment.resolved);
        open.texts.extend(unresolved.map(told));
        token = page.next_page_token;
        if token.is_none() {
            break;
        }
    }
    open.is_more = token.is_some();
    Ok(open)
}

/// A comment with its replies.
fn told(comment: &Comment) -> String {
    let mut text = format!(
        "{} ({})",
        rows::person(&comment.author),
        comment.created_time
    );
    if let Some(quoted) = &comment.quoted_file_content {
        let _ = write!(text, " on “{}”", text::clip(quoted.value.trim(), QUOTED));
    }
    let _ = write!(text, ": {}", comment.content);
    let replies = comment.replies.iter();
    for reply in replies.filter(|reply| !reply.content.is_empty()) {
        let _ = write!(
            text,
            "\n↳ {}: {}",
            rows::person(&reply.author),
            reply.content
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_told_until_the_answer_is_full() {
        let open = |texts: &[String]| Open {
            texts: texts.to_vec(),
            is_more: false,
        };
        let texts = ["a".repeat(100), "b".repeat(100), "c".repeat(100)];
        let whole = room::chars(&texts);
        assert_eq!(open(&texts).fitting(whole), (texts.to_vec(), 0));
        let (shown, hidden) = open(&texts).fitting(whole - 20);
        assert_eq!((shown.len(), hidden), (2, 2));
        assert!(shown[1].ends_with('…') && room::chars(&shown) < whole - WARNING);
        assert_eq!(open(&texts).fitting(250), (texts[..1].to_vec(), 2));
        assert_eq!(open(&[]).fitting(0), (Vec::new(), 0));
    }
}
