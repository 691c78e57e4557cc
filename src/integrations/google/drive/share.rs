//! `google_share_file`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::grants::WRITE;
use super::super::refs::{FileRef, seen};
use super::model::{File, metadata};
use super::rows;
use crate::kit::Timestamp;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::Output;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Most people in one call.
const MAX_PEOPLE: usize = 50;
const FIELDS: &str = "id,type,role,emailAddress,domain,displayName,expirationTime,deleted,permissionDetails(inherited)";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Role {
    #[default]
    Reader,
    Commenter,
    Writer,
}

impl Role {
    const fn word(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Commenter => "commenter",
            Self::Writer => "writer",
        }
    }
}

/// Who has access by the link alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Link {
    Restricted,
    Domain,
    Anyone,
}

/// Give people access, change their role, or set link sharing. Answers who has access then.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ShareFile {
    /// Id or URL.
    file: FileRef,
    /// E-mail addresses.
    #[serde(default)]
    people: Vec<String>,
    /// Of people and link.
    #[serde(default)]
    role: Role,
    /// Who may open it by link.
    #[serde(default)]
    #[schemars(with = "Link")]
    link: Option<Link>,
    /// For people: RFC 3339 or date.
    #[serde(default)]
    expires: String,
    /// Send e-mail.
    #[serde(default)]
    notify: bool,
    /// In that e-mail.
    #[serde(default)]
    message: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Permission {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    role: String,
    email_address: String,
    domain: String,
    display_name: String,
    expiration_time: Option<String>,
    deleted: bool,
    permission_details: Vec<Detail>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Detail {
    inherited: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Permissions {
    permissions: Vec<Permission>,
    next_page_token: Option<String>,
}

impl Permission {
    /// As a line that people read.
    fn said(&self) -> String {
        let who = match self.kind.as_str() {
            "anyone" => "anyone with the link",
            "domain" => &self.domain,
            _person if self.email_address.is_empty() => &self.display_name,
            _person => &self.email_address,
        };
        let until = self.expiration_time.as_deref();
        let until = until
            .map(|until| format!(" until {until}"))
            .unwrap_or_default();
        format!("{who}: {}{until}", self.role)
    }

    /// Whether it is access by the link alone.
    fn is_link(&self) -> bool {
        matches!(self.kind.as_str(), "anyone" | "domain")
    }

    fn is_inherited(&self) -> bool {
        !self.permission_details.is_empty()
            && self
                .permission_details
                .iter()
                .all(|detail| detail.inherited)
    }
}

/// One request to be made.
enum Step {
    Add(Permission),
    Change(Permission),
    Remove(Permission),
}

impl Tool for ShareFile {
    const NAME: &'static str = "google_share_file";
    const TITLE: &'static str = "Share file";
    const EFFECT: Effect = Effect::Write { idempotent: true };
    const SCOPES: Needs = WRITE;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["file", "role", "link", "expires"],
        dropped: &["message"],
    };
    /// Whoever gets access can read at once, and may get mail.
    const OUTWARD: bool = true;

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let expires = self.checked()?;
        let file = metadata(cx, &self.file).await?;
        let before = permissions(cx, &self.file).await?;
        let steps = self.steps(cx, &before, expires.as_deref())?;
        let said = |list: &[Permission]| list.iter().map(Permission::said).collect::<Vec<_>>();
        if cx.dry_run {
            let after = after(&before, &steps);
            let item = rows::item(cx, &file)
                .field("dry_run", true)
                .field("access_before", said(&before))
                .field("access", said(&after));
            return Ok(Output::one(item));
        }
        let mut output = Output::default();
        let mut done = 0;
        let mut first = None;
        let mut link_refused = false;
        for step in &steps {
            let (Step::Add(entry) | Step::Change(entry) | Step::Remove(entry)) = step;
            let is_removal = matches!(step, Step::Remove(_));
            // Without the access that should come in its place, nobody may be able to open the file any more.
            if is_removal && link_refused {
                output = output.warn(format!("{} stays as it is", entry.said()));
                continue;
            }
            match self.send(cx, &file, step).await {
                Ok(()) => done += 1,
                // What was given already is told, whatever became of the rest.
                Err(error) if done > 0 || (error.is_partial() && steps.len() > 1) => {
                    link_refused |= entry.is_link() && !is_removal;
                    output = output.warn(format!("{} was refused: {error}", entry.said()));
                    first = first.or(Some(error));
                }
                Err(error) => return Err(error.into()),
            }
        }
        if let (0, Some(error)) = (done, first) {
            return Err(error.into());
        }
        if steps.is_empty() {
            output = output.warn("access is like that already; nothing was changed");
        }
        let mut item = rows::item(cx, &file);
        match permissions(cx, &self.file).await {
            Ok(now) => item.set("access", said(&now)),
            Err(_) => {
                output = output.warn("it was shared, but who has access now could not be read");
            }
        }
        output.items.push(item);
        Ok(output)
    }
}

