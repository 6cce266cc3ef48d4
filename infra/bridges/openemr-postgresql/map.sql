-- OpenEMR's tables on PostgreSQL, as a practice's tables have them. Everything that names a table, column or value of the EMR is here;
-- `install.sql` uses only these functions and views. Run as the practice's role, in its schema.
set local search_path = partner_api;

-- Drop all first: `create or replace` cannot change a function's result columns.
do $$
declare
    it record;
begin
    for it in select p.oid::regprocedure as name from pg_proc p
        where pronamespace = 'partner_api'::regnamespace and proname like 'emr\_%' loop
        execute format('drop function %s', it.name);
    end loop;
end $$;

create or replace function emr_number(written text) returns bigint
language sql immutable parallel safe as $$ select case when written ~ '^[0-9]{1,15}$' then written::bigint end $$;

-- `pc_apptstatus`. Codes that the practice added count as scheduled, so the visit occupies its time.
create or replace function emr_status(written text) returns text
language sql immutable parallel safe as $$
    select case written
        when 'x' then 'Cancelled' when '%' then 'Cancelled' when '?' then 'NoShow'
        when '@' then 'Arrived' when '~' then 'Arrived' when '<' then 'Arrived'
        when '>' then 'Completed' when '$' then 'Completed'
        when 'AVM' then 'Confirmed' when 'SMS' then 'Confirmed' when 'EMAIL' then 'Confirmed'
        else 'Scheduled' end
$$;

-- Functions with quoted bodies, not views: PostgreSQL would refuse to change a column that a view reads, and the EMR's upgrade would fail. The
-- planner inlines them. Each result is cast, so that the EMR may change a column's type. Keys are compared without a cast, by the EMR's index.
create function emr_providers(keys bigint[])
returns table (provider_id bigint, name text, title text, specialty text, active boolean)
language sql stable as $$
    select u.id::bigint, concat_ws(' ', nullif(u.fname::text, ''), nullif(u.lname::text, '')), nullif(u.title::text, ''),
        nullif(u.specialty::text, ''), coalesce(u.active::integer = 1 and u.authorized::integer = 1, false)
    from public.users u where u.id = any (keys)
$$;

create function emr_patients(keys bigint[])
returns table (patient_id bigint, first_name text, mi text, last_name text, full_name text, gender text, dob date, primary_language text,
    phone text, cell_phone text, email text, address text, city text, state text, zip text, country text, provider_id bigint)
language sql stable as $$
    select d.pid::bigint, coalesce(d.fname::text, ''), nullif(d.mname::text, ''), coalesce(d.lname::text, ''),
        concat_ws(' ', nullif(d.fname::text, ''), nullif(d.mname::text, ''), nullif(d.lname::text, '')), nullif(d.sex::text, ''),
        d."DOB"::date, nullif(d.language::text, ''), nullif(d.phone_home::text, ''), nullif(d.phone_cell::text, ''),
        nullif(d.email::text, ''), nullif(d.street::text, ''), nullif(d.city::text, ''), nullif(d.state::text, ''),
        nullif(d.postal_code::text, ''), nullif(d.country_code::text, ''),
        (select u.id::bigint from public.users u where u.id = d."providerID"::bigint)
    from public.patient_data d where d.pid = any (keys)
$$;

-- Categories of kind 0 are visits; events of the others have no patient.
create function emr_visit_types() returns table (type_id bigint, visit_type text, active boolean)
language sql stable as $$
    select c.pc_catid::bigint, c.pc_catname::text, coalesce(c.pc_active::integer = 1, false)
    from public.openemr_postcalendar_categories c where c.pc_cattype::integer = 0 and c.pc_catname::text <> ''
$$;

create function emr_rooms() returns table (room text, name text, active boolean)
language sql stable as $$
    select o.option_id::text, coalesce(nullif(o.title::text, ''), o.option_id::text), coalesce(o.activity::integer = 1, false)
    from public.list_options o where o.list_id::text = 'patient_flow_board_rooms'
