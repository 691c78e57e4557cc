//! The record types: what the path, the address, the scopes and the usual fields of each are.

use crate::kit::error::{ProviderError, ToolError};
use crate::kit::tool::{Cx, Needs};

use super::model::{ObjectSchema, Page};

/// Any scope that lets one read some kind of record.
pub(super) const READ_ANY: Needs = Needs::Any(&[
    "crm.objects.contacts.read",
    "crm.objects.companies.read",
    "crm.objects.deals.read",
    "tickets",
    "crm.objects.custom.read",
]);

/// Any scope that lets one change some kind of record.
pub(super) const WRITE_ANY: Needs = Needs::Any(&[
    "crm.objects.contacts.write",
    "crm.objects.companies.write",
    "crm.objects.deals.write",
    "tickets",
    "crm.objects.custom.write",
]);

/// The id of the type of contacts, in every portal.
pub(super) const CONTACT_TYPE: &str = "0-1";

/// A type of record that every portal has.
#[derive(Debug)]
pub(super) struct Standard {
    /// The path segment, which is also what tools call it.
    pub(super) name: &'static str,
    /// In `associations.<singular>` of a search and in the name of a block.
    pub(super) singular: &'static str,
    /// HubSpot's id of the type, used in addresses of its web app.
    pub(super) type_id: &'static str,
    /// The scope to read it.
    pub(super) read: &'static str,
    /// The scope to change it.
    pub(super) write: &'static str,
    /// The properties that name a record, most telling first.
    pub(super) title: &'static [&'static str],
    /// The properties returned when none are asked for.
    pub(super) fields: &'static [&'static str],
    /// The property that orders records by age.
    pub(super) age: &'static str,
}

impl Standard {
    /// Whether its records stand in a pipeline, and in which property the stage is.
    pub(super) fn stage_property(&self) -> Option<&'static str> {
        match self.name {
            "deals" => Some("dealstage"),
            "tickets" => Some("hs_pipeline_stage"),
            _ => None,
        }
    }

    /// The property that holds the pipeline.
    pub(super) fn pipeline_property(&self) -> Option<&'static str> {
        match self.name {
            "deals" => Some("pipeline"),
            "tickets" => Some("hs_pipeline"),
            _ => None,
        }
    }

    /// Whether records have a context block of their own.
    pub(super) fn has_block(&self) -> bool {
        matches!(self.type_id, "0-1" | "0-2" | "0-3" | "0-5")
    }
}

const ACTIVITY_READ: &str = "crm.objects.contacts.read";
const ACTIVITY_WRITE: &str = "crm.objects.contacts.write";

