//! Toolset "Actions": did it pass, and if not, the lines of the log that say why.

use futures_util::future::join;
use schemars::JsonSchema;
use serde::Deserialize;

use super::auth::REPO;
use super::cut::Budget;
use super::names::Repo;
use super::read::{self, PAGE, seen};
use super::verdicts::{
    CheckRun, CheckRuns, CombinedStatus, Job, Jobs, Run, Runs, Status, is_failure, verdict,
};
use crate::kit::args::Limit;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::text;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Failed runs whose jobs are looked at.
const EXAMINED_RUNS: usize = 4;
/// Failed jobs whose logs are read.
const EXAMINED_JOBS: usize = 4;
/// Largest log read, in bytes.
const MAX_LOG_BYTES: usize = 20 * 1024 * 1024;

/// Did it pass? Workflow runs, failed jobs with the end of their log, other checks; of the default branch, a ref, pull request or run.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetChecks {
    /// owner/name
    repo: Repo,
    /// Branch, tag or SHA.
    #[serde(default, rename = "ref")]
    reference: String,
    /// Or a pull request's number.
    #[serde(default)]
    #[schemars(with = "u64")]
    pull: Option<u64>,
    /// Or a workflow run's id.
    #[serde(default)]
    #[schemars(with = "u64")]
    run: Option<u64>,
    /// Log lines of a failed job.
    #[serde(default)]
    tail: Limit<40, 300>,
}

impl Tool for GetChecks {
    const NAME: &'static str = "github_get_checks";
    const TITLE: &'static str = "Get checks";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = REPO;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["repo", "ref", "pull", "run"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let ways = [
            !self.reference.is_empty(),
            self.pull.is_some(),
            self.run.is_some(),
        ];
        if ways.iter().filter(|given| **given).count() > 1 {
            return Err(ToolError::Invalid(
                "give one of `ref`, `pull` and `run`".to_owned(),
            ));
        }
        let mut output = Output::default();
        let (runs, others) = match self.run {
            None => self.by_commit(cx, &mut output).await?,
            Some(run) => (vec![self.single_run(cx, run).await?], Vec::new()),
        };
        let failed: Vec<&Run> = runs
            .iter()
            .filter(|run| is_failure(run_verdict(run)))
            .collect();
        if failed.len() > EXAMINED_RUNS {
            output.truncated = true;
            output = output.warn(format!(
                "the jobs of the first {EXAMINED_RUNS} of {} failed runs; give `run` for another",
                failed.len()
            ));
        }
        let reads = failed.iter().take(EXAMINED_RUNS);
        let reads = reads.map(|run| self.failed_jobs(cx, run.id));
        let jobs = read::all(reads.collect()).await;
        output.items.extend(runs.iter().map(run_item));
        let mut failed_jobs = Vec::new();
        for (run, jobs) in failed.iter().zip(jobs) {
            failed_jobs.extend(jobs?.into_iter().map(|job| (*run, job)));
        }
        self.add_jobs(cx, failed_jobs, &mut output).await?;
        output.items.extend(others);
        Ok(output)
    }
}

impl GetChecks {
    async fn single_run(&self, cx: &Cx, run: u64) -> Result<Run, ToolError> {
        let run = run.to_string();
        let path = self.repo.path(&["actions", "runs", &run]);
        let what = format!("workflow run {run} of {}", self.repo);
        seen(cx, &what, cx.api.get(&path).send().await)
    }

    /// The runs of a commit and what others than GitHub Actions say about it.
    async fn by_commit(
        &self,
        cx: &Cx,
        output: &mut Output,
    ) -> Result<(Vec<Run>, Vec<Item>), ToolError> {
        let sha = match self.pull {
            None => read::commit_sha(cx, &self.repo, &self.reference).await?,
            Some(number) => {
                let pull = super::pulls::pull(cx, &self.repo, number).await;
                let what = format!("pull request #{number} of {}", self.repo);
                seen(cx, &what, pull)?.head.sha
            }
        };
        let runs_path = self.repo.path(&["actions", "runs"]);
        let runs = cx
            .api
            .get(&runs_path)
            .query("head_sha", &sha)
            .query("per_page", 30)
            .send::<Runs>();
        let others = of_commit(cx, &self.repo, &sha);
        let (runs, others) = join(runs, others).await;
        let runs = runs?;
        if runs.total_count > runs.workflow_runs.len() as u64 {
            output.warnings.push(format!(
                "the latest {} of {} workflow runs",
                runs.workflow_runs.len(),
                runs.total_count
            ));
        }
        let others = match others {
            Ok(checks) => checks
                .into_iter()
                .filter(|check| !check.is_of_actions())
                .map(Check::into_item)
                .collect(),
            Err(error) if error.is_partial() => {
                output
                    .warnings
                    .push(format!("checks of other apps: {error}"));
                Vec::new()
            }
            Err(error) => return Err(error.into()),
        };
        if runs.workflow_runs.is_empty() && others.is_empty() {
            output.warnings.push(format!("nothing has checked {sha}"));
        }
        Ok((runs.workflow_runs, others))
    }

