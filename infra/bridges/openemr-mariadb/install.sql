-- Synchronizes MariaDB's tables and a practice's. Run as the practice's role, in its schema, after `map.sql`. Running it again renews functions
-- and triggers and preserves the rows.
set local search_path = partner_api;

-- At most four transactions of a practice call MariaDB at a time: mysql_fdw has no time-outs, and a backend in a call ignores cancellation. If
-- MariaDB hangs, four backends wait until it answers or the connection breaks; all others fail after a second and hold no locks.
create or replace function bridge_enter() returns void
language plpgsql set lock_timeout = '1s' set search_path = partner_api, pg_temp as $$
declare
    slots integer := 4;
begin
    if current_setting('partner_api.entered', true) = 'on' then return; end if;
    for slot in 1..slots loop
        if pg_try_advisory_xact_lock(20926, slot) then
            perform set_config('partner_api.entered', 'on', true);
            return;
        end if;
    end loop;
    perform pg_advisory_xact_lock(20926, 1 + floor(random() * slots)::integer);
    perform set_config('partner_api.entered', 'on', true);
exception when lock_not_available then
    raise fdw_unable_to_establish_connection using message = 'MariaDB does not answer: all connections to it are in use';
end $$;

-- Returns outbox rows that no committed transaction has applied, at most `most`. Reopens a connection that MariaDB has closed, before anything is written: the
-- TLS library notices that at the first attempt, mysql_fdw at the second.
create or replace function bridge_news(most integer) returns emr_outbox[]
language plpgsql set search_path = partner_api, pg_temp as $$
declare
    news emr_outbox[];
    -- A row that was committed late has a lower id than rows that are applied.
    known bigint := (select count(*) from bridge_pulled);
begin
    perform bridge_enter();
    for attempt in 1..3 loop
        begin
            -- Unordered: mysql_fdw writes `order by` in a form that no index serves.
            execute format('select array_agg(o) from (select o from (select * from emr_outbox limit %s) o
                where not exists (select 1 from bridge_pulled p where p.id = o.id) limit %s) o(o)', known + most, most) into news;
            return coalesce(news, '{}');
        exception when fdw_error then
            if attempt = 3 then raise; end if;
        end;
    end loop;
end $$;

-- Applies changes of the EMR until the time `until`, and waits for no lock beyond it. A change that fails is recorded for a retry and does not stop the
-- others. The events, which are last, are read together, after our rows are locked.
create or replace function bridge_apply_news(news emr_outbox[], until timestamptz) returns bigint
language plpgsql set search_path = partner_api, pg_temp as $$
declare
    it record;
    before text := coalesce(current_setting('partner_api.writing', true), '');
    limit_before text := current_setting('lock_timeout');
    allowed numeric := nullif(extract(epoch from limit_before::interval), 0);
    done bigint := 0;
    locked bigint[];
    events openemr_postcalendar_events[];
begin
    perform set_config('partner_api.writing', 'emr', true);
    for it in
        select n.apply, n.key, array_agg(n.id) as ids from unnest(news) n join unnest(bridge_turns()) with ordinality turn (of, at) on turn.of = n.apply
        group by n.apply, n.key, turn.at order by turn.at, min(n.id)
    loop
        perform set_config('lock_timeout', greatest(1000 * least(allowed, extract(epoch from until - clock_timestamp())), 1)::integer::text, true);
        begin
            if it.apply = 'bridge_apply_event' and locked is null then
                locked := array(select v.visit_id from visits v where v.visit_id in (select n.key from unnest(news) n where n.apply = it.apply)
                    order by v.visit_id for no key update skip locked);
                events := emr_read_some_events(array(select distinct n.key from unnest(news) n where n.apply = it.apply));
            end if;
            if it.apply = 'bridge_apply_event' and (it.key = any (locked) or not exists (select 1 from visits where visit_id = it.key)) then
                perform bridge_apply_event(it.key, array(select e from unnest(events) e where e.pc_eid = it.key));
            else
                execute format('select partner_api.%I($1)', it.apply) using it.key;
            end if;
            delete from bridge_failures where apply = it.apply and key = it.key;
        exception
            when fdw_error then raise;
            when others then perform bridge_note(it.apply, it.key, sqlerrm);
        end;
        insert into bridge_pulled (id) select unnest(it.ids) on conflict do nothing;
        done := done + cardinality(it.ids);
        exit when clock_timestamp() > until;
    end loop;
    perform set_config('lock_timeout', limit_before, true);
    perform set_config('partner_api.writing', before, true);
    return done;
end $$;

-- Applies the EMR's newest changes for a booking, within limits: 20 changes and 150 ms. Does not wait if another transaction is pulling.
-- `but` is the visit that the caller's statement changes, which cannot be changed twice: the next pull applies it. Returns whether our tables have
-- all changes now.
create or replace function bridge_follow(but bigint default null) returns boolean
language plpgsql set search_path = partner_api, pg_temp as $$
declare
    news emr_outbox[];
    applied bigint;
begin
    if not pg_try_advisory_xact_lock(20926, 0) then return false; end if;
    news := bridge_news(20);
    applied := bridge_apply_news(array(select n from unnest(news) n where n.apply <> 'bridge_apply_event' or n.key is distinct from but),
        clock_timestamp() + interval '150 ms');
    return applied = cardinality(news) and applied < 20 and not exists (select 1 from bridge_failures);
end $$;

-- Applies the EMR's row of this key, before the API changes it. Reopens a connection that MariaDB has closed.
create or replace function bridge_refresh(of text, key bigint) returns void
language plpgsql set search_path = partner_api, pg_temp as $$
declare
    before text := coalesce(current_setting('partner_api.writing', true), '');
