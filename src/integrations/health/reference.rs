//! A card about a disease: what it is, its features and genes, words for patients, and guidelines.

use futures_util::future::{join, join3};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::literature;
use super::sources::{NO_ADVICE, Sources, at, many, needed, quoted, short, texts};
use super::xml::{self, Event, Reader, attribute};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::tool::{Cx, Effect, Needs, Tool};
use crate::kit::uri;

/// How many features, genes and guidelines are listed.
const SHOWN: u32 = 20;
/// How many guidelines are listed.
const GUIDELINES: u32 = 5;

// Part of the card. Not a doc comment: it would be published with every item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Section {
    Definition,
    Phenotypes,
    Genes,
    Patient,
    Guidelines,
}

/// For whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Audience {
    #[default]
    Professional,
    Patient,
}

/// Look up a disease or condition: definition, phenotypes, genes, plain-language text, practice guidelines.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LookupReference {
    /// Name, or MONDO id.
    q: String,
    /// Chooses the default sections.
    #[serde(default)]
    audience: Audience,
    /// Which.
    #[serde(default)]
    sections: Vec<Section>,
}

impl Tool for LookupReference {
    const NAME: &'static str = "health_lookup_reference";
    const TITLE: &'static str = "Look up a condition";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = Needs::Nothing;

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let q = needed("q", &self.q)?;
        let sections = match (self.sections.as_slice(), self.audience) {
            ([], Audience::Patient) => vec![Section::Definition, Section::Patient],
            ([], Audience::Professional) => {
                vec![
                    Section::Definition,
                    Section::Phenotypes,
                    Section::Genes,
                    Section::Guidelines,
                ]
            }
            (some, _) => some.to_vec(),
        };
        let has = |section| sections.contains(&section);
        let mut sources = Sources::default();
        let disease = sources.take("MyDisease", disease(cx, q).await).flatten();
        if let Some(found) = disease.as_ref().filter(|found| !is_called(found, q)) {
            sources.warn(format!(
                "no disease of MONDO is called exactly {q:?}; this is the nearest, {}",
                at(found, "/mondo/label")
            ));
        }
        let mondo = disease
            .as_ref()
            .map(|disease| at(disease, "/_id"))
            .unwrap_or_default();
        let label = disease
            .as_ref()
            .map(|disease| at(disease, "/mondo/label"))
            .filter(|label| !label.is_empty());
        let name = label.unwrap_or_else(|| q.to_owned());
        let ((phenotypes, genes), patient, guidelines) = join3(
            join(
                associations(
                    cx,
                    &mondo,
                    "subject",
                    "object",
                    "biolink:PhenotypicFeature",
                    has(Section::Phenotypes),
                ),
                associations(
                    cx,
                    &mondo,
                    "object",
                    "subject",
                    "biolink:Gene",
                    has(Section::Genes),
                ),
            ),
            topic(cx, &name, has(Section::Patient)),
            guidelines(cx, &name, has(Section::Guidelines)),
        )
        .await;
        let mut item =
            Item::new(if mondo.is_empty() { &name } else { &mondo }).field("name", name.clone());
        if !mondo.is_empty() {
            item.url = Some(format!("https://monarchinitiative.org/{mondo}"));
        }
        if let (Some(disease), true) = (&disease, has(Section::Definition)) {
            let definition = at(disease, "/mondo/definition");
            item.set("definition", json!({ "says": short(&definition, 2_000), "source": "MONDO by MyDisease.info, CC BY 4.0" }));
            let mut synonyms = texts(disease, "/mondo/synonym/exact");
            synonyms.truncate(10);
            item.set("synonyms", synonyms);
        }
        if let Some(list) = sources.take("Monarch's phenotypes", phenotypes) {
            item.set("phenotypes", list);
        }
        if let Some(list) = sources.take("Monarch's genes", genes) {
            item.set("genes", list);
        }
        if let Some(Some(topic)) = sources.take("MedlinePlus", patient) {
            item.set("patient", topic);
        }
        if let Some(list) = sources.take("PubMed's guidelines", guidelines) {
            let list = list.iter().map(|found| guideline(cx, found));
            item.set("guidelines", list.collect::<Vec<_>>());
        }
        sources.check()?;
        let empty = ["definition", "patient", "guidelines"]
            .iter()
            .all(|part| !item.fields.contains_key(*part));
        if disease.is_none() && empty {
            return Err(ToolError::NotFound(format!(
                "no source knows a condition called {q}; try its usual English name"
            )));
        }
        if disease.is_none() {
            sources.warn(format!("MONDO has no disease called {q:?}"));
        }
        sources.warn(NO_ADVICE);
        sources.output(vec![item])
    }
}

