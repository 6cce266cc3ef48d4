-- Synchronizes the EMR's tables and a practice's. Only `map.sql` knows the EMR's names. Run as the practice's role, in its schema,
-- after `map.sql`. Running it again renews functions and triggers and preserves the rows.
set local search_path = partner_api;

-- Each `bridge_apply_…` function makes our rows equal to the EMR's current row of a key. Calling it again changes nothing.
-- `partner_api.writing` says whose change is being applied: 'emr', 'ours', or neither.

-- Whether the practice is being loaded. Rows from before it was attached create no events.
create or replace function bridge_is_loading() returns boolean
language sql stable as $$ select coalesce(current_setting('partner_api.loading', true), '') = 'on' $$;

create or replace function bridge_log(of_table text, kind text, id bigint) returns void
language plpgsql as $$
begin
    insert into log (table_name, action, record_id, logged_at) select of_table, kind, id, now() where not bridge_is_loading();
end $$;

create or replace function bridge_apply_provider(id bigint) returns void
language plpgsql as $$
declare
    is_new boolean := not exists (select 1 from providers where provider_id = id);
begin
    insert into providers as p (provider_id, name, title, specialty, active)
    select e.provider_id, e.name, e.title, e.specialty, e.active from emr_providers(array[id]) e
    on conflict (provider_id) do update
        set name = excluded.name, title = excluded.title, specialty = excluded.specialty, active = excluded.active
        where (p.name, p.title, p.specialty, p.active)
            is distinct from (excluded.name, excluded.title, excluded.specialty, excluded.active);
    if not found then
        update providers set active = false
        where provider_id = id and active and not exists (select 1 from emr_providers(array[id]));
    elsif is_new and not bridge_is_loading() then
        -- Events that name a user who did not exist yet: an import need not write users first.
        perform bridge_follow('bridge_apply_event', array(select event_id from emr_events_with(id)),
            clock_timestamp() + least(interval '200 ms', nullif(current_setting('lock_timeout')::interval, '0')), false);
    end if;
end $$;

create or replace function bridge_apply_visit_type(id bigint) returns void
language plpgsql as $$
begin
    insert into visit_types as t (visit_type, active)
    select e.visit_type, bool_or(e.active) from emr_visit_types() e
    where e.visit_type = (select visit_type from emr_visit_types() where type_id = id) group by e.visit_type
    on conflict (visit_type) do update set active = excluded.active where t.active <> excluded.active;
    -- A renamed category renames the types of its visits: as many as time allows, the others later.
    perform bridge_follow('bridge_apply_event', array(
            select v.visit_id from emr_visit_types() e cross join emr_events_of(e.type_id) o join visits v on v.visit_id = o.event_id
            where e.type_id = id and v.visit_type <> e.visit_type),
        clock_timestamp() + least(interval '200 ms', nullif(current_setting('lock_timeout')::interval, '0')), false);
    -- A renamed or deleted type is no longer offered.
    update visit_types set active = false
    where active and visit_type not in (select e.visit_type from emr_visit_types() e);
end $$;

-- Applies all rooms, whatever the key: they are few, and the EMR identifies them by texts.
create or replace function bridge_apply_rooms(key bigint) returns void
language plpgsql as $$
declare
    it record;
    id bigint;
begin
    update resources r set name = coalesce(e.name, r.name), active = coalesce(e.active, false)
    from bridge_rooms b left join emr_rooms() e on e.room = b.room
    where b.resource_id = r.resource_id
      and (r.name, r.active) is distinct from (coalesce(e.name, r.name), coalesce(e.active, false));
    for it in select e.* from emr_rooms() e left join bridge_rooms b on b.room = e.room where b.room is null loop
        insert into resources (name, active) values (it.name, it.active) returning resource_id into id;
        insert into bridge_rooms (room, resource_id) values (it.room, id);
        -- The EMR may already have visits in this room.
        perform bridge_follow('bridge_apply_event', array(
                select v.visit_id from emr_events_in(it.room) e join visits v on v.visit_id = e.event_id where v.room_id is distinct from id),
            clock_timestamp() + least(interval '200 ms', nullif(current_setting('lock_timeout')::interval, '0')), false);
    end loop;
end $$;

-- Applies many patients at once; returns how many were new or different.
create or replace function bridge_apply_patients(keys bigint[]) returns bigint
language plpgsql as $$
declare
    done bigint;
begin
    -- Lock our rows first, then read the EMR's: a transaction that was changing them has then committed.
    perform 1 from patients where patient_id = any (keys) order by patient_id for no key update;
    with followed as (
        insert into patients as p (patient_id, first_name, mi, last_name, full_name, gender, dob, primary_language, phone, cell_phone,
            email, address, city, state, zip, country, provider_id, created_at, updated_at)
        select e.patient_id, e.first_name, e.mi, e.last_name, e.full_name, e.gender, e.dob, e.primary_language, e.phone, e.cell_phone, e.email,
            e.address, e.city, e.state, e.zip, e.country, (select o.provider_id from providers o where o.provider_id = e.provider_id), now(), now()
        from emr_patients(keys) e
        on conflict (patient_id) do update set first_name = excluded.first_name, mi = excluded.mi, last_name = excluded.last_name,
            -- A full name from a partner stays until its parts change.
            full_name = case when (p.first_name, p.mi, p.last_name) is distinct from (excluded.first_name, excluded.mi, excluded.last_name)
                then excluded.full_name else p.full_name end,
            gender = excluded.gender, dob = excluded.dob, primary_language = excluded.primary_language, phone = excluded.phone,
            cell_phone = excluded.cell_phone, email = excluded.email, address = excluded.address, city = excluded.city,
            state = excluded.state, zip = excluded.zip, country = excluded.country, provider_id = excluded.provider_id,
            updated_at = now(), version = p.version + 1
            where (p.first_name, p.mi, p.last_name, p.gender, p.dob, p.primary_language, p.phone, p.cell_phone, p.email, p.address, p.city,
                    p.state, p.zip, p.country, p.provider_id)
                is distinct from
                (excluded.first_name, excluded.mi, excluded.last_name, excluded.gender, excluded.dob, excluded.primary_language,
                    excluded.phone, excluded.cell_phone, excluded.email, excluded.address, excluded.city, excluded.state, excluded.zip,
                    excluded.country, excluded.provider_id)
        returning p.patient_id, p.version = 1 as is_new
    ), told as (
        insert into log (table_name, action, record_id, logged_at)
        select 'patients', case when is_new then 'insert' else 'update' end, patient_id, now() from followed where not bridge_is_loading()
    )
    select count(*) into done from followed;
    return done;
end $$;

create or replace function bridge_apply_patient(id bigint) returns void
language plpgsql as $$
declare
    events bigint[];
    news bigint[];
begin
    if bridge_apply_patients(array[id]) = 0 and not exists (select 1 from emr_patients(array[id])) then
        -- Events that the EMR keeps for a deleted patient become time off. Partners get an event for each visit that they do not yet know to be deleted.
        with gone as (delete from visits where patient_id = id returning visit_id, status)
        select array_agg(visit_id), array_agg(visit_id) filter (where status <> 'Deleted') into events, news from gone;
        perform bridge_log('visits', 'delete', visit) from unnest(news) visit;
        delete from patients where patient_id = id;
        if found then perform bridge_log('patients', 'delete', id); end if;
        perform bridge_apply_event(event) from unnest(events) event;
    end if;
