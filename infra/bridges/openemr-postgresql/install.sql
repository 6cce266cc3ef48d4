-- The machinery between the EMR's tables and a practice's, whatever the EMR calls them (`map.sql` knows). Run as the practice's role, in
-- its schema, after `map.sql`; run again, it renews functions and triggers and leaves what the tables hold.
set local search_path = partner_api;

-- Each of these makes our rows what the EMR's row of this key is now. They can be called at any time and any number of times.
-- `partner_api.writing` says whose change is being followed: 'emr', also by the functions below, 'ours', or nobody's.
create or replace function bridge_log(of_table text, kind text, id bigint) returns void
language sql as $$
    -- What was there before the practice was attached is no news.
    insert into log (table_name, action, record_id, logged_at)
    select of_table, kind, id, now() where coalesce(current_setting('partner_api.loading', true), '') <> 'on'
$$;

create or replace function bridge_apply_provider(id bigint) returns void
language plpgsql as $$
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
    end if;
end $$;

create or replace function bridge_apply_visit_type(id bigint) returns void
language plpgsql as $$
begin
    insert into visit_types as t (visit_type, active)
    select visit_type, bool_or(active) from emr_visit_types
    where visit_type = (select visit_type from emr_visit_types where type_id = id) group by visit_type
    on conflict (visit_type) do update set active = excluded.active where t.active <> excluded.active;
    -- One that was renamed or is no more is offered no longer; visits keep its name until the EMR changes them.
    update visit_types set active = false
    where active and visit_type not in (select visit_type from emr_visit_types);
end $$;

-- All of them, whatever the key: rooms are few, and texts in the EMR.
create or replace function bridge_apply_rooms(key bigint) returns void
language plpgsql as $$
declare
    it record;
    id bigint;
begin
    update resources r set name = coalesce(e.name, r.name), active = coalesce(e.active, false)
    from bridge_rooms b left join emr_rooms e on e.room = b.room
    where b.resource_id = r.resource_id
      and (r.name, r.active) is distinct from (coalesce(e.name, r.name), coalesce(e.active, false));
    for it in select e.* from emr_rooms e left join bridge_rooms b on b.room = e.room where b.room is null loop
        insert into resources (name, active) values (it.name, it.active) returning resource_id into id;
        insert into bridge_rooms (room, resource_id) values (it.room, id);
        -- The EMR can have had visits in it before.
        perform bridge_apply_event(e.visit_id) from emr_visits e join visits v on v.visit_id = e.visit_id
        where e.room_id = id and v.room_id is distinct from id;
    end loop;
end $$;

create or replace function bridge_apply_patient(id bigint) returns void
language plpgsql as $$
declare
    is_new boolean;
    events bigint[];
begin
    insert into patients as p (patient_id, first_name, mi, last_name, full_name, gender, dob, primary_language, phone, cell_phone,
        email, address, city, state, zip, country, provider_id, created_at, updated_at)
    select patient_id, first_name, mi, last_name, full_name, gender, dob, primary_language, phone, cell_phone, email, address, city,
        state, zip, country, (select provider_id from providers where provider_id = e.provider_id), now(), now()
    from emr_patients e where patient_id = id
    on conflict (patient_id) do update set first_name = excluded.first_name, mi = excluded.mi, last_name = excluded.last_name,
        -- A name that a partner gave stays while the parts do.
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
    elsif not exists (select 1 from emr_patients where patient_id = id) then
        -- What the EMR still has of the patient's visits is time off from now on.
        with gone as (delete from visits where patient_id = id returning visit_id) select array_agg(visit_id) into events from gone;
        delete from patients where patient_id = id;
        if found then perform bridge_log('patients', 'delete', id); end if;
        perform bridge_apply_event(event) from unnest(events) event;
    end if;
end $$;

create or replace function bridge_apply_event(id bigint) returns void
language plpgsql as $$
declare
    e emr_visits;
    v visits;
    limit_before text := current_setting('lock_timeout');
    until timestamptz := clock_timestamp() + limit_before::interval;
    is_moved boolean;
    can_bind boolean := true;
