-- Whether people may have opens and clicks of the mail they send noticed.
alter table policy_settings add column track_mail bigint not null default 0 check (track_mail in (0, 1));

-- Sent mail whose opens and clicks are noticed, and how often that was. Nothing is kept of who opened it from where.
create table tracked_mail (
    id uuid primary key not null,
    connection_id uuid not null references connections (id) on delete cascade,
    subject text not null,
    sent_at bigint not null,
    opens bigint not null default 0,
    last_opened_at bigint
);
create index tracked_mail_by_connection on tracked_mail (connection_id, id);

create table tracked_links (
    mail_id uuid not null references tracked_mail (id) on delete cascade,
    url text not null,
    clicks bigint not null default 0,
    primary key (mail_id, url)
);
