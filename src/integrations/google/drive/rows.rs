//! Files as items of an answer.

use super::model::{DOCUMENT, FOLDER, File, GOOGLE, PRESENTATION, SPREADSHEET, User};
use crate::kit::output::Item;
use crate::kit::tool::Cx;
use crate::kit::uri::encode;

/// The word for a media type: Google's own kinds have short ones.
pub(super) fn kind(media: &str) -> &str {
    match media {
        DOCUMENT => "document",
        SPREADSHEET => "spreadsheet",
        PRESENTATION => "presentation",
        FOLDER => "folder",
        other => other.strip_prefix(GOOGLE).unwrap_or(other),
    }
}

/// Whom a user is, for people.
pub(super) fn person(user: &User) -> &str {
    if user.email_address.is_empty() {
        &user.display_name
    } else {
        &user.email_address
    }
}

/// The provider's page of a file; addresses by id redirect to the right editor.
pub(super) fn page(file: &File) -> String {
    file.web_view_link
        .clone()
        .unwrap_or_else(|| format!("https://drive.google.com/open?id={}", file.id))
}

/// The row of a file.
pub(super) fn item(cx: &Cx, file: &File) -> Item {
    let mut item = Item::new(&file.id)
        .url(page(file))
        .field("name", file.name.as_str())
        .field("type", kind(&file.mime_type))
        .field("owner", file.owners.first().map(person))
        .field("modified_at", file.modified_time.as_deref())
        .field("modified_by", file.last_modifying_user.as_ref().map(person))
        .field("bytes", file.bytes())
        .field("folder", file.parents.first().map(String::as_str))
        .field("shared_drive", file.drive_id.as_deref())
        .field("version", file.version());
    if file.mime_type != FOLDER {
        item = item.uri(cx.uri(&format!("drive/{}", encode(&file.id))));
    }
    if let Some(shortcut) = &file.shortcut_details {
        item.set("target", shortcut.target_id.as_str());
        item.set("target_type", kind(&shortcut.target_mime_type));
    }
    for (name, holds) in [
        ("shared", file.shared),
        ("starred", file.starred),
        ("trashed", file.trashed),
    ] {
        if holds {
            item.set(name, true);
        }
    }
    item
}
