//! Sharing: links and invitations, and who may do what then.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::graph::Page;
use super::super::refs::{FileRef, is_personal};
use super::WRITE;
use super::model::{self, Identities, Place, explained};
use crate::kit::Timestamp;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::Output;
use crate::kit::text;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Most people invited at once.
const MAX_PEOPLE: usize = 20;

/// Who can use a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Reach {
    Organization,
    Anyone,
}

/// What they may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Role {
    #[default]
    View,
    Edit,
}

/// Share a file or folder: invite people, or make a link. Answers who has access then.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ShareFile {
    /// Path, id or link.
    #[serde(rename = "ref")]
    reference: String,
    /// Addresses to invite; without, a link is made.
    #[serde(default)]
    people: Vec<String>,
    #[serde(default)]
    role: Role,
    /// Who can use the link.
    #[serde(default)]
    #[schemars(with = "Reach")]
    scope: Option<Reach>,
    /// RFC 3339.
    #[serde(default)]
    expires: String,
    /// In the invitation.
    #[serde(default)]
    message: String,
    /// Send no invitation mail.
    #[serde(default)]
    silent: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Permission {
    id: String,
    roles: Vec<String>,
    link: Option<Link>,
    invitation: Option<Invitation>,
    granted_to_v2: Option<Identities>,
    granted_to_identities_v2: Vec<Identities>,
    expiration_date_time: Option<String>,
    inherited_from: Option<Value>,
    has_password: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Link {
    #[serde(rename = "type")]
    kind: Option<String>,
    scope: Option<String>,
    web_url: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Invitation {
    email: Option<String>,
}

/// What became of one invitation. Graph answers 207 when some failed, and each of those has an `error`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Invited {
    id: Option<String>,
    invitation: Option<Invitation>,
    granted_to_v2: Option<Identities>,
    error: Option<Refusal>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    code: Option<String>,
    message: Option<String>,
}

impl Invited {
    /// Whether there is a permission, though its mail may not have been sent.
    fn has_access(&self) -> bool {
        self.error.is_none() || self.id.as_ref().is_some_and(|id| !id.is_empty())
    }

    /// What failed, in words.
    fn failure(&self) -> Option<String> {
        let error = self.error.as_ref()?;
        let email = self.invitation.as_ref().and_then(|sent| sent.email.clone());
        let who = email.or_else(|| self.granted_to_v2.as_ref()?.name());
        let who = who.as_deref().unwrap_or("somebody");
        let reason = error.message.as_deref().or(error.code.as_deref());
        let reason = text::clip(&text::scrub(reason.unwrap_or("no reason given")), 200);
        Some(if self.has_access() {
            format!("{who} may have access and was not told: {reason}")
        } else {
            format!("{who} was not invited: {reason}")
        })
    }
}

/// What failed of these invitations. An answer that cannot be read is one that says of no failure.
fn failures(answer: &[u8]) -> Result<Vec<String>, ToolError> {
    let page = serde_json::from_slice::<Page<Invited>>(answer);
    let all = page.map(|page| page.value).unwrap_or_default();
    let failed: Vec<String> = all.iter().filter_map(Invited::failure).collect();
    if !failed.is_empty() && !all.iter().any(Invited::has_access) {
        return Err(ProviderError::Invalid {
            message: failed.join("; "),
        }
        .into());
    }
    Ok(failed)
}

impl Permission {
    /// In the words of tools.
    fn words(self) -> Value {
        let mut people: Vec<String> = self
            .granted_to_identities_v2
            .iter()
            .chain(&self.granted_to_v2)
            .filter_map(Identities::name)
            .collect();
        people.extend(self.invitation.and_then(|invitation| invitation.email));
        people.dedup();
        let mut words = Map::new();
        let mut set = |name: &str, value: Value| {
            if !value.is_null() {
                words.insert(name.to_owned(), value);
            }
        };
        set("id", json!(self.id));
        set("roles", json!(self.roles));
        if !people.is_empty() {
            set("people", json!(people));
        }
        if let Some(link) = self.link {
            set("link", json!(link.web_url));
            set("link_type", json!(link.kind));
            set("scope", json!(link.scope));
        }
        set("expires", json!(self.expiration_date_time));
        if self.inherited_from.is_some() {
            set("inherited", json!(true));
        }
        if self.has_password == Some(true) {
            set("password", json!(true));
        }
        Value::Object(words)
    }
}

impl Tool for ShareFile {
    const NAME: &'static str = "m365_share_file";
    const TITLE: &'static str = "Share file";
    const EFFECT: Effect = Effect::Write { idempotent: false };
    const SCOPES: Needs = WRITE;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["role", "scope", "expires"],
        dropped: &["message"],
    };
    /// People get mail, and who has the link has the file.
    const OUTWARD: bool = true;

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let (rest, body) = self.request(cx)?;
        let file = FileRef::parse(&self.reference)?;
        let item = model::get(cx, &file).await?;
        let place = item.place()?;
        let what = format!("`{}`", item.name());
        if cx.dry_run {
            let before = permissions(cx, &place)
                .await
                .map_err(|error| explained(cx, &what, error))?;
            return Ok(Output::one(item.row(cx).field("dry_run", true).field(
                "changes",
                json!({ "permissions": { "before": before, "added": body } }),
            )));
        }
        let request = cx.api.post(&place.path(&[rest])).json(&body);
        let mut row = item.row(cx);
        let refused = |error| explained(cx, &what, error);
        let mut failed = Vec::new();
        if self.people.is_empty() {
            let made: Permission = request.send().await.map_err(refused)?;
            row.set("link", made.link.and_then(|link| link.web_url));
            row.set("done", "linked");
        } else {
            let answer = request.bytes().await.map_err(refused)?;
            failed = failures(&answer.body)?;
            row.set("done", "invited");
        }
        // The sharing took effect: not seeing the result of it is no failure.
        let mut output = match permissions(cx, &place).await {
            Ok(now) => Output::one(row.field("permissions", now)),
            Err(error) => {
                Output::one(row).warn(format!("who has access now could not be read: {error}"))
            }
        };
        output.warnings.extend(failed);
        Ok(output)
    }
}

