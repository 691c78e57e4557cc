//! The public sources: where they are, what each allows, and what their refusals mean.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::kit::client::Failure;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::integration::{Account, Allowance, HostKey, HostRule};
use crate::kit::text;
use crate::kit::tool::Cx;

/// How long to leave a source alone that refuses for the rate without saying how long.
const BACK_OFF_S: u64 = 5;

const DAY: Duration = Duration::from_hours(24);
/// Genes and reference terms change rarely.
const WEEK: Duration = Duration::from_hours(7 * 24);
/// A second with room for what the network does to the distance between two requests.
const SECOND: Duration = Duration::from_millis(1_100);
const MINUTE: Duration = Duration::from_secs(61);

/// Every host, by its name in addresses and settings.
pub(super) const HOSTS: &[(&str, &str)] = &[
    ("clinicaltables", "https://clinicaltables.nlm.nih.gov"),
    ("clinicaltrials", "https://clinicaltrials.gov"),
    ("clinpgx", "https://api.clinpgx.org"),
    ("cpic", "https://api.cpicpgx.org"),
    ("ensembl", "https://rest.ensembl.org"),
    ("europepmc", "https://www.ebi.ac.uk"),
    ("eutils", "https://eutils.ncbi.nlm.nih.gov"),
    ("gnomad", "https://gnomad.broadinstitute.org"),
    ("medlineplus", "https://wsearch.nlm.nih.gov"),
    ("monarch", "https://api-v3.monarchinitiative.org"),
    ("mychem", "https://mychem.info"),
    ("mydisease", "https://mydisease.info"),
    ("mygene", "https://mygene.info"),
    ("myvariant", "https://myvariant.info"),
    // The same machines as Europe PMC, another service with a pace of its own.
    ("ols", "https://www.ebi.ac.uk"),
    ("openfda", "https://api.fda.gov"),
    ("opentargets", "https://api.platform.opentargets.org"),
    ("rxnav", "https://rxnav.nlm.nih.gov"),
    ("uniprot", "https://rest.uniprot.org"),
];

/// What each allows one address; the README says which of these are documented.
pub(super) const RULES: &[HostRule] = &[
    per_second("clinicaltables", 5, WEEK),
    HostRule {
        host: "clinicaltrials",
        allows: Allowance {
            requests: 50,
            within: MINUTE,
            per_day: None,
        },
        key: None,
        keep: DAY,
    },
    per_second("clinpgx", 2, DAY),
    per_second("cpic", 4, DAY),
    per_second("ensembl", 10, WEEK),
    per_second("europepmc", 10, DAY),
    HostRule {
        host: "eutils",
        allows: Allowance {
            requests: 3,
            within: SECOND,
            per_day: None,
        },
        key: Some(HostKey {
            param: "api_key",
            allows: Allowance {
                requests: 10,
                within: SECOND,
                per_day: None,
            },
        }),
        keep: DAY,
    },
    HostRule {
        host: "gnomad",
        allows: Allowance {
            requests: 10,
            within: MINUTE,
            per_day: None,
        },
        key: None,
        keep: WEEK,
    },
    HostRule {
        host: "medlineplus",
        allows: Allowance {
            requests: 80,
            within: MINUTE,
            per_day: None,
        },
        key: None,
        keep: DAY,
    },
    per_second("monarch", 2, WEEK),
    per_second("mychem", 5, DAY),
    per_second("mydisease", 5, WEEK),
    per_second("mygene", 5, WEEK),
    per_second("myvariant", 5, DAY),
    per_second("ols", 5, WEEK),
    HostRule {
        host: "openfda",
        allows: Allowance {
            requests: 240,
            within: MINUTE,
            per_day: Some(1_000),
        },
        key: Some(HostKey {
            param: "api_key",
            allows: Allowance {
                requests: 240,
                within: MINUTE,
                per_day: Some(120_000),
            },
        }),
        keep: DAY,
    },
    per_second("opentargets", 2, WEEK),
    per_second("rxnav", 20, DAY),
    per_second("uniprot", 5, WEEK),
];

const fn per_second(host: &'static str, requests: u32, keep: Duration) -> HostRule {
    HostRule {
        host,
        allows: Allowance {
            requests,
            within: SECOND,
            per_day: None,
        },
        key: None,
        keep,
    }
}

/// Each source words its refusals in its own place.
pub(super) fn classify(failure: &Failure<'_>) -> Option<ProviderError> {
    if failure.status == 429 {
        return Some(ProviderError::RateLimited {
            retry_after_s: failure.retry_after_s().unwrap_or(BACK_OFF_S),
        });
    }
    let places = [
        "/error/message",
        "/errMsg",
        "/messages/0",
        "/errors/0/message",
    ];
    let said = places
        .iter()
        .find_map(|place| failure.body.pointer(place).and_then(Value::as_str))?;
    let message = text::clip(&text::scrub(said), 300);
    match failure.status {
        400 | 422 => Some(ProviderError::Invalid { message }),
        403 => Some(ProviderError::Forbidden { message }),
        _ => None,
    }
}

/// There is nobody to ask about: the sources are open to everyone.
pub(super) fn identify(_: &Cx) -> BoxFuture<'_, Result<Account, ToolError>> {
    let public = || "public".to_owned();
    async move {
        Ok(Account {
            id: public(),
            label: public(),
            handle: public(),
            ..Account::default()
        })
    }
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_has_its_rule() {
        let hosts: Vec<&str> = HOSTS.iter().map(|(host, _)| *host).collect();
        let rules: Vec<&str> = RULES.iter().map(|rule| rule.host).collect();
        assert_eq!(hosts, rules);
        assert!(hosts.is_sorted());
    }
}
