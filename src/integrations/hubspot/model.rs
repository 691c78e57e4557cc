//! HubSpot's JSON, only the fields that are read here. Numbers that HubSpot sends as text in one version and as numbers in
//! another are read either way.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// A page or a batch answer.
#[derive(Debug, Deserialize)]
pub(super) struct Page<T> {
    #[serde(default = "Vec::new")]
    pub(super) results: Vec<T>,
    #[serde(default)]
    pub(super) total: Option<u64>,
    #[serde(default)]
    pub(super) paging: Option<Paging>,
    /// Of a batch that partly failed (status 207).
    #[serde(default)]
    pub(super) errors: Vec<BatchError>,
}

impl<T> Page<T> {
    /// Where the next page starts.
    pub(super) fn after(&self) -> Option<String> {
        Some(self.paging.as_ref()?.next.as_ref()?.after.clone())
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Paging {
    #[serde(default)]
    pub(super) next: Option<Next>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Next {
    #[serde(deserialize_with = "text_or_number")]
    pub(super) after: String,
}

/// Why one part of a batch failed.
#[derive(Debug, Deserialize)]
pub(super) struct BatchError {
    #[serde(default)]
    pub(super) category: String,
    #[serde(default, rename = "subCategory")]
    pub(super) sub_category: Value,
    #[serde(default)]
    pub(super) message: String,
    #[serde(default)]
    pub(super) context: BTreeMap<String, Value>,
    #[serde(default, rename = "errors")]
    pub(super) details: Vec<Detail>,
}

/// One reason within an error.
#[derive(Debug, Deserialize)]
pub(super) struct Detail {
    #[serde(default)]
    pub(super) message: String,
}

impl BatchError {
    /// The words of `name` in the error's context.
    pub(super) fn context(&self, name: &str) -> Vec<&str> {
        match self.context.get(name) {
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(text)) => vec![text],
            _ => Vec::new(),
        }
    }

    /// The sentence for the reader, with the details that add something.
    pub(super) fn sentence(&self) -> String {
        let mut text = self.message.clone();
        for detail in &self.details {
            if !detail.message.is_empty() && !text.contains(&detail.message) {
                text.push_str("; ");
                text.push_str(&detail.message);
            }
        }
        crate::kit::text::clip(&crate::kit::text::scrub(&text), 300)
    }

    /// "This record has no associations" is an error to HubSpot and an empty list to everyone else.
    pub(super) fn is_no_associations(&self) -> bool {
        let sub = self.sub_category.as_str().unwrap_or_default();
        sub.ends_with("NO_ASSOCIATIONS_FOUND") || self.message.starts_with("No ")
    }
}

/// A record.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Record {
    pub(super) id: String,
    #[serde(default)]
    pub(super) properties: BTreeMap<String, Option<String>>,
    #[serde(default, rename = "propertiesWithHistory")]
    pub(super) history: BTreeMap<String, Vec<Past>>,
    #[serde(default, rename = "updatedAt")]
    pub(super) updated_at: String,
    /// Whether an upsert created it.
    #[serde(default)]
    pub(super) new: Option<bool>,
    /// What we called it in the request.
    #[serde(default, rename = "objectWriteTraceId")]
    pub(super) trace: Option<String>,
}

impl Record {
    /// A property's value; empty when it has none.
    pub(super) fn get(&self, name: &str) -> &str {
        self.properties
            .get(name)
            .and_then(Option::as_deref)
            .unwrap_or_default()
    }

