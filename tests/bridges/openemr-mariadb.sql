-- An EMR to attach to on MariaDB: tables with the names, types and conventions of OpenEMR's, and a few rows. Not OpenEMR's own schema.
create table users (
    id bigint auto_increment primary key,
    username varchar(255),
    fname varchar(255),
    lname varchar(255),
    title varchar(30),
    specialty varchar(255),
    active tinyint(1) not null default 1,
    authorized tinyint(1) default 0
);
create table patient_data (
    id bigint auto_increment primary key,
    pid bigint not null default 0 unique,
    title varchar(255) not null default '',
    fname varchar(255) not null default '',
    mname varchar(255) not null default '',
    lname varchar(255) not null default '',
    sex varchar(255) not null default '',
    DOB date,
    language varchar(255) not null default '',
    phone_home varchar(255) not null default '',
    phone_cell varchar(255) not null default '',
    email varchar(255) not null default '',
    street varchar(255) not null default '',
    city varchar(255) not null default '',
    state varchar(255) not null default '',
    postal_code varchar(255) not null default '',
    country_code varchar(255) not null default '',
    providerID int,
    ss varchar(255) not null default '',
    date datetime,
    regdate datetime
);
create table openemr_postcalendar_categories (
    pc_catid int unsigned auto_increment primary key,
    pc_catname varchar(100),
    pc_cattype int not null,
    pc_active tinyint(1) not null default 1
);
create table openemr_postcalendar_events (
    pc_eid int unsigned auto_increment primary key,
    pc_catid int not null default 0,
    pc_aid varchar(30),
    pc_pid varchar(11),
    pc_title varchar(150),
    pc_time datetime,
    pc_hometext text,
    pc_informant varchar(20),
    pc_eventDate date not null default '0000-00-00',
    pc_endDate date not null default '0000-00-00',
    pc_duration bigint not null default 0,
    pc_recurrtype int not null default 0,
    pc_recurrspec text,
    pc_startTime time,
    pc_endTime time,
    pc_alldayevent int not null default 0,
    pc_eventstatus int not null default 0,
    pc_apptstatus varchar(15) not null default '-',
    pc_room varchar(20) not null default '',
    key pc_eventDate (pc_eventDate)
);
create table list_options (
    list_id varchar(100) not null,
    option_id varchar(100) not null,
    title varchar(255) not null default '',
    activity tinyint not null default 1,
    primary key (list_id, option_id)
);
create table log (id bigint auto_increment primary key, event varchar(255), comments longtext);
-- A trigger of the EMR's own, to see that it works beside ours.
create trigger patient_data_noted after insert on patient_data for each row
    insert into log (event, comments) values ('patient-record-insert', new.pid);

insert into users (id, username, fname, lname, title, specialty, active, authorized) values
    (1, 'jsmith', 'Jane', 'Smith', 'PA-C', 'Aesthetics', 1, 1), (2, 'ohaddad', 'Omar', 'Haddad', 'MD', 'Dermatology', 1, 1),
    (3, 'lfischer', 'Lena', 'Fischer', 'NP', null, 0, 1);
alter table users auto_increment = 101;
insert into patient_data (pid, fname, lname) values (1001, 'Ada', 'Jones'), (1002, 'Ben', 'Okafor'), (1003, 'Chloe', 'Weber');
insert into openemr_postcalendar_categories (pc_catid, pc_catname, pc_cattype) values
    (2, 'In Office', 1), (3, 'Out Of Office', 1), (5, 'Consult', 0), (6, 'FOLLOWUP', 0), (8, 'Lunch', 1), (11, 'Reserved', 1);
insert into list_options (list_id, option_id, title) values
    ('patient_flow_board_rooms', 'r1', 'Room 1'), ('patient_flow_board_rooms', 'r2', 'Room 2'), ('language', 'en', 'English');
