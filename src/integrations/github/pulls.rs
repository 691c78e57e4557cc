//! Toolset "Pull requests", reading: an overview, the diff file by file, the reviews with their threads.

use std::fmt::Write as _;

use futures_util::future::{join, join3};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::auth::REPO;
use super::checks::{self, Check};
use super::cut::Budget;
use super::model::{ChangedFile, Pull, Review, ReviewComment, login};
use super::names::{Place, Repo};
use super::read::{PAGE, Page, has_next, seen};
use super::rows;
use super::verdicts::tally;
use crate::kit::args::{Cursor, Limit};
use crate::kit::client::Answer;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Pages read at most to find named files or to put threads together.
const SCANNED_PAGES: u32 = 10;
/// Longest comment shown, in characters.
const COMMENT_CHARS: usize = 2_000;
/// Lines of code shown above a review comment.
const HUNK_LINES: usize = 4;

/// What of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Part {
    #[default]
    Overview,
    Diff,
    Reviews,
}

/// Get a pull request: overview with files and checks, its diff by file, or its reviews and threads.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetPull {
    /// owner/name
    repo: Repo,
    /// As in #12.
    number: u64,
    #[serde(default)]
    part: Part,
    /// Only these diffs; `path#L200` goes on there.
    #[serde(default)]
    #[schemars(length(max = 20))]
    files: Vec<String>,
    #[serde(default)]
    limit: Limit<20, 50>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

impl Tool for GetPull {
    const NAME: &'static str = "github_get_pull";
    const TITLE: &'static str = "Get pull request";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = REPO;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["repo", "number", "part"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        match self.part {
            Part::Overview if self.files.is_empty() => self.overview(cx).await,
            Part::Reviews if self.files.is_empty() => self.reviews(cx).await,
            Part::Overview | Part::Diff if !self.files.is_empty() => self.named_files(cx).await,
            Part::Overview | Part::Diff => self.diff(cx).await,
            Part::Reviews => Err(ToolError::Invalid(
                "`files` belongs to the part `diff`".to_owned(),
            )),
        }
    }
}

impl GetPull {
    fn what(&self) -> String {
        format!("pull request #{} of {}", self.number, self.repo)
    }

    async fn overview(&self, cx: &Cx) -> Result<Output, ToolError> {
        let pull = seen(cx, &self.what(), pull(cx, &self.repo, self.number).await)?;
        let seen = Overview::of(cx, &self.repo, pull).await?;
        let mut budget = Budget::new(cx.max_chars);
        let half = budget.left() / 2;
        let item = rows::pull(cx, &self.repo, &seen.pull)
            .field("body", budget.take(&seen.pull.body, half))
            .field("files", seen.files)
            .field("reviews", seen.reviews)
            .field("checks", seen.checks);
        let mut output = Output::one(item);
        output.truncated = budget.cut;
        output.warnings = seen.warnings;
        Ok(output)
    }

    async fn files_page(
        &self,
        cx: &Cx,
        page: u32,
        per_page: u32,
    ) -> Result<Answer<Vec<ChangedFile>>, ToolError> {
        let answer = files_page(cx, &self.repo, self.number, page, per_page).await;
        seen(cx, &self.what(), answer)
    }

    async fn diff(&self, cx: &Cx) -> Result<Output, ToolError> {
        let page = Page::start(self.cursor.as_ref(), self.limit.get())?;
        let answer = self.files_page(cx, page.number, page.size).await?;
        let files = &answer.body;
        let mut budget = Budget::beside(files.len(), cx.max_chars);
        let items = files.iter().enumerate().map(|(index, file)| {
            let fair = budget.left() / (files.len() - index);
            patch_item(file, 1, fair, &mut budget)
        });
        let mut output = Output::of(items.collect()).next(page.after(&answer));
        output.truncated = budget.cut;
        Ok(output)
    }

