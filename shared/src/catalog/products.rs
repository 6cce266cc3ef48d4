//! The `products` table. A product is identified by its vendor code and product code.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::AssertSqlSafe;

use crate::{
    domain::{ids::ProductId, money::Cents},
    sql::{
        Conn, Error, Result,
        bounded::short,
        foreign::{Columns, ForeignRow, FromColumns, Key as StoredKey, Read, accept_all, is_true},
        free_ids::free_id,
        on,
        page::{MOST_COUNTED, PageRows},
        round_trip,
        search_texts::{SearchText, having_words},
    },
};

/// Vendor code and product code.
pub type Key = (String, String);

/// The fields of a product that partners write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    pub vendor_code: String,
    pub product_code: String,
    pub name: String,
    pub retail_price: Option<Cents>,
    pub cost: Option<Cents>,
    pub category: Option<String>,
    pub description: Option<String>,
    pub upc: Option<String>,
    pub active: bool,
}

/// A product with the time of its last change.
#[derive(Clone, Debug)]
pub struct Listed {
    pub product: Product,
    updated_at: Timestamp,
}

/// The filter of a list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Each word must occur in the vendor code, the product code or the name.
    pub words: Vec<String>,
    /// Matches as sent, or without surrounding spaces.
    pub vendor_code: Option<String>,
    pub inactive_too: bool,
}

/// The columns of [`Product`], in their order.
macro_rules! columns {
    () => {
        "vendor_code, product_code, product, retail_price_cents, cost_cents, category, description, upc, \
            active"
    };
}

