//! The `products` table. A product is known by its vendor's code and its own.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::AssertSqlSafe;

use super::search::has_words;
use crate::{
    domain::{ids::ProductId, money::Cents},
    tenant::{
        Conn, Error, Result,
        bounded::{is_long, short},
        on, round_trip,
    },
};

/// Vendor code and product code.
pub type Key = (String, String);

/// Everything about a product that partners write.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Product {
    pub vendor_code: String,
    pub product_code: String,
    #[sqlx(rename = "product")]
    pub name: String,
    #[sqlx(rename = "retail_price_cents")]
    pub retail_price: Option<Cents>,
    #[sqlx(rename = "cost_cents")]
    pub cost: Option<Cents>,
    pub category: Option<String>,
    pub description: Option<String>,
    pub upc: Option<String>,
    pub active: bool,
}

/// One row.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Listed {
    #[sqlx(flatten)]
    pub product: Product,
    updated_at: jiff_sqlx::Timestamp,
}

/// What a list is narrowed by.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Each must be somewhere in vendor code, product code or name.
    pub words: Vec<String>,
    pub vendor_code: Option<String>,
    pub inactive_too: bool,
}

/// The columns of [`Product`], in their order.
macro_rules! columns {
    () => {
        "vendor_code, product_code, product, retail_price_cents, cost_cents, category, description, upc, active"
    };
}

/// [`columns`] as they are read: of what another program wrote longer only the beginning is.
macro_rules! read_columns {
    () => {
        concat!(
            short!("vendor_code", 255),
            ", ",
            short!("product_code", 255),
            ", ",
            short!("product", 255),
            ", retail_price_cents, cost_cents, ",
            short!("category", 255),
            ", ",
            short!("description", 5000),
            ", ",
            short!("upc", 255),
            ", active"
        )
    };
}

/// Sets a text to the new one, unless that is what was read of a longer one.
macro_rules! replace_short {
    ($column:literal, $stored:literal, $new:literal, $most:literal) => {
        concat!(
            $column,
            " = case when ",
            is_long!($stored, $most),
            " and ",
            $new,
            " = substr(",
            $stored,
            ", 1, ",
            $most,
            " - 1) || '…' then ",
            $stored,
            " else ",
            $new,
            " end"
        )
    };
}

/// As many as [`columns`].
const COLUMNS: usize = 9;

impl Product {
    pub fn key(&self) -> Key {
        (self.vendor_code.clone(), self.product_code.clone())
    }
}

impl Listed {
    pub fn updated_at(&self) -> Timestamp {
        self.updated_at.to_jiff()
    }
}

/// Lets one transaction at a time change many products, until it ends: two that create the same ones neither wait for
/// each other in a circle nor overwrite what the other has just written. `SQLite` has one writer at a time already.
pub async fn hold(conn: &mut Conn) -> Result<()> {
    if let Conn::Postgres(connection) = conn {
        round_trip!(connection, c => {
            sqlx::query("select pg_advisory_xact_lock(hashtextextended('products', 0))").execute(c).await
        })?;
    }
    Ok(())
}

/// Products of one statement that reads them.
const READ_AT_ONCE: usize = 200;

/// The products with these keys, which nobody else changes until the transaction ends.
pub async fn lock(conn: &mut Conn, keys: &BTreeSet<Key>) -> Result<BTreeMap<Key, Product>> {
    let keys: Vec<&Key> = keys.iter().collect();
    let mut found = BTreeMap::new();
    for keys in keys.chunks(READ_AT_ONCE) {
        found.extend(lock_some(conn, keys).await?.into_iter().map(|product| (product.key(), product)));
    }
    Ok(found)
}

async fn lock_some(conn: &mut Conn, keys: &[&Key]) -> Result<Vec<Product>> {
    let places: Vec<String> =
        (0..keys.len()).map(|index| format!("(${}, ${})", 2 * index + 1, 2 * index + 2)).collect();
    // Locked in the order of the keys, for programs that take row locks without `hold`.
    let lock = if matches!(conn, Conn::Postgres(_)) { "for update" } else { "" };
    let statement = format!(
        concat!(
            "select ",
            read_columns!(),
            " from products where (vendor_code, product_code) in (values {}) \
             order by products.vendor_code, products.product_code {}"
        ),
        places.join(", "),
        lock,
    );
    Ok(on!(conn, c => {
        let select = sqlx::query_as(AssertSqlSafe(statement)).persistent(false);
        keys.iter().fold(select, |select, (vendor, product)| select.bind(vendor).bind(product)).fetch_all(c).await
    })?)
}

