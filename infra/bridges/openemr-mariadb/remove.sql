-- Removes the bridge from both servers. The EMR's rows stay, and so do ours, as copies that are no longer updated. Run as the practice's role.
set local search_path = partner_api;
-- Before MariaDB's side is removed, so that nothing below can fail because of a lock: what is gone there does not come back.
do $$
declare
    it regclass;
begin
    -- Whoever reads MariaDB's tables holds one of these locks: foreign tables cannot be locked themselves.
    perform pg_advisory_xact_lock(20926, slot) from generate_series(0, 4) slot;
    for it in select c.oid from pg_class c where relnamespace = 'partner_api'::regnamespace and relkind = 'r'
        and (relname like 'bridge%' or relname in ('schedule_exceptions', 'resources', 'visits', 'patients', 'visit_types')) loop
        execute format('lock table %s', it);
    end loop;
    if to_regproc('partner_api.bridge_detach') is not null then perform partner_api.bridge_detach(); end if;
end $$;
drop function if exists bridge_visit_begins(), bridge_visit_changes(), bridge_patient_changes(), bridge_visit_type_changes() cascade;
drop function if exists bridge_detach(), bridge_acknowledge(), bridge_database(), bridge_trial(), bridge_go_on(bigint, boolean), bridge_take_over(text, bigint[]), bridge_note(text, bigint, text), bridge_renew(), bridge_renew_some(bigint, bigint),
    bridge_check(), bridge_compare(text, bigint, bigint), bridge_differences(text, bigint[]), bridge_page(text, bigint, bigint), bridge_turns(),
    bridge_missing(), bridge_not_understood(), bridge_pull(bigint), bridge_follow(bigint), bridge_refresh(text, bigint), bridge_time_off_overlap(visits), bridge_takes(visits, bridge_span[]),
    bridge_state(), bridge_last_id(text), bridge_begin_above(text, bigint), bridge_keep_ids(), bridge_news(integer), bridge_sweep(bigint), bridge_apply_news(emr_outbox[], timestamptz), bridge_enter(), bridge_overlap(visits), bridge_token(), bridge_answer(text, text),
    bridge_refuse(text, text), bridge_catch_up(interval), bridge_apply_event(bigint, openemr_postcalendar_events[]), bridge_apply_patient(bigint), bridge_apply_rooms(bigint),
    bridge_apply_visit_type(bigint), bridge_apply_provider(bigint), bridge_log(text, text, bigint);
drop function if exists emr_send_visit(partner_api_visits), emr_send_patient(partner_api_patients), emr_has_time_off(visits), emr_write_visit(visits, visits, text), emr_write_patient(patients, patients), emr_read_events(bigint, bigint), emr_read_some_events(bigint[]),
    emr_read_patients(bigint, bigint), emr_visits(openemr_postcalendar_events[]), emr_time_off(openemr_postcalendar_events[]), emr_patients(patient_data[]);
drop function if exists emr_size(), emr_strangers();
drop view if exists emr_providers, emr_visit_types, emr_rooms;
drop function if exists emr_dates(integer, text, date, date, date), emr_rule(text, text), emr_status(text), emr_number(text), emr_date(text), emr_time(text);
drop server if exists partner_api_emr cascade;
drop function if exists bridge_connect(text, integer, text, text, text, text, text), bridge_alter(text, text[], jsonb), bridge_remote(text), bridge_session();
-- A bridge that comes back continues with these.
create table if not exists detached (last_visit bigint not null, last_patient bigint not null);
create table if not exists detached_rooms (room text not null, resource_id bigint not null);
create table if not exists detached_time_off (event_id bigint not null, exception_id bigint not null);
delete from detached;
insert into detached select coalesce((select max(visit_id) from visits), 0), coalesce((select max(patient_id) from patients), 0);
insert into detached_rooms select room, resource_id from bridge_rooms;
insert into detached_time_off select event_id, exception_id from bridge_time_off;
drop table if exists bridge_tokens, bridge_pulled, bridge_failures, bridge_time_off, bridge_categories, bridge_rooms, bridge;
drop type if exists bridge_span;
drop function if exists bridge_reach();
-- From now on, the API's new rows get ids that the EMR does not assign, so that a bridge that is attached again recognizes them.
select setval(pg_get_serial_sequence('partner_api.patients', 'patient_id'), (select coalesce(max(patient_id), 0) + 1000000000 from patients)),
    setval(pg_get_serial_sequence('partner_api.visits', 'visit_id'), (select coalesce(max(visit_id), 0) + 1000000000 from visits));
