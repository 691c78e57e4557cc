//! One variant: its names, what ClinVar says, how common it is, what predictors think, and which drugs it matters for.

use futures_util::future::join3;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::hgvs::Name;
use super::sources::{Sources, at, many, needed, push, texts};
use crate::kit::block::{Content, ContextBlock};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::tool::{Cx, Effect, Needs, Tool};
use crate::kit::uri;

/// How gnomAD is asked for a variant.
const FREQUENCY: &str = "query Frequency($id: String, $rsid: String) { variant(variantId: $id, rsid: $rsid, dataset: gnomad_r4) \
     { variant_id rsids exome { ac an homozygote_count populations { id ac an } } \
     genome { ac an homozygote_count populations { id ac an } } } }";
/// What MyVariant is asked for: only sources whose terms let everybody read them.
const FIELDS: &str = "dbsnp.rsid,clinvar.variant_id,clinvar.gene.symbol,clinvar.hgvs,clinvar.chrom,clinvar.hg19,clinvar.hg38,\
     clinvar.ref,clinvar.alt,dbnsfp.genename,dbnsfp.hgvsp,dbnsfp.revel,dbnsfp.alphamissense,cadd.phred,cadd.consequence";
/// How many other alleles and annotations are listed.
const SHOWN: usize = 10;

// Part of what is known. Not a doc comment: it would be published with every item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Section {
    Clinvar,
    Frequency,
    Predictions,
    Pgx,
}

/// Get a human variant: names, ClinVar, gnomAD frequency, predictions, pharmacogenomics.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetVariant {
    /// rsID, HGVS (chr7:g.… is GRCh37), 7-140753336-A-T (GRCh38), or gene and change: BRAF V600E.
    id: String,
    /// Default: all but pgx.
    #[serde(default)]
    sections: Vec<Section>,
}

impl Tool for GetVariant {
    const NAME: &'static str = "health_get_variant";
    const TITLE: &'static str = "Get a variant";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = Needs::Nothing;

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let sections = if self.sections.is_empty() {
            vec![Section::Clinvar, Section::Frequency, Section::Predictions]
        } else {
            self.sections
        };
        let mut sources = Sources::default();
        let item = read(cx, &self.id, &sections, &mut sources).await?;
        sources.output(vec![item])
    }
}

async fn read(
    cx: &Cx,
    id: &str,
    sections: &[Section],
    sources: &mut Sources,
) -> Result<Item, ToolError> {
    let name = Name::parse(needed("id", id)?)?;
    let has = |section| sections.contains(&section);
    let (hits, mut frequency) = find(cx, &name, sources).await;
    sources.check()?;
    let Some(hit) = hits.first() else {
        return match frequency {
            Some(found) => {
                if sections != [Section::Frequency] {
                    sources.warn(why_gnomad_alone(&found));
                }
                Ok(of_gnomad_alone(cx, &found))
            }
            None => Err(ToolError::NotFound(format!(
                "no source knows the variant {id}; check the reference genome and the spelling"
            ))),
        };
    };
    let own = at(hit, "/_id");
    let rsid = at(hit, "/dbsnp/rsid");
    let position = position_of(hit);
    let wants_frequency = has(Section::Frequency) && frequency.is_none();
    let clinvar_id = at(hit, "/clinvar/variant_id");
    let (clinvar, found, pgx) = join3(
        clinvar(cx, &clinvar_id, has(Section::Clinvar)),
        async {
            match (wants_frequency, &position, rsid.as_str()) {
                (true, Some(position), _) => gnomad(cx, Some(position), None).await,
                (true, None, rsid) if !rsid.is_empty() => gnomad(cx, None, Some(rsid)).await,
                _ => Ok(None),
            }
        },
        clinpgx(cx, &rsid, has(Section::Pgx)),
    )
    .await;
    if wants_frequency {
        frequency = sources.take("gnomAD", found).flatten();
    }
    let id = if rsid.is_empty() { &own } else { &rsid };
    let mut item = Item::new(id).uri(cx.uri(&format!("variants/{}", uri::encode(id))));
    if !clinvar_id.is_empty() {
        item.url = Some(format!(
            "https://www.ncbi.nlm.nih.gov/clinvar/variation/{clinvar_id}/"
        ));
    } else if !rsid.is_empty() {
        item.url = Some(format!("https://www.ncbi.nlm.nih.gov/snp/{rsid}"));
    }
    item.set("names", names(hit, position.as_deref()));
    item.set("genes", genes(hit));
    item.set("consequence", at(hit, "/cadd/consequence").to_lowercase());
    if hits.len() > 1 {
        let others: Vec<String> = hits.iter().skip(1).map(|hit| at(hit, "/_id")).collect();
        sources.warn(format!(
            "several variants fit; the first is shown, the others are {} (GRCh37)",
            others.join(", ")
        ));
    }
    if let Some(Some(facts)) = sources.take("ClinVar", clinvar) {
        item.set("clinvar", facts);
    } else if has(Section::Clinvar) && clinvar_id.is_empty() {
        sources.warn("ClinVar has no record of it; that says nothing about its meaning");
    }
    if has(Section::Frequency) {
        item.set(
            "frequency",
            frequency.as_ref().map_or(Value::Null, of_gnomad),
        );
    }
    if has(Section::Predictions) {
        item.set("predictions", predictions(hit));
    }
    if let Some(list) = sources.take("ClinPGx", pgx) {
        item.set("pgx", list);
    }
    Ok(item)
}

