//! Reports of adverse events (FAERS), counted or one by one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::sources::{NO_ADVICE, Sources, at, date, day, many, needed, quoted, start, texts};
use crate::kit::args::{Cursor, Limit};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::tool::{Cx, Effect, Needs, Tool};

/// As far as openFDA lets lists be paged.
const MOST_SKIPPED: u32 = 25_000;

/// What to count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum CountBy {
    #[default]
    Reaction,
    Outcome,
    Sex,
    Country,
    Drug,
    /// No counts: the reports.
    None,
}

/// Adverse event reports (FAERS): counts by reaction or other facts, or the reports. Reports prove no cause and give no rates.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchAdverseEvents {
    /// Drug name.
    #[serde(default)]
    drug: Option<String>,
    /// MedDRA term, such as nausea.
    #[serde(default)]
    reaction: Option<String>,
    /// Only serious ones.
    #[serde(default)]
    serious: bool,
    /// Received since this date.
    #[serde(default)]
    since: Option<String>,
    /// none lists reports.
    #[serde(default)]
    count_by: CountBy,
    #[serde(default)]
    limit: Limit<20, 100>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

#[derive(Default, Serialize, Deserialize)]
struct Place {
    skip: u32,
}

impl CountBy {
    /// The field, and whether its whole text counts.
    const fn field(self) -> Option<&'static str> {
        match self {
            Self::Reaction => Some("patient.reaction.reactionmeddrapt.exact"),
            Self::Outcome => Some("patient.reaction.reactionoutcome"),
            Self::Sex => Some("patient.patientsex"),
            Self::Country => Some("occurcountry.exact"),
            Self::Drug => Some("patient.drug.openfda.generic_name.exact"),
            Self::None => None,
        }
    }

    /// What a number stands for.
    fn words(self, term: &str) -> String {
        let word = match (self, term) {
            (Self::Outcome, code) => outcome(code),
            (Self::Sex, code) => sex(code),
            _ => "",
        };
        if word.is_empty() { term } else { word }.to_owned()
    }
}

fn outcome(code: &str) -> &'static str {
    match code {
        "1" => "recovered",
        "2" => "recovering",
        "3" => "not recovered",
        "4" => "recovered with lasting effects",
        "5" => "fatal",
        "6" => "unknown",
        _ => "",
    }
}

fn sex(code: &str) -> &'static str {
    match code {
        "0" => "unknown",
        "1" => "male",
        "2" => "female",
        _ => "",
    }
}

impl Tool for SearchAdverseEvents {
    const NAME: &'static str = "health_search_adverse_events";
    const TITLE: &'static str = "Search adverse events";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = Needs::Nothing;

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let search = self.search(cx)?;
        let place: Place = start(self.cursor.as_ref())?;
        let request = cx
            .api
            .at("openfda")
            .get(&["drug", "event.json"])
            .query("search", search)
            .query("limit", self.limit.get());
        let request = match self.count_by.field() {
            Some(field) => request.query("count", field),
            None => request
                .query("skip", place.skip)
                .query("sort", "receivedate:desc"),
        };
        let found: Result<Value, ProviderError> = request.send().await;
        let found = match found {
            // openFDA says so when nothing matches.
            Err(ProviderError::NotFound) => json!({ "results": [] }),
            found => found?,
        };
        let mut sources = Sources::default();
        sources.warn(format!(
            "FAERS holds voluntary reports: one proves no cause, some are duplicates, and counts are no rates. {NO_ADVICE}"
        ));
        let results = many(&found, "/results");
        let updated = at(&found, "/meta/last_updated");
        let source = json!({ "name": "FAERS by openFDA", "date": updated });
        if self.count_by == CountBy::None {
            let total = found["meta"]["results"]["total"].as_u64();
            let read = place
                .skip
                .saturating_add(u32::try_from(results.len()).unwrap_or(u32::MAX));
            let more = total.is_some_and(|total| u64::from(read) < total)
                && read < MOST_SKIPPED
                && !results.is_empty();
            let items = results.iter().map(|report| row(report, &source));
            let output = sources.output(items.collect())?;
            return Ok(output
                .total(total)
                .next(more.then(|| Cursor::of(&Place { skip: read }))));
        }
        let items = results.iter().map(|count| {
            let term = self.count_by.words(&at(count, "/term"));
            Item::new(&term)
                .field("reports", count["count"].clone())
                .field("source", source.clone())
        });
        sources.output(items.collect())
    }
}

impl SearchAdverseEvents {
    fn search(&self, cx: &Cx) -> Result<String, ToolError> {
        let mut parts = Vec::new();
        if let Some(drug) = &self.drug {
            let drug = quoted(needed("drug", drug)?);
            parts.push(format!(
                "(patient.drug.openfda.generic_name:{drug} OR patient.drug.medicinalproduct:{drug})"
            ));
        }
        if let Some(reaction) = &self.reaction {
            let reaction = quoted(needed("reaction", reaction)?);
            parts.push(format!("patient.reaction.reactionmeddrapt:{reaction}"));
        }
        if parts.is_empty() {
            return Err(ToolError::Invalid(
                "`drug` or `reaction` must be given".to_owned(),
            ));
        }
        if self.serious {
            parts.push("serious:1".to_owned());
        }
        if let Some(since) = &self.since {
            let since = day("since", since)?.replace('-', "");
            let now = cx.now.rfc3339();
            let today = now.get(..10).unwrap_or_default().replace('-', "");
            parts.push(format!("receivedate:[{since} TO {today}]"));
        }
        Ok(parts.join(" AND "))
    }
}

fn row(report: &Value, source: &Value) -> Item {
    let drugs: Vec<Value> = many(report, "/patient/drug")
        .iter()
        .take(20)
        .map(|drug| {
            let role = match at(drug, "/drugcharacterization").as_str() {
                "1" => "suspect",
                "2" => "taken with it",
                "3" => "interacting",
                _ => "unknown",
            };
            json!({ "name": at(drug, "/medicinalproduct"), "role": role, "for": at(drug, "/drugindication") })
        })
        .collect();
    let reactions: Vec<Value> = many(report, "/patient/reaction")
        .iter()
        .take(20)
        .map(|reaction| {
            json!({ "term": at(reaction, "/reactionmeddrapt"), "outcome": outcome(&at(reaction, "/reactionoutcome")) })
        })
        .collect();
    let serious: Vec<&str> = [
        ("seriousnessdeath", "death"),
        ("seriousnesslifethreatening", "life-threatening"),
        ("seriousnesshospitalization", "hospitalization"),
        ("seriousnessdisabling", "disabling"),
        ("seriousnesscongenitalanomali", "congenital anomaly"),
        ("seriousnessother", "other"),
    ]
    .into_iter()
    .filter(|(field, _)| report[*field] == "1")
    .map(|(_, word)| word)
    .collect();
    let years = (at(report, "/patient/patientonsetageunit") == "801")
        .then(|| at(report, "/patient/patientonsetage"));
    Item::new(at(report, "/safetyreportid"))
        .field("received", date(&at(report, "/receivedate")))
        .field("country", texts(report, "/occurcountry").join(""))
        .field("age_years", years)
        .field("sex", sex(&at(report, "/patient/patientsex")))
        .field("reactions", reactions)
        .field("serious", serious)
        .field("drugs", drugs)
        .field("source", source.clone())
}
