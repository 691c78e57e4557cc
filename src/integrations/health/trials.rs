//! Searching ClinicalTrials.gov.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::sources::{at, many, needed, texts};
use crate::kit::args::{Cursor, Limit};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::tool::{Cx, Effect, Needs, Tool};
use crate::kit::uri;

/// What a row of a list shows.
const FIELDS: &str = "NCTId,BriefTitle,OverallStatus,Phase,StudyType,Condition,InterventionName,LeadSponsorName,EnrollmentCount,\
     StartDate,PrimaryCompletionDate,LastUpdatePostDate,HasResults";
/// How many conditions and interventions a row names.
const NAMED: usize = 8;

/// A place on earth and a distance, written `lat,lon,km`: one short parameter instead of a nested one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Near {
    /// Latitude.
    pub(super) lat: f64,
    /// Longitude.
    pub(super) lon: f64,
    /// Radius.
    pub(super) km: u32,
}

impl Near {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(',').map(str::trim);
        let near = Self {
            lat: parts.next()?.parse().ok()?,
            lon: parts.next()?.parse().ok()?,
            km: parts
                .next()?
                .trim_end_matches("km")
                .trim_end()
                .parse()
                .ok()?,
        };
        let on_earth = (-90.0..=90.0).contains(&near.lat) && (-180.0..=180.0).contains(&near.lon);
        let whole = parts.next().is_none() && on_earth && (1..=20_000).contains(&near.km);
        whole.then_some(near)
    }
}

impl<'de> Deserialize<'de> for Near {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(
                "`near` must be latitude, longitude and kilometres, such as `52.52,13.4,50`",
            )
        })
    }
}

impl JsonSchema for Near {
    fn schema_name() -> Cow<'static, str> {
        "Near".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

/// What a study can be, as the registry names it; in arguments in small letters. Those from `AVAILABLE` to
/// `APPROVED_FOR_MARKETING` are of expanded access, which is treatment outside a trial.
const STATUSES: [&str; 14] = [
    "RECRUITING",
    "NOT_YET_RECRUITING",
    "ENROLLING_BY_INVITATION",
    "ACTIVE_NOT_RECRUITING",
    "COMPLETED",
    "SUSPENDED",
    "TERMINATED",
    "WITHDRAWN",
    "AVAILABLE",
    "NO_LONGER_AVAILABLE",
    "TEMPORARILY_NOT_AVAILABLE",
    "APPROVED_FOR_MARKETING",
    "WITHHELD",
    "UNKNOWN",
];

/// Search ClinicalTrials.gov.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchTrials {
    /// Disease
    #[serde(default)]
    condition: Option<String>,
    /// Treatment
    #[serde(default)]
    intervention: Option<String>,
    /// Other words
    #[serde(default)]
    q: Option<String>,
    /// recruiting…
    #[serde(default)]
    status: Vec<String>,
    /// 0 to 4
    #[serde(default)]
    phase: Vec<i64>,
    /// lat,lon,km
    #[serde(default)]
    near: Option<Near>,
    /// Years
    #[serde(default)]
    age: Option<i64>,
    /// female, male
    #[serde(default)]
    sex: Option<String>,
    /// Posted
    #[serde(default)]
    has_results: bool,
    #[serde(default)]
    limit: Limit<10, 50>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

impl Tool for SearchTrials {
    const NAME: &'static str = "health_search_trials";
    const TITLE: &'static str = "Search trials";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = Needs::Nothing;

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        for (name, value) in [
            ("condition", &self.condition),
            ("intervention", &self.intervention),
            ("q", &self.q),
        ] {
            if let Some(value) = value {
                needed(name, value)?;
            }
        }
        let words = [&self.condition, &self.intervention, &self.q];
        if words.iter().all(|words| words.is_none()) && self.near.is_none() {
            return Err(ToolError::Invalid(
                "one of `condition`, `intervention`, `q` and `near` must be given".to_owned(),
            ));
        }
        let near = self.near;
        let distance =
            near.map(|near| format!("distance({},{},{}km)", near.lat, near.lon, near.km));
        let status = self.status()?;
        let advanced = self.advanced()?;
        let aggregates = self.aggregates()?;
        let found: Result<Value, ProviderError> = cx
            .api
            .at("clinicaltrials")
            .get(&["api", "v2", "studies"])
            .query("format", "json")
            .query_opt("query.cond", self.condition.as_deref())
            .query_opt("query.intr", self.intervention.as_deref())
            .query_opt("query.term", self.q.as_deref())
            .query_opt("filter.overallStatus", some(status))
            .query_opt("filter.geo", distance)
            .query_opt("filter.advanced", some(advanced))
            .query_opt("aggFilters", some(aggregates))
            .query("fields", FIELDS)
            .query("countTotal", "true")
            .query("pageSize", self.limit.get())
            .query_opt(
                "pageToken",
                self.cursor.as_ref().map(|cursor| cursor.0.as_str()),
            )
            .send()
            .await;
        let found = found?;
        let items = many(&found, "/studies").iter().map(|study| row(cx, study));
        let next = at(&found, "/nextPageToken");
        Ok(Output::of(items.collect())
            .total(found["totalCount"].as_u64())
            .next(some(next).map(Cursor)))
    }
}

