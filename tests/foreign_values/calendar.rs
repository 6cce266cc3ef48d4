//! Working hours and exceptions as the EMR writes them.

use serde_json::Value;

use crate::office::{Engine, Office, on_both_databases};

/// Returns the starts of one-hour visits on a date.
async fn slots(office: &Office, date: &str) -> Vec<String> {
    let path = format!("/v1/DemoOffice/availability/providers/1/slots?date={date}&duration=60");
    let reply = office.get(&path).await;
    let slots = reply.expect(200)["data"]["Slots"].as_array().unwrap().clone();
    slots.iter().filter_map(Value::as_str).map(|it| it[..5].to_owned()).collect()
}

fn ends(slots: &[String]) -> (&str, &str) {
    (slots.first().map_or("", String::as_str), slots.last().map_or("", String::as_str))
}

/// Replaces the hours of provider 1. 2026-03-10 is a Tuesday.
async fn work(office: &Office, hours: &str) {
    office
        .sql(&format!(
            "delete from working_hours; delete from schedule_exceptions;
         insert into working_hours (provider_id, weekday, start_time, end_time, valid_from, valid_to) values \
         {hours}"
        ))
        .await;
}

async fn hour_24_ends_the_day_and_infinity_is_unbounded(office: Office) {
    work(&office, "(1, 2, '20:00', '24:00', '-infinity', 'infinity')").await;
    assert_eq!(ends(&slots(&office, "2026-03-10").await), ("20:00", "23:00"));
    work(&office, "(1, 2, '00:00', '24:00', null, null)").await;
    assert_eq!(ends(&slots(&office, "2026-03-10").await), ("00:00", "23:00"));
    assert_eq!(slots(&office, "2026-03-11").await.len(), 0);
    // The end of Monday is the start of Tuesday.
    work(&office, "(1, 1, '24:00', '02:00', '2026-03-09', '2026-03-09')").await;
    assert_eq!(ends(&slots(&office, "2026-03-10").await), ("00:00", "01:00"));
    assert_eq!(slots(&office, "2026-03-17").await.len(), 0);
    for never in ["'infinity', null", "null, '-infinity'"] {
        work(&office, &format!("(1, 2, '09:00', '17:00', {never})")).await;
        assert_eq!(slots(&office, "2026-03-10").await.len(), 0, "{never}");
    }
}
on_both_databases!(hour_24_ends_the_day_and_infinity_is_unbounded);