begin
    perform bridge_enter();
    perform set_config('partner_api.writing', 'emr', true);
    for attempt in 1..3 loop
        begin
            execute format('select partner_api.%I($1)', of) using key;
            delete from bridge_failures f where f.apply = of and f.key = bridge_refresh.key;
            exit;
        exception
            when fdw_error then if attempt = 3 then raise; end if;
            when others then
                perform bridge_note(of, key, sqlerrm);
                exit;
        end;
    end loop;
    perform set_config('partner_api.writing', before, true);
end $$;

-- Deletes outbox rows and writes in MariaDB that are committed here. If this transaction fails afterwards, the next one repeats the deletion.
create or replace function bridge_acknowledge() returns void
language plpgsql set search_path = partner_api, pg_temp as $$
declare
    ids jsonb := (select coalesce(jsonb_agg(p.id), '[]') from (select id from bridge_pulled order by id limit 10000) p);
    -- Without the tokens of this transaction, which is not committed yet.
    tokens jsonb := (select coalesce(jsonb_agg(t.token), '[]') from (select token from bridge_tokens
        where writer <> pg_current_xact_id() order by created_at limit 10000) t);
begin
    if ids = '[]' and tokens = '[]' then return; end if;
    -- Not null, or MariaDB's trigger would refresh the rest of the row.
    update partner_api_state set acknowledged = ids::text, settled = tokens::text where singleton = 1;
    delete from bridge_pulled where id in (select i::bigint from jsonb_array_elements_text(ids) i);
    delete from bridge_tokens where token in (select t::bigint from jsonb_array_elements_text(tokens) t);
end $$;

-- Undoes writes whose transactions failed here, newest first. Skips a token of an open transaction: inserting it would wait for that transaction.
create or replace function bridge_sweep(most bigint) returns bigint
language plpgsql set lock_timeout = '20ms' set search_path = partner_api, pg_temp as $$
declare
    it record;
    swept bigint := 0;
    is_new boolean;
begin
    for it in
        select * from (select token, seq, 'visits' as of from partner_api_visits union all select token, seq, 'patients' from partner_api_patients) t
        order by of desc, seq desc limit most
    loop
        begin
            insert into bridge_tokens (token, is_undone) values (it.token, true) on conflict do nothing;
            is_new := found;
        exception when lock_not_available then
            is_new := false;
        end;
        if is_new then
            if it.of = 'visits' then
                update partner_api_visits set is_undone = 1 where token = it.token;
            else
                update partner_api_patients set is_undone = 1 where token = it.token;
            end if;
            swept := swept + 1;
        end if;
    end loop;
    return swept;
end $$;

-- Acknowledges, sweeps, and applies the EMR's changes. The poller calls it before it reads the log. Returns the number of changes applied.
create or replace function bridge_pull(most bigint) returns bigint
language plpgsql set search_path = partner_api, pg_temp as $$
declare
    applied bigint;
begin
    perform bridge_enter();
    if not pg_try_advisory_xact_lock(20926, 0) then return 0; end if;
    -- The first call reopens a closed connection.
    perform bridge_news(1);
    perform bridge_acknowledge();
    perform bridge_sweep(most);
    applied := bridge_apply_news(bridge_news(most::integer), clock_timestamp() + interval '2 s');
    if exists (select 1 from bridge_failures) then perform bridge_catch_up('500 ms'); end if;
    return applied;
end $$;

-- Returns a new token, which is stored here before MariaDB has it.
create or replace function bridge_token() returns bigint
language sql set search_path = partner_api, pg_temp as $$
    insert into bridge_tokens (token) values (('x' || left(replace(gen_random_uuid()::text, '-', ''), 13))::bit(52)::bigint) returning token
$$;

-- Raises the error that corresponds to the result of MariaDB's triggers.
create or replace function bridge_answer(result text, message text) returns void
language plpgsql set search_path = partner_api, pg_temp as $$
begin
    case result
        when 'written' then return;
        when 'provider', 'room', 'patient' then
            raise exclusion_violation using constraint = 'visits_' || result || '_free', message = 'visits_' || result || '_free';
        when 'refused' then raise check_violation using constraint = 'emr_refuses', message = 'emr_refuses', detail = message;
        else raise serialization_failure using message = 'the row no longer exists in the EMR; the next attempt sees that';
    end case;
end $$;

-- Rejects an overlap that the constraints on visits would reject, before MariaDB has its row.
create or replace function bridge_overlap(v visits) returns void
language plpgsql set search_path = partner_api, pg_temp as $$
declare
    taken text := (
        select case when bool_or(o.provider_id = v.provider_id and o.provider_starts_at < v.provider_ends_at and o.provider_ends_at > v.provider_starts_at)
                then 'visits_provider_free'
            when bool_or(o.room_id = v.room_id) then 'visits_room_free' when bool_or(o.patient_id = v.patient_id) then 'visits_patient_free' end
        from visits o
        where (o.provider_id = v.provider_id or o.patient_id = v.patient_id or o.room_id = v.room_id) and o.visit_id is distinct from v.visit_id
          and o.visit_date between v.visit_date - 2 and v.visit_date + 2 and o.starts_at < v.ends_at and o.ends_at > v.starts_at
          and o.status not in ('Cancelled', 'NoShow', 'Deleted') and o.bound and not o.overlap_allowed and not v.overlap_allowed);
begin
    if taken is not null then raise exclusion_violation using constraint = taken, message = taken; end if;
end $$;