    async fn failed_jobs(&self, cx: &Cx, run: u64) -> Result<Vec<Job>, ProviderError> {
        let id = run.to_string();
        let path = self.repo.path(&["actions", "runs", &id, "jobs"]);
        let jobs: Jobs = cx
            .api
            .get(&path)
            .query("filter", "latest")
            .query("per_page", PAGE)
            .send()
            .await?;
        let is_failed = |job: &Job| is_failure(verdict(None, job.conclusion.as_deref()));
        Ok(jobs.jobs.into_iter().filter(is_failed).collect())
    }

    async fn add_jobs(
        &self,
        cx: &Cx,
        jobs: Vec<(&Run, Job)>,
        output: &mut Output,
    ) -> Result<(), ToolError> {
        let reads = jobs.iter().take(EXAMINED_JOBS);
        let reads = reads.map(|(_, job)| self.log(cx, job.id));
        let mut logs = read::all(reads.collect()).await.into_iter();
        let mut budget = Budget::new(cx.max_chars);
        for (run, job) in jobs {
            let failed_steps: Vec<&str> = job
                .steps
                .iter()
                .filter(|step| is_failure(verdict(None, step.conclusion.as_deref())))
                .map(|step| step.name.as_str())
                .collect();
            let mut item = Item::new(job.id)
                .field("kind", "failed_job")
                .field("run", run.id)
                .field("name", job.name.as_str())
                .field("conclusion", job.conclusion.clone())
                .field("failed_steps", failed_steps);
            item.url = job.html_url;
            match logs.next() {
                Some(Ok(log)) => {
                    let lines = tail(&log, self.tail.get() as usize);
                    item.set("log", budget.take(&lines, 12_000));
                }
                // Logs are kept for a time only, and are elsewhere than the API.
                Some(Err(error)) if error.is_partial() || is_elsewhere(&error) => {
                    output.warnings.push(format!(
                        "the log of `{}` could not be read: {error}",
                        job.name
                    ));
                }
                Some(Err(error)) => return Err(error.into()),
                None => item.set("log_left_out", "give `run` to see it"),
            }
            output.items.push(item);
        }
        output.truncated |= budget.cut;
        Ok(())
    }

    async fn log(&self, cx: &Cx, job: u64) -> Result<String, ProviderError> {
        let job = job.to_string();
        let path = self.repo.path(&["actions", "jobs", &job, "logs"]);
        let request = cx.api.get(&path).download().max_bytes(MAX_LOG_BYTES);
        Ok(request.text().await?.body)
    }
}

const fn is_elsewhere(error: &ProviderError) -> bool {
    matches!(
        error,
        ProviderError::Unavailable { .. } | ProviderError::Timeout
    )
}

fn run_verdict(run: &Run) -> &str {
    verdict(run.status.as_deref(), run.conclusion.as_deref())
}

fn run_item(run: &Run) -> Item {
    Item::new(run.id)
        .url(&run.html_url)
        .field("kind", "workflow_run")
        .field("name", run.name.clone())
        .field("result", run_verdict(run))
        .field("event", run.event.as_str())
        .field("branch", run.head_branch.clone())
        .field("sha", run.head_sha.as_str())
        .field("attempt", (run.run_attempt > 1).then_some(run.run_attempt))
        .field("created_at", run.created_at.as_str())
}

