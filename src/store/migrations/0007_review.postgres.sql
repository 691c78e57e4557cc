-- Looking through the audit log on pages. None of this is part of the log: the counts can be made again from its events.

-- Up to which event `audit_counts` counts. It stays behind the end of the chain where a release without counts wrote
-- events; a job then catches up, and the next batch goes on.
alter table audit_heads add column counted bigint not null default 0;

-- Completed events by the hour and by the day, written in the transaction that appends them. `span` is the length in
-- seconds, `start` the beginning in microseconds. `class` is `calls`, `administration` or `security`; what has no
-- integration or effect has an empty one. The last eight columns count the timed events by how long they took.
create table audit_counts (
    org_id uuid not null,
    span bigint not null,
    start bigint not null,
    class text not null,
    integration text not null,
    effect text not null,
    events bigint not null,
    failures bigint not null,
    timed bigint not null,
    total_us bigint not null,
    most_us bigint not null,
    within_10ms bigint not null,
    within_30ms bigint not null,
    within_100ms bigint not null,
    within_300ms bigint not null,
    within_1s bigint not null,
    within_3s bigint not null,
    within_10s bigint not null,
    longer bigint not null,
    primary key (org_id, span, start, class, integration, effect)
);

-- The id of a call begins with its time, so this index grows at its end.
create index audit_events_by_call on audit_events (org_id, call_id) where outcome is not null;
-- Both hold little: what went wrong, and what is no call, each newest first whatever its code or kind.
create index audit_events_failed on audit_events (org_id, seq) where outcome is not null and outcome <> 'ok';
create index audit_events_not_calls on audit_events (org_id, seq) where outcome is not null and tool is null;

-- Filters that somebody gave a name. `shared` is 1 when others who may read the log see it too.
create table audit_views (
    org_id uuid not null,
    user_id uuid not null,
    name text not null,
    query text not null,
    shared bigint not null,
    saved_at bigint not null,
    primary key (org_id, user_id, name)
);

-- Walks along the log that take a while: verifying it, exporting it. A walk whose process ended stays `running` and is
-- known by a `seen_at` that no longer moves.
create table audit_walks (
    org_id uuid not null,
    id uuid not null,
    purpose text not null,
    user_id uuid not null,
    started_at bigint not null,
    total bigint not null,
    walked bigint not null,
    seen_at bigint not null,
    state text not null,
    seq bigint not null,
    words text not null,
    primary key (org_id, id)
);
