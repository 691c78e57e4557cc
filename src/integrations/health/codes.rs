//! The same thing in several vocabularies.

use futures_util::future::join4;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::reference;
use super::sources::{Sources, at, many, needed, texts};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::tool::{Cx, Effect, Needs, Tool};

/// How many terms of one vocabulary are given.
const SHOWN: usize = 5;

// Vocabulary. Not a doc comment: it would be published with every item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum System {
    Rxnorm,
    Atc,
    #[serde(rename = "icd10cm")]
    Icd10Cm,
    Mondo,
    Hpo,
    Mesh,
    Snomed,
    Omim,
    Umls,
}

impl System {
    const ALL: [Self; 9] = [
        Self::Rxnorm,
        Self::Atc,
        Self::Icd10Cm,
        Self::Mondo,
        Self::Hpo,
        Self::Mesh,
        Self::Snomed,
        Self::Omim,
        Self::Umls,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Rxnorm => "RxNorm",
            Self::Atc => "ATC",
            Self::Icd10Cm => "ICD-10-CM",
            Self::Mondo => "MONDO",
            Self::Hpo => "HPO",
            Self::Mesh => "MeSH",
            Self::Snomed => "SNOMED CT",
            Self::Omim => "OMIM",
            Self::Umls => "UMLS",
        }
    }
}

/// Map a term or code to RxNorm, ATC, ICD-10-CM, MONDO, HPO, MeSH, SNOMED CT, OMIM, UMLS.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MapCodes {
    /// Words, or a code: E11.9, MONDO:0005148, HP:0001250, RxCUI.
    q: String,
    /// Default: all.
    #[serde(default)]
    systems: Vec<System>,
}

/// One term of one vocabulary.
struct Term {
    system: System,
    code: String,
    label: String,
    source: &'static str,
}

/// What the text is.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Words,
    Rxcui,
    Icd10,
    Ontology,
}

fn kind(text: &str) -> Kind {
    let is_digit = |c: char| c.is_ascii_digit();
    let upper = text.to_ascii_uppercase();
    if upper.starts_with("MONDO:") || upper.starts_with("HP:") {
        return Kind::Ontology;
    }
    if text.len() <= 8 && text.chars().all(is_digit) {
        return Kind::Rxcui;
    }
    let mut letters = upper.chars();
    let begins = letters.next().is_some_and(|c| c.is_ascii_alphabetic())
        && letters.next().is_some_and(is_digit)
        && letters.next().is_some_and(|c| c.is_ascii_alphanumeric());
    let rest: String = letters.collect();
    let tail = rest.strip_prefix('.').unwrap_or(&rest);
    if begins
        && tail.len() <= 4
        && tail.chars().all(|c| c.is_ascii_alphanumeric())
        && rest.len() != 1
    {
        return Kind::Icd10;
    }
    Kind::Words
}

impl Tool for MapCodes {
    const NAME: &'static str = "health_map_codes";
    const TITLE: &'static str = "Map terms and codes";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = Needs::Nothing;

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let asked = needed("q", &self.q)?;
        let systems = if self.systems.is_empty() {
            &System::ALL[..]
        } else {
            self.systems.as_slice()
        };
        let wants = |some: &[System]| some.iter().any(|system| systems.contains(system));
        let mut sources = Sources::default();
        let kind = kind(asked);
        // A code becomes words first; the other vocabularies know those.
        let words = match kind {
            Kind::Words => Some(asked.to_owned()),
            Kind::Icd10 => {
                let found = sources.take("NLM Clinical Tables", icd10(cx, asked, true).await);
                let code = |term: &&Term| term.code.eq_ignore_ascii_case(asked);
                found.and_then(|terms| terms.iter().find(code).map(|term| term.label.clone()))
            }
            Kind::Ontology => {
                let found = sources.take("OLS", ontologies(cx, asked, true).await);
                let code = |term: &&Term| term.code.eq_ignore_ascii_case(asked);
                found.and_then(|terms| terms.iter().find(code).map(|term| term.label.clone()))
            }
            Kind::Rxcui => sources.take("RxNorm", drug_name(cx, asked).await).flatten(),
        };
        sources.check()?;
        let Some(words) = words else {
            return Err(ToolError::NotFound(format!(
                "no vocabulary has a code {asked}; try words instead"
            )));
        };
        let drug = kind == Kind::Words || kind == Kind::Rxcui;
        let (drugs, icd10, ontology, disease) = join4(
            drugs(cx, &words, drug && wants(&[System::Rxnorm, System::Atc])),
            icd10(cx, &words, kind != Kind::Rxcui && wants(&[System::Icd10Cm])),
            ontologies(
                cx,
                &words,
                kind != Kind::Rxcui && wants(&[System::Mondo, System::Hpo]),
            ),
            diseases(
                cx,
                &words,
                kind != Kind::Rxcui
                    && wants(&[
                        System::Mesh,
                        System::Snomed,
                        System::Omim,
                        System::Umls,
                        System::Icd10Cm,
                    ]),
            ),
        )
        .await;
        let mut terms = sources.take("RxNorm", drugs).unwrap_or_default();
        terms.extend(sources.take("MyDisease", disease).unwrap_or_default());
        terms.extend(
            sources
                .take("NLM Clinical Tables", icd10)
                .unwrap_or_default(),
        );
        terms.extend(sources.take("OLS", ontology).unwrap_or_default());
        let mut items: Vec<Item> = Vec::new();
        for term in terms {
            let known =
                |item: &Item| item.id == term.code && item.fields["system"] == term.system.as_str();
            if !systems.contains(&term.system) || items.iter().any(known) {
                continue;
            }
            let exact = term.label.eq_ignore_ascii_case(&words);
            items.push(
                Item::new(&term.code)
                    .field("system", term.system.as_str())
                    .field("label", term.label)
                    .field("match", if exact { "exact" } else { "similar" })
                    .field("source", term.source),
            );
        }
        items.sort_by_key(|item| item.fields["match"] != "exact");
        sources.warn("similar terms are suggestions: look at the label before using a code");
        sources.output(items)
    }
}