impl ShareFile {
    /// The operation and its body.
    fn request(&self, cx: &Cx) -> Result<(&'static str, Value), ToolError> {
        let mut body = Map::new();
        if !self.expires.is_empty() {
            let ends = Timestamp::parse_rfc3339(&self.expires);
            if ends.is_none_or(|ends| ends <= cx.now) {
                return Err(ToolError::Invalid(
                    "`expires` must be a moment to come, such as 2027-01-31T00:00:00Z".to_owned(),
                ));
            }
            body.insert("expirationDateTime".to_owned(), json!(self.expires));
        }
        if self.people.is_empty() {
            if !self.message.is_empty() {
                return Err(ToolError::Invalid(
                    "`message` goes to invited `people`; a link has none".to_owned(),
                ));
            }
            let scope = match self.scope {
                Some(Reach::Anyone) => "anonymous",
                Some(Reach::Organization) | None if is_personal(cx) => {
                    return Err(ToolError::Invalid(
                        "`scope`: links of a personal account are for `anyone`; say so, or invite `people`".to_owned(),
                    ));
                }
                Some(Reach::Organization) | None => "organization",
            };
            let kind = match self.role {
                Role::View => "view",
                Role::Edit => "edit",
            };
            body.insert("type".to_owned(), json!(kind));
            body.insert("scope".to_owned(), json!(scope));
            return Ok(("createLink", Value::Object(body)));
        }
        if self.scope.is_some() {
            return Err(ToolError::Invalid(
                "`scope` is for links; leave it out when inviting `people`".to_owned(),
            ));
        }
        if self.people.len() > MAX_PEOPLE {
            return Err(ToolError::Invalid(format!(
                "`people` takes at most {MAX_PEOPLE} at once"
            )));
        }
        if let Some(odd) = self.people.iter().find(|person| !person.contains('@')) {
            return Err(ToolError::Invalid(format!(
                "`people`: `{odd}` is no e-mail address"
            )));
        }
        let role = match self.role {
            Role::View => "read",
            Role::Edit => "write",
        };
        let recipients: Vec<Value> = self
            .people
            .iter()
            .map(|person| json!({ "email": person.trim() }))
            .collect();
        body.insert("recipients".to_owned(), json!(recipients));
        body.insert("roles".to_owned(), json!([role]));
        body.insert("requireSignIn".to_owned(), json!(true));
        body.insert("sendInvitation".to_owned(), json!(!self.silent));
        if !self.message.is_empty() {
            body.insert("message".to_owned(), json!(self.message));
        }
        Ok(("invite", Value::Object(body)))
    }
}

async fn permissions(cx: &Cx, place: &Place) -> Result<Vec<Value>, ProviderError> {
    let page: Page<Permission> = cx.api.get(&place.path(&["permissions"])).send().await?;
    Ok(page.value.into_iter().map(Permission::words).collect())
}
