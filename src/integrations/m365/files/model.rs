//! Files and folders as Graph has them, and as tools answer them.

use serde::Deserialize;
use serde_json::Value;

use super::super::refs::{self, FileRef, borrowed};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::Item;
use crate::kit::tool::Cx;
use crate::kit::uri;

/// What is asked of an item.
pub(super) const FIELDS: &str = "id,name,size,webUrl,eTag,cTag,lastModifiedDateTime,lastModifiedBy,parentReference,file,folder,package,remoteItem,root";

/// A file or folder.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct DriveItem {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) size: Option<u64>,
    pub(super) web_url: Option<String>,
    pub(super) e_tag: Option<String>,
    pub(super) c_tag: Option<String>,
    pub(super) last_modified_date_time: Option<String>,
    pub(super) last_modified_by: Option<Identities>,
    pub(super) parent_reference: Option<Parent>,
    pub(super) file: Option<File>,
    pub(super) folder: Option<Folder>,
    /// OneNote notebooks are folders that pretend to be files.
    pub(super) package: Option<Package>,
    /// Only a drive's root has this.
    pub(super) root: Option<Value>,
    /// What somebody shared is elsewhere.
    pub(super) remote_item: Option<Box<DriveItem>>,
}

/// Who did something.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in super::super) struct Identities {
    pub(in super::super) user: Option<Identity>,
    pub(in super::super) application: Option<Identity>,
    pub(in super::super) group: Option<Identity>,
    pub(in super::super) site_group: Option<Identity>,
    pub(in super::super) site_user: Option<Identity>,
}

/// A person, an app or a group.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in super::super) struct Identity {
    pub(in super::super) id: Option<String>,
    pub(in super::super) display_name: Option<String>,
    pub(in super::super) email: Option<String>,
}

impl Identities {
    /// The best name of whoever it was.
    pub(in super::super) fn name(&self) -> Option<String> {
        [
            &self.user,
            &self.site_user,
            &self.group,
            &self.site_group,
            &self.application,
        ]
        .into_iter()
        .flatten()
        .find_map(|who| who.email.clone().or_else(|| who.display_name.clone()))
    }
}

