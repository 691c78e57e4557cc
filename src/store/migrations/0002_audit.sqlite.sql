-- The audit log: append-only, one hash chain per organization. Every column of an event goes into its hash.

create table audit_heads (
    org_id blob not null primary key,
    seq integer not null,
    hash blob not null,
    at integer not null,
    checkpoint_seq integer not null,
    checkpoint_at integer not null
) strict;

-- No row id: the key is the order of insertion and of reading. A completed event has an outcome, an intent has none.
create table audit_events (
    org_id blob not null,
    seq integer not null,
    at integer not null,
    kind text not null,
    call_id blob not null,
    user_id blob,
    integration text,
    connection_id blob,
    tool text,
    effect text,
    thread text,
    outcome text,
    completes integer,
    facts text not null,
    commitment blob,
    hash blob not null,
    primary key (org_id, seq)
) strict, without rowid;

-- What may be erased: the event keeps only a salted commitment to it.
create table audit_payloads (
    org_id blob not null,
    seq integer not null,
    salt blob not null,
    body text not null,
    primary key (org_id, seq)
) strict, without rowid;

create table audit_checkpoints (
    org_id blob not null,
    seq integer not null,
    hash blob not null,
    at integer not null,
    previous_seq integer not null,
    key_id text not null,
    signature blob not null,
    primary key (org_id, seq)
) strict, without rowid;

-- Up to where every intent has an outcome: a note of the job that closes stale ones, no part of the log.
create table audit_closed (
    org_id blob not null primary key,
    seq integer not null
) strict;

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

create trigger audit_events_keep before update on audit_events
begin select raise(abort, 'audit events are append-only'); end;
create trigger audit_events_stay before delete on audit_events
begin select raise(abort, 'audit events are append-only'); end;
create trigger audit_payloads_keep before update on audit_payloads
begin select raise(abort, 'audit payloads can be erased but not changed'); end;
create trigger audit_checkpoints_keep before update on audit_checkpoints
begin select raise(abort, 'audit checkpoints are append-only'); end;
create trigger audit_checkpoints_stay before delete on audit_checkpoints
begin select raise(abort, 'audit checkpoints are append-only'); end;