$$;

-- Events that are one patient's visit to one provider.
create function emr_visits(keys bigint[])
returns table (visit_id bigint, patient_id bigint, provider_id bigint, room_id bigint, visit_type text, visit_date date, visit_time time,
    visit_duration bigint, visit_complaint text, status text)
language sql stable as $$
    select e.pc_eid::bigint, p.patient_id, u.id::bigint, r.resource_id, c.pc_catname::text, e."pc_eventDate"::date,
        coalesce(e."pc_startTime"::time, '00:00'), (e.pc_duration::bigint + 59) / 60, nullif(e.pc_hometext::text, ''),
        case when e.pc_eventstatus < 0 then 'Deleted' else emr_status(e.pc_apptstatus::text) end
    from public.openemr_postcalendar_events e
    join public.openemr_postcalendar_categories c on c.pc_catid = e.pc_catid and c.pc_cattype::integer = 0 and c.pc_catname::text <> ''
    join patients p on p.patient_id = emr_number(e.pc_pid::text)
    join public.users u on u.id = emr_number(e.pc_aid::text)
    left join bridge_rooms r on r.room = e.pc_room::text
    where e.pc_eid = any (keys) and coalesce(e.pc_recurrtype, 0) = 0 and e.pc_duration between 1 and 86400
      and e."pc_eventDate" is not null
$$;

-- The events in a room.
create function emr_events_in(of_room text) returns table (event_id bigint)
language sql stable as $$ select e.pc_eid::bigint from public.openemr_postcalendar_events e where e.pc_room::text = of_room $$;

-- The events of a category.
create function emr_events_of(type_id bigint) returns table (event_id bigint)
language sql stable as $$ select e.pc_eid::bigint from public.openemr_postcalendar_events e where e.pc_catid = type_id $$;

-- The events of a provider.
create function emr_events_with(provider_id bigint) returns table (event_id bigint)
language sql stable as $$ select e.pc_eid::bigint from public.openemr_postcalendar_events e where e.pc_aid::text = provider_id::text $$;

-- The patients whom events name and whom our table lacks, although the EMR has them.
create function emr_patients_ahead(keys bigint[]) returns table (event_id bigint, patient_id bigint)
language sql stable as $$
    select e.pc_eid::bigint, d.pid::bigint from public.openemr_postcalendar_events e
    join public.patient_data d on d.pid = emr_number(e.pc_pid::text)
    where e.pc_eid = any (keys) and not exists (select 1 from patients p where p.patient_id = d.pid)
$$;

-- The events that can take time on a day or its neighbors: those near it, series, and long ones.
create function emr_events_near(day date) returns table (event_id bigint)
language sql stable as $$
    select e.pc_eid::bigint from public.openemr_postcalendar_events e
    where e."pc_eventDate" between day - 3 and day + 3 or coalesce(e.pc_recurrtype, 0) <> 0 or e.pc_duration > 86400
$$;

-- The series that can have days after a date.
create function emr_series(after date) returns table (event_id bigint)
language sql stable as $$
    select e.pc_eid::bigint from public.openemr_postcalendar_events e
    where coalesce(e.pc_recurrtype, 0) <> 0 and (e."pc_endDate"::date between date '0001-01-02' and after) is not true
$$;

-- One value of a series' rule, which OpenEMR stores as a serialized PHP array: `s:17:"event_repeat_freq";s:1:"1";`
create or replace function emr_rule(written text, name text) returns text
language sql immutable parallel safe as $$
    select coalesce(found[1], found[2]) from regexp_match(written, '"' || name || '";(?:s:[0-9]+:"([^"]*)"|i:([0-9]+))') found
$$;

