-- Ids are native UUIDs, times are microseconds since 1970 UTC, JSON is text that no statement looks into.

create table organizations (
    id uuid not null primary key,
    -- One organization per installation: the column can hold one value once.
    slot bigint not null unique check (slot = 1),
    name text not null,
    created_at bigint not null
);

create table users (
    id uuid not null primary key,
    org_id uuid not null references organizations (id),
    email text not null,
    role text not null check (role in ('member', 'admin', 'auditor')),
    created_at bigint not null,
    removed_at bigint,
    unique (org_id, email)
);

-- Everything that is a hash naming a person: personal tokens, browser sessions, one-time sign-in tickets, access tokens.
create table grants (
    id uuid not null primary key,
    org_id uuid not null references organizations (id),
    user_id uuid not null references users (id),
    kind text not null check (kind in ('token', 'session', 'ticket', 'access')),
    secret_hash bytea not null unique check (length(secret_hash) = 32),
    name text not null,
    scopes text not null,
    created_at bigint not null,
    expires_at bigint,
    revoked_at bigint,
    last_used_at bigint
);
create index grants_of_user on grants (user_id, kind);

create table apps (
    org_id uuid not null references organizations (id),
    provider text not null,
    client_id text not null,
    secret bytea not null,
    version bigint not null,
    updated_at bigint not null,
    primary key (org_id, provider)
);

-- A row per integration that the organization has switched off.
create table disabled_integrations (
    org_id uuid not null references organizations (id),
    integration text not null,
    disabled_at bigint not null,
    primary key (org_id, integration)
);

create table connections (
    id uuid not null primary key,
    org_id uuid not null references organizations (id),
    user_id uuid not null references users (id),
    integration text not null,
    provider text not null,
    subject text not null,
    label text not null,
    alias text,
    details text not null,
    scopes text,
    requested_scopes text not null,
    base_url text,
    status text not null check (status in ('connected', 'expired', 'error', 'disabled')),
    reason text,
    sealed bytea not null,
    token_version bigint not null,
    access_expires_at bigint,
    refresh_expires_at bigint,
    next_refresh_at bigint,
    failures bigint not null,
    first_failure_at bigint,
    retry_at bigint,
    lease_owner text,
    lease_until bigint,
    attempt_started_at bigint,
    connected_at bigint not null,
    last_used_at bigint,
    unique (user_id, provider, subject),
    unique (user_id, integration, alias)
);
create index connections_of_org on connections (org_id);
create index connections_due on connections (coalesce(retry_at, next_refresh_at))
    where status in ('connected', 'error');

create table flows (
    id uuid not null primary key,
    org_id uuid not null references organizations (id),
    user_id uuid not null references users (id),
    provider text not null,
    reconnect uuid references connections (id) on delete set null,
    state_hash bytea unique check (length(state_hash) = 32),
    browser_hash bytea check (length(browser_hash) = 32),
    sealed bytea,
    scopes text not null,
    created_at bigint not null,
    expires_at bigint not null,
    used_at bigint,
    outcome text
);
create index flows_by_reconnect on flows (reconnect);

create table vault_keys (
    kek_id text not null primary key,
    check_value bytea not null,
    first_seen_at bigint not null
);

create table data_keys (
    id uuid not null primary key,
    org_id uuid not null references organizations (id),
    kek_id text not null references vault_keys (kek_id),
    wrapped bytea not null,
    created_at bigint not null,
    retired_at bigint
);

create table mcp_sessions (
    id text not null primary key,
    org_id uuid not null references organizations (id),
    user_id uuid not null references users (id),
    initialize text not null,
    created_at bigint not null,
    last_seen_at bigint not null,
    ended_at bigint
);
create index mcp_sessions_live on mcp_sessions (user_id) where ended_at is null;

-- What other processes and open listings should notice. `seq` comes from `change_head`, whose row stays locked until the
-- commit, so a reader that asks for "after seq" never misses a change that commits late.
create table changes (
    seq bigint not null primary key,
    org_id uuid not null,
    user_id uuid,
    topic text not null,
    at bigint not null
);
create table change_head (
    slot bigint not null primary key check (slot = 1),
    seq bigint not null
);
insert into change_head (slot, seq) values (1, 0);

create table leases (
    name text not null primary key,
    owner text not null,
    until bigint not null
);

create table records (
    connection_id uuid not null references connections (id) on delete cascade,
    collection text collate "C" not null,
    key text collate "C" not null,
    version text not null,
    body text not null,
    bytes bigint not null,
    updated_at bigint not null,
    primary key (connection_id, collection, key)
);

-- How much a connection keeps; the row is also the lock of its writers.
create table record_totals (
    connection_id uuid not null primary key references connections (id) on delete cascade,
    bytes bigint not null
);
