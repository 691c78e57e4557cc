//! One clinical trial: protocol, eligibility, outcomes, sites, results.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::sources::{at, many, push, short};
use super::trials::{Near, row};
use crate::kit::block::{Content, ContextBlock};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// How many sites are listed.
const SITES: usize = 20;
/// How many outcomes are listed, and how many values of one.
const OUTCOMES: usize = 30;

// Part of a trial. Not a doc comment: it would be published with every item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Section {
    Summary,
    Arms,
    Eligibility,
    Outcomes,
    Locations,
    Results,
}

/// Get one trial: summary, arms, eligibility, outcomes, sites (nearest first), posted results.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetTrial {
    /// NCT number.
    nct: String,
    /// Default: summary, arms, eligibility.
    #[serde(default)]
    sections: Vec<Section>,
    /// Only sites near lat,lon,km.
    #[serde(default)]
    near: Option<Near>,
}

impl Tool for GetTrial {
    const NAME: &'static str = "health_get_trial";
    const TITLE: &'static str = "Get a clinical trial";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = Needs::Nothing;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["nct"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let near = self.near;
        let study = fetch(cx, &self.nct).await?;
        let protocol = &study["protocolSection"];
        let has = |section| {
            if self.sections.is_empty() {
                matches!(
                    section,
                    Section::Summary | Section::Arms | Section::Eligibility
                ) || (near.is_some() && section == Section::Locations)
            } else {
                self.sections.contains(&section)
            }
        };
        let mut item = row(cx, &study)
            .field(
                "official_title",
                at(protocol, "/identificationModule/officialTitle"),
            )
            .field("why_stopped", at(protocol, "/statusModule/whyStopped"));
        let mut output = Output::default();
        if has(Section::Summary) {
            let text = at(protocol, "/descriptionModule/briefSummary");
            item.set("summary", short(&text, 4_000));
        }
        if has(Section::Arms) {
            item.set("arms", arms(protocol));
        }
        if has(Section::Eligibility) {
            item.set("eligibility", eligibility(protocol));
        }
        if has(Section::Outcomes) {
            let (list, cut) = outcomes(protocol);
            item.set("outcomes", list);
            if cut {
                output.truncated = true;
                output.warnings.push(format!(
                    "only the first {OUTCOMES} outcomes of a kind are shown"
                ));
            }
        }
        if has(Section::Locations) {
            let (count, sites) = sites(protocol, near);
            if count > sites.len() {
                output.warnings.push(format!(
                    "{} of {count} sites are shown; name a place in `near` for others",
                    sites.len()
                ));
            }
            item.set("sites", count);
            item.set("locations", sites);
        }
        if has(Section::Results) {
            match results(&study) {
                Some((results, cut)) => {
                    item.set("results", results);
                    if cut {
                        output.truncated = true;
                        output.warnings.push(format!(
                            "only the first {OUTCOMES} measures and the first {OUTCOMES} values of each are shown; \
                             `count` and `values_in_all` say how many there are"
                        ));
                    }
                }
                None => output.warnings.push("no results are posted".to_owned()),
            }
        }
        output.items.push(item);
        Ok(output)
    }
}

async fn fetch(cx: &Cx, nct: &str) -> Result<Value, ToolError> {
    let nct = nct.trim().to_ascii_uppercase();
    let digits = nct.strip_prefix("NCT").unwrap_or_default();
    if digits.len() != 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ToolError::Invalid(
            "`nct` must be a number such as NCT03540771".to_owned(),
        ));
    }
    let found: Result<Value, ProviderError> = cx
        .api
        .at("clinicaltrials")
        .get(&["api", "v2", "studies", &nct])
        .query("format", "json")
        .send()
        .await;
    match found {
        Err(ProviderError::NotFound) => Err(ToolError::NotFound(format!(
            "ClinicalTrials.gov has no study {nct}"
        ))),
        found => Ok(found?),
    }
}

fn arms(protocol: &Value) -> Value {
    let arms = many(protocol, "/armsInterventionsModule/armGroups").iter();
    let arms: Vec<Value> = arms
        .map(|arm| {
            json!({
                "label": at(arm, "/label"), "type": at(arm, "/type").to_lowercase(),
                "description": short(&at(arm, "/description"), 600), "interventions": arm["interventionNames"],
            })
        })
        .collect();
    arms.into()
}

