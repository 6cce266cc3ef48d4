-- The bridge's tables, and its connection to MariaDB. Run first, as the practice's role, in its schema.
set local search_path = partner_api;

create table if not exists bridge (
    singleton bigint primary key default 1 check (singleton = 1),
    name text not null,
    attached_at timestamptz not null default now(),
    -- Where an interrupted load or repair continues, and since when.
    turn integer not null default 1,
    after bigint not null default -1,
    went_on_at timestamptz,
    -- The last day to which series of the EMR are mirrored as time off.
    renewed_until date,
    -- When both sides were last compared as a whole.
    checked_at timestamptz
);
-- When all rows of the EMR were first copied. The API books nothing before that: it would not see the visits that are still missing.
do $$ begin
    if not exists (select 1 from pg_attribute where attrelid = 'bridge'::regclass and attname = 'loaded_at' and not attisdropped) then
        alter table bridge add column loaded_at timestamptz;
        update bridge set loaded_at = now() where went_on_at is null;
    end if;
end $$;
-- The last day that can be booked today, plus a month.
create or replace function bridge_reach() returns date
language sql stable as $$ select current_date + coalesce(max(horizon_days), 365)::integer + 31 from tenant_identity $$;

-- Rooms are texts in the EMR.
create table if not exists bridge_rooms (
    room text primary key,
    resource_id bigint not null unique references resources (resource_id)
);
-- The EMR's categories of visits.
create table if not exists bridge_categories (
    type_id bigint primary key,
    visit_type text not null,
    active boolean not null
);
-- The time off that each event of the EMR causes.
create table if not exists bridge_time_off (
    event_id bigint not null,
    exception_id bigint primary key references schedule_exceptions (exception_id) on delete cascade
);
create index if not exists bridge_time_off_by_event on bridge_time_off (event_id);
-- What a bridge that was removed had copied, so that one that comes back continues with it: without this, every room would be there twice, and
-- time off that the EMR has deleted meanwhile would stay for good. Rows with ids up to these are copies of the EMR's, even if it has deleted them.
create table if not exists detached (last_visit bigint not null, last_patient bigint not null);
create table if not exists detached_rooms (room text not null, resource_id bigint not null);
create table if not exists detached_time_off (event_id bigint not null, exception_id bigint not null);
insert into bridge_rooms (room, resource_id)
select d.room, d.resource_id from detached_rooms d join resources r on r.resource_id = d.resource_id on conflict do nothing;
insert into bridge_time_off (event_id, exception_id)
select d.event_id, d.exception_id from detached_time_off d join schedule_exceptions x on x.exception_id = d.exception_id on conflict do nothing;
delete from detached_rooms;
delete from detached_time_off;
-- A time off, as checks read it. A null time means the whole day.
do $$ begin
    if to_regtype('partner_api.bridge_span') is null then
        create type bridge_span as (provider_id bigint, day date, start_time time, end_time time);
    end if;
end $$;
-- Changes of the EMR that the bridge could not apply. It retries them before the API books a visit.
create table if not exists bridge_failures (
    apply text not null,
    key bigint not null,
    failed_at timestamptz not null default now(),
    -- The last failed retry.
    tried_at timestamptz,
    attempts bigint not null default 1,
    message text not null,
    primary key (apply, key)
);
-- Outbox rows of MariaDB that a committed transaction has applied. The next pull deletes them there, and then here.
create table if not exists bridge_pulled (id bigint primary key);
-- Tokens of writes to MariaDB, each inserted before its write, in the transaction that needs it. A token that MariaDB has and no committed or open
-- transaction knows belongs to a write that failed here: `bridge_sweep` undoes it.
create table if not exists bridge_tokens (
    token bigint primary key,
    is_undone boolean not null default false,
    writer xid8 not null default pg_current_xact_id(),
    created_at timestamptz not null default now()
);