/// Where an item is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Parent {
    pub(super) drive_id: Option<String>,
    pub(super) path: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct File {
    pub(super) mime_type: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Folder {
    pub(super) child_count: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Package {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
}

/// The two ids that together name an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) drive: String,
    pub(super) item: String,
}

impl Place {
    /// The path of the item with `rest` of it.
    pub(super) fn path<'a>(&'a self, rest: &[&'a str]) -> Vec<&'a str> {
        let mut path = vec!["v1.0", "drives", &self.drive, "items", &self.item];
        path.extend_from_slice(rest);
        path
    }
}

impl DriveItem {
    /// Where it really is: of a shortcut, what it leads to.
    pub(super) fn place(&self) -> Result<Place, ToolError> {
        self.remote_item.as_deref().unwrap_or(self).entry()
    }

    /// Where it is listed: of a shortcut, the shortcut itself. What moves or renames must take this, or it would change
    /// somebody else's drive.
    pub(super) fn entry(&self) -> Result<Place, ToolError> {
        let drive = self
            .parent_reference
            .as_ref()
            .and_then(|parent| parent.drive_id.clone());
        match drive {
            Some(drive) if !self.id.is_empty() => Ok(Place {
                drive,
                item: self.id.clone(),
            }),
            _ => Err(ProviderError::Unavailable {
                reason: "named an item without its drive".to_owned(),
            }
            .into()),
        }
    }

    /// The ids of a shortcut itself, as tools take them.
    fn shortcut(&self) -> Option<String> {
        self.remote_item.as_ref()?;
        let entry = self.entry().ok()?;
        Some(format!("{}:{}", entry.drive, entry.item))
    }

    pub(super) fn is_folder(&self) -> bool {
        self.folder.is_some()
            || self
                .remote_item
                .as_ref()
                .is_some_and(|real| real.is_folder())
    }

    pub(super) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    pub(super) fn media(&self) -> &str {
        let real = self.remote_item.as_deref().unwrap_or(self);
        let media = real
            .file
            .as_ref()
            .and_then(|file| file.mime_type.as_deref());
        media.unwrap_or_default()
    }

    /// Where it is and how it is called, from the root of its drive; empty when Graph does not say.
    pub(super) fn full_path(&self) -> String {
        let parent = self.parent_reference.as_ref();
        match parent.and_then(|parent| parent.path.as_deref()) {
            Some(path) => {
                let (_, folders) = path.split_once("root:").unwrap_or(("", ""));
                let folders = percent_encoding::percent_decode_str(folders).decode_utf8_lossy();
                format!("{folders}/{}", self.name())
            }
            None => String::new(),
        }
    }

    /// Where something of this name is in this folder. The root's own name is no part of paths.
    pub(super) fn path_of(&self, name: &str) -> String {
        if self.root.is_some() {
            format!("/{name}")
        } else {
            format!("{}/{name}", self.full_path())
        }
    }

    /// How to ask for something of this name in this folder.
    pub(super) fn inside(&self, name: &str) -> Result<FileRef, ToolError> {
        if self.full_path().is_empty() && self.root.is_none() {
            return Err(ProviderError::Unavailable {
                reason: "did not say where the folder is".to_owned(),
            }
            .into());
        }
        Ok(FileRef::in_drive(&self.place()?.drive, &self.path_of(name)))
    }

    /// As tools answer it.
    pub(super) fn row(&self, cx: &Cx) -> Item {
        let kind = match (&self.package, self.is_folder()) {
            (Some(package), _) => package.kind.as_deref().unwrap_or("package"),
            (None, true) => "folder",
            (None, false) => "file",
        };
        let folder = self
            .folder
            .as_ref()
            .or_else(|| self.remote_item.as_ref()?.folder.as_ref());
        let mut item = match self.place() {
            Ok(place) => Item::new(format!("{}:{}", place.drive, place.item)).uri(block_uri(
                cx,
                &place.drive,
                &place.item,
            )),
            Err(_) => Item::new(&self.id),
        };
        if let Some(url) = &self.web_url {
            item = item.url(url);
        }
        item.field("name", self.name())
            .field("type", kind)
            .field("path", self.full_path())
            .field("shortcut", self.shortcut())
            .field("media_type", self.media())
            .field("bytes", self.size.filter(|_| !self.is_folder()))
            .field("items", folder.and_then(|folder| folder.child_count))
            .field("modified", self.last_modified_date_time.clone())
            .field(
                "modified_by",
                self.last_modified_by.as_ref().and_then(Identities::name),
            )
    }
}

/// The address of the block of an item.
pub(super) fn block_uri(cx: &Cx, drive: &str, item: &str) -> String {
    cx.uri(&format!(
        "files/{}/{}",
        uri::encode(drive),
        uri::encode(item)
    ))
}

/// The item that `file` names, or `None`.
pub(super) async fn find(cx: &Cx, file: &FileRef) -> Result<Option<DriveItem>, ToolError> {
    let found = cx
        .api
        .get(&borrowed(&file.address(&[])))
        .query("$select", FIELDS)
        .send::<DriveItem>()
        .await;
    match found {
        Ok(item) => Ok(Some(item)),
        Err(ProviderError::NotFound) => Ok(None),
        Err(error) => Err(explained(cx, &file.words(), error)),
    }
}

/// The item that `file` names.
pub(super) async fn get(cx: &Cx, file: &FileRef) -> Result<DriveItem, ToolError> {
    let missing = || {
        ToolError::NotFound(format!(
            "{} was not found, or {} may not see it; search with m365_search_files",
            file.words(),
            cx.account.label
        ))
    };
    find(cx, file).await?.ok_or_else(missing)
}

/// A refusal in words that say what is missing: the right to the file, or, where an administrator chooses sites one by
/// one, the grant of its site.
pub(super) fn explained(cx: &Cx, what: &str, error: ProviderError) -> ToolError {
    let is_refusal = matches!(error, ProviderError::Forbidden { .. })
        || matches!(&error, ProviderError::InsufficientScope { missing } if missing.is_empty());
    if !is_refusal {
        return error.into();
    }
    let reason = refs::reason(&error);
    let broad = ["Files.Read.All", "Files.ReadWrite.All", "Sites.Read.All"];
    let message = if refs::has_any(cx, &broad) {
        format!(
            "{} may not do this with {what}{reason}; ask its owner",
            cx.account.label
        )
    } else {
        format!(
            "{what} may lie outside what this connection reaches: `Sites.Selected` covers only sites that an administrator granted to this app, `Files.ReadWrite` only the own drive; connect again with `Files.ReadWrite.All` or have the site granted"
        )
    };
    ProviderError::Forbidden { message }.into()
}
