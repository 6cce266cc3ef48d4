-- Lists of prospects only, or of patients only, compare what the EMR's programs wrote by its meaning. The index has the same expression.
drop index patients_by_prospect;
create index patients_by_prospect on patients (
    (case when typeof(prospect) in ('integer', 'real') then prospect <> 0
          else trim(lower(cast(prospect as text)), char(9, 10, 11, 12, 13, 32, 160)) in ('true', 't', 'yes', 'y', 'on') end),
    patient_id
);

-- Exceptions whose dates don't compare as dates, by the condition that the calendar reads them by. What doesn't begin like a date is
-- never given to `date`, which no index may ask about `now`.
drop index schedule_exceptions_irregular;
create index schedule_exceptions_irregular on schedule_exceptions (provider_id)
where typeof(exception_date) <> 'text' or exception_date not glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*'
    or date(substr(exception_date, 1, 10), '+0 days') is not substr(exception_date, 1, 10);
