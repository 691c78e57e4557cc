//! How people and tools name things in OneDrive, SharePoint and Teams: paths, ids, links, our own addresses.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::Url;

use crate::kit::error::{ProviderError, ToolError};
use crate::kit::tool::Cx;
use crate::kit::uri;

/// Whether this is a personal Microsoft account.
pub(super) fn is_personal(cx: &Cx) -> bool {
    is_personal_id(&cx.account.id)
}

/// Ids of personal accounts are sixteen hexadecimal digits, those of work and school accounts UUIDs.
fn is_personal_id(id: &str) -> bool {
    id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Fails in clear words when a personal account asks for what only organizations have.
pub(super) fn require_work(cx: &Cx, what: &str) -> Result<(), ToolError> {
    if is_personal(cx) {
        return Err(ToolError::Invalid(format!(
            "{} is a personal Microsoft account, and only work and school accounts have {what}; choose another `account`",
            cx.account.label
        )));
    }
    Ok(())
}

/// Whether any of these scopes is granted.
pub(super) fn has_any(cx: &Cx, scopes: &[&str]) -> bool {
    scopes.iter().any(|scope| cx.granted.has(scope))
}

/// Fails naming the first of these scopes when none is granted.
pub(super) fn require_any(cx: &Cx, scopes: &[&str]) -> Result<(), ToolError> {
    match scopes.first() {
        Some(first) if !has_any(cx, scopes) => Err(ProviderError::InsufficientScope {
            missing: vec![(*first).to_owned()],
        }
        .into()),
        _ => Ok(()),
    }
}

/// What the provider said about a refusal, in brackets, when it said something.
pub(super) fn reason(error: &ProviderError) -> String {
    if let ProviderError::Forbidden { message } = error
        && message != "no reason given"
    {
        return format!(" ({message})");
    }
    String::new()
}

/// The rest of one of our own addresses: `files/x/y` of `m365://acme/files/x/y`, its segments decoded.
fn own(text: &str) -> Option<Vec<String>> {
    let rest = text.strip_prefix("m365://")?;
    let segments = rest.split('/').skip(1);
    Some(
        segments
            .map(|segment| {
                percent_encoding::percent_decode_str(segment)
                    .decode_utf8_lossy()
                    .into_owned()
            })
            .collect(),
    )
}

/// The message that one of our own addresses names, and its attachment if it names one:
/// `m365://acme/mail/M/attachments/A`.
pub(super) fn mail_part(text: &str) -> Option<(String, Option<String>)> {
    let own = own(text.trim())?;
    match own.as_slice() {
        [kind, message] if kind == "mail" => Some((message.clone(), None)),
        [kind, message, part, attachment] if kind == "mail" && part == "attachments" => {
            Some((message.clone(), Some(attachment.clone())))
        }
        _ => None,
    }
}

/// A file or folder as somebody named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FileRef {
    /// A path from the root of a drive; without a drive, of the person's own OneDrive.
    Path {
        /// The drive's id.
        drive: Option<String>,
        /// Folder by folder; empty is the root.
        path: Vec<String>,
    },
    /// By its ids.
    Item {
        /// The drive's id, or `me`.
        drive: String,
        /// The item's id.
        item: String,
    },
    /// A link to it, from the address bar or from sharing.
    Link(String),
}

impl FileRef {
    /// Reads `Folder/a.docx`, `drive:item`, `drive:/Folder/a.docx`, a link, or one of our own addresses. A colon cannot
    /// be part of a name in OneDrive, so it tells ids from paths.
    pub(super) fn parse(text: &str) -> Result<Self, ToolError> {
        let text = text.trim();
        if let Some(own) = own(text) {
            let own: Vec<&str> = own.iter().map(String::as_str).collect();
            return match own.as_slice() {
                ["files", drive, item] => Ok(Self::in_drive(drive, item)),
                _ => Err(ToolError::Invalid(format!(
                    "`{text}` is no address of a file; those begin with m365://account/files/"
                ))),
            };
        }
        if text.starts_with("https://") || text.starts_with("http://") {
            return Ok(Self::Link(text.to_owned()));
        }
        match text.split_once(':') {
            Some(("", _)) => Err(ToolError::Invalid(format!(
                "`{text}` names no drive before its colon"
            ))),
            Some((drive, item)) => Ok(Self::in_drive(drive, item)),
            None => Ok(Self::Path {
                drive: None,
                path: segments(text),
            }),
        }
    }

