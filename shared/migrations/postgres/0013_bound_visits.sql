-- A practice may overbook on purpose, and a program of its own may have no say in where its visits are. A visit that isn't `bound`
-- may be put on any other; it takes its time all the same, so no bound one is put on it. Bound ones never overlap.
alter table visits
    add column bound boolean not null default true,
    drop constraint visits_provider_free,
    drop constraint visits_room_free,
    drop constraint visits_patient_free,
    add constraint visits_provider_free exclude using gist
        (provider_id with =, int8range(provider_starts_at, provider_ends_at) with &&)
        where (bound and status not in ('Cancelled', 'NoShow', 'Deleted') and not overlap_allowed),
    add constraint visits_room_free exclude using gist
        (room_id with =, int8range(starts_at, ends_at) with &&)
        where (bound and status not in ('Cancelled', 'NoShow', 'Deleted') and not overlap_allowed),
    add constraint visits_patient_free exclude using gist
        (patient_id with =, int8range(starts_at, ends_at) with &&)
        where (bound and status not in ('Cancelled', 'NoShow', 'Deleted') and not overlap_allowed);
create index visits_unbound_by_provider on visits (provider_id, provider_starts_at) where not bound;
create index visits_unbound_by_room on visits (room_id, starts_at) where not bound;
create index visits_unbound_by_patient on visits (patient_id, starts_at) where not bound;

-- Refuses a bound visit that is put on one that isn't, as the constraints refuse it on others. Each query sees what is committed.
create function respect_unbound_visits() returns trigger
language plpgsql security definer set search_path = partner_api, pg_temp as $$
declare
    taken text;
begin
    select case
        when exists (
            select 1 from visits
            where not bound and provider_id = new.provider_id and visit_id <> new.visit_id
              and provider_starts_at < new.provider_ends_at and provider_starts_at > new.provider_starts_at - 172800
              and provider_ends_at > new.provider_starts_at
              and status not in ('Cancelled', 'NoShow', 'Deleted') and not overlap_allowed)
        then 'visits_provider_free'
        when exists (
            select 1 from visits
            where not bound and room_id = new.room_id and visit_id <> new.visit_id
              and starts_at < new.ends_at and starts_at > new.starts_at - 172800 and ends_at > new.starts_at
              and status not in ('Cancelled', 'NoShow', 'Deleted') and not overlap_allowed)
        then 'visits_room_free'
        when exists (
            select 1 from visits
            where not bound and patient_id = new.patient_id and visit_id <> new.visit_id
              and starts_at < new.ends_at and starts_at > new.starts_at - 172800 and ends_at > new.starts_at
              and status not in ('Cancelled', 'NoShow', 'Deleted') and not overlap_allowed)
        then 'visits_patient_free'
    end into taken;
    if taken is not null then
        raise exclusion_violation using constraint = taken, message = taken;
    end if;
    return new;
end $$;
-- After `visits_placed`, by their names. One that stays where it is isn't asked: the other one was put on it.
create trigger visits_respect_unbound_on_insert before insert on visits
for each row when (new.bound and new.status not in ('Cancelled', 'NoShow', 'Deleted') and not new.overlap_allowed)
execute function respect_unbound_visits();
create trigger visits_respect_unbound_on_update before update on visits
for each row when (new.bound and new.status not in ('Cancelled', 'NoShow', 'Deleted') and not new.overlap_allowed
    and ((new.patient_id, new.provider_id, new.room_id, new.visit_date, new.visit_time, new.visit_duration,
            new.provider_time, new.provider_duration)
        is distinct from
        (old.patient_id, old.provider_id, old.room_id, old.visit_date, old.visit_time, old.visit_duration,
            old.provider_time, old.provider_duration)
        or not old.bound or old.status in ('Cancelled', 'NoShow', 'Deleted')))
execute function respect_unbound_visits();