/// What MyVariant knows by this name; of a position, gnomAD's record too.
async fn find(cx: &Cx, name: &Name, sources: &mut Sources) -> (Vec<Value>, Option<Value>) {
    let mut frequency = None;
    let mut query = name.query();
    // A position on GRCh38 is gnomAD's; it says which rsID MyVariant knows the variant by.
    if let Name::Position(position) = name {
        let found = gnomad(cx, Some(position), None).await;
        frequency = sources.take("gnomAD", found).flatten();
        let rsid = frequency.as_ref().map(|found| at(found, "/rsids/0"));
        query = rsid
            .filter(|rsid| !rsid.is_empty())
            .map(|rsid| format!("dbsnp.rsid:{rsid}"));
    }
    let mut hits = match &query {
        Some(query) => sources
            .take("MyVariant", my_variant(cx, query).await)
            .unwrap_or_default(),
        None => Vec::new(),
    };
    if let Name::Position(position) = name
        && !keep_allele(&mut hits, position)
        && !hits.is_empty()
    {
        sources.warn(format!(
            "MyVariant does not say where on GRCh38 this change is, so it was found by its rsID alone and may be another \
             allele than {position}; compare the names"
        ));
    }
    (hits, frequency)
}

/// Keeps what is at `position`, or may be: several alleles share an rsID. Returns whether the place of what is left is
/// known; insertions and deletions have none that can be compared.
fn keep_allele(hits: &mut Vec<Value>, position: &str) -> bool {
    let is_there = |hit: &Value| position_of(hit).as_deref() == Some(position);
    let known = hits.iter().any(is_there);
    hits.retain(|hit| {
        if known {
            return is_there(hit);
        }
        // `chr7:g.140453136A>T` says which bases change, though where on the other assembly.
        let id = at(hit, "/_id");
        let other = id.rsplit_once('>').is_some_and(|(before, after)| {
            let base = before.chars().next_back().unwrap_or_default();
            !position.ends_with(&format!("-{base}-{after}"))
        });
        position_of(hit).is_none() && !other
    });
    known
}

/// What is missing from an answer of gnomAD alone, and why.
fn why_gnomad_alone(found: &Value) -> String {
    let rsid = at(found, "/rsids/0");
    let why = if rsid.is_empty() {
        "gnomAD gives this variant no rsID, so MyVariant and ClinVar were not asked".to_owned()
    } else {
        format!("MyVariant gave no record of this allele of {rsid}, so ClinVar was not asked")
    };
    format!("{why}; that says nothing about its meaning")
}

async fn my_variant(cx: &Cx, query: &str) -> Result<Vec<Value>, ProviderError> {
    let found: Value = cx
        .api
        .at("myvariant")
        .get(&["v1", "query"])
        .query("q", query)
        .query("fields", FIELDS)
        .query("size", SHOWN)
        .send()
        .await?;
    Ok(many(&found, "/hits").to_vec())
}

