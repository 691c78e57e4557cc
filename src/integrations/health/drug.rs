//! One drug: its US label, approvals, shortages, recalls, and how it works.

use futures_util::future::join5;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::labels::{self, Label, Section};
use super::rxnorm::{self, Drug};
use super::sources::{NO_ADVICE, Sources, at, date, many, needed, push, quoted, short, texts};
use crate::kit::block::{Content, ContextBlock};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::tool::{Cx, Effect, Needs, Tool};
use crate::kit::uri;

/// How many records of each list are shown.
const SHOWN: usize = 5;
/// Longest section of a label in an answer, in characters; the block has all of it.
const SECTION_CHARS: usize = 4_000;

// What is asked about a drug. Not a doc comment: it would be published with every item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Part {
    BoxedWarning,
    Indications,
    Dosage,
    Contraindications,
    Warnings,
    Interactions,
    AdverseReactions,
    Pregnancy,
    Approvals,
    Shortages,
    Recalls,
    Mechanism,
}

impl Part {
    const DEFAULT: [Self; 4] = [
        Self::BoxedWarning,
        Self::Indications,
        Self::Contraindications,
        Self::Interactions,
    ];

    /// The section of the label that it is.
    const fn section(self) -> Option<Section> {
        match self {
            Self::BoxedWarning => Some(Section::BoxedWarning),
            Self::Indications => Some(Section::Indications),
            Self::Dosage => Some(Section::Dosage),
            Self::Contraindications => Some(Section::Contraindications),
            Self::Warnings => Some(Section::Warnings),
            Self::Interactions => Some(Section::Interactions),
            Self::AdverseReactions => Some(Section::AdverseReactions),
            Self::Pregnancy => Some(Section::Pregnancy),
            Self::Mechanism => Some(Section::Mechanism),
            Self::Approvals | Self::Shortages | Self::Recalls => None,
        }
    }
}

/// Get a drug: sections of its US label, FDA approvals, shortages, recalls, mechanism and targets.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetDrug {
    /// Generic or brand name.
    name: String,
    /// Default: boxed_warning, indications, contraindications, interactions.
    #[serde(default)]
    sections: Vec<Part>,
}

impl Tool for GetDrug {
    const NAME: &'static str = "health_get_drug";
    const TITLE: &'static str = "Get a drug";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = Needs::Nothing;

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let name = needed("name", &self.name)?;
        let parts = if self.sections.is_empty() {
            &Part::DEFAULT[..]
        } else {
            self.sections.as_slice()
        };
        let mut sources = Sources::default();
        let found = sources.take("RxNorm", rxnorm::resolve(cx, name).await);
        let drug = found.unwrap_or_else(|| Drug::unknown(name));
        if drug.guessed {
            sources.warn(format!("{name:?} was read as {}", drug.name));
        }
        let wants = |part| parts.contains(&part);
        let wants_label = parts.iter().any(|part| part.section().is_some());
        let generic = drug.ingredients.first().map_or(name, String::as_str);
        let (label, approvals, shortages, recalls, mechanism) = join5(
            async {
                if wants_label {
                    labels::of(cx, &drug).await
                } else {
                    Ok(None)
                }
            },
            fda(
                cx,
                "drugsfda.json",
                "openfda.generic_name",
                generic,
                // Applications of original drugs (NDA, then BLA) before those of generics (ANDA).
                "application_number:desc",
                wants(Part::Approvals),
            ),
            fda(
                cx,
                "shortages.json",
                "generic_name",
                generic,
                "update_date:desc",
                wants(Part::Shortages),
            ),
            fda(
                cx,
                "enforcement.json",
                "openfda.generic_name",
                generic,
                "report_date:desc",
                wants(Part::Recalls),
            ),
            chem(cx, generic, wants(Part::Mechanism)),
        )
        .await;
        let answered = label.is_ok();
        // What was not asked has not answered either.
        let label = wants_label.then(|| sources.take("openFDA's labels", label));
        let label = label.flatten().flatten();
        let mut item = Item::new(&drug.name)
            .uri(cx.uri(&format!("drugs/{}/label", uri::encode(generic))))
            .field("rxcui", drug.rxcui.clone())
            .field("ingredients", drug.ingredients.clone());
        if let Some(label) = &label {
            describe(&mut item, label, parts);
            if let Some(mixture) = label.mixture(&drug) {
                sources.warn(mixture);
            }
        } else if wants_label && answered {
            sources.warn(format!("openFDA has no label of {generic}"));
        }
        let lists: [(_, _, _, Shown); 3] = [
            ("approvals", Part::Approvals, approvals, approval),
            ("shortages", Part::Shortages, shortages, shortage),
            ("recalls", Part::Recalls, recalls, recall),
        ];
        for (what, part, found, shown) in lists {
            if wants(part)
                && let Some(found) = sources.take(&format!("openFDA's {what}"), found)
            {
                if let Some(count) = counted(what, generic, &found) {
                    sources.warn(count);
                }
                item.set(what, found.0.iter().map(shown).collect::<Vec<_>>());
            }
        }
        if wants(Part::Mechanism)
            && let Some(Some(facts)) = sources.take("MyChem", mechanism)
        {
            item.set("mechanism", facts);
        }
        sources.check()?;
        let unknown = drug.rxcui.is_none() && label.is_none();
        if unknown
            && ["approvals", "shortages", "recalls", "mechanism"]
                .iter()
                .all(|part| !item.fields.contains_key(*part))
        {
            return Err(ToolError::NotFound(format!(
                "neither RxNorm nor openFDA knows a drug {name}; check its spelling"
            )));
        }
        sources.warn(format!("US data only. {NO_ADVICE}"));
        sources.output(vec![item])
    }
}

