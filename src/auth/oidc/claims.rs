//! What a token says, and whether it may be believed (RFC 7519 §4.1, RFC 8725). The library only verifies signatures
//! here: by default it takes a token without issuer or audience, and it has a clock of its own.

use std::time::Duration;

use jsonwebtoken::{Validation, decode, decode_header};
use serde_json::{Map, Value};

use super::OidcError;
use super::discovery::{Discovery, Metadata};
use super::keys::KeySet;
use crate::clock::Timestamp;
use crate::store::Identity;

/// How far the clocks of two machines may be apart.
const SKEW: Duration = Duration::from_mins(1);
/// Longest token, in bytes.
const LONGEST: usize = 16 * 1024;
/// Longest subject and longest address, in bytes.
const LONGEST_NAME: usize = 255;

/// Why a token is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// It is no signed token.
    #[error("it is no signed token")]
    Form,
    /// No key of the issuer verifies it.
    #[error("no key of the issuer verifies it")]
    Signature,
    /// It lacks a claim that it must have.
    #[error("it has no {0}")]
    Missing(&'static str),
    /// A claim is not what is expected.
    #[error("its {0} is another")]
    Other(&'static str),
    /// It has ended.
    #[error("it has expired")]
    Expired,
    /// It has not begun.
    #[error("it is not valid yet")]
    Early,
    /// It is a token for another use.
    #[error("it is not a token for this use")]
    Use,
}

/// What a verified token says.
#[derive(Clone, Debug)]
pub(crate) struct Claims(Map<String, Value>);

/// What a token must say to be for us.
#[derive(Clone, Copy)]
pub(crate) struct Expected<'a> {
    /// One of these is its audience.
    pub(crate) audiences: &'a [String],
    /// Its tenant is one of these, unless there are none.
    pub(crate) tenants: &'a [String],
    /// The present.
    pub(crate) now: Timestamp,
}

/// Whose tokens are verified.
#[derive(Clone, Copy)]
pub(crate) struct Tokens<'a> {
    pub(crate) discovery: &'a Discovery,
    pub(crate) keys: &'a KeySet,
}

/// A token whose signature and common claims hold.
pub(crate) struct Verified {
    /// The `typ` of its header.
    pub(crate) kind: Option<String>,
    /// What it says.
    pub(crate) claims: Claims,
    /// Who it is about.
    pub(crate) identity: Identity,
    /// Until when it holds, with the difference that clocks may have.
    pub(crate) expires_at: Timestamp,
}

impl Tokens<'_> {
    /// Verifies a token. Only keys that the issuer publishes count, whatever the token's own header offers.
    pub(crate) async fn verify(
        &self,
        token: &str,
        expected: Expected<'_>,
    ) -> Result<Verified, OidcError> {
        if token.len() > LONGEST {
            return Err(Flaw::Form.into());
        }
        let header = decode_header(token).map_err(|_| Flaw::Form)?;
        if header.crit.is_some() || header.enc.is_some() {
            return Err(Flaw::Form.into());
        }
        let metadata = self.discovery.get().await?;
        let key = self
            .keys
            .find(&metadata.jwks, header.kid.as_deref())
            .await?;
        let key = key.ok_or(Flaw::Signature)?;
        if !key.algorithms.contains(&header.alg) {
            return Err(Flaw::Signature.into());
        }
        let mut validation = Validation::new(header.alg);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        let decoded = decode::<Map<String, Value>>(token, &key.decoding, &validation);
        let claims = Claims(decoded.map_err(|error| flaw(&error))?.claims);
        let identity = claims.check(&metadata, expected)?;
        let expires_at = claims.instant("exp").ok_or(Flaw::Missing("exp"))?;
        let expires_at = expires_at.plus(SKEW);
        Ok(Verified {
            kind: header.typ,
            claims,
            identity,
            expires_at,
        })
    }
}

fn flaw(error: &jsonwebtoken::errors::Error) -> Flaw {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the library's own enum, open by declaration"
    )]
    match error.kind() {
        jsonwebtoken::errors::ErrorKind::MissingRequiredClaim(name) => {
            let known = ["exp", "iss", "aud", "sub"];
            let known = known.into_iter().find(|known| known == name);
            Flaw::Missing(known.unwrap_or("required claim"))
        }
        _ => Flaw::Signature,
    }
}

impl From<Map<String, Value>> for Claims {
    fn from(claims: Map<String, Value>) -> Self {
        Self(claims)
    }
}

