//! Drug labels at openFDA: which one speaks for a drug, and its sections.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::rxnorm::Drug;
use super::sources::{at, date, many, quoted, texts};
use crate::kit::error::ProviderError;
use crate::kit::tool::Cx;

/// How many labels of an answer are looked at to find the best one. Each has a hundred kilobytes.
const LOOKED_AT: u64 = 5;

/// A section of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum Section {
    BoxedWarning,
    Indications,
    Dosage,
    Contraindications,
    Warnings,
    Interactions,
    AdverseReactions,
    Pregnancy,
    Pediatric,
    Geriatric,
    Overdosage,
    Mechanism,
}

impl Section {
    /// All of them, in the order of a label.
    pub(super) const ALL: [Self; 12] = [
        Self::BoxedWarning,
        Self::Indications,
        Self::Dosage,
        Self::Contraindications,
        Self::Warnings,
        Self::Interactions,
        Self::AdverseReactions,
        Self::Pregnancy,
        Self::Pediatric,
        Self::Geriatric,
        Self::Overdosage,
        Self::Mechanism,
    ];

    /// The word in arguments and addresses.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::BoxedWarning => "boxed_warning",
            Self::Indications => "indications",
            Self::Dosage => "dosage",
            Self::Contraindications => "contraindications",
            Self::Warnings => "warnings",
            Self::Interactions => "interactions",
            Self::AdverseReactions => "adverse_reactions",
            Self::Pregnancy => "pregnancy",
            Self::Pediatric => "pediatric",
            Self::Geriatric => "geriatric",
            Self::Overdosage => "overdosage",
            Self::Mechanism => "mechanism",
        }
    }

    /// The fields it may be in; older labels and those of drugs without prescription have other ones.
    const fn fields(self) -> &'static [&'static str] {
        match self {
            Self::BoxedWarning => &["boxed_warning"],
            Self::Indications => &["indications_and_usage", "purpose"],
            Self::Dosage => &["dosage_and_administration"],
            Self::Contraindications => &["contraindications", "do_not_use"],
            Self::Warnings => &[
                "warnings_and_cautions",
                "warnings",
                "ask_doctor",
                "stop_use",
            ],
            Self::Interactions => &["drug_interactions", "ask_doctor_or_pharmacist"],
            Self::AdverseReactions => &["adverse_reactions"],
            Self::Pregnancy => &["pregnancy", "pregnancy_or_breast_feeding"],
            Self::Pediatric => &["pediatric_use"],
            Self::Geriatric => &["geriatric_use"],
            Self::Overdosage => &["overdosage"],
            Self::Mechanism => &["mechanism_of_action"],
        }
    }
}

/// One label.
#[derive(Clone, Debug)]
pub(super) struct Label {
    body: Value,
}

impl Label {
    /// The label's id at DailyMed, where all versions of it are.
    pub(super) fn set_id(&self) -> String {
        let id = at(&self.body, "/set_id");
        if id.is_empty() {
            at(&self.body, "/openfda/spl_set_id/0")
        } else {
            id
        }
    }

    /// Its page at DailyMed.
    pub(super) fn url(&self) -> String {
        format!(
            "https://dailymed.nlm.nih.gov/dailymed/drugInfo.cfm?setid={}",
            self.set_id()
        )
    }

    /// When it came into effect.
    pub(super) fn date(&self) -> String {
        date(&at(&self.body, "/effective_time"))
    }

    /// Its name and whose it is.
    pub(super) fn title(&self) -> String {
        let brand = at(&self.body, "/openfda/brand_name/0");
        let maker = at(&self.body, "/openfda/manufacturer_name/0");
        match (brand.as_str(), maker.as_str()) {
            ("", _) => self.generic_names().join(", "),
            (_, "") => brand,
            _ => format!("{brand} ({maker})"),
        }
    }

    /// Brand names.
    pub(super) fn brand_names(&self) -> Vec<String> {
        texts(&self.body, "/openfda/brand_name")
    }

    /// Names of what is in it, as the label writes them: with salts.
    pub(super) fn generic_names(&self) -> Vec<String> {
        let mut names = texts(&self.body, "/openfda/generic_name");
        names.extend(texts(&self.body, "/openfda/substance_name"));
        names
    }

