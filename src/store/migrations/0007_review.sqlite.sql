-- Looking through the audit log on pages. None of this is part of the log: the counts can be made again from its events.

-- Up to which event `audit_counts` counts. It stays behind the end of the chain where a release without counts wrote
-- events; a job then catches up, and the next batch goes on.
alter table audit_heads add column counted integer not null default 0;

-- Completed events by the hour and by the day, written in the transaction that appends them. `span` is the length in
-- seconds, `start` the beginning in microseconds. `class` is `calls`, `administration` or `security`; what has no
-- integration or effect has an empty one. The last eight columns count the timed events by how long they took.
create table audit_counts (
    org_id blob not null,
    span integer not null,
    start integer not null,
    class text not null,
    integration text not null,
    effect text not null,
    events integer not null,
    failures integer not null,
    timed integer not null,
    total_us integer not null,
    most_us integer not null,
    within_10ms integer not null,
    within_30ms integer not null,
    within_100ms integer not null,
    within_300ms integer not null,
    within_1s integer not null,
    within_3s integer not null,
    within_10s integer not null,
    longer integer not null,
    primary key (org_id, span, start, class, integration, effect)
) strict, without rowid;

-- The id of a call begins with its time, so this index grows at its end.
create index audit_events_by_call on audit_events (org_id, call_id) where outcome is not null;
-- Both hold little: what went wrong, and what is no call, each newest first whatever its code or kind.
create index audit_events_failed on audit_events (org_id, seq) where outcome is not null and outcome <> 'ok';
create index audit_events_not_calls on audit_events (org_id, seq) where outcome is not null and tool is null;

-- Filters that somebody gave a name. `shared` is 1 when others who may read the log see it too.
create table audit_views (
    org_id blob not null,
    user_id blob not null,
    name text not null,
    query text not null,
    shared integer not null,
    saved_at integer not null,
    primary key (org_id, user_id, name)
) strict;

-- Walks along the log that take a while: verifying it, exporting it. A walk whose process ended stays `running` and is
-- known by a `seen_at` that no longer moves.
create table audit_walks (
    org_id blob not null,
    id blob not null,
    purpose text not null,
    user_id blob not null,
    started_at integer not null,
    total integer not null,
    walked integer not null,
    seen_at integer not null,
    state text not null,
    seq integer not null,
    words text not null,
    primary key (org_id, id)
) strict;
