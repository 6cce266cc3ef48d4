-- Only SQLite's columns hold dates that are written in other ways.
-- Every number of a phone column is searched.
insert into unindexed_patients (patient_id) select patient_id from patients on conflict do nothing;
