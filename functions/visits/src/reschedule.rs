//! Handles `POST /v1/{PPass}/visits/{id}/reschedule`.

use jiff::civil::{Date, Time};
use shared::{
    api::{
        ApiError, ApiResult, Body, LocalTime, Message, PathId, PracticePath, Problem, Tenant,
        scope::Scheduling,
    },
    body,
    domain::{
        ids::{ProviderId, VisitId},
        schedule::Minutes,
    },
    in_transaction,
    sql::audit,
    tenant::{bridge, log, visits},
};

use crate::{
    cancel::not_open,
    check_bookable::check_bookable_locked,
    conflict::refused_by_database,
    reply::VisitBody,
    request::{Times, VisitRequest},
};

body! {
    /// The new time and provider of a visit.
    pub(crate) struct RescheduleVisit {
        /// Local date.
        #[schema(example = "2026-03-13")]
        "VisitDate" => date: Date,
        /// Local time, `HH:MM` or `HH:MM:SS`. If the clocks repeat it, the first one counts.
        #[schema(value_type = LocalTime, example = "11:00:00")]
        "VisitTime" => time: Time,
        /// Duration in minutes, 1 to 1440. Defaults to the current one.
        "VisitDuration" => duration: Option<Minutes>,
        /// Defaults to the current provider.
        "ProviderID" => provider_id: Option<ProviderId>,
        /// Local start of the provider's part. By default, it keeps its distance from the start of
        /// the visit; with `VisitDuration` or `ProviderDuration`, it defaults to `VisitTime`.
        #[schema(value_type = Option<LocalTime>, example = "11:00:00")]
        "ProviderTime" => provider_time: Option<Time>,
        /// Duration of the provider's part in minutes. Defaults to the current one; with
        /// `VisitDuration` or `ProviderTime`, to the duration of the visit.
        "ProviderDuration" => provider_duration: Option<Minutes>,
    }
}

/// Move a visit to another time or provider.
///
/// The checks are those of booking, except that the visit does not conflict with itself. A room is
/// chosen again. If a check fails, the visit does not change. Only a visit that is `Scheduled` or
/// `Confirmed` can be moved.
#[utoipa::path(
    post,
    path = "/v1/{PPass}/visits/{id}/reschedule",
    tag = "Visit Scheduling",
    params(PracticePath, ("id" = VisitId, Path, description = "The visit's id")),
    request_body = RescheduleVisit,
    responses(
        (status = 200, body = Message<VisitBody>),
        (status = 404, body = Problem, description = "`NOT_FOUND`, `PROVIDER_NOT_FOUND`"),
        (status = 409, body = Problem,
            description = "`VISIT_NOT_OPEN`, or a booking conflict with `conflicts`"),
        (status = 422, body = Problem,
            description = "`INVALID_FIELDS`, `PROVIDER_NOT_ALLOWED`, `VISIT_TYPE_INACTIVE`, \
                `REFUSED_BY_EMR`, `NONEXISTENT_LOCAL_TIME`, `IN_PAST`, `BEYOND_HORIZON`"),
    ),
)]
pub(crate) async fn reschedule_visit(
    tenant: Tenant<Scheduling>,
    PathId(id): PathId<VisitId>,
    Body(body): Body<RescheduleVisit>,
) -> ApiResult<Message<VisitBody>> {
    let visit = in_transaction!(tenant.db, ApiError, |conn| {
        visits::lock_visit(conn, id).await?;
        bridge::refresh(&tenant.db, conn, bridge::EmrRow::Visit(id)).await?;
        let visit = visits::find(conn, id).await?.ok_or_else(ApiError::not_found)?;
        if !visit.status.open() {
            return Err(not_open(&visit));
        }
        let request = request(&tenant, &visit, &body)?;
        let mut rooms = visits::RoomSearch::default();
        let moved = loop {
            let room = check_bookable_locked(conn, &tenant, &request, &mut rooms).await?;
            let appointment = request.times.with(request.provider, room);
            match visits::reschedule(conn, id, &appointment, tenant.now).await {
                Ok(moved) => break moved,
                Err(error) if rooms.leave(conn, room, &error).await? => (),
                Err(error) => return Err(refused_by_database(error)),
            }
        };
        let visit = visits::find(conn, id).await?.ok_or_else(ApiError::not_found)?;
        if !moved {
            return Err(not_open(&visit));
        }
        log::append(conn, "visits", "update", id.0, tenant.now, Some(&tenant.request_id)).await?;
        audit::record(conn, &tenant.audit("visits.reschedule", "visit", &[id.0])).await?;
        Ok(visit)
    })?;
    Ok(Message { message: "Visit rescheduled successfully", data: visit.into() })
}

fn request<'a>(
    tenant: &Tenant<Scheduling>,
    visit: &'a visits::Visit,
    body: &RescheduleVisit,
) -> Result<VisitRequest<'a>, ApiError> {
    let zone = tenant.db.time_zone();
    let times = match (body.duration, body.provider_time, body.provider_duration) {
        (None, None, None) => Times::moved(zone, visit, body.date, body.time),
        (duration, provider_time, provider_duration) => {
            let duration = duration.unwrap_or(visit.duration);
            Times::new(zone, body.date, (body.time, duration), (provider_time, provider_duration))?
        }
    };
    Ok(VisitRequest {
        patient: visit.patient,
        provider: body.provider_id.unwrap_or(visit.provider),
        visit_type: &visit.visit_type,
        times,
        except: Some(visit.id),
    })
}
