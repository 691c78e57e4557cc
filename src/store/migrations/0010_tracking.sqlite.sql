-- Whether people may have opens and clicks of the mail they send noticed.
alter table policy_settings add column track_mail integer not null default 0 check (track_mail in (0, 1));

-- Sent mail whose opens and clicks are noticed, and how often that was. Nothing is kept of who opened it from where.
create table tracked_mail (
    id blob primary key not null,
    connection_id blob not null references connections (id) on delete cascade,
    subject text not null,
    sent_at integer not null,
    opens integer not null default 0,
    last_opened_at integer
) strict;
create index tracked_mail_by_connection on tracked_mail (connection_id, id);

create table tracked_links (
    mail_id blob not null references tracked_mail (id) on delete cascade,
    url text not null,
    clicks integer not null default 0,
    primary key (mail_id, url)
) strict;
