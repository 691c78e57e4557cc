//! Names instead of ids: owners and the stages of pipelines. Read once per call, never kept.

use futures_util::future::{OptionFuture, join3};

use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::Item;
use crate::kit::tool::Cx;

use super::kinds::{Kind, Standard};
use super::model::{Owner, Page, Pipeline, Record, Stage};

/// Owners in one request; HubSpot allows no more.
const OWNERS_PAGE: u32 = 500;
/// Requests for owners in one call.
const OWNERS_PAGES: u32 = 4;

/// The owners that were read.
#[derive(Debug, Default)]
pub(super) struct Owners {
    pub(super) owners: Vec<Owner>,
    /// Whether the portal has more than were read.
    pub(super) more: bool,
}

/// The portal's owners, at most 2,000.
pub(super) async fn owners(cx: &Cx) -> Result<Owners, ProviderError> {
    let mut found = Owners::default();
    let mut after: Option<String> = None;
    for _ in 0..OWNERS_PAGES {
        let page: Page<Owner> = cx
            .api
            .get(&["crm", "v3", "owners"])
            .query("limit", OWNERS_PAGE)
            .query_opt("after", after.as_deref())
            .send()
            .await?;
        after = page.after();
        found.owners.extend(page.results);
        if after.is_none() {
            return Ok(found);
        }
    }
    found.more = true;
    Ok(found)
}

/// The pipelines of a type of record, in their order, with the stages in theirs.
pub(super) async fn pipelines(cx: &Cx, segment: &str) -> Result<Vec<Pipeline>, ProviderError> {
    let answer: Page<Pipeline> = cx
        .api
        .get(&["crm", "v3", "pipelines", segment])
        .send()
        .await?;
    let mut pipelines = answer.results;
    pipelines.sort_by_key(|pipeline| pipeline.display_order);
    for pipeline in &mut pipelines {
        pipeline.stages.sort_by_key(|stage| stage.display_order);
    }
    Ok(pipelines)
}

/// The names that a call needs.
#[derive(Debug, Default)]
pub(super) struct Names {
    owners: Vec<Owner>,
    pipelines: Vec<Pipeline>,
    kind: Option<&'static Standard>,
    /// Why the owners, and why the pipelines, could not be read.
    failed: (Option<ProviderError>, Option<ProviderError>),
    /// What could not be read, for the reader.
    pub(super) warnings: Vec<String>,
}

impl Names {
    /// Reads what the properties `fields` of `kind` need, and nothing when they need nothing. What cannot be read
    /// becomes a warning: ids are better than no answer.
    pub(super) async fn read(cx: &Cx, kind: &Kind, fields: &[String]) -> Self {
        Self::beside(cx, kind, fields, std::future::ready(()))
            .await
            .0
    }

    /// Like [`Names::read`], while `other` runs.
    pub(super) async fn beside<T>(
        cx: &Cx,
        kind: &Kind,
        fields: &[String],
        other: impl Future<Output = T>,
    ) -> (Self, T) {
        let asked = |name: &str| fields.iter().any(|field| field == name);
        let standard = kind.as_standard();
        let staged = standard.filter(|kind| {
            let wanted = [kind.stage_property(), kind.pipeline_property()];
            wanted.into_iter().flatten().any(asked)
        });
        let owners: OptionFuture<_> = asked("hubspot_owner_id").then(|| owners(cx)).into();
        let pipelines: OptionFuture<_> = staged.map(|kind| pipelines(cx, kind.name)).into();
        let (owners, pipelines, other) = join3(owners, pipelines, other).await;
        let mut names = Self {
            kind: standard,
            ..Self::default()
        };
        match owners {
            Some(Ok(found)) => names.owners = found.owners,
            Some(Err(error)) => {
                let text = format!("owners are shown by id: {error}");
                names.warnings.push(text);
                names.failed.0 = Some(error);
            }
            None => {}
        }
        match pipelines {
            Some(Ok(found)) => names.pipelines = found,
            Some(Err(error)) => {
                let text = format!("stages are shown by id: {error}");
                names.warnings.push(text);
                names.failed.1 = Some(error);
            }
            None => {}
        }
        (names, other)
    }

    /// The name of the owner with this id.
    pub(super) fn owner(&self, id: &str) -> Option<String> {
        let owner = self.owners.iter().find(|owner| owner.id == id)?;
        Some(owner.name())
    }