begin
    select * into e from emr_visits where visit_id = id;
    select * into v from visits where visit_id = id;

    delete from schedule_exceptions x using bridge_time_off b where b.event_id = id and x.exception_id = b.exception_id;
    if e.visit_id is null then
        with off as materialized (
            select nextval(pg_get_serial_sequence('partner_api.schedule_exceptions', 'exception_id')) as exception_id, o.*
            from emr_time_off o where event_id = id),
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
    -- First as one that binds the API's callers; on another visit, or on one that is just being booked, as one that binds nobody.
    loop
        begin
            perform set_config('lock_timeout', case when can_bind then '100ms'
                else greatest(extract(milliseconds from until - clock_timestamp())::integer, 1)::text end, true);
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

-- Follows what could not be followed before; what still can't stays.
create or replace function bridge_catch_up() returns bigint
language plpgsql as $$
declare
    it bridge_failures;
    before text := coalesce(current_setting('partner_api.writing', true), '');
    done bigint := 0;
begin
    perform set_config('partner_api.writing', 'emr', true);
    -- All that are new, and of those that failed again and again the ones that were tried the longest ago.
    for it in
        with news as (select * from bridge_failures where tried_at is null order by failed_at limit 10000 for update skip locked),
            others as (select * from bridge_failures where tried_at is not null order by tried_at limit 100 for update skip locked)
        select * from news union all select * from others
    loop
        begin
            execute format('select partner_api.%I($1)', it.apply) using it.key;
            delete from bridge_failures where apply = it.apply and key = it.key;
            done := done + 1;
        exception when others then
            update bridge_failures set attempts = attempts + 1, tried_at = clock_timestamp(), message = sqlerrm
            where apply = it.apply and key = it.key;
        end;
    end loop;
    perform set_config('partner_api.writing', before, true);
    return done;
end $$;

-- All that the EMR's write runs into. Whatever goes wrong inside, also what can't be compiled, is noted, and the write goes on. A
-- transaction of the EMR's waits for us no longer than 300 ms in all, however many rows it writes.
create or replace function bridge_hook() returns trigger
language plpgsql security definer set search_path = partner_api, pg_temp set lock_timeout = '300ms' as $$
declare
    began timestamptz := clock_timestamp();
    spent integer;
    failed text;
    keys bigint[];
    it bigint;
begin
    if current_setting('partner_api.writing', true) = 'ours' then return null; end if;
    begin
        spent := coalesce(nullif(current_setting('partner_api.spent', true), ''), '0')::integer;
        if tg_argv[1] = '' then
            -- The table is followed as a whole.
            keys := array[0];
        else
            if tg_op <> 'INSERT' then keys := array[(to_jsonb(old) ->> tg_argv[1])::bigint]; end if;
            if tg_op <> 'DELETE' then keys := keys || (to_jsonb(new) ->> tg_argv[1])::bigint; end if;
        end if;
        perform set_config('lock_timeout', greatest(300 - spent, 1)::text, true);
        perform set_config('partner_api.writing', 'emr', true);
        foreach it in array (select array_agg(distinct key) from unnest(keys) key where key is not null) loop
            execute format('select partner_api.%I($1)', tg_argv[0]) using it;
        end loop;
        perform set_config('partner_api.writing', '', true);
    exception when others then
        failed := sqlerrm;
    end;
    if failed is not null then
        perform set_config('partner_api.spent',
            (coalesce(spent, 0) + ceil(extract(epoch from clock_timestamp() - began) * 1000)::integer)::text, true);
        begin
            perform set_config('lock_timeout', '5ms', true);
            insert into bridge_failures as f (apply, key, message)
            select distinct tg_argv[0], key, failed from unnest(keys) key where key is not null
            on conflict (apply, key) do update set failed_at = now(), tried_at = null, attempts = f.attempts + 1, message = excluded.message;
        exception when others then
            raise warning 'partner_api: % of % could not be noted: %', tg_op, tg_relid::regclass, failed;
        end;
    end if;
    return null;