-- Whether one of these times off overlaps a visit's provider time.
create or replace function bridge_takes(v visits, spans bridge_span[]) returns boolean
language sql stable set search_path = partner_api, pg_temp as $$
    select exists (
        select 1 from unnest(spans) x,
            lateral (select coalesce(v.provider_time, v.visit_time) as provider_time) p,
            lateral (select v.visit_date + p.provider_time + case when p.provider_time < v.visit_time then interval '1 day' else interval '0' end as begins) b
        where x.day between v.visit_date - 2 and v.visit_date + 2 and coalesce(x.provider_id, v.provider_id) = v.provider_id
          and (x.day + coalesce(x.start_time, '00:00'),
                x.day + coalesce(x.end_time, '24:00') + case when x.end_time <= x.start_time then interval '1 day' else interval '0' end)
            overlaps (begins, begins + coalesce(v.provider_duration, v.visit_duration) * interval '1 min'))
$$;
-- Rejects a visit in time off that the bridge has applied.
create or replace function bridge_time_off_overlap(v visits) returns void
language plpgsql set search_path = partner_api, pg_temp as $$
begin
    if v.status not in ('Cancelled', 'NoShow', 'Deleted') and bridge_takes(v, array(
        select (x.provider_id, x.exception_date, x.start_time, x.end_time)::bridge_span
        from schedule_exceptions x join bridge_time_off b on b.exception_id = x.exception_id
        where x.exception_date between v.visit_date - 2 and v.visit_date + 2))
    then
        raise exclusion_violation using constraint = 'visits_provider_free', message = 'visits_provider_free';
    end if;
end $$;

-- Each `bridge_apply_…` function makes our rows equal to the EMR's current row of a key. Calling it again changes nothing.
-- `partner_api.writing` says whose change is being applied: 'emr', 'ours', or neither.
create or replace function bridge_log(of_table text, kind text, id bigint) returns void
language sql as $$
    -- Rows from before the practice was attached create no events.
    insert into log (table_name, action, record_id, logged_at)
    select of_table, kind, id, now() where coalesce(current_setting('partner_api.loading', true), '') <> 'on'
$$;

create or replace function bridge_apply_provider(id bigint) returns void
language plpgsql as $$
declare
    is_new boolean := not exists (select 1 from providers where provider_id = id);
    events bigint[];
begin
    insert into providers as p (provider_id, name, title, specialty, active)
    select provider_id, name, title, specialty, active from emr_providers where provider_id = id
    on conflict (provider_id) do update
        set name = excluded.name, title = excluded.title, specialty = excluded.specialty, active = excluded.active
        where (p.name, p.title, p.specialty, p.active)
            is distinct from (excluded.name, excluded.title, excluded.specialty, excluded.active);
    if not found then
        update providers set active = false
        where provider_id = id and active and not exists (select 1 from emr_providers where provider_id = id);
    elsif is_new and coalesce(current_setting('partner_api.loading', true), '') <> 'on' then
        -- Events that name a user who did not exist yet: an import need not write users first.
        execute format('select array_agg(pc_eid) from openemr_postcalendar_events where pc_aid = %L', id::text) into events;
        perform bridge_note('bridge_apply_event', event, 'its provider is new') from unnest(events) event;
    end if;
end $$;

create or replace function bridge_apply_visit_type(id bigint) returns void
language plpgsql as $$
declare
    types emr_visit_types[] := array(select t from emr_visit_types t);
    renamed emr_visit_types[] := array(select t from unnest(types) t join bridge_categories c on c.type_id = t.type_id where c.visit_type <> t.visit_type);
    it emr_visit_types;
    events bigint[];
begin
    insert into bridge_categories as c (type_id, visit_type, active) select * from unnest(types)
    on conflict (type_id) do update set visit_type = excluded.visit_type, active = excluded.active
        where (c.visit_type, c.active) is distinct from (excluded.visit_type, excluded.active);
    delete from bridge_categories where type_id not in (select type_id from unnest(types));
    insert into visit_types as t (visit_type, active)
    select visit_type, bool_or(active) from bridge_categories group by visit_type
    on conflict (visit_type) do update set active = excluded.active where t.active <> excluded.active;
    -- A renamed category renames the types of its visits.
    foreach it in array renamed loop
        execute format('select array_agg(pc_eid) from openemr_postcalendar_events where pc_catid = %s', it.type_id) into events;
        with changed as (
            update visits set visit_type = it.visit_type, updated_at = now() where visit_id = any (events) and visit_type <> it.visit_type
            returning visit_id)
        select array_agg(visit_id) into events from changed;
        perform bridge_log('visits', 'update', visit) from unnest(events) visit;
    end loop;
    -- A type that the EMR renamed or deleted is no longer offered.
    update visit_types set active = false where active and visit_type not in (select visit_type from bridge_categories);
end $$;

-- Applies all rooms, whatever the key: they are few, and the EMR identifies them by texts.
create or replace function bridge_apply_rooms(key bigint) returns void
language plpgsql as $$
declare
    it record;
    id bigint;
    rooms emr_rooms[] := array(select r from emr_rooms r);
begin
    update resources r set name = coalesce(e.name, r.name), active = coalesce(e.active, false)
    from bridge_rooms b left join unnest(rooms) e on e.room = b.room
    where b.resource_id = r.resource_id
      and (r.name, r.active) is distinct from (coalesce(e.name, r.name), coalesce(e.active, false));
    for it in select e.* from unnest(rooms) e left join bridge_rooms b on b.room = e.room where b.room is null loop
        insert into resources (name, active) values (it.name, it.active) returning resource_id into id;
        insert into bridge_rooms (room, resource_id) values (it.room, id);
        -- The EMR may already have visits in this room.
        perform bridge_apply_event(e.pc_eid) from openemr_postcalendar_events e join visits v on v.visit_id = e.pc_eid where e.pc_room = it.room;
    end loop;
