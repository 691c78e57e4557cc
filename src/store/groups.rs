//! Groups of people, which rules may name.

use sqlx::FromRow;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::clock::Timestamp;
use crate::ids::{GroupId, OrgId, UserId};

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRow {
    /// Its id.
    pub id: GroupId,
    /// The organization.
    pub org_id: OrgId,
    /// What it is called; unique in the organization.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// How many people are in it.
    pub members: i64,
}

/// That somebody is in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// Who.
    pub user_id: UserId,
    /// In which.
    pub group_id: GroupId,
    /// What the group is called.
    pub group: String,
}

#[derive(FromRow)]
struct GroupColumns {
    id: Uuid,
    org_id: Uuid,
    name: String,
    created_at: i64,
    members: i64,
}

impl From<GroupColumns> for GroupRow {
    fn from(row: GroupColumns) -> Self {
        Self {
            id: GroupId::from_uuid(row.id),
            org_id: OrgId::from_uuid(row.org_id),
            name: row.name,
            created_at: Timestamp::from_micros(row.created_at),
            members: row.members,
        }
    }
}

impl Store {
    /// Adds a group; a name that is taken is a conflict. `group.members` is not looked at: a new group is empty.
    pub async fn insert_group(&self, group: &GroupRow) -> Result<(), StoreError> {
        on!(&self.db, write pool => sqlx::query(
            "insert into groups (id, org_id, name, created_at) values ($1, $2, $3, $4)",
        )
        .bind(group.id.uuid())
        .bind(group.org_id.uuid())
        .bind(group.name.as_str())
        .bind(group.created_at.micros())
        .execute(pool)
        .await
        .map(drop))?;
        Ok(())
    }

    /// Every group, by name.
    pub async fn groups(&self, org: OrgId) -> Result<Vec<GroupRow>, StoreError> {
        let rows: Vec<GroupColumns> = on!(&self.db, pool => sqlx::query_as(
            "select g.id, g.org_id, g.name, g.created_at, \
             (select count(*) from group_members m where m.group_id = g.id) as members \
             from groups g where g.org_id = $1 order by g.name, g.id",
        )
        .bind(org.uuid())
        .fetch_all(pool)
        .await)?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// The group with this name.
    pub async fn group_by_name(
        &self,
        org: OrgId,
        name: &str,
    ) -> Result<Option<GroupRow>, StoreError> {
        let row: Option<GroupColumns> = on!(&self.db, pool => sqlx::query_as(
            "select g.id, g.org_id, g.name, g.created_at, \
             (select count(*) from group_members m where m.group_id = g.id) as members \
             from groups g where g.org_id = $1 and g.name = $2",
        )
        .bind(org.uuid())
        .bind(name)
        .fetch_optional(pool)
        .await)?;
        Ok(row.map(Into::into))
    }

    /// Who is in which group, by group.
    pub async fn memberships(&self, org: OrgId) -> Result<Vec<Membership>, StoreError> {
        let rows: Vec<(Uuid, Uuid, String)> = on!(&self.db, pool => sqlx::query_as(
            "select m.user_id, g.id, g.name from group_members m join groups g on g.id = m.group_id \
             where g.org_id = $1 order by g.name, m.user_id",
        )
        .bind(org.uuid())
        .fetch_all(pool)
        .await)?;
        let membership = |(user, group, name)| Membership {
            user_id: UserId::from_uuid(user),
            group_id: GroupId::from_uuid(group),
            group: name,
        };
        Ok(rows.into_iter().map(membership).collect())
    }

    /// The groups a person is in.
    pub async fn groups_of(&self, user: UserId) -> Result<Vec<GroupId>, StoreError> {
        let rows: Vec<Uuid> = on!(&self.db, pool => sqlx::query_scalar(
            "select group_id from group_members where user_id = $1 order by group_id",
        )
        .bind(user.uuid())
        .fetch_all(pool)
        .await)?;
        Ok(rows.into_iter().map(GroupId::from_uuid).collect())
    }

    /// Deletes a group; false when there was none. Its people stay.
    pub async fn delete_group(
        &self,
        org: OrgId,
        id: GroupId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        on!(&self.db, begin tx => {
            let deleted = sqlx::query("delete from groups where id = $1 and org_id = $2")
                .bind(id.uuid())
                .bind(org.uuid())
                .execute(&mut *tx)
                .await?
                .rows_affected();
            if deleted > 0 {
                note!(tx, org.uuid(), None::<Uuid>, "grant", now.micros());
            }
            tx.commit().await?;
            Ok(deleted > 0)
        })
    }

    /// Puts a person into a group of their organization; false when they were in it, or one of the two is gone.
    pub async fn join_group(
        &self,
        org: OrgId,
        group: GroupId,
        user: UserId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        on!(&self.db, begin tx => {
            let joined = sqlx::query(
                "insert into group_members (group_id, user_id, added_at) \
                 select g.id, u.id, $4 from groups g join users u on u.org_id = g.org_id \
                 where g.id = $1 and u.id = $2 and g.org_id = $3 and u.removed_at is null \
                 on conflict (group_id, user_id) do nothing",
            )
            .bind(group.uuid())
            .bind(user.uuid())
            .bind(org.uuid())
            .bind(now.micros())
            .execute(&mut *tx)
            .await?
            .rows_affected();
            if joined > 0 {
                note!(tx, org.uuid(), user.uuid(), "grant", now.micros());
            }
            tx.commit().await?;
            Ok(joined > 0)
        })
    }

    /// Takes a person out of a group; false when they were not in it.
    pub async fn leave_group(
        &self,
        org: OrgId,
        group: GroupId,
        user: UserId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        on!(&self.db, begin tx => {
            let left = sqlx::query(
                "delete from group_members where group_id = $1 and user_id = $2 \
                 and exists (select 1 from groups g where g.id = $1 and g.org_id = $3)",
            )
            .bind(group.uuid())
            .bind(user.uuid())
            .bind(org.uuid())
            .execute(&mut *tx)
            .await?
            .rows_affected();
            if left > 0 {
                note!(tx, org.uuid(), user.uuid(), "grant", now.micros());
            }
            tx.commit().await?;
            Ok(left > 0)
        })
    }
}
