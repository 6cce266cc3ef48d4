//! The columns of a database, and the values that each may hold.

use shared::sql::{Conn, Database};
use sqlx::AssertSqlSafe;

use crate::office::Engine;

/// A column of a table, and the row that is changed.
pub(crate) struct Column {
    pub(crate) table: String,
    pub(crate) name: String,
    data_type: String,
    pub(crate) is_generated: bool,
    engine: Engine,
    /// The columns of the table's primary key, with the row's values as literals.
    key: Vec<(String, String)>,
}

/// `SQLite` columns accept any storage class; the type decides only what is converted.
const SQLITE: [&str; 40] = [
    "null",
    "''",
    "' '",
    "'x'",
    "'9:00'",
    "'24:00'",
    "'24:00:00'",
    "'25:61'",
    "'2026-03-09'",
    "'2026-3-9'",
    "'2026-02-30'",
    "'2026-03-09 10:00:00'",
    "'2026-03-09T10:00:00Z'",
    "'2026-03-09 10:00:00.123+02:00'",
    "'infinity'",
    "'-infinity'",
    "'now'",
    "'1773050400'",
    "'true'",
    "'Monday'",
    "'custom'",
    "'a' || char(0) || 'b'",
    "char(9) || 'x' || char(10)",
    "printf('%.*c', 3000, 'x')",
    "cast(x'4a6f73e9' as text)",
    "0",
    "1",
    "7",
    "-1",
    "1773050400",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775807 - 1",
    "1.5",
    "2461108.75",
    "1e300",
    "9e999",
    "-9e999",
    "x'00ff'",
    "x'41424344'",
];

fn postgres(data_type: &str) -> &'static [&'static str] {
    match data_type {
        "text" => &[
            "''",
            "' '",
            "'x'",
            "E'\\t x \\n'",
            "repeat('x', 3000)",
            "E'e\\u0301'",
            "'9:00'",
            "'infinity'",
            "'custom'",
        ],
        "bigint" => &["0", "1", "7", "-1", "9007199254740993", "9223372036854775807", "-9223372036854775808"],
        "boolean" => &["true", "false"],
        "date" => &[
            "'infinity'",
            "'-infinity'",
            "'4713-01-01 BC'",
            "'0001-01-01'",
            "'9999-12-31'",
            "'10000-01-01'",
            "'5874897-12-31'",
            "'2026-03-09'",
        ],
        "time without time zone" => &["'00:00'", "'24:00'", "'23:59:59.999999'", "'23:59:60'", "'9:00'"],
        "timestamp with time zone" => &[
            "'infinity'",
            "'-infinity'",
            "'4713-01-01 BC'",
            "'0001-01-01 00:00:00+14'",
            "'9999-12-31 23:59:59.999999-12'",
            "'294276-12-31'",
            "'2026-03-09 10:00:00.123456+02'",
        ],
        other => panic!("no test values for the type {other}"),
    }
}

impl Column {
    pub(crate) fn values(&self, engine: Engine) -> Vec<&'static str> {
        let values = match engine {
            Engine::Sqlite => &SQLITE[..],
            Engine::Postgres => postgres(&self.data_type),
        };
        ["null"].iter().chain(values).copied().collect()
    }

    pub(crate) fn update(&self, value: &str) -> String {
        format!(
            "{}update {} set {} = {value} where {}",
            self.prelude(),
            self.table,
            self.name,
            self.row(None)
        )
    }

    /// Returns the statement that reverses [`Self::update`].
    pub(crate) fn restore(&self, value: &str, before: &str) -> String {
        let (table, name) = (&self.table, &self.name);
        format!("{}update {table} set {name} = {before} where {}", self.prelude(), self.row(Some(value)))
    }

    /// Many programs that open a file leave foreign keys off.
    fn prelude(&self) -> &'static str {
        match self.engine {
            Engine::Sqlite => "pragma foreign_keys = off; ",
            Engine::Postgres => "",
        }
    }

    /// Returns the stored value as a literal.
    pub(crate) async fn stored(&self, db: &Database) -> String {
        let quoted = quoted(self.engine, &self.name);
        text(db, &format!("select {quoted} from {} where {}", self.table, self.row(None))).await
    }

    /// Returns the condition that selects the row, even if `written` is in a key column.
    fn row(&self, written: Option<&str>) -> String {
        let equal = match self.engine {
            Engine::Sqlite => "is",
            Engine::Postgres => "is not distinct from",
        };
        let conditions = self.key.iter().map(|(name, value)| {
            let value = written.filter(|_| *name == self.name).unwrap_or(value);
            format!("{name} {equal} {value}")
        });
        conditions.collect::<Vec<_>>().join(" and ")
    }
}

fn quoted(engine: Engine, column: &str) -> String {
    match engine {
        Engine::Sqlite => format!("quote({column})"),
        Engine::Postgres => format!("quote_nullable({column}::text)"),
    }
}

async fn text(db: &Database, query: &str) -> String {
    let query = AssertSqlSafe(query.to_owned());
    match &mut db.connection().await.unwrap() {
        Conn::Sqlite(connection) => sqlx::query_scalar(query).fetch_one(&mut **connection).await.unwrap(),
        Conn::Postgres(connection) => sqlx::query_scalar(query).fetch_one(&mut **connection).await.unwrap(),
    }
}

/// Returns all columns, except those of the tables `but`.
pub(crate) async fn columns(db: &Database, engine: Engine, but: &[&str]) -> Vec<Column> {
    let query = match engine {
        Engine::Sqlite => {
            "select group_concat(m.name || '|' || p.name || '|' || (p.hidden > 1) || '|' || p.pk || '|' || \
                p.type, ';')
             from sqlite_master m, pragma_table_xinfo(m.name) p where m.type = 'table' and m.name not like \
             'sqlite%'"
        }
        Engine::Postgres => {
            "select string_agg(c.table_name || '|' || c.column_name || '|' || case is_generated when \
                'ALWAYS' then 1 else 0 end
                    || '|' || coalesce(k.ordinal_position, 0) || '|' || data_type, ';' order by \
                    c.table_name, c.ordinal_position)
             from information_schema.columns c
             left join (information_schema.table_constraints p join information_schema.key_column_usage k
                        using (constraint_schema, constraint_name))
               on p.constraint_type = 'PRIMARY KEY' and k.table_schema = c.table_schema and k.table_name = \
               c.table_name
                  and k.column_name = c.column_name
             where c.table_schema = current_schema()
               and c.table_name in (select tablename from pg_tables where schemaname = current_schema())"
        }
    };
    let (mut columns, mut keys) = (Vec::new(), Vec::<(String, String)>::new());
    for line in text(db, query).await.split(';') {
        let [table, name, is_generated, key, data_type] = line.split('|').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        if but.contains(&table) {
            continue;
        }
        if key != "0" {
            keys.push((table.to_owned(), name.to_owned()));
        }
        columns.push(Column {
            table: table.to_owned(),
            name: name.to_owned(),
            data_type: data_type.to_owned(),
            is_generated: is_generated == "1",
            engine,
            key: Vec::new(),
        });
    }
    // The first row of each table is the one that is changed.
    for column in &mut columns {
        let names: Vec<&String> =
            keys.iter().filter(|(it, _)| *it == column.table).map(|(_, it)| it).collect();
        let order = names.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(", ");
        for name in names {
            let (value, table) = (quoted(engine, name), &column.table);
            let query = format!("select {value} from {table} order by {order} limit 1");
            column.key.push((name.clone(), text(db, &query).await));
        }
        assert!(!column.key.is_empty(), "{} has no primary key", column.table);
    }
    columns
}
