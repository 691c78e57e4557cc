-- Whether outward-facing calls of a conversation ask first once it has read what others wrote.
alter table policy_settings add column ask_after_untrusted integer not null default 0 check (ask_after_untrusted in (0, 1));

-- Conversations that have read what others wrote; kept only while the organization asks for it.
create table untrusted_reads (
    user_id blob not null references users (id),
    -- The thread's id; empty for calls without one.
    thread text not null,
    until integer not null,
    primary key (user_id, thread)
) strict;
create index untrusted_reads_by_end on untrusted_reads (until);