-- The dates of a series between two dates, in order, without its exceptions. Kind 1: every n days, weeks, months, years or workdays
-- (units 0 to 4). Kind 2: one weekday, every n months. Kind 3: certain weekdays of each week.
create or replace function emr_dates(kind integer, rule text, first date, last date, until date) returns setof date
-- A high cost makes the planner apply all other filters first.
language plpgsql stable cost 100000 rows 20 set search_path = partner_api, pg_temp as $$
declare
    -- Limits keep every rule within the range of dates.
    step integer := least(greatest(coalesce(emr_number(emr_rule(rule, 'event_repeat_freq')), 1), 1), 100000);
    unit text := emr_rule(rule, 'event_repeat_freq_type');
    -- A broken last day means none, so that no time that is taken looks free.
    ends date := case when last > date '0001-01-01' then least(last, until) else until end;
    without text[] := string_to_array(coalesce(emr_rule(rule, 'exdate'), ''), ',');
    nth integer := least(emr_number(emr_rule(rule, 'event_repeat_on_num')), 100);
    weekday integer := least(emr_number(emr_rule(rule, 'event_repeat_on_day')), 100);
    -- Days long past matter to nobody, and a series with a mistyped year has hundreds of thousands of them. More than the longest horizon and a year.
    since date := until - 4500;
    -- The last week before that in which the workdays are counted as in the first one.
    week date;
begin
    if kind = 1 and unit in ('2', '3') and extract(day from first) > 28 then
        -- As PHP's `mktime` counts, by which the EMR shows them: February 31 is March 3, and from then on it is the 3rd.
        while first <= ends loop
            if first >= since and to_char(first, 'YYYYMMDD') <> all (without) then return next first; end if;
            first := (date_trunc('month', first) + step * case unit when '2' then interval '1 month' else interval '1 year' end)::date
                + (extract(day from first)::integer - 1);
        end loop;
    elsif kind = 1 and unit in ('0', '1', '2', '3') then
        return query
            select d from (
                select (first + n * step * case unit when '0' then interval '1 day' when '1' then interval '1 week'
                    when '2' then interval '1 month' else interval '1 year' end)::date as d
                from generate_series(greatest((since - first) / (step * case unit when '0' then 1 when '1' then 7 when '2' then 31 else 366 end), 0),
                    (ends - first) / (step * case unit when '0' then 1 when '1' then 7 when '2' then 28 else 365 end)) n
            ) as days
            where d <= ends and to_char(d, 'YYYYMMDD') <> all (without) order by d;
    elsif kind = 1 and unit = '4' then
        week := first + 7 * step * greatest((since - first) / (7 * step), 0);
        return query
            select d from (
                select d::date, row_number() over (order by d) - 1 as n
                -- Also a first day on a weekend; the workdays after it are counted from there.
                from generate_series(week, ends, interval '1 day') d where extract(isodow from d) < 6 or d::date = week
            ) as days (d, n)
            where n % step = 0 and to_char(d, 'YYYYMMDD') <> all (without) order by d;
    elsif kind = 2 and nth between 1 and 5 and weekday between 0 and 6 then
        step := least(greatest(coalesce(emr_number(emr_rule(rule, 'event_repeat_on_freq')), 1), 1), 10000);
        -- The fifth weekday of a month means its last.
        return query
            select d from (
                select coalesce(
                    case when nth < 5 then month + (weekday - extract(dow from month)::integer + 7) % 7 + 7 * (nth - 1) end,
                    month + interval '1 month' - interval '1 day'
                        - ((extract(dow from month + interval '1 month' - interval '1 day')::integer - weekday + 7) % 7) * interval '1 day'
                )::date as d
                from (select date_trunc('month', first)::date + n * step * interval '1 month' as at
                      from generate_series(greatest((since - first) / 31 / step - 1, 0), (ends - first) / 28 / step + 1) n) as months,
                    lateral (select at::date as month) as begun
            ) as days
            where d between first and ends and to_char(d, 'YYYYMMDD') <> all (without) order by d;
    elsif kind = 3 then
        return query
            select d::date from generate_series(greatest(first, since), ends, interval '1 day') d
            where ((extract(dow from d)::integer + 1)::text = any (string_to_array(emr_rule(rule, 'event_repeat_freq'), ',')) or d::date = first)
              and to_char(d, 'YYYYMMDD') <> all (without) order by d;
    else
        -- Not a series, or one with an unknown rule, which `emr_not_understood` reports.
        return next first;
    end if;
