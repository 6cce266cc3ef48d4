-- Lists of prospects only, or of patients only, compare what the EMR's programs wrote by its meaning. The index has the same expression.
drop index patients_by_prospect;
create index patients_by_prospect on patients (
    (case when typeof(prospect) in ('integer', 'real') then prospect <> 0
          else trim(lower(cast(prospect as text)), char(9, 10, 11, 12, 13, 32, 160)) in ('true', 't', 'yes', 'y', 'on') end),
    patient_id
);