/// [`columns`] as they are selected: longer texts of other programs are truncated.
macro_rules! read_columns {
    () => {
        concat!(
            short!("vendor_code", 2000),
            ", ",
            short!("product_code", 2000),
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

/// The text that searches scan.
pub const SEARCHED: SearchText = SearchText {
    table: "products",
    id: "product_id",
    text: "vendor_code || ' ' || product_code || ' ' || product",
    longest: 4_300,
};

/// The number of columns in [`columns`].
const COLUMNS: usize = 9;

macro_rules! bind_product {
    ($query:expr, $product:expr) => {
        $query
            .bind(&$product.vendor_code)
            .bind(&$product.product_code)
            .bind(&$product.name)
            .bind($product.retail_price)
            .bind($product.cost)
            .bind(&$product.category)
            .bind(&$product.description)
            .bind(&$product.upc)
            .bind($product.active)
    };
}

impl Product {
    /// Returns a bit for each column that differs; the lowest is the first one of [`columns`].
    fn changed_columns(&self, after: &Self) -> i64 {
        let differ = [
            self.vendor_code != after.vendor_code,
            self.product_code != after.product_code,
            self.name != after.name,
            self.retail_price != after.retail_price,
            self.cost != after.cost,
            self.category != after.category,
            self.description != after.description,
            self.upc != after.upc,
            self.active != after.active,
        ];
        differ.iter().enumerate().map(|(index, differs)| i64::from(*differs) << index).sum()
    }

    pub fn key(&self) -> Key {
        (self.vendor_code.clone(), self.product_code.clone())
    }
}

impl FromColumns for Product {
    const TABLE: &'static str = "products";
    const KEY: &'static str = "product_id";

    /// Decodes a product; `None` if its codes are unreadable, since it could not be looked up.
    fn from_columns<R: ForeignRow>(columns: &mut Columns<'_, R>) -> sqlx::Result<Option<Self>> {
        let vendor_code: Option<StoredKey> = columns.required("vendor_code")?;
        let product_code: Option<StoredKey> = columns.required("product_code")?;
        let name = columns.text("product")?;
        let (retail_price, cost) = (columns.optional("retail_price_cents")?, columns.optional("cost_cents")?);
        let (category, description) = (columns.optional("category")?, columns.optional("description")?);
        let (upc, active) = (columns.optional("upc")?, columns.or("active", false)?);
        Ok(vendor_code.zip(product_code).map(|(vendor_code, product_code)| Self {
            vendor_code: vendor_code.0,
            product_code: product_code.0,
            name,
            retail_price: retail_price.map(Cents),
            cost: cost.map(Cents),
            category,
            description,
            upc,
            active,
        }))
    }
}

impl FromColumns for Listed {
    const TABLE: &'static str = Product::TABLE;
    const KEY: &'static str = Product::KEY;

    fn from_columns<R: ForeignRow>(columns: &mut Columns<'_, R>) -> sqlx::Result<Option<Self>> {
        let updated_at = columns.instant("updated_at")?;
        Ok(Product::from_columns(columns)?.map(|product| Self { product, updated_at }))
    }
}

impl Listed {
    pub fn updated_at(&self) -> Timestamp {
        self.updated_at
    }
}

/// Serializes transactions that change many products, until this one ends.
///
/// Two that create the same products then neither deadlock nor overwrite each other. `SQLite`
/// allows only one writer anyway.
pub async fn lock_all(conn: &mut Conn) -> Result<()> {
    if let Conn::Postgres(connection) = conn {
        round_trip!(connection, |c| {
            sqlx::query("select pg_advisory_xact_lock(hashtextextended('products', 0))").execute(c).await
        })?;
    }
    Ok(())
}

/// Products per SELECT.
const READ_AT_ONCE: usize = 200;

/// Returns the products with these keys, and locks them until the transaction ends.
pub async fn lock(conn: &mut Conn, keys: &BTreeSet<Key>) -> Result<BTreeMap<Key, Listed>> {
    let mut keys: Vec<&Key> = keys.iter().collect();
    keys.retain(|(vendor, product)| conn.can_hold(vendor) && conn.can_hold(product));
    let mut found = BTreeMap::new();
    for keys in keys.chunks(READ_AT_ONCE) {
        found.extend(lock_some(conn, keys).await?.into_iter().map(|listed| (listed.product.key(), listed)));
    }
    Ok(found)
}

async fn lock_some(conn: &mut Conn, keys: &[&Key]) -> Result<Vec<Listed>> {
    let places: Vec<String> =
        (0..keys.len()).map(|index| format!("(${}, ${})", 2 * index + 1, 2 * index + 2)).collect();
    // Locks rows in key order, for programs that lock rows without calling `hold`.
    let lock = if matches!(conn, Conn::Postgres(_)) { "for update" } else { "" };
    let statement = format!(
        concat!(
            "select product_id, ",
            read_columns!(),
            ", updated_at from products where (vendor_code, product_code) in (values {}) \
             order by products.vendor_code, products.product_code {}"
        ),
        places.join(", "),
        lock,
    );
    let products: Vec<Read<Listed>> = on!(&mut *conn, |c| {
        let select = sqlx::query_as(AssertSqlSafe(statement)).persistent(false);
        keys.iter()
            .fold(select, |select, (vendor, product)| select.bind(vendor).bind(product))
            .fetch_all(c)
            .await
    })?;
    Ok(accept_all(conn, products))
}

/// Inserts products that did not exist when they were looked up.
///
/// # Errors
/// [`Error::Contended`] if another program has inserted one of them since.
pub async fn insert(conn: &mut Conn, products: &[&Product], now: Timestamp) -> Result<Vec<ProductId>> {
    if products.is_empty() {
        return Ok(Vec::new());
    }
    // The rows of one statement do not see each other, and SQLite's id expression reads existing
    // rows.
    let at_once = if matches!(conn, Conn::Sqlite(_)) { 1 } else { products.len() };
    let mut ids = Vec::with_capacity(products.len());
    for products in products.chunks(at_once) {
        ids.extend(insert_some(conn, products, now).await?);
    }
    if ids.len() < products.len() {
        return Err(Error::Contended(sqlx::Error::Protocol("a product was there already".to_owned())));
    }
    Ok(ids)
}

async fn insert_some(conn: &mut Conn, products: &[&Product], now: Timestamp) -> Result<Vec<ProductId>> {
    let more = format!(", $1, $1, {}", free_id(conn, "products", "product_id"));
    let statement = format!(
        concat!(
            "insert into products (",
            columns!(),
            ", created_at, updated_at, product_id) values {} on conflict (vendor_code, product_code) do \
                nothing returning product_id"
        ),
        places(products.len(), COLUMNS, &more),
    );
    Ok(on!(conn, |c| {
        let insert = sqlx::query_scalar(AssertSqlSafe(statement)).persistent(false).bind(now.to_sqlx());
        products.iter().fold(insert, |insert, product| bind_product!(insert, product)).fetch_all(c).await
    })?)
}

/// Updates the columns that differ in existing products, each given before and after the change.
///
/// Other columns stay as the EMR wrote them, including unreadable ones.
pub async fn update(
    conn: &mut Conn,
    products: &[(&Product, &Product)],
    now: Timestamp,
) -> Result<Vec<ProductId>> {
    if products.is_empty() {
        return Ok(Vec::new());
    }
    // Both engines give the columns of VALUES these names. The last column has a bit for each one
    // that differs.
    let assignments: Vec<String> = columns!()
        .split(", ")
        .enumerate()
        .map(|(index, column)| {
            let (bit, number) = (1 << index, index + 1);
            format!(
                "{column} = case when (given.column{} & {bit}) <> 0 then given.column{number} else \
                    products.{column} end",
                COLUMNS + 1
            )
        })
        .collect();
    let statement = format!(
        "update products set {}, updated_at = $1 from (values {}) as given
         where products.vendor_code = given.column1 and products.product_code = given.column2 returning \
         product_id",
        assignments.join(", "),
        places(products.len(), COLUMNS + 1, ""),
    );
    Ok(on!(conn, |c| {
        let update = sqlx::query_scalar(AssertSqlSafe(statement)).persistent(false).bind(now.to_sqlx());
        products
            .iter()
            .fold(update, |update, (before, after)| {
                bind_product!(update, after).bind(before.changed_columns(after))
            })
            .fetch_all(c)
            .await
    })?)
}

/// Returns rows of `columns` placeholders, numbered from `$2`, each followed by `more`.
fn places(rows: usize, columns: usize, more: &str) -> String {
    let row = |index| {
        let first = 2 + index * columns;
        let places: Vec<String> = (first..first + columns).map(|number| format!("${number}")).collect();
        format!("({}{more})", places.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

/// Counts the products that match the filter, up to one more than [`MOST_COUNTED`].
pub async fn count(conn: &mut Conn, filter: &Filter) -> Result<i64> {
    let (clause, values) = filtered(conn, filter);
    let statement =
        format!("select count(*) from (select 1 from products {clause} limit {}) counted", MOST_COUNTED + 1);
    Ok(on!(conn, |c| {
        let query = sqlx::query_scalar(AssertSqlSafe(statement));
        values.iter().fold(query, sqlx::query::QueryScalar::bind).fetch_one(c).await
    })?)
}

/// Returns up to `limit` products after the first `offset`, by vendor code and product code.
pub async fn page(conn: &mut Conn, filter: &Filter, limit: i64, offset: i64) -> Result<PageRows<Listed>> {
    let (clause, values) = filtered(conn, filter);
    let statement = format!(
        concat!(
            "select product_id, ",
            read_columns!(),
            ", updated_at from products {} order by products.vendor_code, products.product_code limit ${} \
                offset ${}"
        ),
        clause,
        values.len() + 1,
        values.len() + 2,
    );
    let rows: Vec<Read<Listed>> = on!(&mut *conn, |c| {
        let query = sqlx::query_as(AssertSqlSafe(statement));
        let query = values.iter().fold(query, sqlx::query::QueryAs::bind);
        query.bind(limit + 1).bind(offset).fetch_all(c).await
    })?;
    Ok(PageRows::accept(conn, rows, (limit, offset)))
}

/// Returns the filter's condition, of constants and placeholders only, and its values.
fn filtered(conn: &Conn, filter: &Filter) -> (String, Vec<String>) {
    let (mut conditions, mut values) = having_words(&filter.words);
    if !filter.inactive_too {
        conditions.push(is_true(conn, "active"));
    }
    if let Some(vendor_code) = &filter.vendor_code {
        if conn.can_hold(vendor_code) {
            values.extend([vendor_code.clone(), vendor_code.trim().to_owned()]);
            conditions.push(format!("vendor_code in (${}, ${})", values.len() - 1, values.len()));
        } else {
            conditions.push("1 = 0".to_owned());
        }
    }
    let clause =
        if conditions.is_empty() { String::new() } else { format!("where {}", conditions.join(" and ")) };
    (clause, values)
}
