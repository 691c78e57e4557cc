//! One article: what Europe PMC or PubMed says of it, who cites it, and its text when that is open.

use futures_util::future::join;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::sources::{Sources, at, many, needed, push, quoted, short, start, texts};
use super::xml::{self, Event, Reader, attribute};
use crate::kit::args::Cursor;
use crate::kit::block::{Content, ContextBlock};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};
use crate::kit::uri;

/// How many citing articles are named.
const CITING: u32 = 10;
/// Least of a full text that an answer holds, in characters.
const LEAST_TEXT: usize = 500;

// Part of an article. Not a doc comment: it would be published with every item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Section {
    Abstract,
    Mesh,
    Citations,
    FullText,
}

/// Get one article: abstract, MeSH terms, citing articles, full text where it is open access.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetArticle {
    /// PMID, PMCID, DOI, or Europe PMC preprint id (PPR…).
    id: String,
    /// Default: abstract, mesh.
    #[serde(default)]
    sections: Vec<Section>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

/// What either source says of an article.
#[derive(Debug, Default)]
pub(super) struct Article {
    pmid: String,
    pmcid: String,
    /// Europe PMC's name of the collection and its id there.
    place: (String, String),
    doi: String,
    title: String,
    authors: String,
    journal: String,
    date: String,
    kinds: Vec<String>,
    summary: String,
    mesh: Vec<String>,
    open_access: bool,
    cited_by: Option<u64>,
    /// Retractions, corrections, expressions of concern.
    notices: Vec<String>,
    source: &'static str,
}

impl Tool for GetArticle {
    const NAME: &'static str = "health_get_article";
    const TITLE: &'static str = "Get an article";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = Needs::Nothing;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["id"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let id = needed("id", &self.id)?;
        let mut sources = Sources::default();
        let article = find(cx, id, &mut sources).await?;
        // Where the full text goes on, in characters. What came with its beginning is not repeated.
        let from: usize = start(self.cursor.as_ref())?;
        let has = |section| {
            if from > 0 {
                section == Section::FullText
            } else if self.sections.is_empty() {
                matches!(section, Section::Abstract | Section::Mesh)
            } else {
                self.sections.contains(&section)
            }
        };
        let (citing, text) = join(
            article.citing(cx, has(Section::Citations)),
            article.text(cx, has(Section::FullText)),
        )
        .await;
        let mut item = article.item(cx);
        if has(Section::Abstract) {
            item.set("abstract", article.summary.clone());
        }
        if has(Section::Mesh) {
            item.set("mesh", article.mesh.clone());
        }
        let mut next = None;
        if let Some((count, list)) = sources.take("Europe PMC's citations", citing).flatten() {
            item.set("cited_by", count);
            item.set("citing", list);
        }
        match sources.take("Europe PMC's full text", text) {
            Some(Some(text)) => {
                let rest = Value::Object(item.fields.clone()).to_string();
                let room = cx
                    .max_chars
                    .saturating_sub(rest.chars().count() + LEAST_TEXT);
                let room = room.max(LEAST_TEXT);
                let piece: String = text.chars().skip(from).take(room).collect();
                if piece.is_empty() && from > 0 {
                    return Err(Cursor::foreign());
                }
                next = (text.chars().count() > from + room).then(|| Cursor::of(&(from + room)));
                item.set("full_text", piece);
            }
            _ if has(Section::FullText) && !article.open_access => {
                sources.warn("the full text is not open access; `url` leads to the publisher");
            }
            _ => {}
        }
        let mut output = sources.output(vec![item])?;
        output.truncated = next.is_some();
        Ok(output.next(next))
    }
}

/// Finds an article by any of its names.
async fn find(cx: &Cx, id: &str, sources: &mut Sources) -> Result<Article, ToolError> {
    let name = Name::parse(id)?;
    let found = sources.take("Europe PMC", of_europe(cx, &name).await);
    if let Some(Some(article)) = found {
        return Ok(article);
    }
    // The newest articles are at PubMed first, and either may be down.
    if let Name::Pmid(pmid) = &name
        && let Some(Some(article)) = sources.take("PubMed", of_pubmed(cx, pmid).await)
    {
        return Ok(article);
    }
    sources.check()?;
    Err(ToolError::NotFound(format!(
        "neither PubMed nor Europe PMC has an article {id}; search for it with health_search_literature"
    )))
}

/// How an article is named.
enum Name {
    Pmid(String),
    Pmcid(String),
    Preprint(String),
    Doi(String),
}

