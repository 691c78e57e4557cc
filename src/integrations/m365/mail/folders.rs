//! Folders by the names that people call them.

use crate::integrations::m365::graph::{self, Page};
use crate::integrations::m365::model::Folder;
use crate::kit::error::ToolError;
use crate::kit::text;
use crate::kit::tool::Cx;

/// What people say, and Graph's well-known names (`mailFolder` resource).
const KNOWN: [(&str, &str); 16] = [
    ("inbox", "inbox"),
    ("drafts", "drafts"),
    ("sent", "sentitems"),
    ("sent items", "sentitems"),
    ("sentitems", "sentitems"),
    ("archive", "archive"),
    ("deleted", "deleteditems"),
    ("deleted items", "deleteditems"),
    ("deleteditems", "deleteditems"),
    ("trash", "deleteditems"),
    ("junk", "junkemail"),
    ("junk email", "junkemail"),
    ("junkemail", "junkemail"),
    ("spam", "junkemail"),
    ("outbox", "outbox"),
    ("clutter", "clutter"),
];
/// Ids of folders are longer than any name that people give.
const ID_CHARS: usize = 80;

/// The well-known name for what somebody calls a folder.
fn known(name: &str) -> Option<&'static str> {
    let name = name.trim().to_lowercase();
    KNOWN
        .iter()
        .find(|(said, _)| *said == name)
        .map(|(_, known)| *known)
}

/// The id, or well-known name, of a folder: a name, a path of names such as `Inbox/Projects`, or an id.
pub(super) async fn resolve(
    cx: &Cx,
    mailbox: &str,
    argument: &str,
    wanted: &str,
) -> Result<String, ToolError> {
    if let Some(known) = known(wanted) {
        return Ok(known.to_owned());
    }
    if wanted.chars().count() >= ID_CHARS {
        return Ok(wanted.to_owned());
    }
    let mut parent: Option<String> = None;
    for name in wanted.split('/').map(str::trim) {
        let found = match (&parent, known(name)) {
            (None, Some(known)) => Some(known.to_owned()),
            (None, None) => below(cx, &graph::of(mailbox, &["mailFolders"]), name).await?,
            (Some(id), _) => {
                let path = graph::of(mailbox, &["mailFolders", id, "childFolders"]);
                below(cx, &path, name).await?
            }
        };
        parent = Some(found.ok_or_else(|| {
            ToolError::NotFound(format!(
                "`{argument}`: there is no folder `{}` here; m365_get_profile with include folders lists them, and a folder below another is written `Inbox/Name`",
                text::clip(name, 80)
            ))
        })?);
    }
    parent.ok_or_else(|| ToolError::Invalid(format!("`{argument}` names no folder")))
}

async fn below(cx: &Cx, path: &[&str], name: &str) -> Result<Option<String>, ToolError> {
    let page: Page<Folder> = cx
        .api
        .get(path)
        .query("$filter", format!("displayName eq {}", graph::quoted(name)))
        .query("$select", "id,displayName")
        .send()
        .await?;
    Ok(page.value.into_iter().next().map(|folder| folder.id))
}
