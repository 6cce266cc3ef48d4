//! The contract's rules, each with the tests that enforce it, and the tests of rules that belong to
//! no single endpoint group.

use std::{fs, path::Path};

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    access_matrix::{Access, operations},
    office::{ADMIN_SECRET, Engine, Office, on_both_databases},
};

/// A rule and the tests that enforce it.
const RULES: &[(&str, &[&str])] = &[
    (
        "envelopes of the reference",
        &[
            "every_reference_example_equals_the_one_in_the_description",
            "every_success_has_an_envelope_from_the_reference",
        ],
    ),
    ("names of fields", &["emr_fields_are_pascal_case_and_platform_fields_camel_case"]),
    ("quirks kept", &["the_quirks_of_the_reference_are_preserved"]),
    (
        "errors are RFC 9457 problems",
        &["a_problem_has_the_members_of_rfc_9457_a_code_and_the_request_id", "every_invalid_field_is_named"],
    ),
    ("201 on create, 200 otherwise", &["a_creation_returns_201_and_every_other_success_200"]),
    (
        "400, 413, 415, 422",
        &[
            "a_body_that_is_not_a_json_object_returns_400_and_another_type_415",
            "a_body_over_its_limit_returns_413",
            "a_malformed_query_returns_400_and_names_every_parameter",
        ],
    ),
    (
        "401 and 403",
        &[
            "each_operation_accepts_exactly_its_documented_credentials",
            "every_route_of_a_practice_needs_its_scope",
        ],
    ),
    (
        "404 and 405 with Allow",
        &[
            "an_unknown_path_returns_404_and_a_wrong_method_405_with_allow",
            "an_unsupported_method_returns_405_and_allow_lists_the_others",
        ],
    ),
    (
        "503 with Retry-After when a store is down",
        &[
            "calls_return_503_with_retry_after_while_the_control_plane_is_down",
            "calls_return_503_with_retry_after_while_their_database_is_down",
        ],
    ),
    ("never a bare 500", &["no_request_returns_500"]),
    (
        "nothing leaks about who exists",
        &[
            "another_practice_looks_like_a_nonexistent_one",
            "an_id_of_another_practice_looks_like_a_nonexistent_id",
        ],
    ),
    (
        "request ids",
        &[
            "a_well_formed_request_id_of_the_caller_is_used",
            "every_response_has_the_request_id_and_only_descriptions_are_cacheable",
        ],
    ),
    (
        "idempotency",
        &[
            "every_creation_accepts_an_idempotency_key",
            "twenty_posts_with_one_key_have_one_effect_and_one_reply",
            "an_idempotency_key_is_limited_to_its_api_key_path_and_day",
            "an_idempotency_key_must_be_visible_ascii_of_a_valid_length",
        ],
    ),
    ("only successes are kept", &["a_failed_retry_can_be_repeated_with_the_same_idempotency_key"]),
    (
        "a booking's record is in the booking's transaction",
        &["a_booking_and_its_idempotency_record_are_atomic"],
    ),
    (
        "paging",
        &[
            "every_growing_list_is_paged_with_a_default_of_25_and_at_most_100",
            "a_page_returns_its_number_limit_total_and_has_more",
        ],
    ),
    (
        "limits of bodies, texts and lists",
        &["every_text_list_and_number_in_a_request_has_a_documented_limit", "a_body_may_be_five_mebibytes"],
    ),
    (
        "unknown fields are named",
        &["an_unknown_field_is_named_and_not_ignored", "an_unknown_list_parameter_is_named_and_not_ignored"],
    ),
    (
        "rate limits",
        &[
            "every_call_with_a_key_returns_its_remaining_rate",
            "a_key_over_its_limit_gets_retry_after",
            "a_key_defaults_to_prospects_and_600_calls_a_minute",
        ],
    ),
    (
        "brute force",
        &[
            "a_burst_of_wrong_guesses_gets_at_most_the_limit_of_replies",
            "attackers_cannot_lock_out_a_partner",
        ],
    ),
    ("no-store", &["responses_are_never_cacheable"]),
    (
        "description",
        &[
            "the_committed_openapi_file_matches_the_code",
            "the_committed_openapi_file_is_served_unchanged",
            "the_template_routes_exactly_the_documented_endpoints_and_head",
        ],
    ),
    ("reserved words", &["a_path_that_begins_with_a_reserved_word_is_not_a_practice"]),
    ("health", &["health_returns_only_the_version"]),
    (
        "readiness",
        &[
            "a_healthy_platform_is_ready_and_every_check_reports_a_finding",
            "readiness_and_alarms_use_the_same_thresholds",
            "a_hanging_queue_times_out_and_delays_no_other_check",
        ],
    ),
    (
        "API keys",
        &[
            "a_key_is_shown_once_and_works_with_exactly_its_scopes",
            "a_key_works_only_from_its_networks_and_until_it_expires",
            "keys_of_a_sandbox_practice_begin_with_op_test",
        ],
    ),
    (
        "tokens",
        &[
            "a_key_is_exchanged_for_a_token_with_the_documented_shape",
            "ten_thousand_altered_tokens_all_return_401",
        ],
    ),
    ("revocation within 60 s", &["a_revoked_key_gets_no_tokens_and_loses_live_ones_within_60_seconds"]),
    (
        "access drives delivery",
        &[
            "every_channel_is_closed_a_minute_after_access_ends",
            "a_delivery_without_access_is_withheld_and_resumes_with_access",
            "a_manual_send_without_access_is_rejected_with_a_code",
            "a_suspension_permanently_ends_only_sessions_and_claim_links",
            "administrators_can_list_pause_resume_and_delete_subscriptions",
        ],
    ),
    (
        "scopes",
        &[
            "each_operation_accepts_exactly_its_documented_credentials",
            "a_sign_up_may_request_only_granted_event_scopes",
        ],
    ),
    (
        "admin secret",
        &[
            "two_admin_secrets_are_accepted_during_a_rotation",
            "a_wrong_admin_secret_is_audited_but_a_missing_one_is_not",
            "every_admin_read_is_audited_before_the_reply",
        ],
    ),
    (
        "search of prospects",
        &["a_person_is_found_by_the_beginning_of_every_word", "a_search_reads_index_ranges_only"],
    ),
    ("partial PUT", &["an_update_keeps_absent_fields_and_clears_null_fields"]),
    ("possible duplicates", &["a_possible_duplicate_is_created_and_the_matches_are_named"]),
    ("ETag and If-Match", &["an_update_with_a_stale_etag_is_rejected"]),
    (
        "tags",
        &[
            "a_tag_assigned_twice_is_stored_once",
            "an_unknown_tag_or_prospect_returns_404_and_changes_nothing",
        ],
    ),
    ("one function decides what is free", &["a_start_is_bookable_if_and_only_if_it_is_offered"]),
    ("clock changes", &["a_skipped_time_is_not_offered_and_a_repeated_one_is_offered_once"]),
    (
        "exceptions, reasons, horizon",
        &[
            "an_exception_changes_a_day_and_is_given_as_the_reason",
            "next_slot_searches_exactly_the_requested_days",
        ],
    ),
    (
        "visit types, rooms, buffers",
        &[
            "a_visit_type_applies_its_buffers_providers_and_rooms",
            "the_larger_buffer_of_two_neighbors_applies_on_both_sides",
            "concurrent_bookings_respect_the_buffers_of_each_other",
            "the_least_used_free_room_is_assigned",
        ],
    ),
    ("schedule without patients", &["the_schedule_lists_busy_times_without_patients"]),
    (
        "order of a booking's errors",
        &[
            "errors_are_reported_in_the_documented_order",
            "a_conflict_names_every_obstacle_without_patient_data",
        ],
    ),
    (
        "no double booking",
        &[
            "a_provider_is_never_double_booked",
            "a_room_is_never_double_booked",
            "a_patient_is_never_double_booked",
            "the_database_rejects_a_double_booking_by_another_program",
        ],
    ),
    (
        "cancel and reschedule",
        &[
            "a_cancelled_visit_frees_its_time_once",
            "a_visit_moves_atomically_and_does_not_conflict_with_itself",
        ],
    ),
    (
        "products",
        &[
            "valid_items_are_stored_and_all_errors_of_the_others_reported",
            "a_call_accepts_1_to_1000_products_at_a_constant_statement_count",
            "prices_are_exact_to_the_cent",
            "every_search_word_must_match_a_code_or_the_name",
        ],
    ),
    (
        "problem lists and answers are bounded",
        &[
            "any_request_gets_at_most_a_mebibyte_and_never_a_500",
            "the_longest_query_gets_at_most_a_mebibyte_and_never_a_500",
            "stored_data_of_any_size_gets_bounded_replies_and_statements",
            "the_pages_of_a_long_ticket_have_no_gaps",
            "admin_lists_of_ten_thousand_items_are_bounded_and_complete",
            "a_reply_over_every_limit_becomes_a_problem",
        ],
    ),
    ("knowledge base", &["active_articles_are_listed_by_id", "an_update_of_a_changed_ticket_is_rejected"]),
    (
        "tickets",
        &[
            "tickets_are_listed_newest_first_and_filtered_by_status_and_words",
            "an_update_keeps_absent_fields_clears_null_fields_and_writes_history",
            "a_comment_requires_a_text_and_its_author_defaults_to_the_partner",
        ],
    ),
    (
        "my information",
        &[
            "a_partner_reads_its_profile_and_key_but_no_secret",
            "a_merge_patch_changes_named_fields_and_clears_null_fields",
        ],
    ),
    (
        "sign-up",
        &[
            "a_sign_up_responds_as_documented_and_a_repeat_keeps_the_secret",
            "a_rejected_url_is_named_and_nothing_is_stored",
            "connections_to_addresses_that_are_not_public_are_never_opened",
        ],
    ),
    (
        "deliveries",
        &[
            "an_event_reaches_the_partner_signed_and_without_patient_data",
            "a_redirect_is_a_failure",
            "a_410_disables_the_subscription_and_the_partner_sees_why",
            "a_wait_that_the_endpoint_requests_is_respected",
            "a_429_pauses_the_endpoint_and_uses_no_attempt",
            "retry_after_is_accepted_in_every_form_and_capped",
        ],
    ),
    (
        "retries",
        &[
            "a_failed_delivery_is_retried_on_schedule_until_it_is_exhausted",
            "a_subscription_that_fails_for_five_days_is_disabled",
        ],
    ),
    ("old secrets for 24 h", &["both_secrets_sign_for_a_day_after_a_rotation"]),
    (
        "monitor and retry",
        &[
            "the_monitor_responds_as_documented",
            "an_admin_retry_resends_the_same_event_and_is_audited",
            "a_delivery_that_cannot_be_retried_is_rejected",
        ],
    ),
    (
        "portal session",
        &[
            "an_idle_session_ends_after_15_minutes_and_an_active_one_after_8_hours",
            "the_cookie_is_inaccessible_to_scripts_other_sites_and_other_hosts",
            "a_change_with_a_cookie_must_come_from_the_portal",
            "a_wrong_key_is_an_invalid_access_key",
        ],
    ),
    (
        "access requests",
        &[
            "all_fields_of_a_request_are_checked_and_the_reply_reveals_nothing",
            "a_second_decision_is_rejected",
            "a_claim_link_is_valid_for_72_hours_and_a_wrong_one_never",
            "a_claimed_key_has_exactly_the_approved_scopes",
        ],
    ),
    ("rotation with overlap", &["the_old_secret_and_its_tokens_are_valid_until_the_overlap_ends"]),
    (
        "overview",
        &["average_p95_and_days_match_calls_of_known_durations", "the_overview_counts_every_call_by_status"],
    ),
    (
        "activity",
        &[
            "calls_are_recorded_by_path_template_without_ids_or_queries",
            "filters_match_their_values_and_are_combined",
            "calls_are_exported_as_a_series_of_csv_files",
            "a_warm_authenticated_call_makes_no_store_request",
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
async fn a_problem_has_the_members_of_rfc_9457_a_code_and_the_request_id() {
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
    assert_eq!(reply.body["type"], "/docs/errors.html#INVALID_FIELDS");
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
async fn the_quirks_of_the_reference_are_preserved() {
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

async fn no_request_returns_500(office: Office) {
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
on_both_databases!(no_request_returns_500);

async fn a_booking_and_its_idempotency_record_are_atomic(office: Office) {
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
on_both_databases!(a_booking_and_its_idempotency_record_are_atomic);

#[tokio::test]
async fn a_page_returns_its_number_limit_total_and_has_more() {
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
async fn a_key_defaults_to_prospects_and_600_calls_a_minute() {
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

async fn a_comment_requires_a_text_and_its_author_defaults_to_the_partner(office: Office) {
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
on_both_databases!(a_comment_requires_a_text_and_its_author_defaults_to_the_partner);