    /// `item` is an id, or a path when it is empty or begins with a slash; `me` is the person's own drive, whose paths
    /// may come without their first slash.
    pub(super) fn in_drive(drive: &str, item: &str) -> Self {
        let is_own = drive == "me";
        if item.is_empty() || item.starts_with('/') || is_own && item.contains('/') {
            return Self::Path {
                drive: (!is_own).then(|| drive.to_owned()),
                path: segments(item),
            };
        }
        Self::Item {
            drive: drive.to_owned(),
            item: item.to_owned(),
        }
    }

    /// Where Graph has it, below the version, with `rest` of it. A path of a drive stands between two colons.
    pub(super) fn address(&self, rest: &[&str]) -> Vec<String> {
        let mut address: Vec<String> = vec!["v1.0".to_owned()];
        let mut push = |parts: &[&str]| address.extend(parts.iter().map(|&part| part.to_owned()));
        match self {
            Self::Path { drive, path } => {
                match drive {
                    Some(drive) => push(&["drives", drive]),
                    None => push(&["me", "drive"]),
                }
                if path.is_empty() {
                    push(&["root"]);
                } else {
                    push(&["root:"]);
                    let folders: Vec<&str> = path.iter().map(String::as_str).collect();
                    push(&folders);
                    if let (false, Some(last)) = (rest.is_empty(), address.last_mut()) {
                        last.push(':');
                    }
                }
            }
            Self::Item { drive, item } if drive == "me" => push(&["me", "drive", "items", item]),
            Self::Item { drive, item } => push(&["drives", drive, "items", item]),
            Self::Link(link) => push(&["shares", &share(link), "driveItem"]),
        }
        address.extend(rest.iter().map(|&part| part.to_owned()));
        address
    }

    /// What to call it in a sentence.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Path { path, .. } if path.is_empty() => "the drive's root".to_owned(),
            Self::Path { path, .. } => format!("`{}`", path.join("/")),
            Self::Item { drive, item } => format!("item {item} of drive {drive}"),
            Self::Link(link) => format!("the link {link}"),
        }
    }
}

fn segments(path: &str) -> Vec<String> {
    path.split('/')
        .map(str::trim)
        .filter(|segment| !segment.is_empty())
        .map(ToOwned::to_owned)
        .collect()
}

/// A link as the `shares` resource takes it: base64url without padding after `u!`.
fn share(link: &str) -> String {
    format!("u!{}", URL_SAFE_NO_PAD.encode(link))
}

/// A SharePoint site as somebody named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SiteRef {
    /// `host,collection,site`, or another id.
    Id(String),
    /// By its web address.
    At {
        /// `acme.sharepoint.com`.
        host: String,
        /// `["sites", "launch"]`; empty for the host's root site.
        path: Vec<String>,
    },
}