/// The disease of this name or id in MONDO.
pub(super) async fn disease(cx: &Cx, q: &str) -> Result<Option<Value>, ProviderError> {
    let query = if q.to_ascii_uppercase().starts_with("MONDO:") {
        format!("_id:{}", quoted(&q.to_ascii_uppercase()))
    } else {
        let name = quoted(&q.to_lowercase());
        format!("mondo.label:{name} OR mondo.synonym.exact:{name}")
    };
    let hits = diseases(cx, &query).await?;
    // The one of exactly this name, else one of exactly this synonym, else the best.
    let exact = hits
        .iter()
        .find(|hit| at(hit, "/mondo/label").eq_ignore_ascii_case(q))
        .or_else(|| hits.iter().find(|hit| is_called(hit, q)));
    Ok(exact.or(hits.first()).cloned())
}

/// The disease that has this code in a field of MONDO's cross-references, where codes may stand with or without `prefix`.
pub(super) async fn by_code(
    cx: &Cx,
    field: &str,
    prefix: &str,
    code: &str,
) -> Result<Option<Value>, ProviderError> {
    let whole = format!("{prefix}:{code}");
    let query = format!(
        "mondo.xrefs.{field}:{} OR mondo.xrefs.{field}:{}",
        quoted(code),
        quoted(&whole)
    );
    let hits = diseases(cx, &query).await?;
    let place = format!("/mondo/xrefs/{field}");
    let has_it = |hit: &Value| {
        let codes = texts(hit, &place);
        let is_it = |known: &String| known == code || *known == whole;
        codes.iter().any(is_it) && !at(hit, "/mondo/label").is_empty()
    };
    Ok(hits.into_iter().find(has_it))
}

async fn diseases(cx: &Cx, query: &str) -> Result<Vec<Value>, ProviderError> {
    let found: Value = cx
        .api
        .at("mydisease")
        .get(&["v1", "query"])
        .query("q", query)
        .query(
            "fields",
            "mondo.label,mondo.definition,mondo.synonym.exact,mondo.xrefs",
        )
        .query("size", 5)
        .send()
        .await?;
    Ok(many(&found, "/hits").to_vec())
}

/// Whether a disease has exactly this id, name or synonym, and not only its words.
fn is_called(disease: &Value, q: &str) -> bool {
    let own = [at(disease, "/_id"), at(disease, "/mondo/label")];
    let synonyms = texts(disease, "/mondo/synonym/exact");
    let mut names = own.iter().chain(&synonyms);
    names.any(|name| name.eq_ignore_ascii_case(q))
}

async fn associations(
    cx: &Cx,
    mondo: &str,
    side: &str,
    other: &str,
    category: &str,
    wanted: bool,
) -> Result<Vec<Value>, ProviderError> {
    if !wanted || mondo.is_empty() {
        return Ok(Vec::new());
    }
    let found: Value = cx
        .api
        .at("monarch")
        .get(&["v3", "api", "association"])
        .query(side, mondo)
        .query(&format!("{other}_category"), category)
        .query("limit", SHOWN)
        .send()
        .await?;
    let list = many(&found, "/items").iter().map(|one| {
        let mut shown = json!({
            "id": at(one, &format!("/{other}")), "name": at(one, &format!("/{other}_label")),
            "source": at(one, "/primary_knowledge_source").trim_start_matches("infores:"),
        });
        let often = at(one, "/frequency_qualifier_label");
        if !often.is_empty() {
            shown["frequency"] = often.into();
        }
        let relation = at(one, "/predicate");
        if category == "biolink:Gene" {
            shown["relation"] = relation
                .trim_start_matches("biolink:")
                .replace('_', " ")
                .into();
        }
        shown
    });
    Ok(list.collect())
}

