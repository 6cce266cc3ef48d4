//! Handles `POST /v1/{PPass}/prospects`.

use axum::{
    http::{
        StatusCode,
        header::{ETAG, LOCATION},
    },
    response::{IntoResponse, Response},
};
use serde::Serialize;
use shared::{
    api::{ApiError, ApiResult, JsonAnswer, Once, PracticePath, Problem, Tenant, etag, scope},
    create_once,
    domain::ids::{IntegerId, PatientId},
    sql::audit,
    tenant::{
        log,
        patients::{self, PatientDetails},
        unindexed_patients,
    },
};
use utoipa::ToSchema;

use crate::{
    draft::{CreateProspect, Draft},
    record::Prospect,
};

/// The prospect that was created.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedProspect {
    #[schema(value_type = String)]
    message: &'static str,
    data: Prospect,
    /// Existing records that may be the same person, at most 50. Omitted if there are none.
    ///
    /// They have the same e-mail address or phone number, or the same name and date of birth.
    /// Nothing is merged.
    #[serde(rename = "possibleDuplicates", skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    possible_duplicates: Vec<PatientId>,
}

/// Create a new prospect.
///
/// A possible duplicate is still created; `possibleDuplicates` lists the records it resembles.
#[utoipa::path(
    post,
    path = "/v1/{PPass}/prospects",
    tag = "Prospects",
    params(
        PracticePath,
        (
            "Idempotency-Key" = Option<String>, Header,
            description = "1 to 255 visible ASCII characters. For 24 hours, a retry with the same key \
                returns the first successful response."
        ),
    ),
    request_body = CreateProspect,
    responses(
        (
            status = 201,
            body = CreatedProspect,
            headers(
                ("ETag" = String, description = "Entity tag of the new prospect."),
                ("Location" = String, description = "Path of the new prospect."),
            ),
        ),
        (status = 409, body = Problem, description = "`IDEMPOTENCY_IN_PROGRESS`"),
        (status = 422, body = Problem,
            description = "`INVALID_FIELDS`, `REFUSED_BY_EMR`, `IDEMPOTENCY_KEY_REUSED`"),
    ),
)]
pub(crate) async fn create_prospect(
    tenant: Tenant<scope::Prospects>,
    Once { body: draft, key }: Once<Draft<CreateProspect>>,
) -> ApiResult<Response> {
    let today = tenant.now.to_zoned(tenant.db.time_zone().clone()).date();
    let image_refused = draft.image_refused(&tenant.app.hooks).await;
    unindexed_patients::index_before_search(&tenant.db).await;
    let answer = create_once!(
        tenant,
        key,
        ("prospects.replay", "patient", |answer| answer.id("PatientID")),
        |conn| {
            let details =
                PatientDetails::from(draft.clone().check(conn, today, None, image_refused.as_deref()).await?);
            let possible_duplicates = patients::possible_duplicates(conn, &details).await?;
            let id = patients::insert(conn, &details, tenant.now).await?;
            log::append(conn, "patients", "insert", id.get(), tenant.now, Some(&tenant.request_id)).await?;
            audit::record(conn, &tenant.audit("prospects.create", "patient", &[id.get()])).await?;
            let patient = patients::find(conn, id).await?.ok_or_else(ApiError::not_found)?;
            let data = Prospect::of(conn, patient).await?;
            let created =
                CreatedProspect { message: "Prospect created successfully", data, possible_duplicates };
            JsonAnswer::new(StatusCode::CREATED, &created)
        }
    )?;
    Ok(located(&tenant, answer))
}

/// Adds the `Location` and `ETag` of the prospect in `answer`, which may be a stored response.
fn located(tenant: &Tenant<scope::Prospects>, answer: JsonAnswer) -> Response {
    let data = answer.data();
    let location = format!("/v1/{}/prospects/{}", tenant.db.practicepass(), data["PatientID"]);
    ([(LOCATION, location), (ETAG, etag(&data))], answer).into_response()
}