end $$;

-- What the EMR's tables say no to is no fault of ours, and the API's callers are told: a value that a column can't hold, a rule of the
-- EMR's own. A number that another has just taken may be free the next time.
create or replace function bridge_refuse(state text, message text) returns void
language plpgsql as $$
declare
    refusal text := case when message = 'emr_visit_type' then 'emr_visit_type' else 'emr_refuses' end;
begin
    if state = '23505' then raise serialization_failure using message = message; end if;
    raise check_violation using constraint = refusal, message = refusal, detail = message;
end $$;

-- Ours to the EMR's: in the same transaction, before our row, whose id is the EMR's.
create or replace function bridge_patient_changes() returns trigger
language plpgsql set search_path = partner_api, pg_temp as $$
begin
    if current_setting('partner_api.writing', true) = 'emr' then return new; end if;
    perform set_config('partner_api.writing', 'ours', true);
    new.patient_id := emr_write_patient(case when tg_op = 'UPDATE' then old end, new);
    perform set_config('partner_api.writing', '', true);
    return new;
exception when data_exception or integrity_constraint_violation or raise_exception then
    perform bridge_refuse(sqlstate, sqlerrm);
end $$;

create or replace function bridge_visit_changes() returns trigger
language plpgsql set search_path = partner_api, pg_temp as $$
begin
    if current_setting('partner_api.writing', true) = 'emr' then return new; end if;
    perform set_config('partner_api.writing', 'ours', true);
    new.visit_id := emr_write_visit(case when tg_op = 'UPDATE' then old end, new);
    perform set_config('partner_api.writing', '', true);
    return new;
exception when data_exception or integrity_constraint_violation or raise_exception then
    perform bridge_refuse(sqlstate, sqlerrm);
end $$;

-- Before anybody else's trigger: what the EMR has committed and we could not follow is in the way of a booking, too.
create or replace function bridge_visit_begins() returns trigger
language plpgsql set search_path = partner_api, pg_temp as $$
begin
    if current_setting('partner_api.writing', true) is distinct from 'emr' and exists (select 1 from bridge_failures) then
        perform bridge_catch_up();
    end if;
    return new;
end $$;

-- A visit of a type that the EMR hasn't could not be written there: nobody is offered one, whatever our table says.
create or replace function bridge_visit_type_changes() returns trigger
language plpgsql set search_path = partner_api, pg_temp as $$
begin
    if current_setting('partner_api.writing', true) is distinct from 'emr'
        and not exists (select 1 from emr_visit_types where visit_type = new.visit_type and active)
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

-- The triggers on the EMR's tables. Made anew they are enabled, whatever they were.
create or replace function bridge_watch() returns void
language plpgsql as $$
declare
    it bridge_watched;
