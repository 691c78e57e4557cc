-- Ids are UUIDs as 16 bytes, times are microseconds since 1970 UTC, JSON is text that no statement looks into.

create table organizations (
    id blob not null primary key,
    -- One organization per installation: the column can hold one value once.
    slot integer not null unique check (slot = 1),
    name text not null,
    created_at integer not null
) strict;

create table users (
    id blob not null primary key,
    org_id blob not null references organizations (id),
    email text not null,
    role text not null check (role in ('member', 'admin', 'auditor')),
    created_at integer not null,
    removed_at integer,
    unique (org_id, email)
) strict;

-- Everything that is a hash naming a person: personal tokens, browser sessions, one-time sign-in tickets, access tokens.
create table grants (
    id blob not null primary key,
    org_id blob not null references organizations (id),
    user_id blob not null references users (id),
    kind text not null check (kind in ('token', 'session', 'ticket', 'access')),
    secret_hash blob not null unique check (length(secret_hash) = 32),
    name text not null,
    scopes text not null,
    created_at integer not null,
    expires_at integer,
    revoked_at integer,
    last_used_at integer
) strict;
create index grants_of_user on grants (user_id, kind);

create table apps (
    org_id blob not null references organizations (id),
    provider text not null,
    client_id text not null,
    secret blob not null,
    version integer not null,
    updated_at integer not null,
    primary key (org_id, provider)
) strict;

-- A row per integration that the organization has switched off.
create table disabled_integrations (
    org_id blob not null references organizations (id),
    integration text not null,
    disabled_at integer not null,
    primary key (org_id, integration)
) strict;

create table connections (
    id blob not null primary key,
    org_id blob not null references organizations (id),
    user_id blob not null references users (id),
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
    sealed blob not null,
    token_version integer not null,
    access_expires_at integer,
    refresh_expires_at integer,
    next_refresh_at integer,
    failures integer not null,
    first_failure_at integer,
    retry_at integer,
    lease_owner text,
    lease_until integer,
    attempt_started_at integer,
    connected_at integer not null,
    last_used_at integer,
    unique (user_id, provider, subject),
    unique (user_id, integration, alias)
) strict;
create index connections_of_org on connections (org_id);
create index connections_due on connections (coalesce(retry_at, next_refresh_at))
    where status in ('connected', 'error');

create table flows (
    id blob not null primary key,
    org_id blob not null references organizations (id),
    user_id blob not null references users (id),
    provider text not null,
    reconnect blob references connections (id) on delete set null,
    state_hash blob unique check (length(state_hash) = 32),
    browser_hash blob check (length(browser_hash) = 32),
    sealed blob,
    scopes text not null,
    created_at integer not null,
    expires_at integer not null,
    used_at integer,
    outcome text
) strict;
create index flows_by_reconnect on flows (reconnect);

create table vault_keys (
    kek_id text not null primary key,
    check_value blob not null,
    first_seen_at integer not null
) strict;

create table data_keys (
    id blob not null primary key,
    org_id blob not null references organizations (id),
    kek_id text not null references vault_keys (kek_id),
    wrapped blob not null,
    created_at integer not null,
    retired_at integer
) strict;

create table mcp_sessions (
    id text not null primary key,
    org_id blob not null references organizations (id),
    user_id blob not null references users (id),
    initialize text not null,
    created_at integer not null,
    last_seen_at integer not null,
    ended_at integer
) strict;
create index mcp_sessions_live on mcp_sessions (user_id) where ended_at is null;

-- What other processes and open listings should notice. `seq` comes from `change_head`, whose row stays locked until the
-- commit, so a reader that asks for "after seq" never misses a change that commits late.
create table changes (
    seq integer not null primary key,
    org_id blob not null,
    user_id blob,
    topic text not null,
    at integer not null
) strict;
create table change_head (
    slot integer not null primary key check (slot = 1),
    seq integer not null
) strict;
insert into change_head (slot, seq) values (1, 0);

create table leases (
    name text not null primary key,
    owner text not null,
    until integer not null
) strict;

create table records (
    connection_id blob not null references connections (id) on delete cascade,
    collection text not null,
    key text not null,
    version text not null,
    body text not null,
    bytes integer not null,
    updated_at integer not null,
    primary key (connection_id, collection, key)
) strict;

-- How much a connection keeps; the row is also the lock of its writers.
create table record_totals (
    connection_id blob not null primary key references connections (id) on delete cascade,
    bytes integer not null
) strict;
