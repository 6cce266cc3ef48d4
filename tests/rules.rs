//! The contract's rules, each with the tests whose names say it; and those rules that belong to no
//! endpoint group alone.

use std::{fs, path::Path};

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    access_matrix::{Access, operations},
    office::{ADMIN_SECRET, Engine, Office, on_both_databases},
};

/// A rule and the tests that hold it.
const RULES: &[(&str, &[&str])] = &[
    (
        "envelopes of the reference",
        &[
            "every_example_of_the_reference_is_the_descriptions_to_the_letter",
            "every_success_has_an_envelope_of_the_reference",
        ],
    ),
    ("names of fields", &["fields_of_the_emr_are_pascal_case_and_those_of_the_platform_camel_case"]),
    ("quirks kept", &["the_quirks_of_the_reference_are_kept"]),
    (
        "errors are RFC 9457 problems",
        &[
            "a_problem_has_the_members_of_rfc_9457_a_stable_code_and_the_requests_id",
            "every_bad_field_is_named_at_once",
        ],
    ),
    ("201 on create, 200 otherwise", &["a_creation_is_201_and_every_other_success_200"]),
    (
        "400, 413, 415, 422",
        &[
            "a_body_that_is_no_json_object_is_400_and_one_of_another_type_415",
            "a_body_beyond_its_limit_is_413",
            "a_malformed_query_is_400_with_every_parameter_named",
        ],
    ),
    (
        "401 and 403",
        &[
            "exactly_the_documented_credentials_open_each_operation",
            "every_route_of_a_practice_needs_its_scope",
        ],
    ),
    (
        "404 and 405 with Allow",
        &[
            "an_unknown_path_is_404_and_a_wrong_method_405_with_the_right_ones",
            "a_method_that_a_path_does_not_have_is_405_and_allow_names_those_it_has",
        ],
    ),
    (
        "503 with Retry-After when a store is down",
        &[
            "with_the_control_plane_down_every_call_that_needs_it_is_503_with_retry_after",
            "with_the_databases_down_every_call_that_needs_them_is_503_with_retry_after",
        ],
    ),
    ("never a bare 500", &["nothing_that_a_caller_sends_is_answered_500"]),
    (
        "nothing leaks about who exists",
        &[
            "another_practice_looks_exactly_like_one_that_does_not_exist",
            "another_practices_id_and_an_absent_id_get_the_same_answer",
        ],
    ),
    (
        "request ids",
        &[
            "a_request_id_is_the_callers_own_when_it_is_well_formed",
            "every_answer_has_the_callers_request_id_and_may_not_be_stored",
        ],
    ),
    (
        "idempotency",
        &[
            "every_creation_takes_an_idempotency_key",
            "twenty_posts_with_one_key_have_one_effect_and_one_answer",
            "a_key_counts_for_its_api_key_path_and_day_only",
            "a_key_of_other_than_visible_ascii_or_of_a_wrong_length_is_400",
        ],
    ),
    (
        "only successes are kept",
        &["what_failed_is_sent_again_with_the_same_key_and_what_succeeded_a_day_later"],
    ),
    (
        "a booking's record is in the booking's transaction",
        &["a_booking_without_its_idempotency_record_is_no_booking"],
    ),
    (
        "paging",
        &[
            "every_list_that_grows_is_paged_with_a_limit_of_25_and_at_most_100",
            "a_page_says_its_number_its_limit_the_total_and_whether_there_is_more",
        ],
    ),
    (
        "limits of bodies, texts and lists",
        &["every_text_list_and_number_of_a_request_has_a_documented_limit", "a_body_may_have_five_mebibytes"],
    ),
    (
        "unknown fields are named",
        &[
            "a_field_that_a_request_does_not_have_is_named_not_dropped",
            "a_parameter_that_a_list_does_not_have_is_named_not_dropped",
        ],
    ),
    (
        "rate limits",
        &[
            "every_call_with_a_key_tells_what_is_left_of_its_rate",
            "a_key_over_its_limit_is_told_when_to_come_back",
            "a_key_has_prospects_and_600_calls_a_minute_unless_told_otherwise",
        ],
    ),
    (
        "brute force",
        &[
            "a_burst_of_wrong_guesses_gets_no_more_answers_than_the_limit",
            "strangers_cannot_lock_a_partner_out",
        ],
    ),
    ("no-store", &["no_answer_may_be_stored"]),
    (
        "description",
        &[
            "the_committed_description_is_what_the_code_says",
            "the_description_is_served_as_it_is_committed",
            "the_template_routes_exactly_the_documented_endpoints_and_head_wherever_get_is",
        ],
    ),
    ("reserved words", &["a_path_that_begins_with_a_word_of_the_apis_own_is_no_practice"]),
    ("health", &["health_tells_the_version_and_nothing_else"]),
    (
        "readiness",
        &[
            "a_platform_in_order_is_ready_and_every_check_says_what_it_found",
            "readiness_and_alarms_agree_on_what_is_in_order",
            "a_queue_that_never_answers_is_given_up_and_holds_up_no_other_check",
        ],
    ),
    (
        "API keys",
        &[
            "a_key_is_shown_once_and_works_with_exactly_its_scopes",
            "a_key_is_used_only_from_its_networks_and_until_it_expires",
            "a_sandbox_practices_keys_begin_with_op_test",
        ],
    ),
    (
        "tokens",
        &["a_key_is_exchanged_for_a_token_of_the_documented_shape", "ten_thousand_spoilt_tokens_are_all_401"],
    ),
    (
        "revocation within 60 s",
        &["a_revoked_key_is_dead_for_new_tokens_at_once_and_for_live_ones_within_60_seconds"],
    ),
    (
        "access drives delivery",
        &[
            "whatever_ends_access_every_channel_is_silent_a_minute_later",
            "a_delivery_without_access_is_cancelled_with_its_reason_and_goes_on_when_access_returns",
            "what_is_sent_by_hand_without_access_is_refused_with_a_code_and_sends_nothing",
            "a_suspension_ends_sessions_and_claim_links_for_good_and_nothing_else",
            "administrators_list_pause_resume_and_delete_subscriptions",
        ],
    ),
    (
        "scopes",
        &[
            "exactly_the_documented_credentials_open_each_operation",
            "only_events_that_the_key_was_granted_can_be_asked_for",
        ],
    ),
    (
        "admin secret",
        &[
            "two_admin_secrets_are_accepted_while_one_is_changed",
            "a_wrong_admin_secret_is_audited_and_a_missing_one_is_no_attempt",
            "every_read_of_an_administrator_is_audited_before_it_is_answered",
        ],
    ),
    (
        "search of prospects",
        &["a_person_is_found_by_the_start_of_every_word", "a_search_reads_index_ranges_and_no_whole_table"],
    ),
    ("partial PUT", &["an_update_keeps_what_is_absent_and_clears_what_is_null"]),
    ("possible duplicates", &["a_possible_duplicate_is_created_and_the_others_are_named"]),
    ("ETag and If-Match", &["an_update_of_a_state_that_has_passed_is_refused"]),
    (
        "tags",
        &["assigning_a_tag_twice_assigns_it_once", "an_unknown_tag_or_prospect_is_404_and_changes_nothing"],
    ),
    ("one function decides what is free", &["a_start_is_bookable_exactly_when_it_is_offered"]),
    ("clock changes", &["a_time_that_clocks_skip_is_not_offered_and_one_that_comes_twice_is_offered_once"]),
    (
        "exceptions, reasons, horizon",
        &[
            "exceptions_change_a_day_and_the_reason_says_so",
            "next_slot_searches_exactly_the_days_it_was_told_to",
        ],
    ),
    (
        "visit types, rooms, buffers",
        &[
            "a_visit_type_adds_its_buffers_its_providers_and_its_rooms",
            "the_larger_buffer_of_two_neighbors_stays_free_on_both_sides",
            "of_many_bookings_at_once_none_lies_within_anothers_buffers",
            "of_the_free_rooms_the_least_used_one_is_taken",
        ],
    ),
    ("schedule without patients", &["the_schedule_lists_what_blocks_and_no_patient"]),
    (
        "order of a booking's errors",
        &["errors_come_in_their_order", "a_conflict_names_everything_in_the_way_and_nobodys_data"],
    ),
    (
        "no double booking",
        &[
            "one_provider_is_never_booked_twice",
            "one_room_is_never_booked_twice",
            "one_patient_is_never_booked_twice",
            "the_database_itself_refuses_what_another_program_would_double_book",
        ],
    ),
    (
        "cancel and reschedule",
        &[
            "a_visit_is_cancelled_once_and_its_time_is_free_again",
            "a_visit_is_moved_as_a_whole_or_not_at_all_and_is_not_in_its_own_way",
        ],
    ),
    (
        "products",
        &[
            "what_is_right_is_stored_though_others_fail_and_all_their_errors_are_told",
            "a_call_takes_1_to_1000_products_and_1000_cost_as_few_statements_as_one",
            "prices_are_exact_to_the_cent",
            "every_word_must_be_in_a_code_or_the_name",
        ],
    ),
    (
        "problem lists and answers are bounded",
        &[
            "whatever_is_sent_is_answered_with_at_most_a_mebibyte_and_never_with_a_fault",
            "the_longest_query_is_answered_with_at_most_a_mebibyte_and_never_with_a_fault",
            "whatever_is_stored_is_answered_with_at_most_a_mebibyte_and_read_in_bounded_statements",
            "a_ticket_of_very_many_comments_is_read_page_by_page_without_a_gap",
            "administrators_lists_of_ten_thousand_items_are_bounded_and_complete",
            "an_answer_that_passes_every_bound_becomes_a_problem",
        ],
    ),
    (
        "knowledge base",
        &[
            "active_articles_are_listed_in_the_order_of_their_ids",
            "an_update_of_another_state_than_the_one_read_is_refused",
        ],
    ),
    (
        "tickets",
        &[
            "tickets_are_listed_newest_first_and_found_by_status_and_words",
            "an_update_keeps_what_is_absent_clears_what_is_null_and_writes_history",
            "a_comment_needs_a_text_and_its_author_defaults_to_the_partner",
        ],
    ),
    (
        "my information",
        &[
            "a_partner_sees_its_profile_and_its_key_but_no_secret",
            "a_merge_patch_changes_what_it_names_and_clears_what_is_null",
        ],
    ),
    (
        "sign-up",
        &[
            "signing_up_answers_as_documented_and_again_keeps_the_secret",
            "a_refused_url_is_named_and_nothing_is_stored",
            "no_socket_is_opened_to_an_address_that_is_not_public",
        ],
    ),
    (
        "deliveries",
        &[
            "an_event_reaches_the_partner_signed_and_without_patient_data",
            "a_redirect_is_a_failure_and_is_not_followed",
            "gone_disables_the_subscription_and_the_partner_sees_why",
            "a_wait_that_the_endpoint_asks_for_is_granted",
            "a_429_holds_the_endpoint_and_uses_up_no_attempt",
            "a_retry_after_is_read_in_every_form_and_bounded",
        ],
    ),
    (
        "retries",
        &[
            "a_failed_delivery_is_retried_on_schedule_until_it_is_exhausted",
            "a_subscription_that_only_failed_for_five_days_is_disabled",
        ],
    ),
    ("old secrets for 24 h", &["for_a_day_after_a_rotation_both_secrets_sign"]),
    (
        "monitor and retry",
        &[
            "the_monitor_answers_as_documented",
            "an_administrators_retry_sends_the_same_event_again_and_is_audited",
            "what_cannot_be_retried_is_refused_and_sends_nothing",
        ],
    ),
    (
        "portal session",
        &[
            "an_unused_session_ends_after_15_minutes_and_a_used_one_after_8_hours",
            "the_cookie_is_out_of_reach_of_scripts_other_sites_and_other_hosts",
            "a_change_by_cookie_must_come_from_the_portal_and_a_call_without_cookie_need_not",
            "a_wrong_key_is_an_invalid_access_key",
        ],
    ),
    (
        "access requests",
        &[
            "every_field_of_a_request_is_checked_at_once_and_the_answer_is_always_the_same",
            "deciding_twice_is_refused",
            "a_claim_link_is_good_for_72_hours_and_a_wrong_one_never",
            "a_key_claimed_through_its_link_works_with_exactly_the_approved_scopes",
        ],
    ),
    ("rotation with overlap", &["with_an_overlap_the_old_secret_and_its_tokens_live_until_it_has_passed"]),
    (
        "overview",
        &[
            "average_p95_and_days_are_those_of_calls_of_known_durations",
            "calls_of_known_statuses_are_all_in_the_overview",
        ],
    ),
    (
        "activity",
        &[
            "calls_are_recorded_by_template_without_ids_or_queries",
            "every_filter_keeps_what_it_names_and_all_must_hold",
            "calls_are_exported_as_csv_file_by_file",
            "a_warm_authenticated_call_asks_the_store_for_nothing",
        ],
    ),
];

