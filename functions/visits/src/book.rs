//! Handles `POST /v1/{PPass}/visits/book`.

use axum::{
    http::{StatusCode, header::LOCATION},
    response::IntoResponse,
};
use jiff::civil::{Date, Time};
use shared::{
    api::{
        ApiError, ApiResult, JsonAnswer, LocalTime, Message, Once, PracticePath, Problem, Tenant,
        scope::Scheduling,
    },
    body, create_once,
    domain::{
        ids::{PatientId, ProviderId},
        schedule::Minutes,
    },
    listed_text,
    sql::audit,
    tenant::{log, visit_types, visits},
    text_field,
};

use crate::{
    check_bookable::{check_bookable, check_bookable_locked},
    conflict::refused_by_database,
    reply::BookedVisit,
    request::{Times, VisitRequest},
};

listed_text! {
    /// The name of a visit type, as `GET /v1/{PPass}/visit-types` returns it.
    VisitTypeName
}
text_field! {
    /// The patient's reason for the visit.
    lines Complaint, 1, 1000
}
text_field! {
    /// Notes about the visit.
    lines Notes, 1, 4000
}

body! {
    /// A visit to book.
    pub(crate) struct BookVisit {
        #[schema(example = 1001)]
        "PatientID" => patient_id: PatientId,
        #[schema(example = 2)]
        "ProviderID" => provider_id: ProviderId,
        /// A visit type that `GET /v1/{PPass}/visit-types` returns.
        #[schema(example = "Consult")]
        "VisitType" => visit_type: VisitTypeName,
        /// Local date.
        #[schema(example = "2026-03-12")]
        "VisitDate" => date: Date,
        /// Local time, `HH:MM` or `HH:MM:SS`. If the clocks repeat it, the first one counts.
        #[schema(value_type = LocalTime, example = "10:00:00")]
        "VisitTime" => time: Time,
        /// Duration in minutes, 1 to 1440.
        "VisitDuration" => duration: Minutes,
        "VisitComplaint" => complaint: Option<Complaint>,
        /// Local start of the provider's part. Defaults to `VisitTime`.
        #[schema(value_type = Option<LocalTime>, example = "10:00:00")]
        "ProviderTime" => provider_time: Option<Time>,
        /// Duration of the provider's part in minutes. Defaults to `VisitDuration`.
        "ProviderDuration" => provider_duration: Option<Minutes>,
        "VisitNotes" => notes: Option<Notes>,
    }
}

/// Book a visit in the tenant Visits table with provider and resource availability checks.
///
/// The provider must be free for their part of the visit. The patient and, if the visit type needs
/// one, a room must be free for the whole visit. Between two neighboring visits of a provider, the
/// larger of the earlier one's buffer after and the later one's buffer before stays free. Of the
/// free rooms, the one with the fewest visits that day is booked.
///
/// Send an `Idempotency-Key` so that a retried request books only once.
#[utoipa::path(
    post,
    path = "/v1/{PPass}/visits/book",
    tag = "Visit Scheduling",
    params(
        PracticePath,
        (
            "Idempotency-Key" = Option<String>, Header,
            description = "1 to 255 visible ASCII characters. For 24 hours, a retry with the same key \
                returns the first successful response."
        ),
    ),
    request_body = BookVisit,
    responses(
        (
            status = 201,
            body = Message<BookedVisit>,
            headers(("Location" = String, description = "Path of the new visit.")),
        ),
        (status = 404, body = Problem, description = "`PATIENT_NOT_FOUND`, `PROVIDER_NOT_FOUND`"),
        (
            status = 409,
            body = Problem,
            description = "`OUTSIDE_HOURS`, `PROVIDER_CONFLICT`, `RESOURCE_CONFLICT`, `PATIENT_CONFLICT`. \
                The member `conflicts` lists each one with the blocking times: `[{code, blocking: [{from, \
                to}]}]`."
        ),
        (
            status = 422,
            body = Problem,
            description = "`INVALID_FIELDS`, `VISIT_TYPE_UNKNOWN`, `VISIT_TYPE_INACTIVE`, \
                `PROVIDER_NOT_ALLOWED`, `REFUSED_BY_EMR`, `NONEXISTENT_LOCAL_TIME`, `IN_PAST`, \
                `BEYOND_HORIZON`, `IDEMPOTENCY_KEY_REUSED`"
        ),
    ),
)]
pub(crate) async fn book_visit(
    tenant: Tenant<Scheduling>,
    Once { body, key }: Once<BookVisit>,
) -> ApiResult<impl IntoResponse> {
    let visit_type = visit_types::stored_name(&tenant.db, &body.visit_type.0).await?;
    let request = request(&tenant, &body, &visit_type)?;
    // Reject early, before waiting for other writers. A request with a key may be a retry: it must
    // find its response.
    if tenant.db.has_one_writer() && key.of(&tenant.caller).is_none() {
        check_bookable(&mut tenant.db.connection().await?, &tenant, &request, &[]).await?;
    }
    let answer =
        create_once!(tenant, key, ("visits.replay", "visit", |answer| answer.id("VisitID")), |conn| {
            let mut rooms = visits::RoomSearch::default();
            let (id, appointment) = loop {
                let room = check_bookable_locked(conn, &tenant, &request, &mut rooms).await?;
                let appointment = request.times.with(request.provider, room);
                let visit = visits::NewVisit {
                    patient: body.patient_id,
                    visit_type: request.visit_type,
                    complaint: body.complaint.as_ref().map(|it| it.0.as_str()),
                    notes: body.notes.as_ref().map(|it| it.0.as_str()),
                    appointment,
                    at: tenant.now,
                };
                match visits::insert(conn, &visit).await {
                    Ok(id) => break (id, appointment),
                    Err(error) if rooms.leave(conn, room, &error).await? => (),
                    Err(error) => return Err(refused_by_database(error)),
                }
            };
            log::append(conn, "visits", "insert", id.0, tenant.now, Some(&tenant.request_id)).await?;
            audit::record(conn, &tenant.audit("visits.book", "visit", &[id.0])).await?;
            let data = BookedVisit::new(id, body.patient_id, visit_type.clone(), &appointment);
            JsonAnswer::new(StatusCode::CREATED, &Message { message: "Visit booked successfully", data })
        })?;
    let location = format!("/v1/{}/visits/{}", tenant.db.practicepass(), answer.data()["VisitID"]);
    Ok(([(LOCATION, location)], answer))
}

fn request<'a>(
    tenant: &Tenant<Scheduling>,
    body: &BookVisit,
    visit_type: &'a str,
) -> Result<VisitRequest<'a>, ApiError> {
    let times = Times::new(
        tenant.db.time_zone(),
        body.date,
        (body.time, body.duration),
        (body.provider_time, body.provider_duration),
    )?;
    Ok(VisitRequest { patient: body.patient_id, provider: body.provider_id, visit_type, times, except: None })
}
