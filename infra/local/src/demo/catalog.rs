//! The catalog's demo data: 200 products of eight vendors and 20 articles of the knowledge base.

use jiff::{SignedDuration, Timestamp};

use super::data::CATALOG;
use super::dice::Dice;
use super::rows::{Row, Script, row};

pub(super) const IS_FILLED: &str = "select exists (select 1 from kb_articles)";

/// Moves `PostgreSQL`'s sequences above the explicit ids.
pub(super) const SEQUENCES: &str = "
    select setval(pg_get_serial_sequence('kb_articles', 'kb_id'), (select max(kb_id) from kb_articles));
";

/// The id of an obsolete article.
const INACTIVE_ARTICLE: i64 = 20;

pub(super) fn rows(now: Timestamp) -> String {
    let mut dice = Dice::new(4);
    let mut script = Script::default();
    script.insert(
        "products (vendor_code, product_code, product, retail_price_cents, cost_cents, category, \
            description, upc, active, created_at, updated_at)",
        &products(&mut dice, now),
    );
    script.insert(
        "kb_articles (kb_id, title, category, type, tags, article, active, created_at, updated_at)",
        &articles(&mut dice, now),
    );
    script.text()
}

fn products(dice: &mut Dice, now: Timestamp) -> Vec<Row> {
    let mut rows = vec![];
    for vendor in &CATALOG.vendors {
        let (code, brand) = (&vendor.code, &vendor.brand);
        for line in &CATALOG.lines {
            for product in &vendor.products {
                let number = rows.len() + 1;
                // Shelf prices end in 99 cents; the practice pays about half.
                let price = dice.between(8, 120) * 100 + 99;
                let cost = price * dice.between(42, 61) / 100;
                let updated = now - SignedDuration::from_hours(dice.between(24, 24 * 400));
                rows.push(row![
                    code,
                    format!("{code}-{number:04}"),
                    format!("{brand} {line} {product}"),
                    price,
                    cost,
                    &vendor.category,
                    format!("{product} of the {line} line by {brand}."),
                    upc(number),
                    !dice.chance(4),
                    updated,
                    updated,
                ]);
            }
        }
    }
    rows
}

/// Returns a UPC-A with its check digit, in the range for use within a company (prefix 4).
fn upc(number: usize) -> String {
    let digits = format!("4{number:010}");
    let weighted = digits.bytes().enumerate().map(|(place, digit)| {
        let digit = usize::from(digit - b'0');
        if place % 2 == 0 { 3 * digit } else { digit }
    });
    let check = (10 - weighted.sum::<usize>() % 10) % 10;
    format!("{digits}{check}")
}

fn articles(dice: &mut Dice, now: Timestamp) -> Vec<Row> {
    let all = (1_i64..).zip(&CATALOG.articles);
    all.map(|(id, it)| {
        let updated = now - SignedDuration::from_hours(dice.between(24, 24 * 700));
        let tags = it.tags.as_deref();
        row![id, &it.title, &it.category, &it.kind, tags, &it.text, id != INACTIVE_ARTICLE, updated, updated]
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_upc_has_a_valid_check_digit() {
        // 4-00000-00001-? : (4 + 0 + … + 1) × 3 of the odd places is 15.
        assert_eq!(upc(1), "400000000015");
    }

    #[test]
    fn the_catalog_has_200_products() {
        assert_eq!(products(&mut Dice::new(4), Timestamp::UNIX_EPOCH).len(), 200);
    }
}
