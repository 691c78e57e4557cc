//! Toolset "Issues", writing: one tool that creates, changes, closes and comments.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::auth::REPO;
use super::model::{Comment, Issue};
use super::names::Repo;
use super::read::seen;
use super::rows;
use crate::kit::error::ToolError;
use crate::kit::output::{Item, Output};
use crate::kit::text;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Characters of a text that a change shows of it.
const SHOWN: usize = 600;

/// State.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum State {
    Open,
    Completed,
    NotPlanned,
}

impl State {
    /// GitHub's state and reason.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Open => ("open", "reopened"),
            Self::Completed => ("closed", "completed"),
            Self::NotPlanned => ("closed", "not_planned"),
        }
    }
}

/// Create, edit, close, label, assign or comment an issue.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SaveIssue {
    /// owner/name
    repo: Repo,
    /// Else creates one.
    #[serde(default)]
    #[schemars(with = "u64")]
    number: Option<u64>,
    /// Title.
    #[serde(default)]
    title: String,
    /// Markdown.
    #[serde(default)]
    body: String,
    #[serde(default)]
    #[schemars(with = "State")]
    state: Option<State>,
    /// To add; `-x` removes.
    #[serde(default)]
    labels: Vec<String>,
    /// Likewise.
    #[serde(default)]
    assignees: Vec<String>,
    /// Add.
    #[serde(default)]
    comment: String,
}

impl Tool for SaveIssue {
    const NAME: &'static str = "github_save_issue";
    const TITLE: &'static str = "Save issue";
    const EFFECT: Effect = Effect::Write { idempotent: false };
    const SCOPES: Needs = REPO;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["repo", "number", "state"],
        dropped: &["body", "comment"],
    };
    /// Whoever watches the repository, is assigned or is mentioned gets mail.
    const OUTWARD: bool = true;

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        match self.number {
            None => self.create(cx).await,
            Some(number) => self.update(cx, number).await,
        }
    }
}

impl SaveIssue {
    async fn create(&self, cx: &Cx) -> Result<Output, ToolError> {
        if self.title.trim().is_empty() {
            return Err(ToolError::Invalid(
                "a new issue needs a `title`; give `number` to change an issue".to_owned(),
            ));
        }
        if self.state.is_some() {
            return Err(ToolError::Invalid(
                "a new issue is open; leave out `state`".to_owned(),
            ));
        }
        let mut wanted = Map::new();
        wanted.insert("title".to_owned(), json!(self.title));
        if !self.body.is_empty() {
            wanted.insert("body".to_owned(), json!(self.body));
        }
        for (name, words) in [("labels", &self.labels), ("assignees", &self.assignees)] {
            if words.iter().any(|word| word.starts_with('-')) {
                return Err(ToolError::Invalid(format!(
                    "a new issue has no `{name}` to remove"
                )));
            }
            if !words.is_empty() {
                wanted.insert(name.to_owned(), json!(words));
            }
        }
        if cx.dry_run {
            // The repository is looked at, so that a wrong name shows before the real call.
            let repository = super::read::repository(cx, &self.repo).await?;
            let item = Item::new("new")
                .field("repo", repository.full_name)
                .field("dry_run", true)
                .field("changes", changes(&Map::new(), &wanted))
                .field("comment", text::clip(&self.comment, SHOWN));
            return Ok(Output::one(item));
        }
        let path = self.repo.path(&["issues"]);
        let created = cx.api.post(&path).json(&wanted).send::<Issue>().await;
        let created = seen(cx, &format!("repository {}", self.repo), created)?;
        let mut output = Output::one(rows::issue(cx, &created).field("done", "created"));
        warn_about_dropped(&mut output, &wanted, &created);
        self.add_comment(cx, created.number, true, &mut output)
            .await?;
        Ok(output)
    }

    async fn update(&self, cx: &Cx, issue: u64) -> Result<Output, ToolError> {
        let number = issue.to_string();
        let path = self.repo.path(&["issues", &number]);
        let what = format!("#{number} of {}", self.repo);
        let before = seen(cx, &what, cx.api.get(&path).send::<Issue>().await)?;
        let (old, new) = self.difference(&before);
        if new.is_empty() && self.comment.is_empty() {
            return Err(ToolError::Invalid(
                "nothing to do: every given field already reads so and there is no `comment`"
                    .to_owned(),
            ));
        }
        if cx.dry_run {
            let item = Item::new(before.number)
                .url(&before.html_url)
                .uri(rows::issue_uri(
                    cx,
                    &self.repo.to_string(),
                    before.kind(),
                    before.number,
                ))
                .field("title", before.title.as_str())
                .field("dry_run", true)
                .field("changes", changes(&old, &new))
                .field("comment", text::clip(&self.comment, SHOWN));
            return Ok(Output::one(item));
        }
        let is_changed = !new.is_empty();
        let mut output = if is_changed {
            let changed = cx.api.patch(&path).json(&new).send::<Issue>().await;
            let changed = seen(cx, &what, changed)?;
            let item = rows::issue(cx, &changed)
                .field("done", "updated")
                .field("changes", changes(&old, &new));
            let mut output = Output::one(item);
            warn_about_dropped(&mut output, &new, &changed);
            output
        } else {
            Output::one(rows::issue(cx, &before).field("done", "commented"))
        };
        self.add_comment(cx, issue, is_changed, &mut output).await?;
        Ok(output)
    }

