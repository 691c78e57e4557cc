//! One gene: what it is, where it is, what its protein does, and what it means for diseases and drugs.

use futures_util::future::join5;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::sources::{Sources, at, many, needed, push, short, texts};
use crate::kit::block::{Content, ContextBlock};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};
use crate::kit::uri;

/// How many pathways, diseases and drugs are listed.
const SHOWN: usize = 25;
/// How gnomAD is asked for a gene.
const CONSTRAINT: &str = "query Constraint($symbol: String!) { gene(gene_symbol: $symbol, reference_genome: GRCh38) \
     { gnomad_constraint { pLI oe_lof_upper mis_z } } }";
/// How Open Targets is asked for what a gene is associated with
/// (<https://platform-docs.opentargets.org/data-access/graphql-api>).
const ASSOCIATIONS: &str = "query Associations($id: String!, $size: Int!) { meta { dataVersion { year month } } \
     target(ensemblId: $id) { associatedDiseases(page: { index: 0, size: $size }) \
     { count rows { score disease { id name } datatypeScores { id score } } } } }";

// Part of what is known. Not a doc comment: it would be published with every item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Section {
    Protein,
    Pathways,
    Diseases,
    Constraint,
    Drugs,
}

/// Get a human gene: summary and coordinates; protein, pathways, diseases, constraint, drugs on request.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetGene {
    /// HGNC symbol, such as BRCA1.
    symbol: String,
    /// Default: protein.
    #[serde(default)]
    sections: Vec<Section>,
}

impl Tool for GetGene {
    const NAME: &'static str = "health_get_gene";
    const TITLE: &'static str = "Get a gene";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = Needs::Nothing;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["symbol"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let sections = if self.sections.is_empty() {
            vec![Section::Protein]
        } else {
            self.sections
        };
        let mut sources = Sources::default();
        let item = read(cx, &self.symbol, &sections, &mut sources).await?;
        sources.output(vec![item])
    }
}

async fn read(
    cx: &Cx,
    symbol: &str,
    sections: &[Section],
    sources: &mut Sources,
) -> Result<Item, ToolError> {
    let symbol = needed("symbol", symbol)?.to_ascii_uppercase();
    let is_symbol = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if symbol.len() > 30 || !symbol.chars().all(is_symbol) {
        return Err(ToolError::Invalid(
            "`symbol` must be a gene symbol such as BRCA1".to_owned(),
        ));
    }
    let has = |section| sections.contains(&section);
    let protein = has(Section::Protein) || has(Section::Diseases);
    let (gene, place, protein, constraint, drugs) = join5(
        my_gene(cx, &symbol),
        ensembl(cx, &symbol),
        uniprot(cx, &symbol, protein),
        gnomad(cx, &symbol, has(Section::Constraint)),
        cpic(cx, &symbol, has(Section::Drugs)),
    )
    .await;
    let gene = sources.take("MyGene", gene).flatten();
    let place = sources.take("Ensembl", place);
    let protein = sources.take("UniProt", protein).flatten();
    sources.check()?;
    if gene.is_none() && place.is_none() && protein.is_none() {
        return Err(ToolError::NotFound(format!(
            "neither NCBI Gene nor Ensembl knows a human gene {symbol}; use its current HGNC symbol"
        )));
    }
    let mut item = Item::new(&symbol).uri(cx.uri(&format!("genes/{}", uri::encode(&symbol))));
    if let Some(gene) = &gene {
        let entrez = at(gene, "/entrezgene");
        item.url = Some(format!("https://www.ncbi.nlm.nih.gov/gene/{entrez}"));
        item.set("name", at(gene, "/name"));
        item.set("summary", short(&at(gene, "/summary"), 3_000));
        item.set("aliases", texts(gene, "/alias"));
        item.set("type", at(gene, "/type_of_gene"));
        item.set(
            "ids",
            json!({
                "entrez": entrez, "ensembl": texts(gene, "/ensembl/gene"), "uniprot": texts(gene, "/uniprot/Swiss-Prot"),
                "omim": at(gene, "/MIM"),
            }),
        );
        if has(Section::Pathways) {
            item.set("pathways", pathways(gene));
        }
    }
    if let Some(place) = &place {
        item.set(
            "location",
            json!({
                "assembly": at(place, "/assembly_name"), "chromosome": at(place, "/seq_region_name"),
                "start": place["start"], "end": place["end"], "strand": place["strand"],
            }),
        );
    }
    if let Some(protein) = &protein {
        if has(Section::Protein) {
            item.set("protein", of_protein(protein));
        }
        if has(Section::Diseases) {
            item.set("diseases", diseases(protein));
        }
    }
    if has(Section::Diseases) {
        let ensembl = place
            .as_ref()
            .map_or_else(String::new, |place| at(place, "/id"));
        let found = open_targets(cx, &ensembl).await;
        if let Some(Some(associations)) = sources.take("Open Targets", found) {
            item.set("associations", associations);
        }
    }
    if let Some(Some(constraint)) = sources.take("gnomAD", constraint) {
        item.set("constraint", constraint);
    }
    if let Some(pairs) = sources.take("CPIC", drugs) {
        item.set("drugs", pairs.iter().map(drug).collect::<Vec<_>>());
    }
    let used = [
        ("NCBI Gene by MyGene.info", gene.is_some()),
        ("Ensembl", place.is_some()),
        ("UniProt", protein.is_some()),
        ("Open Targets", item.fields.contains_key("associations")),
        ("gnomAD", item.fields.contains_key("constraint")),
        ("CPIC", item.fields.contains_key("drugs")),
    ];
    let used: Vec<&str> = used
        .into_iter()
        .filter(|(_, used)| *used)
        .map(|(name, _)| name)
        .collect();
    item.set("sources", used);
    Ok(item)
}