end $$;

-- Adds the time off of events that have none yet; returns the number of these events.
create or replace function bridge_add_time_off(events bigint[]) returns bigint
language plpgsql as $$
declare
    done bigint;
begin
    with off as materialized (
        select nextval(pg_get_serial_sequence('partner_api.schedule_exceptions', 'exception_id')) as exception_id, o.*
        from emr_time_off(events) o where not exists (select 1 from bridge_time_off b where b.event_id = o.event_id)
          -- It is a visit as soon as its patient is copied, which `bridge_apply_event` does.
          and not exists (select 1 from emr_patients_ahead(events) a where a.event_id = o.event_id)),
    made as (
        insert into schedule_exceptions (exception_id, provider_id, exception_date, kind, start_time, end_time)
        select exception_id, provider_id, exception_date, 'off', start_time, end_time from off),
    kept as (
        insert into bridge_time_off (event_id, exception_id) select event_id, exception_id from off)
    select count(distinct event_id) into done from off;
    return done;
end $$;

create or replace function bridge_apply_event(id bigint) returns void
language plpgsql as $$
declare
    e record;
    v visits;
    limit_before text := current_setting('lock_timeout');
    until timestamptz := clock_timestamp() + coalesce(nullif(limit_before::interval, '0'), '1 s');
    is_moved boolean;
    can_bind boolean := true;
begin
    -- Lock our row first, then read the EMR's: a change that was open until now is then read as it was committed.
    select * into v from visits where visit_id = id for no key update;
    select * into e from emr_visits(array[id]);
    if e.visit_id is null then
        -- The change that registered its patient may still wait to be applied. As time off, the visit would stay unknown to partners.
        perform bridge_apply_patient(a.patient_id) from emr_patients_ahead(array[id]) a;
        if found then select * into e from emr_visits(array[id]); end if;
    end if;

    -- Until nothing is left: a repair or retry that this waited for has put its own rows in place of those it deleted, of an older state.
    loop
        with gone as (delete from bridge_time_off b where b.event_id = id returning b.exception_id)
        delete from schedule_exceptions x using gone where x.exception_id = gone.exception_id;
        exit when not exists (select 1 from bridge_time_off b where b.event_id = id);
    end loop;
    if e.visit_id is null then
        perform bridge_add_time_off(array[id]);
        update visits set status = 'Deleted', updated_at = now() where visit_id = id and status <> 'Deleted';
        if found then perform bridge_log('visits', 'delete', id); end if;
        return;
    end if;

    is_moved := v.visit_id is null
        or (e.patient_id, e.provider_id, e.room_id, e.visit_date, e.visit_time, e.visit_duration)
            is distinct from (v.patient_id, v.provider_id, v.room_id, v.visit_date, v.visit_time, v.visit_duration)
        or v.status in ('Cancelled', 'NoShow', 'Deleted') and e.status not in ('Cancelled', 'NoShow', 'Deleted');
    if not is_moved then
        update visits set visit_type = e.visit_type, visit_complaint = e.visit_complaint, status = e.status, updated_at = now()
        where visit_id = id and (visit_type, visit_complaint, status) is distinct from (e.visit_type, e.visit_complaint, e.status);
        if found then perform bridge_log('visits', 'update', id); end if;
        return;
    end if;
    -- Try a bound visit first. If it overlaps another one, or one that is being booked right now, make it unbound.
    loop
        begin
            perform set_config('lock_timeout', least(case when can_bind then 100 end,
                greatest(extract(epoch from until - clock_timestamp()) * 1000, 1)::integer)::text, true);
            if v.visit_id is null then
                insert into visits (visit_id, patient_id, provider_id, room_id, visit_type, visit_date, visit_time, visit_duration,
                    visit_complaint, status, bound)
                values (id, e.patient_id, e.provider_id, e.room_id, e.visit_type, e.visit_date, e.visit_time, e.visit_duration,
                    e.visit_complaint, e.status, can_bind);
            else
                update visits set patient_id = e.patient_id, provider_id = e.provider_id, room_id = e.room_id, visit_type = e.visit_type,
                    visit_date = e.visit_date, visit_time = e.visit_time, visit_duration = e.visit_duration,
                    visit_complaint = e.visit_complaint, status = e.status, updated_at = now(), bound = can_bind
                where visit_id = id;
            end if;
            exit;
        exception when exclusion_violation or lock_not_available then
            if not can_bind then raise; end if;
            can_bind := false;
        end;
    end loop;
    perform set_config('lock_timeout', limit_before, true);
    perform bridge_log('visits', case when v.visit_id is null then 'insert' else 'update' end, id);
end $$;

create or replace function bridge_apply(of text, key bigint) returns void
language plpgsql as $$
begin
    case of
        when 'bridge_apply_event' then perform bridge_apply_event(key);
        when 'bridge_apply_patient' then perform bridge_apply_patient(key);
        when 'bridge_apply_provider' then perform bridge_apply_provider(key);
        when 'bridge_apply_visit_type' then perform bridge_apply_visit_type(key);
        when 'bridge_apply_rooms' then perform bridge_apply_rooms(key);
    end case;
end $$;

-- Records rows that could not be applied. `tried`: in a retry, not in the EMR's own statement.
create or replace function bridge_note(of text, keys bigint[], why text, tried boolean) returns void
language sql as $$
    insert into bridge_failures as f (apply, key, failed_at, tried_at, message)
    select distinct of, key, now(), case when tried then clock_timestamp() end, why from unnest(keys) key where key is not null
    on conflict (apply, key) do update set failed_at = case when tried then f.failed_at else excluded.failed_at end,
        tried_at = excluded.tried_at, attempts = f.attempts + 1, message = excluded.message
$$;

-- Limits waits for locks to the time that is left until `until`, if that is less than the limit that already applies.
create or replace function bridge_wait_until(until timestamptz) returns void
language plpgsql as $$
declare
    allowed numeric := nullif(extract(epoch from current_setting('lock_timeout')::interval), 0);
begin
    if until is null then return; end if;
    perform set_config('lock_timeout',
        greatest(1000 * least(allowed, extract(epoch from until - clock_timestamp())), 1)::integer::text, true);
end $$;

-- Applies these keys in single statements: new rows, and changed rows that keep their time and place. If a statement fails or has to wait for a
-- lock too long, each half is applied by itself. The functions for single rows apply the remaining ones. Returns how many rows changed.
create or replace function bridge_follow_together(of text, keys bigint[], until timestamptz) returns bigint
language plpgsql as $follow$
declare
    made bigint := 0;
    changed bigint := 0;
    half integer := cardinality(keys) / 2;
