//! The `visit_types` table, with the providers and rooms of each type.

use sqlx::AssertSqlSafe;

use crate::domain::{
    ids::{ProviderId, RoomId},
    schedule::{Room, RoomVisit, VisitTypeRules},
};
use crate::sql::{
    Conn, Database, Result,
    foreign::{Columns, ForeignRow, FromColumns, Key, Read, accept_all, is_true},
    on,
};

/// A visit type with its active providers and resources, each in ascending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisitType {
    pub visit_type: String,
    pub active: bool,
    /// Whether a provider is available and, if the type needs one, a room.
    pub bookable: bool,
    pub providers: Vec<ProviderId>,
    pub resources: Vec<RoomId>,
}

/// The most providers, and resources, over all types of one list. Each type lists up to a thousand.
const MOST_PAIRS: usize = 20_000;

/// A provider or resource of a visit type: the type's position in the list, and the id.
type Pair<T> = (i64, T);

/// Returns up to `limit` visit types of the practice after the first `offset`, by name.
///
/// Inactive types are included on request. The list is shorter if the types have very many
/// providers or resources. Unreadable types come last, so that omitting them shifts no other type.
pub async fn list(
    conn: &mut Conn,
    include_inactive: bool,
    limit: i64,
    offset: i64,
) -> Result<Vec<VisitType>> {
    let readable = match conn {
        Conn::Postgres(_) => "length(visit_type) between 1 and 2000",
        Conn::Sqlite(_) => "typeof(visit_type) = 'text' and length(visit_type) between 1 and 2000",
    };
    let listed = format!(
        "select visit_type, active, buffer_before, buffer_after,
                row_number() over (order by case when {readable} then 0 else 1 end, visit_type) as place
         from visit_types where {} or $1 order by place limit $2 offset $3",
        is_true(conn, "active"),
    );
    let statement = format!(
        "select substr(visit_type, 1, 2001) as visit_type, active, buffer_before, buffer_after, place,
                exists (select 1 from visit_type_resources r where r.visit_type = listed.visit_type) as \
                needs_room
         from ({listed}) listed order by place",
    );
    let types: Vec<Read<ListedType>> = on!(&mut *conn, |c| sqlx::query_as(AssertSqlSafe(statement))
        .bind(include_inactive)
        .bind(limit)
        .bind(offset)
        .fetch_all(c)
        .await)?;
    let allowed = |table: &str, id: &str, of: &str| {
        format!(
            "select place, {id} from (
                 select listed.place, t.{id}, row_number() over (partition by listed.place order by t.{id}) \
                 as number
                 from ({listed}) listed join {table} t on t.visit_type = listed.visit_type join {of} o on \
                 o.{id} = t.{id}
                 where {}
             ) numbered where number <= 1000 order by place, {id} limit {}",
            is_true(conn, "o.active"),
            MOST_PAIRS + 1,
        )
    };
    let of_providers = allowed("visit_type_providers", "provider_id", "providers");
    let of_resources = allowed("visit_type_resources", "resource_id", "resources");
    let providers: Vec<Pair<ProviderId>> = on!(&mut *conn, |c| sqlx::query_as(AssertSqlSafe(of_providers))
        .bind(include_inactive)
        .bind(limit)
        .bind(offset)
        .fetch_all(c)
        .await)?;
    let resources: Vec<Pair<RoomId>> = on!(&mut *conn, |c| sqlx::query_as(AssertSqlSafe(of_resources))
        .bind(include_inactive)
        .bind(limit)
        .bind(offset)
        .fetch_all(c)
        .await)?;
    let mut types = accept_all(conn, types);
    // A type that was only partly read belongs to the next page.
    if let Some(end) = cut_off(&providers).into_iter().chain(cut_off(&resources)).min() {
        let whole = types.iter().take_while(|it| it.place < end).count();
        types.truncate(whole.max(1));
    }
    Ok(types
        .into_iter()
        .map(|ListedType { of: Type { name: visit_type, active, .. }, place, needs_room }| {
            let (providers, resources) = (of_place(&providers, place), of_place(&resources, place));
            let bookable = active && !providers.is_empty() && (!needs_room || !resources.is_empty());
            VisitType { visit_type, active, bookable, providers, resources }
        })
        .collect())
}