fn eligibility(protocol: &Value) -> Value {
    let module = &protocol["eligibilityModule"];
    json!({
        "criteria": short(&at(module, "/eligibilityCriteria"), 8_000), "sex": at(module, "/sex").to_lowercase(),
        "minimum_age": at(module, "/minimumAge"), "maximum_age": at(module, "/maximumAge"),
        "healthy_volunteers": module["healthyVolunteers"],
    })
}

/// What is to be measured, and whether that is not all of it.
fn outcomes(protocol: &Value) -> (Value, bool) {
    let mut cut = false;
    let mut list = |name: &str| -> Vec<Value> {
        let all = many(protocol, &format!("/outcomesModule/{name}"));
        cut |= all.len() > OUTCOMES;
        all.iter()
            .take(OUTCOMES)
            .map(|one| {
                json!({
                    "measure": at(one, "/measure"), "time_frame": at(one, "/timeFrame"),
                    "description": short(&at(one, "/description"), 400),
                })
            })
            .collect()
    };
    let list =
        json!({ "primary": list("primaryOutcomes"), "secondary": list("secondaryOutcomes") });
    (list, cut)
}

/// How many sites there are, within the distance when there is one, and the first or nearest of them.
fn sites(protocol: &Value, near: Option<Near>) -> (usize, Vec<Value>) {
    let all = many(protocol, "/contactsLocationsModule/locations").iter();
    let mut sites: Vec<(f64, &Value)> = all
        .filter_map(|site| {
            let Some(near) = near else {
                return Some((0.0, site));
            };
            let place = &site["geoPoint"];
            let km = distance_km(near, place["lat"].as_f64()?, place["lon"].as_f64()?);
            (km <= f64::from(near.km)).then_some((km, site))
        })
        .collect();
    sites.sort_by(|one, two| one.0.total_cmp(&two.0));
    let count = sites.len();
    let shown = sites.into_iter().take(SITES).map(|(km, site)| {
        let mut shown = Map::new();
        for name in ["facility", "city", "state", "country", "status"] {
            let text = at(site, &format!("/{name}"));
            if !text.is_empty() {
                shown.insert(name.to_owned(), text.into());
            }
        }
        if near.is_some() {
            shown.insert("km".to_owned(), json!(km.round()));
        }
        Value::Object(shown)
    });
    (count, shown.collect())
}

/// The distance on a sphere (haversine), good to half a percent.
fn distance_km(from: Near, lat: f64, lon: f64) -> f64 {
    let (lat1, lat2) = (from.lat.to_radians(), lat.to_radians());
    let (dlat, dlon) = (lat2 - lat1, (lon - from.lon).to_radians());
    let a = (dlat / 2.0).sin().powi(2) + lat1.cos() * lat2.cos() * (dlon / 2.0).sin().powi(2);
    2.0 * 6_371.0 * a.sqrt().min(1.0).asin()
}

/// What was measured: each outcome with its groups and their values, and whether that is not all of it.
fn results(study: &Value) -> Option<(Value, bool)> {
    let measures = many(
        study,
        "/resultsSection/outcomeMeasuresModule/outcomeMeasures",
    );
    if measures.is_empty() {
        return None;
    }
    let shown: Vec<Value> = measures.iter().take(OUTCOMES).map(measure).collect();
    let cut =
        measures.len() > shown.len() || shown.iter().any(|one| one.get("values_in_all").is_some());
    let results = json!({ "count": measures.len(), "measures": shown });
    Some((results, cut))
}

fn measure(found: &Value) -> Value {
    let groups = many(found, "/groups");
    let title = |id: &str| {
        let group = groups.iter().find(|group| at(group, "/id") == id);
        group.map_or_else(|| id.to_owned(), |group| at(group, "/title"))
    };
    let mut values = Vec::new();
    for class in many(found, "/classes") {
        for category in many(class, "/categories") {
            for value in many(category, "/measurements") {
                let names = [at(class, "/title"), at(category, "/title")];
                let names: Vec<String> =
                    names.into_iter().filter(|name| !name.is_empty()).collect();
                values.push(json!({
                    "group": title(&at(value, "/groupId")), "of": names.join(", "), "value": at(value, "/value"),
                    "spread": at(value, "/spread"), "lower": at(value, "/lowerLimit"), "upper": at(value, "/upperLimit"),
                }));
            }
        }
    }
    let in_all = values.len();
    values.truncate(OUTCOMES);
    let p_values: Vec<String> = many(found, "/analyses")
        .iter()
        .map(|analysis| at(analysis, "/pValue"))
        .filter(|value| !value.is_empty())
        .collect();
    let mut shown = json!({
        "type": at(found, "/type").to_lowercase(), "title": at(found, "/title"), "time_frame": at(found, "/timeFrame"),
        "measured_as": at(found, "/paramType").to_lowercase(), "unit": at(found, "/unitOfMeasure"), "values": values,
        "p_values": p_values,
    });
    if in_all > OUTCOMES {
        shown["values_in_all"] = in_all.into();
    }
    shown
}