end $$;

-- Time off: events that are not visits (blocks, whole days, series). `end_time` is on the next day unless it is after `start_time`. An event without
-- a provider closes the practice. Category 2 means that the provider is present. Series extend as far as visits can be booked. A duration beyond ten
-- years is a mistake, and would take longer to write than the EMR may wait.
create function emr_time_off(keys bigint[])
returns table (event_id bigint, provider_id bigint, exception_date date, start_time time, end_time time, in_series boolean)
language sql stable as $$
    select e.pc_eid::bigint, emr_number(nullif(nullif(e.pc_aid::text, ''), '0')), d + n::integer,
        case when not whole then e."pc_startTime"::time end,
        case when not whole then e."pc_startTime"::time + e.pc_duration * interval '1 s' end,
        coalesce(e.pc_recurrtype, 0) <> 0
    from public.openemr_postcalendar_events e
    cross join lateral emr_dates(coalesce(e.pc_recurrtype, 0)::integer, e.pc_recurrspec::text, e."pc_eventDate"::date,
        e."pc_endDate"::date, bridge_reach()) d
    cross join lateral (select coalesce(e.pc_alldayevent::integer, 0) = 1 or e.pc_duration >= 86400 as whole) w
    cross join lateral generate_series(0, case when whole then least((greatest(coalesce(e.pc_duration, 1), 1) - 1) / 86400, case when coalesce(e.pc_recurrtype, 0) = 0 then 3700 else 6 end) else 0 end) n
    where e.pc_eid = any (keys) and e."pc_eventDate"::date between date '0001-01-01' and date '9999-12-31' and coalesce(e.pc_eventstatus, 1) >= 0
      and emr_status(e.pc_apptstatus::text) not in ('Cancelled', 'NoShow')
      and e.pc_catid <> 2 and (e.pc_duration > 0 or e.pc_alldayevent::integer = 1)
      and (coalesce(e.pc_aid::text, '') in ('', '0') or exists (select 1 from public.users u where u.id = emr_number(e.pc_aid::text)))
      and (d > current_date - 366 or coalesce(e.pc_recurrtype, 0) = 0)
      and not exists (select 1 from emr_visits(array[e.pc_eid::bigint]))
$$;

-- Writes one of our patients to the EMR and returns the EMR's id. Writes nothing if no column of the EMR's changes.
create or replace function emr_write_patient(before patients, after patients) returns bigint
language plpgsql as $$
declare
    own bigint := after.patient_id;
    limit_before text := current_setting('lock_timeout');