begin
    if until is not null then
        if clock_timestamp() > until then return 0; end if;
        perform bridge_wait_until(until);
    end if;
    if of = 'bridge_apply_patient' then
        return bridge_apply_patients(keys);
    elsif of = 'bridge_apply_event' then
        -- Dynamic, so that each call gets a plan for the current number of rows and not for a table that was empty when the session began.
        execute $$
            with new as (
                insert into visits (visit_id, patient_id, provider_id, room_id, visit_type, visit_date, visit_time, visit_duration,
                    visit_complaint, status)
                select e.visit_id, e.patient_id, e.provider_id, e.room_id, e.visit_type, e.visit_date, e.visit_time, e.visit_duration,
                    e.visit_complaint, e.status
                from emr_visits($1) e
                where not exists (select 1 from visits v where v.visit_id = e.visit_id)
                  and not exists (select 1 from bridge_time_off b where b.event_id = e.visit_id)
                order by e.visit_id
                returning visit_id),
            told as (
                insert into log (table_name, action, record_id, logged_at)
                select 'visits', 'insert', visit_id, now() from new where not bridge_is_loading())
            select count(*) from new
        $$ into made using keys;
        if made < cardinality(keys) then
            execute $$
                with other as (
                    update visits v set visit_type = e.visit_type, visit_complaint = e.visit_complaint, status = e.status, updated_at = now()
                    from emr_visits($1) e
                    where v.visit_id = e.visit_id and v.visit_id = any ($1)
                      and (v.visit_type, v.visit_complaint, v.status) is distinct from (e.visit_type, e.visit_complaint, e.status)
                      and (v.patient_id, v.provider_id, v.room_id, v.visit_date, v.visit_time, v.visit_duration)
                        is not distinct from (e.patient_id, e.provider_id, e.room_id, e.visit_date, e.visit_time, e.visit_duration)
                      and (v.status not in ('Cancelled', 'NoShow', 'Deleted') or e.status in ('Cancelled', 'NoShow', 'Deleted'))
                    returning v.visit_id),
                told as (
                    insert into log (table_name, action, record_id, logged_at)
                    select 'visits', 'update', visit_id, now() from other where not bridge_is_loading())
                select count(*) from other
            $$ into changed using keys;
            made := made + bridge_add_time_off(array(
                select key from unnest(keys) key where not exists (select 1 from visits v where v.visit_id = key)));
        end if;
    end if;
    return made + changed;
exception when others then
    if half < 4 then return 0; end if;
    return bridge_follow_together(of, keys[:half], until) + bridge_follow_together(of, keys[half + 1:], until);
end $follow$;

-- The keys whose rows differ. One whose EMR row cannot be read counts as different, so that applying it says why.
create or replace function bridge_differing(of text, keys bigint[]) returns bigint[]
language plpgsql as $$
declare
    half integer := cardinality(keys) / 2;
begin
    return array(select distinct d.key from bridge_differences(of, keys) d order by d.key);
exception when data_exception then
    if half = 0 then return keys; end if;
    return bridge_differing(of, keys[:half]) || bridge_differing(of, keys[half + 1:]);
end $$;

-- Applies these keys page by page: together first, then row by row what still differs. A row that fails is recorded and does not stop the others.
-- Returns how many rows changed, and the keys that had no turn before `until`.
create or replace function bridge_follow_until(of text, keys bigint[], until timestamptz, tried boolean, out done bigint, out rest bigint[])
language plpgsql set jit = off as $$
declare
    limit_before text := current_setting('lock_timeout');
    -- Use small pages while somebody waits, so that the limit holds.
    many integer := case when until is null then 1000 else 200 end;
    page bigint[];
    it bigint;
begin
    done := 0;
    rest := '{}';
    for here in 1..cardinality(keys) by many loop
        if clock_timestamp() > until then
            rest := rest || keys[here:];
            exit;
        end if;
        page := keys[here:here + many - 1];
        done := done + bridge_follow_together(of, page, until);
        foreach it in array bridge_differing(of, page) loop
            if clock_timestamp() > until then
                rest := rest || it;
                continue;
            end if;
            begin
                perform bridge_wait_until(until);
                perform bridge_apply(of, it);
                done := done + 1;
            exception when others then
                perform bridge_note(of, array[it], sqlerrm, tried);
            end;
        end loop;
    end loop;
    perform set_config('lock_timeout', limit_before, true);
end $$;

-- Does the same, and records the keys that were not reached.
create or replace function bridge_follow(of text, keys bigint[], until timestamptz, tried boolean) returns bigint
language plpgsql as $$
declare
    done bigint;
    rest bigint[];
begin
    select f.done, f.rest into done, rest from bridge_follow_until(of, keys, until, tried) f;
    perform bridge_note(of, rest, 'deferred: the EMR''s statement changed too many rows', tried);
    return done;
end $$;

-- Retries recorded rows: at most `most` that were not retried yet, and a hundred of those that failed again, the oldest first. Rows that still fail
-- stay recorded. A row that another transaction has locked waits for the next run, so that a long lock on one row does not delay the others. Ends
-- after about `budget`; rows that were not reached stay as they were. `but`: an event that the caller's statement changes. Returns how many were applied.
drop function if exists bridge_catch_up(bigint), bridge_catch_up(bigint, bigint);
create or replace function bridge_catch_up(most bigint, but bigint default null, budget interval default '2 s') returns bigint
language plpgsql as $$
declare
    before text := coalesce(current_setting('partner_api.writing', true), '');
    limit_before text := current_setting('lock_timeout');
    until timestamptz := clock_timestamp() + budget;
    done bigint := 0;
    gone bigint;
    it record;
    due bigint[];
    page bigint[];
    busy bigint[];
    rest bigint[];
begin
    perform set_config('partner_api.writing', 'emr', true);
    perform set_config('lock_timeout', least(50, 1000 * nullif(extract(epoch from limit_before::interval), 0))::integer::text, true);
    perform bridge_take_late(most, but);
    for it in
        -- Key 0 means that an unknown change was missed: only a comparison finds it.
        with news as (select ctid as at, apply, key, failed_at from bridge_failures
                where tried_at is null and (key <> 0 or apply = 'bridge_apply_rooms')
                and (apply <> 'bridge_apply_event' or key is distinct from but) order by failed_at limit most for update skip locked),
            others as (select ctid as at, apply, key, tried_at from bridge_failures
                where tried_at is not null and (key <> 0 or apply = 'bridge_apply_rooms')
                and (apply <> 'bridge_apply_event' or key is distinct from but) order by tried_at limit 100 for update skip locked)
        select apply, array_agg(key order by turn, since, key) as keys, array_agg(at) as noted
        from (select apply, key, at, 0 as turn, failed_at as since from news union all select apply, key, at, 1, tried_at from others) due
        group by apply order by array_position(bridge_turns(), apply)
    loop
        due := it.keys;
        while cardinality(due) > 0 and clock_timestamp() < until loop
            rest := '{}';
            if it.apply in ('bridge_apply_event', 'bridge_apply_patient') and cardinality(due) > 1 then
                page := due[:200];
                due := due[201:];
                busy := bridge_busy(it.apply, page);
                perform bridge_note(it.apply, busy, 'another transaction has locked the row', true);
                select f.rest into rest
                from bridge_follow_until(it.apply, array(select key from unnest(page) key where key <> all (busy)), until, true) f;
            else
                page := due[:1];
                due := due[2:];
                begin
                    perform bridge_apply(it.apply, page[1]);
                exception when others then
                    perform bridge_note(it.apply, page, sqlerrm, true);
                end;
            end if;
            -- By `ctid`: a row that was recorded again has another one.
            delete from bridge_failures where ctid = any (it.noted) and key = any (page) and key <> all (rest);
            get diagnostics gone = row_count;
            done := done + gone;
        end loop;
    end loop;
    perform set_config('lock_timeout', limit_before, true);
    perform set_config('partner_api.writing', before, true);
    return done;