/// Type ids as HubSpot's object guide lists them.
pub(super) static STANDARD: &[Standard] = &[
    Standard {
        name: "contacts",
        singular: "contact",
        type_id: CONTACT_TYPE,
        read: "crm.objects.contacts.read",
        write: "crm.objects.contacts.write",
        title: &["firstname", "lastname", "email"],
        fields: &[
            "firstname",
            "lastname",
            "email",
            "phone",
            "company",
            "jobtitle",
            "lifecyclestage",
            "hubspot_owner_id",
            "createdate",
            "lastmodifieddate",
        ],
        age: "createdate",
    },
    Standard {
        name: "companies",
        singular: "company",
        type_id: "0-2",
        read: "crm.objects.companies.read",
        write: "crm.objects.companies.write",
        title: &["name", "domain"],
        fields: &[
            "name",
            "domain",
            "industry",
            "city",
            "country",
            "lifecyclestage",
            "hubspot_owner_id",
            "createdate",
            "hs_lastmodifieddate",
        ],
        age: "createdate",
    },
    Standard {
        name: "deals",
        singular: "deal",
        type_id: "0-3",
        read: "crm.objects.deals.read",
        write: "crm.objects.deals.write",
        title: &["dealname"],
        fields: &[
            "dealname",
            "amount",
            "deal_currency_code",
            "dealstage",
            "pipeline",
            "closedate",
            "hubspot_owner_id",
            "createdate",
            "hs_lastmodifieddate",
        ],
        age: "createdate",
    },
    Standard {
        name: "tickets",
        singular: "ticket",
        type_id: "0-5",
        read: "tickets",
        write: "tickets",
        title: &["subject"],
        fields: &[
            "subject",
            "content",
            "hs_pipeline",
            "hs_pipeline_stage",
            "hs_ticket_priority",
            "hubspot_owner_id",
            "createdate",
            "hs_lastmodifieddate",
        ],
        age: "createdate",
    },
    Standard {
        name: "line_items",
        singular: "line_item",
        type_id: "0-8",
        read: "crm.objects.line_items.read",
        write: "crm.objects.line_items.write",
        title: &["name"],
        fields: &[
            "name",
            "quantity",
            "price",
            "amount",
            "hs_product_id",
            "createdate",
        ],
        age: "createdate",
    },
    Standard {
        name: "products",
        singular: "product",
        type_id: "0-7",
        read: "crm.objects.products.read",
        write: "crm.objects.products.write",
        title: &["name"],
        fields: &["name", "price", "hs_sku", "description", "createdate"],
        age: "createdate",
    },
    Standard {
        name: "quotes",
        singular: "quote",
        type_id: "0-14",
        read: "crm.objects.quotes.read",
        write: "crm.objects.quotes.write",
        title: &["hs_title"],
        fields: &[
            "hs_title",
            "hs_status",
            "hs_expiration_date",
            "hs_quote_amount",
            "hs_createdate",
        ],
        age: "hs_createdate",
    },
    Standard {
        name: "notes",
        singular: "note",
        type_id: "0-46",
        read: ACTIVITY_READ,
        write: ACTIVITY_WRITE,
        title: &["hs_body_preview"],
        fields: &[
            "hs_timestamp",
            "hs_note_body",
            "hs_body_preview",
            "hubspot_owner_id",
        ],
        age: "hs_timestamp",
    },
    Standard {
        name: "calls",
        singular: "call",
        type_id: "0-48",
        read: ACTIVITY_READ,
        write: ACTIVITY_WRITE,
        title: &["hs_call_title"],
        fields: &[
            "hs_timestamp",
            "hs_call_title",
            "hs_call_body",
            "hs_call_direction",
            "hs_call_duration",
            "hs_call_status",
            "hubspot_owner_id",
        ],
        age: "hs_timestamp",
    },
    Standard {
        name: "emails",
        singular: "email",
        type_id: "0-49",
        read: ACTIVITY_READ,
        write: ACTIVITY_WRITE,
        title: &["hs_email_subject"],
        fields: &[
            "hs_timestamp",
            "hs_email_subject",
            "hs_email_text",
            "hs_email_html",
            "hs_email_direction",
            "hs_email_status",
            "hs_email_from_email",
            "hs_email_to_email",
            "hubspot_owner_id",
        ],
        age: "hs_timestamp",
    },
    Standard {
        name: "meetings",
        singular: "meeting",
        type_id: "0-47",
        read: ACTIVITY_READ,
        write: ACTIVITY_WRITE,
        title: &["hs_meeting_title"],
        fields: &[
            "hs_timestamp",
            "hs_meeting_title",
            "hs_meeting_body",
            "hs_meeting_start_time",
            "hs_meeting_end_time",
            "hs_meeting_outcome",
            "hs_meeting_location",
            "hubspot_owner_id",
        ],
        age: "hs_timestamp",
    },
    Standard {
        name: "tasks",
        singular: "task",
        type_id: "0-27",
        read: ACTIVITY_READ,
        write: ACTIVITY_WRITE,
        title: &["hs_task_subject"],
        fields: &[
            "hs_timestamp",
            "hs_task_subject",
            "hs_task_body",
            "hs_task_status",
            "hs_task_priority",
            "hubspot_owner_id",
        ],
        age: "hs_timestamp",
    },
];

/// The standard type with this name, in the singular or plural, or with this id.
pub(super) fn standard(name: &str) -> Option<&'static Standard> {
    STANDARD
        .iter()
        .find(|kind| name == kind.name || name == kind.singular || name == kind.type_id)
}

/// A type of record: one that every portal has, or one of this portal's own.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// Every portal has it.
    Standard(&'static Standard),
    /// A custom object.
    Custom(Custom),
}

/// A portal's own type of record.
#[derive(Clone, Debug)]
pub(super) struct Custom {
    /// The path segment: `2-123` or `p4711_pets`.
    pub(super) segment: String,
    /// `2-123` when it is known.
    pub(super) type_id: Option<String>,
    /// What people call it, when that is known.
    pub(super) label: String,
    /// The properties that name a record; empty when not known.
    pub(super) title: Vec<String>,
}