/// `health://trials/{nct}`.
#[derive(Deserialize)]
pub(super) struct TrialBlock {
    nct: String,
}

impl ContextBlock for TrialBlock {
    const URI: &'static str = "health://trials/{nct}";
    const NAME: &'static str = "health_trial";
    const TITLE: &'static str = "Clinical trial";
    const DESCRIPTION: &'static str =
        "A study of ClinicalTrials.gov: summary, arms, eligibility, outcomes.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = Needs::Nothing;

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let study = fetch(cx, &self.nct).await?;
        let item = row(cx, &study);
        let mut content = Content::text(markdown(&study, &item));
        content.url = item.url;
        content.version = Some(at(
            &study,
            "/protocolSection/statusModule/lastUpdatePostDateStruct/date",
        ));
        Ok(content)
    }
}

fn markdown(study: &Value, item: &Item) -> String {
    let protocol = &study["protocolSection"];
    let fact = |name: &str| match item.fields.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(list)) => {
            let words: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
            words.join(", ")
        }
        Some(other) => other.to_string(),
        None => "not stated".to_owned(),
    };
    let mut text = format!("# {} ({})\n\n", fact("title"), item.id);
    for (label, name) in [
        ("Status", "status"),
        ("Phase", "phases"),
        ("Conditions", "conditions"),
        ("Interventions", "interventions"),
        ("Sponsor", "sponsor"),
        ("Participants", "enrollment"),
        ("Start", "start"),
        ("Primary completion", "primary_completion"),
    ] {
        push(&mut text, format_args!("- {label}: {}\n", fact(name)));
    }
    push(
        &mut text,
        format_args!(
            "\n## Summary\n\n{}\n",
            at(protocol, "/descriptionModule/briefSummary")
        ),
    );
    let arms = many(protocol, "/armsInterventionsModule/armGroups");
    if !arms.is_empty() {
        text += "\n## Arms\n\n";
        for arm in arms {
            push(
                &mut text,
                format_args!("- {}: {}\n", at(arm, "/label"), at(arm, "/description")),
            );
        }
    }
    let module = &protocol["eligibilityModule"];
    push(
        &mut text,
        format_args!(
            "\n## Eligibility\n\nSex: {}. Age: {} to {}.\n\n{}\n",
            at(module, "/sex").to_lowercase(),
            or(at(module, "/minimumAge"), "any"),
            or(at(module, "/maximumAge"), "any"),
            at(module, "/eligibilityCriteria")
        ),
    );
    for (heading, name) in [
        ("Primary outcomes", "primaryOutcomes"),
        ("Secondary outcomes", "secondaryOutcomes"),
    ] {
        let list = many(protocol, &format!("/outcomesModule/{name}"));
        if !list.is_empty() {
            push(&mut text, format_args!("\n## {heading}\n\n"));
            for one in list {
                push(
                    &mut text,
                    format_args!(
                        "- {} ({})\n",
                        at(one, "/measure"),
                        or(at(one, "/timeFrame"), "no time frame")
                    ),
                );
            }
        }
    }
    let date = at(protocol, "/statusModule/lastUpdatePostDateStruct/date");
    text + &format!("\nSource: ClinicalTrials.gov, updated {date}.\n")
}

fn or(text: String, otherwise: &str) -> String {
    if text.is_empty() {
        otherwise.to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_a_globe() {
        let berlin = Near {
            lat: 52.52,
            lon: 13.405,
            km: 1,
        };
        let to_paris = distance_km(berlin, 48.8566, 2.3522);
        assert!((870.0..885.0).contains(&to_paris), "{to_paris}");
        assert!(distance_km(berlin, 52.52, 13.405) < 0.001);
    }
}