fn pathways(gene: &Value) -> Value {
    let list = |source: &str| -> Vec<String> {
        let all = many(gene, &format!("/pathway/{source}")).iter();
        all.take(SHOWN)
            .map(|pathway| format!("{} ({})", at(pathway, "/name"), at(pathway, "/id")))
            .collect()
    };
    json!({ "reactome": list("reactome"), "kegg": list("kegg") })
}

async fn my_gene(cx: &Cx, symbol: &str) -> Result<Option<Value>, ProviderError> {
    let mut found: Value = cx
        .api
        .at("mygene")
        .get(&["v3", "query"])
        .query("q", format!("symbol:{symbol}"))
        .query("species", "human")
        .query(
            "fields",
            "symbol,name,summary,alias,type_of_gene,entrezgene,ensembl.gene,uniprot.Swiss-Prot,MIM,pathway.reactome,pathway.kegg",
        )
        .query("size", 1)
        .send()
        .await?;
    Ok(found["hits"].get_mut(0).map(Value::take))
}

async fn ensembl(cx: &Cx, symbol: &str) -> Result<Value, ProviderError> {
    let found = cx
        .api
        .at("ensembl")
        .get(&["lookup", "symbol", "homo_sapiens", symbol])
        .send()
        .await;
    match found {
        // Ensembl answers 400 to a symbol that it does not know.
        Err(ProviderError::Invalid { .. }) => Err(ProviderError::NotFound),
        found => found,
    }
}

async fn uniprot(cx: &Cx, symbol: &str, wanted: bool) -> Result<Option<Value>, ProviderError> {
    if !wanted {
        return Ok(None);
    }
    let mut found: Value = cx
        .api
        .at("uniprot")
        .get(&["uniprotkb", "search"])
        .query(
            "query",
            format!("gene_exact:{symbol} AND organism_id:9606 AND reviewed:true"),
        )
        .query("fields", "accession,protein_name,length,cc_function,cc_tissue_specificity,cc_subcellular_location,cc_disease")
        .query("format", "json")
        .query("size", 1)
        .send()
        .await?;
    Ok(found["results"].get_mut(0).map(Value::take))
}