#[test]
fn every_rule_of_the_contract_has_tests_that_exist() {
    let mut sources = String::new();
    for folder in [".", "bounds", "stack", "pipeline", "readiness", "reference", "description"] {
        for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|it| it == "rs") {
                sources += &fs::read_to_string(path).unwrap();
            }
        }
    }
    for (rule, tests) in RULES {
        assert!(!tests.is_empty(), "{rule}");
        for test in *tests {
            assert!(sources.contains(&format!("fn {test}(")), "{rule}: there is no test {test}");
        }
    }
}

#[tokio::test]
async fn a_problem_has_the_members_of_rfc_9457_a_stable_code_and_the_requests_id() {
    let office = Office::open(Engine::Sqlite).await;
    let authorization = format!("Bearer {}", office.token("all").await);
    let path = "/v1/DemoOffice/prospects";
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
        ("x-request-id", "my-call_0001"),
    ];
    let reply = office.call("POST", path, &headers, Some(r#"{"FirstName":7,"Colour":"red"}"#)).await;
    reply.expect_problem(422, "INVALID_FIELDS");
    let members: Vec<&str> = reply.body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["code", "detail", "errors", "instance", "requestId", "status", "title", "type"]);
    assert_eq!(
        (&reply.body["requestId"], reply.header("x-request-id")),
        (&json!("my-call_0001"), "my-call_0001")
    );
    for error in reply.body["errors"].as_array().unwrap() {
        let members: Vec<&str> = error.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["code", "location", "message"], "{error}");
    }
    assert!(
        reply.wrong_fields().contains(&"body.FirstName") && reply.wrong_fields().contains(&"body.Colour")
    );
}