    /// The pipeline and stage of a record.
    pub(super) fn stage(&self, record: &Record) -> Option<(&Pipeline, Option<&Stage>)> {
        let kind = self.kind?;
        let stage = record.get(kind.stage_property()?);
        let pipeline = record.get(kind.pipeline_property()?);
        let of_stage = |pipeline: &&Pipeline| pipeline.stages.iter().any(|own| own.id == stage);
        let pipeline = self
            .pipelines
            .iter()
            .find(|own| own.id == pipeline)
            .or_else(|| self.pipelines.iter().find(of_stage))?;
        let stage = pipeline.stages.iter().find(|own| own.id == stage);
        Some((pipeline, stage))
    }

    /// Adds `owner`, `stage` and `pipeline_name` beside the ids.
    pub(super) fn add(&self, record: &Record, item: &mut Item) {
        if let Some(owner) = self.owner(record.get("hubspot_owner_id")) {
            item.set("owner", owner);
        }
        if let Some((pipeline, stage)) = self.stage(record) {
            item.set("pipeline_name", pipeline.label.as_str());
            if let Some(stage) = stage {
                item.set("stage", stage.label.as_str());
            }
        }
    }

    /// The ids that `value` of the property `name` means, when people write names there: owners by name or address,
    /// stages and pipelines by label. Several stages can share a label. `None` for other properties.
    pub(super) fn ids(&self, name: &str, value: &str) -> Result<Option<Vec<String>>, ToolError> {
        let same = |text: &str| text.eq_ignore_ascii_case(value);
        let number = value.bytes().all(|b| b.is_ascii_digit());
        // A name that cannot be looked up must not be searched for as if it were an id: nothing would be found.
        let unless_failed = |failure: &Option<ProviderError>| match failure {
            Some(error) if !number => Err(error.clone()),
            _ => Ok(()),
        };
        if name == "hubspot_owner_id" {
            unless_failed(&self.failed.0)?;
            return owner_ids(&self.owners, value).map(Some);
        }
        let Some(kind) = self.kind else {
            return Ok(None);
        };
        let known: Vec<(&str, &str)> = if kind.stage_property() == Some(name) {
            let stages = self.pipelines.iter().flat_map(|pipeline| &pipeline.stages);
            stages
                .map(|stage| (stage.id.as_str(), stage.label.as_str()))
                .collect()
        } else if kind.pipeline_property() == Some(name) {
            let all = self.pipelines.iter();
            all.map(|pipeline| (pipeline.id.as_str(), pipeline.label.as_str()))
                .collect()
        } else {
            return Ok(None);
        };
        unless_failed(&self.failed.1)?;
        if known.is_empty() || known.iter().any(|(id, _)| *id == value) {
            return Ok(Some(vec![value.to_owned()]));
        }
        let ids: Vec<String> = known
            .iter()
            .filter(|(_, label)| same(label))
            .map(|(id, _)| (*id).to_owned())
            .collect();
        if ids.is_empty() {
            let choices: Vec<String> = known
                .iter()
                .map(|(id, label)| format!("{label} ({id})"))
                .collect();
            return Err(ToolError::Invalid(format!(
                "{name} has no `{value}`; it has {}",
                choices.join(", ")
            )));
        }
        Ok(Some(ids))
    }
}

/// The owners that `value` means: an id, an address, a whole name, or a part of exactly one name.
pub(super) fn owner_ids(owners: &[Owner], value: &str) -> Result<Vec<String>, ToolError> {
    if value.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(vec![value.to_owned()]);
    }
    let wanted = value.to_lowercase();
    let exact: Vec<&Owner> = owners
        .iter()
        .filter(|owner| {
            owner.name().to_lowercase() == wanted
                || owner.email.as_deref().map(str::to_lowercase).as_deref() == Some(&*wanted)
        })
        .collect();
    let found = if exact.is_empty() {
        owners
            .iter()
            .filter(|owner| owner.name().to_lowercase().contains(&wanted))
            .collect()
    } else {
        exact
    };
    match found.as_slice() {
        [owner] => Ok(vec![owner.id.clone()]),
        [] => Err(ToolError::Invalid(format!(
            "no owner is called `{value}`; hubspot_list_owners lists them"
        ))),
        several => {
            let choices: Vec<String> = several
                .iter()
                .take(10)
                .map(|owner| format!("{} ({})", owner.name(), owner.id))
                .collect();
            Err(ToolError::Invalid(format!(
                "several owners are called `{value}`: {}; give the id",
                choices.join(", ")
            )))
        }
    }
}
