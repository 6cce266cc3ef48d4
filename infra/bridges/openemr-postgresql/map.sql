-- What is what: OpenEMR's tables on PostgreSQL, as a practice's tables have them. Everything that names a table or a value of the
-- EMR's is here; `install.sql` knows these views and functions only. Run as the practice's role, in its schema.
set local search_path = partner_api;

create or replace function emr_number(written text) returns bigint
language sql immutable parallel safe as $$ select case when written ~ '^[0-9]{1,15}$' then written::bigint end $$;

-- `pc_apptstatus`. What the practice added itself counts as scheduled: it takes its time.
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
from public.users;

create or replace view emr_patients as
select pid as patient_id, coalesce(fname, '') as first_name, nullif(mname, '') as mi, coalesce(lname, '') as last_name,
    concat_ws(' ', nullif(fname, ''), nullif(mname, ''), nullif(lname, '')) as full_name, nullif(sex, '') as gender, "DOB" as dob,
    nullif(language, '') as primary_language, nullif(phone_home, '') as phone, nullif(phone_cell, '') as cell_phone,
    nullif(email, '') as email, nullif(street, '') as address, nullif(city, '') as city, nullif(state, '') as state,
    nullif(postal_code, '') as zip, nullif(country_code, '') as country,
    (select u.id::bigint from public.users u where u.id = d."providerID") as provider_id
from public.patient_data d;

-- Categories of kind 0 are visits; the others are what happens without a patient.
create or replace view emr_visit_types as
select pc_catid as type_id, pc_catname as visit_type, coalesce(pc_active = 1, false) as active
from public.openemr_postcalendar_categories where pc_cattype = 0 and pc_catname <> '';

create or replace view emr_rooms as
select option_id as room, coalesce(nullif(title, ''), option_id) as name, coalesce(activity = 1, false) as active
from public.list_options where list_id = 'patient_flow_board_rooms';

-- Events that are one patient's visit to one provider.
create or replace view emr_visits as
select e.pc_eid as visit_id, p.patient_id, u.id::bigint as provider_id, r.resource_id as room_id, t.visit_type,
    e."pc_eventDate" as visit_date, coalesce(e."pc_startTime", '00:00') as visit_time, ((e.pc_duration + 59) / 60)::bigint as visit_duration,
    nullif(e.pc_hometext, '') as visit_complaint,
    case when e.pc_eventstatus < 0 then 'Deleted' else emr_status(e.pc_apptstatus) end as status
from public.openemr_postcalendar_events e
join emr_visit_types t on t.type_id = e.pc_catid
join patients p on p.patient_id = emr_number(e.pc_pid)
join public.users u on u.id = emr_number(e.pc_aid)
left join bridge_rooms r on r.room = e.pc_room
where coalesce(e.pc_recurrtype, 0) = 0 and e.pc_duration between 1 and 86400 and e."pc_eventDate" is not null;

-- A text of PHP's that holds one series' rule: `s:17:"event_repeat_freq";s:1:"1";`
create or replace function emr_rule(written text, name text) returns text
language sql immutable parallel safe as $$
    select (regexp_match(written, '"' || name || '";(?:s:[0-9]+:"([^"]*)"|i:([0-9]+))'))[1]
$$;

-- The dates of a series between two dates, in order, without its exceptions. Kinds are 1: each so many days, weeks, months, years or
-- workdays (0 to 4); 2: a weekday of each so many months; 3: certain weekdays of each week.
create or replace function emr_dates(kind integer, rule text, first date, last date, until date) returns setof date
-- Its cost says that what can be left out is left out before.
language plpgsql stable cost 100000 rows 20 set search_path = partner_api, pg_temp as $$
declare
    step integer := greatest(coalesce(emr_number(emr_rule(rule, 'event_repeat_freq')), 1), 1);
    unit text := emr_rule(rule, 'event_repeat_freq_type');
    ends date := least(coalesce(nullif(last, date '0001-01-01'), until), until);
    without text[] := string_to_array(coalesce(emr_rule(rule, 'exdate'), ''), ',');
    nth integer := emr_number(emr_rule(rule, 'event_repeat_on_num'));
    weekday integer := emr_number(emr_rule(rule, 'event_repeat_on_day'));
