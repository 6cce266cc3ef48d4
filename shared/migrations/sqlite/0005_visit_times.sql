-- A visit takes place where its local columns say, whoever writes them: the database fills and corrects the instants by
-- which it compares visits. It knows the practice's time zone from a table of its own, so that both engines and the API
-- convert by the same rules. `migrate` fills the table.
alter table tenant_identity add column time_zone text;
alter table tenant_identity add column tzdata text;

-- From this second of the wall clock on (seconds since 1970-01-01 00:00 local) the clock is `utc_offset` seconds ahead of
-- UTC. A skipped time counts with the offset before the jump; of a repeated one the first occurrence counts, and its
-- second one, from `repeats_from` on, has this row's offset.
create table zone_offsets (
    local_from integer primary key,
    utc_offset integer not null,
    repeats_from integer
);

-- `local_day`, `local_start` and `local_provider_start` are the local columns in seconds of the wall clock, null where
-- they have no meaning; the instants are Unix seconds, null without a date. All are derived. With `overlap_allowed` the
-- triggers let a visit be: its date or time has no meaning, or new time-zone rules put it on another visit.
create table visits_rebuilt (
    visit_id integer primary key autoincrement,
    patient_id integer not null references patients (patient_id),
    provider_id integer not null references providers (provider_id),
    room_id integer references resources (resource_id),
    visit_type text not null references visit_types (visit_type),
    visit_date text not null,
    visit_time text not null,
    visit_duration integer not null check (visit_duration between 1 and 1440),
    provider_time text,
    provider_duration integer check (provider_duration between 1 and 1440),
    visit_complaint text,
    visit_notes text,
    status text not null default 'Scheduled'
        check (status in ('Scheduled', 'Confirmed', 'Arrived', 'Completed', 'Cancelled', 'NoShow', 'Deleted')),
    local_day integer,
    local_start integer,
    local_provider_start integer,
    starts_at integer,
    ends_at integer,
    provider_starts_at integer,
    provider_ends_at integer,
    overlap_allowed integer not null default 0,
    created_at text not null default (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
    updated_at text not null default (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
);
insert into visits_rebuilt (visit_id, patient_id, provider_id, room_id, visit_type, visit_date, visit_time, visit_duration,
        provider_time, provider_duration, visit_complaint, visit_notes, status, starts_at, ends_at, provider_starts_at,
        provider_ends_at, created_at, updated_at)
    select visit_id, patient_id, provider_id, room_id, visit_type, visit_date, visit_time, visit_duration,
        provider_time, provider_duration, visit_complaint, visit_notes, status, starts_at, ends_at, provider_starts_at,
        provider_ends_at, created_at, updated_at
    from visits;
-- Ids are never given twice.
delete from sqlite_sequence where name = 'visits_rebuilt';
insert into sqlite_sequence (name, seq) select 'visits_rebuilt', seq from sqlite_sequence where name = 'visits';
drop table visits;
alter table visits_rebuilt rename to visits;
create index visits_by_provider on visits (provider_id, provider_starts_at);
create index visits_by_room on visits (room_id, starts_at);
create index visits_by_patient on visits (patient_id, starts_at);
create index visits_by_date on visits (visit_date, provider_id);
create index visits_overlap_allowed on visits (visit_id) where overlap_allowed;

-- The local columns in seconds. A date is `2026-03-09`, `2026-3-9`, `2026/03/09` or `20260309`, a time `9:00`, `09:00:00`,
-- `9:00 AM` or `24:00`, each also as a part of `2026-03-09 09:00:00`. Each step names its result once (`limit 1` keeps
-- SQLite from writing one step's expression into the next one's).
create view visit_clocks as
select visit_id, local_day, local_day + clock as local_start,
    local_day + provider_clock as local_provider_start
from (
    select v.visit_id,
        (select case when date(t, '+0 days') = t then cast(strftime('%s', t) as integer) end
         from (select case when t glob '????-??-[0-9]' or t glob '????-??-[0-9][ T]*'
                   then substr(t, 1, 8) || '0' || substr(t, 9, 1) when t glob '????-??-??[ T]*' then substr(t, 1, 10)
                   else t end as t
               from (select case when t glob '????-[0-9]-*' then substr(t, 1, 5) || '0' || substr(t, 6)
                         when t glob '[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]'
                         then substr(t, 1, 4) || '-' || substr(t, 5, 2) || '-' || substr(t, 7) else t end as t
                     from (select upper(replace(trim(cast(v.visit_date as text)), '/', '-')) as t limit 1)
                     limit 1) limit 1)) as local_day,
        (select case when second <= 86400 then second end
         from (select case half when 'AM' then hour % 12 when 'PM' then hour % 12 + 12 else hour end * 3600
                      + minute * 60 + min(second, 59) as second
               from (select half, cast(substr(t, 1, 2) as integer) as hour, cast(substr(t, 4, 2) as integer) as minute,
                         cast(substr(t, 7, 2) as integer) as second
                     from (select half, case when t glob '[0-9]:*' then '0' || t else t end as t
                           from (select half, rtrim(substr(t, 1, length(t) - length(half))) as t
                                 from (select t, case when t glob '*[AP]M' then substr(t, -2) else '' end as half
                                       from (select case when t glob '????-??-??[ T]*' then trim(substr(t, 12)) else t end as t
                                             from (select upper(trim(cast(v.visit_time as text))) as t limit 1)
                                             limit 1) limit 1) limit 1) limit 1)
                     where (t glob '[0-9][0-9]:[0-5][0-9]' or t glob '[0-9][0-9]:[0-5][0-9]:[0-6][0-9]'
                            or t glob '[0-9][0-9]:[0-5][0-9]:[0-6][0-9].*' and t not glob '*[^0-9:.]*')
                     limit 1)
               where half = '' or hour between 1 and 12 limit 1)) as clock,
        (select case when second <= 86400 then second end
         from (select case half when 'AM' then hour % 12 when 'PM' then hour % 12 + 12 else hour end * 3600
                      + minute * 60 + min(second, 59) as second
               from (select half, cast(substr(t, 1, 2) as integer) as hour, cast(substr(t, 4, 2) as integer) as minute,
                         cast(substr(t, 7, 2) as integer) as second
                     from (select half, case when t glob '[0-9]:*' then '0' || t else t end as t
                           from (select half, rtrim(substr(t, 1, length(t) - length(half))) as t
                                 from (select t, case when t glob '*[AP]M' then substr(t, -2) else '' end as half
                                       from (select case when t glob '????-??-??[ T]*' then trim(substr(t, 12)) else t end as t
                                             from (select upper(trim(cast(v.provider_time as text))) as t limit 1)
                                             limit 1) limit 1) limit 1) limit 1)
                     where (t glob '[0-9][0-9]:[0-5][0-9]' or t glob '[0-9][0-9]:[0-5][0-9]:[0-6][0-9]'
                            or t glob '[0-9][0-9]:[0-5][0-9]:[0-6][0-9].*' and t not glob '*[^0-9:.]*')
                     limit 1)
               where half = '' or hour between 1 and 12 limit 1)) as provider_clock
    from visits v
);

-- The instants. A visit without a time takes its day. The provider attends the part of the visit that `provider_time`
-- names, on whichever of its dates; all of it if there is no such part.
create view visit_instants as
select visit_id, starts_at, ends_at,
    coalesce(provider_start, starts_at) as provider_starts_at,
    coalesce(provider_start + provider_seconds, ends_at) as provider_ends_at
from (
    select visit_id, starts_at, ends_at, provider_seconds,
        (select min(instant)
         from (select second - (select utc_offset from zone_offsets
                                where local_from <= second order by local_from desc limit 1) as instant
               from (select local_provider_start as second union all select local_provider_start + 86400)
               union all
               select second - utc_offset
               from (select local_provider_start as second union all select local_provider_start + 86400)
               join zone_offsets
                   on local_from > second and local_from <= second + 172800 and repeats_from <= second)
         where instant >= starts_at and instant + provider_seconds <= ends_at) as provider_start
    from (
        select visit_id, local_provider_start, provider_seconds, starts_at,
            case when local_start is not null then starts_at + seconds
                 else local_day + 86400 - (select utc_offset from zone_offsets where local_from <= local_day + 86400
                                           order by local_from desc limit 1) end as ends_at
        from (
            select visit_id, local_day, local_start,
                case when local_start is not null then local_provider_start end as local_provider_start,
                cast(visit_duration * 60 as integer) as seconds,
                cast(coalesce(provider_duration, visit_duration) * 60 as integer) as provider_seconds,
                coalesce(local_start, local_day)
                    - (select utc_offset from zone_offsets where local_from <= coalesce(local_start, local_day)
                       order by local_from desc limit 1) as starts_at
            from visits
        )
    )
);

-- After the row: `SQLite` lets no trigger change a row before it is written. What these triggers refuse undoes the whole
-- statement. Each change is made only where it changes something, so that they end with `recursive_triggers`, too.
create trigger visits_placed_on_insert after insert on visits
begin
    update visits set overlap_allowed = 0 where visit_id = new.visit_id;
end;
create trigger visits_placed_on_update
after update of visit_id, patient_id, provider_id, room_id, visit_date, visit_time, visit_duration, provider_time,
    provider_duration, status, local_day, local_start, local_provider_start, starts_at, ends_at, provider_starts_at,
    provider_ends_at, overlap_allowed on visits
begin
    -- A program that knows no instants moves the provider with the visit.
    update visits set provider_time = new.visit_time, provider_duration = new.visit_duration
    where visit_id = new.visit_id
        and (new.visit_time, new.visit_duration) is not (old.visit_time, old.visit_duration)
        and (new.provider_time, new.provider_duration) is (old.provider_time, old.provider_duration)
        and (old.provider_time, old.provider_duration) is (old.visit_time, old.visit_duration)
        and (new.starts_at, new.ends_at) is (old.starts_at, old.ends_at);
    update visits set
        provider_time = coalesce(provider_time, visit_time),
        provider_duration = coalesce(provider_duration, visit_duration)
    where visit_id = new.visit_id and (provider_time is null or provider_duration is null);

    update visits set (local_day, local_start, local_provider_start) =
        (select local_day, local_start, local_provider_start from visit_clocks where visit_id = new.visit_id)
    where visit_id = new.visit_id and (local_day, local_start, local_provider_start) is not
        (select local_day, local_start, local_provider_start from visit_clocks where visit_id = new.visit_id);
    update visits set (starts_at, ends_at, provider_starts_at, provider_ends_at) =
        (select starts_at, ends_at, provider_starts_at, provider_ends_at from visit_instants
         where visit_id = new.visit_id)
    where visit_id = new.visit_id and (starts_at, ends_at, provider_starts_at, provider_ends_at) is not
        (select starts_at, ends_at, provider_starts_at, provider_ends_at from visit_instants
         where visit_id = new.visit_id);
    update visits set overlap_allowed = 1
    where visit_id = new.visit_id and not overlap_allowed and (local_start is null or starts_at is null);
    update visits set overlap_allowed = 0
    where visit_id = new.visit_id and overlap_allowed and local_start is not null and starts_at is not null
        and ((new.visit_id, new.patient_id, new.provider_id, new.room_id, new.visit_date, new.visit_time,
                new.visit_duration, new.provider_time, new.provider_duration)
            is not (old.visit_id, old.patient_id, old.provider_id, old.room_id, old.visit_date, old.visit_time,
                old.visit_duration, old.provider_time, old.provider_duration)
            or old.status in ('Cancelled', 'NoShow', 'Deleted')
                and new.status not in ('Cancelled', 'NoShow', 'Deleted'));

    -- No two blocking visits of one provider, room or patient overlap, whoever writes them.
    select raise(abort, 'visits_provider_free') where exists (
        select 1 from visits mine join visits other on other.provider_id = mine.provider_id
        where mine.visit_id = new.visit_id and other.visit_id <> mine.visit_id
          and mine.status not in ('Cancelled', 'NoShow', 'Deleted') and not mine.overlap_allowed
          and other.status not in ('Cancelled', 'NoShow', 'Deleted') and not other.overlap_allowed
          and other.provider_starts_at < mine.provider_ends_at and other.provider_starts_at > mine.provider_starts_at - 172800
          and other.provider_ends_at > mine.provider_starts_at);
    select raise(abort, 'visits_room_free') where exists (
        select 1 from visits mine join visits other on other.room_id = mine.room_id
        where mine.visit_id = new.visit_id and other.visit_id <> mine.visit_id
          and mine.status not in ('Cancelled', 'NoShow', 'Deleted') and not mine.overlap_allowed
          and other.status not in ('Cancelled', 'NoShow', 'Deleted') and not other.overlap_allowed
          and other.starts_at < mine.ends_at and other.starts_at > mine.starts_at - 172800
          and other.ends_at > mine.starts_at);
    select raise(abort, 'visits_patient_free') where exists (
        select 1 from visits mine join visits other on other.patient_id = mine.patient_id
        where mine.visit_id = new.visit_id and other.visit_id <> mine.visit_id
          and mine.status not in ('Cancelled', 'NoShow', 'Deleted') and not mine.overlap_allowed
          and other.status not in ('Cancelled', 'NoShow', 'Deleted') and not other.overlap_allowed
          and other.starts_at < mine.ends_at and other.starts_at > mine.starts_at - 172800
          and other.ends_at > mine.starts_at);
end;
