-- The audit log: append-only, one hash chain per organization. Every column of an event goes into its hash.

create table audit_heads (
    org_id uuid not null primary key,
    seq bigint not null,
    hash bytea not null,
    at bigint not null,
    checkpoint_seq bigint not null,
    checkpoint_at bigint not null
);

-- A completed event has an outcome, an intent has none.
create table audit_events (
    org_id uuid not null,
    seq bigint not null,
    at bigint not null,
    kind text not null,
    call_id uuid not null,
    user_id uuid,
    integration text,
    connection_id uuid,
    tool text,
    effect text,
    thread text,
    outcome text,
    completes bigint,
    facts text not null,
    commitment bytea,
    hash bytea not null,
    primary key (org_id, seq)
);

-- What may be erased: the event keeps only a salted commitment to it.
create table audit_payloads (
    org_id uuid not null,
    seq bigint not null,
    salt bytea not null,
    body text not null,
    primary key (org_id, seq)
);

create table audit_checkpoints (
    org_id uuid not null,
    seq bigint not null,
    hash bytea not null,
    at bigint not null,
    previous_seq bigint not null,
    key_id text not null,
    signature bytea not null,
    primary key (org_id, seq)
);

-- Up to where every intent has an outcome: a note of the job that closes stale ones, no part of the log.
create table audit_closed (
    org_id uuid not null primary key,
    seq bigint not null
);

-- Listings read completed events, newest first. Each index answers one equality in that order. Three leave out what is
-- most of the log anyway, where the newest events are soon found without an index.
create index audit_events_by_user on audit_events (org_id, user_id, seq) where outcome is not null;
create index audit_events_by_integration on audit_events (org_id, integration, seq) where outcome is not null;
create index audit_events_by_tool on audit_events (org_id, tool, seq) where outcome is not null;
create index audit_events_by_connection on audit_events (org_id, connection_id, seq)
    where outcome is not null and connection_id is not null;
create index audit_events_by_thread on audit_events (org_id, thread, seq)
    where outcome is not null and thread is not null;
create index audit_events_not_ok on audit_events (org_id, outcome, seq)
    where outcome is not null and outcome <> 'ok';
create index audit_events_not_read on audit_events (org_id, effect, seq)
    where outcome is not null and effect <> 'read';
create index audit_events_not_tool on audit_events (org_id, kind, seq)
    where outcome is not null and kind <> 'tool.outcome';

create function audit_refuse() returns trigger language plpgsql as
$$ begin raise exception '% is append-only', tg_table_name; end $$;

create trigger audit_events_keep before update or delete on audit_events
for each row execute function audit_refuse();
create trigger audit_events_stay before truncate on audit_events
for each statement execute function audit_refuse();
create trigger audit_payloads_keep before update on audit_payloads
for each row execute function audit_refuse();
create trigger audit_checkpoints_keep before update or delete on audit_checkpoints
for each row execute function audit_refuse();
create trigger audit_checkpoints_stay before truncate on audit_checkpoints
for each statement execute function audit_refuse();
