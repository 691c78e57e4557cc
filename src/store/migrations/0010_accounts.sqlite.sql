-- The account that is meant when a call names none. At most one per person and integration, kept by the one statement that
-- sets it.
alter table connections add column is_default integer not null default 0 check (is_default in (0, 1));

-- Since when the status is what it is; null as long as it is the one of the beginning.
alter table connections add column status_at integer;