    async fn named_files(&self, cx: &Cx) -> Result<Output, ToolError> {
        let places: Vec<Place> = self
            .files
            .iter()
            .map(|text| Place::parse(text))
            .collect::<Result<_, _>>()?;
        let mut found: Vec<Option<ChangedFile>> = places.iter().map(|_| None).collect();
        for page in 1..=SCANNED_PAGES {
            let answer = self.files_page(cx, page, PAGE).await?;
            for (place, slot) in places.iter().zip(&mut found) {
                if slot.is_none() {
                    let mut files = answer.body.iter();
                    *slot = files.find(|file| file.filename == place.path).cloned();
                }
            }
            if found.iter().all(Option::is_some) || !has_next(&answer) {
                break;
            }
        }
        let mut budget = Budget::beside(places.len(), cx.max_chars);
        let mut output = Output::default();
        for (index, (place, file)) in places.iter().zip(&found).enumerate() {
            if let Some(file) = file {
                let fair = budget.left() / (places.len() - index);
                output
                    .items
                    .push(patch_item(file, place.from, fair, &mut budget));
            } else {
                output
                    .warnings
                    .push(format!("`{}` is not changed here", place.path));
            }
        }
        output.truncated = budget.cut;
        Ok(output)
    }

    async fn reviews(&self, cx: &Cx) -> Result<Output, ToolError> {
        let number = self.number.to_string();
        let offset = match &self.cursor {
            Some(cursor) => cursor.read::<Offset>()?.offset,
            None => 0,
        };
        let reviews = reviews_of(cx, &self.repo, &number);
        let comments = self.review_comments(cx, &number);
        let (reviews, comments) = join(reviews, comments).await;
        let reviews = seen(cx, &self.what(), reviews)?;
        let (comments, is_whole) = seen(cx, &self.what(), comments)?;
        let mut budget = Budget::beside(1, cx.max_chars);
        let mut items = Vec::new();
        let said = reviews
            .iter()
            .filter(|review| !review.body.is_empty() || review.state != "COMMENTED");
        for review in said {
            items.push(Row::Review(review));
        }
        items.extend(threads(&comments).into_iter().map(Row::Thread));
        let limit = self.limit.get() as usize;
        let page = items.iter().skip(offset).take(limit);
        let rows = page.map(|row| row.item(&mut budget)).collect();
        let end = offset + limit;
        let mut output = Output::of(rows)
            .total(u64::try_from(items.len()).ok())
            .next((end < items.len()).then(|| Cursor::of(&Offset { offset: end })));
        output.truncated = budget.cut || !is_whole;
        if !is_whole {
            output = output.warn("only the first 1000 review comments were read");
        }
        Ok(output)
    }

    /// All comments on lines, and whether these are all.
    async fn review_comments(
        &self,
        cx: &Cx,
        number: &str,
    ) -> Result<(Vec<ReviewComment>, bool), ProviderError> {
        let mut comments = Vec::new();
        for page in 1..=SCANNED_PAGES {
            let answer: Answer<Vec<ReviewComment>> = cx
                .api
                .get(&self.repo.path(&["pulls", number, "comments"]))
                .query("per_page", PAGE)
                .query("page", page)
                .answer()
                .await?;
            let is_last = !has_next(&answer);
            comments.extend(answer.body);
            if is_last {
                return Ok((comments, true));
            }
        }
        Ok((comments, false))
    }
}

/// Where the threads go on.
#[derive(Serialize, Deserialize)]
struct Offset {
    offset: usize,
}

async fn files_page(
    cx: &Cx,
    repo: &Repo,
    number: u64,
    page: u32,
    per_page: u32,
) -> Result<Answer<Vec<ChangedFile>>, ProviderError> {
    cx.api
        .get(&repo.path(&["pulls", &number.to_string(), "files"]))
        .query("per_page", per_page)
        .query("page", page)
        .answer()
        .await
}

