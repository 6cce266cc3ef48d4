//! The `visit_types` table, who takes visits of a type and in which rooms.

use super::{Conn, Result, on};
use crate::domain::{
    ids::{ProviderId, RoomId},
    schedule::{Room, RoomVisit, VisitTypeRules},
};

/// A visit type with the active providers and resources that it allows, each ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisitType {
    pub visit_type: String,
    pub active: bool,
    pub providers: Vec<ProviderId>,
    pub resources: Vec<RoomId>,
}

/// Providers, and resources, of all types of one list. Of each type a thousand are listed.
const MOST_PAIRS: usize = 20_000;

/// A select of which part of the types is listed.
macro_rules! listed {
    () => {
        "select visit_type from visit_types where (active or $1) and octet_length(visit_type) <= 1000
         order by visit_type limit $2 offset $3"
    };
}

/// Up to `limit` of the practice's visit types after the first `offset`, by name; the active ones, or all. Fewer when what they
/// allow is very much. One whose name no request could hold is not listed.
pub async fn list(
    conn: &mut Conn,
    include_inactive: bool,
    limit: i64,
    offset: i64,
) -> Result<Vec<VisitType>> {
    let types: Vec<(String, bool)> = on!(&mut *conn, c => sqlx::query_as(concat!(
        "select visit_type, active from visit_types where visit_type in (select visit_type from (", listed!(), ") listed)
         order by visit_type",
    )).bind(include_inactive).bind(limit).bind(offset).fetch_all(c).await)?;
    let providers: Vec<(String, ProviderId)> = on!(&mut *conn, c => sqlx::query_as(concat!(
        "select visit_type, provider_id from (
             select t.visit_type, t.provider_id,
                    row_number() over (partition by t.visit_type order by t.provider_id) as place
             from visit_type_providers t join providers p on p.provider_id = t.provider_id
             where p.active and t.visit_type in (select visit_type from (", listed!(), ") listed)
         ) numbered where place <= 1000 order by visit_type, provider_id limit 20001",
    )).bind(include_inactive).bind(limit).bind(offset).fetch_all(c).await)?;
    let resources: Vec<(String, RoomId)> = on!(conn, c => sqlx::query_as(concat!(
        "select visit_type, resource_id from (
             select t.visit_type, t.resource_id,
                    row_number() over (partition by t.visit_type order by t.resource_id) as place
             from visit_type_resources t join resources r on r.resource_id = t.resource_id
             where r.active and t.visit_type in (select visit_type from (", listed!(), ") listed)
         ) numbered where place <= 1000 order by visit_type, resource_id limit 20001",
    )).bind(include_inactive).bind(limit).bind(offset).fetch_all(c).await)?;
    // What was read in part only is the next list's.
    let ends = [cut_off(&providers), cut_off(&resources)];
    let end = ends.into_iter().flatten().filter_map(|name| types.iter().position(|(it, _)| it == name)).min();
    let types: Vec<_> = match end {
        Some(end) => types.into_iter().take(end.max(1)).collect(),
        None => types,
    };
    Ok(types
        .into_iter()
        .map(|(visit_type, active)| VisitType {
            providers: of_type(&providers, &visit_type),
            resources: of_type(&resources, &visit_type),
            visit_type,
            active,
        })
        .collect())
}

/// The type of the last pair, when there are more pairs than are read.
fn cut_off<T>(pairs: &[(String, T)]) -> Option<&str> {
    pairs.get(MOST_PAIRS).map(|(name, _)| name.as_str())
}

fn of_type<T: Copy>(pairs: &[(String, T)], visit_type: &str) -> Vec<T> {
    pairs.iter().filter(|(name, _)| name == visit_type).map(|(_, id)| *id).collect()
}

#[derive(sqlx::FromRow)]
struct RuleRow {
    active: bool,
    buffer_before: i64,
    buffer_after: i64,
    provider_allowed: bool,
    resource_id: Option<RoomId>,
    resource_active: Option<bool>,
}

/// A visit type's rules as they are stored, before the visits in its rooms are known.
pub(super) struct StoredRules {
    rules: VisitTypeRules,
    /// The active rooms; `None` when the type needs none.
    rooms: Option<Vec<RoomId>>,
}

impl StoredRules {
    pub(super) fn with_visits(self, visits: &[RoomVisit]) -> VisitTypeRules {
        let rooms = self.rooms.map(|ids| ids.into_iter().map(|id| Room::new(id, visits)).collect());
        VisitTypeRules { rooms, ..self.rules }
    }
}

/// The rules of a type for one provider; `None` when there is no such type.
pub(super) async fn rules(
    conn: &mut Conn,
    visit_type: &str,
    provider: ProviderId,
) -> Result<Option<StoredRules>> {
    let rows: Vec<RuleRow> = on!(conn, c => sqlx::query_as(
        "select t.active, t.buffer_before, t.buffer_after, r.resource_id, r.active as resource_active,
                exists (select 1 from visit_type_providers p
                        where p.visit_type = t.visit_type and p.provider_id = $2) as provider_allowed
         from visit_types t
         left join visit_type_resources tr on tr.visit_type = t.visit_type
         left join resources r on r.resource_id = tr.resource_id
         where t.visit_type = $1",
    ).bind(visit_type).bind(provider).fetch_all(c).await)?;
    let Some(first) = rows.first() else { return Ok(None) };
    let rules = VisitTypeRules {
        active: first.active,
        provider_allowed: first.provider_allowed,
        buffer_before: first.buffer_before,
        buffer_after: first.buffer_after,
        rooms: None,
    };
    let needs_room = first.resource_id.is_some();
    let active = rows.iter().filter(|row| row.resource_active == Some(true));
    let rooms = needs_room.then(|| active.filter_map(|row| row.resource_id).collect());
    Ok(Some(StoredRules { rules, rooms }))
}