begin
    if kind = 1 and unit in ('0', '1', '2', '3') then
        -- By the first date: a month that lacks the day has its last one, and the next month has the day again.
        return query
            select d from (
                select (first + n * step * case unit when '0' then interval '1 day' when '1' then interval '1 week'
                    when '2' then interval '1 month' else interval '1 year' end)::date as d
                from generate_series(0, (ends - first) / (step * case unit when '0' then 1 when '1' then 7 when '2' then 28 else 365 end)) n
            ) as days
            where d <= ends and to_char(d, 'YYYYMMDD') <> all (without) order by d;
    elsif kind = 1 and unit = '4' then
        return query
            select d from (
                select d::date, row_number() over (order by d) - 1 as n
                from generate_series(first, ends, interval '1 day') d where extract(isodow from d) < 6
            ) as days (d, n)
            where n % step = 0 and to_char(d, 'YYYYMMDD') <> all (without) order by d;
    elsif kind = 2 and nth between 1 and 5 and weekday between 0 and 6 then
        step := greatest(coalesce(emr_number(emr_rule(rule, 'event_repeat_on_freq')), 1), 1);
        -- The fifth is the last one.
        return query
            select d from (
                select coalesce(
                    case when nth < 5 then month + (weekday - extract(dow from month)::integer + 7) % 7 + 7 * (nth - 1) end,
                    month + interval '1 month' - interval '1 day'
                        - ((extract(dow from month + interval '1 month' - interval '1 day')::integer - weekday + 7) % 7) * interval '1 day'
                )::date as d
                from (select date_trunc('month', first)::date + n * step * interval '1 month' as at
                      from generate_series(0, (ends - first) / 28 / step + 1) n) as months,
                    lateral (select at::date as month) as begun
            ) as days
            where d between first and ends and to_char(d, 'YYYYMMDD') <> all (without) order by d;
    elsif kind = 3 then
        return query
            select d::date from generate_series(first, ends, interval '1 day') d
            where (extract(dow from d)::integer + 1)::text = any (string_to_array(emr_rule(rule, 'event_repeat_freq'), ','))
              and to_char(d, 'YYYYMMDD') <> all (without) order by d;
    else
        -- No series, or one of a rule that nobody knows, which is told.
        return next first;
    end if;
end $$;

-- Time off by events that are nobody's visit: blocks, whole days, series. `end_time` is the next day's unless it is after `start_time`.
-- Without a provider the practice is closed. Category 2 says that somebody is there. Series reach as far as visits can be booked.
create or replace view emr_time_off as
select e.pc_eid as event_id, emr_number(nullif(nullif(e.pc_aid, ''), '0')) as provider_id, d + n::integer as exception_date,
    case when not whole then e."pc_startTime" end as start_time,
    case when not whole then e."pc_startTime" + e.pc_duration * interval '1 s' end as end_time,
    coalesce(e.pc_recurrtype, 0) <> 0 as in_series
from public.openemr_postcalendar_events e
cross join bridge_reach() reach
cross join lateral emr_dates(coalesce(e.pc_recurrtype, 0), e.pc_recurrspec, e."pc_eventDate", e."pc_endDate", reach) d
cross join lateral (select coalesce(e.pc_alldayevent, 0) = 1 or e."pc_startTime" is null or e.pc_duration >= 86400 as whole) w
cross join lateral generate_series(0, case when whole then greatest((coalesce(e.pc_duration, 0) - 1) / 86400, 0) else 0 end) n
where e."pc_eventDate" is not null and coalesce(e.pc_eventstatus, 1) >= 0 and emr_status(e.pc_apptstatus) not in ('Cancelled', 'NoShow')
  and e.pc_catid <> 2 and (e.pc_duration > 0 or e.pc_alldayevent = 1)
  and (coalesce(e.pc_aid, '') in ('', '0') or exists (select 1 from public.users where id = emr_number(e.pc_aid)))
  and (d > current_date - 366 or coalesce(e.pc_recurrtype, 0) = 0)
  and not exists (select 1 from emr_visits v where v.visit_id = e.pc_eid);