end $$;

create or replace function bridge_apply_patient(id bigint) returns void
language plpgsql as $$
declare
    is_new boolean;
    events bigint[];
    news bigint[];
    rows patient_data[];
begin
    -- Lock our row first, then read the EMR's: a change that was open until now is then read as it was committed.
    perform 1 from patients where patient_id = id for no key update;
    rows := emr_read_patients(id, id);
    insert into patients as p (patient_id, first_name, mi, last_name, full_name, gender, dob, primary_language, phone, cell_phone,
        email, address, city, state, zip, country, provider_id, created_at, updated_at)
    select patient_id, first_name, mi, last_name, full_name, gender, dob, primary_language, phone, cell_phone, email, address, city,
        state, zip, country, provider_id, now(), now()
    from emr_patients(rows) e
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
    returning p.version = 1 into is_new;
    if found then
        perform bridge_log('patients', case when is_new then 'insert' else 'update' end, id);
    elsif cardinality(rows) = 0 then
        -- Events that the EMR keeps for a deleted patient become time off. Partners get an event for each visit that they do not yet know to be deleted.
        with gone as (delete from visits where patient_id = id returning visit_id, status)
        select array_agg(visit_id), array_agg(visit_id) filter (where status <> 'Deleted') into events, news from gone;
        perform bridge_log('visits', 'delete', visit) from unnest(news) visit;
        delete from patients where patient_id = id;
        if found then perform bridge_log('patients', 'delete', id); end if;
        perform bridge_apply_event(event) from unnest(events) event;
    end if;
end $$;

-- `rows` is the EMR's row, if the caller has locked ours and read it.
create or replace function bridge_apply_event(id bigint, rows openemr_postcalendar_events[] default null) returns void
language plpgsql as $$
declare
    e record;
    v visits;
    limit_before text := current_setting('lock_timeout');
    until timestamptz := clock_timestamp() + limit_before::interval;
    is_moved boolean;
    can_bind boolean := true;
begin
    -- Lock our row first, then read the EMR's, as for patients.
    select * into v from visits where visit_id = id for no key update;
    rows := coalesce(rows, emr_read_events(id, id));
    select * into e from emr_visits(rows);
    if e.visit_id is null then
        -- The change that registered its patient may still wait to be applied. As time off, the visit would stay unknown to partners.
        perform bridge_apply_patient(emr_number(r.pc_pid)) from unnest(rows) r
        where emr_number(r.pc_pid) > 0 and not exists (select 1 from patients p where p.patient_id = emr_number(r.pc_pid));
        if found then select * into e from emr_visits(rows); end if;
    end if;

    -- Until nothing is left, as in the other bridge.
    loop
        with gone as (delete from bridge_time_off b where b.event_id = id returning b.exception_id)
        delete from schedule_exceptions x using gone where x.exception_id = gone.exception_id;
        exit when not exists (select 1 from bridge_time_off b where b.event_id = id);
    end loop;
    if e.visit_id is null then
        with off as materialized (
            select nextval(pg_get_serial_sequence('partner_api.schedule_exceptions', 'exception_id')) as exception_id, o.*
            from emr_time_off(rows) o),
        made as (
            insert into schedule_exceptions (exception_id, provider_id, exception_date, kind, start_time, end_time)
            select exception_id, provider_id, exception_date, 'off', start_time, end_time from off)
        insert into bridge_time_off (event_id, exception_id) select event_id, exception_id from off;
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

-- Retries recorded changes, for about `budget`. A change that still fails, or whose row another transaction has locked, stays recorded.
drop function if exists bridge_catch_up();
create or replace function bridge_catch_up(budget interval) returns bigint
language plpgsql as $$
declare
    it bridge_failures;
    before text := coalesce(current_setting('partner_api.writing', true), '');
    limit_before text := current_setting('lock_timeout');
    until timestamptz := clock_timestamp() + budget;
    done bigint := 0;
begin
    perform set_config('partner_api.writing', 'emr', true);
    perform set_config('lock_timeout', least(50, 1000 * nullif(extract(epoch from limit_before::interval), 0))::integer::text, true);
    -- All that were not retried yet, and those that failed again, oldest retry first.
    for it in
        with news as (select * from bridge_failures where tried_at is null order by failed_at limit 10000 for update skip locked),
            others as (select * from bridge_failures where tried_at is not null order by tried_at limit 100 for update skip locked)
        select * from news union all select * from others
    loop
        exit when clock_timestamp() > until;
        begin
            execute format('select partner_api.%I($1)', it.apply) using it.key;
            delete from bridge_failures where apply = it.apply and key = it.key;
            done := done + 1;
        exception
            when fdw_error then raise;
            when others then
                update bridge_failures set attempts = attempts + 1, tried_at = clock_timestamp(), message = sqlerrm
                where apply = it.apply and key = it.key;
        end;
    end loop;
    perform set_config('lock_timeout', limit_before, true);
    perform set_config('partner_api.writing', before, true);
    return done;
end $$;

-- If the EMR's tables reject a value, the API's caller gets a specific error. All other errors of MariaDB mean that it is unavailable or briefly busy.
create or replace function bridge_refuse(state text, message text) returns void
language plpgsql as $$
begin
    if message ~ 'Lock wait timeout|Deadlock|Record has changed' then
        raise serialization_failure using message = 'a transaction of the EMR holds the row';
    elsif message = 'emr_visit_type' then
        raise check_violation using constraint = 'emr_visit_type', message = 'emr_visit_type';
    end if;
    raise exception using errcode = state, message = message;
end $$;