impl Name {
    fn parse(text: &str) -> Result<Self, ToolError> {
        let text = text.trim();
        let upper = text.to_ascii_uppercase();
        let is_number = |text: &str| {
            (1..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        let number = upper.strip_prefix("PMID:").unwrap_or(&upper).trim();
        if is_number(number) {
            return Ok(Self::Pmid(number.to_owned()));
        }
        if upper.strip_prefix("PMC").is_some_and(is_number) {
            return Ok(Self::Pmcid(upper));
        }
        if upper.strip_prefix("PPR").is_some_and(is_number) {
            return Ok(Self::Preprint(upper));
        }
        let doi = ["https://doi.org/", "doi:", "DOI:"]
            .iter()
            .find_map(|start| text.strip_prefix(start))
            .unwrap_or(text);
        if doi.starts_with("10.") && doi.contains('/') {
            return Ok(Self::Doi(doi.to_owned()));
        }
        Err(ToolError::Invalid(
            "`id` must be a PMID such as 22663011, a PMCID such as PMC3549296, or a DOI such as 10.1056/NEJMoa1203421"
                .to_owned(),
        ))
    }

    fn query(&self) -> String {
        match self {
            Self::Pmid(id) => format!("EXT_ID:{id} AND SRC:MED"),
            Self::Pmcid(id) => format!("PMCID:{id}"),
            Self::Preprint(id) => format!("EXT_ID:{id} AND SRC:PPR"),
            Self::Doi(doi) => format!("DOI:{}", quoted(doi)),
        }
    }
}

async fn of_europe(cx: &Cx, name: &Name) -> Result<Option<Article>, ProviderError> {
    let found: Value = cx
        .api
        .at("europepmc")
        .get(&["europepmc", "webservices", "rest", "search"])
        .query("query", name.query())
        .query("format", "json")
        .query("resultType", "core")
        .query("pageSize", 1)
        .send()
        .await?;
    let problem = at(&found, "/errMsg");
    if !problem.is_empty() {
        return Err(ProviderError::Unavailable { reason: problem });
    }
    let Some(record) = many(&found, "/resultList/result").first() else {
        return Ok(None);
    };
    let mesh = many(record, "/meshHeadingList/meshHeading").iter();
    let mesh = mesh.map(|heading| {
        let name = at(heading, "/descriptorName");
        let qualifiers: Vec<String> = many(heading, "/meshQualifierList/meshQualifier")
            .iter()
            .map(|qualifier| at(qualifier, "/qualifierName"))
            .collect();
        let star = if at(heading, "/majorTopic_YN") == "Y" {
            "*"
        } else {
            ""
        };
        match qualifiers.as_slice() {
            [] => format!("{name}{star}"),
            some => format!("{name}{star} ({})", some.join(", ")),
        }
    });
    let corrections = many(record, "/commentCorrectionList/commentCorrection").iter();
    let notices = corrections.filter_map(|notice| {
        let kind = at(notice, "/type");
        let grave = [
            "Retraction",
            "Expression of concern",
            "Erratum",
            "Corrected",
        ];
        let grave = grave.iter().any(|word| kind.starts_with(word));
        grave.then(|| {
            format!(
                "{kind}: {} (PMID {})",
                at(notice, "/reference"),
                at(notice, "/id")
            )
        })
    });
    Ok(Some(Article {
        pmid: at(record, "/pmid"),
        pmcid: at(record, "/pmcid"),
        place: (at(record, "/source"), at(record, "/id")),
        doi: at(record, "/doi"),
        title: xml::plain(&at(record, "/title")),
        authors: at(record, "/authorString"),
        journal: at(record, "/journalInfo/journal/title"),
        date: at(record, "/firstPublicationDate"),
        kinds: texts(record, "/pubTypeList/pubType"),
        summary: xml::plain(&at(record, "/abstractText")),
        mesh: mesh.collect(),
        open_access: at(record, "/isOpenAccess") == "Y",
        cited_by: record["citedByCount"].as_u64(),
        notices: notices.collect(),
        source: "Europe PMC",
    }))
}

async fn of_pubmed(cx: &Cx, pmid: &str) -> Result<Option<Article>, ProviderError> {
    let answer = cx
        .api
        .at("eutils")
        .get(&["entrez", "eutils", "efetch.fcgi"])
        .query("db", "pubmed")
        .query("id", pmid)
        .query("retmode", "xml")
        .query("tool", "workbench-mcp")
        .accept("application/xml")
        .text()
        .await?;
    Ok(read_pubmed(&answer.body))
}

/// Reads `PubmedArticle`.
fn read_pubmed(document: &str) -> Option<Article> {
    let mut article = Article {
        source: "PubMed",
        ..Article::default()
    };
    let (mut path, mut last) = (Vec::new(), String::new());
    let (mut date, mut names) = (Vec::new(), Vec::new());
    let mut is_doi = false;
    for event in Reader::new(document) {
        match event {
            Event::Start(name, attributes) => {
                match name {
                    "AbstractText" => {
                        let label = attribute(attributes, "Label").unwrap_or_default();
                        if !article.summary.is_empty() {
                            article.summary.push('\n');
                        }
                        if !label.is_empty() {
                            article.summary.push_str(&label);
                            article.summary.push_str(": ");
                        }
                    }
                    "ELocationID" => {
                        is_doi = attribute(attributes, "EIdType").as_deref() == Some("doi");
                    }
                    _ => {}
                }
                path.push(name);
            }
            Event::End(name) => {
                if name == "LastName" && path.contains(&"AuthorList") {
                    names.push(std::mem::take(&mut last));
                }
                while path.pop().is_some_and(|open| open != name) {}
            }
            Event::Text(text) => {
                let inside = |name: &str| path.contains(&name);
                let text = text.as_ref();
                match path.last().copied().unwrap_or_default() {
                    "PMID" if article.pmid.is_empty() => text.trim().clone_into(&mut article.pmid),
                    "Title" if inside("Journal") => article.journal.push_str(text),
                    "LastName" if inside("AuthorList") => last.push_str(text),
                    "Year" | "Month" | "Day" if inside("PubDate") => date.push(text.to_owned()),
                    "PublicationType" => article.kinds.push(text.to_owned()),
                    "DescriptorName" => article.mesh.push(text.to_owned()),
                    "ELocationID" if is_doi => article.doi.push_str(text),
                    _ if inside("AbstractText") => article.summary.push_str(text),
                    _ if inside("ArticleTitle") => article.title.push_str(text),
                    _ => {}
                }
            }
        }
    }
    article.authors = names.join(", ");
    article.date = date.join(" ");
    article.place = ("MED".to_owned(), article.pmid.clone());
    (!article.pmid.is_empty()).then_some(article)
}

impl Article {
    fn id(&self) -> &str {
        [&self.pmid, &self.pmcid, &self.place.1]
            .into_iter()
            .find(|id| !id.is_empty())
            .map_or("", String::as_str)
    }

    fn url(&self) -> String {
        match (self.pmid.as_str(), &self.place) {
            ("", (source, id)) => format!("https://europepmc.org/article/{source}/{id}"),
            (pmid, _) => format!("https://pubmed.ncbi.nlm.nih.gov/{pmid}/"),
        }
    }

    fn item(&self, cx: &Cx) -> Item {
        let mut item = Item::new(self.id())
            .url(self.url())
            .uri(cx.uri(&format!("articles/{}", uri::encode(self.id()))))
            .field("title", self.title.clone())
            .field("authors", short(&self.authors, 300))
            .field("journal", self.journal.clone())
            .field("date", self.date.clone())
            .field("types", self.kinds.clone())
            .field("doi", self.doi.clone())
            .field("pmcid", self.pmcid.clone())
            .field("cited_by", self.cited_by)
            .field("notices", self.notices.clone())
            .field("source", self.source);
        if self.open_access {
            item.set("open_access", true);
        }
        item
    }

    /// How many articles cite it, and the first of them.
    async fn citing(
        &self,
        cx: &Cx,
        wanted: bool,
    ) -> Result<Option<(u64, Vec<Value>)>, ProviderError> {
        let (source, id) = &self.place;
        if !wanted || source.is_empty() {
            return Ok(None);
        }
        let found: Value = cx
            .api
            .at("europepmc")
            .get(&["europepmc", "webservices", "rest", source, id, "citations"])
            .query("format", "json")
            .query("pageSize", CITING)
            .send()
            .await?;
        let list = many(&found, "/citationList/citation").iter().map(|one| {
            json!({
                "id": at(one, "/id"), "title": xml::plain(&at(one, "/title")),
                "journal": at(one, "/journalAbbreviation"), "year": one["pubYear"],
            })
        });
        let count = found["hitCount"].as_u64().unwrap_or_default();
        Ok(Some((count, list.collect())))
    }

    /// The text of an open article.
    async fn text(&self, cx: &Cx, wanted: bool) -> Result<Option<String>, ProviderError> {
        if !wanted || !self.open_access || self.pmcid.is_empty() {
            return Ok(None);
        }
        let path = [
            "europepmc",
            "webservices",
            "rest",
            &self.pmcid,
            "fullTextXML",
        ];
        let request = cx.api.at("europepmc").get(&path);
        let answer = request.accept("application/xml").text().await?;
        let text = xml::article(&answer.body);
        Ok((!text.is_empty()).then_some(text))
    }

    fn markdown(&self) -> String {
        let mut text = format!("# {}\n\n{}\n\n", self.title, short(&self.authors, 600));
        push(&mut text, format_args!("{}, {}", self.journal, self.date));
        if !self.doi.is_empty() {
            push(&mut text, format_args!(", doi {}", self.doi));
        }
        push(&mut text, format_args!(". PMID {}.\n", self.id()));
        for notice in &self.notices {
            push(&mut text, format_args!("\n**{notice}**\n"));
        }
        if self.summary.is_empty() {
            text += "\nThere is no abstract.\n";
        } else {
            push(
                &mut text,
                format_args!("\n## Abstract\n\n{}\n", self.summary),
            );
        }
        if !self.mesh.is_empty() {
            push(
                &mut text,
                format_args!("\n## MeSH\n\n{}\n", self.mesh.join("; ")),
            );
        }
        if !self.kinds.is_empty() {
            push(
                &mut text,
                format_args!("\nKind: {}.\n", self.kinds.join("; ")),
            );
        }
        if let Some(count) = self.cited_by {
            push(
                &mut text,
                format_args!("\nCited {count} times (Europe PMC).\n"),
            );
        }
        text + &format!("\nSource: {}.\n", self.source)
    }
}

/// `health://articles/{pmid}`.
#[derive(Deserialize)]
pub(super) struct ArticleBlock {
    pmid: String,
}

impl ContextBlock for ArticleBlock {
    const URI: &'static str = "health://articles/{pmid}";
    const NAME: &'static str = "health_article";
    const TITLE: &'static str = "Article";
    const DESCRIPTION: &'static str =
        "An article of PubMed: abstract, MeSH terms, notices of retraction.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = Needs::Nothing;

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let mut sources = Sources::default();
        let article = find(cx, &self.pmid, &mut sources).await?;
        let mut content = Content::text(article.markdown());
        content.url = Some(article.url());
        Ok(content)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

    use super::*;

    #[test]
    fn articles_have_four_kinds_of_names() {
        for (text, expected) in [
            ("22663011", Some("EXT_ID:22663011 AND SRC:MED")),
            ("PMID: 22663011", Some("EXT_ID:22663011 AND SRC:MED")),
            ("pmc3549296", Some("PMCID:PMC3549296")),
            ("PPR1234", Some("EXT_ID:PPR1234 AND SRC:PPR")),
            (
                "https://doi.org/10.1056/NEJMoa1",
                Some("DOI:\"10.1056/NEJMoa1\""),
            ),
            ("10.1056", None),
            ("melanoma", None),
            ("", None),
        ] {
            let query = Name::parse(text).ok().map(|name| name.query());
            assert_eq!(query.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn pubmed_documents_are_read() {
        let article = read_pubmed(
            r#"<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID Version="1">7</PMID><Article><Journal>
            <JournalIssue><PubDate><Year>2012</Year><Month>Jul</Month></PubDate></JournalIssue><Title>A Journal</Title>
            </Journal><ArticleTitle>On <i>x</i>.</ArticleTitle><ELocationID EIdType="doi">10.1/x</ELocationID>
            <Abstract><AbstractText Label="AIM">To see &lt;it&gt;.</AbstractText><AbstractText>Seen.</AbstractText></Abstract>
            <AuthorList><Author><LastName>Reyes</LastName></Author><Author><LastName>Osei</LastName></Author></AuthorList>
            </Article><MeshHeadingList><MeshHeading><DescriptorName UI="D1">Humans</DescriptorName></MeshHeading>
            </MeshHeadingList></MedlineCitation></PubmedArticle></PubmedArticleSet>"#,
        )
        .unwrap();
        assert_eq!(article.pmid, "7");
        assert_eq!(article.title, "On x.");
        assert_eq!(article.summary, "AIM: To see <it>.\nSeen.");
        assert_eq!(article.authors, "Reyes, Osei");
        assert_eq!(article.journal, "A Journal");
        assert_eq!(article.date, "2012 Jul");
        assert_eq!(article.doi, "10.1/x");
        assert_eq!(article.mesh, ["Humans"]);
        assert!(read_pubmed("<PubmedArticleSet></PubmedArticleSet>").is_none());
    }
}
