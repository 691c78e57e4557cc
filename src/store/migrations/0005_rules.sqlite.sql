-- What an organization allows. Words that say nothing ("any integration") are empty, so that a unique key sees them.

create table policy_rules (
    id blob not null primary key,
    org_id blob not null references organizations (id),
    -- `everyone`, `role:<role>` or `group:<id>`.
    who text not null,
    integration text not null,
    toolset text not null,
    tool text not null,
    effect text not null check (effect in ('', 'read', 'write', 'destructive')),
    verdict text not null check (verdict in ('allow', 'ask', 'ask_admin', 'deny')),
    note text not null,
    created_at integer not null,
    -- A second rule for the same people about the same calls would contradict the first or say the same twice.
    unique (org_id, who, integration, toolset, tool, effect)
) strict;

-- A row per toolset that the organization has switched off.
create table disabled_toolsets (
    org_id blob not null references organizations (id),
    integration text not null,
    toolset text not null,
    disabled_at integer not null,
    primary key (org_id, integration, toolset)
) strict;

-- One row per organization, made when something is first set. Without a number there is no limit.
create table policy_settings (
    org_id blob not null primary key references organizations (id),
    read_only integer not null check (read_only in (0, 1)),
    person_per_minute integer check (person_per_minute > 0),
    integration_per_minute integer check (integration_per_minute > 0)
) strict;

create table policy_caps (
    org_id blob not null references organizations (id),
    -- A tool's name, or the beginning of names with a `*`.
    tools text not null,
    per text not null check (per in ('person', 'organization')),
    calls_a_day integer not null check (calls_a_day > 0),
    primary key (org_id, tools, per)
) strict;

-- What a cap has counted. It outlives the cap's number and even the cap, so that neither raising nor setting it again
-- begins a new count.
create table policy_cap_counts (
    org_id blob not null references organizations (id),
    tools text not null,
    -- Whose calls: a person's id, or `organization`.
    whose text not null,
    -- Days since 1970 UTC.
    day integer not null,
    calls integer not null,
    primary key (org_id, tools, whose, day)
) strict;
create index policy_cap_counts_by_day on policy_cap_counts (day);