end $$;

-- Records the changes that were made while a retry locked their record. One whose record is still locked waits for the next run.
create or replace function bridge_take_late(most bigint, but bigint) returns void
language plpgsql as $$
declare
    it record;
begin
    for it in
        select ctid as at, apply, key, failed_at, message from bridge_late where (key <> 0 or apply = 'bridge_apply_rooms')
            and (apply <> 'bridge_apply_event' or key is distinct from but) limit most for update skip locked
    loop
        begin
            insert into bridge_failures as f (apply, key, failed_at, message) values (it.apply, it.key, it.failed_at, it.message)
            on conflict (apply, key) do update set tried_at = null, attempts = f.attempts + 1, message = excluded.message;
            delete from bridge_late where ctid = it.at;
        exception when lock_not_available then null;
        end;
    end loop;
end $$;

-- Returns the keys whose rows of ours another transaction has locked; locks the rows of the others.
create or replace function bridge_busy(of text, keys bigint[]) returns bigint[]
language plpgsql as $$
declare
    free bigint[];
begin
    if of = 'bridge_apply_event' then
        free := array(select visit_id from visits where visit_id = any (keys) for no key update skip locked);
        return array(select visit_id from visits where visit_id = any (keys) and visit_id <> all (free));
    elsif of = 'bridge_apply_patient' then
        free := array(select patient_id from patients where patient_id = any (keys) for no key update skip locked);
        return array(select patient_id from patients where patient_id = any (keys) and patient_id <> all (free));
    end if;
    return '{}';
end $$;

-- Applies what is recorded before the API changes the row of this key: the triggers of that change cannot touch the row itself.
create or replace function bridge_refresh(of text, key bigint) returns void
language plpgsql as $$
begin
    if exists (select 1 from bridge_failures) or exists (select 1 from bridge_late) then
        perform bridge_catch_up(200, null, '300 ms');
    end if;
end $$;

-- If the EMR's tables reject a value (too long for its column, or against a rule of the EMR), the API's caller gets a specific error. If
-- another program has just assigned an id, the API retries.
create or replace function bridge_refuse(state text, message text) returns void
language plpgsql as $$
declare
    refusal text := case when message = 'emr_visit_type' then 'emr_visit_type' else 'emr_refuses' end;
begin
    if state = '23505' then raise serialization_failure using message = message; end if;
    raise check_violation using constraint = refusal, message = refusal, detail = message;
end $$;

-- Writes our change to the EMR in the same transaction, before our row, which takes the EMR's id.
create or replace function bridge_patient_changes() returns trigger
language plpgsql set search_path = partner_api, pg_temp as $$
begin
    perform set_config('partner_api.writing', 'ours', true);
    new.patient_id := emr_write_patient(case when tg_op = 'UPDATE' then old end, new);
    perform set_config('partner_api.writing', '', true);
    return new;
exception
    when data_exception or integrity_constraint_violation or raise_exception then
        perform bridge_refuse(sqlstate, sqlerrm);
    when syntax_error_or_access_rule_violation then
        raise cannot_connect_now using message = 'the bridge cannot write the EMR''s tables: ' || sqlerrm;
end $$;

create or replace function bridge_visit_changes() returns trigger
language plpgsql set search_path = partner_api, pg_temp as $$
begin
    perform set_config('partner_api.writing', 'ours', true);
    new.visit_id := emr_write_visit(case when tg_op = 'UPDATE' then old end, new);
    perform set_config('partner_api.writing', '', true);
    return new;
exception
    when data_exception or integrity_constraint_violation or raise_exception then
        perform bridge_refuse(sqlstate, sqlerrm);
    when syntax_error_or_access_rule_violation then
        raise cannot_connect_now using message = 'the bridge cannot write the EMR''s tables: ' || sqlerrm;
end $$;

-- Runs before all other triggers on visits. A booking must also respect recorded changes of the EMR. It applies all of them if they are few, otherwise
-- those near its time, and is rejected if it overlaps one of them, applied or not. If the EMR's tables cannot be read, the
-- caller gets 503.
create or replace function bridge_visit_begins() returns trigger
language plpgsql set search_path = partner_api, pg_temp as $$
declare
    noted bigint[];
    near bigint[];
    provider_from time := coalesce(new.provider_time, new.visit_time);
    booked_from timestamp := new.visit_date + provider_from + case when provider_from < new.visit_time then interval '1 day' else interval '0' end;
