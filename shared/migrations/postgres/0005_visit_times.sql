-- A visit takes place where its local columns say, whoever writes them: the database fills and corrects the instants by
-- which it compares visits. It knows the practice's time zone from a table of its own, so that both engines and the API
-- convert by the same rules, whatever time-zone database the server has. `migrate` fills the table.
alter table tenant_identity add column time_zone text, add column tzdata text;

-- From this second of the wall clock on (seconds since 1970-01-01 00:00 local) the clock is `utc_offset` seconds ahead of
-- UTC. A skipped time counts with the offset before the jump; of a repeated one the first occurrence counts, and its
-- second one, from `repeats_from` on, has this row's offset.
create table zone_offsets (
    local_from bigint primary key,
    utc_offset bigint not null,
    repeats_from bigint
);

-- `local_day`, `local_start` and `local_provider_start` are the local columns in seconds of the wall clock, null where
-- they have no meaning; the instants are Unix seconds, null without a date. All are derived. With `overlap_allowed` the
-- constraints let a visit be: it has no date, or new time-zone rules put it on another visit.
alter table visits
    add column local_day bigint,
    add column local_start bigint,
    add column local_provider_start bigint,
    add column overlap_allowed boolean not null default false,
    alter column starts_at drop not null,
    alter column ends_at drop not null,
    alter column provider_starts_at drop not null,
    alter column provider_ends_at drop not null,
    alter column created_at set default now(),
    alter column updated_at set default now(),
    drop constraint visits_check,
    drop constraint visits_check1,
    drop constraint visits_check2,
    drop constraint visits_provider_free,
    drop constraint visits_room_free,
    drop constraint visits_patient_free;

create function local_instant(second bigint) returns bigint
language sql stable as $$
    select second - utc_offset from zone_offsets where local_from <= second order by local_from desc limit 1
$$;
create function repeated_instant(second bigint) returns bigint
language sql stable as $$
    select second - utc_offset from zone_offsets
    where local_from > second and local_from <= second + 172800 and repeats_from <= second order by local_from limit 1
$$;

-- The provider attends the part of the visit that `provider_time` names, on whichever of its dates; all of it if there is
-- no such part.
create function visit_instants(
    local_start bigint, local_provider_start bigint, visit_duration bigint, provider_duration bigint,
    out starts_at bigint, out ends_at bigint, out provider_starts_at bigint, out provider_ends_at bigint)
language plpgsql stable as $$
begin
    starts_at := local_instant(local_start);
    ends_at := starts_at + visit_duration * 60;
    select min(instant) into provider_starts_at
    from unnest(array[local_provider_start, local_provider_start + 86400]) as second,
        unnest(array[local_instant(second), repeated_instant(second)]) as instant
    where instant >= starts_at and instant + provider_duration * 60 <= ends_at;
    provider_ends_at := coalesce(provider_starts_at + provider_duration * 60, ends_at);
    provider_starts_at := coalesce(provider_starts_at, starts_at);
end $$;
create view visit_instants as
    select visit_id, i.* from visits v
    cross join lateral visit_instants(
        v.local_start, v.local_provider_start, v.visit_duration, v.provider_duration) i;

create function place_visit() returns trigger
language plpgsql security definer as $$
declare
    is_moved boolean := true;
begin
    -- A program that knows no instants moves the provider with the visit.
    if tg_op = 'UPDATE'
        and (new.visit_time, new.visit_duration) is distinct from (old.visit_time, old.visit_duration)
        and (new.provider_time, new.provider_duration) is not distinct from (old.provider_time, old.provider_duration)
        and (old.provider_time, old.provider_duration) is not distinct from (old.visit_time, old.visit_duration)
        and (new.starts_at, new.ends_at) is not distinct from (old.starts_at, old.ends_at)
    then
        new.provider_time := new.visit_time;
        new.provider_duration := new.visit_duration;
    end if;
    new.provider_time := coalesce(new.provider_time, new.visit_time);
    new.provider_duration := coalesce(new.provider_duration, new.visit_duration);
    new.local_day := case when isfinite(new.visit_date)
        then (new.visit_date - date '1970-01-01')::bigint * 86400 end;
    new.local_start := new.local_day + floor(extract(epoch from new.visit_time))::bigint;
    new.local_provider_start := new.local_day + floor(extract(epoch from new.provider_time))::bigint;
    select i.starts_at, i.ends_at, i.provider_starts_at, i.provider_ends_at
        into new.starts_at, new.ends_at, new.provider_starts_at, new.provider_ends_at
        from visit_instants(
            new.local_start, new.local_provider_start, new.visit_duration, new.provider_duration) i;
    if tg_op = 'UPDATE' then
        is_moved :=
            (new.patient_id, new.provider_id, new.room_id, new.visit_date, new.visit_time, new.visit_duration,
                new.provider_time, new.provider_duration)
            is distinct from
            (old.patient_id, old.provider_id, old.room_id, old.visit_date, old.visit_time, old.visit_duration,
                old.provider_time, old.provider_duration)
            or old.status in ('Cancelled', 'NoShow', 'Deleted')
                and new.status not in ('Cancelled', 'NoShow', 'Deleted');
    end if;
    new.overlap_allowed := new.starts_at is null or new.overlap_allowed and not is_moved;
    return new;
end $$;
create trigger visits_placed before insert or update on visits
for each row execute function place_visit();

-- Runs with its owner's rights and knows where its tables are: the EMR's roles and search paths are their own.
do $$
begin
    execute format('alter function place_visit() set search_path = %I, pg_temp', current_schema());
end $$;

-- No two blocking visits of one provider, room or patient overlap, whoever writes them.
alter table visits
    add constraint visits_provider_free exclude using gist
        (provider_id with =, int8range(provider_starts_at, provider_ends_at) with &&)
        where (status not in ('Cancelled', 'NoShow', 'Deleted') and not overlap_allowed),
    add constraint visits_room_free exclude using gist
        (room_id with =, int8range(starts_at, ends_at) with &&)
        where (status not in ('Cancelled', 'NoShow', 'Deleted') and not overlap_allowed),
    add constraint visits_patient_free exclude using gist
        (patient_id with =, int8range(starts_at, ends_at) with &&)
        where (status not in ('Cancelled', 'NoShow', 'Deleted') and not overlap_allowed);
create index visits_overlap_allowed on visits (visit_id) where overlap_allowed;
