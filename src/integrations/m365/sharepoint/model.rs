//! Sites, lists and columns as Graph has them, and refusals in words that say what to have granted.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::graph::Page;
use super::super::refs::{SiteRef, borrowed, has_any, reason, require_work};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::Item;
use crate::kit::tool::Cx;
use crate::kit::uri;

/// What is asked of a site.
pub(super) const SITE_FIELDS: &str = "id,name,displayName,description,webUrl,lastModifiedDateTime";
/// What is asked of a list.
pub(super) const LIST_FIELDS: &str =
    "id,name,displayName,description,webUrl,eTag,lastModifiedDateTime,list";
/// What is asked of a column.
const COLUMN_FIELDS: &str =
    "name,displayName,description,required,readOnly,hidden,indexed,type,choice,lookup";

/// A site.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in super::super) struct Site {
    pub(in super::super) id: String,
    pub(in super::super) web_url: Option<String>,
    pub(super) name: Option<String>,
    pub(super) display_name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) last_modified_date_time: Option<String>,
}

impl Site {
    /// The name people know.
    pub(super) fn title(&self) -> &str {
        let name = self.display_name.as_deref().or(self.name.as_deref());
        name.unwrap_or(&self.id)
    }

    pub(super) fn row(&self) -> Item {
        let mut item = Item::new(&self.id);
        item.url.clone_from(&self.web_url);
        item.field("name", self.title())
            .field("description", self.description.clone())
            .field("modified", self.last_modified_date_time.clone())
    }
}

/// A list; a library is one too.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct List {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) display_name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) web_url: Option<String>,
    pub(super) e_tag: Option<String>,
    pub(super) last_modified_date_time: Option<String>,
    pub(super) list: Option<ListInfo>,
    pub(super) columns: Vec<Column>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ListInfo {
    pub(super) template: Option<String>,
    pub(super) hidden: Option<bool>,
}

impl List {
    pub(super) fn title(&self) -> &str {
        let name = self.display_name.as_deref().or(self.name.as_deref());
        name.unwrap_or(&self.id)
    }

    pub(super) fn is_hidden(&self) -> bool {
        self.list.as_ref().and_then(|list| list.hidden) == Some(true)
    }

    /// In few words, as part of a site.
    pub(super) fn words(&self, cx: &Cx, site: &str) -> Value {
        let mut words = Map::new();
        words.insert("id".to_owned(), json!(self.id));
        words.insert("name".to_owned(), json!(self.title()));
        words.insert("uri".to_owned(), json!(list_uri(cx, site, &self.id)));
        if let Some(template) = self.list.as_ref().and_then(|list| list.template.as_deref()) {
            words.insert("template".to_owned(), json!(template));
        }
        if let Some(url) = &self.web_url {
            words.insert("url".to_owned(), json!(url));
        }
        if !self.columns.is_empty() {
            words.insert("columns".to_owned(), columns(&self.columns));
        }
        Value::Object(words)
    }
}

/// A column.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Column {
    pub(super) name: Option<String>,
    pub(super) display_name: Option<String>,
    pub(super) required: Option<bool>,
    pub(super) read_only: Option<bool>,
    pub(super) hidden: Option<bool>,
    pub(super) indexed: Option<bool>,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) choice: Option<Choice>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Choice {
    pub(super) choices: Vec<String>,
}

/// The columns a person sees, each with what one must know to fill it in.
pub(super) fn columns(all: &[Column]) -> Value {
    let shown = all.iter().filter(|column| {
        let name = column.name.as_deref().unwrap_or_default();
        column.hidden != Some(true) && !is_internal(name)
    });
    shown
        .map(|column| {
            let mut words = Map::new();
            words.insert("name".to_owned(), json!(column.name));
            if column.display_name != column.name {
                words.insert("title".to_owned(), json!(column.display_name));
            }
            if let Some(kind) = &column.kind {
                words.insert("type".to_owned(), json!(kind));
            }
            if let Some(choice) = &column.choice {
                words.insert("choices".to_owned(), json!(choice.choices));
            }
            for (name, is) in [
                ("required", column.required),
                ("read_only", column.read_only),
                ("indexed", column.indexed),
            ] {
                if is == Some(true) {
                    words.insert(name.to_owned(), json!(true));
                }
            }
            Value::Object(words)
        })
        .collect()
}

/// Fields of every row that SharePoint keeps for itself.
pub(super) fn is_internal(name: &str) -> bool {
    name.starts_with('_')
        || name.starts_with('@')
        || matches!(
            name,
            "id" | "ContentType"
                | "Edit"
                | "LinkTitle"
                | "LinkTitleNoMenu"
                | "LinkFilename"
                | "LinkFilenameNoMenu"
                | "DocIcon"
                | "ItemChildCount"
                | "FolderChildCount"
                | "AppAuthor"
                | "AppEditor"
                | "AuthorLookupId"
                | "EditorLookupId"
                | "AppAuthorLookupId"
                | "AppEditorLookupId"
                | "ComplianceAssetId"
                | "Attachments"
        )
}

/// A row.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) web_url: Option<String>,
    pub(super) e_tag: Option<String>,
    pub(super) last_modified_date_time: Option<String>,
    pub(super) fields: Map<String, Value>,
}

impl Row {
    /// As tools answer it; with `wanted`, exactly these fields.
    pub(super) fn item(&self, cx: &Cx, site: &str, list: &str, wanted: &[String]) -> Item {
        let mut item = Item::new(&self.id).uri(list_uri(cx, site, list));
        item.url.clone_from(&self.web_url);
        item.field("modified", self.last_modified_date_time.clone())
            .field("etag", self.e_tag.clone())
            .field("fields", shown(&self.fields, wanted))
    }
}

