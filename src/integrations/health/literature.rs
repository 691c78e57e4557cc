//! Searching PubMed and Europe PMC at once.

use std::collections::HashSet;

use futures_util::future::join;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::sources::{Sources, at, day, many, needed, push, quoted, start, texts};
use super::xml;
use crate::kit::args::{Cursor, Limit};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::tool::{Cx, Effect, Needs, Tool};
use crate::kit::uri;

/// How many records of earlier pages a cursor remembers, so that no page repeats one.
const REMEMBERED: usize = 200;

/// Kind of article.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Kind {
    Review,
    MetaAnalysis,
    Rct,
    Guideline,
}

impl Kind {
    /// The publication type, as both sources name it.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Review => "review",
            Self::MetaAnalysis => "meta-analysis",
            Self::Rct => "randomized controlled trial",
            Self::Guideline => "practice guideline",
        }
    }
}

/// Order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Sort {
    #[default]
    Relevance,
    Date,
}

/// Search PubMed and Europe PMC.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchLiterature {
    /// Words or PubMed syntax.
    q: String,
    /// MeSH terms.
    #[serde(default)]
    mesh: Vec<String>,
    #[serde(rename = "type", default)]
    /// Kind.
    kind: Option<Kind>,
    /// Date.
    #[serde(default)]
    since: Option<String>,
    /// Free full text.
    #[serde(default)]
    open_access: bool,
    /// Too.
    #[serde(default)]
    preprints: bool,
    /// Order.
    #[serde(default)]
    sort: Sort,
    #[serde(default)]
    limit: Limit<10, 50>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

/// Where both lists go on.
#[derive(Default, Serialize, Deserialize)]
struct Place {
    /// PubMed's offset; `None` once it has no more.
    pubmed: Option<u32>,
    /// Europe PMC's mark; `None` once it has no more.
    europepmc: Option<String>,
    /// What earlier pages gave.
    given: Vec<String>,
}

impl Place {
    fn beginning() -> Self {
        Self {
            pubmed: Some(0),
            europepmc: Some("*".to_owned()),
            given: Vec::new(),
        }
    }
}

/// One article of either source.
#[derive(Default)]
struct Hit {
    pmid: String,
    pmcid: String,
    doi: String,
    /// Europe PMC's name of the collection, and its id there.
    place: (String, String),
    title: String,
    authors: String,
    journal: String,
    date: String,
    kinds: Vec<String>,
    open_access: bool,
    cited_by: Option<u64>,
    preprint: bool,
    sources: Vec<&'static str>,
}

impl Tool for SearchLiterature {
    const NAME: &'static str = "health_search_literature";
    const TITLE: &'static str = "Search literature";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = Needs::Nothing;

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        needed("q", &self.q)?;
        let since = self.since.as_deref().map(|text| day("since", text));
        let since = since.transpose()?;
        let mut place = match &self.cursor {
            Some(_) => start(self.cursor.as_ref())?,
            None => Place::beginning(),
        };
        // Both lists bring half of a page: most of what one finds the other finds too, in another order.
        let half = self.limit.get().div_ceil(2);
        let (pubmed, europe) = join(
            self.pubmed(cx, since.as_deref(), place.pubmed, half),
            self.europe(cx, since.as_deref(), place.europepmc.clone(), half),
        )
        .await;
        let mut sources = Sources::default();
        let (mut first, mut second, mut total) = (Vec::new(), Vec::new(), None);
        // A source that failed is asked for the same place with the next page.
        if let Some((hits, count, next)) = sources.take("PubMed", pubmed) {
            (first, total, place.pubmed) = (hits, count, next);
        }
        if let Some((hits, next)) = sources.take("Europe PMC", europe) {
            (second, place.europepmc) = (hits, next);
        }
        let hits = merged(first, second);
        let known: HashSet<String> = place.given.iter().cloned().collect();
        let fresh: Vec<Hit> = hits
            .into_iter()
            .filter(|hit| hit.names().all(|name| !known.contains(name)))
            .collect();
        for hit in &fresh {
            place.given.extend(hit.names().map(ToOwned::to_owned));
        }
        let extra = place.given.len().saturating_sub(REMEMBERED);
        place.given.drain(..extra).for_each(drop);
        let more = place.pubmed.is_some() || place.europepmc.is_some();
        let output = sources.output(fresh.into_iter().map(|hit| hit.item(cx)).collect())?;
        Ok(output.total(total).next(more.then(|| Cursor::of(&place))))
    }
}

