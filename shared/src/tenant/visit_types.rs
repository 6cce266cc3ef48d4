//! The `visit_types` table, who takes visits of a type and in which rooms.

use super::{
    Conn, Database, Result,
    foreign::{Columns, ForeignRow, FromColumns, FromRaw, Key, Read, accept_all},
    on,
};
use crate::domain::{
    ids::{ProviderId, RoomId},
    schedule::{Room, RoomVisit, VisitTypeRules},
};

/// A visit type with the active providers and resources that it allows, each ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisitType {
    pub visit_type: String,
    pub active: bool,
    /// Whether there is a provider and, if it needs one, a room for it.
    pub bookable: bool,
    pub providers: Vec<ProviderId>,
    pub resources: Vec<RoomId>,
}

/// The practice's visit types by name; the active ones, or all.
pub async fn list(conn: &mut Conn, include_inactive: bool) -> Result<Vec<VisitType>> {
    let types: Vec<Read<Type>> = on!(&mut *conn, c => sqlx::query_as(
        "select visit_type, active, buffer_before, buffer_after from visit_types order by visit_type",
    ).fetch_all(c).await)?;
    let providers: Vec<Read<Allowed<ProviderId>>> = on!(&mut *conn, c => sqlx::query_as(
        "select t.visit_type, t.provider_id as id, p.active from visit_type_providers t
         left join providers p on p.provider_id = t.provider_id
         order by t.provider_id",
    ).fetch_all(c).await)?;
    let resources: Vec<Read<Allowed<RoomId>>> = on!(&mut *conn, c => sqlx::query_as(
        "select t.visit_type, t.resource_id as id, r.active from visit_type_resources t
         left join resources r on r.resource_id = t.resource_id
         order by t.resource_id",
    ).fetch_all(c).await)?;
    let types = accept_all(conn, types);
    let (providers, resources) = (accept_all(conn, providers), accept_all(conn, resources));
    let listed = types.into_iter().filter(|it| it.active || include_inactive);
    Ok(listed
        .map(|Type { visit_type, active, .. }| {
            let (needs_room, resources) = of_type(&resources, &visit_type);
            let (_, providers) = of_type(&providers, &visit_type);
            let bookable = active && !providers.is_empty() && (!needs_room || !resources.is_empty());
            VisitType { visit_type, active, bookable, providers, resources }
        })
        .collect())
}

/// Whether the type has any at all, and the active ones.
fn of_type<T: Copy>(allowed: &[Allowed<T>], visit_type: &str) -> (bool, Vec<T>) {
    let own = || allowed.iter().filter(|it| it.visit_type == visit_type);
    (own().next().is_some(), own().filter_map(|it| it.active).collect())
}

/// The name that the practice's visit type has: as it was sent, or else without the spaces around it.
pub async fn stored_name(db: &Database, sent: &str) -> Result<String> {
    if sent == sent.trim() || !db.can_hold(sent) {
        return Ok(sent.to_owned());
    }
    let mut conn = db.connection().await?;
    let exists = "select exists (select 1 from visit_types where visit_type = $1)";
    let is_exact = on!(&mut conn, c => sqlx::query_scalar(exists).bind(sent).fetch_one(c).await)?;
    Ok(if is_exact { sent } else { sent.trim() }.to_owned())
}

struct Type {
    visit_type: String,
    active: bool,
    buffer_before: i64,
    buffer_after: i64,
}

impl FromColumns for Type {
    const TABLE: &'static str = "visit_types";
    const KEY: &'static str = "visit_type";

    fn from_columns<R: ForeignRow>(columns: &mut Columns<'_, R>) -> sqlx::Result<Option<Self>> {
        let name: Option<Key> = columns.required("visit_type")?;
        let active = columns.or("active", false)?;
        // Without its buffers nobody knows when such a visit fits.
        let buffers = columns.required("buffer_before")?.zip(columns.required("buffer_after")?);
        Ok(name.zip(buffers).map(|(Key(visit_type), (buffer_before, buffer_after))| Self {
            visit_type,
            active,
            buffer_before,
            buffer_after,
        }))
    }
}

/// A provider or resource of a visit type.
struct Allowed<T> {
    visit_type: String,
    /// The id, when active.
    active: Option<T>,
}

impl<T: FromRaw> FromColumns for Allowed<T> {
    const TABLE: &'static str = Type::TABLE;
    const KEY: &'static str = Type::KEY;

    fn from_columns<R: ForeignRow>(columns: &mut Columns<'_, R>) -> sqlx::Result<Option<Self>> {
        let name: Option<Key> = columns.required("visit_type")?;
        let id: Option<T> = columns.required("id")?;
        // One that is gone is no problem of the type's; foreign keys are off in some of the EMR's programs.
        let active = columns.optional("active")?.unwrap_or(false);
        Ok(name.map(|Key(visit_type)| Self { visit_type, active: id.filter(|_| active) }))
    }
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

struct Rule {
    of: Type,
    provider_allowed: bool,
    needs_room: bool,
    /// An active one.
    room: Option<RoomId>,
}

impl FromColumns for Rule {
    const TABLE: &'static str = Type::TABLE;
    const KEY: &'static str = Type::KEY;

    fn from_columns<R: ForeignRow>(columns: &mut Columns<'_, R>) -> sqlx::Result<Option<Self>> {
        let of = Type::from_columns(columns)?;
        let provider_allowed = columns.or("provider_allowed", false)?;
        let needs_room = columns.or("needs_room", true)?;
        let room = columns.optional("resource_id")?;
        let room_active = columns.optional("resource_active")?.unwrap_or(false);
        Ok(of.map(|of| Self { of, provider_allowed, needs_room, room: room.filter(|_| room_active) }))
    }
}

/// The rules of a type for one provider; `None` when there is no such type.
pub(super) async fn rules(
    conn: &mut Conn,
    visit_type: &str,
    provider: ProviderId,
) -> Result<Option<StoredRules>> {
    if !conn.can_hold(visit_type) {
        return Ok(None);
    }
    let rows: Vec<Read<Rule>> = on!(&mut *conn, c => sqlx::query_as(
        "select t.visit_type, t.active, t.buffer_before, t.buffer_after, r.resource_id, r.active as resource_active,
                tr.visit_type is not null as needs_room,
                exists (select 1 from visit_type_providers p
                        where p.visit_type = t.visit_type and p.provider_id = $2) as provider_allowed
         from visit_types t
         left join visit_type_resources tr on tr.visit_type = t.visit_type
         left join resources r on r.resource_id = tr.resource_id
         where t.visit_type = $1",
    ).bind(visit_type).bind(provider).fetch_all(c).await)?;
    let rows = accept_all(conn, rows);
    let Some(first) = rows.first() else { return Ok(None) };
    let rules = VisitTypeRules {
        active: first.of.active,
        provider_allowed: first.provider_allowed,
        buffer_before: first.of.buffer_before,
        buffer_after: first.of.buffer_after,
        rooms: None,
    };
    let rooms = first.needs_room.then(|| rows.iter().filter_map(|row| row.room).collect());
    Ok(Some(StoredRules { rules, rooms }))
}