begin
    if (select loaded_at from bridge) is null then
        raise cannot_connect_now using message = 'the rows of the EMR are still being copied';
    end if;
    -- Time off that was committed after the caller read the calendar.
    if new.status not in ('Cancelled', 'NoShow', 'Deleted') and exists (
        select 1 from schedule_exceptions x join bridge_time_off b on b.exception_id = x.exception_id
        where x.exception_date between new.visit_date - 2 and new.visit_date + 2 and coalesce(x.provider_id, new.provider_id) = new.provider_id
          and (x.exception_date + coalesce(x.start_time, '00:00'), x.exception_date + coalesce(x.end_time, '24:00')
                + case when x.end_time <= x.start_time then interval '1 day' else interval '0' end)
            overlaps (booked_from, booked_from + coalesce(new.provider_duration, new.visit_duration) * interval '1 min'))
    then
        raise exclusion_violation using constraint = 'visits_provider_free', message = 'visits_provider_free';
    end if;
    -- After the days to which series are copied: from the moment that the horizon is raised until the next night, they end too early.
    if new.status not in ('Cancelled', 'NoShow', 'Deleted') and new.visit_date > (select renewed_until - 2 from bridge) then
        begin
            if exists (
                select 1 from emr_time_off(array(select event_id from emr_series(new.visit_date - 2))) t
                where t.in_series and t.exception_date between new.visit_date - 2 and new.visit_date + 2
                  and coalesce(t.provider_id, new.provider_id) = new.provider_id
                  and (t.exception_date + coalesce(t.start_time, '00:00'), t.exception_date + coalesce(t.end_time, '24:00')
                        + case when t.end_time <= t.start_time then interval '1 day' else interval '0' end)
                    overlaps (booked_from, booked_from + coalesce(new.provider_duration, new.visit_duration) * interval '1 min'))
            then
                raise exclusion_violation using constraint = 'visits_provider_free', message = 'visits_provider_free';
            end if;
        exception when syntax_error_or_access_rule_violation or data_exception then
            raise cannot_connect_now using message = 'the bridge cannot read the EMR''s tables: ' || sqlerrm;
        end;
    end if;
    if not exists (select 1 from bridge_failures) and not exists (select 1 from bridge_late) then return new; end if;
    if exists (select 1 from (select apply, key from bridge_failures union all select apply, key from bridge_late) f
        where apply = 'bridge_apply_event' and (key = 0 or tg_op = 'UPDATE' and key = new.visit_id))
    then
        raise cannot_connect_now using message = 'a change of the EMR is not known yet';
    end if;
    begin
        noted := array(select key from bridge_failures where apply = 'bridge_apply_event' union select key from bridge_late where apply = 'bridge_apply_event');
        -- After a statement that changed all events, expanding them would take longer than the caller waits.
        if cardinality(noted) > 1000 then
            noted := array(select key from unnest(noted) key intersect select event_id from emr_events_near(new.visit_date));
        end if;
        near := array(
            select e.visit_id from emr_visits(noted) e
            where e.visit_date between new.visit_date - 2 and new.visit_date + 2
              and (e.provider_id = new.provider_id or e.patient_id = new.patient_id or e.room_id = new.room_id)
            union
            select t.event_id from emr_time_off(noted) t
            where t.exception_date between new.visit_date - 2 and new.visit_date + 2 and coalesce(t.provider_id, new.provider_id) = new.provider_id);
    exception when syntax_error_or_access_rule_violation or data_exception then
        raise cannot_connect_now using message = 'the bridge cannot read the EMR''s tables: ' || sqlerrm;
    end;
    if (select count(*) from (select 1 from bridge_failures where tried_at is null limit 201) few) <= 200 then
        perform bridge_catch_up(200, case when tg_op = 'UPDATE' then new.visit_id end, '300 ms');
    elsif near <> '{}' then
        begin
            perform set_config('partner_api.writing', 'emr', true);
            perform bridge_follow_until('bridge_apply_event', near, clock_timestamp() + interval '300 ms', true);
            perform set_config('partner_api.writing', '', true);
        exception when lock_not_available then null;
        end;
    end if;
    if new.status not in ('Cancelled', 'NoShow', 'Deleted') and exists (
        select 1 from (
            select e.visit_date + e.visit_time as begins, e.visit_date + e.visit_time + e.visit_duration * interval '1 min' as ends
            from emr_visits(near) e
            where e.status not in ('Cancelled', 'NoShow', 'Deleted')
              and (e.provider_id = new.provider_id or e.patient_id = new.patient_id or e.room_id = new.room_id)
            union all
            select t.exception_date + coalesce(t.start_time, '00:00'),
                t.exception_date + coalesce(t.end_time, '24:00')
                    + case when t.end_time <= t.start_time then interval '1 day' else interval '0' end
            from emr_time_off(near) t where coalesce(t.provider_id, new.provider_id) = new.provider_id
        ) taken
        where (begins, ends) overlaps (new.visit_date + new.visit_time, new.visit_duration * interval '1 min'))
    then
        raise exclusion_violation using constraint = 'visits_provider_free', message = 'visits_provider_free';
    end if;
    return new;
end $$;

-- A type that the EMR lacks stays inactive: the EMR could not store its visits.
create or replace function bridge_visit_type_changes() returns trigger
language plpgsql set search_path = partner_api, pg_temp as $$
begin
    if current_setting('partner_api.writing', true) is distinct from 'emr'
        and not exists (select 1 from emr_visit_types() e where e.visit_type = new.visit_type and e.active)
    then
        new.active := false;
    end if;
    return new;
end $$;
create or replace trigger is_the_emrs before insert or update on visit_types
for each row when (new.active) execute function bridge_visit_type_changes();

-- The EMR's own changes are not written back to it.
create or replace trigger a_bridge_visit_begins before insert or update of provider_id, room_id, visit_date, visit_time, visit_duration on visits
for each row when (current_setting('partner_api.writing', true) is distinct from 'emr') execute function bridge_visit_begins();
create or replace trigger write_through before insert or update on patients
for each row when (current_setting('partner_api.writing', true) is distinct from 'emr') execute function bridge_patient_changes();
create or replace trigger write_through before insert or update on visits
for each row when (current_setting('partner_api.writing', true) is distinct from 'emr') execute function bridge_visit_changes();

-- Creates the triggers on the EMR's tables: one for each kind of statement, with a function for each table. The EMR's statement runs only into
-- this function, which catches every error behind it, including code that does not compile, and records the rows. A transaction of the EMR
-- spends at most 300 ms on waits and on statements of many rows; later rows are recorded. Nothing depends on the EMR's columns, so its
-- upgrades work. Recreated triggers are enabled. A trigger that is as it should be is left alone, so renewing the bridge locks no table of the EMR.
-- Others are created on all tables at once, or on none: the EMR's statements would queue behind a lock that waits, and one that wrote to the first
-- table while we wait for the second would deadlock with us, and could be the one that fails.
create or replace function bridge_watch() returns void
language plpgsql as $watch$
declare
    it bridge_watched;
    key text;
    missing text := '';
    limit_before text := current_setting('lock_timeout');
