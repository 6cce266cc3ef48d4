-- The EMR's own programs write texts in other spellings than ours. Lists are ordered by what such a text means: a Julian day,
-- or null. `julianday` is never asked about `now`, which no index could hold.
drop index tickets_by_age;
create index tickets_by_age on tickets (
    case
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
        when created_at glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*' then julianday(created_at)
        when lower(created_at) in ('infinity', '+infinity', 'inf') then 9e99
        when created_at not glob '[0-9]*' or created_at glob '*[^0-9.]*' then null
        when cast(created_at as real) < 5373484.5 then cast(created_at as real)
        when cast(created_at as real) <= 253402300799 then cast(created_at as real) / 86400.0 + 2440587.5
        else cast(created_at as real) / 86400000.0 + 2440587.5 end,
    ticket_id
);

-- Exceptions whose dates don't compare as dates, so that no other one has to be read to find them.
create index schedule_exceptions_irregular on schedule_exceptions (provider_id)
where typeof(exception_date) <> 'text' or exception_date not glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*';
