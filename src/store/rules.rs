//! What an organization allows: rules, switched off toolsets, settings, caps and what caps have counted.
//!
//! Everything that changes what is allowed goes through [`Store::change_policy`], so that no change can be written without
//! the row that tells other processes of it.

use sqlx::FromRow;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::clock::Timestamp;
use crate::ids::{OrgId, RuleId};

/// A rule. Words that say nothing are empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleRow {
    /// Its id.
    pub id: RuleId,
    /// `everyone`, `role:<role>` or `group:<id>`.
    pub who: String,
    /// The integration's id.
    pub integration: String,
    /// The toolset's id.
    pub toolset: String,
    /// A tool's or block's name, or the beginning of names with a `*`.
    pub tool: String,
    /// `read`, `write` or `destructive`.
    pub effect: String,
    /// `allow`, `ask` or `deny`.
    pub verdict: String,
    /// Why, for people.
    pub note: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A daily cap.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct CapRow {
    /// A tool's name, or the beginning of names with a `*`.
    pub tools: String,
    /// `person` or `organization`.
    pub per: String,
    /// How many calls.
    pub calls_a_day: i64,
}

/// What a cap has counted on one day.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct CountRow {
    /// As the cap has it.
    pub tools: String,
    /// A person's id, or `organization`.
    pub whose: String,
    /// How many calls.
    pub calls: i64,
}

/// Everything that an organization has set, but for switched off integrations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyRows {
    /// Rules, the oldest first.
    pub rules: Vec<RuleRow>,
    /// Integration's and toolset's ids of toolsets that are switched off.
    pub disabled_toolsets: Vec<(String, String)>,
    /// Whether nothing may be changed.
    pub read_only: bool,
    /// Whether outward-facing calls ask first once their conversation has read what others wrote.
    pub ask_after_untrusted: bool,
    /// Whether people may have opens and clicks of the mail they send noticed.
    pub track_mail: bool,
    /// Calls a minute of one person.
    pub person_per_minute: Option<i64>,
    /// Calls a minute of everybody at one integration.
    pub integration_per_minute: Option<i64>,
    /// Caps, by tool and whose.
    pub caps: Vec<CapRow>,
}