fn some(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

impl SearchTrials {
    fn status(&self) -> Result<String, ToolError> {
        let mut all = Vec::new();
        for status in &self.status {
            let status = status.trim().to_ascii_uppercase().replace([' ', '-'], "_");
            if !STATUSES.contains(&status.as_str()) {
                let known = STATUSES.map(str::to_lowercase).join(", ");
                return Err(ToolError::Invalid(format!(
                    "`status` must hold some of {known}"
                )));
            }
            all.push(status);
        }
        Ok(all.join(","))
    }

    /// Conditions in the registry's own query language.
    fn advanced(&self) -> Result<String, ToolError> {
        let Some(age) = self.age else {
            return Ok(String::new());
        };
        if !(0..=130).contains(&age) {
            return Err(ToolError::Invalid(
                "`age` must be a number of years from 0 to 130".to_owned(),
            ));
        }
        // Most studies name no upper bound, and a range alone leaves out those without one.
        Ok(format!(
            "(AREA[MinimumAge]RANGE[MIN, {age} years] OR AREA[MinimumAge]MISSING) AND \
             (AREA[MaximumAge]RANGE[{age} years, MAX] OR AREA[MaximumAge]MISSING)"
        ))
    }

    fn aggregates(&self) -> Result<String, ToolError> {
        let mut parts = Vec::new();
        if !self.phase.is_empty() {
            if !self.phase.iter().all(|phase| (0..=4).contains(phase)) {
                return Err(ToolError::Invalid(
                    "`phase` must hold numbers from 0 to 4".to_owned(),
                ));
            }
            let phases: Vec<String> = self.phase.iter().map(ToString::to_string).collect();
            parts.push(format!("phase:{}", phases.join(" ")));
        }
        match self.sex.as_deref().map(str::to_ascii_lowercase).as_deref() {
            None => {}
            Some("female") => parts.push("sex:f".to_owned()),
            Some("male") => parts.push("sex:m".to_owned()),
            Some(_) => {
                return Err(ToolError::Invalid(
                    "`sex` must be female or male".to_owned(),
                ));
            }
        }
        if self.has_results {
            parts.push("results:with".to_owned());
        }
        Ok(parts.join(","))
    }
}

/// The facts of a study that lists and single answers share.
pub(super) fn row(cx: &Cx, study: &Value) -> Item {
    let protocol = &study["protocolSection"];
    let nct = at(protocol, "/identificationModule/nctId");
    let named = |pointer: &str, name: &str| -> Vec<String> {
        let list = many(protocol, pointer).iter().take(NAMED);
        list.map(|one| {
            if name.is_empty() {
                one.as_str().unwrap_or_default().to_owned()
            } else {
                at(one, name)
            }
        })
        .collect()
    };
    Item::new(&nct)
        .url(format!("https://clinicaltrials.gov/study/{nct}"))
        .uri(cx.uri(&format!("trials/{}", uri::encode(&nct))))
        .field("title", at(protocol, "/identificationModule/briefTitle"))
        .field("status", at(protocol, "/statusModule/overallStatus").to_lowercase())
        .field("phases", texts(protocol, "/designModule/phases"))
        .field("type", at(protocol, "/designModule/studyType").to_lowercase())
        .field("conditions", named("/conditionsModule/conditions", ""))
        .field("interventions", named("/armsInterventionsModule/interventions", "/name"))
        .field("sponsor", at(protocol, "/sponsorCollaboratorsModule/leadSponsor/name"))
        .field("enrollment", protocol["designModule"]["enrollmentInfo"]["count"].clone())
        .field("start", at(protocol, "/statusModule/startDateStruct/date"))
        .field("primary_completion", at(protocol, "/statusModule/primaryCompletionDateStruct/date"))
        .field("has_results", study["hasResults"].clone())
        .field(
            "source",
            json!({ "name": "ClinicalTrials.gov", "date": at(protocol, "/statusModule/lastUpdatePostDateStruct/date") }),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_on_earth() {
        let near = |text| Near::parse(text).map(|near| (near.lat, near.lon, near.km));
        assert_eq!(near("52.52, 13.405, 100km"), Some((52.52, 13.405, 100)));
        assert_eq!(near("-33.9,18.4,5"), Some((-33.9, 18.4, 5)));
        for wrong in [
            "",
            "52.52,13.4",
            "91,0,5",
            "0,181,5",
            "0,0,0",
            "0,0,5,6",
            "NaN,0,5",
            "here",
        ] {
            assert_eq!(near(wrong), None, "{wrong}");
        }
    }
}
