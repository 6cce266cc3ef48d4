-- The bridge's tables. Run first, as the practice's role, in its schema.
set local search_path = partner_api;

create table if not exists bridge (
    singleton bigint primary key default 1 check (singleton = 1),
    name text not null,
    attached_at timestamptz not null default now(),
    -- Where an interrupted load or repair continues, and since when.
    turn integer not null default 1,
    after bigint not null default -1,
    went_on_at timestamptz,
    -- The last day to which series of the EMR are mirrored as time off.
    renewed_until date
);
-- A restored database must not reuse ids that it assigned after the backup: our new rows get ids above these.
alter table bridge add column if not exists visits_above bigint not null default 0,
    add column if not exists patients_above bigint not null default 0,
    -- When both sides were last compared as a whole.
    add column if not exists checked_at timestamptz;
-- When all rows of the EMR were first copied. The API books nothing before that: it would not see the visits that are still missing.
do $$ begin
    if not exists (select 1 from pg_attribute where attrelid = 'bridge'::regclass and attname = 'loaded_at' and not attisdropped) then
        alter table bridge add column loaded_at timestamptz;
        update bridge set loaded_at = now() where went_on_at is null;
    end if;
end $$;
-- The last day that can be booked today, plus a month.
create or replace function bridge_reach() returns date
language sql stable as $$ select current_date + coalesce(max(horizon_days), 365)::integer + 31 from tenant_identity $$;

-- Rooms are texts in the EMR.
create table if not exists bridge_rooms (
    room text primary key,
    resource_id bigint not null unique references resources (resource_id)
);
-- The time off that each event of the EMR causes.
create table if not exists bridge_time_off (
    event_id bigint not null,
    exception_id bigint primary key references schedule_exceptions (exception_id) on delete cascade
);
create index if not exists bridge_time_off_by_event on bridge_time_off (event_id);
-- What a bridge that was removed had copied, so that one that comes back continues with it: without this, every room would be there twice, and
-- time off that the EMR has deleted meanwhile would stay for good. Rows with ids up to these are copies of the EMR's, even if it has deleted them.
create table if not exists detached (last_visit bigint not null, last_patient bigint not null);
create table if not exists detached_rooms (room text not null, resource_id bigint not null);
create table if not exists detached_time_off (event_id bigint not null, exception_id bigint not null);
insert into bridge_rooms (room, resource_id)
select d.room, d.resource_id from detached_rooms d join resources r on r.resource_id = d.resource_id on conflict do nothing;
insert into bridge_time_off (event_id, exception_id)
select d.event_id, d.exception_id from detached_time_off d join schedule_exceptions x on x.exception_id = d.exception_id on conflict do nothing;
delete from detached_rooms;
delete from detached_time_off;
-- Changes of the EMR that the bridge could not apply. It retries them before the API books a visit.
create table if not exists bridge_failures (
    apply text not null,
    key bigint not null,
    failed_at timestamptz not null default now(),
    -- The last failed retry.
    tried_at timestamptz,
    attempts bigint not null default 1,
    message text not null,
    primary key (apply, key)
);

-- The same for changes that were made while a retry locked their record; without a primary key, so that the EMR never waits.
create table if not exists bridge_late (
    apply text not null,
    key bigint not null,
    failed_at timestamptz not null default now(),
    message text not null
);
