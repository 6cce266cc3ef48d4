-- Patients whose search words are older than their names, e-mail address or phone numbers: the EMR's own programs write
-- patients without knowing of words. Whoever renews the words takes the patient off.
create table unindexed_patients (
    patient_id integer primary key references patients (patient_id) on delete cascade
);
insert into unindexed_patients (patient_id)
    select patient_id from patients
    where not exists (select 1 from patient_words where patient_words.patient_id = patients.patient_id);

create trigger patients_unindexed_on_insert after insert on patients
begin
    insert into unindexed_patients (patient_id)
        select new.patient_id where not exists (select 1 from unindexed_patients where patient_id = new.patient_id);
end;
create trigger patients_unindexed_on_update after update on patients
when new.first_name is not old.first_name or new.mi is not old.mi or new.last_name is not old.last_name
    or new.full_name is not old.full_name or new.nick_name is not old.nick_name or new.email is not old.email
    or new.phone is not old.phone or new.cell_phone is not old.cell_phone or new.sms_phone is not old.sms_phone
begin
    insert into unindexed_patients (patient_id)
        select new.patient_id where not exists (select 1 from unindexed_patients where patient_id = new.patient_id);
end;