/// MedlinePlus's text for patients.
async fn topic(cx: &Cx, name: &str, wanted: bool) -> Result<Option<Value>, ProviderError> {
    if !wanted {
        return Ok(None);
    }
    let answer = cx
        .api
        .at("medlineplus")
        .get(&["ws", "query"])
        .query("db", "healthTopics")
        .query("term", name)
        .query("retmax", 1)
        .query("tool", "workbench-mcp")
        .accept("application/xml")
        .text()
        .await?;
    Ok(read_topic(&answer.body))
}

/// Reads the first `document`.
fn read_topic(document: &str) -> Option<Value> {
    let (mut url, mut title, mut summary) = (None, String::new(), String::new());
    let mut field = String::new();
    for event in Reader::new(document) {
        match event {
            Event::Start("document", _) if url.is_some() => break,
            Event::Start("document", attributes) => {
                url = Some(attribute(attributes, "url").unwrap_or_default());
            }
            Event::Start("content", attributes) => {
                field = attribute(attributes, "name").unwrap_or_default();
            }
            Event::End("content") => field.clear(),
            Event::Text(text) if field == "title" => title.push_str(&text),
            Event::Text(text) if field == "FullSummary" => summary.push_str(&text),
            Event::Start(..) | Event::End(_) | Event::Text(_) => {}
        }
    }
    let url = url?;
    // The text is HTML within XML, and the words that matched are marked with more of it.
    let says = short(&xml::plain(&summary), 4_000);
    Some(json!({ "title": xml::plain(&title), "says": says, "url": url, "source": "MedlinePlus" }))
}

async fn guidelines(cx: &Cx, name: &str, wanted: bool) -> Result<Vec<Value>, ProviderError> {
    if !wanted {
        return Ok(Vec::new());
    }
    let found: Value = cx
        .api
        .at("eutils")
        .get(&["entrez", "eutils", "esearch.fcgi"])
        .query("db", "pubmed")
        .query(
            "term",
            format!("{}[ti] AND practice guideline[pt]", quoted(name)),
        )
        .query("retmode", "json")
        .query("retmax", GUIDELINES)
        .query("sort", "pub_date")
        .query("tool", "workbench-mcp")
        .send()
        .await?;
    literature::summaries(cx, &texts(&found, "/esearchresult/idlist")).await
}

fn guideline(cx: &Cx, found: &Value) -> Value {
    let pmid = at(found, "/uid");
    let date = at(found, "/sortpubdate").replace('/', "-");
    json!({
        "title": xml::plain(&at(found, "/title")), "journal": at(found, "/fulljournalname"), "date": date.get(..10),
        "pmid": pmid, "uri": cx.uri(&format!("articles/{}", uri::encode(&pmid))), "source": "PubMed",
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

    use super::*;

    #[test]
    fn the_first_topic_is_read() {
        let topic = read_topic(
            r#"<nlmSearchResult><list num="2"><document rank="0" url="https://medlineplus.gov/asthma.html">
            <content name="title">&lt;span class="qt0"&gt;Asthma&lt;/span&gt;</content>
            <content name="FullSummary">&lt;p&gt;Asthma is a &lt;b&gt;disease&lt;/b&gt;.&lt;/p&gt;</content></document>
            <document rank="1" url="x"><content name="title">Other</content></document></list></nlmSearchResult>"#,
        )
        .unwrap();
        assert_eq!(topic["title"], "Asthma");
        assert_eq!(topic["says"], "Asthma is a disease.");
        assert_eq!(topic["url"], "https://medlineplus.gov/asthma.html");
        assert_eq!(read_topic("<nlmSearchResult></nlmSearchResult>"), None);
    }
}
