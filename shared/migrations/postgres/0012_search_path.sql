-- All that is ours is in this schema. A transaction-mode pooler gives a transaction a connection that may look elsewhere, where
-- another program may have tables of the same names, so each transaction begins with this.
create function enter() returns void language plpgsql as $$
begin
    if current_setting('search_path') <> 'partner_api' then
        perform set_config('search_path', 'partner_api', true);
    end if;
end $$;
