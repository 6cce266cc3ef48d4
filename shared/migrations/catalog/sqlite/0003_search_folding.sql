-- What searches look through, folded by the programs that search; null = to be made. Programs that write texts need not know.
alter table products drop column search_text;
alter table products add column search_text text;
alter table kb_articles add column search_text text;
create index products_unindexed on products (product_id) where search_text is null;
create index kb_articles_unindexed on kb_articles (kb_id) where search_text is null;

create trigger products_search_text after update of vendor_code, product_code, product on products
when (new.vendor_code is not old.vendor_code or new.product_code is not old.product_code or new.product is not old.product)
    and new.search_text is old.search_text
begin
    update products set search_text = null where product_id = new.product_id;
end;
create trigger kb_articles_search_text after update of title, tags, article on kb_articles
when (new.title is not old.title or new.tags is not old.tags or new.article is not old.article) and new.search_text is old.search_text
begin
    update kb_articles set search_text = null where kb_id = new.kb_id;
end;