-- Writes our change to the EMR before our row, which takes the EMR's id.
create or replace function bridge_patient_changes() returns trigger
language plpgsql set search_path = partner_api, pg_temp as $$
begin
    if current_setting('partner_api.writing', true) = 'emr' then return new; end if;
    new.patient_id := emr_write_patient(case when tg_op = 'UPDATE' then old end, new);
    return new;
exception when fdw_error then
    perform bridge_refuse(sqlstate, sqlerrm);
end $$;

create or replace function bridge_visit_changes() returns trigger
language plpgsql set search_path = partner_api, pg_temp as $$
begin
    if current_setting('partner_api.writing', true) = 'emr' then return new; end if;
    new.visit_id := emr_write_visit(case when tg_op = 'UPDATE' then old end, new);
    return new;
exception
    when fdw_error then perform bridge_refuse(sqlstate, sqlerrm);
    when check_violation then
        if sqlerrm = 'emr_visit_type' then perform bridge_refuse(sqlstate, sqlerrm); end if;
        raise;
end $$;

-- Runs before all other triggers on visits. MariaDB's trigger checks the EMR's own events; this rejects overlaps with a series.
create or replace function bridge_visit_begins() returns trigger
language plpgsql set search_path = partner_api, pg_temp as $$
begin
    if current_setting('partner_api.writing', true) is distinct from 'emr' then
        if (select loaded_at from bridge) is null then
            raise cannot_connect_now using message = 'the rows of the EMR are still being copied';
        end if;
        if tg_op = 'UPDATE' and exists (select 1 from bridge_failures where apply = 'bridge_apply_event' and key = new.visit_id) then
            raise serialization_failure using message = 'the EMR has changed this row';
        end if;
        if exists (select 1 from bridge_failures) then
            perform bridge_enter();
            perform bridge_catch_up('150 ms');
        end if;
        perform bridge_time_off_overlap(new);
    end if;
    return new;
end $$;

-- A type that the EMR lacks stays inactive: the EMR could not store its visits.
create or replace function bridge_visit_type_changes() returns trigger
language plpgsql set search_path = partner_api, pg_temp as $$
begin
    if current_setting('partner_api.writing', true) is distinct from 'emr'
        and not exists (select 1 from bridge_categories where visit_type = new.visit_type and active)
    then
        new.active := false;
    end if;
    return new;
end $$;
create or replace trigger is_the_emrs before insert or update on visit_types
for each row when (new.active) execute function bridge_visit_type_changes();

create or replace trigger a_bridge_visit_begins before insert or update of provider_id, room_id, visit_date, visit_time, visit_duration on visits
for each row execute function bridge_visit_begins();
create or replace trigger write_through before insert or update on patients
for each row execute function bridge_patient_changes();
create or replace trigger write_through before insert or update on visits
for each row execute function bridge_visit_changes();

-- The order matters: visits need their rooms, providers, types and patients.
create or replace function bridge_turns() returns text[]
language sql immutable as $$
    select array['bridge_apply_rooms', 'bridge_apply_provider', 'bridge_apply_visit_type', 'bridge_apply_patient', 'bridge_apply_event']
$$;

-- Returns the next keys of both sides after `after`, in order, from a range of `most` numbers. Each small table is one page with the key 0.
create or replace function bridge_page(of text, after bigint, most bigint) returns bigint[]
language plpgsql set search_path = partner_api, pg_temp as $$
declare
    remote text := case of when 'bridge_apply_patient' then 'select %s(pid) from patient_data where pid > %s' when 'bridge_apply_event'
        then 'select %s(pc_eid) from openemr_postcalendar_events where pc_eid > %s' end;
    first bigint;
    own bigint;
    keys bigint[];
begin
    perform bridge_enter();
    if remote is null then return case when after < 0 then array[0] end; end if;
    execute format(remote, 'min', after) into first;
    if of = 'bridge_apply_patient' then
        own := (select min(patient_id) from patients where patient_id > after);
    else
        own := least((select min(visit_id) from visits where visit_id > after), (select min(event_id) from bridge_time_off where event_id > after));
    end if;
    first := least(first, own);
    if first is null then return null; end if;
    if of = 'bridge_apply_patient' then
        execute format('select array_agg(key order by key) from (select pid as key from patient_data where pid >= %1$s and pid < %2$s
            union select patient_id from patients where patient_id >= %1$s and patient_id < %2$s) k', first, first + most) into keys;
    else
        execute format('select array_agg(key order by key) from (select pc_eid as key from openemr_postcalendar_events where pc_eid >= %1$s and pc_eid < %2$s
            union select visit_id from visits where visit_id >= %1$s and visit_id < %2$s
            union select event_id from bridge_time_off where event_id >= %1$s and event_id < %2$s) k', first, first + most) into keys;
    end if;
    return keys;
end $$;

-- Returns the keys whose rows differ between the EMR and us, and how they differ.
create or replace function bridge_differences(of text, keys bigint[]) returns table (key bigint, kind text)
language plpgsql as $$
declare
    rows openemr_postcalendar_events[];