/// Returns the position of the last pair's type if there are more pairs than are read.
fn cut_off<T>(pairs: &[Pair<T>]) -> Option<i64> {
    pairs.get(MOST_PAIRS).map(|(place, _)| *place)
}

fn of_place<T: Copy>(pairs: &[Pair<T>], place: i64) -> Vec<T> {
    pairs.iter().filter(|(it, _)| *it == place).map(|(_, id)| *id).collect()
}

/// Returns the stored name of a visit type: as sent, or else without surrounding spaces.
pub async fn stored_name(db: &Database, sent: &str) -> Result<String> {
    if sent == sent.trim() || !db.can_hold(sent) {
        return Ok(sent.to_owned());
    }
    let mut conn = db.connection().await?;
    let exists = "select exists (select 1 from visit_types where visit_type = $1)";
    let is_exact = on!(&mut conn, |c| sqlx::query_scalar(exists).bind(sent).fetch_one(c).await)?;
    Ok(if is_exact { sent } else { sent.trim() }.to_owned())
}

struct Type {
    name: String,
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
        // Without its buffers there is no way to tell when such a visit fits.
        let buffers = columns.required("buffer_before")?.zip(columns.required("buffer_after")?);
        Ok(name.zip(buffers).map(|(Key(name), (buffer_before, buffer_after))| Self {
            name,
            active,
            buffer_before,
            buffer_after,
        }))
    }
}

/// A visit type and its position in the list.
struct ListedType {
    of: Type,
    place: i64,
    needs_room: bool,
}

impl FromColumns for ListedType {
    const TABLE: &'static str = Type::TABLE;
    const KEY: &'static str = Type::KEY;

    fn from_columns<R: ForeignRow>(columns: &mut Columns<'_, R>) -> sqlx::Result<Option<Self>> {
        let of = Type::from_columns(columns)?;
        let (place, needs_room) = (columns.or("place", 0)?, columns.or("needs_room", true)?);
        Ok(of.map(|of| Self { of, place, needs_room }))
    }
}

/// A visit type's stored rules, before the visits in its rooms are known.
pub(super) struct StoredRules {
    rules: VisitTypeRules,
    /// The active rooms; `None` if the type needs no room.
    rooms: Option<Vec<RoomId>>,
}

impl StoredRules {
    pub(super) fn with_visits(&self, visits: &[RoomVisit]) -> VisitTypeRules {
        let rooms = self.rooms.as_ref().map(|ids| ids.iter().map(|id| Room::new(*id, visits)).collect());
        VisitTypeRules { rooms, ..self.rules.clone() }
    }
}

struct Rule {
    of: Type,
    provider_allowed: bool,
    needs_room: bool,
    /// The room, if it is active.
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

/// Returns the rules of a type for one provider; `None` if there is no such type.
pub(super) async fn rules(
    conn: &mut Conn,
    visit_type: &str,
    provider: ProviderId,
) -> Result<Option<StoredRules>> {
    if !conn.can_hold(visit_type) {
        return Ok(None);
    }
    let rows: Vec<Read<Rule>> = on!(&mut *conn, |c| {
        sqlx::query_as(
            "select t.visit_type, t.active, t.buffer_before, t.buffer_after, r.resource_id, r.active as \
            resource_active,
                tr.visit_type is not null as needs_room,
                exists (select 1 from visit_type_providers p
                        where p.visit_type = t.visit_type and p.provider_id = $2) as provider_allowed
         from visit_types t
         left join visit_type_resources tr on tr.visit_type = t.visit_type
         left join resources r on r.resource_id = tr.resource_id
         where t.visit_type = $1",
        )
        .bind(visit_type)
        .bind(provider)
        .fetch_all(c)
        .await
    })?;
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