async fn gnomad(
    cx: &Cx,
    position: Option<&str>,
    rsid: Option<&str>,
) -> Result<Option<Value>, ProviderError> {
    let found: Value = cx
        .api
        .at("gnomad")
        .post(&["api"])
        .json(&json!({ "query": FREQUENCY, "variables": { "id": position, "rsid": rsid } }))
        .reads()
        .send()
        .await?;
    let variant = &found["data"]["variant"];
    if variant.is_object() {
        return Ok(Some(variant.clone()));
    }
    let problem = at(&found, "/errors/0/message");
    if problem.is_empty() || problem.to_lowercase().contains("not found") {
        return Ok(None);
    }
    Err(ProviderError::Unavailable { reason: problem })
}

async fn clinvar(cx: &Cx, id: &str, wanted: bool) -> Result<Option<Value>, ProviderError> {
    if !wanted || id.is_empty() {
        return Ok(None);
    }
    let found: Value = cx
        .api
        .at("eutils")
        .get(&["entrez", "eutils", "esummary.fcgi"])
        .query("db", "clinvar")
        .query("id", id)
        .query("retmode", "json")
        .query("tool", "workbench-mcp")
        .send()
        .await?;
    let record = &found["result"][id];
    if !record.is_object() {
        return Ok(None);
    }
    let mut facts = Map::new();
    facts.insert("accession".to_owned(), at(record, "/accession").into());
    facts.insert("title".to_owned(), at(record, "/title").into());
    for (name, field) in [
        ("germline", "germline_classification"),
        ("oncogenicity", "oncogenicity_classification"),
        ("clinical_impact", "clinical_impact_classification"),
    ] {
        let found = &record[field];
        let says = at(found, "/description");
        if says.is_empty() {
            continue;
        }
        let conditions: Vec<String> = many(found, "/trait_set")
            .iter()
            .take(SHOWN)
            .map(|one| at(one, "/trait_name"))
            .collect();
        let date = at(found, "/last_evaluated").replace('/', "-");
        facts.insert(
            name.to_owned(),
            json!({
                "says": says, "review": at(found, "/review_status"), "date": date.get(..10), "conditions": conditions,
            }),
        );
    }
    facts.insert("source".to_owned(), "ClinVar".into());
    Ok(Some(Value::Object(facts)))
}

async fn clinpgx(cx: &Cx, rsid: &str, wanted: bool) -> Result<Vec<Value>, ProviderError> {
    if !wanted || rsid.is_empty() {
        return Ok(Vec::new());
    }
    let found: Result<Value, ProviderError> = cx
        .api
        .at("clinpgx")
        .get(&["v1", "data", "clinicalAnnotation"])
        .query("location.fingerprint", rsid)
        .query("view", "base")
        .send()
        .await;
    let found = match found {
        Err(ProviderError::NotFound) => return Ok(Vec::new()),
        found => found?,
    };
    let list = many(&found, "/data").iter().take(SHOWN).map(|one| {
        let drugs: Vec<String> = many(one, "/relatedChemicals")
            .iter()
            .map(|chemical| at(chemical, "/name"))
            .collect();
        let alleles: Vec<Value> = many(one, "/allelePhenotypes")
            .iter()
            .map(|allele| json!({ "allele": at(allele, "/allele"), "says": at(allele, "/phenotype") }))
            .collect();
        json!({
            "drugs": drugs, "level": at(one, "/levelOfEvidence/term"), "alleles": alleles,
            "url": format!("https://www.clinpgx.org/clinicalAnnotation/{}", at(one, "/id")), "source": "ClinPGx, CC BY-SA 4.0",
        })
    });
    Ok(list.collect())
}

/// The variant on GRCh38 as gnomAD names it, where ClinVar knows the place and single bases change.
fn position_of(hit: &Value) -> Option<String> {
    let clinvar = &hit["clinvar"];
    let part = |pointer: &str| Some(at(clinvar, pointer)).filter(|text| !text.is_empty());
    let (before, after) = (part("/ref")?, part("/alt")?);
    let single = before.len() == 1 && after.len() == 1;
    let (chromosome, start) = (part("/chrom")?, part("/hg38/start")?);
    single.then(|| format!("{chromosome}-{start}-{before}-{after}"))
}