/// The last lines up to the last error: what follows it is the runner cleaning up. Without the time that each line
/// begins with, and without colours.
fn tail(log: &str, lines: usize) -> String {
    let all: Vec<&str> = log.lines().collect();
    let end = all
        .iter()
        .rposition(|line| line.contains("##[error]"))
        .map_or(all.len(), |last| last + 1);
    let start = end.saturating_sub(lines);
    let plain: Vec<String> = all[start..end].iter().map(|line| plain(line)).collect();
    plain.join("\n")
}

fn plain(line: &str) -> String {
    let line = line.trim_start_matches('\u{feff}');
    // `2026-11-20T10:00:00.1234567Z text`
    let line = match line.split_once(' ') {
        Some((stamp, rest))
            if stamp.len() >= 20
                && stamp.ends_with('Z')
                && stamp.as_bytes().get(10) == Some(&b'T') =>
        {
            rest
        }
        _ => line,
    };
    let mut out = String::with_capacity(line.len());
    let mut parts = line.split("\u{1b}[");
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        // A control sequence ends at its first letter.
        let end = part.find(|c: char| c.is_ascii_alphabetic());
        out.push_str(end.and_then(|end| part.get(end + 1..)).unwrap_or(part));
    }
    text::clip(&out, 500)
}

/// What one check says about a commit.
pub(super) enum Check {
    /// A check run of an app.
    Run(CheckRun),
    /// A commit status of an older service.
    Status(Status),
}

impl Check {
    fn is_of_actions(&self) -> bool {
        match self {
            Self::Run(run) => {
                let app = run.app.as_ref();
                app.and_then(|app| app.slug.as_deref()) == Some("github-actions")
            }
            Self::Status(_) => false,
        }
    }

    /// Its name and its verdict in one word.
    pub(super) fn into_verdict(self) -> (String, String) {
        match self {
            Self::Run(run) => {
                let verdict = verdict(Some(&run.status), run.conclusion.as_deref()).to_owned();
                (run.name, verdict)
            }
            Self::Status(status) => (status.context, status.state),
        }
    }

    fn into_item(self) -> Item {
        match self {
            Self::Run(run) => {
                let output = run.output.as_ref();
                let mut item = Item::new(run.id)
                    .field("kind", "check")
                    .field("name", run.name.as_str())
                    .field(
                        "result",
                        verdict(Some(&run.status), run.conclusion.as_deref()),
                    )
                    .field("title", output.and_then(|output| output.title.clone()))
                    .field(
                        "summary",
                        text::clip(
                            output
                                .and_then(|output| output.summary.as_deref())
                                .unwrap_or_default(),
                            600,
                        ),
                    );
                item.url = run.html_url;
                item
            }
            Self::Status(status) => {
                let mut item = Item::new(status.id)
                    .field("kind", "status")
                    .field("name", status.context.as_str())
                    .field("result", status.state.as_str())
                    .field("title", status.description.clone());
                item.url = status.target_url;
                item
            }
        }
    }
}

/// Everything that checked a commit.
pub(super) async fn of_commit(
    cx: &Cx,
    repo: &Repo,
    sha: &str,
) -> Result<Vec<Check>, ProviderError> {
    let runs_path = repo.path(&["commits", sha, "check-runs"]);
    let status_path = repo.path(&["commits", sha, "status"]);
    let runs = cx.api.get(&runs_path).query("per_page", PAGE);
    let statuses = cx.api.get(&status_path).query("per_page", PAGE);
    let (runs, statuses) = join(runs.send::<CheckRuns>(), statuses.send::<CombinedStatus>()).await;
    let runs = runs?.check_runs.into_iter().map(Check::Run);
    Ok(runs
        .chain(statuses?.statuses.into_iter().map(Check::Status))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_ends_at_the_error_and_is_plain_text() {
        let log = "2026-11-20T10:00:00.1234567Z one\n\
                   2026-11-20T10:00:01.1234567Z \u{1b}[31mtwo\u{1b}[0m three\n\
                   2026-11-20T10:00:02.1234567Z ##[error]Process completed with exit code 1.\n\
                   2026-11-20T10:00:03.1234567Z Post job cleanup.\n";
        assert_eq!(
            tail(log, 2),
            "two three\n##[error]Process completed with exit code 1."
        );
        assert_eq!(tail("a\nb\nc", 2), "b\nc");
        assert_eq!(tail("", 2), "");
        assert_eq!(plain("x \u{1b}[é"), "x é");
    }
}
