-- OpenEMR's tables on MariaDB, as a practice's tables have them. Everything that names a table or a value of the EMR is here and in
-- `mariadb.sql`. Run as the practice's role, in its schema. Foreign tables have the names of MariaDB's tables. Dates and times are texts,
-- because MariaDB stores some that PostgreSQL rejects ('0000-00-00').
set local search_path = partner_api;

do $$
declare
    it record;
    -- Set while the bridge is being connected; afterwards the foreign tables store it.
    database text := nullif(current_setting('partner_api.emr_database', true), '');
begin
    for it in select case name when 'partner_api_outbox' then 'emr_outbox' when 'users' then 'emr_users' else name end as own, name, columns from (values
        ('users', 'id bigint, fname text, lname text, title text, specialty text, active integer, authorized integer'),
        ('patient_data', 'id bigint, pid bigint, fname text, mname text, lname text, sex text, "DOB" text, language text, phone_home text, phone_cell text,
            email text, street text, city text, state text, postal_code text, country_code text, "providerID" bigint'),
        ('openemr_postcalendar_categories', 'pc_catid bigint, pc_catname text, pc_cattype integer, pc_active integer'),
        ('openemr_postcalendar_events', 'pc_eid bigint, pc_catid bigint, pc_aid text, pc_pid text, pc_hometext text, "pc_eventDate" text, "pc_endDate" text,
            pc_duration bigint, pc_recurrtype integer, pc_recurrspec text, "pc_startTime" text, pc_alldayevent integer, pc_eventstatus integer,
            pc_apptstatus text, pc_room text'),
        ('list_options', 'list_id text, option_id text, title text, activity integer'),
        ('partner_api_outbox', 'id bigint, apply text, key bigint'),
        ('partner_api_state', 'singleton integer, version integer, acknowledged text, settled text, visits_above bigint, patients_above bigint, triggers text,
            last_visit bigint, last_patient bigint'),
        ('partner_api_visits', 'token bigint, seq bigint, kind text, event_id bigint, category bigint, provider bigint, patient bigint, day date, start time,
            minutes bigint, title text, complaint text, room text, changes text, must_be_free integer, applied_from bigint, applied_to bigint, unseen text, is_undone integer,
            result text, message text'),
        ('partner_api_patients', 'token bigint, seq bigint, kind text, patient_id bigint, changes text, fname text, mname text, lname text, sex text, dob date, language text,
            phone_home text, phone_cell text, email text, street text, city text, state text, postal_code text, country_code text, provider bigint,
            is_undone integer, result text, message text')) as tables (name, columns)
    loop
        if to_regclass('partner_api.' || it.own) is null then
            execute format('create foreign table %I (%s) server partner_api_emr options (dbname %L, table_name %L)', it.own, it.columns, database, it.name);
        elsif database is not null then
            execute format('alter foreign table %I options (set dbname %L)', it.own, database);
        end if;
    end loop;
end $$;

create or replace function emr_number(written text) returns bigint
language sql immutable parallel safe as $$ select case when written ~ '^[0-9]{1,15}$' then written::bigint end $$;
create or replace function emr_date(written text) returns date
language sql immutable parallel safe as $$
    -- MariaDB can store February 31; for the EMR's program that is March 3.
    select case when written ~ '^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])' and written !~ '^0000'
        then to_date(left(written, 7) || '-01', 'YYYY-MM-DD') + (substr(written, 9, 2)::integer - 1) end
$$;
create or replace function emr_time(written text) returns time
language sql immutable parallel safe as $$ select case when written ~ '^([01][0-9]|2[0-3]):[0-5][0-9]' then written::time end $$;

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

create or replace view emr_providers as
select id as provider_id, concat_ws(' ', nullif(fname, ''), nullif(lname, '')) as name, nullif(title, '') as title,
    nullif(specialty, '') as specialty, coalesce(active = 1 and authorized = 1, false) as active
from emr_users;

-- Categories of kind 0 are visits; events of the others have no patient.
create or replace view emr_visit_types as
select pc_catid as type_id, pc_catname as visit_type, coalesce(pc_active = 1, false) as active
from openemr_postcalendar_categories where pc_cattype = 0 and pc_catname <> '';

create or replace view emr_rooms as
select option_id as room, coalesce(nullif(title, ''), option_id) as name, coalesce(activity = 1, false) as active
from list_options where list_id = 'patient_flow_board_rooms';

-- MariaDB's rows with keys from `first` to `last`, in one query.
create or replace function emr_read_events(first bigint, last bigint) returns openemr_postcalendar_events[]
language plpgsql set plan_cache_mode = force_custom_plan set search_path = partner_api, pg_temp as $$
begin
    return array(select e from openemr_postcalendar_events e where e.pc_eid >= first and e.pc_eid <= last);
end $$;
-- A list as a constant: mysql_fdw writes a list in a variable as one value.
create or replace function emr_read_some_events(keys bigint[]) returns openemr_postcalendar_events[]
language plpgsql set search_path = partner_api, pg_temp as $$
declare
    rows openemr_postcalendar_events[];
begin
    execute format('select array_agg(e) from openemr_postcalendar_events e where e.pc_eid = any (%L::bigint[])', keys) into rows;
    return coalesce(rows, '{}');
end $$;
create or replace function emr_read_patients(first bigint, last bigint) returns patient_data[]
language plpgsql set plan_cache_mode = force_custom_plan set search_path = partner_api, pg_temp as $$
begin
    return array(select d from patient_data d where d.pid >= first and d.pid <= last);
end $$;

create or replace function emr_patients(rows patient_data[])
returns table (patient_id bigint, first_name text, mi text, last_name text, full_name text, gender text, dob date, primary_language text, phone text,
    cell_phone text, email text, address text, city text, state text, zip text, country text, provider_id bigint)
language sql stable as $$
    select d.pid, coalesce(d.fname, ''), nullif(d.mname, ''), coalesce(d.lname, ''), concat_ws(' ', nullif(d.fname, ''), nullif(d.mname, ''), nullif(d.lname, '')),
        nullif(d.sex, ''), emr_date(d."DOB"), nullif(d.language, ''), nullif(d.phone_home, ''), nullif(d.phone_cell, ''), nullif(d.email, ''),
        nullif(d.street, ''), nullif(d.city, ''), nullif(d.state, ''), nullif(d.postal_code, ''), nullif(d.country_code, ''),
        (select p.provider_id from providers p where p.provider_id = d."providerID")
    from unnest(rows) d
$$;

-- Events that are one patient's visit to one provider.
create or replace function emr_visits(rows openemr_postcalendar_events[])
returns table (visit_id bigint, patient_id bigint, provider_id bigint, room_id bigint, visit_type text, visit_date date, visit_time time,
    visit_duration bigint, visit_complaint text, status text)
language sql stable as $$
    select e.pc_eid, p.patient_id, u.provider_id, r.resource_id, t.visit_type, emr_date(e."pc_eventDate"), coalesce(emr_time(e."pc_startTime"), '00:00'),
        (e.pc_duration + 59) / 60, nullif(e.pc_hometext, ''), case when e.pc_eventstatus < 0 then 'Deleted' else emr_status(e.pc_apptstatus) end
    from unnest(rows) e
    join bridge_categories t on t.type_id = e.pc_catid
    join patients p on p.patient_id = emr_number(e.pc_pid)
    join providers u on u.provider_id = emr_number(e.pc_aid)
    left join bridge_rooms r on r.room = e.pc_room
    where coalesce(e.pc_recurrtype, 0) = 0 and e.pc_duration between 1 and 86400 and emr_date(e."pc_eventDate") is not null
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
        -- Not a series, or one with an unknown rule, which `bridge_not_understood` reports.
        return next first;
    end if;
end $$;

-- Time off: events that are not visits (blocks, whole days, series). `end_time` is on the next day unless it is after `start_time`. An event without
-- a provider closes the practice. Category 2 means that the provider is present. Series extend as far as visits can be booked. A duration beyond ten
-- years is a mistake, and would take longer to write than the EMR may wait.
create or replace function emr_time_off(rows openemr_postcalendar_events[])
returns table (event_id bigint, provider_id bigint, exception_date date, start_time time, end_time time, in_series boolean)
language sql stable as $$
    select e.pc_eid, emr_number(nullif(nullif(e.pc_aid, ''), '0')), d + n::integer,
        case when not whole then emr_time(e."pc_startTime") end,
        case when not whole then emr_time(e."pc_startTime") + e.pc_duration * interval '1 s' end, coalesce(e.pc_recurrtype, 0) <> 0
    from (select r.* from unnest(rows) r left join emr_visits(rows) v on v.visit_id = r.pc_eid where v.visit_id is null offset 0) e
    cross join bridge_reach() reach
    cross join lateral emr_dates(coalesce(e.pc_recurrtype, 0), e.pc_recurrspec, emr_date(e."pc_eventDate"), emr_date(e."pc_endDate"), reach) d
    cross join lateral (select coalesce(e.pc_alldayevent, 0) = 1 or e.pc_duration >= 86400 as whole) w
    cross join lateral generate_series(0, case when whole then least((greatest(coalesce(e.pc_duration, 1), 1) - 1) / 86400, case when coalesce(e.pc_recurrtype, 0) = 0 then 3700 else 6 end) else 0 end) n
    where emr_date(e."pc_eventDate") is not null and coalesce(e.pc_eventstatus, 1) >= 0 and emr_status(e.pc_apptstatus) not in ('Cancelled', 'NoShow')
      and e.pc_catid <> 2 and (e.pc_duration > 0 or e.pc_alldayevent = 1)
      and (coalesce(e.pc_aid, '') in ('', '0') or exists (select 1 from providers p where p.provider_id = emr_number(e.pc_aid)))
      and (d > current_date - 366 or coalesce(e.pc_recurrtype, 0) = 0)
$$;

-- Inserts a row into MariaDB's table and reads the result that its trigger stored: six round trips. A generic plan, or each call would add the planner's
-- round trips. A connection that MariaDB has closed is opened again, as in `bridge_news`; if it broke after the insert, the second one is rejected because of
-- its token.
create or replace function emr_send_visit(sent partner_api_visits) returns partner_api_visits
language plpgsql set plan_cache_mode = force_generic_plan set search_path = partner_api, pg_temp as $$
declare
    own bigint := sent.token;
    answer partner_api_visits;
begin
    for attempt in 1..3 loop
        begin
            insert into partner_api_visits select (sent).*;
            exit;
        exception when fdw_error then
            if attempt = 3 or sqlerrm ~ 'Lock wait timeout|Deadlock|Record has changed' then raise; end if;
        end;
    end loop;
    select v.event_id, v.result, v.message into answer.event_id, answer.result, answer.message from partner_api_visits v where v.token = own;
    return answer;
end $$;
create or replace function emr_send_patient(sent partner_api_patients) returns partner_api_patients
language plpgsql set plan_cache_mode = force_generic_plan set search_path = partner_api, pg_temp as $$
declare
    own bigint := sent.token;
    answer partner_api_patients;
begin
    for attempt in 1..3 loop
        begin
            insert into partner_api_patients select (sent).*;
            exit;
        exception when fdw_error then
            if attempt = 3 or sqlerrm ~ 'Lock wait timeout|Deadlock|Record has changed' then raise; end if;
        end;
    end loop;
    select p.patient_id, p.result, p.message into answer.patient_id, answer.result, answer.message from partner_api_patients p where p.token = own;
    return answer;
end $$;

-- Writes one of our patients to the EMR and returns the EMR's id. For an existing patient, it writes only the columns that the caller changes: where a change
-- by the EMR is not applied yet, our row has the old values. Writes nothing if no column of the EMR's changes.
create or replace function emr_write_patient(before patients, after patients) returns bigint
language plpgsql set search_path = partner_api, pg_temp as $$
declare
    sent partner_api_patients;
    answer partner_api_patients;
begin
    sent.changes := concat_ws(',',
        case when after.first_name is distinct from before.first_name then 'fname' end, case when after.mi is distinct from before.mi then 'mname' end,
        case when after.last_name is distinct from before.last_name then 'lname' end, case when after.gender is distinct from before.gender then 'sex' end,
        case when after.dob is distinct from before.dob then 'dob' end,
        case when after.primary_language is distinct from before.primary_language then 'language' end,
        case when after.phone is distinct from before.phone then 'phone_home' end,
        case when after.cell_phone is distinct from before.cell_phone then 'phone_cell' end,
        case when after.email is distinct from before.email then 'email' end, case when after.address is distinct from before.address then 'street' end,
        case when after.city is distinct from before.city then 'city' end, case when after.state is distinct from before.state then 'state' end,
        case when after.zip is distinct from before.zip then 'postal_code' end,
        case when after.country is distinct from before.country then 'country_code' end,
        case when after.provider_id is distinct from before.provider_id then 'provider' end);
    if before.patient_id is not null and sent.changes = '' then return after.patient_id; end if;
    if before.patient_id is not null and exists (select 1 from bridge_failures where apply = 'bridge_apply_patient' and key = before.patient_id) then
        raise serialization_failure using message = 'the EMR has changed this row';
    end if;
    perform bridge_enter();
    sent.token := bridge_token();
    sent.kind := case when before.patient_id is null then 'new' else 'change' end;
    sent.patient_id := before.patient_id;
    sent.fname := coalesce(after.first_name, '');
    sent.mname := coalesce(after.mi, '');
    sent.lname := coalesce(after.last_name, '');
    sent.sex := coalesce(after.gender, '');
    sent.dob := after.dob;
    sent.language := coalesce(after.primary_language, '');
    sent.phone_home := coalesce(after.phone, '');
    sent.phone_cell := coalesce(after.cell_phone, '');
    sent.email := coalesce(after.email, '');
    sent.street := coalesce(after.address, '');
    sent.city := coalesce(after.city, '');
    sent.state := coalesce(after.state, '');
    sent.postal_code := coalesce(after.zip, '');
    sent.country_code := coalesce(after.country, '');
    sent.provider := after.provider_id;
    sent.is_undone := 0;
    answer := emr_send_patient(sent);
    perform bridge_answer(answer.result, answer.message);
    return answer.patient_id;
end $$;

-- Whether one of the EMR's series, or an event of several days, takes this time, as MariaDB has them now. MariaDB's trigger checks all other events.
create or replace function emr_has_time_off(v visits) returns boolean
language plpgsql set search_path = partner_api, pg_temp as $$
declare
    series openemr_postcalendar_events[];
begin
    execute format('select array_agg(e) from openemr_postcalendar_events e where (pc_recurrtype <> 0 or pc_duration > 86400) and "pc_eventDate" <= %L',
        v.visit_date + 1) into series;
    return bridge_takes(v, array(select (t.provider_id, t.exception_date, t.start_time, t.end_time)::bridge_span from emr_time_off(series) t));
end $$;

-- Writes one of our visits to the EMR and returns the EMR's id. For an existing visit, it writes only what the caller changes. With `as_staff`, writes it as
-- the EMR's staff would, for trials.
create or replace function emr_write_visit(before visits, after visits, as_staff text default null) returns bigint
language plpgsql set search_path = partner_api, pg_temp as $$
declare
    own_room text := coalesce((select room from bridge_rooms where resource_id = after.room_id), '');
    is_moved boolean := before.visit_id is null or (after.provider_id, after.room_id, after.visit_date, after.visit_time, after.visit_duration)
        is distinct from (before.provider_id, before.room_id, before.visit_date, before.visit_time, before.visit_duration);
    is_cancelled boolean := coalesce(before.status <> 'Cancelled' and after.status = 'Cancelled', false);
    is_checked boolean := is_moved and as_staff is null and after.status not in ('Cancelled', 'NoShow', 'Deleted');
    -- Whether our tables have all that the EMR has committed, as far as this transaction knows.
    is_current boolean := true;
    has_swept boolean := false;
    sent partner_api_visits;
    answer partner_api_visits;
begin
    if before.visit_id is null then
        select type_id into sent.category from bridge_categories where visit_type = after.visit_type order by active desc, type_id limit 1;
        if sent.category is null then raise check_violation using message = 'emr_visit_type'; end if;
    elsif not is_moved and not is_cancelled then
        return after.visit_id;
    end if;
    perform bridge_enter();
    sent.kind := coalesce(as_staff, case when before.visit_id is null then 'book' else 'change' end);
    sent.event_id := before.visit_id;
    sent.provider := after.provider_id;
    sent.patient := after.patient_id;
    sent.day := after.visit_date;
    sent.start := after.visit_time;
    sent.minutes := after.visit_duration;
    sent.title := after.visit_type;
    sent.complaint := after.visit_complaint;
    sent.room := own_room;
    sent.changes := concat_ws(',', case when after.provider_id is distinct from before.provider_id then 'provider' end,
        case when (after.visit_date, after.visit_time, after.visit_duration) is distinct from (before.visit_date, before.visit_time, before.visit_duration)
            then 'time' end,
        case when after.room_id is distinct from before.room_id then 'room' end, case when is_cancelled then 'status' end);
    sent.must_be_free := is_checked::integer;
    sent.is_undone := 0;
    for attempt in 1..3 loop
        sent.token := bridge_token();
        if is_checked then
            sent.applied_from := null;
            sent.applied_to := null;
            sent.unseen := null;
            -- Runs before the checks, so that they see all rows that are applied by then. Null if a change failed, or if `unseen` would be cut off.
            if is_current and attempt < 3 then
                select coalesce(min(id), 0), coalesce(max(id), 0) into sent.applied_from, sent.applied_to from bridge_pulled
                having not exists (select 1 from bridge_failures) and coalesce(max(id) - min(id), 0) <= 10000;
                sent.unseen := (select jsonb_agg(i) from generate_series(sent.applied_from, least(sent.applied_to, sent.applied_from + 10000)) i
                    where not exists (select 1 from bridge_pulled where id = i));
            end if;
            perform bridge_overlap(after);
            perform bridge_time_off_overlap(after);
            -- The EMR changes faster than this transaction applies its changes, or series are not copied as far (the horizon was raised): the EMR's own
            -- rows decide.
            if (sent.applied_to is null or after.visit_date > (select renewed_until - 2 from bridge)) and emr_has_time_off(after) then
                raise exclusion_violation using constraint = 'visits_provider_free', message = 'visits_provider_free';
            end if;
        end if;
        answer := emr_send_visit(sent);
        -- What is in the way can be a write of a lost call, for example of the caller's previous attempt. Without it, tries once more.
        if answer.result in ('provider', 'room', 'patient') and not has_swept and pg_try_advisory_xact_lock(20926, 0) then
            has_swept := true;
            exit when bridge_sweep(20) = 0;
        else
            exit when answer.result <> 'behind';
        end if;
        is_current := bridge_follow(before.visit_id);
    end loop;
    perform bridge_answer(answer.result, answer.message);
    return answer.event_id;
end $$;

create or replace function emr_size() returns table (patients bigint, events bigint)
language sql stable as $$ select (select count(*) from patient_data), (select count(*) from openemr_postcalendar_events) $$;

-- Rows of ours that are not the EMR's: the API made them without a bridge. Attaching would take them for the EMR's rows of the same ids, or
-- delete them.
create or replace function emr_strangers() returns bigint
language plpgsql set search_path = partner_api, pg_temp as $$
declare
    strangers bigint := 0;
begin
    if exists (select 1 from bridge) then return 0; end if;
    if exists (select 1 from patients) then
        strangers := (select count(*) from patients p left join patient_data d on d.pid = p.patient_id
            where d.pid is null and p.patient_id > coalesce((select last_patient from detached), -1)
               or d.pid is not null and p.first_name <> coalesce(d.fname, '') and p.last_name <> coalesce(d.lname, '') and p.dob is distinct from emr_date(d."DOB"));
    end if;
    if exists (select 1 from visits) then
        strangers := strangers + (select count(*) from visits v left join openemr_postcalendar_events e on e.pc_eid = v.visit_id
            where v.status <> 'Deleted' and (e.pc_eid is null and v.visit_id > coalesce((select last_visit from detached), -1)
               or e.pc_eid is not null and emr_number(e.pc_pid) is distinct from v.patient_id and emr_date(e."pc_eventDate") is distinct from v.visit_date));
    end if;
    return strangers;
end $$;

-- Values of the EMR that have no meaning here; the practice or its integrator decides what they mean.
create or replace function bridge_not_understood() returns table (what text, key text)
language plpgsql set search_path = partner_api, pg_temp as $$
declare
    e openemr_postcalendar_events;
    rooms text[] := array(select option_id from list_options where list_id = 'patient_flow_board_rooms');
    categories bigint[] := array(select pc_catid from openemr_postcalendar_categories);
begin
    return query select 'category without a name', pc_catid::text from openemr_postcalendar_categories where pc_cattype = 0 and coalesce(pc_catname, '') = '';
    for e in execute format('select * from openemr_postcalendar_events where "pc_eventDate" >= %L or pc_recurrtype <> 0', current_date) loop
        key := e.pc_eid::text;
        if e.pc_recurrtype <> 0 and e.pc_eventstatus >= 0 and coalesce(emr_date(e."pc_endDate"), current_date) >= current_date and not (
            e.pc_recurrtype = 1 and coalesce(emr_rule(e.pc_recurrspec, 'event_repeat_freq_type'), '') in ('0', '1', '2', '3', '4')
            or e.pc_recurrtype = 2 and emr_number(emr_rule(e.pc_recurrspec, 'event_repeat_on_num')) between 1 and 5
                and emr_number(emr_rule(e.pc_recurrspec, 'event_repeat_on_day')) between 0 and 6
            or e.pc_recurrtype = 3 and emr_rule(e.pc_recurrspec, 'event_repeat_freq') ~ '^[1-7](,[1-7])*$')
        then what := 'unknown recurrence rule'; return next; end if;
        -- For the EMR's own search, Out Of Office lasts until the next In Office, whatever its duration.
        if e.pc_catid = 3 and e.pc_duration = 0 and e.pc_alldayevent is distinct from 1 and e.pc_eventstatus >= 0
            and (coalesce(e.pc_recurrtype, 0) = 0 or coalesce(emr_date(e."pc_endDate"), current_date) >= current_date)
        then what := 'absence without a duration'; return next; end if;
        if e.pc_duration > (case when coalesce(e.pc_recurrtype, 0) = 0 then 319680000 else 604800 end) then
            what := 'duration of more than ten years, or a week in a series'; return next;
        end if;
        if emr_date(e."pc_eventDate") >= current_date then
            if coalesce(e.pc_aid, '') not in ('', '0') and not exists (select 1 from providers p where p.provider_id = emr_number(e.pc_aid)) then
                what := 'provider is not a user'; return next;
            end if;
            if coalesce(e.pc_pid, '') not in ('', '0') and not exists (select 1 from patients p where p.patient_id = emr_number(e.pc_pid)) then
                what := 'patient does not exist'; return next;
            end if;
            if e.pc_catid <> all (categories) then what := 'category does not exist'; return next; end if;
            if e.pc_room <> '' and e.pc_room <> all (rooms) then what := 'room does not exist'; return next; end if;
        end if;
    end loop;
end $$;

-- The steps that an administrator of either server must take first.
create or replace function bridge_missing() returns setof text
language plpgsql set search_path = partner_api, pg_temp as $$
declare
    it text;
begin
    foreach it in array array['emr_users', 'patient_data', 'openemr_postcalendar_categories', 'openemr_postcalendar_events', 'list_options', 'emr_outbox',
        'partner_api_state', 'partner_api_visits', 'partner_api_patients']
    loop
        begin
            execute format('select 1 from %I limit 1', it);
        exception when fdw_error then
            return next case
                when sqlerrm ~ 'doesn''t exist' and it ~ '^(partner_api|emr_outbox)' then 'the EMR''s account must run mariadb.sql in its database of MariaDB'
                else 'the EMR''s account must grant the privileges in account.sql: ' end || regexp_replace(sqlerrm, '(.|\n)*\n', '');
        end;
    end loop;
end $$;
