-- The call of the API that wrote the row. The EMR's own programs write rows as before and leave it null.
alter table log add column request_id text;