begin
    if of = 'bridge_apply_rooms' then
        return query
        select 0::bigint, case when e.room is null then 'surplus' when r.resource_id is null then 'missing' else 'different' end
        from emr_rooms e full join bridge_rooms b on b.room = e.room left join resources r on r.resource_id = b.resource_id
        where r.resource_id is null or e.room is null and r.active or (e.name, e.active) is distinct from (r.name, r.active) and e.room is not null;
    elsif of = 'bridge_apply_provider' then
        return query
        select coalesce(e.provider_id, o.provider_id),
            case when o.provider_id is null then 'missing' when e.provider_id is null then 'surplus' else 'different' end
        from emr_providers e full join providers o on o.provider_id = e.provider_id
        where o.provider_id is null or e.provider_id is null and o.active
           or (e.name, e.title, e.specialty, e.active) is distinct from (o.name, o.title, o.specialty, o.active) and e.provider_id is not null;
    elsif of = 'bridge_apply_visit_type' then
        return query
        select coalesce(min(e.type_id), 0)::bigint,
            case when o.visit_type is null then 'missing' when e.visit_type is null then 'surplus' else 'different' end
        from emr_visit_types e full join visit_types o on o.visit_type = e.visit_type
        group by o.visit_type, o.active, e.visit_type
        having o.visit_type is null or e.visit_type is null and o.active or bool_or(e.active) <> o.active;
        return query
        select 0::bigint, 'different'
        where exists (select type_id, visit_type, active from emr_visit_types except select type_id, visit_type, active from bridge_categories)
           or exists (select type_id from bridge_categories except select type_id from emr_visit_types);
    elsif of = 'bridge_apply_patient' then
        return query
        select coalesce(e.patient_id, o.patient_id),
            case when o.patient_id is null then 'missing' when e.patient_id is null then 'surplus' else 'different' end
        from emr_patients(emr_read_patients(keys[1], keys[cardinality(keys)])) e
        full join (select * from patients p where p.patient_id = any (keys)) o on o.patient_id = e.patient_id
        where (e.patient_id, e.first_name, e.mi, e.last_name, e.gender, e.dob, e.primary_language, e.phone, e.cell_phone, e.email, e.address,
                e.city, e.state, e.zip, e.country, e.provider_id)
            is distinct from
            (o.patient_id, o.first_name, o.mi, o.last_name, o.gender, o.dob, o.primary_language, o.phone, o.cell_phone, o.email, o.address,
                o.city, o.state, o.zip, o.country, o.provider_id);
    else
        rows := emr_read_events(keys[1], keys[cardinality(keys)]);
        return query
        select coalesce(e.visit_id, o.visit_id),
            case when o.visit_id is null then 'missing' when e.visit_id is null then 'surplus' else 'different' end
        from emr_visits(rows) e
        full join (select * from visits v where v.visit_id = any (keys)) o on o.visit_id = e.visit_id
        where e.visit_id is null and o.status <> 'Deleted' or e.visit_id is not null
          and (e.patient_id, e.provider_id, e.room_id, e.visit_type, e.visit_date, e.visit_time, e.visit_duration, e.visit_complaint, e.status)
            is distinct from
            (o.patient_id, o.provider_id, o.room_id, o.visit_type, o.visit_date, o.visit_time, o.visit_duration, o.visit_complaint, o.status);
        -- Days that `bridge_renew` has not reached yet are not a difference.
        return query
        select distinct coalesce(e.event_id, o.event_id)::bigint, 'different time off'
        from emr_time_off(rows) e full join (
            select b.event_id, x.provider_id, x.exception_date, x.start_time, x.end_time
            from bridge_time_off b join schedule_exceptions x on x.exception_id = b.exception_id where b.event_id = any (keys)) o
          on (o.event_id, o.exception_date) = (e.event_id, e.exception_date)
        where (o.event_id, o.provider_id, o.start_time, o.end_time) is distinct from (e.event_id, e.provider_id, e.start_time, e.end_time)
          and coalesce(e.exception_date, o.exception_date) >= current_date
          and (e.in_series is not true or e.exception_date <= coalesce((select renewed_until from bridge), 'infinity'));
    end if;
end $$;

-- Returns the differences of a page, with its last key; no row after the last page.
create or replace function bridge_compare(of text, after bigint, most bigint)
returns table (last bigint, kind text, count bigint, example bigint)
language plpgsql as $$
declare
    keys bigint[] := bridge_page(of, after, most);
begin
    if keys is null then return; end if;
    return query
    select keys[cardinality(keys)], d.kind, count(d.key), min(d.key)
    from (select) page left join bridge_differences(of, keys) d on true group by d.kind;
end $$;

-- MariaDB's state, refreshed.
create or replace function bridge_state() returns partner_api_state
language plpgsql set search_path = partner_api, pg_temp as $$
declare
    state partner_api_state;
begin
    perform bridge_news(1);
    update partner_api_state set acknowledged = null where singleton = 1;
    select * into state from partner_api_state;
    return state;
end $$;

-- Return the highest id known to have been assigned; after a restore, make new rows get ids above `last`. The EMR's own program numbers patients by its
-- table's highest number.
create or replace function bridge_last_id(of_table text) returns bigint
language plpgsql set search_path = partner_api, pg_temp as $$
declare
    state partner_api_state := bridge_state();
begin
    return case of_table
        when 'visits' then greatest((select max(visit_id) from visits), (select max(event_id) from bridge_time_off), state.visits_above, state.last_visit)
        when 'patients' then greatest((select max(patient_id) from patients), state.patients_above, state.last_patient)
    end;
end $$;
create or replace function bridge_begin_above(of_table text, last bigint) returns void
language plpgsql set search_path = partner_api, pg_temp as $$
begin
    perform bridge_news(1);
    if of_table = 'visits' then
        update partner_api_state set visits_above = last where singleton = 1 and visits_above < last;
    elsif of_table = 'patients' then
        update partner_api_state set patients_above = last where singleton = 1 and patients_above < last;
    end if;
end $$;
-- If MariaDB was restored from a backup, our tables contain ids that it would assign again.
create or replace function bridge_keep_ids() returns void
language plpgsql set search_path = partner_api, pg_temp as $$
declare
    state partner_api_state := bridge_state();
    visits_above bigint := greatest((select max(visit_id) from visits), (select max(event_id) from bridge_time_off));
    patients_above bigint := (select max(patient_id) from patients);