#[tokio::test]
async fn the_quirks_of_the_reference_are_kept() {
    let office = Office::open(Engine::Sqlite).await;
    let body = json!({ "apiKey": office.api_key("all") }).to_string();
    let headers = [("content-type", "application/json")];
    let token = office.call("POST", "/v1/DemoOffice/auth/token", &headers, Some(&body)).await;
    assert_eq!(token.expect(200)["expiresIn"], "24h");
    let next = office.get("/v1/DemoOffice/availability/providers/1/next-slot?duration=30").await;
    assert_eq!(next.expect(200)["data"]["TheNextSlot"]["ProviderID"], "1");
    assert_eq!(next.body["data"]["ProviderID"], 1);
    let ticket = office.post("/v1/DemoOffice/tickets", &json!({ "Subject": "Fax" })).await;
    let id = ticket.expect(201)["data"]["TicketID"].as_i64().unwrap();
    office.get(&format!("/v1/DemoOffice/ticket/{id}")).await.expect(200);
    office.get(&format!("/v1/DemoOffice/tickets/{id}")).await.expect_problem(404, "NOT_FOUND");
}

async fn nothing_that_a_caller_sends_is_answered_500(office: Office) {
    let token = format!("Bearer {}", office.token("all").await);
    let deep = format!("{}1{}", r#"{"a":"#.repeat(5_000), "}".repeat(5_000));
    let bodies = [
        "",
        "null",
        "[]",
        "{",
        "7",
        "{\"\":null}",
        "{\"Notes\":\"\\u0000\"}",
        "{\"Notes\":\"\\ud800\"}",
        &deep,
        r#"{"FirstName":"\u0000","LastName":"\u0000","EMail":"\u0000","tagId":1e400,"Subject":"\u0000","Comment":"\u0000"}"#,
        r#"{"tagId":99999999999999999999,"PatientID":-1,"ProviderID":9223372036854775808,"products":[{"VendorCode":"\u0000"}]}"#,
    ];
    let queries = [
        "",
        "?search=%00",
        "?page=99999999999999999999",
        "?limit=-1&offset=x",
        "?date=0000-00-00&time=99:99",
        "?%00=%ff",
    ];
    let mut calls = Vec::new();
    for operation in operations() {
        let credential = match operation.access {
            Access::Admin => ("x-admin-secret", ADMIN_SECRET),
            _ => ("authorization", token.as_str()),
        };
        let path = operation.filled();
        for body in bodies.iter().filter(|_| operation.body) {
            calls.push((operation.method.clone(), path.clone(), credential, Some(*body)));
        }
        calls.extend(
            queries
                .iter()
                .map(|query| (operation.method.clone(), format!("{path}{query}"), credential, None)),
        );
    }
    assert!(calls.len() > 500, "{}", calls.len());
    for some in calls.chunks(16) {
        let replies = some.iter().map(async |(method, path, credential, body)| {
            let headers = [*credential, ("content-type", "application/json")];
            office.call(method, path, &headers, *body).await
        });
        for (reply, call) in join_all(replies).await.into_iter().zip(some) {
            assert!(reply.status.as_u16() < 500, "{call:?}: {} {}", reply.status, reply.body);
        }
    }
}
on_both_databases!(nothing_that_a_caller_sends_is_answered_500);

async fn a_booking_without_its_idempotency_record_is_no_booking(office: Office) {
    let before = office.integer("select count(*) from visits").await;
    office.sql("alter table idempotency_keys rename to idempotency_keys_gone").await;
    let authorization = format!("Bearer {}", office.token("all").await);
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
        ("idempotency-key", "booking-1"),
    ];
    let visit = json!({
        "PatientID": 1001, "ProviderID": 2, "VisitType": "Consult", "VisitDate": "2026-03-12",
        "VisitTime": "10:00:00", "VisitDuration": 30,
    });
    let path = "/v1/DemoOffice/visits/book";
    let reply = office.call("POST", path, &headers, Some(&visit.to_string())).await;
    assert!(reply.status.is_server_error(), "{}", reply.body);
    assert_eq!(office.integer("select count(*) from visits").await, before);
    office.sql("alter table idempotency_keys_gone rename to idempotency_keys").await;
    office.call("POST", path, &headers, Some(&visit.to_string())).await.expect(201);
}
on_both_databases!(a_booking_without_its_idempotency_record_is_no_booking);

