//! What an organization and a credential allow, as one pure function. It is asked for every list and for every call, so
//! that what is hidden is also refused.

use std::sync::Arc;

use crate::caller::Caller;
use crate::kit::integration::Integration;
use crate::kit::tool::Effect;

/// An organization's rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Ids of integrations that an admin has switched off. Connections stay stored, inactive.
    pub disabled: Vec<String>,
}

/// Whether a call may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may.
    Allow,
    /// Not before a person agreed to exactly this call; the words say which rule wants that.
    Ask(Arc<str>),
    /// It may not.
    Deny(Denial),
}

/// Why a call may not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// An admin has switched the integration off.
    IntegrationDisabled,
    /// The token only allows reading.
    ReadOnlyCredential,
}

/// Decides about a call with this effect at this integration.
pub fn decide(
    caller: &Caller,
    integration: &Integration,
    effect: Effect,
    rules: &Rules,
) -> Decision {
    if rules.disabled.iter().any(|id| id == integration.id) {
        Decision::Deny(Denial::IntegrationDisabled)
    } else if !caller.scopes.write && !effect.is_read() {
        Decision::Deny(Denial::ReadOnlyCredential)
    } else {
        Decision::Allow
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::{Credential, Role, Scopes};
    use crate::clock::Timestamp;
    use crate::ids::{OrgId, UserId};

    #[test]
    fn every_combination_is_decided() {
        let now = Timestamp::from_micros(0);
        let integration = crate::kit::integration::Integration {
            id: "github",
            name: "",
            summary: "",
            icon: "",
            providers: &[],
            toolsets: &[],
            aliases: &[],
        };
        let off = Rules {
            disabled: vec!["github".to_owned()],
        };
        let other_off = Rules {
            disabled: vec!["hubspot".to_owned()],
        };
        let write = Effect::Write { idempotent: false };
        let destructive = Effect::Destructive { idempotent: true };
        let (allow, disabled, read_only) = (
            Decision::Allow,
            Decision::Deny(Denial::IntegrationDisabled),
            Decision::Deny(Denial::ReadOnlyCredential),
        );
        for (read_only_token, rules, effect, expected) in [
            (false, &Rules::default(), Effect::Read, &allow),
            (false, &Rules::default(), write, &allow),
            (false, &Rules::default(), destructive, &allow),
            (true, &Rules::default(), Effect::Read, &allow),
            (true, &Rules::default(), write, &read_only),
            (true, &Rules::default(), destructive, &read_only),
            (false, &off, Effect::Read, &disabled),
            (false, &off, write, &disabled),
            (true, &off, destructive, &disabled),
            (false, &other_off, Effect::Read, &allow),
            (true, &other_off, write, &read_only),
        ] {
            for role in [Role::Member, Role::Admin, Role::Auditor] {
                let caller = Caller {
                    user: UserId::new(now),
                    org: OrgId::new(now),
                    email: "a@example.test".into(),
                    role,
                    credential: Credential::Local,
                    groups: std::sync::Arc::default(),
                    scopes: if read_only_token {
                        Scopes::READ_ONLY
                    } else {
                        Scopes::ALL
                    },
                };
                assert_eq!(
                    &decide(&caller, &integration, effect, rules),
                    expected,
                    "{rules:?} {effect:?}"
                );
            }
        }
    }
}