impl Claims {
    /// These claims, and those of `names` that only `more` has.
    pub(super) fn with(mut self, more: &Self, names: &[&str]) -> Self {
        for name in names {
            if let Some(value) = more.0.get(*name) {
                self.0
                    .entry((*name).to_owned())
                    .or_insert_with(|| value.clone());
            }
        }
        self
    }

    /// A claim that is text and not empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    /// Whether there is such a claim.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Whether a claim is true; some providers write the word.
    pub(super) fn is_true(&self, name: &str) -> bool {
        match self.0.get(name) {
            Some(Value::Bool(truth)) => *truth,
            Some(Value::String(word)) => word == "true",
            _ => false,
        }
    }

    /// A claim that is one text or a list of them; `None` when there is no such claim.
    pub(crate) fn list(&self, name: &str) -> Option<Vec<&str>> {
        match self.0.get(name)? {
            Value::String(one) => Some(vec![one]),
            Value::Array(many) => Some(many.iter().filter_map(Value::as_str).collect()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
        }
    }

    /// An instant (RFC 7519 §2, NumericDate), which may have a fraction.
    fn instant(&self, name: &str) -> Option<Timestamp> {
        let number = self.0.get(name)?.as_number()?;
        let seconds = match number.as_i64() {
            Some(seconds) => seconds,
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a fraction of a second does not matter and the conversion saturates"
            )]
            None => number.as_f64()? as i64,
        };
        Some(Timestamp::from_micros(seconds.saturating_mul(1_000_000)))
    }

    /// Whether the claims that every token must have are ours, and who it is about.
    fn check(&self, metadata: &Metadata, expected: Expected<'_>) -> Result<Identity, Flaw> {
        let issuer = self.text("iss").ok_or(Flaw::Missing("iss"))?;
        let tenant = self.text("tid").filter(|_| metadata.is_entra);
        if metadata.is_open() && (tenant.is_none() || expected.tenants.is_empty()) {
            return Err(Flaw::Missing("tid"));
        }
        if issuer != metadata.issuer_of(tenant) {
            return Err(Flaw::Other("iss"));
        }
        if !expected.tenants.is_empty() {
            let allowed = |tenant: &str| {
                let mut tenants = expected.tenants.iter();
                tenants.any(|known| known.eq_ignore_ascii_case(tenant))
            };
            if !tenant.is_some_and(allowed) {
                return Err(Flaw::Other("tid"));
            }
        }
        let audiences = self.list("aud").ok_or(Flaw::Missing("aud"))?;
        if !audiences
            .iter()
            .any(|name| expected.audiences.iter().any(|known| known == name))
        {
            return Err(Flaw::Other("aud"));
        }
        let expires_at = self.instant("exp").ok_or(Flaw::Missing("exp"))?;
        if expires_at.plus(SKEW) <= expected.now {
            return Err(Flaw::Expired);
        }
        for name in ["nbf", "iat"] {
            if self.has(name) {
                let at = self.instant(name).ok_or(Flaw::Other(name))?;
                if at > expected.now.plus(SKEW) {
                    return Err(Flaw::Early);
                }
            }
        }
        let subject = self.text("sub").ok_or(Flaw::Missing("sub"))?;
        if subject.len() > LONGEST_NAME {
            return Err(Flaw::Other("sub"));
        }
        if !metadata.is_entra {
            return Ok(Identity {
                issuer: issuer.to_owned(),
                subject: subject.to_owned(),
            });
        }
        // Entra's `sub` differs from app to app; a tenant and an object name the person.
        let tenant = tenant.ok_or(Flaw::Missing("tid"))?;
        let object = self.text("oid").ok_or(Flaw::Missing("oid"))?;
        Ok(Identity {
            issuer: format!("entra:{}", tenant.to_ascii_lowercase()),
            subject: object.to_ascii_lowercase(),
        })
    }

    /// The address that the provider tells, to show and never to recognise somebody by.
    pub(crate) fn email(&self) -> Option<&str> {
        self.text("email")
            .or_else(|| self.text("preferred_username"))
            .filter(|email| email.len() <= LONGEST_NAME && email.contains('@'))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_795_176_000;

    fn metadata(issuer: &str, is_entra: bool) -> Metadata {
        Metadata {
            issuer: issuer.to_owned(),
            authorize: None,
            token: None,
            userinfo: None,
            jwks: "https://id.example.test/keys".parse().unwrap(),
            secret_in_form: false,
            names_itself: false,
            is_entra,
        }
    }

    fn check(metadata: &Metadata, tenants: &[&str], claims: &Value) -> Result<Identity, Flaw> {
        let tenants: Vec<String> = tenants.iter().map(|&tenant| tenant.to_owned()).collect();
        let expected = Expected {
            audiences: &["us".to_owned()],
            tenants: &tenants,
            now: Timestamp::from_micros(NOW * 1_000_000),
        };
        Claims(claims.as_object().unwrap().clone()).check(metadata, expected)
    }

    #[test]
    fn every_required_claim_is_required() {
        let issuer = metadata("https://id.example.test", false);
        let good =
            json!({ "iss": "https://id.example.test", "aud": "us", "exp": NOW + 60, "sub": "p1" });
        assert_eq!(
            check(&issuer, &[], &good).unwrap(),
            Identity {
                issuer: "https://id.example.test".to_owned(),
                subject: "p1".to_owned()
            }
        );
        for (change, expected) in [
            (json!({ "iss": null }), Flaw::Missing("iss")),
            (
                json!({ "iss": "https://id.example.test/" }),
                Flaw::Other("iss"),
            ),
            (json!({ "aud": null }), Flaw::Missing("aud")),
            (json!({ "aud": [] }), Flaw::Other("aud")),
            (json!({ "aud": "them" }), Flaw::Other("aud")),
            (json!({ "aud": ["them", "others"] }), Flaw::Other("aud")),
            (json!({ "exp": null }), Flaw::Missing("exp")),
            (json!({ "exp": "tomorrow" }), Flaw::Missing("exp")),
            (json!({ "exp": NOW - 61 }), Flaw::Expired),
            (json!({ "exp": NOW - 60 }), Flaw::Expired),
            (json!({ "nbf": NOW + 61 }), Flaw::Early),
            (json!({ "nbf": "later" }), Flaw::Other("nbf")),
            (json!({ "iat": NOW + 61 }), Flaw::Early),
            (json!({ "sub": null }), Flaw::Missing("sub")),
            (json!({ "sub": "" }), Flaw::Missing("sub")),
            (json!({ "sub": "x".repeat(256) }), Flaw::Other("sub")),
        ] {
            let mut claims = good.clone();
            for (name, value) in change.as_object().unwrap() {
                claims[name] = value.clone();
            }
            assert_eq!(check(&issuer, &[], &claims), Err(expected), "{change}");
        }
        for change in [
            json!({ "aud": ["them", "us"] }),
            json!({ "exp": NOW - 59 }),
            json!({ "exp": 1_795_176_060.5 }),
            json!({ "nbf": NOW + 60 }),
        ] {
            let mut claims = good.clone();
            for (name, value) in change.as_object().unwrap() {
                claims[name] = value.clone();
            }
            assert!(check(&issuer, &[], &claims).is_ok(), "{change}");
        }
    }

    #[test]
    fn a_tenant_and_an_object_name_a_person_of_entra() {
        let open = metadata("https://login.microsoftonline.com/{tenantid}/v2.0", true);
        let one = metadata("https://login.microsoftonline.com/t1/v2.0", true);
        let claims = |tenant: &str, issuer: &str| {
            json!({
                "iss": format!("https://login.microsoftonline.com/{issuer}/v2.0"), "aud": "us", "exp": NOW + 60,
                "sub": "pairwise", "tid": tenant, "oid": "O1",
            })
        };
        for (metadata, tenants, tenant, issuer, good) in [
            (&open, vec!["T1"], "t1", "t1", true),
            (&open, vec!["t2"], "t1", "t1", false),
            (&open, vec![], "t1", "t1", false),
            // The tenant's own tokens with a foreign tenant in them.
            (&open, vec!["t1"], "t1", "t2", false),
            (&one, vec![], "t1", "t1", true),
            (&one, vec!["t1"], "t1", "t1", true),
            (&one, vec!["t2"], "t1", "t1", false),
            (&one, vec![], "t2", "t2", false),
        ] {
            let found = check(metadata, &tenants, &claims(tenant, issuer));
            assert_eq!(
                found.is_ok(),
                good,
                "{tenants:?} {tenant} {issuer}: {found:?}"
            );
            if let Ok(found) = found {
                assert_eq!((&*found.issuer, &*found.subject), ("entra:t1", "o1"));
            }
        }
        let mut nobody = claims("t1", "t1");
        nobody["oid"] = Value::Null;
        assert_eq!(check(&one, &[], &nobody), Err(Flaw::Missing("oid")));
    }
}