#[tokio::test]
async fn a_page_says_its_number_its_limit_the_total_and_whether_there_is_more() {
    let office = Office::open(Engine::Sqlite).await;
    for number in 0..3 {
        let person = json!({
            "FirstName": "Pat", "LastName": format!("Page{number}"), "Phone": format!("212-555-019{number}"),
        });
        office.post("/v1/DemoOffice/prospects", &person).await.expect(201);
        office
            .post("/v1/DemoOffice/tickets", &json!({ "Subject": format!("Page {number}") }))
            .await
            .expect(201);
        let product = json!({
            "VendorCode": "PAGE", "ProductCode": format!("P{number}"), "Product": "Page", "RetailPrice": 1,
        });
        office.post("/v1/products", &json!({ "products": [product] })).await.expect(200);
    }
    for path in [
        "/v1/DemoOffice/prospects?search=page",
        "/v1/DemoOffice/tickets?search=page",
        "/v1/products?search=page",
    ] {
        for (page, more) in [(1, true), (2, true), (3, false)] {
            let reply = office.get(&format!("{path}&page={page}&limit=1")).await;
            let expected = json!({ "page": page, "limit": 1, "total": 3, "hasMore": more });
            assert_eq!(reply.expect(200)["pagination"], expected, "{path}");
            assert_eq!(reply.body["data"].as_array().map(Vec::len), Some(1), "{path}");
        }
    }
}

