-- A visit's date may also be written as in the United States (`12/21/2026`), or as a number with the digits of a date (`20261221.0`).
-- What would be a year before 1 or after 9999 is no date: `46401` is a day of another program's calendar.
drop view visit_clocks;
create view visit_clocks as
select visit_id, local_day, local_day + clock as local_start,
    local_day + provider_clock as local_provider_start
from (
    select v.visit_id,
        (select case when t glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]' and t >= '0001' and date(t, '+0 days') = t
                then cast(strftime('%s', t) as integer) end
         from (select case when t glob '????-??-[0-9]' or t glob '????-??-[0-9][^0-9]*'
                   then substr(t, 1, 8) || '0' || substr(t, 9, 1) when t glob '????-??-??*' then substr(t, 1, 10)
                   else t end as t
               from (select case when t glob '????-[0-9]-*' then substr(t, 1, 5) || '0' || substr(t, 6)
                         when t glob '[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]'
                             or t glob '[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][^0-9]*'
                         then substr(t, 1, 4) || '-' || substr(t, 5, 2) || '-' || substr(t, 7) else t end as t
                     from (select case when t glob '[0-9][0-9]-[0-9][0-9]-[0-9][0-9][0-9][0-9]'
                                     or t glob '[0-9][0-9]-[0-9][0-9]-[0-9][0-9][0-9][0-9][^0-9]*'
                                 then substr(t, 7, 4) || '-' || substr(t, 1, 5) else t end as t
                           from (select case when t glob '[0-9][0-9]-[0-9]-*' then substr(t, 1, 3) || '0' || substr(t, 4)
                                       else t end as t
                                 from (select case when t glob '[0-9]-*' then '0' || t
                                             when t not glob '[0-9]*' or t glob '*[^0-9.]*' or t glob '*.*.*' or length(t) = 8
                                                 or t glob '????????.*' then t
                                             when cast(t as real) < 5373484.5 then date(cast(t as real))
                                             when cast(t as real) <= 253402300799 then date(cast(t as real), 'unixepoch')
                                             else date(cast(t as real) / 1000, 'unixepoch') end as t
                                       from (select upper(replace(trim(cast(v.visit_date as text), char(9, 10, 11, 12, 13, 32, 160)), '/', '-')) as t limit 1)
                                       limit 1) limit 1) limit 1)
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

-- Visits whose date is read in another way now. They may overlap until `migrate` puts them under the constraints, and it tells of
-- those that really do.
update visits set overlap_allowed = 1 where visit_id in (
    select v.visit_id from visits v join visit_clocks c on c.visit_id = v.visit_id
    where (v.local_day, v.local_start, v.local_provider_start) is not (c.local_day, c.local_start, c.local_provider_start)
);