/// What is to be said of a list's length: that there is none, or that these are not all.
fn counted(what: &str, generic: &str, (list, total): &(Vec<Value>, u64)) -> Option<String> {
    let shown = list.len();
    if shown == 0 {
        return Some(format!("openFDA lists no {what} of {generic}"));
    }
    let first = if what == "approvals" {
        "those of original drugs (NDA, BLA) first"
    } else {
        "the latest"
    };
    let is_cut = usize::try_from(*total).is_ok_and(|total| total > shown);
    is_cut.then(|| format!("{shown} of {total} {what} of {generic} are shown, {first}"))
}

/// How a record of a list is shown.
type Shown = fn(&Value) -> Value;

/// Adds what the label says.
fn describe(item: &mut Item, label: &Label, parts: &[Part]) {
    item.url = Some(label.url());
    item.set("brands", label.brand_names());
    item.set("classes", label.classes());
    item.set("label", label.source());
    let mut sections = Map::new();
    for section in parts.iter().filter_map(|part| part.section()) {
        let text = label.section(section);
        let text = text.map_or(Value::Null, |text| short(&text, SECTION_CHARS).into());
        sections.insert(section.as_str().to_owned(), text);
    }
    item.set("sections", sections);
}

/// The first records of one of openFDA's lists, and how many it has.
async fn fda(
    cx: &Cx,
    list: &str,
    field: &str,
    name: &str,
    sort: &str,
    wanted: bool,
) -> Result<(Vec<Value>, u64), ProviderError> {
    if !wanted {
        return Ok((Vec::new(), 0));
    }
    let found: Result<Value, ProviderError> = cx
        .api
        .at("openfda")
        .get(&["drug", list])
        .query("search", format!("{field}:{}", quoted(name)))
        .query("sort", sort)
        .query("limit", SHOWN)
        .send()
        .await;
    match found {
        Ok(found) => {
            let total = found["meta"]["results"]["total"].as_u64();
            Ok((many(&found, "/results").to_vec(), total.unwrap_or_default()))
        }
        Err(ProviderError::NotFound) => Ok((Vec::new(), 0)),
        Err(error) => Err(error),
    }
}

fn approval(found: &Value) -> Value {
    let number = at(found, "/application_number");
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let first = many(found, "/submissions").iter().filter(|submission| {
        at(submission, "/submission_type") == "ORIG" && at(submission, "/submission_status") == "AP"
    });
    let approved = first.map(|submission| date(&at(submission, "/submission_status_date")));
    let mut products: Vec<String> = many(found, "/products")
        .iter()
        .map(|product| {
            let brand = texts(product, "/brand_name").join(" ");
            format!(
                "{brand}, {}, {}",
                at(product, "/dosage_form").to_lowercase(),
                at(product, "/marketing_status").to_lowercase()
            )
        })
        .collect();
    products.dedup();
    products.truncate(SHOWN);
    json!({
        "application": number, "sponsor": at(found, "/sponsor_name"), "approved": approved.min(), "products": products,
        "url": format!("https://www.accessdata.fda.gov/scripts/cder/daf/index.cfm?event=overview.process&ApplNo={digits}"),
        "source": "Drugs@FDA by openFDA",
    })
}

fn shortage(found: &Value) -> Value {
    json!({
        "status": at(found, "/status"), "availability": at(found, "/availability"),
        "presentation": at(found, "/presentation"), "company": at(found, "/company_name"),
        "reason": at(found, "/shortage_reason"), "date": at(found, "/update_date"), "source": "FDA shortages by openFDA",
    })
}

