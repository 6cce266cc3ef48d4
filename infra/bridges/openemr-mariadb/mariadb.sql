-- The MariaDB side of the bridge. Run it with the EMR's own account in the EMR's database: `mariadb openemr < mariadb.sql`. Run it again to
-- renew it; the rows stay. Every name of ours begins with `partner_api_`. Triggers run with the privileges of the account that runs this script, so
-- use an account that stays: MariaDB rejects every write to a table that has a trigger of a dropped account.
delimiter //

create or replace procedure partner_api_install() modifies sql data sql security definer
begin
    -- The EMR's changes, by key: the bridge reads the row's current state itself.
    create table if not exists partner_api_outbox (
        id bigint not null auto_increment primary key,
        apply varchar(30) not null,
        `key` bigint not null
    ) engine = InnoDB;
    create table if not exists partner_api_state (
        singleton int not null primary key,
        version int not null,
        -- JSON arrays, written by the bridge: outbox rows that it has committed, and tokens that it has committed.
        acknowledged longtext,
        settled longtext,
        -- The bridge's triggers that exist; refreshed by each update.
        triggers longtext
    ) engine = InnoDB;
    -- Writes of the bridge to events, one row each. The row exists if and only if its write was made.
    create table if not exists partner_api_visits (
        token bigint not null primary key,
        seq bigint not null auto_increment unique,
        kind varchar(10) not null,
        event_id bigint,
        category int,
        provider bigint,
        patient bigint,
        day date,
        start time,
        minutes int,
        title text,
        complaint longtext,
        room text,
        cancels int not null default 0,
        must_be_free int not null default 0,
        was longtext,
        is_undone int not null default 0,
        result varchar(20),
        message text
    ) engine = InnoDB default character set utf8mb4;
    -- The same for patients.
    create table if not exists partner_api_patients (
        token bigint not null primary key,
        seq bigint not null auto_increment unique,
        kind varchar(10) not null,
        patient_id bigint,
        fname text not null, mname text not null, lname text not null, sex text not null, dob date, language text not null,
        phone_home text not null, phone_cell text not null, email text not null, street text not null, city text not null,
        state text not null, postal_code text not null, country_code text not null, provider bigint,
        was longtext,
        is_undone int not null default 0,
        result varchar(20),
        message text
    ) engine = InnoDB default character set utf8mb4;

    -- The triggers on the EMR's tables. An error in one never fails the EMR's statement.
    begin
        declare it int default 0;
        declare of_table, apply, key_column, only_if text;
        while it < 15 do
            set of_table = elt(1 + it div 3, 'users', 'patient_data', 'openemr_postcalendar_categories', 'openemr_postcalendar_events', 'list_options');
            set apply = elt(1 + it div 3, 'bridge_apply_provider', 'bridge_apply_patient', 'bridge_apply_visit_type', 'bridge_apply_event', 'bridge_apply_rooms');
            set key_column = elt(1 + it div 3, 'id', 'pid', 'pc_catid', 'pc_eid', '');
            set only_if = if(it div 3 = 4, ' and (ROW.list_id = ''patient_flow_board_rooms'')', '');
            execute immediate concat('create or replace trigger partner_api_', elt(1 + it mod 3, 'insert', 'update', 'delete'), '_', of_table,
                ' after ', elt(1 + it mod 3, 'insert', 'update', 'delete'), ' on ', of_table, ' for each row begin
                declare continue handler for sqlexception begin end;',
                if(it mod 3 = 0, '', concat('if @partner_api_writes is null', replace(only_if, 'ROW', 'old'), ' then
                    insert into partner_api_outbox (apply, `key`) values (''', apply, ''', ', if(key_column = '', '0', concat('old.', key_column)), '); end if;')),
                if(it mod 3 = 2, '', concat('if @partner_api_writes is null', replace(only_if, 'ROW', 'new'),
                    if(it mod 3 = 1 and key_column <> '', concat(' and new.', key_column, ' <> old.', key_column), ''), ' then
                    insert into partner_api_outbox (apply, `key`) values (''', apply, ''', ', if(key_column = '', '0', concat('new.', key_column)), '); end if;')),
                ' end');
            set it = it + 1;
        end while;
    end;

    execute immediate 'create or replace trigger partner_api_state before update on partner_api_state for each row begin
        -- By key only: rows of the EMR''s open transactions are locked.
        delete o from json_table(coalesce(new.acknowledged, ''[]''), ''$[*]'' columns (id bigint path ''$'')) a
        straight_join partner_api_outbox o on a.id = o.id;
        delete v from json_table(coalesce(new.settled, ''[]''), ''$[*]'' columns (token bigint path ''$'')) a
        straight_join partner_api_visits v on a.token = v.token;
        delete p from json_table(coalesce(new.settled, ''[]''), ''$[*]'' columns (token bigint path ''$'')) a
        straight_join partner_api_patients p on a.token = p.token;
        set new.acknowledged = null, new.settled = null, new.triggers = (
            select group_concat(trigger_name order by trigger_name separator '' '') from information_schema.triggers
            where trigger_schema = database() and trigger_name like ''partner\\_api\\_%'');
    end';

    -- A write to an event. The check reads and locks committed rows. If an open transaction of the EMR holds one, the check fails at once (the
    -- session''s `innodb_lock_wait_timeout` is 0), so the bridge never waits for the EMR and is never part of a deadlock.
    execute immediate 'create or replace trigger partner_api_visit_written before insert on partner_api_visits for each row
    begin
        declare starts, ends datetime default timestamp(new.day, new.start);
        declare of_provider, of_room, of_patient int;
        declare was longtext;
        declare exit handler for sqlexception begin
            declare why text;
            get diagnostics condition 1 why = message_text;
            set @partner_api_writes = null, new.result = ''refused'', new.message = why;
        end;
        set ends = starts + interval new.minutes minute, @partner_api_writes = if(new.kind = ''staff'', null, 1);
        if new.must_be_free then
            select coalesce(sum(e.pc_aid = cast(new.provider as char) or coalesce(e.pc_aid, '''') in ('''', ''0'') and coalesce(e.pc_pid, '''') in ('''', ''0'')), 0),
                coalesce(sum(e.pc_room = new.room), 0), coalesce(sum(e.pc_pid = cast(new.patient as char)), 0)
            into of_provider, of_room, of_patient
            from openemr_postcalendar_events e
            where e.pc_eventDate between new.day - interval 1 day and date(ends) and e.pc_eid <> coalesce(new.event_id, 0)
              and coalesce(e.pc_recurrtype, 0) = 0 and e.pc_catid <> 2 and e.pc_eventstatus >= 0 and e.pc_apptstatus not in (''x'', ''%'', ''?'')
              and if(e.pc_alldayevent = 1 or e.pc_startTime is null or e.pc_duration >= 86400,
                timestamp(e.pc_eventDate) < ends and timestamp(e.pc_eventDate) + interval greatest(e.pc_duration, 86400) second > starts,
                timestamp(e.pc_eventDate, e.pc_startTime) < ends
                    and timestamp(e.pc_eventDate, e.pc_startTime) + interval e.pc_duration second > starts)
            lock in share mode;
            set new.result = case when of_provider > 0 then ''provider'' when of_room > 0 and new.room <> '''' then ''room''
                when of_patient > 0 then ''patient'' end;
        end if;
        if new.result is null and new.kind in (''book'', ''staff'') then
            insert into openemr_postcalendar_events (pc_catid, pc_aid, pc_pid, pc_title, pc_time, pc_hometext, pc_informant, pc_eventDate, pc_endDate,
                pc_duration, pc_startTime, pc_endTime, pc_apptstatus, pc_eventstatus, pc_room)
            values (new.category, new.provider, new.patient, new.title, now(), new.complaint, ''partner-api'', new.day, new.day,
                new.minutes * 60, new.start, time(ends), ''-'', 1, coalesce(new.room, ''''));
            set new.event_id = last_insert_id(), new.result = ''written'';
        elseif new.result is null then
            select json_object(''aid'', pc_aid, ''day'', pc_eventDate, ''endDate'', pc_endDate, ''start'', pc_startTime, ''end'', pc_endTime,
                ''duration'', pc_duration, ''room'', pc_room, ''status'', pc_apptstatus)
            into was from openemr_postcalendar_events where pc_eid = new.event_id for update;
            set new.was = was;
            if was is null then
                set new.result = ''gone'';
            else
                update openemr_postcalendar_events set pc_aid = new.provider, pc_eventDate = new.day, pc_endDate = new.day,
                    pc_startTime = new.start, pc_endTime = time(ends), pc_duration = new.minutes * 60, pc_room = coalesce(new.room, pc_room),
                    pc_apptstatus = if(new.cancels, ''x'', pc_apptstatus)
                where pc_eid = new.event_id;
                set new.result = ''written'';
            end if;
        end if;
        set @partner_api_writes = null;
    end';

    -- Undoes a write whose transaction failed on our side, unless the row has changed since.
    execute immediate 'create or replace trigger partner_api_visit_undone before update on partner_api_visits for each row
    begin
        declare is_ours int default 0;
        if new.is_undone and old.result = ''written'' then
            set @partner_api_writes = 1;
            if new.kind in (''book'', ''staff'') then
                delete from openemr_postcalendar_events where pc_eid = new.event_id and pc_informant = ''partner-api''
                  and pc_catid = new.category and pc_aid = new.provider and pc_pid = new.patient and pc_eventDate = new.day and pc_startTime = new.start
                  and pc_duration = new.minutes * 60 and pc_apptstatus = ''-'' and pc_room = coalesce(new.room, '''')
                  and pc_hometext <=> new.complaint and pc_eventstatus = 1;
            else
                update openemr_postcalendar_events set pc_aid = json_value(new.was, ''$.aid''), pc_eventDate = json_value(new.was, ''$.day''),
                    pc_endDate = json_value(new.was, ''$.endDate''), pc_startTime = json_value(new.was, ''$.start''),
                    pc_endTime = json_value(new.was, ''$.end''), pc_duration = json_value(new.was, ''$.duration''),
                    pc_room = json_value(new.was, ''$.room''), pc_apptstatus = json_value(new.was, ''$.status'')
                where pc_eid = new.event_id and pc_aid = new.provider and pc_eventDate = new.day and pc_startTime = new.start
                  and pc_duration = new.minutes * 60 and pc_room = coalesce(new.room, json_value(new.was, ''$.room''))
                  and pc_apptstatus = if(new.cancels, ''x'', json_value(new.was, ''$.status''));
            end if;
            set is_ours = row_count(), @partner_api_writes = null;
            insert into partner_api_outbox (apply, `key`) values (''bridge_apply_event'', new.event_id);
            set new.result = if(is_ours > 0, ''undone'', ''left'');
        end if;
    end';

    execute immediate 'create or replace trigger partner_api_patient_written before insert on partner_api_patients for each row
    begin
        declare attempt int default 0;
        declare was longtext;
        declare exit handler for sqlexception begin
            declare why text;
            get diagnostics condition 1 why = message_text;
            set @partner_api_writes = null, new.result = ''refused'', new.message = why;
        end;
        set @partner_api_writes = 1;
        if new.kind = ''new'' then
            -- Numbers patients as the EMR''s program does. If that has just taken the number, takes the next one.
            while new.result is null do
                set attempt = attempt + 1;
                begin
                    declare exit handler for 1062 begin
                        if attempt >= 20 then resignal; end if;
                    end;
                    set new.patient_id = (select coalesce(max(pid), 0) + attempt from patient_data);
                    insert into patient_data (pid, fname, mname, lname, sex, DOB, language, phone_home, phone_cell, email, street, city, state,
                        postal_code, country_code, providerID, date, regdate)
                    values (new.patient_id, new.fname, new.mname, new.lname, new.sex, new.dob, new.language, new.phone_home, new.phone_cell, new.email,
                        new.street, new.city, new.state, new.postal_code, new.country_code, new.provider, now(), now());
                    set new.result = ''written'';
                end;
            end while;
        else
            select json_object(''fname'', fname, ''mname'', mname, ''lname'', lname, ''sex'', sex, ''dob'', DOB, ''language'', language,
                ''phone_home'', phone_home, ''phone_cell'', phone_cell, ''email'', email, ''street'', street, ''city'', city, ''state'', state,
                ''postal_code'', postal_code, ''country_code'', country_code, ''provider'', providerID)
            into was from patient_data where pid = new.patient_id for update;
            set new.was = was;
            if was is null then
                set new.result = ''gone'';
            else
                update patient_data set fname = new.fname, mname = new.mname, lname = new.lname, sex = new.sex, DOB = new.dob,
                    language = new.language, phone_home = new.phone_home, phone_cell = new.phone_cell, email = new.email, street = new.street,
                    city = new.city, state = new.state, postal_code = new.postal_code, country_code = new.country_code,
                    providerID = new.provider, date = now()
                where pid = new.patient_id;
                set new.result = ''written'';
            end if;
        end if;
        set @partner_api_writes = null;
    end';

    execute immediate 'create or replace trigger partner_api_patient_undone before update on partner_api_patients for each row
    begin
        declare is_ours int default 0;
        if new.is_undone and old.result = ''written'' then
            select count(*) into is_ours from patient_data where pid = new.patient_id
              and fname = new.fname and mname = new.mname and lname = new.lname and sex = new.sex and DOB <=> new.dob and language = new.language
              and phone_home = new.phone_home and phone_cell = new.phone_cell and email = new.email and street = new.street and city = new.city
              and state = new.state and postal_code = new.postal_code and country_code = new.country_code and providerID <=> new.provider
              and (new.kind <> ''new'' or not exists (select 1 from openemr_postcalendar_events where pc_pid = cast(new.patient_id as char)))
            for update;
            set @partner_api_writes = 1;
            if is_ours and new.kind = ''new'' then
                delete from patient_data where pid = new.patient_id;
            elseif is_ours then
                update patient_data set fname = json_value(new.was, ''$.fname''), mname = json_value(new.was, ''$.mname''),
                    lname = json_value(new.was, ''$.lname''), sex = json_value(new.was, ''$.sex''), DOB = json_value(new.was, ''$.dob''),
                    language = json_value(new.was, ''$.language''), phone_home = json_value(new.was, ''$.phone_home''),
                    phone_cell = json_value(new.was, ''$.phone_cell''), email = json_value(new.was, ''$.email''),
                    street = json_value(new.was, ''$.street''), city = json_value(new.was, ''$.city''), state = json_value(new.was, ''$.state''),
                    postal_code = json_value(new.was, ''$.postal_code''), country_code = json_value(new.was, ''$.country_code''),
                    providerID = json_value(new.was, ''$.provider'')
                where pid = new.patient_id;
            end if;
            set @partner_api_writes = null;
            insert into partner_api_outbox (apply, `key`) values (''bridge_apply_patient'', new.patient_id);
            set new.result = if(is_ours, ''undone'', ''left'');
        end if;
    end';
    insert into partner_api_state (singleton, version) values (1, 1) on duplicate key update version = 1;
end //

create or replace procedure partner_api_remove() modifies sql data sql security definer
begin
    declare it int default 0;
    while it < 15 do
        execute immediate concat('drop trigger if exists partner_api_', elt(1 + it mod 3, 'insert', 'update', 'delete'), '_',
            elt(1 + it div 3, 'users', 'patient_data', 'openemr_postcalendar_categories', 'openemr_postcalendar_events', 'list_options'));
        set it = it + 1;
    end while;
    drop table if exists partner_api_visits, partner_api_patients, partner_api_outbox, partner_api_state;
end //
delimiter ;
call partner_api_install();