    /// The pharmacologic classes it belongs to, without the kind in brackets.
    pub(super) fn classes(&self) -> Vec<String> {
        let classes = texts(&self.body, "/openfda/pharm_class_epc");
        let bare = |class: String| {
            let end = class.find(" [").unwrap_or(class.len());
            class.get(..end).unwrap_or_default().to_lowercase()
        };
        classes.into_iter().map(bare).collect()
    }

    /// A section's text; `None` when the label does not have it.
    pub(super) fn section(&self, section: Section) -> Option<String> {
        let parts: Vec<String> = section
            .fields()
            .iter()
            .flat_map(|field| texts(&self.body, &format!("/{field}")))
            .collect();
        (!parts.is_empty()).then(|| parts.join("\n\n"))
    }

    /// Where a statement stands.
    pub(super) fn source(&self) -> Value {
        json!({ "label": self.title(), "date": self.date(), "url": self.url(), "by": "openFDA" })
    }

    /// A warning where the label is of more or of something else than the drug; `None` where it is of just its ingredients.
    pub(super) fn mixture(&self, drug: &Drug) -> Option<String> {
        if self.others(drug) == 0 {
            return None;
        }
        let substances = texts(&self.body, "/openfda/substance_name");
        let substances = if substances.is_empty() {
            "ingredients that openFDA does not name".to_owned()
        } else {
            substances.join(", ").to_lowercase()
        };
        Some(format!(
            "none of the labels looked at is of {} alone; the one used, {}, is of {substances}",
            drug.ingredients.join(" and "),
            self.title()
        ))
    }

    /// How many substances more or fewer than the drug it is of. Others in it would speak too.
    fn others(&self, drug: &Drug) -> usize {
        let substances = many(&self.body, "/openfda/substance_name").len();
        substances.abs_diff(drug.ingredients.len())
    }

    /// Whether it has no section on interactions, as labels of drugs without prescription do.
    pub(super) fn is_silent(&self) -> bool {
        self.section(Section::Interactions).is_none()
    }
}

/// The label that speaks for a drug: of its latest ones, and of its latest ones that speak of interactions, the one nearest
/// to exactly its ingredients.
pub(super) async fn of(cx: &Cx, drug: &Drug) -> Result<Option<Label>, ProviderError> {
    let names = drug.ingredients.iter();
    let search: Vec<String> = names
        .map(|name| format!("openfda.generic_name:{}", quoted(name)))
        .collect();
    let search = search.join(" AND ");
    let (mut labels, total) = latest(cx, &search).await?;
    let fits = |label: &Label| label.others(drug) == 0 && !label.is_silent();
    if total > LOOKED_AT && !labels.iter().any(fits) {
        // Makers renew combinations and packs without prescription often; the one that is wanted may be older. A failure
        // here leaves what is there, and the answer says what it lacks.
        let search = format!("{search} AND _exists_:drug_interactions");
        if let Ok((more, _)) = latest(cx, &search).await {
            labels.extend(more);
        }
    }
    let rank = |label: &Label| (label.others(drug), label.is_silent());
    Ok(labels.into_iter().min_by_key(rank))
}

/// The latest labels that match, and how many match in all.
async fn latest(cx: &Cx, search: &str) -> Result<(Vec<Label>, u64), ProviderError> {
    let found: Result<Value, ProviderError> = cx
        .api
        .at("openfda")
        .get(&["drug", "label.json"])
        .query("search", search)
        .query("sort", "effective_time:desc")
        .query("limit", LOOKED_AT)
        .send()
        .await;
    let mut found = match found {
        // openFDA says so when nothing matches.
        Err(ProviderError::NotFound) => return Ok((Vec::new(), 0)),
        found => found?,
    };
    let total = found["meta"]["results"]["total"].as_u64();
    let Value::Array(labels) = found["results"].take() else {
        return Ok((Vec::new(), 0));
    };
    let labels: Vec<Label> = labels.into_iter().map(|body| Label { body }).collect();
    Ok((labels, total.unwrap_or_default()))
}
