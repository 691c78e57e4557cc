//! The same thing in several vocabularies.

use futures_util::future::join4;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::notation::{self, Reading};
use super::reference;
use super::sources::{Sources, at, many, needed, texts};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::tool::{Cx, Effect, Needs, Tool};

/// How many terms of one vocabulary are given.
const SHOWN: usize = 5;
/// Whose codes MONDO keeps beside a disease, the field of MyDisease they are in, and the name that may stand before them.
const XREFS: [(System, &str, &str); 5] = [
    (System::Mesh, "mesh", "MESH"),
    (System::Snomed, "sctid", "SCTID"),
    (System::Omim, "omim", "OMIM"),
    (System::Umls, "umls", "UMLS"),
    (System::Icd10Cm, "icd10cm", "ICD10CM"),
];

// Vocabulary. Not a doc comment: it would be published with every item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum System {
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
    /// Words, or a code: E11.9, A10BA02, D003920, MONDO:0005148, OMIM:219700, RxCUI.
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

/// What a code stands for.
struct Meaning {
    words: String,
    /// Whether it is a drug; else it is a disease or a finding.
    is_drug: bool,
    /// MyDisease's record, where it was found by the code.
    disease: Option<Value>,
}

impl Meaning {
    fn other(words: String) -> Self {
        Self {
            words,
            is_drug: false,
            disease: None,
        }
    }

    fn drug(words: String) -> Self {
        Self {
            words,
            is_drug: true,
            disease: None,
        }
    }
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
        let readings = notation::readings(asked);
        // A code becomes words first; the other vocabularies know those.
        let meaning = if readings.is_empty() {
            Meaning::other(asked.to_owned())
        } else {
            decoded(cx, asked, &readings, &mut sources).await?
        };
        let is_words = readings.is_empty();
        let (words, is_drug) = (&meaning.words, meaning.is_drug);
        let (drugs, icd10, ontology, disease) = join4(
            drugs(
                cx,
                words,
                (is_words || is_drug) && wants(&[System::Rxnorm, System::Atc])
                    || is_drug && wants(&[System::Mesh, System::Snomed]),
            ),
            icd10(cx, words, !is_drug && wants(&[System::Icd10Cm])),
            ontologies(cx, words, !is_drug && wants(&[System::Mondo, System::Hpo])),
            diseases(
                cx,
                words,
                meaning.disease.clone(),
                !is_drug
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
            let exact = term.label.eq_ignore_ascii_case(words);
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

/// What a code stands for, by the first vocabulary that has it.
async fn decoded(
    cx: &Cx,
    asked: &str,
    readings: &[Reading],
    sources: &mut Sources,
) -> Result<Meaning, ToolError> {
    for (system, code) in readings {
        let Some(meaning) = lookup(cx, *system, code, sources).await else {
            continue;
        };
        if readings.len() > 1 {
            let others = readings.iter().filter(|(other, _)| other != system);
            let others: Vec<&str> = others.map(|(other, _)| other.as_str()).collect();
            sources.warn(format!(
                "{asked} was read as a code of {}; it could be one of {} too: name the vocabulary before it, as in OMIM:219700",
                system.as_str(),
                others.join(" or ")
            ));
        }
        return Ok(meaning);
    }
    sources.check()?;
    if let Some(lacks) = sources.warnings().first() {
        return Err(ToolError::NotFound(format!(
            "no source that answered has the code {asked}; {lacks}"
        )));
    }
    let tried: Vec<&str> = readings.iter().map(|(system, _)| system.as_str()).collect();
    Err(ToolError::NotFound(format!(
        "no source here has {asked} as a code of {}; codes of RxNorm, ATC, ICD-10-CM, MONDO and HPO can be looked up, those \
         of MeSH, SNOMED CT, OMIM and UMLS where MONDO has them for a disease, or RxNorm for a drug (MeSH, SNOMED CT); try words \
         instead",
        tried.join(" or ")
    )))
}

async fn lookup(cx: &Cx, system: System, code: &str, sources: &mut Sources) -> Option<Meaning> {
    let same = |term: &&Term| term.code.eq_ignore_ascii_case(code);
    let label = |terms: Vec<Term>| terms.iter().find(same).map(|term| term.label.clone());
    match system {
        System::Rxnorm => {
            let name = sources.take("RxNorm", drug_name(cx, code).await);
            return name.flatten().map(Meaning::drug);
        }
        System::Icd10Cm => {
            let terms = sources.take("NLM Clinical Tables", icd10(cx, code, true).await);
            return terms.and_then(label).map(Meaning::other);
        }
        System::Mondo | System::Hpo => {
            let terms = sources.take("OLS", ontologies(cx, code, true).await);
            return terms.and_then(label).map(Meaning::other);
        }
        System::Atc | System::Mesh | System::Snomed | System::Omim | System::Umls => {}
    }
    if let Some((_, field, prefix)) = XREFS.iter().find(|(known, _, _)| *known == system) {
        let found = reference::by_code(cx, field, prefix, code).await;
        if let Some(Some(disease)) = sources.take("MyDisease", found) {
            return Some(Meaning {
                words: at(&disease, "/mondo/label"),
                is_drug: false,
                disease: Some(disease),
            });
        }
    }
    let name = coded_drug(cx, id_type(system)?, code).await;
    sources.take("RxNorm", name).flatten().map(Meaning::drug)
}

/// RxNav's name of a vocabulary whose codes of drugs it takes.
const fn id_type(system: System) -> Option<&'static str> {
    match system {
        System::Atc => Some("ATC"),
        System::Mesh => Some("MESH"),
        System::Snomed => Some("SNOMEDCT"),
        System::Rxnorm
        | System::Icd10Cm
        | System::Mondo
        | System::Hpo
        | System::Omim
        | System::Umls => None,
    }
}

/// RxNorm's name of the drug that another vocabulary gives this code.
async fn coded_drug(cx: &Cx, id_type: &str, code: &str) -> Result<Option<String>, ProviderError> {
    let found: Value = cx
        .api
        .at("rxnav")
        .get(&["REST", "rxcui.json"])
        .query("idtype", id_type)
        .query("id", code)
        .send()
        .await?;
    match texts(&found, "/idGroup/rxnormId").first() {
        Some(rxcui) => drug_name(cx, rxcui).await,
        None => Ok(None),
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

/// What MONDO says is the same disease elsewhere; `known` where the disease was found already.
async fn diseases(
    cx: &Cx,
    words: &str,
    known: Option<Value>,
    wanted: bool,
) -> Result<Vec<Term>, ProviderError> {
    if !wanted {
        return Ok(Vec::new());
    }
    let found = match known {
        Some(disease) => Some(disease),
        None => reference::disease(cx, words).await?,
    };
    let Some(disease) = found else {
        return Ok(Vec::new());
    };
    let label = at(&disease, "/mondo/label");
    let mut terms = Vec::new();
    for (system, field, _) in XREFS {
        for code in texts(&disease, &format!("/mondo/xrefs/{field}")) {
            terms.push(Term {
                system,
                // Some fields write the vocabulary's name before the code.
                code: code.rsplit(':').next().unwrap_or_default().to_owned(),
                label: label.clone(),
                source: "MONDO by MyDisease.info",
            });
        }
    }
    terms.truncate(SHOWN * XREFS.len());
    Ok(terms)
}
