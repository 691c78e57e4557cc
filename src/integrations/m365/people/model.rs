//! What Graph says of people, only the fields that are read.

use serde::{Deserialize, Serialize};

use crate::integrations::m365::model::{EmailAddress, or_default};

/// What is asked of a contact.
pub(super) const CONTACT: &str = "id,displayName,givenName,surname,companyName,jobTitle,department,emailAddresses,businessPhones,homePhones,mobilePhone,personalNotes,changeKey";

/// A contact; kept in this form by the sync.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Contact {
    pub(super) id: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) display_name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) given_name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) surname: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) company_name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) job_title: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) email_addresses: Vec<Mail>,
    #[serde(deserialize_with = "or_default")]
    pub(super) business_phones: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) home_phones: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) mobile_phone: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) personal_notes: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) change_key: String,
}

/// An address of a contact.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Mail {
    #[serde(deserialize_with = "or_default")]
    pub(super) address: String,
}

impl Contact {
    pub(super) fn emails(&self) -> Vec<String> {
        let all = self.email_addresses.iter().map(|mail| mail.address.clone());
        all.filter(|address| !address.is_empty()).collect()
    }

    pub(super) fn phones(&self) -> Vec<String> {
        let mobile = std::iter::once(&self.mobile_phone);
        let all = mobile.chain(&self.business_phones).chain(&self.home_phones);
        all.filter(|phone| !phone.is_empty()).cloned().collect()
    }
}

/// Somebody of the directory.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct User {
    pub(super) id: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) display_name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) mail: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) user_principal_name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) job_title: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) department: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) office_location: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) mobile_phone: String,
}

impl User {
    pub(super) fn address(&self) -> &str {
        if self.mail.is_empty() {
            &self.user_principal_name
        } else {
            &self.mail
        }
    }
}

/// Somebody one works with.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Person {
    pub(super) id: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) display_name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) company_name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) job_title: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) scored_email_addresses: Vec<EmailAddress>,
}