async fn reviews_of(cx: &Cx, repo: &Repo, number: &str) -> Result<Vec<Review>, ProviderError> {
    cx.api
        .get(&repo.path(&["pulls", number, "reviews"]))
        .query("per_page", PAGE)
        .send()
        .await
}

/// A file's part of the diff, as much of it as fits.
fn patch_item(file: &ChangedFile, from: usize, at_most: usize, budget: &mut Budget) -> Item {
    let mut item = Item::new(&file.filename)
        .field("status", file.status.as_str())
        .field("was", file.previous_filename.clone())
        .field("additions", file.additions)
        .field("deletions", file.deletions);
    item.url.clone_from(&file.blob_url);
    let Some(patch) = &file.patch else {
        // GitHub leaves the patch out for binary files and for very large changes.
        return item.field("patch_missing", "binary or too large");
    };
    let lines = budget.take_lines(patch, (from, None), at_most);
    let continue_with = lines.next.map(|line| format!("{}#L{line}", file.filename));
    item.field("patch", lines.text)
        .field(
            "patch_lines",
            continue_with.is_some().then_some(lines.total),
        )
        .field("continue_with", continue_with)
}

/// A review or a thread, in the order in which they are listed.
enum Row<'a> {
    Review(&'a Review),
    Thread(Vec<&'a ReviewComment>),
}

impl Row<'_> {
    fn item(&self, budget: &mut Budget) -> Item {
        match self {
            Self::Review(review) => Item::new(review.id)
                .url(&review.html_url)
                .field("kind", "review")
                .field("author", login(review.user.as_ref()))
                .field("state", review.state.to_lowercase())
                .field("at", review.submitted_at.clone())
                .field("text", budget.take(&review.body, COMMENT_CHARS)),
            Self::Thread(comments) => thread_item(comments, budget),
        }
    }
}

fn thread_item(comments: &[&ReviewComment], budget: &mut Budget) -> Item {
    let Some(root) = comments.first() else {
        return Item::default();
    };
    let hunk: Vec<&str> = root.diff_hunk.lines().collect();
    let hunk = hunk[hunk.len().saturating_sub(HUNK_LINES)..].join("\n");
    let said: Vec<Value> = comments
        .iter()
        .map(|comment| {
            json!({
                "author": login(comment.user.as_ref()),
                "at": comment.created_at,
                "text": budget.take(&comment.body, COMMENT_CHARS),
            })
        })
        .collect();
    Item::new(root.id)
        .url(&root.html_url)
        .field("kind", "thread")
        .field("path", root.path.as_str())
        .field("line", root.line.or(root.original_line))
        // A comment without a present line is on code that changed since.
        .field("outdated", root.line.is_none().then_some(true))
        .field("code", budget.take(&hunk, 600))
        .field("comments", said)
}

/// Comments by the one they answer, in order of the first of each thread.
fn threads(comments: &[ReviewComment]) -> Vec<Vec<&ReviewComment>> {
    let mut threads: Vec<Vec<&ReviewComment>> = Vec::new();
    for comment in comments {
        let root = comment.in_reply_to_id.unwrap_or(comment.id);
        let thread = threads
            .iter_mut()
            .find(|thread| thread.first().is_some_and(|first| first.id == root));
        match thread {
            Some(thread) => thread.push(comment),
            None => threads.push(vec![comment]),
        }
    }
    threads
}

/// A pull request with one line for each file, reviewer and failed check.
struct Overview {
    pull: Pull,
    files: Vec<String>,
    reviews: Vec<String>,
    checks: Value,
    warnings: Vec<String>,
}