begin
    if before.patient_id is null then
        -- The EMR's program takes the highest number plus one. Leave that one free for it: otherwise it would wait for our transaction, and then fail. If
        -- another program has taken our number, or is about to, takes the next one.
        perform set_config('lock_timeout', least(30, 1000 * nullif(extract(epoch from limit_before::interval), 0))::integer::text, true);
        for attempt in 1..10 loop
            begin
                insert into public.patient_data (pid, fname, mname, lname, sex, "DOB", language, phone_home, phone_cell, email, street, city,
                    state, postal_code, country_code, "providerID", date, regdate)
                select greatest(coalesce(max(pid), 0), (select patients_above from bridge)) + 1 + attempt, coalesce(after.first_name, ''), coalesce(after.mi, ''), coalesce(after.last_name, ''),
                    coalesce(after.gender, ''), after.dob, coalesce(after.primary_language, ''), coalesce(after.phone, ''),
                    coalesce(after.cell_phone, ''), coalesce(after.email, ''), coalesce(after.address, ''), coalesce(after.city, ''),
                    coalesce(after.state, ''), coalesce(after.zip, ''), coalesce(after.country, ''), after.provider_id, now(), now()
                from public.patient_data
                returning pid into own;
                perform set_config('lock_timeout', limit_before, true);
                return own;
            exception when unique_violation or lock_not_available then
                if attempt = 10 then raise; end if;
            end;
        end loop;
    end if;
    if (after.first_name, after.mi, after.last_name, after.gender, after.dob, after.primary_language, after.phone, after.cell_phone,
            after.email, after.address, after.city, after.state, after.zip, after.country, after.provider_id)
        is distinct from
        (before.first_name, before.mi, before.last_name, before.gender, before.dob, before.primary_language, before.phone,
            before.cell_phone, before.email, before.address, before.city, before.state, before.zip, before.country, before.provider_id)
    then
        -- Only the columns that the caller changes: where a change by the EMR is not applied yet, our row has the old values.
        update public.patient_data set
            fname = case when after.first_name is distinct from before.first_name then coalesce(after.first_name, '') else fname end,
            mname = case when after.mi is distinct from before.mi then coalesce(after.mi, '') else mname end,
            lname = case when after.last_name is distinct from before.last_name then coalesce(after.last_name, '') else lname end,
            sex = case when after.gender is distinct from before.gender then coalesce(after.gender, '') else sex end,
            "DOB" = case when after.dob is distinct from before.dob then after.dob else "DOB" end,
            language = case when after.primary_language is distinct from before.primary_language then coalesce(after.primary_language, '') else language end,
            phone_home = case when after.phone is distinct from before.phone then coalesce(after.phone, '') else phone_home end,
            phone_cell = case when after.cell_phone is distinct from before.cell_phone then coalesce(after.cell_phone, '') else phone_cell end,
            email = case when after.email is distinct from before.email then coalesce(after.email, '') else email end,
            street = case when after.address is distinct from before.address then coalesce(after.address, '') else street end,
            city = case when after.city is distinct from before.city then coalesce(after.city, '') else city end,
            state = case when after.state is distinct from before.state then coalesce(after.state, '') else state end,
            postal_code = case when after.zip is distinct from before.zip then coalesce(after.zip, '') else postal_code end,
            country_code = case when after.country is distinct from before.country then coalesce(after.country, '') else country_code end,
            "providerID" = case when after.provider_id is distinct from before.provider_id then after.provider_id else "providerID" end,
            date = now()
        where pid = own;
    end if;
    return own;
end $$;

-- Writes one of our visits to the EMR and returns the EMR's id.
create or replace function emr_write_visit(before visits, after visits) returns bigint
language plpgsql as $$
declare
    own bigint := after.visit_id;
    own_room text := (select room from bridge_rooms where resource_id = after.room_id);
    limit_before text := current_setting('lock_timeout');
    type bigint;
    is_moved boolean := (after.visit_date, after.visit_time, after.visit_duration)
        is distinct from (before.visit_date, before.visit_time, before.visit_duration);
