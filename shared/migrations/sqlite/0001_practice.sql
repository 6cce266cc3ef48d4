-- One database per practice. Instants that decide about overlaps are Unix seconds (UTC), so that a change of daylight
-- saving time can neither hide an overlap nor invent one.
create table tenant_identity (
    singleton integer primary key check (singleton = 1),
    ppass text not null,
    grid_minutes integer not null default 15 check (grid_minutes between 1 and 1440),
    horizon_days integer not null default 365 check (horizon_days between 1 and 3650)
);

create table providers (
    provider_id integer primary key autoincrement,
    name text not null,
    title text,
    specialty text,
    active integer not null default 1
);

create table patients (
    patient_id integer primary key autoincrement,
    first_name text not null,
    mi text,
    last_name text not null,
    full_name text not null,
    nick_name text,
    gender text,
    dob text,
    life_stage text,
    pronouns text,
    sexual_identity text,
    primary_language text,
    type text,
    phone text,
    cell_phone text,
    sms_phone text,
    email text,
    address text,
    unit text,
    city text,
    state text,
    zip text,
    country text,
    provider_id integer references providers (provider_id),
    prospect integer not null default 0,
    sh_name text,
    sh_address text,
    sh_unit text,
    sh_city text,
    sh_state text,
    sh_zip text,
    sh_country text,
    pt_img text,
    notes text,
    created_at text not null,
    updated_at text not null,
    version integer not null default 1
);
create index patients_by_prospect on patients (prospect, patient_id);

-- The normalised words a patient is found by; their binary order makes a prefix a range.
create table patient_words (
    word text not null,
    patient_id integer not null references patients (patient_id) on delete cascade,
    primary key (word, patient_id)
) without rowid;
create index patient_words_by_patient on patient_words (patient_id);

create table tags (
    tag_id integer primary key autoincrement,
    name text not null unique,
    colour text
);
create table patient_tags (
    patient_id integer not null references patients (patient_id) on delete cascade,
    tag_id integer not null references tags (tag_id) on delete cascade,
    primary key (patient_id, tag_id)
);
create index patient_tags_by_tag on patient_tags (tag_id, patient_id);

-- `weekday` is ISO 8601: 1 = Monday … 7 = Sunday. A window whose end is not after its start ends on the next day.
create table working_hours (
    working_hours_id integer primary key autoincrement,
    provider_id integer not null references providers (provider_id),
    weekday integer not null check (weekday between 1 and 7),
    start_time text not null,
    end_time text not null,
    valid_from text,
    valid_to text
);
create index working_hours_by_provider on working_hours (provider_id, weekday);

-- `off` subtracts (the whole day when it has no times), `custom` replaces the day's hours; no provider = the practice.
create table schedule_exceptions (
    exception_id integer primary key autoincrement,
    provider_id integer references providers (provider_id),
    exception_date text not null,
    kind text not null check (kind in ('off', 'custom')),
    start_time text,
    end_time text,
    check ((start_time is null) = (end_time is null)),
    check (kind = 'off' or start_time is not null)
);
create index schedule_exceptions_by_date on schedule_exceptions (exception_date, provider_id);

create table resources (
    resource_id integer primary key autoincrement,
    name text not null,
    active integer not null default 1
);
create table visit_types (
    visit_type text primary key,
    active integer not null default 1,
    buffer_before integer not null default 0 check (buffer_before between 0 and 240),
    buffer_after integer not null default 0 check (buffer_after between 0 and 240)
);
create table visit_type_providers (
    visit_type text not null references visit_types (visit_type),
    provider_id integer not null references providers (provider_id),
    primary key (visit_type, provider_id)
);
create table visit_type_resources (
    visit_type text not null references visit_types (visit_type),
    resource_id integer not null references resources (resource_id),
    primary key (visit_type, resource_id)
);