async fn an_exception_until_the_end_of_the_day_blocks_the_rest_of_it(office: Office) {
    work(&office, "(1, 2, '09:00', '17:00', null, null)").await;
    office
        .sql(
            "insert into schedule_exceptions (provider_id, exception_date, kind, start_time, end_time) \
        values
                    (1, '2026-03-10', 'off', '12:00', '24:00'), (null, '2026-03-09', 'off', '24:00', \
                    '10:00')",
        )
        .await;
    assert_eq!(ends(&slots(&office, "2026-03-10").await), ("10:00", "11:00"));
    office
        .sql(
            "delete from schedule_exceptions;
                insert into schedule_exceptions (provider_id, exception_date, kind, start_time, end_time) \
                values
                    (1, '2026-03-10', 'custom', '21:00', '24:00')",
        )
        .await;
    assert_eq!(ends(&slots(&office, "2026-03-10").await), ("21:00", "23:00"));
}
on_both_databases!(an_exception_until_the_end_of_the_day_blocks_the_rest_of_it);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_and_dates_are_read_in_every_common_format() {
    let office = Office::open(Engine::Sqlite).await;
    work(&office, "(1, '2', '9:00', '5:00 PM', '2026-3-1', '2026-03-31 00:00:00')").await;
    assert_eq!(ends(&slots(&office, "2026-03-10").await), ("09:00", "16:00"));
    for date in ["2026-3-10", "2026/03/10", "2026-03-10 00:00:00", "2026-03-10T23:59:59Z", "20260310"] {
        office
            .sql(&format!(
                "delete from schedule_exceptions;
             insert into schedule_exceptions (provider_id, exception_date, kind, start_time, end_time)
             values (1, '{date}', 'custom', '1899-12-30 10:00:00', '13:00')"
            ))
            .await;
        assert_eq!(ends(&slots(&office, "2026-03-10").await), ("10:00", "12:00"), "{date}");
        assert_eq!(slots(&office, "2026-03-17").await.len(), 29, "{date}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreadable_exception_closes_its_day_and_bad_hours_are_ignored() {
    let office = Office::open(Engine::Sqlite).await;
    work(
        &office,
        "(1, 2, '09:00', '12:00', null, null), (1, 2, 'noon', '17:00', null, null),
                   (1, 2, '13:00', '17:00', 'soon', null), (1, 2.5, '13:00', '17:00', null, null)",
    )
    .await;
    assert_eq!(ends(&slots(&office, "2026-03-10").await), ("09:00", "11:00"));
    for date in ["2026-03-10 (holiday)", "2026-03-10Z", "2026-03-10x"] {
        office
            .sql(&format!(
                "delete from schedule_exceptions;
                 insert into schedule_exceptions (provider_id, exception_date, kind) values (1, '{date}', \
                 'off')"
            ))
            .await;
        assert_eq!(slots(&office, "2026-03-10").await.len(), 0, "{date}");
    }
    for date in ["2026-02-30", "Mar 17 2026", "46098", "17.03.2026"] {
        for (kind, left) in [("off", 0), ("custom", 9)] {
            let row = format!(
                "delete from schedule_exceptions;
                 insert into schedule_exceptions (provider_id, exception_date, kind, start_time, end_time)
                 values (1, '{date}', '{kind}', '10:00', '11:00')"
            );
            office.sql(&row).await;
            assert_eq!(
                slots(&office, "2026-03-10").await.len(),
                left,
                "nobody knows which day {date} is, {kind}"
            );
        }
    }
    for times in ["'custom', 'noon', '17:00'", "'off', '09:00', x'ff'", "'custom', '10:00', '99:00'"] {
        office
            .sql(&format!(
                "delete from schedule_exceptions;
             insert into schedule_exceptions (provider_id, exception_date, kind, start_time, end_time)
             values (1, '2026-03-10', {times}), (1, 'some day', 'off', '10:00', '11:00')"
            ))
            .await;
        assert_eq!(slots(&office, "2026-03-10").await.len(), 0, "{times}");
        assert_eq!(ends(&slots(&office, "2026-03-17").await), ("09:00", "11:00"), "{times}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tickets_are_ordered_by_time_in_any_notation() {
    let office = Office::open(Engine::Sqlite).await;
    office
        .sql(
            "insert into tickets (ticket_id, subject, created_at, updated_at) values
             (1, 'a', '2026-03-09 10:00:00', 'soon'), (2, 'b', '2026-03-09T09:59:00Z', ''),
             (3, 'c', '2026-03-09T12:30:00+02:00', ''), (4, 'd', '1773050460', ''), (5, 'e', 'infinity', ''),
             (6, 'f', 'now', ''), (7, 'g', '2026-03-09T10:00:30.5Z', ''), (8, 'h', '-infinity', '')",
        )
        .await;
    let reply = office.get("/v1/DemoOffice/tickets").await;
    let ids: Vec<i64> = reply.expect(200)["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["TicketID"].as_i64().unwrap())
        .collect();
    assert_eq!(ids, [5, 3, 4, 7, 1, 2, 8, 6]);
    let filtered = office.get("/v1/DemoOffice/tickets?status=Open&limit=3").await;
    assert_eq!(filtered.expect(200)["data"][2]["TicketID"], 4);
}

async fn a_timestamp_outside_the_calendar_is_returned_as_the_nearest_one(office: Office) {
    office
        .sql("update patients set created_at = 'infinity', updated_at = '-infinity' where patient_id = 1001")
        .await;
    let reply = office.get("/v1/DemoOffice/prospects/1001").await;
    let data = &reply.expect(200)["data"];
    assert_eq!(data["UpdatedAt"], Value::from("0001-01-01T00:00:00Z"));
    assert!(data["CreatedAt"].as_str().unwrap().starts_with("9999-12-30T"), "{data}");
}
on_both_databases!(a_timestamp_outside_the_calendar_is_returned_as_the_nearest_one);
