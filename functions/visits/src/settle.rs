//! Checks whether a visit can be booked; the problem says why not.

use shared::{
    api::{ApiError, ApiResult, Code, Tenant, scope::Scheduling},
    domain::{
        ids::RoomId,
        schedule::{Refusal, Refused, VisitTypeRules},
    },
    tenant::{
        Conn,
        calendar::{self, Found, Question},
        visits::{RoomSearch, lock_provider_and_patient, of_patient, patient_exists},
    },
};

use crate::{conflict::conflict, wanted::Wanted};

/// Maximum number of rooms to try while other bookings take them: more than any practice has.
const MOST_ROOMS: usize = 100;

/// Like [`settle`], but locks what it finds free until the transaction ends.
///
/// Call it again with the same `rooms` if the visit cannot be written because of its room: the
/// search for a room then continues.
pub(crate) async fn settle_locked(
    conn: &mut Conn,
    tenant: &Tenant<Scheduling>,
    wanted: &Wanted<'_>,
    rooms: &mut RoomSearch,
) -> ApiResult<Option<RoomId>> {
    let (zone, place) = (tenant.db.time_zone(), &wanted.times.place);
    let days = place.dates(zone, 0);
    let with_buffers = place.dates(zone, VisitTypeRules::MAX_BUFFER);
    lock_provider_and_patient(conn, (wanted.provider, &with_buffers), (wanted.patient, &days)).await?;
    for _ in 0..MOST_ROOMS {
        let Some(room) = settle(conn, tenant, wanted, rooms.held()).await? else { return Ok(None) };
        if rooms.lock(conn, room, &days, place.visit, wanted.except).await? {
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
pub(crate) async fn settle(
    conn: &mut Conn,
    tenant: &Tenant<Scheduling>,
    wanted: &Wanted<'_>,
    avoided: &[RoomId],
) -> ApiResult<Option<RoomId>> {
    let place = &wanted.times.place;
    if !patient_exists(conn, wanted.patient).await? {
        return Err(ApiError::new(Code::PatientNotFound, "The practice has no patient with this PatientID."));
    }
    let question = Question {
        provider: wanted.provider,
        visit_type: Some(wanted.visit_type),
        dates: (place.date, place.date),
        now: tenant.now,
        except: wanted.except,
    };
    let calendar = match calendar::read(conn, tenant.db.time_zone(), &question).await? {
        Found::Calendar(calendar) => calendar,
        Found::NoProvider => {
            let detail = "The practice has no active provider with this ProviderID.";
            return Err(ApiError::new(Code::ProviderNotFound, detail));
        }
        Found::NoVisitType => {
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
    let patient_busy = of_patient(conn, wanted.patient, place.visit, wanted.except).await?;
    match decision {
        Ok(room) if patient_busy.is_empty() => Ok(room),
        decision => Err(conflict(tenant.db.time_zone(), &decision.err().unwrap_or_default(), &patient_busy)),
    }
}

/// Returns the problem that the request has whatever else is booked, if any.
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
