-- Search folds all of Unicode now. The words of all patients are renewed; until then they are found by the words they have.
insert into unindexed_patients (patient_id)
    select patient_id from patients
    where not exists (select 1 from unindexed_patients where unindexed_patients.patient_id = patients.patient_id);

-- What searches look through, folded by the programs that search; null = to be made. Programs that write texts need not know.
alter table tickets add column search_text text;
alter table ticket_comments add column search_text text;
create index tickets_unindexed on tickets (ticket_id) where search_text is null;
create index ticket_comments_unindexed on ticket_comments (comment_id) where search_text is null;

create trigger tickets_search_text after update of subject, description on tickets
when (new.subject is not old.subject or new.description is not old.description) and new.search_text is old.search_text
begin
    update tickets set search_text = null where ticket_id = new.ticket_id;
end;
create trigger ticket_comments_search_text after update of comment on ticket_comments
when new.comment is not old.comment and new.search_text is old.search_text
begin
    update ticket_comments set search_text = null where comment_id = new.comment_id;
end;
