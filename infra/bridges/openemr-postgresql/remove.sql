-- Takes the bridge away. The EMR's rows stay, and so do ours, as copies that nothing follows any more. Run as the practice's role. The triggers on
-- the EMR's tables go with their function, which needs no right to the tables.
set local search_path = partner_api;
drop function if exists bridge_hook() cascade;
drop function if exists bridge_visit_begins(), bridge_visit_changes(), bridge_patient_changes(), bridge_visit_type_changes() cascade;
drop function if exists bridge_trial(), bridge_go_on(bigint, boolean), bridge_take_over(text, bigint[]), bridge_note(text, bigint, text), bridge_renew(), bridge_check(), bridge_compare(text, bigint, bigint), bridge_differences(text, bigint[]),
    bridge_page(text, bigint, bigint), bridge_turns(), bridge_watch(), bridge_refuse(text, text), bridge_catch_up(), bridge_apply_event(bigint),
    bridge_apply_patient(bigint), bridge_apply_rooms(bigint), bridge_apply_visit_type(bigint), bridge_apply_provider(bigint),
    bridge_log(text, text, bigint);
drop view if exists bridge_grants, bridge_watched, emr_not_understood, emr_size;
drop function if exists emr_write_visit(visits, visits), emr_write_patient(patients, patients);
drop view if exists emr_time_off, emr_visits, emr_rooms, emr_visit_types, emr_patients, emr_providers;
drop function if exists emr_dates(integer, text, date, date, date), emr_rule(text, text), emr_status(text), emr_number(text);
drop table if exists bridge_failures, bridge_time_off, bridge_rooms, bridge;
drop function if exists bridge_reach();
