create table groups (
    id uuid not null primary key,
    org_id uuid not null references organizations (id),
    name text not null,
    created_at bigint not null,
    unique (org_id, name)
);

create table group_members (
    group_id uuid not null references groups (id) on delete cascade,
    user_id uuid not null references users (id),
    added_at bigint not null,
    primary key (group_id, user_id)
);
create index group_members_of_user on group_members (user_id);

-- One password per person, as a PHC string of argon2id. People who sign in elsewhere have no row.
create table passwords (
    user_id uuid not null primary key references users (id),
    hash text not null,
    set_at bigint not null
);

-- Who an identity provider says somebody is. An e-mail address is never part of it.
create table identities (
    issuer text not null,
    subject text not null,
    user_id uuid not null references users (id),
    created_at bigint not null,
    primary key (issuer, subject)
);
create index identities_of_user on identities (user_id);

-- Links that make a member: an admin's invitation, or the set-up link of an empty installation (no e-mail address).
create table invitations (
    id uuid not null primary key,
    org_id uuid not null references organizations (id),
    secret_hash bytea not null unique check (length(secret_hash) = 32),
    email text,
    role text not null check (role in ('member', 'admin', 'auditor')),
    group_ids text not null,
    created_by uuid references users (id),
    created_at bigint not null,
    expires_at bigint not null,
    accepted_at bigint,
    accepted_by uuid references users (id),
    revoked_at bigint
);
create index invitations_of_org on invitations (org_id, created_at);
