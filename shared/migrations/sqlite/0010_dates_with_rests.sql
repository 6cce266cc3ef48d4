-- A visit's date is read as all dates are: without any white space around it, whatever follows it, and as a number of Unix
-- seconds, Unix milliseconds or as a Julian day.
drop view visit_clocks;
create view visit_clocks as
select visit_id, local_day, local_day + clock as local_start,
    local_day + provider_clock as local_provider_start
from (
    select v.visit_id,
        (select case when date(t, '+0 days') = t then cast(strftime('%s', t) as integer) end
         from (select case when t glob '????-??-[0-9]' or t glob '????-??-[0-9][^0-9]*'
                   then substr(t, 1, 8) || '0' || substr(t, 9, 1) when t glob '????-??-??*' then substr(t, 1, 10)
                   else t end as t
               from (select case when t glob '????-[0-9]-*' then substr(t, 1, 5) || '0' || substr(t, 6)
                         when t glob '[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]'
                         then substr(t, 1, 4) || '-' || substr(t, 5, 2) || '-' || substr(t, 7) else t end as t
                     from (select case when t not glob '[0-9]*' or t glob '*[^0-9.]*' or length(t) = 8 then t
                                 when cast(t as real) < 5373484.5 then date(cast(t as real))
                                 when cast(t as real) <= 253402300799 then date(cast(t as real), 'unixepoch')
                                 else date(cast(t as real) / 1000, 'unixepoch') end as t
                           from (select upper(replace(trim(cast(v.visit_date as text), char(9, 10, 11, 12, 13, 32, 160)), '/', '-')) as t limit 1)
                           limit 1)
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
                                             from (select upper(trim(cast(v.visit_time as text), char(9, 10, 11, 12, 13, 32, 160))) as t limit 1)
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
                                             from (select upper(trim(cast(v.provider_time as text), char(9, 10, 11, 12, 13, 32, 160))) as t limit 1)
                                             limit 1) limit 1) limit 1) limit 1)
                     where (t glob '[0-9][0-9]:[0-5][0-9]' or t glob '[0-9][0-9]:[0-5][0-9]:[0-6][0-9]'
                            or t glob '[0-9][0-9]:[0-5][0-9]:[0-6][0-9].*' and t not glob '*[^0-9:.]*')
                     limit 1)
               where half = '' or hour between 1 and 12 limit 1)) as provider_clock
    from visits v
);

-- Visits whose date had no meaning get their day now.
update visits set overlap_allowed = 0 where local_day is null;

-- Builds of SQLite differ in whether a blob can match a pattern, and an index must not depend on who writes.
drop index tickets_by_age;
create index tickets_by_age on tickets (
    case
        when typeof(created_at) = 'blob' then null
        when created_at glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*' then julianday(created_at)
        when lower(created_at) in ('infinity', '+infinity', 'inf') then 9e99
        when created_at not glob '[0-9]*' or created_at glob '*[^0-9.]*' then null
        when cast(created_at as real) < 5373484.5 then cast(created_at as real)
        when cast(created_at as real) <= 253402300799 then cast(created_at as real) / 86400.0 + 2440587.5
        else cast(created_at as real) / 86400000.0 + 2440587.5 end,
    ticket_id
);
drop index tickets_by_status;
create index tickets_by_status on tickets (
    status,
    case
        when typeof(created_at) = 'blob' then null
        when created_at glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*' then julianday(created_at)
        when lower(created_at) in ('infinity', '+infinity', 'inf') then 9e99
        when created_at not glob '[0-9]*' or created_at glob '*[^0-9.]*' then null
        when cast(created_at as real) < 5373484.5 then cast(created_at as real)
        when cast(created_at as real) <= 253402300799 then cast(created_at as real) / 86400.0 + 2440587.5
        else cast(created_at as real) / 86400000.0 + 2440587.5 end,
    ticket_id
);

-- Every number of a phone column is searched.
insert into unindexed_patients (patient_id)
    select patient_id from patients
    where not exists (select 1 from unindexed_patients where unindexed_patients.patient_id = patients.patient_id);