begin
    for it in select * from bridge_watched loop
        key := case when it.key = '' then '0' else quote_ident(it.key) end;
        execute format($hook$
            create or replace function bridge_hook_%1$s() returns trigger
            language plpgsql security definer set search_path = partner_api, pg_temp set lock_timeout = '300ms' as $$
            declare
                began timestamptz := clock_timestamp();
                spent integer;
                failed text;
                keys bigint[];
            begin
                if current_setting('partner_api.writing', true) = 'ours' then return null; end if;
                begin
                    spent := coalesce(nullif(current_setting('partner_api.spent', true), ''), '0')::integer;
                    if tg_op = 'INSERT' then
                        keys := array(select distinct n.key::bigint from (select %2$s as key from new_rows) n);
                    elsif tg_op = 'DELETE' then
                        keys := array(select distinct o.key::bigint from (select %2$s as key from old_rows) o);
                    else
                        keys := array(select n.key::bigint from (select %2$s as key from new_rows) n
                            union select o.key::bigint from (select %2$s as key from old_rows) o);
                    end if;
                    if keys = '{}' then return null; end if;
                    perform set_config('lock_timeout', greatest(300 - spent, 1)::text, true);
                    perform set_config('partner_api.writing', 'emr', true);
                    if cardinality(keys) = 1 then
                        perform bridge_apply(%3$L, keys[1]);
                    else
                        perform bridge_follow(%3$L, keys, began + greatest(300 - spent, 1) * interval '1 ms', false);
                    end if;
                    perform set_config('partner_api.writing', '', true);
                exception when others then
                    failed := sqlerrm;
                end;
                if failed is not null or clock_timestamp() - began > interval '5 ms' then
                    perform set_config('partner_api.spent',
                        (coalesce(spent, 0) + ceil(extract(epoch from clock_timestamp() - began) * 1000)::integer)::text, true);
                end if;
                if failed is not null then
                    begin
                        perform set_config('lock_timeout', '5ms', true);
                        -- Without a key, record that something was missed.
                        perform bridge_note(%3$L, coalesce(keys, array[0::bigint]), failed, false);
                    exception when others then
                        begin
                            -- A retry has locked the record; do not wait for it.
                            perform set_config('lock_timeout', '5ms', true);
                            insert into bridge_late (apply, key, message) select %3$L, it, failed from unnest(coalesce(keys, array[0::bigint])) it where it is not null;
                        exception when others then
                            raise warning 'partner_api: %% of %% could not be noted: %%', tg_op, tg_relid::regclass, failed;
                        end;
                    end;
                end if;
                return null;
            end $$ $hook$,
            replace(it.apply, 'bridge_apply_', ''), key, it.apply);
        continue when 3 = (
            select count(*) from pg_trigger t
            where t.tgrelid = to_regclass(it.emr_table) and t.tgname in ('partner_api_inserts', 'partner_api_updates', 'partner_api_deletes')
              and t.tgenabled = 'O' and t.tgfoid = to_regproc(format('partner_api.bridge_hook_%s', replace(it.apply, 'bridge_apply_', '')))
              -- After statements of one kind, with their rows.
              and t.tgtype = case t.tgname when 'partner_api_inserts' then 4 when 'partner_api_updates' then 16 else 8 end
              and (t.tgnewtable is not null) = (t.tgname <> 'partner_api_deletes') and (t.tgoldtable is not null) = (t.tgname <> 'partner_api_inserts'));
        missing := missing || format('create or replace trigger partner_api_inserts after insert on %1$s referencing new table as new_rows
                for each statement execute function partner_api.bridge_hook_%2$s();
            create or replace trigger partner_api_updates after update on %1$s referencing old table as old_rows new table as new_rows
                for each statement execute function partner_api.bridge_hook_%2$s();
            create or replace trigger partner_api_deletes after delete on %1$s referencing old table as old_rows
                for each statement execute function partner_api.bridge_hook_%2$s();', it.emr_table, replace(it.apply, 'bridge_apply_', ''));
    end loop;
    for attempt in 1..40 loop
        exit when missing = '';
        begin
            perform set_config('lock_timeout', '50ms', true);
            execute missing;
            exit;
        exception when lock_not_available then
            if attempt = 40 then raise; end if;
            perform pg_sleep(0.05);
        end;
    end loop;
    perform set_config('lock_timeout', limit_before, true);
end $watch$;
select bridge_watch();

-- The order matters: visits need their rooms, providers, types and patients.
create or replace function bridge_turns() returns text[]
language sql immutable as $$
    select array['bridge_apply_rooms', 'bridge_apply_provider', 'bridge_apply_visit_type', 'bridge_apply_patient', 'bridge_apply_event']
$$;

-- Returns the next keys of both sides after `after`, in order, at most `most`. A table that is watched as a whole is one page with the key 0.
create or replace function bridge_page(of text, after bigint, most bigint) returns bigint[]
language plpgsql stable as $$
declare
    watched bridge_watched;
    page text := '(select %1$I::bigint as key from %2$s where %1$I > $1 order by %1$I limit $2)';
    pages text;
    keys bigint[];
begin
    select * into strict watched from bridge_watched w where w.apply = of;
    pages := format(page, watched.key, watched.emr_table) || ' union ' || case of
        when 'bridge_apply_provider' then format(page, 'provider_id', 'providers')
        when 'bridge_apply_patient' then format(page, 'patient_id', 'patients')
        when 'bridge_apply_event' then format(page, 'visit_id', 'visits') || ' union ' || format(page, 'event_id', 'bridge_time_off')
    end;
    if pages is null or watched.key = '' then
        return case when after < 0 then array[0] end;
    end if;
    execute format('select array_agg(key order by key) from (select key from (%s) pages order by key limit $2) page', pages)
        into keys using after, most;
    return keys;
end $$;

-- Returns the keys whose rows differ between the EMR and us, and how they differ.
create or replace function bridge_differences(of text, keys bigint[]) returns table (key bigint, kind text)
language plpgsql stable as $differences$
begin
    if of = 'bridge_apply_rooms' then
        return query
        select 0::bigint, case when e.room is null then 'surplus' when r.resource_id is null then 'missing' else 'different' end
        from emr_rooms() e full join bridge_rooms b on b.room = e.room left join resources r on r.resource_id = b.resource_id
        where r.resource_id is null or e.room is null and r.active or (e.name, e.active) is distinct from (r.name, r.active) and e.room is not null;
    elsif of = 'bridge_apply_provider' then
        return query
        select coalesce(e.provider_id, o.provider_id),
            case when o.provider_id is null then 'missing' when e.provider_id is null then 'surplus' else 'different' end
        from emr_providers(keys) e
        full join (select * from providers p where p.provider_id = any (keys)) o on o.provider_id = e.provider_id
        where o.provider_id is null or e.provider_id is null and o.active
           or (e.name, e.title, e.specialty, e.active) is distinct from (o.name, o.title, o.specialty, o.active) and e.provider_id is not null;
    elsif of = 'bridge_apply_visit_type' then
        return query
        select coalesce(min(e.type_id), 0)::bigint,
            case when o.visit_type is null then 'missing' when e.visit_type is null then 'surplus' else 'different' end
        from emr_visit_types() e full join visit_types o on o.visit_type = e.visit_type
        group by o.visit_type, o.active, e.visit_type
        having o.visit_type is null or e.visit_type is null and o.active or bool_or(e.active) <> o.active;
    elsif of = 'bridge_apply_patient' then
        return query
        select coalesce(e.patient_id, o.patient_id),
            case when o.patient_id is null then 'missing' when e.patient_id is null then 'surplus' else 'different' end
        from emr_patients(keys) e
        full join (select * from patients p where p.patient_id = any (keys)) o on o.patient_id = e.patient_id
        where (e.patient_id, e.first_name, e.mi, e.last_name, e.gender, e.dob, e.primary_language, e.phone, e.cell_phone, e.email, e.address,
                e.city, e.state, e.zip, e.country, e.provider_id)
            is distinct from
            (o.patient_id, o.first_name, o.mi, o.last_name, o.gender, o.dob, o.primary_language, o.phone, o.cell_phone, o.email, o.address,
                o.city, o.state, o.zip, o.country, o.provider_id);
    else
        -- Dynamic for the same reason as above.
        return query execute $$
        select coalesce(e.visit_id, o.visit_id),
            case when o.visit_id is null then 'missing' when e.visit_id is null then 'surplus' else 'different' end
        from emr_visits($1) e
        full join (select * from visits v where v.visit_id = any ($1)) o on o.visit_id = e.visit_id
        where e.visit_id is null and o.status <> 'Deleted' or e.visit_id is not null
          and (e.patient_id, e.provider_id, e.room_id, e.visit_type, e.visit_date, e.visit_time, e.visit_duration, e.visit_complaint, e.status)
            is distinct from
            (o.patient_id, o.provider_id, o.room_id, o.visit_type, o.visit_date, o.visit_time, o.visit_duration, o.visit_complaint, o.status)
        $$ using keys;
        -- Days that `bridge_renew` has not reached yet are not a difference.
        return query execute $$
        select distinct coalesce(e.event_id, o.event_id)::bigint, 'different time off'
        from emr_time_off($1) e full join (
            select b.event_id, x.provider_id, x.exception_date, x.start_time, x.end_time
            from bridge_time_off b join schedule_exceptions x on x.exception_id = b.exception_id where b.event_id = any ($1)) o
          on (o.event_id, o.exception_date) = (e.event_id, e.exception_date)
        where (o.event_id, o.provider_id, o.start_time, o.end_time) is distinct from (e.event_id, e.provider_id, e.start_time, e.end_time)
          and coalesce(e.exception_date, o.exception_date) >= current_date
          and (e.in_series is not true or e.exception_date <= coalesce((select renewed_until from bridge), 'infinity'))
        $$ using keys;
    end if;
end $differences$;

-- Returns the differences of a page, with its last key; no row after the last page.
create or replace function bridge_compare(of text, after bigint, most bigint)
returns table (last bigint, kind text, count bigint, example bigint)
language plpgsql stable set jit = off as $$
declare
    keys bigint[];
begin
    keys := bridge_page(of, after, most);
    if keys is null then return; end if;
    return query
    select keys[cardinality(keys)], d.kind, count(d.key), min(d.key)
    from (select) page left join bridge_differences(of, keys) d on true group by d.kind;
exception
    when syntax_error_or_access_rule_violation then
        -- `bridge_check` reports unreadable tables.
        return;
    when data_exception then
        -- The pages after this one are compared all the same.
        return query select keys[cardinality(keys)], 'a row cannot be read', 1::bigint, keys[1];
end $$;

-- Returns all findings except differing rows; no row if there are none.
create or replace function bridge_check() returns table (finding text, count bigint, example text)
language plpgsql as $$
declare
    it record;
    changed text[] := '{}';
    unreadable text;
begin
    return query
    select 'EMR table without our triggers', count(*), min(w.emr_table)
    from bridge_watched w where 3 > (
        select count(*) from pg_trigger t join pg_proc p on p.oid = t.tgfoid
        where t.tgrelid = to_regclass(w.emr_table) and t.tgname in ('partner_api_inserts', 'partner_api_updates', 'partner_api_deletes')
          and t.tgenabled in ('O', 'A') and p.pronamespace = 'partner_api'::regnamespace and p.prosecdef
          and p.proname = 'bridge_hook_' || replace(w.apply, 'bridge_apply_', ''))
    having count(*) > 0;
    return query
    select 'missing privilege', count(*), string_agg(g.statement, ' ' order by g.statement) from bridge_ungranted g having count(*) > 0;
    return query
    select 'missing trigger on our tables', count(*), min(own) from unnest(array['a_bridge_visit_begins on visits', 'write_through on visits',
        'write_through on patients', 'is_the_emrs on visit_types']) own
    where not exists (select 1 from pg_trigger t where t.tgname || ' on ' || t.tgrelid::regclass = own and t.tgenabled in ('O', 'A'))
    having count(*) > 0;
    return query
    select 'EMR change not applied yet', count(*), min(replace(replace(apply, 'bridge_apply_', ''), '_', ' ') || ' ' || key || ': ' || message)
    from (select apply, key, message from bridge_failures union all select apply, key, message from bridge_late) f having count(*) > 0;
    -- Tables and columns that the EMR has renamed, dropped or changed.
    for it in
        select p.proname, pg_get_function_identity_arguments(p.oid) as takes from pg_proc p
        where p.pronamespace = 'partner_api'::regnamespace and p.proname like 'emr\_%' and p.proretset and p.prolang =
            (select oid from pg_language where lanname = 'sql') order by p.proname
    loop
        begin
            execute format('select from %I(%s) limit 0', it.proname,
                case it.takes when '' then '' else 'null::' || split_part(it.takes, ' ', 2) end);
        exception
            -- Without the tables, whose privileges `bridge_grants` lists.
            when insufficient_privilege then unreadable := coalesce(unreadable, it.proname || ': ' || sqlerrm);
            when syntax_error_or_access_rule_violation or data_exception then
                changed := changed || (it.proname || ': ' || sqlerrm);
        end;
    end loop;
    if changed <> '{}' then
        return query select 'the EMR''s tables have changed', cardinality(changed)::bigint, changed[1];
    elsif unreadable is not null then
        -- A view of the EMR's, or a row policy, can deny access that a grant allows.
        if not exists (select 1 from bridge_ungranted) then
            return query select 'the EMR''s tables cannot be read', 1::bigint, unreadable;
        end if;
    else
        return query
        select 'EMR value without a meaning here: ' || what, count(*), min(n.key) from emr_not_understood() n group by 1;
    end if;
end $$;

-- Extends the next series after `after`, at most `most`, as far as can be booked today. Returns how many got more days, and the last one; none after the
-- last page. Each page is short, so that the nightly run's limits hold however many series there are.
create or replace function bridge_renew_some(after bigint, most bigint, out done bigint, out last bigint)
language plpgsql as $$
declare
    before date := (select renewed_until from bridge);
    keys bigint[] := array(select s.event_id from emr_series(before) s where s.event_id > after order by s.event_id limit most);
    busy bigint[];
begin
    last := keys[cardinality(keys)];
    done := 0;
    if last is null then
        update bridge set renewed_until = bridge_reach();
        return;
    end if;
    -- One row of each series is enough to make a change of it wait for us. A series that is being changed is recorded: if that change is rolled back,
    -- nobody else extends it.
    with newest as (select max(b.exception_id) as exception_id from bridge_time_off b where b.event_id = any (keys) group by b.event_id),
        free as (select b.event_id from bridge_time_off b where b.exception_id in (select exception_id from newest) for share skip locked)
    select array(select b.event_id from bridge_time_off b where b.event_id = any (keys) except select event_id from free) into busy;
    insert into bridge_late (apply, key, message) select 'bridge_apply_event', key, 'another transaction has locked the row' from unnest(busy) key;
    with off as materialized (
        select nextval(pg_get_serial_sequence('partner_api.schedule_exceptions', 'exception_id')) as exception_id, o.*
        from emr_time_off(array(select key from unnest(keys) key where key <> all (busy))) o
        where o.in_series and o.exception_date > before
          and not exists (select 1 from bridge_time_off b join schedule_exceptions x on x.exception_id = b.exception_id
                          where b.event_id = o.event_id and x.exception_date = o.exception_date)),
    made as (
        insert into schedule_exceptions (exception_id, provider_id, exception_date, kind, start_time, end_time)
        select exception_id, provider_id, exception_date, 'off', start_time, end_time from off),
    kept as (
        insert into bridge_time_off (event_id, exception_id) select event_id, exception_id from off)
    select count(distinct event_id) into done from off;
exception when data_exception or integrity_constraint_violation then
    -- One of them cannot be extended: each by itself, and that one is recorded.
    perform set_config('partner_api.writing', 'emr', true);
    foreach last in array keys loop
        begin
            perform bridge_apply_event(last);
            done := done + 1;
        exception when others then
            perform bridge_note('bridge_apply_event', array[last], sqlerrm, true);
        end;
    end loop;
    perform set_config('partner_api.writing', '', true);
end $$;

-- The same for all series.
create or replace function bridge_renew() returns bigint
language plpgsql as $$
declare
    page record;
    after bigint := -1;
    done bigint := 0;
begin
    loop
        select * into page from bridge_renew_some(after, 100);
        done := done + page.done;
        after := page.last;
        exit when after is null;
    end loop;
    return done;
end $$;

-- Compares the next rows, at most `most`, and corrects ours. It continues where the previous call ended, unless that was more than an hour ago. Each row
-- has one turn: a row that fails is recorded. With `loading`, partners get no events, but only until all rows were copied once.
create or replace function bridge_go_on(most bigint, loading boolean, out compared bigint, out repaired bigint, out is_whole boolean)
language plpgsql as $$
declare
    here bridge;
    of text;
    keys bigint[];
    noted tid[];
    late tid[];
    busy bigint[];
    limit_before text := current_setting('lock_timeout');
    is_last boolean;
begin
    select * into strict here from bridge for update;
    if here.went_on_at is null or here.went_on_at < now() - interval '1 hour' then
        here.turn := 1;
        here.after := -1;
    end if;
    loading := loading and here.loaded_at is null;
    of := (bridge_turns())[here.turn];
    perform set_config('partner_api.writing', 'emr', true);
    perform set_config('partner_api.loading', case when loading then 'on' else '' end, true);
    if here.after < 0 and of <> 'bridge_apply_rooms' then
        -- Key 0: a change was missed before now, and this comparison finds it. If a change is missed meanwhile, key 0 is recorded again.
        with unknown as (delete from bridge_late where apply = of and key = 0 returning failed_at, message)
        insert into bridge_failures (apply, key, failed_at, message) select of, 0, min(failed_at), min(message) from unknown having count(*) > 0
        on conflict (apply, key) do nothing;
        update bridge_failures set tried_at = clock_timestamp() where apply = of and key = 0;
    end if;
    keys := coalesce(bridge_page(of, here.after, most), '{}');
    compared := cardinality(keys);
    noted := array(select ctid from bridge_failures where apply = of and (key = any (keys) or keys = array[0::bigint]) for update skip locked);
    late := array(select ctid from bridge_late where apply = of and (key = any (keys) or keys = array[0::bigint]) for update skip locked);
    if compared > 0 then
        -- A row that another transaction has locked is recorded, and does not stop the others.
        perform set_config('lock_timeout', least(100, 1000 * nullif(extract(epoch from limit_before::interval), 0))::integer::text, true);
        busy := bridge_busy(of, bridge_differing(of, keys));
        -- Skip a row whose record a retry has locked: the retry applies or keeps it, and recording it again would wait for the retry.
        perform bridge_note(of, array(select k.key from unnest(busy) k (key) where not exists (
                select 1 from bridge_failures f where f.apply = of and f.key = k.key and f.ctid <> all (noted))),
            'another transaction has locked the row', true);
        repaired := bridge_follow(of, array(select key from unnest(keys) key where key <> all (busy)), null, true);
        perform set_config('lock_timeout', limit_before, true);
    else
        repaired := 0;
    end if;
    -- By `ctid`: this leaves rows that were recorded meanwhile, by this run or by the EMR.
    delete from bridge_failures where ctid = any (noted);
    delete from bridge_late where ctid = any (late);
    is_last := compared < most or keys = array[0::bigint];
    if is_last then
        delete from bridge_failures where apply = of and of <> 'bridge_apply_rooms' and key = 0 and tried_at is not null;
        here.turn := here.turn + 1;
        here.after := -1;
    else
        here.after := keys[compared];
    end if;
    -- Rooms and visit types are one key for all their rows.
    compared := greatest(compared, repaired);
    is_whole := here.turn > cardinality(bridge_turns());
    if is_whole then
        analyze patients, visits, schedule_exceptions, bridge_time_off;
        perform bridge_renew();
        perform set_config('partner_api.writing', '', true);
    end if;
    update bridge set turn = here.turn, after = here.after, went_on_at = case when not is_whole then now() end,
        loaded_at = coalesce(loaded_at, case when is_whole then now() end);
    perform set_config('partner_api.writing', '', true);
    perform set_config('partner_api.loading', '', true);
end $$;

-- Return the highest id known to have been assigned; after a restore, make new rows get ids above `last`.
create or replace function bridge_last_id(of_table text) returns bigint
language plpgsql stable as $$
begin
    return case of_table
        when 'visits' then greatest((select max(visit_id) from visits), (select visits_above from bridge))
        when 'patients' then greatest((select max(patient_id) from patients), (select patients_above from bridge))
    end;
end $$;
create or replace function bridge_begin_above(of_table text, last bigint) returns void
language plpgsql as $$
begin
    update bridge set visits_above = greatest(visits_above, last) where of_table = 'visits';
    update bridge set patients_above = greatest(patients_above, last) where of_table = 'patients';
    perform set_config('partner_api.writing', 'ours', true);
    perform emr_begin_above(of_table, last);
    perform set_config('partner_api.writing', '', true);
end $$;

-- Writes as the API and as the EMR, and returns the changes that did not arrive on the other side. The caller rolls back.
create or replace function bridge_trial() returns setof text
language plpgsql as $$
declare
    patient bigint := (select min(patient_id) from patients);
    a visits;
    p patients;
    own bigint;
begin
    select patient, pr.provider_id, t.visit_type, current_date + 3653, time '10:00', 30, 'Scheduled'
    into a.patient_id, a.provider_id, a.visit_type, a.visit_date, a.visit_time, a.visit_duration, a.status
    from (select min(provider_id) as provider_id from providers where active) pr,
        (select min(visit_type) as visit_type from emr_visit_types() where active) t;
    if a.patient_id is null or a.provider_id is null or a.visit_type is null then
        return next 'the trial needs a patient, an active provider and an active visit type';
        return;
    end if;
    begin
        insert into visits (patient_id, provider_id, visit_type, visit_date, visit_time, visit_duration)
        values (a.patient_id, a.provider_id, a.visit_type, a.visit_date, a.visit_time, a.visit_duration) returning visit_id into own;
        if not exists (select 1 from emr_visits(array[own])) then
            return next 'a visit booked through the API does not arrive in the EMR';
        end if;
        update visits set status = 'Cancelled' where visit_id = own;
        if (select status from emr_visits(array[own])) is distinct from 'Cancelled' then
            return next 'a cancellation through the API does not arrive in the EMR';
        end if;
        update patients set phone = '+1 555 0100', version = version + 1 where patient_id = patient;
        if (select phone from emr_patients(array[patient])) is distinct from '+1 555 0100' then
            return next 'a patient change through the API does not arrive in the EMR';
        end if;
    exception when others then
        return next 'writing through the API fails: ' || sqlerrm;
    end;
    -- The same writes, as the EMR.
    begin
        a.visit_date := a.visit_date + 1;
        own := emr_write_visit(null, a);
        if not exists (select 1 from visits where visit_id = own and visit_date = a.visit_date) then
            return next 'a visit entered in the EMR does not arrive here';
        end if;
        a.visit_id := own;
        perform emr_write_visit(a, jsonb_populate_record(a, '{"status": "Cancelled"}'));
        if (select status from visits where visit_id = own) is distinct from 'Cancelled' then
            return next 'a cancellation in the EMR does not arrive here';
        end if;
        select * into p from patients where patient_id = patient;
        perform emr_write_patient(p, jsonb_populate_record(p, '{"cell_phone": "+1 555 0101"}'));
        if (select cell_phone from patients where patient_id = patient) is distinct from '+1 555 0101' then
            return next 'a patient change in the EMR does not arrive here';
        end if;
    exception when others then
        return next 'writing as the EMR fails: ' || sqlerrm;
    end;
    return query select 'an EMR change was not applied: ' || f.message from bridge_failures f where f.failed_at = now();
end $$;
