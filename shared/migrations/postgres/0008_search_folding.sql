-- Search folds all of Unicode now. The words of all patients are renewed; until then they are found by the words they have.
insert into unindexed_patients (patient_id) select patient_id from patients on conflict do nothing;

-- What searches look through, folded by the programs that search; null = to be made. Programs that write texts need not know.
alter table tickets add column search_text text;
alter table ticket_comments add column search_text text;
create index tickets_unindexed on tickets (ticket_id) where search_text is null;
create index ticket_comments_unindexed on ticket_comments (comment_id) where search_text is null;

create function clear_search_text() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    new.search_text := null;
    return new;
end $$;
create trigger tickets_search_text before update on tickets
for each row when ((new.subject, new.description) is distinct from (old.subject, old.description)
    and new.search_text is not distinct from old.search_text)
execute function clear_search_text();
create trigger ticket_comments_search_text before update on ticket_comments
for each row when (new.comment is distinct from old.comment and new.search_text is not distinct from old.search_text)
execute function clear_search_text();