async fn gnomad(cx: &Cx, symbol: &str, wanted: bool) -> Result<Option<Value>, ProviderError> {
    if !wanted {
        return Ok(None);
    }
    let found: Value = cx
        .api
        .at("gnomad")
        .post(&["api"])
        .json(&json!({ "query": CONSTRAINT, "variables": { "symbol": symbol } }))
        .reads()
        .send()
        .await?;
    let facts = &found["data"]["gene"]["gnomad_constraint"];
    Ok(facts.is_object().then(|| {
        json!({
            "pli": facts["pLI"], "loeuf": facts["oe_lof_upper"], "missense_z": facts["mis_z"],
            "url": format!("https://gnomad.broadinstitute.org/gene/{symbol}"),
        })
    }))
}

/// The diseases that evidence of several kinds associates with a gene of Ensembl, the strongest first: not all of them are
/// caused by it.
async fn open_targets(cx: &Cx, id: &str) -> Result<Option<Value>, ProviderError> {
    if id.is_empty() {
        return Ok(None);
    }
    let found: Value = cx
        .api
        .at("opentargets")
        .post(&["api", "v4", "graphql"])
        .json(&json!({ "query": ASSOCIATIONS, "variables": { "id": id, "size": SHOWN } }))
        .reads()
        .send()
        .await?;
    let data = &found["data"];
    let all = &data["target"]["associatedDiseases"];
    if !all.is_object() {
        return Ok(None);
    }
    let rows = many(all, "/rows").iter().map(|row| {
        let kinds = many(row, "/datatypeScores").iter();
        let kinds: Vec<String> = kinds.map(|kind| at(kind, "/id")).collect();
        json!({
            "name": at(row, "/disease/name"), "id": at(row, "/disease/id"), "score": row["score"], "evidence": kinds,
        })
    });
    let released = &data["meta"]["dataVersion"];
    Ok(Some(json!({
        "total": all["count"], "strongest": rows.collect::<Vec<_>>(),
        "released": format!("{}-{:0>2}", at(released, "/year"), at(released, "/month")),
        "url": format!("https://platform.opentargets.org/target/{id}/associations"),
    })))
}

/// The drugs whose dosing depends on the gene.
pub(super) async fn cpic(cx: &Cx, symbol: &str, wanted: bool) -> Result<Vec<Value>, ProviderError> {
    if !wanted {
        return Ok(Vec::new());
    }
    cx.api
        .at("cpic")
        .get(&["v1", "pair_view"])
        .query("genesymbol", format!("eq.{symbol}"))
        .query(
            "select",
            "drugname,guidelinename,guidelineurl,cpiclevel,pgxtesting",
        )
        .query("order", "cpiclevel")
        .query("limit", SHOWN)
        .send()
        .await
}

/// A gene and drug pair of CPIC.
pub(super) fn drug(pair: &Value) -> Value {
    json!({
        "drug": at(pair, "/drugname"), "cpic_level": at(pair, "/cpiclevel"), "testing": at(pair, "/pgxtesting"),
        "guideline": at(pair, "/guidelinename"), "url": at(pair, "/guidelineurl"),
    })
}

fn comment(protein: &Value, kind: &str) -> String {
    let comments = many(protein, "/comments").iter();
    let texts: Vec<String> = comments
        .filter(|comment| at(comment, "/commentType") == kind)
        .flat_map(|comment| many(comment, "/texts"))
        .map(|text| at(text, "/value"))
        .collect();
    short(&texts.join(" "), 2_000)
}

fn of_protein(protein: &Value) -> Value {
    let accession = at(protein, "/primaryAccession");
    let places = many(protein, "/comments").iter();
    let places: Vec<String> = places
        .flat_map(|comment| many(comment, "/subcellularLocations"))
        .map(|place| at(place, "/location/value"))
        .collect();
    json!({
        "name": at(protein, "/proteinDescription/recommendedName/fullName/value"), "length": protein["sequence"]["length"],
        "function": comment(protein, "FUNCTION"), "tissues": comment(protein, "TISSUE SPECIFICITY"), "location": places,
        "url": format!("https://www.uniprot.org/uniprotkb/{accession}"),
    })
}

fn diseases(protein: &Value) -> Vec<Value> {
    let comments = many(protein, "/comments").iter();
    comments
        .filter_map(|comment| comment.get("disease"))
        .take(SHOWN)
        .map(|disease| {
            json!({
                "name": at(disease, "/diseaseId"), "acronym": at(disease, "/acronym"),
                "description": short(&at(disease, "/description"), 400), "omim": at(disease, "/diseaseCrossReference/id"),
            })
        })
        .collect()
}

