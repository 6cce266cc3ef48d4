//! A search reads ranges of an index, not the whole practice.

use shared::{
    domain::search::terms_of,
    tenant::patients::{self, Filter},
};

use crate::office::{
    Office, on_both_databases,
    plan::{fault_of, plan},
};

/// 20,000 patients with three words each, and notes, since real patients' rows are wide.
async fn fill(office: &Office) {
    for first in (0..20_000).step_by(1000) {
        let numbers: Vec<String> = (first..first + 1000).map(|number| format!("({number})")).collect();
        let (numbers, notes) = (numbers.join(","), "Called twice. ".repeat(60));
        office
            .sql(&format!(
                "with numbers (n) as (values {numbers})
                 insert into patients (patient_id, first_name, last_name, full_name, notes, created_at, \
                 updated_at)
                 select 100000 + n, 'First' || n, 'Last' || (n % 500), 'First' || n || ' Last' || (n % 500),
                     '{notes}', '2026-01-02T10:00:00Z', '2026-01-02T10:00:00Z' from numbers;
                 with numbers (n) as (values {numbers})
                 insert into patient_words (patient_id, word)
                 select 100000 + n, 'first' || n from numbers
                 union all select 100000 + n, 'last' || (n % 500) from numbers
                 union all select 100000 + n, '21255' || (10000 + n) from numbers;"
            ))
            .await;
    }
    office.sql("analyze").await;
}

async fn a_search_reads_index_ranges_only(office: Office) {
    fill(&office).await;
    for (search, ranges, hits) in [("first777", 1, 11), ("last42 first42", 2, 11), ("(212) 55 10123", 1, 1)] {
        for prospect in [None, Some(false)] {
            let terms = terms_of(search);
            let filter = Filter { prospect, terms: Some(terms) };
            let mut conn = office.db.connection().await.unwrap();
            assert_eq!(patients::count(&mut conn, &filter).await.unwrap(), hits, "{search}");
            let statements = filter.statements(&conn);
            drop(conn);
            for statement in [statements.count, statements.page] {
                let plan = plan(&office.db, &statement, &statements.values).await;
                assert_eq!(fault_of(&plan, ranges), None, "{search}: {plan:#?}");
            }
        }
    }
}
on_both_databases!(a_search_reads_index_ranges_only);

async fn a_plan_without_the_index_is_detected(office: Office) {
    fill(&office).await;
    let naive = "select patient_id from patients where lower(full_name) like '%' || $1 || '%'";
    let plan = plan(&office.db, naive, &["first777".to_owned()]).await;
    assert!(fault_of(&plan, 1).unwrap().starts_with("reads a whole table"), "{plan:#?}");
}
on_both_databases!(a_plan_without_the_index_is_detected);
