//! Toolset "Account": who this is, and deleting across the products.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::{CALENDARS, DRIVE_FILE, DRIVE_READ, GMAIL_READ};
use super::calendar;
use super::mail;
use super::mail::model::Profile;
use super::mail::read::{gmail, me};
use super::remove::DeleteItem;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::integration::Toolset;
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool, ToolDef};

pub(super) const TOOLSET: Toolset = Toolset {
    id: "account",
    title: "Account and deleting",
    tools: &[ToolDef::of::<GetProfile>(), ToolDef::of::<DeleteItem>()],
    blocks: &[],
};

/// Who this Google account is: mailbox, labels, calendars with their time zones, storage.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetProfile {
    /// All if empty.
    #[serde(default)]
    include: Vec<Part>,
}

/// A part of the profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Part {
    Mail,
    Labels,
    Calendars,
    Storage,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Userinfo {
    id: String,
    name: String,
    email: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct About {
    storage_quota: Quota,
}

/// Numbers of bytes, as text.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Quota {
    limit: Option<String>,
    usage: Option<String>,
}

impl Tool for GetProfile {
    const NAME: &'static str = "google_get_profile";
    const TITLE: &'static str = "Google profile";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = Needs::Nothing;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["include"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let user: Userinfo = cx.api.get(&["oauth2", "v2", "userinfo"]).send().await?;
        let mut item = Item::new(&user.id)
            .url("https://myaccount.google.com/")
            .field("email", user.email)
            .field("name", user.name);
        let mut warnings = Vec::new();
        for part in [Part::Mail, Part::Labels, Part::Calendars, Part::Storage] {
            if !self.include.is_empty() && !self.include.contains(&part) {
                continue;
            }
            if !part.is_granted(cx) {
                // Left out on purpose by the person; only worth a word when it was asked for.
                if self.include.contains(&part) {
                    warnings.push(format!(
                        "{} are not permitted; reconnect to allow it",
                        part.word()
                    ));
                }
                continue;
            }
            match part.read(cx).await {
                Ok(value) => item.set(part.word(), value),
                Err(error) if error.is_partial() => {
                    warnings.push(format!("{} cannot be read: {error}", part.word()));
                }
                Err(error) => return Err(error.into()),
            }
        }
        let mut output = Output::one(item);
        output.warnings = warnings;
        Ok(output)
    }
}

impl Part {
    const fn word(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Labels => "labels",
            Self::Calendars => "calendars",
            Self::Storage => "storage",
        }
    }

    fn is_granted(self, cx: &Cx) -> bool {
        match self {
            Self::Mail | Self::Labels => cx.granted.has(GMAIL_READ),
            Self::Calendars => cx.granted.has(CALENDARS),
            Self::Storage => cx.granted.has(DRIVE_READ) || cx.granted.has(DRIVE_FILE),
        }
    }

    async fn read(self, cx: &Cx) -> Result<Value, ProviderError> {
        match self {
            Self::Mail => {
                let profile: Profile = gmail(cx).get(&me(&["profile"])).send().await?;
                Ok(json!({
                    "address": profile.email_address,
                    "messages": profile.messages_total,
                    "threads": profile.threads_total,
                }))
            }
            Self::Labels => {
                let labels = mail::all_labels(cx).await?;
                let own = labels.iter().filter(|label| label.r#type != "system");
                let own = own.map(|label| mail::label_item(cx, label));
                Ok(json!(own.collect::<Vec<_>>()))
            }
            Self::Calendars => {
                let calendars = calendar::list(cx).await?;
                let items = calendars.iter().map(calendar::place_item);
                Ok(json!(items.collect::<Vec<_>>()))
            }
            Self::Storage => {
                let request = cx.api.get(&["drive", "v3", "about"]);
                let about: About = request.query("fields", "storageQuota").send().await?;
                let number = |text: Option<String>| text.and_then(|text| text.parse::<u64>().ok());
                let quota = about.storage_quota;
                Ok(json!({ "used_bytes": number(quota.usage), "limit_bytes": number(quota.limit) }))
            }
        }
    }
}