impl SearchLiterature {
    async fn pubmed(
        &self,
        cx: &Cx,
        since: Option<&str>,
        offset: Option<u32>,
        size: u32,
    ) -> Result<(Vec<Hit>, Option<u64>, Option<u32>), ProviderError> {
        let Some(offset) = offset else {
            return Ok((Vec::new(), None, None));
        };
        let mut term = format!("({})", self.q.trim());
        for mesh in &self.mesh {
            push(&mut term, format_args!(" AND {}[mh]", quoted(mesh)));
        }
        if let Some(kind) = self.kind {
            push(&mut term, format_args!(" AND {}[pt]", kind.as_str()));
        }
        if let Some(since) = since {
            push(
                &mut term,
                format_args!(" AND {}:3000[dp]", since.replace('-', "/")),
            );
        }
        if self.open_access {
            term += " AND free full text[sb]";
        }
        if !self.preprints {
            term += " NOT preprint[pt]";
        }
        let found: Value = cx
            .api
            .at("eutils")
            .get(&["entrez", "eutils", "esearch.fcgi"])
            .query("db", "pubmed")
            .query("term", term)
            .query("retmode", "json")
            .query("retstart", offset)
            .query("retmax", size)
            .query(
                "sort",
                match self.sort {
                    Sort::Relevance => "relevance",
                    Sort::Date => "pub_date",
                },
            )
            .query("tool", "workbench-mcp")
            .send()
            .await?;
        let problem = at(&found, "/esearchresult/ERROR");
        if !problem.is_empty() {
            return Err(ProviderError::Unavailable { reason: problem });
        }
        let total: Option<u64> = at(&found, "/esearchresult/count").parse().ok();
        let ids = texts(&found, "/esearchresult/idlist");
        let end = u64::from(offset) + u64::from(size);
        // PubMed gives at most its first 10,000 this way.
        let next = (total.is_some_and(|total| end < total.min(10_000)) && !ids.is_empty())
            .then(|| offset + size);
        let hits = summaries(cx, &ids).await?;
        Ok((hits.iter().map(Hit::of_pubmed).collect(), total, next))
    }

    async fn europe(
        &self,
        cx: &Cx,
        since: Option<&str>,
        mark: Option<String>,
        size: u32,
    ) -> Result<(Vec<Hit>, Option<String>), ProviderError> {
        let Some(mark) = mark else {
            return Ok((Vec::new(), None));
        };
        let mut query = format!("({})", self.q.trim());
        for mesh in &self.mesh {
            push(&mut query, format_args!(" AND KW:{}", quoted(mesh)));
        }
        if let Some(kind) = self.kind {
            push(
                &mut query,
                format_args!(" AND PUB_TYPE:{}", quoted(kind.as_str())),
            );
        }
        if let Some(since) = since {
            push(
                &mut query,
                format_args!(" AND FIRST_PDATE:[{since} TO 3000-12-31]"),
            );
        }
        if self.open_access {
            query += " AND OPEN_ACCESS:y";
        }
        query += if self.preprints {
            " AND (SRC:MED OR SRC:PMC OR SRC:PPR)"
        } else {
            " AND (SRC:MED OR SRC:PMC)"
        };
        let sort = (self.sort == Sort::Date).then_some("P_PDATE_D desc");
        let found: Value = cx
            .api
            .at("europepmc")
            .get(&["europepmc", "webservices", "rest", "search"])
            .query("query", query)
            .query("format", "json")
            .query("resultType", "lite")
            .query("cursorMark", &mark)
            .query("pageSize", size)
            .query_opt("sort", sort)
            .send()
            .await?;
        let problem = at(&found, "/errMsg");
        if !problem.is_empty() {
            return Err(ProviderError::Unavailable { reason: problem });
        }
        let hits: Vec<Hit> = many(&found, "/resultList/result")
            .iter()
            .map(Hit::of_europe)
            .collect();
        // A full page's mark leads on; the last page repeats it or leaves it out.
        let next = at(&found, "/nextCursorMark");
        let full = u32::try_from(hits.len()).unwrap_or(u32::MAX) >= size;
        let next = (full && !next.is_empty() && next != mark).then_some(next);
        Ok((hits, next))
    }
}

/// What PubMed says of these articles, in their order.
pub(super) async fn summaries(cx: &Cx, ids: &[String]) -> Result<Vec<Value>, ProviderError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut found: Value = cx
        .api
        .at("eutils")
        .get(&["entrez", "eutils", "esummary.fcgi"])
        .query("db", "pubmed")
        .query("id", ids.join(","))
        .query("retmode", "json")
        .query("tool", "workbench-mcp")
        .send()
        .await?;
    let of = |id: &String| found["result"].get_mut(id).map(Value::take);
    Ok(ids.iter().filter_map(of).collect())
}

