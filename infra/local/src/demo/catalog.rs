//! The catalog's demo data: 200 products of eight vendors and 20 articles of the knowledge base.

use jiff::{SignedDuration, Timestamp};

use super::dice::Dice;
use super::rows::{Row, Script, row};

pub(super) const IS_FILLED: &str = "select exists (select 1 from kb_articles)";

/// Moves `PostgreSQL`'s sequences above the explicit ids.
pub(super) const SEQUENCES: &str = "
    select setval(pg_get_serial_sequence('kb_articles', 'kb_id'), (select max(kb_id) from kb_articles));
";

/// A vendor's code and brand, its category, and its products in each of [`LINES`].
const VENDORS: [(&str, &str, &str, [&str; 5]); 8] = [
    ("ALPN", "Alpenrose", "Skin Care", ["Cleanser", "Toner", "Serum", "Day Cream", "Night Cream"]),
    ("DRMA", "Dermavia", "Skin Care", ["Gel", "Lotion", "Peel", "Eye Cream", "Mask"]),
    (
        "SOLI",
        "Solisure",
        "Sun Care",
        ["Sunscreen SPF 30", "Sunscreen SPF 50", "Tinted SPF 40", "Lip Balm SPF 30", "After Sun"],
    ),
    ("NUTR", "NutriWell", "Supplements", ["Capsules", "Tablets", "Drops", "Powder", "Gummies"]),
    ("HAIR", "Folliq", "Hair Care", ["Shampoo", "Conditioner", "Scalp Serum", "Hair Mask", "Leave-In Spray"]),
    (
        "WNDC",
        "Mendwell",
        "Wound Care",
        ["Dressing", "Ointment", "Silicone Sheet", "Scar Gel", "Barrier Film"],
    ),
    ("SLPR", "Somnora", "Sleep", ["CPAP Pillow", "Nasal Mask", "Mask Liner", "Tubing Cover", "Filter Pack"]),
    ("CLNS", "Clinessa", "Office Supplies", ["Gauze Pack", "Gloves", "Drapes", "Prep Pads", "Cold Pack"]),
];

/// The five lines in which each vendor has every product.
const LINES: [&str; 5] = ["Basic", "Sensitive", "Advanced", "Travel", "Professional"];