impl SiteRef {
    /// Reads an id, `https://acme.sharepoint.com/sites/launch/…`, the same without its scheme, a sharing link that names its
    /// site, or one of our own addresses. `None` for anything else, such as words, or addresses that name no site.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(own) = own(text) {
            return match own.as_slice() {
                [kind, site, ..] if kind == "sites" => Self::parse(site),
                _ => None,
            };
        }
        if text.contains(',') && !text.contains(char::is_whitespace) && !text.contains('/') {
            return Some(Self::Id(text.to_owned()));
        }
        let url = match text.strip_prefix("https://") {
            Some(_) => Url::parse(text).ok()?,
            // Much that has a dot is a name: `node.js`.
            None if text.split('/').next()?.contains(".sharepoint.")
                && !text.contains(char::is_whitespace) =>
            {
                Url::parse(&format!("https://{text}")).ok()?
            }
            None => return None,
        };
        let host = url.host_str()?.to_owned();
        let path: Vec<String> = url
            .path_segments()?
            .filter(|segment| !segment.is_empty())
            .map(|segment| {
                percent_encoding::percent_decode_str(segment)
                    .decode_utf8_lossy()
                    .into_owned()
            })
            .collect();
        let segments: Vec<&str> = path.iter().map(String::as_str).collect();
        let path = site_path(&segments)?.into_iter().map(ToOwned::to_owned);
        let path = path.collect();
        Some(Self::At { host, path })
    }

    /// Where Graph has it.
    pub(super) fn address(&self) -> Vec<String> {
        let mut address = vec!["v1.0".to_owned(), "sites".to_owned()];
        match self {
            Self::Id(id) => address.push(id.clone()),
            Self::At { host, path } if path.is_empty() => address.push(host.clone()),
            Self::At { host, path } => {
                address.push(format!("{host}:"));
                address.extend(path.iter().cloned());
            }
        }
        address
    }
}

/// The path of the site in an address whose path has these segments: the rest of an address bar is pages and libraries of
/// the site. In a sharing link (`/:x:/s/launch/…`) the first segment is the kind of file, and `s` and `t` stand for `sites`
/// and `teams`; `/:x:/r/` comes before the plain path. `None` when it names no site.
fn site_path<'a>(segments: &[&'a str]) -> Option<Vec<&'a str>> {
    let managed = |first: &str| matches!(first, "sites" | "teams" | "personal");
    match *segments {
        [] => Some(Vec::new()),
        [first, name, ..] if managed(first) => Some(vec![first, name]),
        [kind, short, name, ref rest @ ..] if kind.len() == 3 && kind.starts_with(':') => {
            match (short, rest.first()) {
                ("s", _) => Some(vec!["sites", name]),
                ("t", _) => Some(vec!["teams", name]),
                (_, Some(site)) if managed(name) => Some(vec![name, site]),
                _ => None,
            }
        }
        _ => None,
    }
}

/// A conversation of Teams as somebody named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TalkRef {
    /// A channel, or a thread in it.
    Channel {
        /// The team's id.
        team: String,
        /// The channel's id.
        channel: String,
        /// The first message of a thread.
        thread: Option<String>,
    },
    /// A chat.
    Chat(String),
}

impl TalkRef {
    /// Reads `team/channel`, `team/channel/message`, a chat's id, a link from Teams or one of our own addresses.
    pub(super) fn parse(text: &str) -> Result<Self, ToolError> {
        let text = text.trim();
        let wrong = |what: &str| {
            ToolError::Invalid(format!(
                "`ref` {what}; take an id or link from m365_list_conversations"
            ))
        };
        if let Some(own) = own(text) {
            let own: Vec<&str> = own.iter().map(String::as_str).collect();
            return match own.as_slice() {
                ["teams", team, "channels", channel] => Ok(Self::channel(team, channel, None)),
                ["chats", chat] => Ok(Self::Chat((*chat).to_owned())),
                _ => Err(wrong("is no address of a channel or chat")),
            };
        }
        if text.starts_with("https://") {
            return Self::link(text).ok_or_else(|| wrong("is a link that names no conversation"));
        }
        match text.split('/').collect::<Vec<_>>().as_slice() {
            [chat] if chat.contains(':') => Ok(Self::Chat((*chat).to_owned())),
            [team, channel] => Ok(Self::channel(team, channel, None)),
            [team, channel, message] => Ok(Self::channel(team, channel, Some(message))),
            _ => Err(wrong("names no conversation")),
        }
    }