fn names(hit: &Value, position: Option<&str>) -> Value {
    let mut names = Map::new();
    let mut add = |name: &str, value: Value| {
        let empty = matches!(&value, Value::String(text) if text.is_empty())
            || matches!(&value, Value::Array(list) if list.is_empty())
            || value.is_null();
        if !empty {
            names.insert(name.to_owned(), value);
        }
    };
    add("rsid", at(hit, "/dbsnp/rsid").into());
    add("grch37", at(hit, "/_id").into());
    add("grch38", json!(position));
    for (name, pointer) in [
        ("coding", "/clinvar/hgvs/coding"),
        ("protein", "/dbnsfp/hgvsp"),
    ] {
        let mut list = texts(hit, pointer);
        list.truncate(SHOWN);
        add(name, list.into());
    }
    Value::Object(names)
}

fn genes(hit: &Value) -> Vec<String> {
    let mut genes = texts(hit, "/dbnsfp/genename");
    genes.extend(texts(hit, "/clinvar/gene/symbol"));
    genes.sort();
    genes.dedup();
    genes
}

fn predictions(hit: &Value) -> Value {
    let mut found = Map::new();
    for (name, pointer) in [
        ("cadd_phred", "/cadd/phred"),
        ("revel", "/dbnsfp/revel/score"),
        ("alphamissense", "/dbnsfp/alphamissense/score"),
    ] {
        // One score for each transcript; the gravest is what people quote.
        let scores = many(hit, pointer).iter().filter_map(Value::as_f64);
        if let Some(score) = scores.reduce(f64::max) {
            found.insert(name.to_owned(), json!(score));
        }
    }
    if !found.is_empty() {
        found.insert("source".to_owned(), "MyVariant.info (dbNSFP, CADD)".into());
    }
    Value::Object(found)
}

/// Four digits say all that counts of people can.
fn rounded(share: f64) -> f64 {
    format!("{share:.3e}").parse().unwrap_or(share)
}

fn of_gnomad(found: &Value) -> Value {
    let part = |name: &str| {
        let data = &found[name];
        let count = |value: &Value, field: &str| value[field].as_f64();
        let share = |value: &Value| match (count(value, "ac"), count(value, "an")) {
            (Some(ac), Some(an)) if an > 0.0 => Some(rounded(ac / an)),
            _ => None,
        };
        let populations = many(data, "/populations").iter().filter_map(|population| {
            let id = at(population, "/id");
            // The same again by sex, and parts of a population, say nothing that is short.
            let plain = !id.contains('_') && id != "XX" && id != "XY";
            Some((id, share(population)?)).filter(|(_, share)| plain && *share > 0.0)
        });
        let populations: Map<String, Value> =
            populations.map(|(id, share)| (id, json!(share))).collect();
        data.is_object().then(|| {
            json!({
                "alleles": data["ac"], "of": data["an"], "frequency": share(data),
                "homozygotes": data["homozygote_count"], "populations": populations,
            })
        })
    };
    let id = at(found, "/variant_id");
    json!({
        "exomes": part("exome"), "genomes": part("genome"), "source": "gnomAD v4",
        "url": format!("https://gnomad.broadinstitute.org/variant/{id}?dataset=gnomad_r4"),
    })
}

fn of_gnomad_alone(cx: &Cx, found: &Value) -> Item {
    let id = at(found, "/variant_id");
    Item::new(&id)
        .uri(cx.uri(&format!("variants/{}", uri::encode(&id))))
        .url(format!(
            "https://gnomad.broadinstitute.org/variant/{id}?dataset=gnomad_r4"
        ))
        .field(
            "names",
            json!({ "grch38": id, "rsid": at(found, "/rsids/0") }),
        )
        .field("frequency", of_gnomad(found))
}

/// `health://variants/{id}`.
#[derive(Deserialize)]
pub(super) struct VariantBlock {
    id: String,
}

