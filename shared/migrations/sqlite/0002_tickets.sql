-- Requests of the practice and of partners to each other, with comments and the states they went through.
create table tickets (
    ticket_id integer primary key autoincrement,
    subject text not null,
    description text,
    status text not null default 'Open' check (status in ('Open', 'InProgress', 'Waiting', 'Resolved', 'Closed')),
    priority text not null default 'Normal' check (priority in ('Low', 'Normal', 'High', 'Urgent')),
    assignee text,
    created_at text not null,
    updated_at text not null
);
create index tickets_by_age on tickets (created_at, ticket_id);
create index tickets_by_status on tickets (status, created_at, ticket_id);

create table ticket_comments (
    comment_id integer primary key autoincrement,
    ticket_id integer not null references tickets (ticket_id) on delete cascade,
    comment text not null,
    author text not null,
    created_at text not null
);
create index ticket_comments_by_ticket on ticket_comments (ticket_id, comment_id);

create table ticket_history (
    history_id integer primary key autoincrement,
    ticket_id integer not null references tickets (ticket_id) on delete cascade,
    old_status text not null,
    new_status text not null,
    author text not null,
    changed_at text not null
);
create index ticket_history_by_ticket on ticket_history (ticket_id, history_id);