-- The row of one of our patients, in the EMR. Gives the EMR's id. Nothing is written when nothing that the EMR has was changed.
create or replace function emr_write_patient(before patients, after patients) returns bigint
language plpgsql as $$
declare
    own bigint := after.patient_id;
begin
    if before.patient_id is null then
        -- As the EMR's own program does it, whose numbers can be the same: then the next one.
        for attempt in 1..20 loop
            begin
                insert into public.patient_data (pid, fname, mname, lname, sex, "DOB", language, phone_home, phone_cell, email, street, city,
                    state, postal_code, country_code, "providerID", date, regdate)
                select coalesce(max(pid), 0) + attempt, coalesce(after.first_name, ''), coalesce(after.mi, ''), coalesce(after.last_name, ''),
                    coalesce(after.gender, ''), after.dob, coalesce(after.primary_language, ''), coalesce(after.phone, ''),
                    coalesce(after.cell_phone, ''), coalesce(after.email, ''), coalesce(after.address, ''), coalesce(after.city, ''),
                    coalesce(after.state, ''), coalesce(after.zip, ''), coalesce(after.country, ''), after.provider_id, now(), now()
                from public.patient_data
                returning pid into own;
                return own;
            exception when unique_violation then
                if attempt = 20 then raise; end if;
            end;
        end loop;
    end if;
    if (after.first_name, after.mi, after.last_name, after.gender, after.dob, after.primary_language, after.phone, after.cell_phone,
            after.email, after.address, after.city, after.state, after.zip, after.country, after.provider_id)
        is distinct from
        (before.first_name, before.mi, before.last_name, before.gender, before.dob, before.primary_language, before.phone,
            before.cell_phone, before.email, before.address, before.city, before.state, before.zip, before.country, before.provider_id)
    then
        update public.patient_data set fname = coalesce(after.first_name, ''), mname = coalesce(after.mi, ''),
            lname = coalesce(after.last_name, ''), sex = coalesce(after.gender, ''), "DOB" = after.dob,
            language = coalesce(after.primary_language, ''), phone_home = coalesce(after.phone, ''),
            phone_cell = coalesce(after.cell_phone, ''), email = coalesce(after.email, ''), street = coalesce(after.address, ''),
            city = coalesce(after.city, ''), state = coalesce(after.state, ''), postal_code = coalesce(after.zip, ''),
            country_code = coalesce(after.country, ''), "providerID" = after.provider_id, date = now()
        where pid = own;
    end if;
    return own;
end $$;

-- The event of one of our visits, in the EMR. Gives the EMR's id.
create or replace function emr_write_visit(before visits, after visits) returns bigint
language plpgsql as $$
declare
    own bigint := after.visit_id;
    own_room text := (select room from bridge_rooms where resource_id = after.room_id);
    type bigint;
begin
    if before.visit_id is null then
        select type_id into type from emr_visit_types where visit_type = after.visit_type order by active desc, type_id limit 1;
        if type is null then raise check_violation using message = 'emr_visit_type'; end if;
        -- Whoever gave an event a number of his own is passed over.
        for attempt in 1..20 loop
            begin
                insert into public.openemr_postcalendar_events (pc_catid, pc_aid, pc_pid, pc_title, pc_time, pc_hometext, pc_informant,
                    "pc_eventDate", "pc_endDate", pc_duration, "pc_startTime", "pc_endTime", pc_apptstatus, pc_eventstatus, pc_room)
                values (type, after.provider_id, after.patient_id, after.visit_type, now(), after.visit_complaint, 'partner-api',
                    after.visit_date, after.visit_date, after.visit_duration * 60, after.visit_time,
                    after.visit_time + after.visit_duration * interval '1 min', '-', 1, coalesce(own_room, ''))
                returning pc_eid into own;
                return own;
            exception when unique_violation then
                if attempt = 20 then raise; end if;
            end;
        end loop;
    end if;
    update public.openemr_postcalendar_events set pc_aid = after.provider_id, "pc_eventDate" = after.visit_date,
        "pc_endDate" = after.visit_date, "pc_startTime" = after.visit_time, pc_duration = after.visit_duration * 60,
        "pc_endTime" = after.visit_time + after.visit_duration * interval '1 min',
        pc_room = case when after.room_id is distinct from before.room_id then coalesce(own_room, '') else pc_room end,
        pc_apptstatus = case when after.status = 'Cancelled' and before.status <> 'Cancelled' then 'x' else pc_apptstatus end
    where pc_eid = own
      and (after.provider_id, after.room_id, after.visit_date, after.visit_time, after.visit_duration, after.status)
          is distinct from
          (before.provider_id, before.room_id, before.visit_date, before.visit_time, before.visit_duration, before.status);
    return own;
