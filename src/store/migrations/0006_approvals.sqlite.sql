-- Writes that carry an idempotency key. The key itself is not kept, and `sealed`, the answer, may hold personal data.
create table idempotency (
    org_id blob not null references organizations (id),
    user_id blob not null references users (id),
    tool text not null,
    key_hash blob not null check (length(key_hash) = 32),
    -- The call that does it, and who alone may change the row while it lives.
    call_id blob not null,
    -- A keyed digest of the arguments.
    arguments text not null,
    state text not null check (state in ('running', 'done', 'unknown')),
    connection_id blob,
    sealed blob,
    lease_until integer not null,
    expires_at integer not null,
    primary key (org_id, user_id, tool, key_hash)
) strict;
create index idempotency_by_end on idempotency (expires_at);

-- Calls that wait for a person's yes, or had it.
create table approvals (
    id blob not null primary key,
    org_id blob not null references organizations (id),
    user_id blob not null references users (id),
    approver text not null check (approver in ('person', 'admin')),
    tool text not null,
    integration text not null,
    -- No reference: what was asked stays readable after the account is disconnected.
    connection_id blob not null,
    account text not null,
    -- A keyed digest of person, tool, connection and exact arguments: what the yes is bound to.
    digest text not null,
    -- The arguments; erased when the row can no longer be used.
    sealed blob,
    why text not null,
    scopes text not null,
    client text not null,
    thread text,
    call_id blob not null,
    created_at integer not null,
    expires_at integer not null,
    state text not null check (state in ('waiting', 'approved', 'denied', 'used', 'expired')),
    decided_by blob,
    decided_at integer,
    used_by blob
) strict;
-- One open question per exact call, whatever the number of repetitions and replicas.
create unique index approvals_open on approvals (user_id, digest) where state in ('waiting', 'approved');
create index approvals_of_user on approvals (user_id, created_at);
create index approvals_of_org on approvals (org_id, state, created_at);
create index approvals_by_end on approvals (expires_at);
