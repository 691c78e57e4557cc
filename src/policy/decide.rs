//! The decision itself, step by step.

use std::sync::Arc;

use super::{Decision, Denial, Kind, Rules, Subject, Verdict, Weighed};
use crate::caller::{Approver, Caller, Credential};

/// Why a call is asked about that others may have led the conversation to.
const LED: &str =
    "this conversation has read what others wrote, and the call reaches people outside";

/// The limits that no rule can lift, in the order in which they are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Is the integration switched on?
    Integration,
    /// Is the toolset switched on?
    Toolset,
    /// Does the credential cover the integration?
    Covered,
    /// Does the credential allow the effect?
    Credential,
    /// Does the organization allow changes?
    Organization,
}

impl Limit {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [
        Self::Integration,
        Self::Toolset,
        Self::Covered,
        Self::Credential,
        Self::Organization,
    ];

    /// Why this limit refuses; `None` when it does not.
    pub fn refusal(self, caller: &Caller, subject: &Subject, rules: &Rules) -> Option<Denial> {
        let reads = subject.effect.is_read();
        let (refuses, denial) = match self {
            Self::Integration => (
                rules.is_off(subject.integration.id),
                Denial::IntegrationDisabled,
            ),
            Self::Toolset => (
                rules.is_toolset_off(subject.integration.id, subject.toolset.id),
                Denial::ToolsetDisabled(subject.toolset.title),
            ),
            Self::Covered => (
                !caller.scopes.cover(subject.integration.id),
                Denial::OtherIntegrations,
            ),
            Self::Credential if reads => (!caller.scopes.read, Denial::NoReading),
            Self::Credential => (
                !caller.scopes.write,
                match caller.credential {
                    Credential::Access(_) => Denial::ReadOnlyClient,
                    Credential::Token(_)
                    | Credential::Session(_)
                    | Credential::External(_)
                    | Credential::Local => Denial::ReadOnlyCredential,
                },
            ),
            Self::Organization => (rules.read_only && !reads, Denial::ReadOnlyOrganization),
        };
        refuses.then_some(denial)
    }

    /// What holds when it does not refuse, in words.
    pub const fn passed(self) -> &'static str {
        match self {
            Self::Integration => "the integration is switched on",
            Self::Toolset => "the toolset is switched on",
            Self::Covered => "the credential covers the integration",
            Self::Credential => "the credential allows the effect",
            Self::Organization => "the organization allows the effect",
        }
    }
}

/// One step of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// A limit let it pass, or refused it.
    Limit(Limit, Option<Denial>),
    /// The rule that decides.
    Rule(&'a Weighed),
    /// No rule fits, so it is allowed.
    NoRule,
    /// It reaches people outside, and others may have led the conversation to it.
    Led,
}

/// Decides, and tells every step on the way.
pub fn trace<'a>(
    caller: &Caller,
    subject: &Subject,
    rules: &'a Rules,
    mut told: impl FnMut(Step<'a>),
) -> Decision {
    for limit in Limit::ALL {
        let refusal = limit.refusal(caller, subject, rules);
        told(Step::Limit(limit, refusal.clone()));
        if let Some(denial) = refusal {
            return Decision::Deny(denial);
        }
    }
    let decision = match rules.fitting(caller, subject).next() {
        None => {
            told(Step::NoRule);
            Decision::Allow
        }
        Some(weighed) => {
            told(Step::Rule(weighed));
            ruled(weighed, subject.kind)
        }
    };
    if decision == Decision::Allow && subject.led && rules.ask_after_untrusted {
        told(Step::Led);
        return Decision::Ask(LED.into(), Approver::Person);
    }
    decision
}

/// What the deciding rule says.
fn ruled(weighed: &Weighed, kind: Kind) -> Decision {
    let why = || Arc::clone(&weighed.why);
    match (weighed.rule.verdict, kind) {
        (Verdict::Allow, _) => Decision::Allow,
        (Verdict::Ask, Kind::Tool) => Decision::Ask(why(), Approver::Person),
        (Verdict::AskAdmin, Kind::Tool) => Decision::Ask(why(), Approver::Admin),
        (Verdict::Ask | Verdict::AskAdmin, Kind::Block) => {
            Decision::Deny(Denial::CannotWait(why()))
        }
        (Verdict::Deny, _) => Decision::Deny(Denial::Rule(why())),
    }
}