    /// The name of the record, from the properties that name its kind.
    pub(super) fn title(&self, properties: &[String]) -> String {
        // Addresses tell apart what has the same name.
        let (addresses, names): (Vec<&String>, Vec<&String>) = properties
            .iter()
            .filter(|name| !self.get(name).is_empty())
            .partition(|name| matches!(name.as_str(), "email" | "domain"));
        let join = |names: &[&String]| {
            let values: Vec<&str> = names.iter().map(|name| self.get(name)).collect();
            values.join(" ")
        };
        let title = match (names.is_empty(), addresses.is_empty()) {
            (true, true) => format!("#{}", self.id),
            (true, false) => join(&addresses),
            (false, true) => join(&names),
            (false, false) => format!("{} ({})", join(&names), join(&addresses)),
        };
        crate::kit::text::clip(&title, 120)
    }
}

/// A former value of a property.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Past {
    #[serde(default)]
    pub(super) value: String,
    #[serde(default)]
    pub(super) timestamp: String,
    #[serde(default, rename(deserialize = "sourceType"))]
    pub(super) source: String,
}

/// Who can own records.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Owner {
    pub(super) id: String,
    #[serde(default)]
    pub(super) email: Option<String>,
    #[serde(default, rename = "firstName")]
    pub(super) first_name: Option<String>,
    #[serde(default, rename = "lastName")]
    pub(super) last_name: Option<String>,
    #[serde(default, rename = "userId")]
    pub(super) user_id: Option<i64>,
    #[serde(default, rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) teams: Vec<Team>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Team {
    pub(super) name: String,
}

impl Owner {
    /// First and last name, else the e-mail address, else the id.
    pub(super) fn name(&self) -> String {
        let names = [&self.first_name, &self.last_name];
        let full: Vec<&str> = names
            .into_iter()
            .filter_map(|name| name.as_deref())
            .filter(|name| !name.is_empty())
            .collect();
        if !full.is_empty() {
            return full.join(" ");
        }
        match &self.email {
            Some(email) if !email.is_empty() => email.clone(),
            _ => self.id.clone(),
        }
    }
}

/// A pipeline with its stages.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Pipeline {
    pub(super) id: String,
    pub(super) label: String,
    #[serde(default)]
    pub(super) display_order: i64,
    #[serde(default)]
    pub(super) stages: Vec<Stage>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stage {
    pub(super) id: String,
    pub(super) label: String,
    #[serde(default)]
    pub(super) display_order: i64,
    /// `probability` and `isClosed` of deals, `ticketState` of tickets.
    #[serde(default)]
    pub(super) metadata: BTreeMap<String, Value>,
}

impl Stage {
    /// The chance of winning, 0 to 1, of a deal's stage.
    pub(super) fn probability(&self) -> Option<f64> {
        let value = self.metadata.get("probability")?;
        value
            .as_f64()
            .or_else(|| value.as_str().and_then(|text| text.parse().ok()))
    }

    /// Whether records in it are done.
    pub(super) fn is_closed(&self) -> bool {
        let says = |name: &str, word: &str| {
            self.metadata
                .get(name)
                .and_then(Value::as_str)
                .is_some_and(|value| value.eq_ignore_ascii_case(word))
        };
        says("isClosed", "true") || says("ticketState", "CLOSED")
    }
}

/// A property of a type of record.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Property {
    pub(super) name: String,
    pub(super) label: String,
    #[serde(rename = "type")]
    pub(super) value_type: String,
    #[serde(default)]
    pub(super) field_type: String,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default)]
    pub(super) hidden: bool,
    #[serde(default)]
    pub(super) has_unique_value: bool,
    #[serde(default)]
    pub(super) calculated: bool,
    #[serde(default)]
    pub(super) options: Vec<Choice>,
    #[serde(default)]
    pub(super) modification_metadata: Option<Modification>,
}

impl Property {
    /// Whether values cannot be set.
    pub(super) fn is_read_only(&self) -> bool {
        self.calculated
            || self
                .modification_metadata
                .as_ref()
                .is_some_and(|modification| modification.read_only_value)
    }
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) label: String,
    #[serde(default)]
    pub(super) hidden: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Modification {
    #[serde(default)]
    pub(super) read_only_value: bool,
}

