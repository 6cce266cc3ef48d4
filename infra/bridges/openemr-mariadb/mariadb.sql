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
        -- New rows get ids above these: a restored server must not assign ids again that it had assigned after the backup.
        visits_above bigint not null default 0,
        patients_above bigint not null default 0,
        -- The bridge's triggers that exist, and the highest ids ever assigned; refreshed by each update that acknowledges nothing.
        triggers longtext,
        last_visit bigint,
        last_patient bigint
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
        -- What a change of an event changes: `provider`, `time`, `room`, `status`. The event keeps everything else.
        changes varchar(100) not null,
        must_be_free int not null default 0,
        -- The lowest and highest id of the outbox rows that the bridge has applied, and a JSON array of the ids between that it has not seen. If there are
        -- other rows, nothing is written. Null: write anyway.
        applied_from bigint,
        applied_to bigint,
        unseen longtext,
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
        -- The columns that a change of a patient changes; the patient keeps all others.
        changes varchar(300) not null,
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
        declare it, attempt int default 0;
        declare of_table, apply, key_column, only_if, statement text;
        while it < 15 do
            set of_table = elt(1 + it div 3, 'users', 'patient_data', 'openemr_postcalendar_categories', 'openemr_postcalendar_events', 'list_options');
            set apply = elt(1 + it div 3, 'bridge_apply_provider', 'bridge_apply_patient', 'bridge_apply_visit_type', 'bridge_apply_event', 'bridge_apply_rooms');
            set key_column = elt(1 + it div 3, 'id', 'pid', 'pc_catid', 'pc_eid', '');
            set only_if = if(it div 3 = 4, ' and (ROW.list_id = ''patient_flow_board_rooms'')', '');
            set statement = concat('create or replace trigger partner_api_', elt(1 + it mod 3, 'insert', 'update', 'delete'), '_', of_table,
                ' after ', elt(1 + it mod 3, 'insert', 'update', 'delete'), ' on ', of_table, ' for each row begin
                declare continue handler for sqlexception begin end;',
                if(it mod 3 = 0, '', concat('if @partner_api_writes is null', replace(only_if, 'ROW', 'old'), ' then
                    insert into partner_api_outbox (apply, `key`) values (''', apply, ''', ', if(key_column = '', '0', concat('old.', key_column)), '); end if;')),
                if(it mod 3 = 2, '', concat('if @partner_api_writes is null', replace(only_if, 'ROW', 'new'),
                    if(it mod 3 = 1 and key_column <> '', concat(' and new.', key_column, ' <> old.', key_column), ''), ' then
                    insert into partner_api_outbox (apply, `key`) values (''', apply, ''', ', if(key_column = '', '0', concat('new.', key_column)), '); end if;')),
                ' end');
            begin
                -- While a transaction of the EMR uses the table, tries again: the EMR's other statements would queue behind a statement that waits.
                declare exit handler for 1205 begin
                    if attempt >= 100 then resignal; end if;
                    do sleep(0.05);
                end;
                set attempt = attempt + 1, lock_wait_timeout = 0;
                execute immediate statement;
                set it = it + 1, attempt = 0;
            end;
        end while;
        set lock_wait_timeout = default;
    end;

    execute immediate 'create or replace trigger partner_api_state before update on partner_api_state for each row begin
        declare it int default 0;
        declare exit handler for sqlexception begin
            set @partner_api_writes = null;
            resignal;
        end;
        -- By key only: rows of the EMR''s open transactions are locked.
        delete o from json_table(coalesce(new.acknowledged, ''[]''), ''$[*]'' columns (id bigint path ''$'')) a
        straight_join partner_api_outbox o on a.id = o.id;
        delete v from json_table(coalesce(new.settled, ''[]''), ''$[*]'' columns (token bigint path ''$'')) a
        straight_join partner_api_visits v on a.token = v.token;
        delete p from json_table(coalesce(new.settled, ''[]''), ''$[*]'' columns (token bigint path ''$'')) a
        straight_join partner_api_patients p on a.token = p.token;
        -- A row that is gone at the end of the statement: the table never assigns its id again.
        if new.visits_above > old.visits_above and not exists (select 1 from openemr_postcalendar_events where pc_eid = new.visits_above) then
            set @partner_api_writes = 1;
            insert into openemr_postcalendar_events (pc_eid, pc_title, pc_informant, pc_eventDate, pc_endDate)
            values (new.visits_above, ''never kept'', ''partner-api'', curdate(), curdate());
            delete from openemr_postcalendar_events where pc_eid = new.visits_above;
            set @partner_api_writes = null;
        end if;
        if new.acknowledged is null and new.settled is null then
            -- Table by table: a list of all triggers opens every table of the server, and fails while one of them is being altered.
            set new.triggers = '''';
            while it < 8 do
                set it = it + 1, new.triggers = concat_ws('' '', new.triggers, (
                    select group_concat(trigger_name separator '' '') from information_schema.triggers
                    where event_object_schema = database() and event_object_table = elt(it, ''users'', ''patient_data'', ''openemr_postcalendar_categories'',
                        ''openemr_postcalendar_events'', ''list_options'', ''partner_api_state'', ''partner_api_visits'', ''partner_api_patients'')));
            end while;
            set new.last_visit = (select auto_increment - 1 from information_schema.tables
                where table_schema = database() and table_name = ''openemr_postcalendar_events'');
            set new.last_patient = (select max(pid) from patient_data);
        end if;
        set new.acknowledged = null, new.settled = null;
    end';

    -- A write to an event. The check reads and locks the committed rows of the day. If an open transaction of the EMR holds one, it fails at once (the
    -- session''s `innodb_lock_wait_timeout` is 0), so the bridge never waits for the EMR and is never part of a deadlock. The locks end with this
    -- statement. A change leaves what it does not change as the EMR has it now, and is checked with that.
    execute immediate 'create or replace trigger partner_api_visit_written before insert on partner_api_visits for each row
    begin
        declare of_provider, of_room, of_patient int;
        declare provider, patient, at_room, was longtext;
        declare starts, ends datetime;
        declare exit handler for sqlexception begin
            declare why text;
            get diagnostics condition 1 why = message_text;
            set @partner_api_writes = null, new.result = ''refused'', new.message = why;
        end;
        -- Reads in a trigger lock. Rows of open transactions are skipped, and applied rows not touched, so that the bridge can delete them meanwhile.
        if exists (select 1 from partner_api_outbox where id < new.applied_from or id > new.applied_to limit 1 lock in share mode skip locked)
            or exists (select 1 from json_table(coalesce(new.unseen, ''[]''), ''$[*]'' columns (id bigint path ''$'')) u
                straight_join partner_api_outbox o on o.id = u.id limit 1 lock in share mode skip locked)
        then
            set new.result = ''behind'';
        end if;
        set provider = cast(new.provider as char), patient = cast(new.patient as char), at_room = new.room,
            starts = timestamp(new.day, new.start), ends = starts + interval new.minutes minute;
        if new.result is null and new.kind = ''change'' then
            select json_object(''aid'', pc_aid, ''day'', pc_eventDate, ''endDate'', pc_endDate, ''start'', pc_startTime, ''end'', pc_endTime,
                    ''duration'', pc_duration, ''room'', pc_room, ''status'', pc_apptstatus),
                if(find_in_set(''provider'', new.changes), provider, pc_aid), pc_pid, if(find_in_set(''room'', new.changes), at_room, pc_room),
                if(find_in_set(''time'', new.changes), starts, timestamp(pc_eventDate, coalesce(pc_startTime, 0))),
                if(find_in_set(''time'', new.changes), ends, timestamp(pc_eventDate, coalesce(pc_startTime, 0)) + interval pc_duration second)
            into was, provider, patient, at_room, starts, ends from openemr_postcalendar_events where pc_eid = new.event_id for update;
            set new.was = was, new.result = if(was is null, ''gone'', null);
        end if;
        if new.result is null and new.must_be_free then
            select coalesce(sum(e.pc_aid = provider or coalesce(e.pc_aid, '''') in ('''', ''0'')), 0),
                coalesce(sum(e.pc_room = at_room), 0), coalesce(sum(e.pc_pid = patient), 0)
            into of_provider, of_room, of_patient
            from openemr_postcalendar_events e
            where e.pc_eventDate between date(starts) - interval 1 day and date(ends) and e.pc_eid <> coalesce(new.event_id, 0)
              and (e.pc_duration > 0 or e.pc_alldayevent = 1) and coalesce(e.pc_recurrtype, 0) = 0 and e.pc_catid <> 2 and e.pc_eventstatus >= 0 and e.pc_apptstatus not in (''x'', ''%'', ''?'')
              and if(e.pc_alldayevent = 1 or e.pc_startTime is null or e.pc_duration >= 86400,
                timestamp(e.pc_eventDate) < ends and timestamp(e.pc_eventDate) + interval greatest(e.pc_duration, 86400) second > starts,
                timestamp(e.pc_eventDate, e.pc_startTime) < ends
                    and timestamp(e.pc_eventDate, e.pc_startTime) + interval e.pc_duration second > starts)
            lock in share mode;
            set new.result = case when of_provider > 0 then ''provider'' when of_room > 0 and at_room <> '''' then ''room''
                when of_patient > 0 then ''patient'' end;
        end if;
        if new.result is null then
            set @partner_api_writes = if(new.kind = ''staff'', null, 1);
            if new.kind in (''book'', ''staff'') then
                insert into openemr_postcalendar_events (pc_catid, pc_aid, pc_pid, pc_title, pc_time, pc_hometext, pc_informant, pc_eventDate, pc_endDate,
                    pc_duration, pc_startTime, pc_endTime, pc_apptstatus, pc_eventstatus, pc_room)
                values (new.category, new.provider, new.patient, new.title, now(), new.complaint, ''partner-api'', new.day, new.day,
                    new.minutes * 60, new.start, time(ends), ''-'', 1, coalesce(new.room, ''''));
                set new.event_id = last_insert_id();
            else
                update openemr_postcalendar_events set
                    pc_aid = if(find_in_set(''provider'', new.changes), new.provider, pc_aid),
                    pc_eventDate = if(find_in_set(''time'', new.changes), new.day, pc_eventDate),
                    pc_endDate = if(find_in_set(''time'', new.changes), new.day, pc_endDate),
                    pc_startTime = if(find_in_set(''time'', new.changes), new.start, pc_startTime),
                    pc_endTime = if(find_in_set(''time'', new.changes), time(ends), pc_endTime),
                    pc_duration = if(find_in_set(''time'', new.changes), new.minutes * 60, pc_duration),
                    pc_room = if(find_in_set(''room'', new.changes), new.room, pc_room),
                    pc_apptstatus = if(find_in_set(''status'', new.changes), ''x'', pc_apptstatus)
                where pc_eid = new.event_id;
            end if;
            set new.result = ''written'', @partner_api_writes = null;
        end if;
    end';

    -- Undoes a write whose transaction failed on our side, unless what it wrote has changed since.
    execute immediate 'create or replace trigger partner_api_visit_undone before update on partner_api_visits for each row
    begin
        declare is_ours int default 0;
        if new.is_undone and old.result = ''written'' then
            set @partner_api_writes = 1;
            if new.kind in (''book'', ''staff'') then
                delete from openemr_postcalendar_events where pc_eid = new.event_id and pc_informant = ''partner-api''
                  and pc_catid = new.category and pc_aid = cast(new.provider as char) and pc_pid = cast(new.patient as char) and pc_eventDate = new.day
                  and pc_startTime = new.start and pc_duration = new.minutes * 60 and pc_apptstatus = ''-'' and pc_room = coalesce(new.room, '''')
                  and pc_hometext <=> new.complaint and pc_eventstatus = 1;
            else
                update openemr_postcalendar_events set
                    pc_aid = if(find_in_set(''provider'', new.changes), json_value(new.was, ''$.aid''), pc_aid),
                    pc_eventDate = if(find_in_set(''time'', new.changes), json_value(new.was, ''$.day''), pc_eventDate),
                    pc_endDate = if(find_in_set(''time'', new.changes), json_value(new.was, ''$.endDate''), pc_endDate),
                    pc_startTime = if(find_in_set(''time'', new.changes), json_value(new.was, ''$.start''), pc_startTime),
                    pc_endTime = if(find_in_set(''time'', new.changes), json_value(new.was, ''$.end''), pc_endTime),
                    pc_duration = if(find_in_set(''time'', new.changes), json_value(new.was, ''$.duration''), pc_duration),
                    pc_room = if(find_in_set(''room'', new.changes), json_value(new.was, ''$.room''), pc_room),
                    pc_apptstatus = if(find_in_set(''status'', new.changes), json_value(new.was, ''$.status''), pc_apptstatus)
                where pc_eid = new.event_id
                  and (not find_in_set(''provider'', new.changes) or pc_aid = cast(new.provider as char))
                  and (not find_in_set(''time'', new.changes)
                    or pc_eventDate = new.day and pc_startTime = new.start and pc_duration = new.minutes * 60)
                  and (not find_in_set(''room'', new.changes) or pc_room = new.room)
                  and (not find_in_set(''status'', new.changes) or pc_apptstatus = ''x'');
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
                    set new.patient_id = attempt + greatest((select coalesce(max(pid), 0) from patient_data), (select patients_above from partner_api_state));
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
                update patient_data set fname = if(find_in_set(''fname'', new.changes), new.fname, fname),
                    mname = if(find_in_set(''mname'', new.changes), new.mname, mname),
                    lname = if(find_in_set(''lname'', new.changes), new.lname, lname), sex = if(find_in_set(''sex'', new.changes), new.sex, sex),
                    DOB = if(find_in_set(''dob'', new.changes), new.dob, DOB),
                    language = if(find_in_set(''language'', new.changes), new.language, language),
                    phone_home = if(find_in_set(''phone_home'', new.changes), new.phone_home, phone_home),
                    phone_cell = if(find_in_set(''phone_cell'', new.changes), new.phone_cell, phone_cell),
                    email = if(find_in_set(''email'', new.changes), new.email, email),
                    street = if(find_in_set(''street'', new.changes), new.street, street),
                    city = if(find_in_set(''city'', new.changes), new.city, city), state = if(find_in_set(''state'', new.changes), new.state, state),
                    postal_code = if(find_in_set(''postal_code'', new.changes), new.postal_code, postal_code),
                    country_code = if(find_in_set(''country_code'', new.changes), new.country_code, country_code),
                    providerID = if(find_in_set(''provider'', new.changes), new.provider, providerID), date = now()
                where pid = new.patient_id;
                set new.result = ''written'';
            end if;
        end if;
        set @partner_api_writes = null;
    end';

    execute immediate 'create or replace trigger partner_api_patient_undone before update on partner_api_patients for each row
    begin
        declare is_ours int default 0;
        declare changes text default if(new.kind = ''new'',
            ''fname,mname,lname,sex,dob,language,phone_home,phone_cell,email,street,city,state,postal_code,country_code,provider'', new.changes);
        if new.is_undone and old.result = ''written'' then
            select count(*) into is_ours from patient_data where pid = new.patient_id
              and (not find_in_set(''fname'', changes) or fname = new.fname) and (not find_in_set(''mname'', changes) or mname = new.mname)
              and (not find_in_set(''lname'', changes) or lname = new.lname) and (not find_in_set(''sex'', changes) or sex = new.sex)
              and (not find_in_set(''dob'', changes) or DOB <=> new.dob) and (not find_in_set(''language'', changes) or language = new.language)
              and (not find_in_set(''phone_home'', changes) or phone_home = new.phone_home)
              and (not find_in_set(''phone_cell'', changes) or phone_cell = new.phone_cell)
              and (not find_in_set(''email'', changes) or email = new.email) and (not find_in_set(''street'', changes) or street = new.street)
              and (not find_in_set(''city'', changes) or city = new.city) and (not find_in_set(''state'', changes) or state = new.state)
              and (not find_in_set(''postal_code'', changes) or postal_code = new.postal_code)
              and (not find_in_set(''country_code'', changes) or country_code = new.country_code)
              and (not find_in_set(''provider'', changes) or providerID <=> new.provider)
              and (new.kind <> ''new'' or not exists (select 1 from openemr_postcalendar_events where pc_pid = cast(new.patient_id as char)))
            for update;
            set @partner_api_writes = 1;
            if is_ours and new.kind = ''new'' then
                delete from patient_data where pid = new.patient_id;
            elseif is_ours then
                update patient_data set fname = if(find_in_set(''fname'', changes), json_value(new.was, ''$.fname''), fname),
                    mname = if(find_in_set(''mname'', changes), json_value(new.was, ''$.mname''), mname),
                    lname = if(find_in_set(''lname'', changes), json_value(new.was, ''$.lname''), lname),
                    sex = if(find_in_set(''sex'', changes), json_value(new.was, ''$.sex''), sex),
                    DOB = if(find_in_set(''dob'', changes), json_value(new.was, ''$.dob''), DOB),
                    language = if(find_in_set(''language'', changes), json_value(new.was, ''$.language''), language),
                    phone_home = if(find_in_set(''phone_home'', changes), json_value(new.was, ''$.phone_home''), phone_home),
                    phone_cell = if(find_in_set(''phone_cell'', changes), json_value(new.was, ''$.phone_cell''), phone_cell),
                    email = if(find_in_set(''email'', changes), json_value(new.was, ''$.email''), email),
                    street = if(find_in_set(''street'', changes), json_value(new.was, ''$.street''), street),
                    city = if(find_in_set(''city'', changes), json_value(new.was, ''$.city''), city),
                    state = if(find_in_set(''state'', changes), json_value(new.was, ''$.state''), state),
                    postal_code = if(find_in_set(''postal_code'', changes), json_value(new.was, ''$.postal_code''), postal_code),
                    country_code = if(find_in_set(''country_code'', changes), json_value(new.was, ''$.country_code''), country_code),
                    providerID = if(find_in_set(''provider'', changes), json_value(new.was, ''$.provider''), providerID)
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
    declare it, attempt int default 0;
    while it < 15 do
        begin
            declare exit handler for 1205 begin
                if attempt >= 40 then resignal; end if;
                do sleep(0.05);
            end;
            set attempt = attempt + 1, lock_wait_timeout = 0;
            execute immediate concat('drop trigger if exists partner_api_', elt(1 + it mod 3, 'insert', 'update', 'delete'), '_',
                elt(1 + it div 3, 'users', 'patient_data', 'openemr_postcalendar_categories', 'openemr_postcalendar_events', 'list_options'));
            set it = it + 1, attempt = 0;
        end;
    end while;
    set lock_wait_timeout = default;
    drop table if exists partner_api_visits, partner_api_patients, partner_api_outbox, partner_api_state;
end //
delimiter ;
call partner_api_install();
