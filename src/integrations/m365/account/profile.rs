//! Who this account is, and what it has.

use futures_util::future::join4;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::integrations::m365::graph::{self, Page};
use crate::integrations::m365::model::{Folder, or_default};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Part {
    Settings,
    Folders,
    Calendars,
    Drive,
}

/// Who this account is, its time zone, folders, calendars and drive.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetProfile {
    /// Default all.
    #[serde(default)]
    include: Vec<Part>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Me {
    id: String,
    #[serde(deserialize_with = "or_default")]
    display_name: String,
    #[serde(deserialize_with = "or_default")]
    mail: String,
    #[serde(deserialize_with = "or_default")]
    user_principal_name: String,
    #[serde(deserialize_with = "or_default")]
    job_title: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Settings {
    #[serde(deserialize_with = "or_default")]
    time_zone: String,
    #[serde(deserialize_with = "or_default")]
    working_hours: Hours,
    #[serde(deserialize_with = "or_default")]
    automatic_replies_setting: Replies,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Hours {
    #[serde(deserialize_with = "or_default")]
    days_of_week: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    start_time: String,
    #[serde(deserialize_with = "or_default")]
    end_time: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Replies {
    #[serde(deserialize_with = "or_default")]
    status: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Calendar {
    id: String,
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "or_default")]
    is_default_calendar: bool,
    #[serde(deserialize_with = "or_default")]
    can_edit: bool,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Drive {
    id: String,
    #[serde(deserialize_with = "or_default")]
    drive_type: String,
    #[serde(deserialize_with = "or_default")]
    web_url: String,
}

impl Tool for GetProfile {
    const NAME: &'static str = "m365_get_profile";
    const TITLE: &'static str = "Get profile";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = Needs::All(&["User.Read"]);
    const AUDIT: AuditArgs = AuditArgs::NONE;

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let me: Me = cx.api.get(&graph::path(&["me"])).send().await?;
        let (settings, folders, calendars, drive) = join4(
            self.part(Part::Settings, "MailboxSettings.Read", cx, settings(cx)),
            self.part(Part::Folders, "Mail.Read", cx, folders(cx)),
            self.part(Part::Calendars, "Calendars.Read", cx, calendars(cx)),
            self.part(Part::Drive, "Files.Read", cx, drive(cx)),
        )
        .await;
        let address = if me.mail.is_empty() {
            me.user_principal_name
        } else {
            me.mail
        };
        let mut item = Item::new(&me.id)
            .field("name", me.display_name)
            .field("address", address)
            .field("job_title", me.job_title)
            .field("kind", cx.account.detail("kind"))
            .field("tenant", cx.account.detail("tenant"));
        let mut output = Output::default();
        for (name, part) in [
            ("settings", settings),
            ("folders", folders),
            ("calendars", calendars),
            ("drive", drive),
        ] {
            match part? {
                Ok(value) => item.set(name, value),
                Err(reason) => output.warnings.push(format!("{name}: {reason}")),
            }
        }
        output.items.push(item);
        Ok(output)
    }
}

impl GetProfile {
    /// A part that is wanted; one that this account does not have or may not see is a sentence, and no lost answer.
    async fn part(
        &self,
        part: Part,
        scope: &str,
        cx: &Cx,
        value: impl Future<Output = Result<Value, ProviderError>>,
    ) -> Result<Result<Value, String>, ToolError> {
        let named = self.include.contains(&part);
        if !named && !self.include.is_empty() {
            return Ok(Ok(Value::Null));
        }
        if !cx.granted.has(scope) {
            return Ok(Err(format!("not allowed; it takes {scope}")));
        }
        match value.await {
            Ok(value) => Ok(Ok(value)),
            Err(
                error @ (ProviderError::Forbidden { .. }
                | ProviderError::NotFound
                | ProviderError::PlanRequired { .. }
                | ProviderError::InsufficientScope { .. }),
            ) => Ok(Err(error.to_string())),
            Err(error) => Err(error.into()),
        }
    }
}

async fn settings(cx: &Cx) -> Result<Value, ProviderError> {
    let path = graph::path(&["me", "mailboxSettings"]);
    let found: Settings = cx.api.get(&path).send().await?;
    let hours = found.working_hours;
    let clock = |text: &str| text.chars().take(5).collect::<String>();
    let mut value = json!({ "time_zone": found.time_zone });
    if !hours.days_of_week.is_empty() {
        value["working_hours"] = json!(format!(
            "{} {}–{}",
            hours.days_of_week.join(", "),
            clock(&hours.start_time),
            clock(&hours.end_time)
        ));
    }
    if !matches!(
        found.automatic_replies_setting.status.as_str(),
        "" | "disabled"
    ) {
        value["automatic_replies"] = json!(found.automatic_replies_setting.status);
    }
    Ok(value)
}

async fn folders(cx: &Cx) -> Result<Value, ProviderError> {
    let page: Page<Folder> = cx
        .api
        .get(&graph::path(&["me", "mailFolders"]))
        .query("$select", "id,displayName,unreadItemCount,totalItemCount")
        .query("$top", 100)
        .send()
        .await?;
    let row = |folder: Folder| {
        json!({
            "id": folder.id, "name": folder.display_name, "unread": folder.unread_item_count,
            "total": folder.total_item_count,
        })
    };
    Ok(page.value.into_iter().map(row).collect())
}

async fn calendars(cx: &Cx) -> Result<Value, ProviderError> {
    let page: Page<Calendar> = cx
        .api
        .get(&graph::path(&["me", "calendars"]))
        .query("$select", "id,name,isDefaultCalendar,canEdit")
        .query("$top", 50)
        .send()
        .await?;
    let row = |calendar: Calendar| {
        json!({
            "id": calendar.id, "name": calendar.name, "default": calendar.is_default_calendar,
            "can_edit": calendar.can_edit,
        })
    };
    Ok(page.value.into_iter().map(row).collect())
}

async fn drive(cx: &Cx) -> Result<Value, ProviderError> {
    let path = graph::path(&["me", "drive"]);
    let found: Drive = cx
        .api
        .get(&path)
        .query("$select", "id,driveType,webUrl")
        .send()
        .await?;
    Ok(json!({ "id": found.id, "kind": found.drive_type, "url": found.web_url }))
}
