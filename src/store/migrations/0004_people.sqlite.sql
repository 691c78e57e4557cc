create table groups (
    id blob not null primary key,
    org_id blob not null references organizations (id),
    name text not null,
    created_at integer not null,
    unique (org_id, name)
) strict;

create table group_members (
    group_id blob not null references groups (id) on delete cascade,
    user_id blob not null references users (id),
    added_at integer not null,
    primary key (group_id, user_id)
) strict;
create index group_members_of_user on group_members (user_id);

-- One password per person, as a PHC string of argon2id. People who sign in elsewhere have no row.
create table passwords (
    user_id blob not null primary key references users (id),
    hash text not null,
    set_at integer not null
) strict;

-- Who an identity provider says somebody is. An e-mail address is never part of it.
create table identities (
    issuer text not null,
    subject text not null,
    user_id blob not null references users (id),
    created_at integer not null,
    primary key (issuer, subject)
) strict;
create index identities_of_user on identities (user_id);

-- Links that make a member: an admin's invitation, or the set-up link of an empty installation (no e-mail address).
create table invitations (
    id blob not null primary key,
    org_id blob not null references organizations (id),
    secret_hash blob not null unique check (length(secret_hash) = 32),
    email text,
    role text not null check (role in ('member', 'admin', 'auditor')),
    group_ids text not null,
    created_by blob references users (id),
    created_at integer not null,
    expires_at integer not null,
    accepted_at integer,
    accepted_by blob references users (id),
    revoked_at integer
) strict;
create index invitations_of_org on invitations (org_id, created_at);