#[tokio::test]
async fn a_key_has_prospects_and_600_calls_a_minute_unless_told_otherwise() {
    let office = Office::open(Engine::Sqlite).await;
    let request_body = json!({ "partnerId": "prt_acme", "name": "Plain", "practicepass": "DemoOffice" });
    let key = office.admin("POST", "/v1/admin/keys", Some(&request_body)).await.expect(201)["data"].clone();
    let body = json!({ "apiKey": key["apiKey"] }).to_string();
    let headers = [("content-type", "application/json")];
    let token = office.call("POST", "/v1/DemoOffice/auth/token", &headers, Some(&body)).await;
    let token: &Value = &token.expect(200)["accessToken"];
    let me = office.send(token.as_str().unwrap(), "GET", "/v1/me", None).await;
    let shown = &me.expect(200)["data"]["key"];
    assert_eq!((&shown["scopes"], &shown["rateLimit"]), (&json!(["Prospects"]), &json!(600)));
    assert_eq!(me.header("ratelimit-policy"), "\"calls\";q=600;w=60");
}

async fn a_comment_needs_a_text_and_its_author_defaults_to_the_partner(office: Office) {
    let ticket = office.post("/v1/DemoOffice/tickets", &json!({ "Subject": "Fax" })).await;
    let path = format!("/v1/DemoOffice/tickets/{}/comment", ticket.expect(201)["data"]["TicketID"]);
    for nothing in
        [json!({}), json!({ "Comment": "" }), json!({ "Comment": "   " }), json!({ "Comment": null })]
    {
        let reply = office.post(&path, &nothing).await;
        reply.expect_problem(422, "INVALID_FIELDS");
        assert_eq!(reply.wrong_fields(), ["body.Comment"], "{nothing}");
    }
    let kept = office.post(&path, &json!({ "Comment": "It works again" })).await;
    assert_eq!(kept.expect(201)["data"]["Author"], "Acme Health");
}
on_both_databases!(a_comment_needs_a_text_and_its_author_defaults_to_the_partner);