/// Decides about this call of this caller.
pub fn decide(caller: &Caller, subject: &Subject, rules: &Rules) -> Decision {
    trace(caller, subject, rules, |_| {})
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;
    use crate::caller::{Role, Scopes};
    use crate::clock::Timestamp;
    use crate::ids::{GroupId, OrgId, RuleId, UserId};
    use crate::kit::integration::{Integration, Toolset};
    use crate::kit::tool::Effect;
    use crate::policy::{EffectWord, Named, Rule, Target, Who};

    const NOW: Timestamp = Timestamp::from_micros(0);
    const READ: Effect = Effect::Read;
    const WRITE: Effect = Effect::Write { idempotent: false };
    const DESTRUCTIVE: Effect = Effect::Destructive { idempotent: true };

    static SETS: [Toolset; 2] = [set("pulls"), set("issues")];
    static GITHUB: Integration = integration("github", &SETS);

    const fn set(id: &'static str) -> Toolset {
        Toolset {
            id,
            title: id,
            tools: &[],
            blocks: &[],
        }
    }

    const fn integration(id: &'static str, toolsets: &'static [Toolset]) -> Integration {
        Integration {
            id,
            name: id,
            summary: "",
            icon: "",
            providers: &[],
            toolsets,
            aliases: &[],
            contacts: None,
        }
    }

    fn subject(effect: Effect, kind: Kind) -> Subject {
        Subject {
            integration: &GITHUB,
            toolset: &SETS[1],
            name: "github_save_issue",
            effect,
            kind,
            led: false,
        }
    }

    fn caller(role: Role, groups: &[GroupId], scopes: &str) -> Caller {
        Caller {
            user: UserId::new(NOW),
            org: OrgId::new(NOW),
            email: "a@example.test".into(),
            role,
            credential: Credential::Local,
            groups: groups.into(),
            scopes: Scopes::parse(scopes).unwrap(),
        }
    }

    /// `deny member github/issues github_save_* write`; words that are `-` or missing say nothing.
    fn rule(text: &str, group: GroupId) -> Rule {
        let mut words = text.split(' ');
        let verdict = Verdict::parse(words.next().unwrap()).unwrap();
        let who = match words.next() {
            None | Some("-") => Who::Everyone,
            Some("sales") => Who::Group(group, "sales".to_owned()),
            Some(role) => Who::Role(Role::parse(role).unwrap()),
        };
        let mut word = || words.next().filter(|word| *word != "-");
        let place = word();
        let mut place = place
            .into_iter()
            .flat_map(|place| place.split('/').map(ToOwned::to_owned));
        let target = Target {
            integration: place.next(),
            toolset: place.next(),
            tool: word().map(|tool| Named::parse(tool).unwrap()),
            effect: word().map(|effect| EffectWord::parse(effect).unwrap()),
        };
        Rule {
            id: RuleId::new(NOW),
            who,
            target,
            verdict,
            note: String::new(),
        }
    }

    /// What the decision is called in the tables below.
    fn word(decision: &Decision) -> &'static str {
        match decision {
            Decision::Allow => "allow",
            Decision::Ask(_, Approver::Person) => "ask",
            Decision::Ask(_, Approver::Admin) => "ask_admin",
            Decision::Deny(denial) => match denial {
                Denial::IntegrationDisabled => "integration off",
                Denial::ToolsetDisabled(_) => "toolset off",
                Denial::OtherIntegrations => "not covered",
                Denial::NoReading => "no reading",
                Denial::ReadOnlyCredential | Denial::ReadOnlyClient => "no writing",
                Denial::ReadOnlyOrganization => "read-only",
                Denial::Rule(_) => "deny",
                Denial::CannotWait(_) => "cannot wait",
            },
        }
    }

    /// Every combination of role × verdict × whom it is about × what it is about × effect × what is asked for.
    #[test]
    fn a_single_rule_decides_exactly_what_it_is_about() {
        let group = GroupId::new(NOW);
        let mut decided = 0;
        for role in [Role::Member, Role::Admin, Role::Auditor] {
            for groups in [&[][..], &[group]] {
                let caller = caller(role, groups, "tools:read tools:write");
                for verdict in Verdict::ALL {
                    for who in ["-", "member", "admin", "auditor", "sales"] {
                        for (target, named) in [
                            ("-", true),
                            ("github", true),
                            ("hubspot", false),
                            ("github/issues", true),
                            ("github/pulls", false),
                            ("- github_save_issue", true),
                            ("- github_save_*", true),
                            ("- *", true),
                            ("- github_save", false),
                            ("- github_get_*", false),
                            ("github github_save_issue", true),
                            ("hubspot github_save_issue", false),
                            ("- - read", true),
                            ("- - write", true),
                            ("- - destructive", true),
                            ("github/issues github_save_issue write", true),
                            ("github/issues github_save_issue read", true),
                        ] {
                            for effect in [READ, WRITE, DESTRUCTIVE] {
                                for kind in [Kind::Tool, Kind::Block] {
                                    let text = format!("{} {who} {target}", verdict.as_str());
                                    let rules = Rules::default().with_rules([rule(&text, group)]);
                                    let meant = who == "-"
                                        || who == role.as_str()
                                        || (who == "sales" && !groups.is_empty());
                                    let last = target.rsplit(' ').next();
                                    let of_effect = last
                                        .and_then(EffectWord::parse)
                                        .is_none_or(|word| word.fits(effect));
                                    let expected = match (verdict, kind) {
                                        _ if !(meant && named && of_effect) => "allow",
                                        (Verdict::Allow, _) => "allow",
                                        (Verdict::Ask, Kind::Tool) => "ask",
                                        (Verdict::AskAdmin, Kind::Tool) => "ask_admin",
                                        (Verdict::Ask | Verdict::AskAdmin, Kind::Block) => {
                                            "cannot wait"
                                        }
                                        (Verdict::Deny, _) => "deny",
                                    };
                                    let subject = subject(effect, kind);
                                    let found = decide(&caller, &subject, &rules);
                                    assert_eq!(
                                        word(&found),
                                        expected,
                                        "{text} {role:?} {groups:?} {effect:?} {kind:?}"
                                    );
                                    decided += 1;
                                }
                            }
                        }
                    }
                }
            }
        }
        assert_eq!(decided, 4 * 2 * 3 * 5 * 17 * 3 * 2);
    }

    /// Every combination of what is off × what the credential allows × whether the organization is read-only × effect,
    /// under every rule there could be: no rule lifts a limit.
    #[test]
    fn limits_come_first_and_in_order() {
        let group = GroupId::new(NOW);
        let covered = ["", " integration:github", " integration:hubspot"];
        let allowed = [
            "tools:read tools:write",
            "tools:read",
            "tools:write",
            "audit:read",
        ];
        for off in [None, Some("github"), Some("hubspot")] {
            for toolset_off in [
                None,
                Some(("github", "issues")),
                Some(("hubspot", "issues")),
            ] {
                for scopes in allowed {
                    for narrowed in covered {
                        for read_only in [false, true] {
                            for effect in [READ, WRITE, DESTRUCTIVE] {
                                for verdict in [None, Some(Verdict::Allow), Some(Verdict::Deny)] {
                                    let exact = verdict.map(|verdict| {
                                        let text = format!(
                                            "{} sales github/issues github_save_issue",
                                            verdict.as_str()
                                        );
                                        rule(&text, group)
                                    });
                                    let mut rules = Rules::default().with_rules(exact);
                                    rules.disabled.extend(off.map(ToOwned::to_owned));
                                    rules.disabled_toolsets.extend(
                                        toolset_off.map(|(of, id)| (of.to_owned(), id.to_owned())),
                                    );
                                    rules.read_only = read_only;
                                    let caller = caller(
                                        Role::Admin,
                                        &[group],
                                        &format!("{scopes}{narrowed}"),
                                    );
                                    let reads = effect == READ;
                                    let needed = if reads { "tools:read" } else { "tools:write" };
                                    let expected = if off == Some("github") {
                                        "integration off"
                                    } else if toolset_off == Some(("github", "issues")) {
                                        "toolset off"
                                    } else if narrowed.ends_with("hubspot") {
                                        "not covered"
                                    } else if !scopes.contains(needed) {
                                        if reads { "no reading" } else { "no writing" }
                                    } else if read_only && !reads {
                                        "read-only"
                                    } else {
                                        match verdict {
                                            Some(Verdict::Deny) => "deny",
                                            _ => "allow",
                                        }
                                    };
                                    let subject = subject(effect, Kind::Tool);
                                    let mut limits = 0;
                                    let found = trace(&caller, &subject, &rules, |step| {
                                        limits += usize::from(matches!(step, Step::Limit(..)));
                                    });
                                    assert_eq!(
                                        word(&found),
                                        expected,
                                        "{off:?} {toolset_off:?} {scopes}{narrowed} {read_only} {effect:?} {verdict:?}"
                                    );
                                    assert!((1..=Limit::ALL.len()).contains(&limits));
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// From the least close to the closest; each denies, and everything before it allows, so only the last word counts.
    const CLOSER: &[&str] = &[
        "-",
        "member",
        "sales",
        "- - - write",
        "member - - write",
        "sales - - write",
        "- github",
        "sales github",
        "- github - write",
        "- github/issues",
        "sales github/issues - write",
        "- - *",
        "- - github_*",
        "- github github_*",
        "- - github_save_*",
        "sales github/issues github_save_* write",
        "- - github_save_issue",
        "member - github_save_issue",
        "sales - github_save_issue",
        "- - github_save_issue write",
        "- github github_save_issue",
        "- github/issues github_save_issue",
        "sales github/issues github_save_issue write",
    ];

    #[test]
    fn the_closest_rule_decides_whatever_the_order_of_rules() {
        let group = GroupId::new(NOW);
        let caller = caller(Role::Member, &[group], "tools:read tools:write");
        let subject = subject(WRITE, Kind::Tool);
        for (at, farther) in CLOSER.iter().enumerate() {
            for closer in &CLOSER[at + 1..] {
                for (one, other, expected) in [
                    ("allow", "deny", "deny"),
                    ("deny", "allow", "allow"),
                    ("deny", "ask", "ask"),
                ] {
                    let pair = [format!("{one} {farther}"), format!("{other} {closer}")];
                    for order in [[0, 1], [1, 0]] {
                        let rules = order.map(|at: usize| rule(&pair[at], group));
                        let rules = Rules::default().with_rules(rules);
                        let found = decide(&caller, &subject, &rules);
                        assert_eq!(word(&found), expected, "{pair:?}");
                    }
                }
            }
        }
    }

    /// Every verdict × whether the call is led × whether the organization asks then.
    #[test]
    fn what_others_may_have_led_to_is_asked_about() {
        let group = GroupId::new(NOW);
        let caller = caller(Role::Admin, &[], "tools:read tools:write");
        for (verdict, otherwise) in [
            (None, "allow"),
            (
                Some("allow - github/issues github_save_issue write"),
                "allow",
            ),
            (Some("ask"), "ask"),
            (Some("ask_admin"), "ask_admin"),
            (Some("deny"), "deny"),
        ] {
            for led in [false, true] {
                for asks in [false, true] {
                    let mut rules =
                        Rules::default().with_rules(verdict.map(|text| rule(text, group)));
                    rules.ask_after_untrusted = asks;
                    let subject = Subject {
                        led,
                        ..subject(WRITE, Kind::Tool)
                    };
                    let expected = match otherwise {
                        "allow" if led && asks => "ask",
                        other => other,
                    };
                    let found = decide(&caller, &subject, &rules);
                    assert_eq!(word(&found), expected, "{verdict:?} {led} {asks}");
                }
            }
        }
    }

    #[test]
    fn among_equals_deny_goes_before_ask_before_allow() {
        let (group, other) = (GroupId::new(NOW), GroupId::new(NOW));
        let caller = caller(Role::Member, &[group, other], "tools:read tools:write");
        let subject = subject(WRITE, Kind::Tool);
        for (one, two, expected) in [
            ("allow", "allow", "allow"),
            ("allow", "ask", "ask"),
            ("allow", "deny", "deny"),
            ("ask", "ask", "ask"),
            ("ask", "deny", "deny"),
            ("deny", "deny", "deny"),
        ] {
            for (one, two) in [(one, two), (two, one)] {
                let rules = [
                    rule(&format!("{one} sales github"), group),
                    rule(&format!("{two} sales github"), other),
                ];
                let found = decide(&caller, &subject, &Rules::default().with_rules(rules));
                assert_eq!(word(&found), expected, "{one} {two}");
            }
        }
    }

    #[test]
    fn rules_speak_for_themselves() {
        let group = GroupId::new(NOW);
        for (text, expected) in [
            ("deny", "\"deny everyone, all calls of everything\""),
            (
                "ask member github - write",
                "\"ask role member, write calls of github\"",
            ),
            (
                "allow sales hubspot/issues",
                "\"allow group sales, all calls of hubspot/issues\"",
            ),
            (
                "deny - github/issues github_save_* destructive",
                "\"deny everyone, destructive calls of github_save_* in github/issues\"",
            ),
        ] {
            let mut rule = rule(text, group);
            assert_eq!(rule.to_string(), expected);
            assert_eq!(rule.words(), format!("rule {expected}"));
            rule.note = "asked for by Ada".to_owned();
            assert_eq!(rule.words(), format!("rule {expected}: asked for by Ada"));
            assert_eq!(
                Who::parse(&rule.who.stored()).map(|who| who.stored()),
                Some(rule.who.stored())
            );
        }
        for text in ["", "Github", "a b", "*x", "git*hub", "a-b", "a\n"] {
            assert_eq!(Named::parse(text), None, "{text:?}");
        }
        for text in ["someone", "role:owner", "group:", "group:usr_1", ""] {
            assert_eq!(Who::parse(text), None, "{text:?}");
        }
    }
}