    /// The present and the wanted value of each field that differs.
    fn difference(&self, before: &Issue) -> (Map<String, Value>, Map<String, Value>) {
        let mut pairs: Vec<(&str, Value, Value)> = Vec::new();
        if !self.title.is_empty() {
            pairs.push(("title", json!(before.title), json!(self.title)));
        }
        if !self.body.is_empty() {
            pairs.push(("body", json!(before.body), json!(self.body)));
        }
        let (is, wanted) = merged(&before.label_names(), &self.labels);
        pairs.push(("labels", json!(is), json!(wanted)));
        let (is, wanted) = merged(&before.assignee_logins(), &self.assignees);
        pairs.push(("assignees", json!(is), json!(wanted)));
        pairs.retain(|(_, is, wanted)| is != wanted);

        // A pull request has no reason for its state, and GitHub takes a reason only together with the state.
        if let Some((state, reason)) = self.state.map(State::words) {
            let has_reason = before.pull_request.is_none();
            let other_reason = has_reason && state == "closed" && before.state_reason != reason;
            if before.state != state || other_reason {
                pairs.push(("state", json!(before.state), json!(state)));
                if has_reason {
                    pairs.push(("state_reason", json!(before.state_reason), json!(reason)));
                }
            }
        }
        let mut old = Map::new();
        let mut new = Map::new();
        for (name, is, wanted) in pairs {
            old.insert(name.to_owned(), is);
            new.insert(name.to_owned(), wanted);
        }
        (old, new)
    }

    /// Adds the comment, if there is one. When the rest of the call already took effect, a failure is a warning: an error
    /// would say that nothing happened.
    async fn add_comment(
        &self,
        cx: &Cx,
        number: u64,
        rest_is_done: bool,
        output: &mut Output,
    ) -> Result<(), ToolError> {
        if self.comment.is_empty() {
            return Ok(());
        }
        let number = number.to_string();
        let path = self.repo.path(&["issues", &number, "comments"]);
        let request = cx.api.post(&path).json(&json!({ "body": self.comment }));
        match request.send::<Comment>().await {
            Ok(comment) => {
                if let Some(item) = output.items.first_mut() {
                    item.set("comment_url", comment.html_url);
                }
                Ok(())
            }
            Err(error) if rest_is_done => {
                output.warnings.push(format!(
                    "the issue was saved but the comment may be missing: {error}"
                ));
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// A set before and after adding some words and removing those written with a minus.
fn merged(before: &[String], words: &[String]) -> (Vec<String>, Vec<String>) {
    let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    let mut after = before.to_vec();
    for word in words {
        match word.strip_prefix('-') {
            Some(gone) => after.retain(|have| !same(have, gone)),
            None if after.iter().any(|have| same(have, word)) => {}
            None => after.push(word.clone()),
        }
    }
    (before.to_vec(), after)
}

/// `{field: {before, after}}`, long texts cut.
fn changes(old: &Map<String, Value>, new: &Map<String, Value>) -> Map<String, Value> {
    let short = |value: Option<&Value>| match value {
        Some(Value::String(long)) => json!(text::clip(long, SHOWN)),
        Some(value) => value.clone(),
        None => Value::Null,
    };
    new.iter()
        .map(|(name, value)| {
            let change = json!({ "before": short(old.get(name)), "after": short(Some(value)) });
            (name.clone(), change)
        })
        .collect()
}

/// GitHub silently ignores labels and assignees that the person may not set or that do not exist.
fn warn_about_dropped(output: &mut Output, wanted: &Map<String, Value>, got: &Issue) {
    for (name, has) in [
        ("labels", got.label_names()),
        ("assignees", got.assignee_logins()),
    ] {
        let words = wanted.get(name).and_then(Value::as_array);
        let missing: Vec<&str> = words
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .filter(|word| !has.iter().any(|have| have.eq_ignore_ascii_case(word)))
            .collect();
        if !missing.is_empty() {
            output.warnings.push(format!(
                "GitHub did not set these {name}: {}; setting them needs push access",
                missing.join(", ")
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn words_are_added_and_removed_without_regard_to_case() {
        let before = words(&["bug", "Triage"]);
        let (_, after) = merged(&before, &words(&["-triage", "BUG", "ui"]));
        assert_eq!(after, words(&["bug", "ui"]));
        let (_, after) = merged(&before, &[]);
        assert_eq!(after, before);
    }
}