impl Hit {
    fn of_pubmed(found: &Value) -> Self {
        let id = |kind: &str| {
            let ids = many(found, "/articleids").iter();
            ids.filter(|id| at(id, "/idtype") == kind)
                .map(|id| at(id, "/value"))
                .next()
                .unwrap_or_default()
        };
        let names: Vec<String> = many(found, "/authors")
            .iter()
            .map(|author| at(author, "/name"))
            .collect();
        let sorted = at(found, "/sortpubdate").replace('/', "-");
        Self {
            pmid: at(found, "/uid"),
            pmcid: id("pmc"),
            doi: id("doi"),
            title: xml::plain(&at(found, "/title")),
            authors: names.join(", "),
            journal: at(found, "/fulljournalname"),
            date: sorted.get(..10).unwrap_or_default().to_owned(),
            kinds: texts(found, "/pubtype"),
            sources: vec!["PubMed"],
            ..Self::default()
        }
    }

    fn of_europe(found: &Value) -> Self {
        let source = at(found, "/source");
        let kinds = at(found, "/pubType");
        Self {
            pmid: at(found, "/pmid"),
            pmcid: at(found, "/pmcid"),
            doi: at(found, "/doi"),
            preprint: source == "PPR",
            place: (source, at(found, "/id")),
            title: xml::plain(&at(found, "/title")),
            authors: at(found, "/authorString").trim_end_matches('.').to_owned(),
            journal: at(found, "/journalTitle"),
            date: at(found, "/firstPublicationDate"),
            kinds: kinds
                .split(';')
                .map(|kind| kind.trim().to_owned())
                .filter(|kind| !kind.is_empty())
                .collect(),
            open_access: at(found, "/isOpenAccess") == "Y",
            cited_by: found["citedByCount"].as_u64(),
            sources: vec!["Europe PMC"],
        }
    }

    /// What the article is recognised by.
    fn names(&self) -> impl Iterator<Item = &str> {
        let own = if self.pmid.is_empty() {
            &self.place.1
        } else {
            &self.pmid
        };
        [own.as_str(), self.doi.as_str()]
            .into_iter()
            .filter(|name| !name.is_empty())
    }

    fn is_same(&self, other: &Self) -> bool {
        let same = |one: &str, two: &str| !one.is_empty() && one.eq_ignore_ascii_case(two);
        same(&self.pmid, &other.pmid) || same(&self.doi, &other.doi)
    }

    /// Adds what only the other source knows.
    fn complete(&mut self, other: Self) {
        for (own, theirs) in [
            (&mut self.pmid, other.pmid),
            (&mut self.pmcid, other.pmcid),
            (&mut self.doi, other.doi),
            (&mut self.journal, other.journal),
        ] {
            if own.is_empty() {
                *own = theirs;
            }
        }
        self.open_access |= other.open_access;
        self.cited_by = self.cited_by.or(other.cited_by);
        self.sources.extend(other.sources);
    }

    fn item(self, cx: &Cx) -> Item {
        let id = [&self.pmid, &self.pmcid, &self.place.1]
            .into_iter()
            .find(|id| !id.is_empty())
            .cloned()
            .unwrap_or_default();
        let url = match (self.pmid.as_str(), &self.place) {
            ("", (source, own)) => format!("https://europepmc.org/article/{source}/{own}"),
            (pmid, _) => format!("https://pubmed.ncbi.nlm.nih.gov/{pmid}/"),
        };
        let authors: Vec<&str> = self.authors.split(", ").collect();
        let authors = match authors.as_slice() {
            [first, _, _, _, ..] => format!("{first} and {} others", authors.len() - 1),
            _ => self.authors.clone(),
        };
        let mut item = Item::new(&id)
            .url(url)
            .uri(cx.uri(&format!("articles/{}", uri::encode(&id))))
            .field("title", self.title)
            .field("authors", authors)
            .field("journal", self.journal)
            .field("date", self.date)
            .field("types", self.kinds)
            .field("doi", self.doi)
            .field("pmcid", self.pmcid)
            .field("cited_by", self.cited_by)
            .field("sources", self.sources);
        if self.open_access {
            item.set("open_access", true);
        }
        if self.preprint {
            item.set("preprint", true);
        }
        item
    }
}

/// Both lists in turn, each article once.
fn merged(first: Vec<Hit>, second: Vec<Hit>) -> Vec<Hit> {
    let mut all: Vec<Hit> = Vec::with_capacity(first.len() + second.len());
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    loop {
        let (one, two) = (first.next(), second.next());
        if one.is_none() && two.is_none() {
            return all;
        }
        for hit in one.into_iter().chain(two) {
            match all.iter_mut().find(|known| known.is_same(&hit)) {
                Some(known) => known.complete(hit),
                None => all.push(hit),
            }
        }
    }
}