/// The fields that say something.
pub(super) fn shown(fields: &Map<String, Value>, wanted: &[String]) -> Map<String, Value> {
    fields
        .iter()
        .filter(|(name, value)| {
            if wanted.is_empty() {
                !is_internal(name) && !value.is_null()
            } else {
                wanted.iter().any(|one| one == *name)
            }
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// The address of a list's block.
pub(super) fn list_uri(cx: &Cx, site: &str, list: &str) -> String {
    cx.uri(&format!(
        "sites/{}/lists/{}",
        uri::encode(site),
        uri::encode(list)
    ))
}

/// Words where a site was expected.
pub(in super::super) fn not_a_site(text: &str) -> ToolError {
    ToolError::Invalid(format!(
        "`site`: `{text}` is no site's URL or id; find it with m365_list_sites"
    ))
}

/// Reads a `site` argument.
pub(super) fn parsed(text: &str) -> Result<SiteRef, ToolError> {
    SiteRef::parse(text).ok_or_else(|| not_a_site(text))
}

/// The site that `site` names.
pub(super) async fn site(cx: &Cx, site: &SiteRef) -> Result<Site, ToolError> {
    require_work(cx, "SharePoint sites")?;
    let name = match site {
        SiteRef::Id(id) => id.clone(),
        SiteRef::At { host, path } => format!("https://{host}/{}", path.join("/")),
    };
    let found = cx
        .api
        .get(&borrowed(&site.address()))
        .query("$select", SITE_FIELDS)
        .send()
        .await;
    found.map_err(|error| explained(cx, &name, "read", error))
}

/// The id of a site's default library.
pub(super) async fn default_drive(cx: &Cx, site: &Site) -> Result<String, ToolError> {
    #[derive(Deserialize)]
    struct Drive {
        id: String,
    }
    let found: Result<Drive, ProviderError> = cx
        .api
        .get(&["v1.0", "sites", &site.id, "drive"])
        .query("$select", "id")
        .send()
        .await;
    let found = found.map_err(|error| explained(cx, site.title(), "read", error))?;
    Ok(found.id)
}

/// A site's id as arguments name it. An id needs no request.
pub(super) async fn site_id(cx: &Cx, text: &str) -> Result<String, ToolError> {
    require_work(cx, "SharePoint sites")?;
    match parsed(text)? {
        SiteRef::Id(id) => Ok(id),
        at @ SiteRef::At { .. } => Ok(site(cx, &at).await?.id),
    }
}

/// A list by its id or its title, with its columns if asked for.
pub(super) async fn list(
    cx: &Cx,
    site: &str,
    list: &str,
    with_columns: bool,
) -> Result<List, ToolError> {
    let expand = format!("columns($select={COLUMN_FIELDS})");
    let found = cx
        .api
        .get(&["v1.0", "sites", site, "lists", list])
        .query("$select", LIST_FIELDS)
        .query_opt("$expand", with_columns.then_some(expand))
        .send()
        .await;
    found.map_err(|error| list_refused(cx, site, list, "read", error))
}

/// All lists of a site.
pub(super) async fn lists(
    cx: &Cx,
    site: &str,
    with_columns: bool,
) -> Result<Page<List>, ProviderError> {
    let expand = format!("columns($select={COLUMN_FIELDS})");
    cx.api
        .get(&["v1.0", "sites", site, "lists"])
        .query("$select", LIST_FIELDS)
        .query_opt("$expand", with_columns.then_some(expand))
        .query("$top", 100)
        .send()
        .await
}

/// A refusal to do something with a list.
pub(super) fn list_refused(
    cx: &Cx,
    site: &str,
    list: &str,
    role: &str,
    error: ProviderError,
) -> ToolError {
    match error {
        ProviderError::NotFound => ToolError::NotFound(format!(
            "`list`: site {site} has no list `{list}` that {} may see; m365_list_sites shows its lists with `include`",
            cx.account.label
        )),
        error => explained(cx, site, role, error),
    }
}

/// A refusal in words that name the site and the scope or grant it takes.
pub(super) fn explained(cx: &Cx, site: &str, role: &str, error: ProviderError) -> ToolError {
    let is_refusal = matches!(error, ProviderError::Forbidden { .. })
        || matches!(&error, ProviderError::InsufficientScope { missing } if missing.is_empty());
    let broad: &[&str] = match role {
        "read" => &["Sites.Read.All", "Sites.ReadWrite.All"],
        _ => &["Sites.ReadWrite.All"],
    };
    match error {
        ProviderError::NotFound => ToolError::NotFound(format!(
            "site {site} was not found, or {} may not see it; find it with m365_list_sites",
            cx.account.label
        )),
        _ if is_refusal && has_any(cx, broad) => ProviderError::Forbidden {
            message: format!(
                "{} may not {role} site {site}{}; ask its owner for access",
                cx.account.label,
                reason(&error)
            ),
        }
        .into(),
        _ if is_refusal && cx.granted.has("Sites.Selected") => ProviderError::Forbidden {
            message: format!(
                "this connection has `Sites.Selected`, and site {site} is not granted to this app with the role `{role}`: an administrator grants it with POST /sites/{{id}}/permissions, or allows `{}`",
                broad.last().unwrap_or(&"Sites.ReadWrite.All")
            ),
        }
        .into(),
        _ if is_refusal => ProviderError::InsufficientScope {
            missing: vec![broad[0].to_owned()],
        }
        .into(),
        error => error.into(),
    }
}