end $$;

-- Which tables of the EMR's are watched: by which function of `install.sql`, and which column is the key it is given; none: the table is
-- followed as a whole.
create or replace view bridge_watched (emr_table, apply, key) as values
    ('public.users', 'bridge_apply_provider', 'id'),
    ('public.patient_data', 'bridge_apply_patient', 'pid'),
    ('public.openemr_postcalendar_categories', 'bridge_apply_visit_type', 'pc_catid'),
    ('public.openemr_postcalendar_events', 'bridge_apply_event', 'pc_eid'),
    ('public.list_options', 'bridge_apply_rooms', '');

-- What is in the EMR and isn't understood; the practice or its integrator decides what it means.
create or replace view emr_not_understood (what, key) as
select 'series of an unknown rule', pc_eid::text from public.openemr_postcalendar_events
where pc_recurrtype <> 0 and pc_eventstatus >= 0 and coalesce("pc_endDate", current_date) >= current_date and not (
    pc_recurrtype = 1 and coalesce(emr_rule(pc_recurrspec, 'event_repeat_freq_type'), '') in ('0', '1', '2', '3', '4')
    or pc_recurrtype = 2 and emr_number(emr_rule(pc_recurrspec, 'event_repeat_on_num')) between 1 and 5
        and emr_number(emr_rule(pc_recurrspec, 'event_repeat_on_day')) between 0 and 6
    or pc_recurrtype = 3 and emr_rule(pc_recurrspec, 'event_repeat_freq') ~ '^[1-7](,[1-7])*$')
union all
select 'provider that is no user', pc_eid::text from public.openemr_postcalendar_events
where "pc_eventDate" >= current_date and coalesce(pc_aid, '') not in ('', '0')
  and not exists (select 1 from public.users where id = emr_number(pc_aid))
union all
select 'patient that is none', pc_eid::text from public.openemr_postcalendar_events
where "pc_eventDate" >= current_date and coalesce(pc_pid, '') not in ('', '0')
  and not exists (select 1 from public.patient_data where pid = emr_number(pc_pid))
union all
select 'category without a name', pc_catid::text from public.openemr_postcalendar_categories where pc_cattype = 0 and coalesce(pc_catname, '') = ''
union all
select 'category that is none', pc_eid::text from public.openemr_postcalendar_events e
where "pc_eventDate" >= current_date
  and not exists (select 1 from public.openemr_postcalendar_categories c where c.pc_catid = e.pc_catid)
union all
select 'room that is none', pc_eid::text from public.openemr_postcalendar_events
where "pc_eventDate" >= current_date and pc_room <> '' and not exists (select 1 from emr_rooms where room = pc_room);

create or replace view emr_size (patients, events) as
select (select count(*) from public.patient_data), (select count(*) from public.openemr_postcalendar_events);

-- What the practice's role needs of the EMR's owner.
create or replace view bridge_grants (emr_table, privilege) as values
    ('public.users', 'SELECT'), ('public.users', 'TRIGGER'),
    ('public.patient_data', 'SELECT'), ('public.patient_data', 'INSERT'), ('public.patient_data', 'UPDATE'), ('public.patient_data', 'TRIGGER'),
    ('public.openemr_postcalendar_categories', 'SELECT'), ('public.openemr_postcalendar_categories', 'TRIGGER'),
    ('public.openemr_postcalendar_events', 'SELECT'), ('public.openemr_postcalendar_events', 'INSERT'),
    ('public.openemr_postcalendar_events', 'UPDATE'), ('public.openemr_postcalendar_events', 'TRIGGER'),
    ('public.list_options', 'SELECT'), ('public.list_options', 'TRIGGER');
