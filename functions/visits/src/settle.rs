//! Whether a visit may take place, and which problem tells why not.

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

/// Others that take free rooms one after the other while a room is chosen: more than any practice has rooms.
const MOST_ROOMS: usize = 100;

/// As [`settle`], with locks until the transaction ends: what was found free stays free. When the visit can't be written because of
/// its room, the search goes on.
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
    Err(ApiError::new(Code::ConcurrentChange, "Others took one room after the other; try again."))
}

/// The room of the visit, if it needs one; an `avoided` one only if no other is free.
///
/// # Errors
/// In this order: 404 for the patient, 404 for the provider, 422 for the visit type and the time, 409 with every
/// conflict.
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
                "The practice has no visit type of this name.",
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

/// The problem with the request itself, whatever else is booked.
fn impossible(refused: &[Refused]) -> Option<ApiError> {
    refused.iter().find_map(|it| {
        let (code, detail) = match it.refusal {
            Refusal::VisitTypeInactive => {
                (Code::VisitTypeInactive, "Visits of this type are not booked any more.")
            }
            Refusal::ProviderNotAllowed => {
                (Code::ProviderNotAllowed, "See GET visit-types for who takes visits of this type.")
            }
            Refusal::SkippedTime => {
                (Code::NonexistentLocalTime, "Clocks are put forward over this local time on this date.")
            }
            Refusal::Past => (Code::InPast, "The visit would begin in the past."),
            Refusal::BeyondHorizon => {
                (Code::BeyondHorizon, "The date is further ahead than the practice takes bookings.")
            }
            Refusal::OutsideHours | Refusal::TimeOff | Refusal::Booked | Refusal::NoResource => return None,
        };
        Some(ApiError::new(code, detail))
    })
}