/// Title, category, type, tags, text. The first has id 1; 12 is the example in the API's
/// documentation.
const ARTICLES: [(&str, &str, &str, Option<&str>, &str); 20] = [
    (
        "Scheduling a New Patient",
        "Scheduling",
        "HowTo",
        Some("new patient, scheduling"),
        "1. Search by name and date of birth first.\n2. Offer the next free time of the right visit \
            type.\n3. Ask for insurance and a mobile number.\n4. Send the intake forms.",
    ),
    (
        "Cancellation and No-Show Policy",
        "Scheduling",
        "Policy",
        Some("cancellation, no-show"),
        "Visits can be cancelled free of charge until 24 hours before they begin. After a second no-show \
            within a year a deposit is asked for.",
    ),
    (
        "Blocking Time for Procedures",
        "Scheduling",
        "HowTo",
        Some("procedures, buffers"),
        "Procedures need 10 minutes before and 15 after. Choose the visit type Procedure; the calendar keeps \
            the buffers by itself.",
    ),
    (
        "Answering Online Booking Requests",
        "Scheduling",
        "HowTo",
        Some("online booking, partners"),
        "Bookings by partners appear in the calendar at once. Check the complaint, and call the patient if \
            the visit type doesn't fit.",
    ),
    (
        "Check-In at the Front Desk",
        "Front Desk",
        "HowTo",
        Some("check-in, identity"),
        "Verify name, date of birth and address. Scan the insurance card on both sides. Collect the \
            copayment before the patient is roomed.",
    ),
    (
        "Telephone Triage",
        "Front Desk",
        "Reference",
        Some("telephone, triage"),
        "Chest pain, trouble breathing or a swollen face after an injection: the patient calls emergency \
            services now. Everything else goes to the nurse line.",
    ),
    (
        "Release of Medical Records",
        "Front Desk",
        "Policy",
        Some("records, privacy"),
        "Records leave the office only with a signed authorisation. Log every release with date, recipient \
            and purpose.",
    ),
    (
        "Opening and Closing Checklist",
        "Front Desk",
        "Checklist",
        None,
        "Open: lights, phones off night mode, print the day's schedule.\nClose: reconcile the cash drawer, \
            lock the sample cabinet, phones to night mode.",
    ),
    (
        "Copayments and Deductibles",
        "Billing",
        "Reference",
        Some("copayment, deductible"),
        "The copayment is due at every visit. The deductible is billed after the claim has been adjudicated.",
    ),
    (
        "Correcting a Rejected Claim",
        "Billing",
        "HowTo",
        Some("claims, rejection"),
        "1. Read the rejection code.\n2. Correct the claim, don't create a second one.\n3. Resubmit within \
            the payer's timely filing limit.",
    ),
    (
        "Payment Plans",
        "Billing",
        "Policy",
        Some("payments, plans"),
        "Balances above $200 can be paid in up to six monthly instalments. The plan is signed before the \
            first instalment.",
    ),
    (
        "Insurance Verification Workflow",
        "Billing",
        "HowTo",
        Some("insurance, verification"),
        "Step-by-step process...",
    ),
    (
        "Closing the Month",
        "Billing",
        "Checklist",
        Some("month end, reconciliation"),
        "Reconcile payments with the bank, clear unapplied credits, review claims older than 45 days, and \
            export the reports.",
    ),
    (
        "Consent for Injectables",
        "Clinical",
        "Policy",
        Some("consent, injectables"),
        "Consent is signed on the day of treatment, with photographs before and after. The lot number is \
            recorded.",
    ),
    (
        "Managing a Vasovagal Reaction",
        "Clinical",
        "Reference",
        Some("safety, syncope"),
        "Lay the patient flat, raise the legs, stop the procedure, measure blood pressure. Call the provider \
            if it lasts longer than two minutes.",
    ),
    (
        "Preparing a Sleep Study",
        "Clinical",
        "Checklist",
        Some("sleep study"),
        "Confirm arrival at 8 p.m., no caffeine after noon, own pillow welcome. Check electrodes and video \
            an hour before.",
    ),
    (
        "Cold Chain of Temperature-Sensitive Stock",
        "Clinical",
        "Policy",
        Some("storage, refrigerator"),
        "The refrigerator stays between 2 and 8 °C and is read twice a day. After an excursion the stock is \
            quarantined and the vendor called.",
    ),
    (
        "Ordering Products",
        "Inventory",
        "HowTo",
        Some("products, orders"),
        "Order when stock falls below the reorder level. Prices come from the catalog; report differences to \
            the office manager.",
    ),
    (
        "Returning Products",
        "Inventory",
        "HowTo",
        Some("products, returns"),
        "Unopened products come back within 30 days with the receipt. Opened ones only after a reaction, \
            with a note in the chart.",
    ),
    ("Fax Cover Sheet of 2019", "Front Desk", "Form", None, "Replaced by electronic referrals."),
];

/// The id of an obsolete article.
const INACTIVE_ARTICLE: usize = 20;

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
    for (vendor, brand, category, forms) in VENDORS {
        for line in LINES {
            for form in forms {
                let number = rows.len() + 1;
                // Shelf prices end in 99 cents; the practice pays about half.
                let price = dice.between(8, 120) * 100 + 99;
                let cost = price * dice.between(42, 61) / 100;
                let updated = now - SignedDuration::from_hours(dice.between(24, 24 * 400));
                rows.push(row![
                    vendor,
                    format!("{vendor}-{number:04}"),
                    format!("{brand} {line} {form}"),
                    price,
                    cost,
                    category,
                    format!("{form} of the {line} line by {brand}."),
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
    let all = ARTICLES.iter().enumerate();
    all.map(|(index, (title, category, kind, tags, text))| {
        let id = i64::try_from(index + 1).unwrap_or_default();
        let updated = now - SignedDuration::from_hours(dice.between(24, 24 * 700));
        row![id, *title, *category, *kind, *tags, *text, index + 1 != INACTIVE_ARTICLE, updated, updated]
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
    fn the_catalog_has_200_products_and_the_documented_article() {
        let mut dice = Dice::new(4);
        assert_eq!(products(&mut dice, Timestamp::UNIX_EPOCH).len(), 200);
        assert_eq!(ARTICLES[11].0, "Insurance Verification Workflow");
    }
}
