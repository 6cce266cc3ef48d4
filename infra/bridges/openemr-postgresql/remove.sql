-- Removes the bridge. The EMR's rows stay, and so do ours, as copies that are no longer updated. Run as the practice's role. Dropping the functions
-- drops their triggers on the EMR's tables, which needs no privilege on the tables.
set local search_path = partner_api;
do $$
declare
    it record;
begin
    for it in select p.oid::regprocedure as name from pg_proc p
        where pronamespace = 'partner_api'::regnamespace and (proname like 'bridge\_%' or proname like 'emr\_%') loop
        execute format('drop function if exists %s cascade', it.name);
    end loop;
end $$;
drop view if exists bridge_ungranted, bridge_grants, bridge_watched;
drop table if exists bridge_late, bridge_failures, bridge_time_off, bridge_rooms, bridge;
-- From now on, the API's new rows get ids that the EMR does not assign, so that a bridge that is attached again recognizes them.
select setval(pg_get_serial_sequence('partner_api.patients', 'patient_id'), (select coalesce(max(patient_id), 0) + 1000000000 from patients)),
    setval(pg_get_serial_sequence('partner_api.visits', 'visit_id'), (select coalesce(max(visit_id), 0) + 1000000000 from visits));