/// A custom object.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ObjectSchema {
    pub(super) name: String,
    #[serde(default)]
    pub(super) object_type_id: Option<String>,
    #[serde(default)]
    pub(super) fully_qualified_name: Option<String>,
    #[serde(default)]
    pub(super) labels: Labels,
    #[serde(default)]
    pub(super) description: Option<String>,
    #[serde(default)]
    pub(super) required_properties: Vec<String>,
    #[serde(default)]
    pub(super) primary_display_property: Option<String>,
    #[serde(default)]
    pub(super) secondary_display_properties: Vec<String>,
}

impl ObjectSchema {
    /// Whether a person might call it `name` (in lower case).
    pub(super) fn is_called(&self, name: &str) -> bool {
        let short = name.strip_prefix("p_").unwrap_or(name);
        [
            Some(&self.name),
            self.fully_qualified_name.as_ref(),
            self.labels.singular.as_ref(),
            self.labels.plural.as_ref(),
        ]
        .into_iter()
        .flatten()
        .any(|own| own.eq_ignore_ascii_case(name) || own.eq_ignore_ascii_case(short))
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Labels {
    #[serde(default)]
    pub(super) singular: Option<String>,
    #[serde(default)]
    pub(super) plural: Option<String>,
}

/// A kind of association between two types of record.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct AssociationType {
    pub(super) category: String,
    #[serde(rename = "typeId")]
    pub(super) type_id: i64,
    #[serde(default)]
    pub(super) label: Option<String>,
}

/// What one record is associated with.
#[derive(Debug, Deserialize)]
pub(super) struct Associated {
    pub(super) from: Id,
    #[serde(default)]
    pub(super) to: Vec<AssociatedTo>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Id {
    #[serde(deserialize_with = "text_or_number")]
    pub(super) id: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct AssociatedTo {
    #[serde(rename = "toObjectId", deserialize_with = "text_or_number")]
    pub(super) id: String,
    #[serde(default, rename = "associationTypes")]
    pub(super) types: Vec<AssociationType>,
}

impl AssociatedTo {
    /// The labels people gave it.
    pub(super) fn labels(&self) -> Vec<&str> {
        self.types
            .iter()
            .filter_map(|kind| kind.label.as_deref())
            .collect()
    }
}

/// A list (HubSpot's own word in the web app is "segment").
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct List {
    #[serde(rename = "listId")]
    pub(super) id: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) object_type_id: String,
    #[serde(default)]
    pub(super) processing_type: String,
    #[serde(default)]
    pub(super) size: Option<u64>,
    #[serde(default)]
    pub(super) updated_at: Option<String>,
    #[serde(default)]
    pub(super) filter_branch: Option<Value>,
    #[serde(default)]
    pub(super) additional_properties: Map<String, Value>,
}

impl List {
    /// How many members it has, when HubSpot says.
    pub(super) fn members(&self) -> Option<u64> {
        self.size.or_else(|| {
            self.additional_properties
                .get("hs_list_size")?
                .as_str()?
                .parse()
                .ok()
        })
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct ListAnswer {
    pub(super) list: List,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListPage {
    pub(super) lists: Vec<List>,
    pub(super) total: u64,
    pub(super) offset: u64,
    pub(super) has_more: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Membership {
    #[serde(deserialize_with = "text_or_number")]
    pub(super) record_id: String,
    #[serde(default)]
    pub(super) membership_timestamp: Option<String>,
}

/// The portal.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Portal {
    #[serde(rename = "portalId")]
    pub(super) id: i64,
    #[serde(default)]
    pub(super) account_type: String,
    #[serde(default)]
    pub(super) time_zone: String,
    #[serde(default)]
    pub(super) company_currency: String,
    #[serde(default)]
    pub(super) additional_currencies: Vec<String>,
    #[serde(default)]
    pub(super) ui_domain: String,
    #[serde(default)]
    pub(super) data_hosting_location: String,
}

/// Reads text, or a number as text.
fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            Err(serde::de::Error::custom("expected text or a number"))
        }
    }
}