-- Creates or updates the connection. Returns the steps that an administrator must take first; none if the connection works. Errors never contain the password.
create or replace function bridge_connect(host text, port integer, database text, username text, password text, ssl_ca text, ssl_capath text)
returns setof text
language plpgsql set search_path = partner_api, pg_temp as $$
declare
    -- For the client library, `localhost` means a socket.
    wanted jsonb := jsonb_strip_nulls(jsonb_build_object('host', case host when 'localhost' then '127.0.0.1' else host end, 'port', port::text, 'character_set', 'utf8mb4', 'reconnect', 'false',
        'sql_mode', 'ANSI_QUOTES,STRICT_ALL_TABLES', 'ssl_ca', ssl_ca, 'ssl_capath', ssl_capath, 'init_command', bridge_session()));
    account jsonb := jsonb_build_object('username', username, 'password', password);
begin
    if not exists (select 1 from pg_foreign_data_wrapper where fdwname = 'mysql_fdw') then
        return next 'the administrator of PostgreSQL must run in this database: create extension mysql_fdw;';
        return;
    elsif not has_foreign_data_wrapper_privilege('mysql_fdw', 'usage') then
        return next format('the administrator of PostgreSQL must run in this database: grant usage on foreign data wrapper mysql_fdw to %I;', current_user);
        return;
    end if;
    begin
        if not exists (select 1 from pg_foreign_server where srvname = 'partner_api_emr') then
            create server partner_api_emr foreign data wrapper mysql_fdw;
        end if;
        perform bridge_alter('server partner_api_emr', (select srvoptions from pg_foreign_server where srvname = 'partner_api_emr'), wanted);
        if not exists (select 1 from pg_user_mappings where srvname = 'partner_api_emr' and usename = current_user) then
            create user mapping for current_user server partner_api_emr options (username '', password '');
        end if;
        perform bridge_alter('user mapping for current_user server partner_api_emr',
            (select umoptions from pg_user_mappings where srvname = 'partner_api_emr' and usename = current_user), account);
    exception when others then
        raise exception using errcode = sqlstate, message = 'the connection to MariaDB could not be created';
    end;
    -- The database on MariaDB that has the EMR's tables.
    execute format('create foreign table if not exists emr_session (variable_name text, variable_value text)
        server partner_api_emr options (dbname %L, table_name %L)', 'information_schema', 'SESSION_STATUS');
    perform set_config('partner_api.emr_database', database, true);
    begin
        if coalesce((select variable_value from emr_session where variable_name = 'SSL_CIPHER'), '') = '' then
            return next 'the administrator of MariaDB must enable TLS: the connection is not encrypted';
        end if;
    exception when fdw_error then
        return next 'MariaDB cannot be reached with the account in the secret: ' || replace(sqlerrm, 'failed to connect to MySQL: ', '');
    end;
end $$;

-- The settings of each connection. Waiting for a row lock could involve the bridge in the EMR's deadlocks, so it never waits for one.
create or replace function bridge_session() returns text
language sql immutable as $$
    select 'set tx_isolation = ''READ-COMMITTED'', innodb_lock_wait_timeout = 0, lock_wait_timeout = 2, max_statement_time = 5'
$$;

-- Sets exactly these options of a server or a user mapping.
create or replace function bridge_alter(what text, current text[], wanted jsonb) returns void
language plpgsql set search_path = partner_api, pg_temp as $$
declare
    changes text;
begin
    select string_agg(case when w.value is null then format('drop %I', c.name)
        else format('%s %I %L', case when c.name is null then 'add' else 'set' end, w.key, w.value) end, ', ')
    into changes
    from (select split_part(o, '=', 1) as name, substr(o, strpos(o, '=') + 1) as value from unnest(current) o) c
    full join jsonb_each_text(wanted) w on w.key = c.name
    where c.value is distinct from w.value;
    if changes is not null then execute format('alter %s options (%s)', what, changes); end if;
end $$;

-- Runs one statement on MariaDB, as the first statement of a new connection.
create or replace function bridge_remote(statement text) returns void
language plpgsql set search_path = partner_api, pg_temp as $$
declare
    options jsonb;
begin
    select jsonb_object_agg(split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)) into options
    from pg_foreign_server, unnest(srvoptions) o where srvname = 'partner_api_emr';
    perform bridge_alter('server partner_api_emr', (select srvoptions from pg_foreign_server where srvname = 'partner_api_emr'),
        options || jsonb_build_object('init_command', statement));
    perform 1 from emr_session where variable_name = 'SSL_CIPHER';
    perform bridge_alter('server partner_api_emr', (select srvoptions from pg_foreign_server where srvname = 'partner_api_emr'), options);
end $$;