begin
    for it in select * from bridge_watched loop
        execute format('create or replace trigger partner_api_watches after insert or update or delete on %s
            for each row execute function partner_api.bridge_hook(%L, %L)', it.emr_table, it.apply, it.key);
    end loop;
end $$;
select bridge_watch();

-- In this order: visits need their rooms, providers, types and patients.
create or replace function bridge_turns() returns text[]
language sql immutable as $$
    select array['bridge_apply_rooms', 'bridge_apply_provider', 'bridge_apply_visit_type', 'bridge_apply_patient', 'bridge_apply_event']
$$;

-- The next keys after one, of both sides, by their indexes: in order, at most `most`. Tables of few rows are one page, of the key 0.
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

-- What the EMR has of these keys and we don't have as it is, and the other way round. Without a difference there is no row.
create or replace function bridge_differences(of text, keys bigint[]) returns table (key bigint, kind text)
language plpgsql stable as $$
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
        from (select * from emr_providers p where p.provider_id = any (keys)) e
        full join (select * from providers p where p.provider_id = any (keys)) o on o.provider_id = e.provider_id
        where o.provider_id is null or e.provider_id is null and o.active
           or (e.name, e.title, e.specialty, e.active) is distinct from (o.name, o.title, o.specialty, o.active) and e.provider_id is not null;
    elsif of = 'bridge_apply_visit_type' then
        return query
        select coalesce(min(e.type_id), 0)::bigint,
            case when o.visit_type is null then 'missing' when e.visit_type is null then 'surplus' else 'different' end
        from emr_visit_types e full join visit_types o on o.visit_type = e.visit_type
        group by o.visit_type, o.active, e.visit_type
        having o.visit_type is null or e.visit_type is null and o.active or bool_or(e.active) <> o.active;
    elsif of = 'bridge_apply_patient' then
        return query
        select coalesce(e.patient_id, o.patient_id),
            case when o.patient_id is null then 'missing' when e.patient_id is null then 'surplus' else 'different' end
        from (select * from emr_patients p where p.patient_id = any (keys)) e
        full join (select * from patients p where p.patient_id = any (keys)) o on o.patient_id = e.patient_id
        where (e.patient_id, e.first_name, e.mi, e.last_name, e.gender, e.dob, e.primary_language, e.phone, e.cell_phone, e.email, e.address,
                e.city, e.state, e.zip, e.country, e.provider_id)
            is distinct from
            (o.patient_id, o.first_name, o.mi, o.last_name, o.gender, o.dob, o.primary_language, o.phone, o.cell_phone, o.email, o.address,
                o.city, o.state, o.zip, o.country, o.provider_id);
    else
        return query
        select coalesce(e.visit_id, o.visit_id),
            case when o.visit_id is null then 'missing' when e.visit_id is null then 'surplus' else 'different' end
        from (select * from emr_visits v where v.visit_id = any (keys)) e
        full join (select * from visits v where v.visit_id = any (keys)) o on o.visit_id = e.visit_id
        where e.visit_id is null and o.status <> 'Deleted' or e.visit_id is not null
          and (e.patient_id, e.provider_id, e.room_id, e.visit_type, e.visit_date, e.visit_time, e.visit_duration, e.visit_complaint, e.status)
            is distinct from
            (o.patient_id, o.provider_id, o.room_id, o.visit_type, o.visit_date, o.visit_time, o.visit_duration, o.visit_complaint, o.status);
        -- How far series have been followed is no difference: `bridge_renew`.
        return query
        select distinct coalesce(e.event_id, o.event_id)::bigint, 'time off'
        from (select * from emr_time_off t where t.event_id = any (keys)) e full join (
            select b.event_id, x.provider_id, x.exception_date, x.start_time, x.end_time
            from bridge_time_off b join schedule_exceptions x on x.exception_id = b.exception_id where b.event_id = any (keys)) o
          on (o.event_id, o.exception_date) = (e.event_id, e.exception_date)
        where (o.event_id, o.provider_id, o.start_time, o.end_time) is distinct from (e.event_id, e.provider_id, e.start_time, e.end_time)
          and coalesce(e.exception_date, o.exception_date) >= current_date
          and (e.in_series is not true or e.exception_date <= coalesce((select renewed_until from bridge), 'infinity'));
    end if;
end $$;

-- The differences of a page, and its last key; no row when there is no further page.
create or replace function bridge_compare(of text, after bigint, most bigint)
returns table (last bigint, kind text, count bigint, example bigint)
language plpgsql stable as $$
declare
    keys bigint[] := bridge_page(of, after, most);
begin
    if keys is null then return; end if;
    return query
    select keys[cardinality(keys)], d.kind, count(d.key), min(d.key)
    from (select) page left join bridge_differences(of, keys) d on true group by d.kind;
end $$;

-- All that is to be looked at beside the rows that differ, in words; nothing when all is well.
create or replace function bridge_check() returns table (finding text, count bigint, example text)
language plpgsql as $$
begin
    return query
    select 'the EMR''s table is not watched', count(*), min(w.emr_table)
    from bridge_watched w where not exists (
        select 1 from pg_trigger t join pg_proc p on p.oid = t.tgfoid
        where t.tgrelid = to_regclass(w.emr_table) and t.tgname = 'partner_api_watches' and t.tgenabled in ('O', 'A')
          and p.oid = to_regprocedure('partner_api.bridge_hook()') and p.prosecdef)
    having count(*) > 0;
    return query
    select 'a right is missing', count(*), min(g.privilege || ' on ' || g.emr_table)
    from bridge_grants g
    where to_regclass(g.emr_table) is null or not coalesce(has_table_privilege(to_regclass(g.emr_table), g.privilege), false) having count(*) > 0;
    return query
    select 'a trigger of ours is missing', count(*), min(it) from unnest(array['a_bridge_visit_begins on visits', 'write_through on visits',
        'write_through on patients', 'is_the_emrs on visit_types']) it
    where not exists (select 1 from pg_trigger t where t.tgname || ' on ' || t.tgrelid::regclass = it and t.tgenabled in ('O', 'A'))
    having count(*) > 0;
    return query
    select 'changes of the EMR''s were not followed', count(*), min(apply || ' ' || key || ': ' || message) from bridge_failures having count(*) > 0;
    return query
    select 'not understood: ' || what, count(*), min(n.key) from emr_not_understood n group by 1;
end $$;

-- Follows series further: as far as can be booked today, where they end later. Gives how many events had more days.
create or replace function bridge_renew() returns bigint
language plpgsql as $$
declare
    it bigint;
    done bigint := 0;
    before date := (select renewed_until from bridge);
begin
    perform set_config('partner_api.writing', 'emr', true);
    for it in
        select distinct e.event_id from emr_time_off e
        where e.in_series and e.exception_date > before
          and not exists (select 1 from bridge_time_off b join schedule_exceptions x on x.exception_id = b.exception_id
                          where b.event_id = e.event_id and x.exception_date = e.exception_date)
    loop
        begin
            perform bridge_apply_event(it);
            done := done + 1;
        exception when others then
            perform bridge_note('bridge_apply_event', it, sqlerrm);
        end;
    end loop;
    perform set_config('partner_api.writing', '', true);
    update bridge set renewed_until = bridge_reach();
    return done;
end $$;

-- What could not be followed, to be tried again.
create or replace function bridge_note(of text, id bigint, why text) returns void
language sql as $$
    insert into bridge_failures as f (apply, key, tried_at, message) values (of, id, clock_timestamp(), why)
    on conflict (apply, key) do update set tried_at = excluded.tried_at, attempts = f.attempts + 1, message = excluded.message
$$;

-- Takes over what the EMR has of these keys and we haven't, all at once; where that fails, one half after the other. What is left is for
-- the functions that follow one row. Gives how many it were.
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
            state, zip, country, (select provider_id from providers where provider_id = e.provider_id), now(), now()
        from emr_patients e where patient_id = any (keys) and not exists (select 1 from patients p where p.patient_id = e.patient_id);
        get diagnostics taken = row_count;
    elsif of = 'bridge_apply_event' then
        insert into visits (visit_id, patient_id, provider_id, room_id, visit_type, visit_date, visit_time, visit_duration, visit_complaint,
            status)
        select visit_id, patient_id, provider_id, room_id, visit_type, visit_date, visit_time, visit_duration, visit_complaint, status
        from emr_visits e where visit_id = any (keys) and not exists (select 1 from visits v where v.visit_id = e.visit_id);
        get diagnostics taken = row_count;
    end if;
    return taken;
exception when others then
    if half < 4 then return 0; end if;
    return bridge_take_over(of, keys[:half]) + bridge_take_over(of, keys[half + 1:]);
end $$;

-- Compares the next rows, at most `most`, and makes ours what the EMR has. It goes on where the call before ended, unless that is an hour
-- ago, and each row has one turn: what can't be followed is noted and hinders nothing. With `loading` nothing is told to partners.
create or replace function bridge_go_on(most bigint, loading boolean, out compared bigint, out repaired bigint, out is_whole boolean)
language plpgsql as $$
declare
    here bridge;
    of text;
    keys bigint[];
    failed bigint[] := '{}';
    it bigint;
begin
    select * into strict here from bridge for update;
    if here.went_on_at is null or here.went_on_at < now() - interval '1 hour' then
        here.turn := 1;
        here.after := -1;
    end if;
    of := (bridge_turns())[here.turn];
    perform set_config('partner_api.writing', 'emr', true);
    perform set_config('partner_api.loading', case when loading then 'on' else '' end, true);
    keys := coalesce(bridge_page(of, here.after, most), '{}');
    compared := cardinality(keys);
    repaired := case when loading then bridge_take_over(of, keys) else 0 end;
    for it in select distinct d.key from bridge_differences(of, keys) d order by d.key loop
        begin
            execute format('select partner_api.%I($1)', of) using it;
            repaired := repaired + 1;
        exception when others then
            failed := failed || it;
            perform bridge_note(of, it, sqlerrm);
        end;
    end loop;
    delete from bridge_failures f where f.apply = of and f.key = any (keys) and f.key <> all (failed);
    if compared < most or keys = array[0::bigint] then
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
    update bridge set turn = here.turn, after = here.after, went_on_at = case when not is_whole then now() end;
    perform set_config('partner_api.writing', '', true);
    perform set_config('partner_api.loading', '', true);
end $$;

-- Writes as the API and as the EMR would, sees that each arrives on the other side, and gives what didn't. Whoever calls it rolls back.
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
        (select min(visit_type) as visit_type from emr_visit_types where active) t;
    if a.patient_id is null or a.provider_id is null or a.visit_type is null then
        return next 'there is no patient, active provider or active visit type to try it with';
        return;
    end if;
    begin
        insert into visits (patient_id, provider_id, visit_type, visit_date, visit_time, visit_duration)
        values (a.patient_id, a.provider_id, a.visit_type, a.visit_date, a.visit_time, a.visit_duration) returning visit_id into own;
        if not exists (select 1 from emr_visits where visit_id = own) then
            return next 'a visit of the API''s does not arrive in the EMR';
        end if;
        update visits set status = 'Cancelled' where visit_id = own;
        if (select status from emr_visits where visit_id = own) is distinct from 'Cancelled' then
            return next 'a cancellation of the API''s does not arrive in the EMR';
        end if;
        update patients set phone = '+1 555 0100', version = version + 1 where patient_id = patient;
        if (select phone from emr_patients where patient_id = patient) is distinct from '+1 555 0100' then
            return next 'a change of the API''s to a patient does not arrive in the EMR';
        end if;
    exception when others then
        return next 'the API''s writes fail: ' || sqlerrm;
    end;
    -- The same writes, as if they were the EMR's own.
    begin
        a.visit_date := a.visit_date + 1;
        own := emr_write_visit(null, a);
        if not exists (select 1 from visits where visit_id = own and visit_date = a.visit_date) then
            return next 'a visit of the EMR''s does not arrive here';
        end if;
        a.visit_id := own;
        perform emr_write_visit(a, jsonb_populate_record(a, '{"status": "Cancelled"}'));
        if (select status from visits where visit_id = own) is distinct from 'Cancelled' then
            return next 'a cancellation of the EMR''s does not arrive here';
        end if;
        select * into p from patients where patient_id = patient;
        perform emr_write_patient(p, jsonb_populate_record(p, '{"cell_phone": "+1 555 0101"}'));
        if (select cell_phone from patients where patient_id = patient) is distinct from '+1 555 0101' then
            return next 'a change of the EMR''s to a patient does not arrive here';
        end if;
    exception when others then
        return next 'writes as the EMR''s fail: ' || sqlerrm;
    end;
    return query select 'it was not followed: ' || f.message from bridge_failures f where f.failed_at = now();
end $$;
