-- The account by which PostgreSQL's server reaches MariaDB. Run it after `mariadb.sql`, as an administrator of MariaDB, in the EMR's database, with a
-- password of your own. You can run it again at any time: it adds missing privileges, and an account that exists keeps its password. The account
-- reads the EMR's tables and writes none of them: triggers check its writes to the bridge's tables and carry them out.
create user if not exists 'partner_api'@'%' identified by 'a long random password';
alter user 'partner_api'@'%' require ssl;
grant select on users to 'partner_api'@'%';
grant select on patient_data to 'partner_api'@'%';
grant select on openemr_postcalendar_categories to 'partner_api'@'%';
grant select on openemr_postcalendar_events to 'partner_api'@'%';
grant select on list_options to 'partner_api'@'%';
grant select on partner_api_outbox to 'partner_api'@'%';
grant select, update on partner_api_state to 'partner_api'@'%';
grant select, insert, update on partner_api_visits to 'partner_api'@'%';
grant select, insert, update on partner_api_patients to 'partner_api'@'%';
grant execute, alter routine on procedure partner_api_install to 'partner_api'@'%';
grant execute, alter routine on procedure partner_api_remove to 'partner_api'@'%';
