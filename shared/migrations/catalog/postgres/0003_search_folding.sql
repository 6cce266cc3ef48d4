-- What searches look through, folded by the programs that search; null = to be made. Programs that write texts need not know.
alter table products drop column search_text;
alter table products add column search_text text collate "C";
alter table kb_articles add column search_text text;
create index products_by_text on products using gin (search_text gin_trgm_ops);
create index products_unindexed on products (product_id) where search_text is null;
create index kb_articles_unindexed on kb_articles (kb_id) where search_text is null;

create function clear_search_text() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    new.search_text := null;
    return new;
end $$;
create trigger products_search_text before update on products
for each row when ((new.vendor_code, new.product_code, new.product) is distinct from (old.vendor_code, old.product_code, old.product)
    and new.search_text is not distinct from old.search_text)
execute function clear_search_text();
create trigger kb_articles_search_text before update on kb_articles
for each row when ((new.title, new.tags, new.article) is distinct from (old.title, old.tags, old.article)
    and new.search_text is not distinct from old.search_text)
execute function clear_search_text();