async fn drug_name(cx: &Cx, rxcui: &str) -> Result<Option<String>, ProviderError> {
    let path = ["REST", "rxcui", rxcui, "properties.json"];
    let found: Value = cx.api.at("rxnav").get(&path).send().await?;
    Ok(Some(at(&found, "/properties/name")).filter(|name| !name.is_empty()))
}

/// RxNorm's own id, and the codes of other vocabularies that it keeps beside it.
async fn drugs(cx: &Cx, words: &str, wanted: bool) -> Result<Vec<Term>, ProviderError> {
    if !wanted {
        return Ok(Vec::new());
    }
    let api = cx.api.at("rxnav");
    let found: Value = api
        .get(&["REST", "rxcui.json"])
        .query("name", words)
        .query("search", 2)
        .send()
        .await?;
    let Some(rxcui) = texts(&found, "/idGroup/rxnormId").into_iter().next() else {
        return Ok(Vec::new());
    };
    let codes: Value = api
        .get(&["REST", "rxcui", &rxcui, "allProperties.json"])
        .query("prop", "codes")
        .send()
        .await?;
    let mut terms = vec![Term {
        system: System::Rxnorm,
        code: rxcui,
        label: words.to_owned(),
        source: "RxNorm",
    }];
    for code in many(&codes, "/propConceptGroup/propConcept") {
        let system = match at(code, "/propName").as_str() {
            "ATC" => System::Atc,
            "MESH" => System::Mesh,
            "SNOMEDCT" => System::Snomed,
            _ => continue,
        };
        terms.push(Term {
            system,
            code: at(code, "/propValue"),
            label: words.to_owned(),
            source: "RxNorm",
        });
    }
    Ok(terms)
}

/// Terms of ICD-10-CM by code or words: `[total, codes, extra, [[code, name]]]`.
async fn icd10(cx: &Cx, words: &str, wanted: bool) -> Result<Vec<Term>, ProviderError> {
    if !wanted {
        return Ok(Vec::new());
    }
    let found: Value = cx
        .api
        .at("clinicaltables")
        .get(&["api", "icd10cm", "v3", "search"])
        .query("sf", "code,name")
        .query("terms", words)
        .query("maxList", SHOWN)
        .send()
        .await?;
    let rows = many(&found, "/3").iter();
    Ok(rows
        .map(|row| Term {
            system: System::Icd10Cm,
            code: at(row, "/0"),
            label: at(row, "/1"),
            source: "NLM Clinical Tables",
        })
        .collect())
}

async fn ontologies(cx: &Cx, words: &str, wanted: bool) -> Result<Vec<Term>, ProviderError> {
    if !wanted {
        return Ok(Vec::new());
    }
    let found: Value = cx
        .api
        .at("ols")
        .get(&["ols4", "api", "search"])
        // A hyphen makes the search fail.
        .query("q", words.replace('-', " "))
        .query("ontology", "mondo,hp")
        .query("type", "class")
        .query("rows", SHOWN * 2)
        .send()
        .await?;
    let rows = many(&found, "/response/docs").iter();
    Ok(rows
        .filter_map(|row| {
            let code = at(row, "/obo_id");
            let system = match code.split(':').next()? {
                "MONDO" => System::Mondo,
                "HP" => System::Hpo,
                _ => return None,
            };
            Some(Term {
                system,
                code,
                label: at(row, "/label"),
                source: "OLS",
            })
        })
        .collect())
}

/// What MONDO says is the same disease elsewhere.
async fn diseases(cx: &Cx, words: &str, wanted: bool) -> Result<Vec<Term>, ProviderError> {
    if !wanted {
        return Ok(Vec::new());
    }
    let Some(disease) = reference::disease(cx, words).await? else {
        return Ok(Vec::new());
    };
    let label = at(&disease, "/mondo/label");
    let others = [
        ("mesh", System::Mesh),
        ("sctid", System::Snomed),
        ("omim", System::Omim),
        ("umls", System::Umls),
        ("icd10cm", System::Icd10Cm),
    ];
    let mut terms = Vec::new();
    for (name, system) in others {
        for code in texts(&disease, &format!("/mondo/xrefs/{name}")) {
            terms.push(Term {
                system,
                code,
                label: label.clone(),
                source: "MONDO by MyDisease.info",
            });
        }
    }
    terms.truncate(SHOWN * others.len());
    Ok(terms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_from_words() {
        for (text, expected) in [
            ("E11.9", Kind::Icd10),
            ("I10", Kind::Icd10),
            ("S72.001A", Kind::Icd10),
            ("11289", Kind::Rxcui),
            ("MONDO:0005148", Kind::Ontology),
            ("hp:0001250", Kind::Ontology),
            ("asthma", Kind::Words),
            ("B12 deficiency", Kind::Words),
            ("T2", Kind::Words),
        ] {
            assert_eq!(kind(text), expected, "{text}");
        }
    }
}