/// `health://genes/{symbol}`.
#[derive(Deserialize)]
pub(super) struct GeneBlock {
    symbol: String,
}

impl ContextBlock for GeneBlock {
    const URI: &'static str = "health://genes/{symbol}";
    const NAME: &'static str = "health_gene";
    const TITLE: &'static str = "Gene";
    const DESCRIPTION: &'static str = "A human gene: summary, location, protein, diseases, drugs.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = Needs::Nothing;

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let mut sources = Sources::default();
        let sections = [Section::Protein, Section::Diseases, Section::Drugs];
        let item = read(cx, &self.symbol, &sections, &mut sources).await?;
        let mut content = Content::text(markdown(&item, sources.warnings()));
        content.url = item.url;
        Ok(content)
    }

    async fn complete(
        cx: &Cx,
        field: &str,
        prefix: &str,
        _: &serde_json::Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        let letters = prefix.trim().to_ascii_uppercase();
        let is_symbol = letters
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-');
        if field != "symbol" || letters.len() < 2 || !is_symbol {
            return Ok(Vec::new());
        }
        let found: Value = cx
            .api
            .at("mygene")
            .get(&["v3", "query"])
            .query("q", format!("symbol:{letters}*"))
            .query("species", "human")
            .query("fields", "symbol")
            .query("size", 20)
            .send()
            .await?;
        Ok(many(&found, "/hits")
            .iter()
            .map(|hit| at(hit, "/symbol"))
            .collect())
    }
}

fn markdown(item: &Item, warnings: &[String]) -> String {
    let fields = Value::Object(item.fields.clone());
    let mut text = format!("# {}\n\n{}\n", item.id, at(&fields, "/name"));
    let summary = at(&fields, "/summary");
    if !summary.is_empty() {
        push(&mut text, format_args!("\n{summary}\n"));
    }
    let place = &fields["location"];
    if place.is_object() {
        push(
            &mut text,
            format_args!(
                "\nLocation: chromosome {}, {} to {} ({}).\n",
                at(place, "/chromosome"),
                at(place, "/start"),
                at(place, "/end"),
                at(place, "/assembly")
            ),
        );
    }
    let protein = &fields["protein"];
    if protein.is_object() {
        push(
            &mut text,
            format_args!(
                "\n## Protein\n\n{}. {}\n",
                at(protein, "/name"),
                at(protein, "/function")
            ),
        );
    }
    let diseases = many(&fields, "/diseases");
    if !diseases.is_empty() {
        text += "\n## Diseases\n\n";
        for disease in diseases {
            push(
                &mut text,
                format_args!(
                    "- {}: {}\n",
                    at(disease, "/name"),
                    at(disease, "/description")
                ),
            );
        }
    }
    let associations = many(&fields, "/associations/strongest");
    if !associations.is_empty() {
        push(
            &mut text,
            format_args!(
                "\n## Associations (Open Targets, {})\n\nThe strongest of {}, by a score up to 1; an association need not be a \
                 cause.\n\n",
                at(&fields, "/associations/released"),
                at(&fields, "/associations/total")
            ),
        );
        for row in associations {
            push(
                &mut text,
                format_args!(
                    "- {}: {:.2}\n",
                    at(row, "/name"),
                    row["score"].as_f64().unwrap_or_default()
                ),
            );
        }
    }
    let drugs = many(&fields, "/drugs");
    if !drugs.is_empty() {
        text += "\n## Drugs (CPIC)\n\n";
        for drug in drugs {
            push(
                &mut text,
                format_args!(
                    "- {}, level {}: {}\n",
                    at(drug, "/drug"),
                    at(drug, "/cpic_level"),
                    at(drug, "/guideline")
                ),
            );
        }
    }
    push(
        &mut text,
        format_args!("\nSources: {}.\n", texts(&fields, "/sources").join(", ")),
    );
    for warning in warnings {
        push(&mut text, format_args!("\n{warning}.\n"));
    }
    text
}
