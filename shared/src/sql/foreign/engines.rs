//! Decodes values of either engine, regardless of their type.

use sqlx::{
    Decode, Postgres, Sqlite, Type, TypeInfo, ValueRef,
    error::BoxDynError,
    postgres::{PgTypeInfo, PgValueFormat, PgValueRef},
    sqlite::{SqliteTypeInfo, SqliteValueRef},
};

use super::{Foreign, FromRaw, Raw};

impl<T> Type<Sqlite> for Foreign<T> {
    fn type_info() -> SqliteTypeInfo {
        <str as Type<Sqlite>>::type_info()
    }

    fn compatible(_: &SqliteTypeInfo) -> bool {
        true
    }
}

impl<T> Type<Postgres> for Foreign<T> {
    fn type_info() -> PgTypeInfo {
        <str as Type<Postgres>>::type_info()
    }

    fn compatible(_: &PgTypeInfo) -> bool {
        true
    }
}

impl<'r, T: FromRaw> Decode<'r, Sqlite> for Foreign<T> {
    fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
        if value.is_null() {
            return Ok(Self::Null);
        }
        // An SQLite value can be read only once, as one type.
        let class = value.type_info().into_owned();
        let raw = match class.name() {
            "INTEGER" => Raw::Integer(<i64 as Decode<Sqlite>>::decode(value)?),
            "REAL" => Raw::Real(<f64 as Decode<Sqlite>>::decode(value)?),
            "TEXT" => Raw::Text(<&[u8] as Decode<Sqlite>>::decode(value)?),
            "BLOB" => Raw::Blob(<&[u8] as Decode<Sqlite>>::decode(value)?),
            _ => Raw::Other,
        };
        Ok(T::from_raw(raw))
    }
}

impl<'r, T: FromRaw> Decode<'r, Postgres> for Foreign<T> {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        if value.is_null() {
            return Ok(Self::Null);
        }
        let bytes = value.as_bytes()?;
        let raw = match value.format() {
            PgValueFormat::Binary => binary(value.type_info().name(), bytes),
            // Only unprepared statements without parameters return texts.
            PgValueFormat::Text => Raw::Text(bytes),
        };
        Ok(T::from_raw(raw))
    }
}

/// Decodes a value in `PostgreSQL`'s binary format.
fn binary<'r>(name: &str, bytes: &'r [u8]) -> Raw<'r> {
    let known = match name {
        "BOOL" => bytes.first().map(|byte| Raw::Boolean(*byte != 0)),
        "INT2" => bytes.try_into().ok().map(|it| Raw::Integer(i16::from_be_bytes(it).into())),
        "INT4" => bytes.try_into().ok().map(|it| Raw::Integer(i32::from_be_bytes(it).into())),
        "INT8" => bytes.try_into().ok().map(|it| Raw::Integer(i64::from_be_bytes(it))),
        "FLOAT4" => bytes.try_into().ok().map(|it| Raw::Real(f32::from_be_bytes(it).into())),
        "FLOAT8" => bytes.try_into().ok().map(|it| Raw::Real(f64::from_be_bytes(it))),
        "TEXT" | "VARCHAR" | "CHAR" | "NAME" | "UNKNOWN" => Some(Raw::Text(bytes)),
        "BYTEA" => Some(Raw::Blob(bytes)),
        "DATE" => bytes.try_into().ok().map(|it| Raw::Days(i32::from_be_bytes(it))),
        "TIME" => bytes.try_into().ok().map(|it| Raw::Microseconds(i64::from_be_bytes(it))),
        "TIMESTAMP" | "TIMESTAMPTZ" => bytes.try_into().ok().map(|it| Raw::Instant(i64::from_be_bytes(it))),
        _ => None,
    };
    known.unwrap_or(Raw::Other)
}