/// One change of what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyChange<'a> {
    /// Adds a rule; changes nothing when there is one for the same people about the same calls.
    AddRule(&'a RuleRow),
    /// Removes a rule.
    RemoveRule(RuleId),
    /// Switches a toolset off or on.
    Toolset {
        /// The integration's id.
        integration: &'a str,
        /// The toolset's id.
        toolset: &'a str,
        /// Which way.
        on: bool,
    },
    /// Allows changes, or allows none.
    ReadOnly(bool),
    /// Has outward-facing calls ask first once their conversation has read what others wrote.
    AskAfterUntrusted(bool),
    /// Lets people have opens and clicks of the mail they send noticed, or not.
    TrackMail(bool),
    /// Calls a minute of one person.
    PersonRate(Option<u32>),
    /// Calls a minute at one integration.
    IntegrationRate(Option<u32>),
    /// Sets a cap.
    SetCap(&'a CapRow),
    /// Removes a cap; what it counted stays.
    RemoveCap {
        /// As it was set.
        tools: &'a str,
        /// As it was set.
        per: &'a str,
    },
}

/// What a statement takes.
enum Bound<'a> {
    Id(Uuid),
    Text(&'a str),
    Number(Option<i64>),
}

impl PolicyChange<'_> {
    /// The statement, whose `$1` is the organization, and what it takes besides.
    fn statement(&self, now: Timestamp) -> (&'static str, Vec<Bound<'_>>) {
        use Bound::{Id, Number, Text};
        match *self {
            Self::AddRule(rule) => (
                "insert into policy_rules (org_id, id, who, integration, toolset, tool, effect, verdict, note, created_at) \
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict do nothing",
                vec![
                    Id(rule.id.uuid()),
                    Text(&rule.who),
                    Text(&rule.integration),
                    Text(&rule.toolset),
                    Text(&rule.tool),
                    Text(&rule.effect),
                    Text(&rule.verdict),
                    Text(&rule.note),
                    Number(Some(rule.created_at.micros())),
                ],
            ),
            Self::RemoveRule(id) => (
                "delete from policy_rules where org_id = $1 and id = $2",
                vec![Id(id.uuid())],
            ),
            Self::Toolset {
                integration,
                toolset,
                on: false,
            } => (
                "insert into disabled_toolsets (org_id, integration, toolset, disabled_at) values ($1, $2, $3, $4) \
                 on conflict (org_id, integration, toolset) do nothing",
                vec![Text(integration), Text(toolset), Number(Some(now.micros()))],
            ),
            Self::Toolset {
                integration,
                toolset,
                on: true,
            } => (
                "delete from disabled_toolsets where org_id = $1 and integration = $2 and toolset = $3",
                vec![Text(integration), Text(toolset)],
            ),
            Self::ReadOnly(read_only) => (
                "insert into policy_settings (org_id, read_only) values ($1, $2) on conflict (org_id) do update set \
                 read_only = excluded.read_only where policy_settings.read_only <> excluded.read_only",
                vec![Number(Some(i64::from(read_only)))],
            ),
            Self::AskAfterUntrusted(ask) => (
                "insert into policy_settings (org_id, read_only, ask_after_untrusted) values ($1, 0, $2) \
                 on conflict (org_id) do update set ask_after_untrusted = excluded.ask_after_untrusted \
                 where policy_settings.ask_after_untrusted <> excluded.ask_after_untrusted",
                vec![Number(Some(i64::from(ask)))],
            ),
            Self::TrackMail(track) => (
                "insert into policy_settings (org_id, read_only, track_mail) values ($1, 0, $2) \
                 on conflict (org_id) do update set track_mail = excluded.track_mail \
                 where policy_settings.track_mail <> excluded.track_mail",
                vec![Number(Some(i64::from(track)))],
            ),
            Self::PersonRate(rate) => (
                "insert into policy_settings (org_id, read_only, person_per_minute) values ($1, 0, $2) \
                 on conflict (org_id) do update set person_per_minute = excluded.person_per_minute",
                vec![Number(rate.map(i64::from))],
            ),
            Self::IntegrationRate(rate) => (
                "insert into policy_settings (org_id, read_only, integration_per_minute) values ($1, 0, $2) \
                 on conflict (org_id) do update set integration_per_minute = excluded.integration_per_minute",
                vec![Number(rate.map(i64::from))],
            ),
            Self::SetCap(cap) => (
                "insert into policy_caps (org_id, tools, per, calls_a_day) values ($1, $2, $3, $4) \
                 on conflict (org_id, tools, per) do update set calls_a_day = excluded.calls_a_day",
                vec![
                    Text(&cap.tools),
                    Text(&cap.per),
                    Number(Some(cap.calls_a_day)),
                ],
            ),
            Self::RemoveCap { tools, per } => (
                "delete from policy_caps where org_id = $1 and tools = $2 and per = $3",
                vec![Text(tools), Text(per)],
            ),
        }
    }
}

#[derive(FromRow)]
struct RuleColumns {
    id: Uuid,
    who: String,
    integration: String,
    toolset: String,
    tool: String,
    effect: String,
    verdict: String,
    note: String,
    created_at: i64,
}

impl From<RuleColumns> for RuleRow {
    fn from(row: RuleColumns) -> Self {
        Self {
            id: RuleId::from_uuid(row.id),
            who: row.who,
            integration: row.integration,
            toolset: row.toolset,
            tool: row.tool,
            effect: row.effect,
            verdict: row.verdict,
            note: row.note,
            created_at: Timestamp::from_micros(row.created_at),
        }
    }
}

impl Store {
    /// Makes one change and notes it for everybody; false when there was nothing to change.
    pub async fn change_policy(
        &self,
        org: OrgId,
        change: &PolicyChange<'_>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (sql, bounds) = change.statement(now);
        on!(&self.db, begin tx => {
            let mut query = sqlx::query(sql).bind(org.uuid());
            for bound in bounds {
                query = match bound {
                    Bound::Id(id) => query.bind(id),
                    Bound::Text(text) => query.bind(text),
                    Bound::Number(number) => query.bind(number),
                };
            }
            let changed = query.execute(&mut *tx).await?.rows_affected() > 0;
            if changed {
                let seq: i64 = sqlx::query_scalar(super::changes::NEXT).fetch_one(&mut *tx).await?;
                sqlx::query(super::changes::INSERT)
                    .bind(seq)
                    .bind(org.uuid())
                    .bind(None::<Uuid>)
                    .bind("policy")
                    .bind(now.micros())
                    .execute(&mut *tx)
                    .await?;
            }
            tx.commit().await?;
            Ok(changed)
        })
    }

