-- Patients whose search words are older than their names, e-mail address or phone numbers: the EMR's own programs write
-- patients without knowing of words. Whoever renews the words takes the patient off.
create table unindexed_patients (
    patient_id bigint primary key references patients (patient_id) on delete cascade
);
insert into unindexed_patients (patient_id)
    select patient_id from patients
    where not exists (select 1 from patient_words where patient_words.patient_id = patients.patient_id);

-- Runs with its owner's rights and finds the table by the patients' schema: the EMR's roles and search paths are their own.
create function note_unindexed_patient() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    execute format('insert into %I.unindexed_patients (patient_id) values ($1) on conflict do nothing', tg_table_schema)
        using new.patient_id;
    return null;
end $$;
create trigger patients_unindexed_on_insert after insert on patients
for each row execute function note_unindexed_patient();
create trigger patients_unindexed_on_update after update on patients
for each row when ((new.first_name, new.mi, new.last_name, new.full_name, new.nick_name, new.email, new.phone,
        new.cell_phone, new.sms_phone)
    is distinct from (old.first_name, old.mi, old.last_name, old.full_name, old.nick_name, old.email, old.phone,
        old.cell_phone, old.sms_phone))
execute function note_unindexed_patient();