/// Adds products that weren't there when they were looked up.
///
/// # Errors
/// [`Error::Contended`] when another program has added one of them since.
pub async fn insert(conn: &mut Conn, products: &[&Product], now: Timestamp) -> Result<Vec<ProductId>> {
    let ids = write(conn, products, "nothing", now).await?;
    if ids.len() < products.len() {
        return Err(Error::Contended(sqlx::Error::Protocol("a product was there already".to_owned())));
    }
    Ok(ids)
}

/// Replaces products that are there.
pub async fn update(conn: &mut Conn, products: &[&Product], now: Timestamp) -> Result<Vec<ProductId>> {
    let replace = concat!(
        "update set ",
        replace_short!("product", "products.product", "excluded.product", 255),
        ", retail_price_cents = excluded.retail_price_cents, cost_cents = excluded.cost_cents, ",
        replace_short!("category", "products.category", "excluded.category", 255),
        ", ",
        replace_short!("description", "products.description", "excluded.description", 5000),
        ", ",
        replace_short!("upc", "products.upc", "excluded.upc", 255),
        ", active = excluded.active, updated_at = excluded.updated_at"
    );
    write(conn, products, replace, now).await
}

/// One statement; at most a thousand products.
async fn write(
    conn: &mut Conn,
    products: &[&Product],
    on_conflict: &str,
    now: Timestamp,
) -> Result<Vec<ProductId>> {
    if products.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<String> = (0..products.len())
        .map(|index| {
            let first = 2 + index * COLUMNS;
            let places: Vec<String> = (first..first + COLUMNS).map(|number| format!("${number}")).collect();
            format!("({}, $1, $1)", places.join(", "))
        })
        .collect();
    let statement = format!(
        concat!(
            "insert into products (",
            columns!(),
            ", created_at, updated_at) values {} on conflict (vendor_code, product_code) do {} returning product_id"
        ),
        rows.join(", "),
        on_conflict,
    );
    Ok(on!(conn, c => {
        let insert = sqlx::query_scalar(AssertSqlSafe(statement)).persistent(false).bind(now.to_sqlx());
        products
            .iter()
            .fold(insert, |insert, it| {
                insert
                    .bind(&it.vendor_code)
                    .bind(&it.product_code)
                    .bind(&it.name)
                    .bind(it.retail_price)
                    .bind(it.cost)
                    .bind(&it.category)
                    .bind(&it.description)
                    .bind(&it.upc)
                    .bind(it.active)
            })
            .fetch_all(c)
            .await
    })?)
}

/// How many products the filter leaves.
pub async fn count(conn: &mut Conn, filter: &Filter) -> Result<i64> {
    let (clause, values) = filtered(filter);
    let statement = format!("select count(*) from products {clause}");
    Ok(on!(conn, c => {
        let query = sqlx::query_scalar(AssertSqlSafe(statement));
        values.iter().fold(query, sqlx::query::QueryScalar::bind).fetch_one(c).await
    })?)
}

/// Up to `limit` products after the first `offset`, by vendor code and product code.
pub async fn page(conn: &mut Conn, filter: &Filter, limit: i64, offset: i64) -> Result<Vec<Listed>> {
    let (clause, values) = filtered(filter);
    let statement = format!(
        concat!(
            "select ",
            read_columns!(),
            ", updated_at from products {} order by products.vendor_code, products.product_code limit ${} offset ${}"
        ),
        clause,
        values.len() + 1,
        values.len() + 2,
    );
    Ok(on!(conn, c => {
        let query = sqlx::query_as(AssertSqlSafe(statement));
        let query = values.iter().fold(query, sqlx::query::QueryAs::bind);
        query.bind(limit).bind(offset).fetch_all(c).await
    })?)
}

/// The condition of the filter, of constants and placeholders only, and the placeholders' values.
fn filtered(filter: &Filter) -> (String, Vec<String>) {
    let (mut conditions, mut values) = has_words("search_text", &filter.words, 1);
    if !filter.inactive_too {
        conditions.push("active".to_owned());
    }
    if let Some(vendor_code) = &filter.vendor_code {
        values.push(vendor_code.clone());
        conditions.push(format!("vendor_code = ${}", values.len()));
    }
    let clause =
        if conditions.is_empty() { String::new() } else { format!("where {}", conditions.join(" and ")) };
    (clause, values)
}