begin
    if visits_above > state.last_visit then perform bridge_begin_above('visits', visits_above); end if;
    if patients_above > coalesce(state.last_patient, 0) then perform bridge_begin_above('patients', patients_above); end if;
end $$;

-- Returns all findings except differing rows; no row if there are none.
create or replace function bridge_check() returns table (finding text, count bigint, example text)
language plpgsql as $$
declare
    state partner_api_state;
    missing text[];
begin
    state := bridge_state();
    missing := array(
        select 'partner_api_' || event || '_' || t from unnest(array['insert', 'update', 'delete']) event,
            unnest(array['users', 'patient_data', 'openemr_postcalendar_categories', 'openemr_postcalendar_events', 'list_options']) t
        union all select unnest(array['partner_api_patient_undone', 'partner_api_patient_written', 'partner_api_state', 'partner_api_visit_undone',
            'partner_api_visit_written'])
        except select unnest(string_to_array(state.triggers, ' ')));
    return query select 'a trigger of the bridge is missing in MariaDB', cardinality(missing)::bigint, missing[1] where cardinality(missing) > 0;
    return query select 'the MariaDB side of the bridge has another version: run mariadb.sql there', 1::bigint, state.version::text
    where state.version is distinct from 1;
    return query select 'missing privilege in MariaDB', count(*), min(m) from bridge_missing() m having count(*) > 0;
    return query select 'the connection to MariaDB is not encrypted', 1::bigint, null::text
    where coalesce((select variable_value from emr_session where variable_name = 'SSL_CIPHER'), '') = '';
    return query
    select 'missing trigger on our tables', count(*), min(it) from unnest(array['a_bridge_visit_begins on visits', 'write_through on visits',
        'write_through on patients', 'is_the_emrs on visit_types']) it
    where not exists (select 1 from pg_trigger t where t.tgname || ' on ' || t.tgrelid::regclass = it and t.tgenabled in ('O', 'A'))
    having count(*) > 0;
    return query
    select 'EMR change not applied yet', count(*), min(replace(replace(apply, 'bridge_apply_', ''), '_', ' ') || ' ' || key || ': ' || message) from bridge_failures having count(*) > 0;
    return query select 'EMR value without a meaning here: ' || n.what, count(*), min(n.key) from bridge_not_understood() n group by 1;
end $$;

-- Extends the next series after `after`, at most `most`, as far as can be booked today. Returns how many got more days, and the last one; none after the
-- last page. Meanwhile no pull applies a change of these series.
create or replace function bridge_renew_some(after bigint, most bigint, out done bigint, out last bigint)
language plpgsql as $$
declare
    before date := (select renewed_until from bridge);
    series openemr_postcalendar_events[];
begin
    perform bridge_enter();
    perform pg_advisory_xact_lock(20926, 0);
    perform bridge_news(1);
    series := array(select e from openemr_postcalendar_events e where e.pc_recurrtype <> 0);
    series := array(select s from unnest(series) s where s.pc_eid > after order by s.pc_eid limit most);
    last := (series[cardinality(series)]).pc_eid;
    done := 0;
    if last is null then
        update bridge set renewed_until = bridge_reach();
        return;
    end if;
    with off as materialized (
        select nextval(pg_get_serial_sequence('partner_api.schedule_exceptions', 'exception_id')) as exception_id, o.*
        from emr_time_off(series) o
        where o.in_series and o.exception_date > before
          and not exists (select 1 from bridge_time_off b join schedule_exceptions x on x.exception_id = b.exception_id
                          where b.event_id = o.event_id and x.exception_date = o.exception_date)),
    made as (
        insert into schedule_exceptions (exception_id, provider_id, exception_date, kind, start_time, end_time)
        select exception_id, provider_id, exception_date, 'off', start_time, end_time from off),
    kept as (
        insert into bridge_time_off (event_id, exception_id) select event_id, exception_id from off)
    select count(distinct event_id) into done from off;
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

-- Records a change that could not be applied, for a retry.
create or replace function bridge_note(of text, id bigint, why text) returns void
language sql as $$
    insert into bridge_failures as f (apply, key, tried_at, message) values (of, id, clock_timestamp(), why)
    on conflict (apply, key) do update set tried_at = excluded.tried_at, attempts = f.attempts + 1, message = excluded.message
$$;

-- Inserts the EMR's rows of these keys that we lack, in one statement. If that fails, each half is inserted by itself. The functions for single rows
-- apply the rest. Returns the number of rows inserted.
create or replace function bridge_take_over(of text, keys bigint[]) returns bigint
language plpgsql as $$
declare
    taken bigint := 0;
    half integer := cardinality(keys) / 2;
begin
    if of = 'bridge_apply_patient' then
        insert into patients (patient_id, first_name, mi, last_name, full_name, gender, dob, primary_language, phone, cell_phone, email,
            address, city, state, zip, country, provider_id, created_at, updated_at)
        select patient_id, first_name, mi, last_name, full_name, gender, dob, primary_language, phone, cell_phone, email, address, city,
            state, zip, country, provider_id, now(), now()
        from emr_patients(emr_read_patients(keys[1], keys[cardinality(keys)])) e where patient_id = any (keys) and not exists (select 1 from patients p where p.patient_id = e.patient_id);
        get diagnostics taken = row_count;
    elsif of = 'bridge_apply_event' then
        insert into visits (visit_id, patient_id, provider_id, room_id, visit_type, visit_date, visit_time, visit_duration, visit_complaint,
            status)
        select visit_id, patient_id, provider_id, room_id, visit_type, visit_date, visit_time, visit_duration, visit_complaint, status
        from emr_visits(emr_read_events(keys[1], keys[cardinality(keys)])) e where visit_id = any (keys) and not exists (select 1 from visits v where v.visit_id = e.visit_id);
        get diagnostics taken = row_count;
    end if;
    return taken;