fn recall(found: &Value) -> Value {
    json!({
        "number": at(found, "/recall_number"), "class": at(found, "/classification"), "status": at(found, "/status"),
        "reason": short(&at(found, "/reason_for_recall"), 300), "product": short(&at(found, "/product_description"), 200),
        "firm": at(found, "/recalling_firm"), "date": date(&at(found, "/report_date")), "source": "FDA enforcement reports by openFDA",
    })
}

/// How it works, as ChEMBL and the Guide to Pharmacology say.
async fn chem(cx: &Cx, name: &str, wanted: bool) -> Result<Option<Value>, ProviderError> {
    if !wanted {
        return Ok(None);
    }
    let found: Value = cx
        .api
        .at("mychem")
        .get(&["v1", "query"])
        .query("q", format!("chembl.pref_name:{}", quoted(name)))
        // Only sources whose terms let everybody read them.
        .query("fields", "chembl.molecule_chembl_id,chembl.pref_name,chembl.drug_mechanisms,gtopdb.interaction_targets")
        .query("size", 1)
        .send()
        .await?;
    let Some(hit) = many(&found, "/hits").first() else {
        return Ok(None);
    };
    let mechanisms: Vec<Value> = many(hit, "/chembl/drug_mechanisms")
        .iter()
        .take(SHOWN)
        .map(|one| {
            json!({
                "action": at(one, "/action_type"), "target": at(one, "/target_name"),
                "type": at(one, "/target_type"),
            })
        })
        .collect();
    let mut targets: Vec<String> = many(hit, "/gtopdb/interaction_targets")
        .iter()
        .map(|target| [at(target, "/symbol"), at(target, "/name")].concat())
        .filter(|name| !name.is_empty())
        .collect();
    targets.truncate(20);
    let chembl = at(hit, "/chembl/molecule_chembl_id");
    Ok(Some(json!({
        "mechanisms": mechanisms, "targets": targets,
        "url": format!("https://www.ebi.ac.uk/chembl/explore/compound/{chembl}"), "source": "ChEMBL and Guide to Pharmacology by MyChem.info",
    })))
}

/// `health://drugs/{name}/label{/section*}`.
#[derive(Deserialize)]
pub(super) struct LabelBlock {
    name: String,
    section: String,
}

impl ContextBlock for LabelBlock {
    const URI: &'static str = "health://drugs/{name}/label{/section*}";
    const NAME: &'static str = "health_drug_label";
    const TITLE: &'static str = "Drug label";
    const DESCRIPTION: &'static str =
        "The US label of a drug, or one section of it such as `interactions`.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = Needs::Nothing;

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let wanted: Vec<Section> = Section::ALL
            .into_iter()
            .filter(|section| self.section.is_empty() || section.as_str() == self.section)
            .collect();
        if wanted.is_empty() {
            let names = Section::ALL.map(Section::as_str).join(", ");
            return Err(ToolError::Invalid(format!(
                "a label has no section {:?}; it has {names}",
                self.section
            )));
        }
        let mut sources = Sources::default();
        let found = sources.take("RxNorm", rxnorm::resolve(cx, &self.name).await);
        let drug = found.unwrap_or_else(|| Drug::unknown(&self.name));
        let label = sources
            .take("openFDA", labels::of(cx, &drug).await)
            .flatten();
        sources.check()?;
        let Some(label) = label else {
            let why = sources.warnings().first().cloned();
            return Err(ToolError::NotFound(why.unwrap_or_else(|| {
                format!("openFDA has no label of {}", drug.name)
            })));
        };
        let mut text = format!(
            "# {}\n\n{}, in effect since {}. Source: openFDA, {}\n\n{NO_ADVICE}\n",
            drug.name,
            label.title(),
            label.date(),
            label.url()
        );
        if let Some(mixture) = label.mixture(&drug) {
            push(&mut text, format_args!("\n**{mixture}.**\n"));
        }
        for section in wanted {
            if let Some(body) = label.section(section) {
                push(
                    &mut text,
                    format_args!(
                        "\n## {}\n\n{}\n",
                        section.as_str().replace('_', " "),
                        body.trim()
                    ),
                );
            } else if !self.section.is_empty() {
                text += "\nThe label does not have this section.\n";
            }
        }
        let mut content = Content::text(text);
        content.url = Some(label.url());
        content.version = Some(label.date());
        Ok(content)
    }

    async fn complete(
        cx: &Cx,
        field: &str,
        prefix: &str,
        _: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        match field {
            "name" => Ok(rxnorm::spellings(cx, prefix).await?),
            "section" => Ok(Section::ALL
                .into_iter()
                .map(|section| section.as_str().to_owned())
                .filter(|name| name.starts_with(prefix))
                .collect()),
            _ => Ok(Vec::new()),
        }
    }
}