const CUSTOM_READ: &str = "crm.objects.custom.read";
const CUSTOM_WRITE: &str = "crm.objects.custom.write";
/// The scope to read what custom objects there are.
pub(super) const SCHEMAS_READ: &str = "crm.schemas.custom.read";

impl Kind {
    /// The type that `name` means. Custom objects are found by name or label, which costs one request; an id (`2-123`)
    /// or a full name (`p4711_pets`) is taken as it is.
    pub(super) async fn find(cx: &Cx, name: &str) -> Result<Self, ToolError> {
        let name = name.trim().to_lowercase();
        if let Some(kind) = standard(&name) {
            return Ok(Self::Standard(kind));
        }
        if is_type_id(&name) {
            return Ok(Self::Custom(Custom {
                // The web app knows the number only.
                type_id: name.contains('-').then(|| name.clone()),
                label: name.clone(),
                segment: name,
                title: Vec::new(),
            }));
        }
        if name.is_empty() {
            return Err(unknown(&name, &[]));
        }
        cx.require(SCHEMAS_READ)?;
        let schemas = schemas(cx).await?;
        let found = schemas.iter().find(|schema| schema.is_called(&name));
        match found {
            Some(schema) => Ok(Self::Custom(Custom::of(schema))),
            None => Err(unknown(&name, &schemas)),
        }
    }

    /// The path segment, also in addresses of blocks.
    pub(super) fn segment(&self) -> &str {
        match self {
            Self::Standard(kind) => kind.name,
            Self::Custom(kind) => &kind.segment,
        }
    }

    /// The id in addresses of the web app.
    pub(super) fn type_id(&self) -> Option<&str> {
        match self {
            Self::Standard(kind) => Some(kind.type_id),
            Self::Custom(kind) => kind.type_id.as_deref(),
        }
    }

    /// What a message calls it.
    pub(super) fn label(&self) -> &str {
        match self {
            Self::Standard(kind) => kind.name,
            Self::Custom(kind) => &kind.label,
        }
    }

    /// The properties returned when none are asked for.
    pub(super) fn fields(&self) -> Vec<String> {
        match self {
            Self::Standard(kind) => owned(kind.fields),
            Self::Custom(kind) => {
                let mut fields = kind.title.clone();
                fields.extend(owned(&["hs_createdate", "hs_lastmodifieddate"]));
                fields.push("hubspot_owner_id".to_owned());
                fields
            }
        }
    }

    /// The properties that name a record.
    pub(super) fn title(&self) -> Vec<String> {
        match self {
            Self::Standard(kind) => owned(kind.title),
            Self::Custom(kind) => kind.title.clone(),
        }
    }

    /// The property that orders records by age.
    pub(super) fn age(&self) -> &'static str {
        match self {
            Self::Standard(kind) => kind.age,
            Self::Custom(_) => "hs_createdate",
        }
    }

    /// The standard type, if it is one.
    pub(super) fn as_standard(&self) -> Option<&'static Standard> {
        match self {
            Self::Standard(kind) => Some(kind),
            Self::Custom(_) => None,
        }
    }

    /// Fails with the exact scope when this connection may not read it.
    pub(super) fn may_read(&self, cx: &Cx) -> Result<(), ToolError> {
        cx.require(match self {
            Self::Standard(kind) => kind.read,
            Self::Custom(_) => CUSTOM_READ,
        })
    }

    /// Fails with the exact scope when this connection may not change it.
    pub(super) fn may_write(&self, cx: &Cx) -> Result<(), ToolError> {
        cx.require(match self {
            Self::Standard(kind) => kind.write,
            Self::Custom(_) => CUSTOM_WRITE,
        })
    }
}

impl Custom {
    /// The type that `schema` describes.
    pub(super) fn of(schema: &ObjectSchema) -> Self {
        let mut title: Vec<String> = schema.primary_display_property.iter().cloned().collect();
        title.extend(schema.secondary_display_properties.iter().cloned());
        Self {
            segment: schema
                .object_type_id
                .clone()
                .unwrap_or_else(|| schema.name.clone()),
            type_id: schema.object_type_id.clone(),
            label: schema.name.clone(),
            title,
        }
    }
}