    /// Everything that is set.
    pub async fn policy(&self, org: OrgId) -> Result<PolicyRows, StoreError> {
        type Settings = (i64, i64, i64, Option<i64>, Option<i64>);
        let rules: Vec<RuleColumns> = on!(&self.db, pool => sqlx::query_as(
            "select id, who, integration, toolset, tool, effect, verdict, note, created_at from policy_rules \
             where org_id = $1 order by created_at, id",
        )
        .bind(org.uuid())
        .fetch_all(pool)
        .await)?;
        let disabled_toolsets: Vec<(String, String)> = on!(&self.db, pool => sqlx::query_as(
            "select integration, toolset from disabled_toolsets where org_id = $1 order by integration, toolset",
        )
        .bind(org.uuid())
        .fetch_all(pool)
        .await)?;
        let settings: Option<Settings> = on!(&self.db, pool => sqlx::query_as(
            "select read_only, ask_after_untrusted, track_mail, person_per_minute, integration_per_minute from policy_settings where org_id = $1",
        )
        .bind(org.uuid())
        .fetch_optional(pool)
        .await)?;
        let caps: Vec<CapRow> = on!(&self.db, pool => sqlx::query_as(
            "select tools, per, calls_a_day from policy_caps where org_id = $1 order by tools, per",
        )
        .bind(org.uuid())
        .fetch_all(pool)
        .await)?;
        let (read_only, ask_after_untrusted, track_mail, person_per_minute, integration_per_minute) =
            settings.unwrap_or_default();
        Ok(PolicyRows {
            rules: rules.into_iter().map(Into::into).collect(),
            disabled_toolsets,
            read_only: read_only != 0,
            ask_after_untrusted: ask_after_untrusted != 0,
            track_mail: track_mail != 0,
            person_per_minute,
            integration_per_minute,
            caps,
        })
    }

    /// Counts one call under every one of these caps (tools, whose, calls a day), or under none of them when one is used
    /// up: its place in `caps`. The same caps must always come in the same order, so that no two wait for each other.
    pub async fn count_call(
        &self,
        org: OrgId,
        day: i64,
        caps: &[(String, String, i64)],
    ) -> Result<Option<usize>, StoreError> {
        on!(&self.db, begin tx => {
            for (at, (tools, whose, most)) in caps.iter().enumerate() {
                let counted = sqlx::query(
                    "insert into policy_cap_counts (org_id, tools, whose, day, calls) values ($1, $2, $3, $4, 1) \
                     on conflict (org_id, tools, whose, day) do update set calls = policy_cap_counts.calls + 1 \
                     where policy_cap_counts.calls < $5",
                )
                .bind(org.uuid())
                .bind(tools.as_str())
                .bind(whose.as_str())
                .bind(day)
                .bind(*most)
                .execute(&mut *tx)
                .await?
                .rows_affected();
                if counted == 0 {
                    tx.rollback().await?;
                    return Ok(Some(at));
                }
            }
            tx.commit().await?;
            Ok(None)
        })
    }

    /// Takes back what [`Store::count_call`] counted for a call that never left the house.
    pub async fn uncount_call(
        &self,
        org: OrgId,
        day: i64,
        caps: &[(String, String, i64)],
    ) -> Result<(), StoreError> {
        on!(&self.db, begin tx => {
            for (tools, whose, _) in caps {
                sqlx::query(
                    "update policy_cap_counts set calls = calls - 1 \
                     where org_id = $1 and tools = $2 and whose = $3 and day = $4 and calls > 0",
                )
                .bind(org.uuid())
                .bind(tools.as_str())
                .bind(whose.as_str())
                .bind(day)
                .execute(&mut *tx)
                .await?;
            }
            tx.commit().await?;
        });
        Ok(())
    }

    /// What caps have counted on this day, by tool and whose.
    pub async fn cap_counts(&self, org: OrgId, day: i64) -> Result<Vec<CountRow>, StoreError> {
        let rows: Vec<CountRow> = on!(&self.db, pool => sqlx::query_as(
            "select tools, whose, calls from policy_cap_counts where org_id = $1 and day = $2 order by tools, whose",
        )
        .bind(org.uuid())
        .bind(day)
        .fetch_all(pool)
        .await)?;
        Ok(rows)
    }

    /// Forgets the counts of days before this one; answers how many.
    pub async fn delete_cap_counts_before(&self, day: i64) -> Result<u64, StoreError> {
        let deleted = on!(&self.db, write pool => sqlx::query("delete from policy_cap_counts where day < $1")
            .bind(day)
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(deleted)
    }
}
