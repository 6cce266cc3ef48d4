-- The catalog: one database for all practices. Amounts of money are whole cents.

create table products (
    product_id integer primary key autoincrement,
    vendor_code text not null,
    product_code text not null,
    product text not null,
    retail_price_cents integer check (retail_price_cents >= 0),
    cost_cents integer check (cost_cents >= 0),
    category text,
    description text,
    upc text,
    active integer not null default 1,
    created_at text not null,
    updated_at text not null,
    -- What a search looks through; ASCII letters in lower case, as in PostgreSQL.
    search_text text not null generated always as (lower(vendor_code || ' ' || product_code || ' ' || product)) stored,
    unique (vendor_code, product_code)
);

create table kb_articles (
    kb_id integer primary key autoincrement,
    title text not null,
    article text not null,
    category text,
    type text,
    tags text,
    active integer not null default 1,
    created_at text not null,
    updated_at text not null
);

create table audit_log (
    audit_id integer primary key autoincrement,
    at text not null,
    request_id text not null,
    key_id text not null,
    partner_id text not null,
    action text not null,
    entity text not null,
    entity_ids text not null
);
create index audit_log_by_time on audit_log (at);

create table idempotency_keys (
    key_id text not null,
    method text not null,
    path text not null,
    idempotency_key text not null,
    body_hash text not null,
    status integer not null,
    response text not null,
    expires_at integer not null,
    primary key (key_id, method, path, idempotency_key)
);
create index idempotency_keys_by_expiry on idempotency_keys (expires_at);