begin
    if before.visit_id is null then
        select type_id into type from emr_visit_types() where visit_type = after.visit_type order by active desc, type_id limit 1;
        if type is null then raise check_violation using message = 'emr_visit_type'; end if;
        -- Skips ids that were assigned manually, or are about to be.
        perform set_config('lock_timeout', least(30, 1000 * nullif(extract(epoch from limit_before::interval), 0))::integer::text, true);
        for attempt in 1..10 loop
            begin
                insert into public.openemr_postcalendar_events (pc_catid, pc_aid, pc_pid, pc_title, pc_time, pc_hometext, pc_informant,
                    "pc_eventDate", "pc_endDate", pc_duration, "pc_startTime", "pc_endTime", pc_apptstatus, pc_eventstatus, pc_room)
                values (type, after.provider_id, after.patient_id, after.visit_type, now(), after.visit_complaint, 'partner-api',
                    after.visit_date, after.visit_date, after.visit_duration * 60, after.visit_time,
                    after.visit_time + after.visit_duration * interval '1 min', '-', 1, coalesce(own_room, ''))
                returning pc_eid into own;
                perform set_config('lock_timeout', limit_before, true);
                return own;
            exception when unique_violation or lock_not_available then
                if attempt = 10 then raise; end if;
            end;
        end loop;
    end if;
    -- Only the columns that the caller changes, as above.
    update public.openemr_postcalendar_events set
        pc_aid = case when after.provider_id is distinct from before.provider_id then after.provider_id::text else pc_aid end,
        "pc_eventDate" = case when is_moved then after.visit_date else "pc_eventDate" end,
        "pc_endDate" = case when is_moved then after.visit_date else "pc_endDate" end,
        "pc_startTime" = case when is_moved then after.visit_time else "pc_startTime" end,
        pc_duration = case when is_moved then after.visit_duration * 60 else pc_duration end,
        "pc_endTime" = case when is_moved then after.visit_time + after.visit_duration * interval '1 min' else "pc_endTime" end,
        pc_room = case when after.room_id is distinct from before.room_id then coalesce(own_room, '') else pc_room end,
        pc_apptstatus = case when after.status = 'Cancelled' and before.status <> 'Cancelled' then 'x' else pc_apptstatus end
    where pc_eid = own
      and (after.provider_id, after.room_id, after.visit_date, after.visit_time, after.visit_duration, after.status)
          is distinct from
          (before.provider_id, before.room_id, before.visit_date, before.visit_time, before.visit_duration, before.status);
    return own;
end $$;

-- Makes the EMR's table assign ids above `last` to new events. Rows that are rolled back use up ids, so no privilege on the sequence is needed.
-- Patients' ids come from no sequence (`emr_write_patient`).
create function emr_begin_above(of_table text, last bigint) returns void
language plpgsql as $$
declare
    given bigint := 0;
begin
    if of_table <> 'visits' then return; end if;
    while given < last loop
        begin
            with used as (
                insert into public.openemr_postcalendar_events (pc_title, pc_informant)
                select 'never kept', 'partner-api' from generate_series(1, least(greatest(last - given, 1), case given when 0 then 1 else 100000 end))
                returning pc_eid)
            select max(pc_eid) into given from used;
            raise exception using errcode = 'PA001';
        exception when sqlstate 'PA001' then null;
        end;
    end loop;
end $$;

-- The EMR's tables with triggers, the function of `install.sql` that applies their rows, and its key column. Without a key column the table is
-- watched as a whole.
create or replace view bridge_watched (emr_table, apply, key) as values
    ('public.users', 'bridge_apply_provider', 'id'),
    ('public.patient_data', 'bridge_apply_patient', 'pid'),
    ('public.openemr_postcalendar_categories', 'bridge_apply_visit_type', 'pc_catid'),
    ('public.openemr_postcalendar_events', 'bridge_apply_event', 'pc_eid'),
    ('public.list_options', 'bridge_apply_rooms', '');