exception when others then
    if half < 4 then return 0; end if;
    return bridge_take_over(of, keys[:half]) + bridge_take_over(of, keys[half + 1:]);
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
    it bigint;
begin
    perform bridge_news(1);
    select * into strict here from bridge for update;
    if here.went_on_at is null or here.went_on_at < now() - interval '1 hour' then
        here.turn := 1;
        here.after := -1;
        perform bridge_keep_ids();
    end if;
    loading := loading and here.loaded_at is null;
    of := (bridge_turns())[here.turn];
    perform set_config('partner_api.writing', 'emr', true);
    perform set_config('partner_api.loading', case when loading then 'on' else '' end, true);
    keys := coalesce(bridge_page(of, here.after, most), '{}');
    compared := cardinality(keys);
    noted := array(select ctid from bridge_failures where apply = of and (key = any (keys) or keys = array[0::bigint]) for update skip locked);
    repaired := case when loading then bridge_take_over(of, keys) else 0 end;
    for it in select distinct d.key from bridge_differences(of, keys) d order by d.key loop
        begin
            execute format('select partner_api.%I($1)', of) using it;
            repaired := repaired + 1;
        exception when others then
            perform bridge_note(of, it, sqlerrm);
        end;
    end loop;
    -- By `ctid`: this leaves rows that were recorded meanwhile, by this run or by a pull.
    delete from bridge_failures where ctid = any (noted);
    if compared = 0 or keys = array[0::bigint] then
        here.turn := here.turn + 1;
        here.after := -1;
    else
        here.after := keys[compared];
    end if;
    is_whole := here.turn > cardinality(bridge_turns());
    if is_whole then
        perform bridge_renew();
        perform set_config('partner_api.writing', '', true);
    end if;
    update bridge set turn = here.turn, after = here.after, went_on_at = case when not is_whole then now() end,
        loaded_at = coalesce(loaded_at, case when is_whole then now() end);
    perform set_config('partner_api.writing', '', true);
    perform set_config('partner_api.loading', '', true);
end $$;

-- Writes as the API and as the EMR, and returns the changes that did not arrive on the other side. The caller rolls back; the next pull undoes
-- the rows in MariaDB.
create or replace function bridge_trial() returns setof text
language plpgsql as $$
declare
    p patients;
    a visits;
    own bigint;
begin
    perform bridge_news(1);
    p.first_name := 'Trial'; p.last_name := 'of the partner API'; p.full_name := 'Trial of the partner API';
    a.visit_date := current_date + 3653; a.visit_time := '10:00'; a.visit_duration := 30; a.status := 'Scheduled';
    a.provider_id := (select min(provider_id) from providers where active);
    a.visit_type := (select min(visit_type) from bridge_categories where active);
    if a.provider_id is null or a.visit_type is null then
        return next 'the trial needs an active provider and an active visit type';
        return;
    end if;
    begin
        insert into patients (first_name, last_name, full_name, created_at, updated_at) values (p.first_name, p.last_name, p.full_name, now(), now())
        returning patient_id into a.patient_id;
        if not exists (select 1 from patient_data where pid = a.patient_id) then
            return next 'a patient created through the API does not arrive in the EMR';
        end if;
        insert into visits (patient_id, provider_id, visit_type, visit_date, visit_time, visit_duration)
        values (a.patient_id, a.provider_id, a.visit_type, a.visit_date, a.visit_time, a.visit_duration) returning visit_id into own;
        if not exists (select 1 from openemr_postcalendar_events where pc_eid = own) then
            return next 'a visit booked through the API does not arrive in the EMR';
        end if;
        update visits set status = 'Cancelled' where visit_id = own;
        if not exists (select 1 from openemr_postcalendar_events where pc_eid = own and pc_apptstatus = 'x') then
            return next 'a cancellation through the API does not arrive in the EMR';
        end if;
    exception when others then
        return next 'writing through the API fails: ' || sqlerrm;
    end;
    begin
        a.visit_date := a.visit_date + 1;
        own := emr_write_visit(null, a, 'staff');
        perform bridge_follow();
        if not exists (select 1 from visits where visit_id = own and visit_date = a.visit_date) then
            return next 'a visit entered in the EMR does not arrive here';
        end if;
    exception when others then
        return next 'writing as the EMR fails: ' || sqlerrm;
    end;
    return query select 'an EMR change was not applied: ' || f.message from bridge_failures f where f.failed_at = now();
end $$;

-- Removes MariaDB's side.
create or replace function bridge_detach() returns void
language plpgsql set search_path = partner_api, pg_temp as $$
begin
    perform bridge_remote('set statement lock_wait_timeout = 2 for call ' || bridge_database() || '.partner_api_remove()');
    perform bridge_remote('drop procedure ' || bridge_database() || '.partner_api_install');
    perform bridge_remote('drop procedure ' || bridge_database() || '.partner_api_remove');
end $$;
-- The EMR's database, as MariaDB quotes names.
create or replace function bridge_database() returns text
language sql stable as $$
    select '`' || replace(substr(o, 8), '`', '``') || '`' from pg_foreign_table, unnest(ftoptions) o
    where ftrelid = 'partner_api.emr_outbox'::regclass and o like 'dbname=%'
$$;

-- Renews MariaDB's side.
select bridge_remote('set statement lock_wait_timeout = 2 for call ' || bridge_database() || '.partner_api_install()');