    fn channel(team: &str, channel: &str, thread: Option<&str>) -> Self {
        Self::Channel {
            team: team.to_owned(),
            channel: channel.to_owned(),
            thread: thread.map(ToOwned::to_owned),
        }
    }

    /// `/l/channel/{channel}/{name}?groupId=`, `/l/message/{conversation}/{message}?groupId=&parentMessageId=`,
    /// `/l/chat/{chat}/…`. A message outside a team has no `groupId`.
    fn link(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let host = url.host_str()?;
        if host != "teams.microsoft.com" && host != "teams.cloud.microsoft" {
            return None;
        }
        let parts: Vec<String> = url
            .path_segments()?
            .map(|part| {
                percent_encoding::percent_decode_str(part)
                    .decode_utf8_lossy()
                    .into_owned()
            })
            .collect();
        let query = |name: &str| {
            url.query_pairs()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
        };
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match (parts.as_slice(), query("groupId")) {
            (["l", "channel", channel, ..], Some(team)) => {
                Some(Self::channel(&team, channel, None))
            }
            (["l", "message", channel, message, ..], Some(team)) => {
                let parent = query("parentMessageId").unwrap_or_else(|| (*message).to_owned());
                Some(Self::channel(&team, channel, Some(&parent)))
            }
            (["l", "message" | "chat", chat, ..], None) => Some(Self::Chat((*chat).to_owned())),
            _ => None,
        }
    }

    /// The address of the block of it.
    pub(super) fn uri(&self, cx: &Cx) -> String {
        match self {
            Self::Channel { team, channel, .. } => cx.uri(&format!(
                "teams/{}/channels/{}",
                uri::encode(team),
                uri::encode(channel)
            )),
            Self::Chat(chat) => cx.uri(&format!("chats/{}", uri::encode(chat))),
        }
    }
}

