-- The same ids as before. Only an id that is taken makes it read the rows that follow; above the sequence there may be thousands.
create or replace function free_id(of_table regclass, id_column text) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    sequence regclass := pg_get_serial_sequence(of_table::text, id_column);
    -- The largest integer that every reader of JSON keeps exact.
    largest constant bigint := 9007199254740991;
    found bigint;
    taken_to bigint;
begin
    loop
        found := nextval(sequence);
        if found > largest then
            perform setval(sequence, 1, false);
            continue;
        end if;
        execute format('select %1$I from %2$s where %1$I = $1', id_column, of_table) into taken_to using found;
        if taken_to is null then
            return found;
        end if;
        execute format(
            'select max(id) from (
                 select %1$I as id, %1$I - row_number() over (order by %1$I) as island
                 from (select %1$I from %2$s where %1$I >= $1 order by %1$I limit 10000) following
             ) numbered where island = $1 - 1',
            id_column, of_table
        ) into taken_to using found;
        if taken_to is null then
            return found;
        end if;
        perform setval(sequence, taken_to);
    end loop;
end $$;
