-- Patients whose search words are older than their names, e-mail address or phone numbers: the EMR's own programs write
-- patients without knowing of words. Whoever renews the words takes the patient off.
create table unindexed_patients (
    patient_id bigint primary key references patients (patient_id) on delete cascade
);
insert into unindexed_patients (patient_id)
    select patient_id from patients where patient_id not in (select patient_id from patient_words);

create function note_unindexed_patient() returns trigger language plpgsql as $$
begin
    insert into unindexed_patients (patient_id) values (new.patient_id) on conflict do nothing;
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
