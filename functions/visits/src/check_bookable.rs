//! Checks whether a visit can be booked; the problem says why not.

use shared::{
    api::{ApiError, ApiResult, Code, Tenant, scope::Scheduling},
    domain::{
        ids::RoomId,
        schedule::{Refusal, Refused, VisitTypeRules},
    },
    sql::Conn,
    tenant::{
        calendar::{self, AvailabilityQuery, CalendarLookup},
        visits::{
            RoomSearch, lock_provider_and_patient, of_patient, patient_exists, try_lock_provider_and_patient,
        },
    },
};

use crate::{conflict::conflict, request::VisitRequest};

/// Maximum number of rooms to try while other bookings take them: more than any practice has.
const MOST_ROOMS: usize = 100;

/// Like [`check_bookable`], but locks what it finds free until the transaction ends.
///
/// Call it again with the same `rooms` if the visit cannot be written because of its room: the
/// search for a room then continues.
pub(crate) async fn check_bookable_locked(
    conn: &mut Conn,
    tenant: &Tenant<Scheduling>,
    request: &VisitRequest<'_>,
    rooms: &mut RoomSearch,
) -> ApiResult<Option<RoomId>> {
    let (zone, place) = (tenant.db.time_zone(), &request.times.place);
    let days = place.dates(zone, 0);
    let with_buffers = place.dates(zone, VisitTypeRules::MAX_BUFFER);
    let (provider, patient) = ((request.provider, &*with_buffers), (request.patient, &*days));
    if !try_lock_provider_and_patient(conn, provider, patient).await? {
        // Reject early, before waiting for the locks.
        check_bookable(conn, tenant, request, rooms.held()).await?;
        lock_provider_and_patient(conn, provider, patient).await?;
    }
    for _ in 0..MOST_ROOMS {
        let Some(room) = check_bookable(conn, tenant, request, rooms.held()).await? else { return Ok(None) };
        if rooms.lock(conn, room, &days, place.visit, request.except).await? {
            return Ok(Some(room));
        }
    }
    Err(ApiError::new(Code::ConcurrentChange, "Other bookings took all free rooms. Try again."))
}

/// Returns the room for the visit, or `None` if it needs no room.
///
/// Chooses an `avoided` room only if no other is free.
///
/// # Errors
/// In this order: 404 for the patient, 404 for the provider, 422 for the visit type and the time,
/// 409 with every conflict.
pub(crate) async fn check_bookable(
    conn: &mut Conn,
    tenant: &Tenant<Scheduling>,
    request: &VisitRequest<'_>,
    avoided: &[RoomId],
) -> ApiResult<Option<RoomId>> {
    let place = &request.times.place;
    if !patient_exists(conn, request.patient).await? {
        return Err(ApiError::new(Code::PatientNotFound, "The practice has no patient with this PatientID."));
    }
    let query = AvailabilityQuery {
        provider: request.provider,
        visit_type: Some(request.visit_type),
        dates: (place.date, place.date),
        now: tenant.now,
        except: request.except,
    };
    let calendar = match calendar::read(conn, tenant.db.time_zone(), &query).await? {
        CalendarLookup::Calendar(calendar) => calendar,
        CalendarLookup::NoProvider => {
            let detail = "The practice has no active provider with this ProviderID.";
            return Err(ApiError::new(Code::ProviderNotFound, detail));
        }
        CalendarLookup::NoVisitType => {
            return Err(ApiError::new(
                Code::VisitTypeUnknown,
                "The practice has no visit type with this name.",
            ));
        }
    };
    let decision = calendar.decide(place, avoided);
    if let Some(error) = decision.as_ref().err().and_then(|refused| impossible(refused)) {
        return Err(error);
    }
    let patient_busy = of_patient(conn, request.patient, place.visit, request.except).await?;
    match decision {
        Ok(room) if patient_busy.is_empty() => Ok(room),
        decision => Err(conflict(tenant.db.time_zone(), &decision.err().unwrap_or_default(), &patient_busy)),
    }
}

/// Returns the problem that the request has regardless of other bookings, if any.
fn impossible(refused: &[Refused]) -> Option<ApiError> {
    refused.iter().find_map(|it| {
        let (code, detail) = match it.refusal {
            Refusal::VisitTypeInactive => {
                (Code::VisitTypeInactive, "Visits of this type can no longer be booked.")
            }
            Refusal::ProviderNotAllowed => (
                Code::ProviderNotAllowed,
                "See GET visit-types for the providers who take visits of this type.",
            ),
            Refusal::SkippedTime => {
                (Code::NonexistentLocalTime, "The clocks skip this local time on this date.")
            }
            Refusal::Past => (Code::InPast, "The visit would start in the past."),
            Refusal::BeyondHorizon => {
                (Code::BeyondHorizon, "The practice does not take bookings this far ahead.")
            }
            Refusal::OutsideHours | Refusal::TimeOff | Refusal::Booked | Refusal::NoResource => return None,
        };
        Some(ApiError::new(code, detail))
    })
}