create table visits (
    visit_id integer primary key autoincrement,
    patient_id integer not null references patients (patient_id),
    provider_id integer not null references providers (provider_id),
    room_id integer references resources (resource_id),
    visit_type text not null references visit_types (visit_type),
    visit_date text not null,
    visit_time text not null,
    visit_duration integer not null check (visit_duration between 1 and 1440),
    provider_time text not null,
    provider_duration integer not null check (provider_duration between 1 and 1440),
    visit_complaint text,
    visit_notes text,
    status text not null default 'Scheduled'
        check (status in ('Scheduled', 'Confirmed', 'Arrived', 'Completed', 'Cancelled', 'NoShow', 'Deleted')),
    starts_at integer not null,
    ends_at integer not null,
    provider_starts_at integer not null,
    provider_ends_at integer not null,
    created_at text not null,
    updated_at text not null,
    check (ends_at = starts_at + visit_duration * 60),
    check (provider_ends_at = provider_starts_at + provider_duration * 60),
    check (provider_starts_at >= starts_at and provider_ends_at <= ends_at)
);
create index visits_by_provider on visits (provider_id, provider_starts_at);
create index visits_by_room on visits (room_id, starts_at);
create index visits_by_patient on visits (patient_id, starts_at);
create index visits_by_date on visits (visit_date, provider_id);

-- No two blocking visits of one provider, room or patient overlap, whoever writes them.
create trigger visits_free_on_insert before insert on visits
when new.status not in ('Cancelled', 'NoShow', 'Deleted')
begin
    select raise(abort, 'visits_provider_free') where exists (
        select 1 from visits
        where provider_id = new.provider_id and visit_id is not new.visit_id
          and status not in ('Cancelled', 'NoShow', 'Deleted')
          and provider_starts_at < new.provider_ends_at and provider_starts_at > new.provider_starts_at - 86400 and provider_ends_at > new.provider_starts_at);
    select raise(abort, 'visits_room_free') where exists (
        select 1 from visits
        where room_id = new.room_id and visit_id is not new.visit_id
          and status not in ('Cancelled', 'NoShow', 'Deleted')
          and starts_at < new.ends_at and starts_at > new.starts_at - 86400 and ends_at > new.starts_at);
    select raise(abort, 'visits_patient_free') where exists (
        select 1 from visits
        where patient_id = new.patient_id and visit_id is not new.visit_id
          and status not in ('Cancelled', 'NoShow', 'Deleted')
          and starts_at < new.ends_at and starts_at > new.starts_at - 86400 and ends_at > new.starts_at);
end;
create trigger visits_free_on_update before update on visits
when new.status not in ('Cancelled', 'NoShow', 'Deleted')
begin
    select raise(abort, 'visits_provider_free') where exists (
        select 1 from visits
        where provider_id = new.provider_id and visit_id is not new.visit_id
          and status not in ('Cancelled', 'NoShow', 'Deleted')
          and provider_starts_at < new.provider_ends_at and provider_starts_at > new.provider_starts_at - 86400 and provider_ends_at > new.provider_starts_at);
    select raise(abort, 'visits_room_free') where exists (
        select 1 from visits
        where room_id = new.room_id and visit_id is not new.visit_id
          and status not in ('Cancelled', 'NoShow', 'Deleted')
          and starts_at < new.ends_at and starts_at > new.starts_at - 86400 and ends_at > new.starts_at);
    select raise(abort, 'visits_patient_free') where exists (
        select 1 from visits
        where patient_id = new.patient_id and visit_id is not new.visit_id
          and status not in ('Cancelled', 'NoShow', 'Deleted')
          and starts_at < new.ends_at and starts_at > new.starts_at - 86400 and ends_at > new.starts_at);
end;

-- What happened in the EMR; every program that changes a record writes one row in the same transaction.
create table log (
    log_id integer primary key autoincrement,
    table_name text not null,
    action text not null,
    record_id integer not null,
    logged_at text not null
);

create table audit_log (
    audit_id integer primary key autoincrement,
    at text not null,
    request_id text not null,
    key_id text not null,
    partner_id text not null,
    action text not null,
    entity text not null,
    entity_ids text not null
);
create index audit_log_by_time on audit_log (at);

create table idempotency_keys (
    key_id text not null,
    method text not null,
    path text not null,
    idempotency_key text not null,
    body_hash text not null,
    status integer not null,
    response text not null,
    expires_at integer not null,
    primary key (key_id, method, path, idempotency_key)
);
create index idempotency_keys_by_expiry on idempotency_keys (expires_at);