/// Borrowed segments, as the client takes them.
pub(super) fn borrowed(address: &[String]) -> Vec<&str> {
    address.iter().map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;

    #[test]
    fn ids_tell_personal_accounts() {
        assert!(is_personal_id("d4648f06c91d9d3d"));
        assert!(!is_personal_id("00000000-0000-0000-0000-000000001001"));
        assert!(!is_personal_id(""));
    }

    fn file(text: &str, rest: &[&str]) -> String {
        FileRef::parse(text).unwrap().address(rest).join("/")
    }

    #[test]
    fn files_are_named_in_many_ways() {
        for (text, expected) in [
            ("", "v1.0/me/drive/root/children"),
            ("/", "v1.0/me/drive/root/children"),
            ("Plans/a.docx", "v1.0/me/drive/root:/Plans/a.docx:/children"),
            ("b!x:01AB", "v1.0/drives/b!x/items/01AB/children"),
            ("b!x:/Plans", "v1.0/drives/b!x/root:/Plans:/children"),
            ("b!x:", "v1.0/drives/b!x/root/children"),
            (
                "m365://acme/files/b%21x/01AB",
                "v1.0/drives/b!x/items/01AB/children",
            ),
            (
                "m365://acme/files/me/01AB",
                "v1.0/me/drive/items/01AB/children",
            ),
            ("me:Plans/a", "v1.0/me/drive/root:/Plans/a:/children"),
            (
                "m365://acme/files/me/%2FPlans",
                "v1.0/me/drive/root:/Plans:/children",
            ),
            (
                "https://a.b/c",
                "v1.0/shares/u!aHR0cHM6Ly9hLmIvYw/driveItem/children",
            ),
        ] {
            assert_eq!(file(text, &["children"]), expected, "{text}");
        }
        assert_eq!(
            file("Plans/a.docx", &[]),
            "v1.0/me/drive/root:/Plans/a.docx"
        );
        assert!(FileRef::parse("m365://acme/mail/7").is_err());
        assert!(FileRef::parse(":x").is_err());
    }

    #[test]
    fn attachments_are_named_below_their_mail() {
        let both = |text| mail_part(text).map(|(mail, part)| (mail, part.unwrap_or_default()));
        let pair = |mail: &str, part: &str| Some((mail.to_owned(), part.to_owned()));
        assert_eq!(both("m365://a/mail/M%2F1/attachments/A"), pair("M/1", "A"));
        assert_eq!(both("m365://a/mail/M"), pair("M", ""));
        assert_eq!(both("m365://a/files/me/A"), None);
        assert_eq!(both("M"), None);
    }

    #[test]
    fn sites_are_named_in_many_ways() {
        for (text, expected) in [
            (
                "acme.sharepoint.com,1,2",
                "v1.0/sites/acme.sharepoint.com,1,2",
            ),
            (
                "https://acme.sharepoint.com",
                "v1.0/sites/acme.sharepoint.com",
            ),
            (
                "https://acme.sharepoint.com/sites/launch/Lists/Tasks/AllItems.aspx?x=1",
                "v1.0/sites/acme.sharepoint.com:/sites/launch",
            ),
            (
                "acme.sharepoint.com/teams/a%20b",
                "v1.0/sites/acme.sharepoint.com:/teams/a b",
            ),
            (
                "m365://a/sites/acme.sharepoint.com%2Fsites%2Fx/lists/y",
                "v1.0/sites/acme.sharepoint.com:/sites/x",
            ),
            (
                "https://acme.sharepoint.com/:l:/s/launch/FOaB1c?e=4",
                "v1.0/sites/acme.sharepoint.com:/sites/launch",
            ),
            (
                "acme.sharepoint.com/:x:/t/launch/EaB1c",
                "v1.0/sites/acme.sharepoint.com:/teams/launch",
            ),
            (
                "https://acme.sharepoint.com/:w:/r/sites/launch/Shared%20Documents/a.docx",
                "v1.0/sites/acme.sharepoint.com:/sites/launch",
            ),
        ] {
            assert_eq!(SiteRef::parse(text).unwrap().address().join("/"), expected);
        }
        for words in [
            "Autumn launch",
            "launch",
            "",
            "budgets, 2026",
            "node.js",
            "acme.example/sites/launch",
            "https://acme.sharepoint.com/sites",
            "https://acme.sharepoint.com/:x:/g/EaB1c",
            "https://acme.sharepoint.com/_layouts/15/viewlsts.aspx",
        ] {
            assert_eq!(SiteRef::parse(words), None, "{words}");
        }
    }

    #[test]
    fn conversations_are_named_in_many_ways() {
        let channel = |thread| TalkRef::channel("t-1", "19:c@thread.tacv2", thread);
        let chat = TalkRef::Chat("19:x@thread.v2".to_owned());
        for (text, expected) in [
            ("t-1/19:c@thread.tacv2", channel(None)),
            ("t-1/19:c@thread.tacv2/17", channel(Some("17"))),
            ("19:x@thread.v2", chat.clone()),
            (
                "m365://a/teams/t-1/channels/19%3Ac%40thread.tacv2",
                channel(None),
            ),
            ("m365://a/chats/19%3Ax%40thread.v2", chat.clone()),
            (
                "https://teams.microsoft.com/l/channel/19%3Ac%40thread.tacv2/Launch?groupId=t-1&tenantId=z",
                channel(None),
            ),
            (
                "https://teams.microsoft.com/l/message/19:c@thread.tacv2/18?tenantId=z&groupId=t-1&parentMessageId=17",
                channel(Some("17")),
            ),
            (
                "https://teams.microsoft.com/l/message/19:x@thread.v2/18?context=%7B%22contextType%22%3A%22chat%22%7D",
                chat,
            ),
        ] {
            assert_eq!(TalkRef::parse(text).unwrap(), expected, "{text}");
        }
        for text in ["", "launch", "https://example.com/l/chat/19:x", "a/b/c/d"] {
            assert!(TalkRef::parse(text).is_err(), "{text}");
        }
    }
}