-- Values of the EMR that have no meaning here; the practice or its integrator decides what they mean.
create function emr_not_understood() returns table (what text, key text)
language sql stable as $$
    with events as (
        select e.pc_eid::text as key, e.pc_recurrtype as kind, e.pc_recurrspec::text as rule, e.pc_eventstatus as status, e.pc_catid as category,
            nullif(nullif(e.pc_aid::text, ''), '0') as provider, nullif(nullif(e.pc_pid::text, ''), '0') as patient, e.pc_room::text as room,
            e."pc_eventDate"::date as begins, case when e."pc_endDate"::date > date '0001-01-01' then e."pc_endDate"::date end as ends, e.pc_duration::bigint as duration,
            e.pc_alldayevent::integer as whole
        from public.openemr_postcalendar_events e)
    select 'date outside of the calendar', key from events where begins not between date '0001-01-01' and date '9999-12-31'
    union all
    select 'duration of more than ten years, or a week in a series', key from events where duration > case kind when 0 then 319680000 else 604800 end
    union all
    -- For the EMR's own search, Out Of Office lasts until the next In Office, whatever its duration.
    select 'absence without a duration', key from events
    where category = 3 and duration = 0 and whole is distinct from 1 and status >= 0
      and (begins >= current_date or kind <> 0 and coalesce(ends, current_date) >= current_date)
    union all
    select 'unknown recurrence rule', key from events
    where kind <> 0 and status >= 0 and coalesce(ends, current_date) >= current_date and not (
        kind = 1 and coalesce(emr_rule(rule, 'event_repeat_freq_type'), '') in ('0', '1', '2', '3', '4')
        or kind = 2 and emr_number(emr_rule(rule, 'event_repeat_on_num')) between 1 and 5
            and emr_number(emr_rule(rule, 'event_repeat_on_day')) between 0 and 6
        or kind = 3 and emr_rule(rule, 'event_repeat_freq') ~ '^[1-7](,[1-7])*$')
    union all
    select 'provider is not a user', key from events
    where begins >= current_date and provider is not null and not exists (select 1 from public.users u where u.id = emr_number(provider))
    union all
    select 'patient does not exist', key from events
    where begins >= current_date and patient is not null
      and not exists (select 1 from public.patient_data d where d.pid = emr_number(patient))
    union all
    select 'category without a name', c.pc_catid::text from public.openemr_postcalendar_categories c
    where c.pc_cattype = 0 and coalesce(c.pc_catname::text, '') = ''
    union all
    select 'category does not exist', key from events
    where begins >= current_date and not exists (select 1 from public.openemr_postcalendar_categories c where c.pc_catid = category)
    union all
    select 'room does not exist', key from events
    where begins >= current_date and room <> '' and room not in (select r.room from emr_rooms() r)
$$;

create function emr_size() returns table (patients bigint, events bigint)
language sql stable as $$ select (select count(*) from public.patient_data), (select count(*) from public.openemr_postcalendar_events) $$;

-- The privileges that the practice's role needs.
create or replace view bridge_grants (emr_table, privilege) as values
    ('public.users', 'SELECT'), ('public.users', 'TRIGGER'),
    ('public.patient_data', 'SELECT'), ('public.patient_data', 'INSERT'), ('public.patient_data', 'UPDATE'), ('public.patient_data', 'TRIGGER'),
    ('public.openemr_postcalendar_categories', 'SELECT'), ('public.openemr_postcalendar_categories', 'TRIGGER'),
    ('public.openemr_postcalendar_events', 'SELECT'), ('public.openemr_postcalendar_events', 'INSERT'),
    ('public.openemr_postcalendar_events', 'UPDATE'), ('public.openemr_postcalendar_events', 'TRIGGER'),
    ('public.list_options', 'SELECT'), ('public.list_options', 'TRIGGER');

-- The privileges that are missing, as statements for the owner of the EMR's tables.
create or replace view bridge_ungranted (emr_table, statement) as
    select g.emr_table, format('grant %s on %s to %I;', string_agg(lower(g.privilege), ', ' order by g.privilege), g.emr_table, current_user)
    from bridge_grants g
    where to_regclass(g.emr_table) is not null and not has_table_privilege(to_regclass(g.emr_table), g.privilege) group by g.emr_table;

-- Rows of ours that are not the EMR's: another practice's program or the API made them without a bridge. Attaching would take them for
-- the EMR's rows of the same ids, or delete them.
create function emr_strangers() returns bigint
language sql stable as $$
    select (select count(*) from patients p left join emr_patients(array(select patient_id from patients)) e on e.patient_id = p.patient_id
            where e.patient_id is null and p.patient_id > coalesce((select last_patient from detached), -1) or p.first_name <> e.first_name and p.last_name <> e.last_name and p.dob is distinct from e.dob)
        + (select count(*) from visits v left join emr_visits(array(select visit_id from visits)) e on e.visit_id = v.visit_id
            where v.status <> 'Deleted' and (e.visit_id is null and v.visit_id > coalesce((select last_visit from detached), -1) or e.patient_id <> v.patient_id and e.visit_date <> v.visit_date))
    where not exists (select 1 from bridge)
$$;
