-- The embedded authorization server. Codes and tokens are hashes, scopes are words separated by spaces.

-- Clients that registered themselves (RFC 7591). Until somebody signs in with one it expires. A client that names a
-- metadata document has no row: the document is fetched, and remembered in memory.
create table clients (
    id text not null primary key,
    org_id blob not null references organizations (id),
    name text not null,
    redirect_uris text not null,
    created_at integer not null,
    expires_at integer
) strict;
create index clients_unused on clients (expires_at) where expires_at is not null;

-- One attempt to sign a client in, from the request to the exchange of its code. `expires_at` is of the stage that it is
-- in: a person has minutes to decide, a code lives for seconds.
create table authorizations (
    id blob not null primary key,
    org_id blob not null references organizations (id),
    client_id text not null,
    client_name text not null,
    client_host text,
    redirect_uri text not null,
    state text,
    challenge text not null,
    resource text not null,
    scopes text not null,
    ask_again integer not null,
    created_at integer not null,
    expires_at integer not null,
    browser_hash blob check (length(browser_hash) = 32),
    user_id blob references users (id),
    granted text,
    code_hash blob unique check (length(code_hash) = 32),
    decided_at integer,
    used_at integer,
    family_id blob
) strict;
create index authorizations_old on authorizations (expires_at);

-- What a person allowed a client once and is not asked again.
create table consents (
    user_id blob not null references users (id),
    client_id text not null,
    redirect_host text not null,
    resource text not null,
    asked text not null,
    granted text not null,
    given_at integer not null,
    primary key (user_id, client_id, redirect_host, resource, asked)
) strict;

-- A signed-in client: all tokens that come from one consent live and die together. The row is also the lock of its
-- refreshes; `current` is the refresh token that was given out last.
create table families (
    id blob not null primary key,
    org_id blob not null references organizations (id),
    user_id blob not null references users (id),
    client_id text not null,
    client_name text not null,
    client_host text,
    redirect_host text not null,
    resource text not null,
    scopes text not null,
    current blob not null check (length(current) = 32),
    created_at integer not null,
    refreshed_at integer not null,
    expires_at integer not null,
    revoked_at integer,
    reason text
) strict;
create index families_of_user on families (user_id) where revoked_at is null;

-- Every refresh token of a family, used ones too, with the access token (a row of `grants`) that was given out with it.
-- `parent` is the token that was shown for it.
create table refresh_tokens (
    secret_hash blob not null primary key check (length(secret_hash) = 32),
    family_id blob not null references families (id) on delete cascade,
    parent blob check (length(parent) = 32),
    access_id blob not null unique references grants (id) on delete cascade,
    created_at integer not null,
    expires_at integer not null
) strict;
create index refresh_tokens_of_family on refresh_tokens (family_id);
create index refresh_tokens_old on refresh_tokens (expires_at);
