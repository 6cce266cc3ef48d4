-- A practice may overbook on purpose, and a program of its own may have no say in where its visits are. A visit that isn't `bound`
-- may be put on any other; it takes its time all the same, so no bound one is put on it. Bound ones never overlap.
alter table visits add column bound integer not null default 1;

drop trigger visits_placed_on_insert;
create trigger visits_placed_on_insert after insert on visits
begin
    update visits set overlap_allowed = 0 where visit_id = new.visit_id;
    -- On visits that aren't bound, which the other trigger asks only when a visit moves.
    select raise(abort, 'visits_provider_free') where exists (
        select 1 from visits mine join visits other on other.provider_id = mine.provider_id
        where mine.visit_id = new.visit_id and other.visit_id <> mine.visit_id
          and mine.bound and not other.bound
          and mine.status not in ('Cancelled', 'NoShow', 'Deleted') and not mine.overlap_allowed
          and other.status not in ('Cancelled', 'NoShow', 'Deleted') and not other.overlap_allowed
          and other.provider_starts_at < mine.provider_ends_at and other.provider_starts_at > mine.provider_starts_at - 172800
          and other.provider_ends_at > mine.provider_starts_at);
    select raise(abort, 'visits_room_free') where exists (
        select 1 from visits mine join visits other on other.room_id = mine.room_id
        where mine.visit_id = new.visit_id and other.visit_id <> mine.visit_id
          and mine.bound and not other.bound
          and mine.status not in ('Cancelled', 'NoShow', 'Deleted') and not mine.overlap_allowed
          and other.status not in ('Cancelled', 'NoShow', 'Deleted') and not other.overlap_allowed
          and other.starts_at < mine.ends_at and other.starts_at > mine.starts_at - 172800
          and other.ends_at > mine.starts_at);
    select raise(abort, 'visits_patient_free') where exists (
        select 1 from visits mine join visits other on other.patient_id = mine.patient_id
        where mine.visit_id = new.visit_id and other.visit_id <> mine.visit_id
          and mine.bound and not other.bound
          and mine.status not in ('Cancelled', 'NoShow', 'Deleted') and not mine.overlap_allowed
          and other.status not in ('Cancelled', 'NoShow', 'Deleted') and not other.overlap_allowed
          and other.starts_at < mine.ends_at and other.starts_at > mine.starts_at - 172800
          and other.ends_at > mine.starts_at);
end;
drop trigger visits_placed_on_update;
create trigger visits_placed_on_update
after update of visit_id, patient_id, provider_id, room_id, visit_date, visit_time, visit_duration, provider_time,
    provider_duration, status, local_day, local_start, local_provider_start, starts_at, ends_at, provider_starts_at,
    provider_ends_at, overlap_allowed, bound on visits
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

    -- No two blocking visits of one provider, room or patient overlap, whoever writes them, but one that isn't bound may be put on
    -- others. A bound one that stays where it is isn't asked for those: the other one was put on it.
    select raise(abort, 'visits_provider_free') where exists (
        select 1 from visits mine join visits other on other.provider_id = mine.provider_id
        where mine.visit_id = new.visit_id and other.visit_id <> mine.visit_id
          and mine.bound and (other.bound
              or (new.visit_id, new.patient_id, new.provider_id, new.room_id, new.visit_date, new.visit_time, new.visit_duration,
                      new.provider_time, new.provider_duration)
                  is not (old.visit_id, old.patient_id, old.provider_id, old.room_id, old.visit_date, old.visit_time,
                      old.visit_duration, old.provider_time, old.provider_duration)
              or not old.bound or old.status in ('Cancelled', 'NoShow', 'Deleted'))
          and mine.status not in ('Cancelled', 'NoShow', 'Deleted') and not mine.overlap_allowed
          and other.status not in ('Cancelled', 'NoShow', 'Deleted') and not other.overlap_allowed
          and other.provider_starts_at < mine.provider_ends_at and other.provider_starts_at > mine.provider_starts_at - 172800
          and other.provider_ends_at > mine.provider_starts_at);
    select raise(abort, 'visits_room_free') where exists (
        select 1 from visits mine join visits other on other.room_id = mine.room_id
        where mine.visit_id = new.visit_id and other.visit_id <> mine.visit_id
          and mine.bound and (other.bound
              or (new.visit_id, new.patient_id, new.provider_id, new.room_id, new.visit_date, new.visit_time, new.visit_duration,
                      new.provider_time, new.provider_duration)
                  is not (old.visit_id, old.patient_id, old.provider_id, old.room_id, old.visit_date, old.visit_time,
                      old.visit_duration, old.provider_time, old.provider_duration)
              or not old.bound or old.status in ('Cancelled', 'NoShow', 'Deleted'))
          and mine.status not in ('Cancelled', 'NoShow', 'Deleted') and not mine.overlap_allowed
          and other.status not in ('Cancelled', 'NoShow', 'Deleted') and not other.overlap_allowed
          and other.starts_at < mine.ends_at and other.starts_at > mine.starts_at - 172800
          and other.ends_at > mine.starts_at);
    select raise(abort, 'visits_patient_free') where exists (
        select 1 from visits mine join visits other on other.patient_id = mine.patient_id
        where mine.visit_id = new.visit_id and other.visit_id <> mine.visit_id
          and mine.bound and (other.bound
              or (new.visit_id, new.patient_id, new.provider_id, new.room_id, new.visit_date, new.visit_time, new.visit_duration,
                      new.provider_time, new.provider_duration)
                  is not (old.visit_id, old.patient_id, old.provider_id, old.room_id, old.visit_date, old.visit_time,
                      old.visit_duration, old.provider_time, old.provider_duration)
              or not old.bound or old.status in ('Cancelled', 'NoShow', 'Deleted'))
          and mine.status not in ('Cancelled', 'NoShow', 'Deleted') and not mine.overlap_allowed
          and other.status not in ('Cancelled', 'NoShow', 'Deleted') and not other.overlap_allowed
          and other.starts_at < mine.ends_at and other.starts_at > mine.starts_at - 172800
          and other.ends_at > mine.starts_at);
end;