impl ShareFile {
    /// The arguments that the schema cannot judge; answers when access ends.
    fn checked(&self) -> Result<Option<String>, ToolError> {
        let invalid = |text: &str| Err(ToolError::Invalid(text.to_owned()));
        if self.people.is_empty() && self.link.is_none() {
            return invalid("say whom to give access: `people` or `link`");
        }
        if self.people.len() > MAX_PEOPLE {
            return invalid("`people` takes at most 50 addresses");
        }
        let is_address = |text: &String| {
            let text = text.trim();
            text.split_once('@')
                .is_some_and(|(name, host)| !name.is_empty() && host.contains('.'))
                && !text.contains(char::is_whitespace)
        };
        if let Some(wrong) = self.people.iter().find(|text| !is_address(text)) {
            return Err(ToolError::Invalid(format!(
                "`people` must hold e-mail addresses, and `{wrong}` is none"
            )));
        }
        if !self.message.is_empty() && !self.notify {
            return invalid("`message` goes with `notify`");
        }
        if self.expires.is_empty() {
            return Ok(None);
        }
        let text = self.expires.trim();
        let date = || Timestamp::parse_rfc3339(&format!("{text}T23:59:59Z"));
        match Timestamp::parse_rfc3339(text).or_else(date) {
            Some(at) => Ok(Some(at.rfc3339())),
            None => invalid("`expires` must be a date or an RFC 3339 time"),
        }
    }

    /// What has to be done, given who has access now.
    fn steps(
        &self,
        cx: &Cx,
        before: &[Permission],
        expires: Option<&str>,
    ) -> Result<Vec<Step>, ToolError> {
        let mut steps = Vec::new();
        for address in &self.people {
            let address = address.trim();
            let held = before.iter().find(|entry| {
                matches!(entry.kind.as_str(), "user" | "group")
                    && entry.email_address.eq_ignore_ascii_case(address)
            });
            let wanted = Permission {
                kind: "user".to_owned(),
                role: self.role.word().to_owned(),
                email_address: address.to_owned(),
                // An end that was set before stays when none is given.
                expiration_time: expires
                    .map(ToOwned::to_owned)
                    .or_else(|| held.and_then(|entry| entry.expiration_time.clone())),
                ..Permission::default()
            };
            match held {
                Some(held)
                    if matches!(held.role.as_str(), "owner" | "organizer" | "fileOrganizer") =>
                {
                    return Err(ToolError::Invalid(format!(
                        "{address} is its {} and keeps that role",
                        held.role
                    )));
                }
                Some(held)
                    if held.role == wanted.role
                        && held.expiration_time == wanted.expiration_time => {}
                // Access that comes with a folder stands; more of it is given beside.
                Some(held) if !held.is_inherited() => steps.push(Step::Change(Permission {
                    id: held.id.clone(),
                    kind: held.kind.clone(),
                    ..wanted
                })),
                _ => steps.push(Step::Add(wanted)),
            }
        }
        self.link_steps(cx, before, &mut steps)?;
        Ok(steps)
    }