impl Overview {
    async fn of(cx: &Cx, repo: &Repo, pull: Pull) -> Result<Self, ToolError> {
        let digits = pull.number.to_string();
        let (files, reviews, checks) = join3(
            files_page(cx, repo, pull.number, 1, PAGE),
            reviews_of(cx, repo, &digits),
            checks::of_commit(cx, repo, &pull.head.sha),
        )
        .await;
        let files = files?;
        let mut warnings = Vec::new();
        if has_next(&files) {
            warnings.push(format!(
                "the first {PAGE} of {} files; the part `diff` has all",
                pull.changed_files
            ));
        }
        let checks = match checks {
            Ok(checks) => {
                let verdicts: Vec<(String, String)> =
                    checks.into_iter().map(Check::into_verdict).collect();
                tally(&verdicts)
            }
            Err(error) if error.is_partial() => {
                warnings.push(format!("checks: {error}"));
                Value::Null
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Self {
            files: files.body.iter().map(ChangedFile::row).collect(),
            reviews: standing(&reviews?),
            checks,
            warnings,
            pull,
        })
    }
}

/// The pull request itself.
pub(super) async fn pull(cx: &Cx, repo: &Repo, number: u64) -> Result<Pull, ProviderError> {
    cx.api
        .get(&repo.path(&["pulls", &number.to_string()]))
        .send()
        .await
}

/// The last verdict of each reviewer; a remark does not replace an approval.
fn standing(reviews: &[Review]) -> Vec<String> {
    let mut standing: Vec<(String, String)> = Vec::new();
    for review in reviews {
        let who = login(review.user.as_ref());
        let verdict = review.state.to_lowercase();
        match standing.iter_mut().find(|(name, _)| *name == who) {
            Some((_, had)) if verdict != "commented" => *had = verdict,
            Some(_) => {}
            None => standing.push((who, verdict)),
        }
    }
    standing
        .into_iter()
        .map(|(who, verdict)| format!("{who}: {verdict}"))
        .collect()
}

/// The summary of a pull request's changes for its page of Markdown, and the version of it.
pub(super) async fn summary(
    cx: &Cx,
    repo: &Repo,
    pull: Pull,
) -> Result<(String, String), ToolError> {
    let seen = Overview::of(cx, repo, pull).await?;
    let pull = &seen.pull;
    let mut text = format!(
        "\n## Changes: {} into {}, {} files, +{} -{}\n\n",
        pull.head.name, pull.base.name, pull.changed_files, pull.additions, pull.deletions
    );
    for file in &seen.files {
        let _ = writeln!(text, "- {file}");
    }
    if !seen.reviews.is_empty() {
        let _ = writeln!(text, "\nReviews: {}", seen.reviews.join("; "));
    }
    if let Some(checks) = seen.checks.as_object() {
        let count = |name: &str| checks.get(name).and_then(Value::as_u64).unwrap_or(0);
        let failed = checks.get("failed").and_then(Value::as_array);
        let failed: Vec<&str> = failed
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let failed = if failed.is_empty() {
            "none".to_owned()
        } else {
            failed.join(", ")
        };
        let _ = writeln!(
            text,
            "\nChecks: {} passed, failed: {failed}, {} pending",
            count("passed"),
            count("pending")
        );
    }
    for warning in &seen.warnings {
        let _ = writeln!(text, "\n({warning})");
    }
    Ok((text, format!("{}@{}", pull.updated_at, pull.head.sha)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comment(id: u64, answers: Option<u64>) -> ReviewComment {
        ReviewComment {
            id,
            html_url: String::new(),
            path: "a.rs".to_owned(),
            line: Some(1),
            original_line: None,
            in_reply_to_id: answers,
            diff_hunk: String::new(),
            user: None,
            body: String::new(),
            created_at: String::new(),
        }
    }

    #[test]
    fn answers_stand_below_what_they_answer() {
        let comments = [
            comment(1, None),
            comment(2, None),
            comment(3, Some(1)),
            comment(4, Some(9)),
        ];
        let ids: Vec<Vec<u64>> = threads(&comments)
            .iter()
            .map(|thread| thread.iter().map(|comment| comment.id).collect())
            .collect();
        assert_eq!(ids, [vec![1, 3], vec![2], vec![4]]);
    }
}