/// The portal's custom objects.
pub(super) async fn schemas(cx: &Cx) -> Result<Vec<ObjectSchema>, ProviderError> {
    let answer: Page<ObjectSchema> = cx
        .api
        .get(&["crm-object-schemas", "v3", "schemas"])
        .send()
        .await?;
    Ok(answer.results)
}

/// A record as tools name it: `contacts/101`.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) kind: Kind,
    pub(super) id: String,
}

impl Target {
    /// Reads `contacts/101`.
    pub(super) async fn find(cx: &Cx, text: &str, argument: &str) -> Result<Self, ToolError> {
        let (name, id) = parts(text, argument)?;
        let kind = Kind::find(cx, name).await?;
        Ok(Self { kind, id })
    }

    /// Reads several; a type that several name is looked up once.
    pub(super) async fn find_all(
        cx: &Cx,
        texts: &[&str],
        argument: &str,
    ) -> Result<Vec<Self>, ToolError> {
        let mut known: Vec<(&str, Kind)> = Vec::new();
        let mut found = Vec::new();
        for text in texts {
            let (name, id) = parts(text, argument)?;
            let kind = if let Some((_, kind)) = known.iter().find(|(own, _)| *own == name) {
                kind.clone()
            } else {
                let kind = Kind::find(cx, name).await?;
                known.push((name, kind.clone()));
                kind
            };
            found.push(Self { kind, id });
        }
        Ok(found)
    }

    /// As tools name it.
    pub(super) fn text(&self) -> String {
        format!("{}/{}", self.kind.segment(), self.id)
    }
}

/// Type and id of `contacts/101`.
fn parts<'a>(text: &'a str, argument: &str) -> Result<(&'a str, String), ToolError> {
    text.trim()
        .rsplit_once('/')
        .and_then(|(name, id)| Some((name, record_id(id)?)))
        .ok_or_else(|| not_a_record(argument, text))
}

fn not_a_record(argument: &str, text: &str) -> ToolError {
    ToolError::Invalid(format!(
        "{argument} must name a record as type/id, such as contacts/101, not `{}`",
        crate::kit::text::clip(text, 80)
    ))
}

/// The id, when it is one: HubSpot's are all digits.
pub(super) fn record_id(text: &str) -> Option<String> {
    let text = text.trim();
    let digits = !text.is_empty() && text.len() <= 20 && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.to_owned())
}

fn is_type_id(name: &str) -> bool {
    let numbered = name.split_once('-').is_some_and(|(kind, number)| {
        matches!(kind, "0" | "2")
            && !number.is_empty()
            && number.bytes().all(|b| b.is_ascii_digit())
    });
    // `p4711_pets`: a full name carries the portal's id.
    let full = name
        .strip_prefix('p')
        .and_then(|rest| rest.split_once('_'))
        .is_some_and(|(portal, rest)| {
            !portal.is_empty()
                && portal.bytes().all(|b| b.is_ascii_digit())
                && !rest.is_empty()
                && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        });
    numbered || full
}

fn unknown(name: &str, schemas: &[ObjectSchema]) -> ToolError {
    let known: Vec<&str> = STANDARD
        .iter()
        .map(|kind| kind.name)
        .chain(schemas.iter().map(|schema| schema.name.as_str()))
        .collect();
    ToolError::Invalid(format!(
        "object_type `{}` does not exist; known here: {}",
        crate::kit::text::clip(name, 60),
        known.join(", ")
    ))
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_types_and_records() {
        for (name, expected) in [
            ("2-123", true),
            ("0-421", true),
            ("p4711_pets", true),
            ("pets", false),
            ("p_pets", false),
            ("2-", false),
            ("p4711_../x", false),
        ] {
            assert_eq!(is_type_id(name), expected, "{name}");
        }
        assert_eq!(record_id(" 101 ").as_deref(), Some("101"));
        assert_eq!(record_id("../101"), None);
        assert_eq!(record_id(""), None);
    }

    #[test]
    fn standard_types_go_by_three_names() {
        for name in ["companies", "company", "0-2"] {
            assert_eq!(standard(name).map(|kind| kind.name), Some("companies"));
        }
    }
}
