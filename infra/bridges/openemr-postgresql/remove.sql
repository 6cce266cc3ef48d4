-- Removes the bridge. The EMR's rows stay, and so do ours, as copies that are no longer updated. Run as the practice's role. Dropping the functions
-- drops their triggers on the EMR's tables, which needs no privilege on the tables.
set local search_path = partner_api;
do $$
declare
    limit_before text := current_setting('lock_timeout');
    statements text := 'drop view if exists bridge_ungranted, bridge_grants, bridge_watched; ' || (
        select string_agg(statement, ' ') from (
            -- Our tables, too, and those that refer to them: nothing below may wait while the EMR's tables are locked.
            select format('lock table %s;', c.oid::regclass) as statement from pg_class c
            where relnamespace = 'partner_api'::regnamespace and relkind = 'r' and (relname like 'bridge%' or relname in ('schedule_exceptions', 'resources'))
            union all
            select format('drop function if exists %s cascade;', p.oid::regprocedure) from pg_proc p
            where pronamespace = 'partner_api'::regnamespace and (proname like 'bridge\_%' or proname like 'emr\_%')) s);
begin
    -- All at once or none: `bridge_watch` says why.
    for attempt in 1..40 loop
        begin
            perform set_config('lock_timeout', '50ms', true);
            execute statements;
            exit;
        exception when lock_not_available then
            if attempt = 40 then raise; end if;
            perform pg_sleep(0.05);
        end;
    end loop;
    perform set_config('lock_timeout', limit_before, true);
end $$;
-- A bridge that comes back continues with these.
create table if not exists detached (last_visit bigint not null, last_patient bigint not null);
create table if not exists detached_rooms (room text not null, resource_id bigint not null);
create table if not exists detached_time_off (event_id bigint not null, exception_id bigint not null);
delete from detached;
insert into detached select coalesce((select max(visit_id) from visits), 0), coalesce((select max(patient_id) from patients), 0);
insert into detached_rooms select room, resource_id from bridge_rooms;
insert into detached_time_off select event_id, exception_id from bridge_time_off;
drop table if exists bridge_late, bridge_failures, bridge_time_off, bridge_rooms, bridge;
-- From now on, the API's new rows get ids that the EMR does not assign, so that a bridge that is attached again recognizes them.
select setval(pg_get_serial_sequence('partner_api.patients', 'patient_id'), (select coalesce(max(patient_id), 0) + 1000000000 from patients)),
    setval(pg_get_serial_sequence('partner_api.visits', 'visit_id'), (select coalesce(max(visit_id), 0) + 1000000000 from visits));