impl ContextBlock for VariantBlock {
    const URI: &'static str = "health://variants/{id}";
    const NAME: &'static str = "health_variant";
    const TITLE: &'static str = "Variant";
    const DESCRIPTION: &'static str = "A human variant: names, ClinVar, frequency, predictions.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = Needs::Nothing;

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let mut sources = Sources::default();
        let sections = [Section::Clinvar, Section::Frequency, Section::Predictions];
        let item = read(cx, &self.id, &sections, &mut sources).await?;
        let mut content = Content::text(markdown(&item, sources.warnings()));
        content.url = item.url;
        Ok(content)
    }
}

fn markdown(item: &Item, warnings: &[String]) -> String {
    let fields = Value::Object(item.fields.clone());
    let mut text = format!("# {}\n", item.id);
    for (name, value) in fields["names"].as_object().into_iter().flatten() {
        let value = if value.is_array() {
            texts(value, "").join(", ")
        } else {
            at(value, "")
        };
        push(&mut text, format_args!("- {name}: {value}\n"));
    }
    push(
        &mut text,
        format_args!("- genes: {}\n", texts(&fields, "/genes").join(", ")),
    );
    let clinvar = &fields["clinvar"];
    if clinvar.is_object() {
        push(
            &mut text,
            format_args!(
                "\n## ClinVar\n\n{} ({})\n\n",
                at(clinvar, "/title"),
                at(clinvar, "/accession")
            ),
        );
        for name in ["germline", "oncogenicity", "clinical_impact"] {
            let found = &clinvar[name];
            if found.is_object() {
                push(
                    &mut text,
                    format_args!(
                        "- {}: {} ({}, {}); {}\n",
                        name.replace('_', " "),
                        at(found, "/says"),
                        at(found, "/review"),
                        at(found, "/date"),
                        texts(found, "/conditions").join(", ")
                    ),
                );
            }
        }
    }
    let frequency = &fields["frequency"];
    if frequency.is_object() {
        text += "\n## Frequency (gnomAD v4)\n\n";
        for part in ["exomes", "genomes"] {
            let found = &frequency[part];
            if found.is_object() {
                push(
                    &mut text,
                    format_args!(
                        "- {part}: {} of {} alleles, {} homozygotes\n",
                        at(found, "/alleles"),
                        at(found, "/of"),
                        at(found, "/homozygotes")
                    ),
                );
            }
        }
    }
    if let Some(predictions) = fields["predictions"].as_object() {
        text += "\n## Predictions\n\n";
        for (name, value) in predictions {
            push(
                &mut text,
                format_args!(
                    "- {name}: {}\n",
                    value
                        .as_str()
                        .map_or_else(|| value.to_string(), ToOwned::to_owned)
                ),
            );
        }
    }
    for warning in warnings {
        push(&mut text, format_args!("\n{warning}.\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(ids: &[(&str, bool)], position: &str) -> (bool, Vec<String>) {
        let clinvar = json!({
            "chrom": "7", "hg38": { "start": 140_753_336 }, "ref": "A", "alt": "T",
        });
        let hits = ids.iter().map(|(id, placed)| {
            let clinvar = if *placed { &clinvar } else { &Value::Null };
            json!({ "_id": id, "clinvar": clinvar })
        });
        let mut hits: Vec<Value> = hits.collect();
        let known = keep_allele(&mut hits, position);
        (known, hits.iter().map(|hit| at(hit, "/_id")).collect())
    }

    #[test]
    fn only_what_is_certainly_another_allele_goes() {
        let place = "7-140753336-A-T";
        let (here, other) = ("chr7:g.140453136A>T", "chr7:g.140453136A>G");
        let all = [(here, true), (other, false)];
        assert_eq!(kept(&all, place), (true, vec![here.to_owned()]));
        let all = [(here, false), (other, false)];
        assert_eq!(kept(&all, place), (false, vec![here.to_owned()]));
        // Its place is known, and is another one.
        assert_eq!(kept(&[(here, true)], "7-140753337-A-T"), (false, vec![]));
        let deletion = "chr7:g.55242466_55242480del";
        let all = [(deletion, false), (here, false)];
        assert_eq!(
            kept(&all, "7-55174772-GGAATTAAGAGAAGCA-G"),
            (false, vec![deletion.to_owned()])
        );
    }
}