    fn link_steps(
        &self,
        cx: &Cx,
        before: &[Permission],
        steps: &mut Vec<Step>,
    ) -> Result<(), ToolError> {
        let Some(link) = self.link else { return Ok(()) };
        let (kind, domain) = match link {
            Link::Restricted => ("", String::new()),
            Link::Anyone => ("anyone", String::new()),
            Link::Domain => {
                let domain = cx
                    .account
                    .label
                    .rsplit_once('@')
                    .map(|(_, domain)| domain.to_owned());
                let domain = domain.ok_or_else(|| {
                    ToolError::Invalid(
                        "`link` domain needs an account with a mail address".to_owned(),
                    )
                })?;
                ("domain", domain)
            }
        };
        let mut held = false;
        let mut removals = Vec::new();
        for entry in before.iter().filter(|entry| entry.is_link()) {
            if entry.kind != kind || !entry.domain.eq_ignore_ascii_case(&domain) {
                removals.push(Step::Remove(entry.clone()));
                continue;
            }
            held = true;
            if entry.role != self.role.word() {
                steps.push(Step::Change(Permission {
                    role: self.role.word().to_owned(),
                    expiration_time: None,
                    ..entry.clone()
                }));
            }
        }
        if !held && !kind.is_empty() {
            steps.push(Step::Add(Permission {
                kind: kind.to_owned(),
                role: self.role.word().to_owned(),
                domain,
                ..Permission::default()
            }));
        }
        // Last, so that a refusal before leaves the access that there was.
        steps.extend(removals);
        Ok(())
    }

    async fn send(&self, cx: &Cx, file: &File, step: &Step) -> Result<(), ProviderError> {
        let path = ["drive", "v3", "files", &file.id, "permissions"];
        let mut body: Map<String, Value> = Map::new();
        match step {
            Step::Add(wanted) => {
                body.insert("type".to_owned(), json!(wanted.kind));
                body.insert("role".to_owned(), json!(wanted.role));
                for (name, value) in [
                    (
                        "emailAddress",
                        Some(&wanted.email_address).filter(|text| !text.is_empty()),
                    ),
                    (
                        "domain",
                        Some(&wanted.domain).filter(|text| !text.is_empty()),
                    ),
                    ("expirationTime", wanted.expiration_time.as_ref()),
                ] {
                    if let Some(value) = value {
                        body.insert(name.to_owned(), json!(value));
                    }
                }
                let mut request = cx.api.post(&path).query("supportsAllDrives", true);
                if wanted.kind == "user" {
                    request = request.query("sendNotificationEmail", self.notify);
                    let message = Some(self.message.trim()).filter(|text| !text.is_empty());
                    request = request.query_opt("emailMessage", message);
                }
                request.query("fields", "id").json(&body).done().await
            }
            Step::Change(wanted) => {
                body.insert("role".to_owned(), json!(wanted.role));
                if let Some(until) = &wanted.expiration_time {
                    body.insert("expirationTime".to_owned(), json!(until));
                }
                cx.api
                    .patch(&[path[0], path[1], path[2], path[3], path[4], &wanted.id])
                    .query("supportsAllDrives", true)
                    .query("fields", "id")
                    .json(&body)
                    .done()
                    .await
            }
            Step::Remove(entry) => {
                cx.api
                    .delete(&[path[0], path[1], path[2], path[3], path[4], &entry.id])
                    .query("supportsAllDrives", true)
                    .done()
                    .await
            }
        }
    }
}

/// Who would have access.
fn after(before: &[Permission], steps: &[Step]) -> Vec<Permission> {
    let mut list = before.to_vec();
    for step in steps {
        match step {
            Step::Add(entry) => list.push(entry.clone()),
            Step::Change(entry) => {
                for held in &mut list {
                    if held.id == entry.id {
                        *held = entry.clone();
                    }
                }
            }
            Step::Remove(entry) => list.retain(|held| held.id != entry.id),
        }
    }
    list
}

/// Who has access now.
async fn permissions(cx: &Cx, file: &FileRef) -> Result<Vec<Permission>, ToolError> {
    let mut all = Vec::new();
    let mut token: Option<String> = None;
    // A file has at most some hundred direct permissions; a page has up to 100.
    for _page in 0..10 {
        let request = cx
            .api
            .get(&["drive", "v3", "files", file.id(), "permissions"])
            .query("supportsAllDrives", true)
            .query("pageSize", 100)
            .query_opt("pageToken", token.as_ref())
            .query("fields", format!("permissions({FIELDS}),nextPageToken"));
        let found: Permissions = seen(cx, &format!("file {file}"), request.send().await)?;
        all.extend(found.permissions.into_iter().filter(|entry| !entry.deleted));
        token = found.next_page_token;
        if token.is_none() {
            break;
        }
    }
    Ok(all)
}
