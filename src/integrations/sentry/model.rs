//! Sentry's JSON, only the fields we read.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// The elements of a list that can be read: what applications send is not always what it should be, and one odd element
/// must not cost the others. What is no list has none.
pub(super) fn each_readable<T: DeserializeOwned>(values: &Value) -> Vec<T> {
    let values = values.as_array().into_iter().flatten();
    values
        .filter_map(|value| serde_json::from_value(value.clone()).ok())
        .collect()
}

/// For `deserialize_with`: a list as [`each_readable`] reads it.
pub(super) fn readable_list<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Ok(each_readable(&Value::deserialize(deserializer)?))
}

/// For `deserialize_with`: a value where it is what it should be, else its default.
pub(super) fn readable<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

/// `GET /api/0/`: who is asking.
#[derive(Deserialize)]
pub(super) struct Whoami {
    pub(super) auth: Option<TokenAuth>,
    pub(super) user: Option<User>,
}

#[derive(Deserialize)]
pub(super) struct TokenAuth {
    pub(super) scopes: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct User {
    pub(super) id: String,
    pub(super) email: String,
}

/// `GET /users/me/regions/`.
#[derive(Deserialize)]
pub(super) struct Regions {
    #[serde(default)]
    pub(super) regions: Vec<Region>,
}

#[derive(Deserialize)]
pub(super) struct Region {
    pub(super) url: String,
}

#[derive(Deserialize)]
pub(super) struct Organization {
    pub(super) slug: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) links: OrganizationLinks,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct OrganizationLinks {
    pub(super) organization_url: String,
    pub(super) region_url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Project {
    pub(super) id: String,
    pub(super) slug: String,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) platform: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Team {
    pub(super) id: String,
    pub(super) slug: String,
    #[serde(default)]
    pub(super) member_count: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Issue {
    pub(super) id: String,
    #[serde(default)]
    pub(super) short_id: String,
    #[serde(default)]
    pub(super) title: String,
    #[serde(default)]
    pub(super) culprit: Option<String>,
    #[serde(default)]
    pub(super) permalink: Option<String>,
    #[serde(default)]
    pub(super) level: String,
    #[serde(default)]
    pub(super) status: String,
    #[serde(default)]
    pub(super) substatus: Option<String>,
    #[serde(default)]
    pub(super) status_details: Map<String, Value>,
    #[serde(default)]
    pub(super) priority: Option<String>,
    pub(super) project: Project,
    #[serde(default)]
    pub(super) issue_category: String,
    #[serde(default)]
    pub(super) num_comments: u64,
    #[serde(default)]
    pub(super) assigned_to: Option<Assignee>,
    #[serde(default)]
    pub(super) is_unhandled: bool,
    /// A number as text.
    #[serde(default)]
    pub(super) count: Option<String>,
    #[serde(default)]
    pub(super) user_count: Option<u64>,
    #[serde(default)]
    pub(super) first_seen: Option<String>,
    #[serde(default)]
    pub(super) last_seen: Option<String>,
    #[serde(default)]
    pub(super) first_release: Option<ReleaseName>,
    #[serde(default)]
    pub(super) last_release: Option<ReleaseName>,
    #[serde(default)]
    pub(super) activity: Vec<Value>,
}

#[derive(Deserialize)]
pub(super) struct Assignee {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) email: Option<String>,
}

impl Assignee {
    /// As the `assigned` argument takes it.
    pub(super) fn shown(&self) -> String {
        match (self.kind.as_str(), &self.email) {
            ("team", _) => format!("#{}", self.name),
            (_, Some(email)) if !email.is_empty() => email.clone(),
            _ => self.name.clone(),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct ReleaseName {
    #[serde(default)]
    pub(super) version: Option<String>,
}

#[derive(Clone, Deserialize)]
pub(super) struct Tag {
    pub(super) key: String,
    #[serde(default)]
    pub(super) value: Value,
}

/// An event, in lists (without entries) and by itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event {
    #[serde(rename = "eventID")]
    pub(super) event_id: String,
    #[serde(rename = "groupID", default)]
    pub(super) group_id: Option<String>,
    #[serde(rename = "projectID", default)]
    pub(super) project_id: Option<String>,
    #[serde(default)]
    pub(super) title: String,
    #[serde(default)]
    pub(super) message: Option<String>,
    #[serde(default)]
    pub(super) location: Option<String>,
    #[serde(default)]
    pub(super) culprit: Option<String>,
    #[serde(default)]
    pub(super) platform: Option<String>,
    #[serde(default)]
    pub(super) date_created: Option<String>,
    #[serde(default)]
    pub(super) date_received: Option<String>,
    #[serde(default, deserialize_with = "readable_list")]
    pub(super) tags: Vec<Tag>,
    #[serde(default, deserialize_with = "readable_list")]
    pub(super) entries: Vec<Entry>,
    #[serde(default)]
    pub(super) contexts: Option<Map<String, Value>>,
    #[serde(default)]
    pub(super) release: Option<ReleaseName>,
    #[serde(rename = "nextEventID", default)]
    pub(super) next_event_id: Option<String>,
    #[serde(rename = "previousEventID", default)]
    pub(super) previous_event_id: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Entry {
    #[serde(rename = "type", default)]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) data: Value,
}

/// One value of a chain of exceptions.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Exception {
    #[serde(rename = "type", deserialize_with = "readable")]
    pub(super) kind: Option<String>,
    #[serde(deserialize_with = "readable")]
    pub(super) value: Option<String>,
    #[serde(deserialize_with = "readable")]
    pub(super) stacktrace: Option<Stacktrace>,
    pub(super) mechanism: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Stacktrace {
    /// The innermost call last.
    #[serde(deserialize_with = "readable_list")]
    pub(super) frames: Vec<Frame>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Frame {
    #[serde(deserialize_with = "readable")]
    pub(super) function: Option<String>,
    #[serde(deserialize_with = "readable")]
    pub(super) filename: Option<String>,
    #[serde(deserialize_with = "readable")]
    pub(super) module: Option<String>,
    /// Negative where a native runtime does not know it.
    #[serde(deserialize_with = "readable")]
    pub(super) line_no: Option<i64>,
    /// Whether it is of the application; `None` where Sentry does not say.
    #[serde(deserialize_with = "readable")]
    pub(super) in_app: Option<bool>,
    /// Lines around it with their numbers.
    #[serde(deserialize_with = "readable_list")]
    pub(super) context: Vec<(i64, Option<String>)>,
    #[serde(deserialize_with = "readable")]
    pub(super) vars: Option<Map<String, Value>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Breadcrumb {
    #[serde(deserialize_with = "readable")]
    pub(super) timestamp: Option<String>,
    #[serde(deserialize_with = "readable")]
    pub(super) category: Option<String>,
    #[serde(deserialize_with = "readable")]
    pub(super) level: Option<String>,
    #[serde(deserialize_with = "readable")]
    pub(super) message: Option<String>,
    #[serde(deserialize_with = "readable")]
    pub(super) data: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Release {
    pub(super) version: String,
    #[serde(default)]
    pub(super) short_version: String,
    #[serde(default)]
    pub(super) status: String,
    #[serde(default)]
    pub(super) date_created: Option<String>,
    #[serde(default)]
    pub(super) date_released: Option<String>,
    #[serde(default)]
    pub(super) new_groups: u64,
    #[serde(default)]
    pub(super) commit_count: u64,
    #[serde(default)]
    pub(super) deploy_count: u64,
    #[serde(default)]
    pub(super) last_deploy: Option<Deploy>,
    #[serde(default)]
    pub(super) projects: Vec<ReleaseProject>,
    #[serde(default)]
    pub(super) adoption_stages: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
pub(super) struct ReleaseProject {
    pub(super) slug: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Deploy {
    pub(super) environment: String,
    #[serde(default)]
    pub(super) date_finished: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Commit {
    pub(super) id: String,
    #[serde(default)]
    pub(super) message: Option<String>,
    #[serde(default)]
    pub(super) date_created: Option<String>,
    #[serde(default)]
    pub(super) author: Value,
}

/// `GET …/events/`.
#[derive(Deserialize)]
pub(super) struct Table {
    #[serde(default)]
    pub(super) data: Vec<Map<String, Value>>,
    #[serde(default)]
    pub(super) meta: TableMeta,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct TableMeta {
    pub(super) units: Map<String, Value>,
}

/// `GET …/stats_v2/` and `GET …/sessions/`.
#[derive(Deserialize)]
pub(super) struct Grouped {
    #[serde(default)]
    pub(super) groups: Vec<Group>,
}

#[derive(Deserialize)]
pub(super) struct Group {
    #[serde(default)]
    pub(super) by: Map<String, Value>,
    #[serde(default)]
    pub(super) totals: Map<String, Value>,
}
