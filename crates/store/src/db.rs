//! The one place that knows two databases: values in, rows out, the same SQL text for both.

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Postgres, Row as _, SqlSafeStr, Sqlite, SqliteConnection, Transaction};
use tacit_model::{Attempt, Fingerprint, GroupId, RunId, SessionId, Slot, UnixMillis};

use crate::in_place::{InPlace, Reader};
use crate::replica::Statement;
use crate::{Redacted, StoreError, What};

/// A connection that can run statements.
pub(crate) enum Conn {
    /// A connection of its own to a SQLite file, with a thread of its own.
    SqliteWriter(SqliteConnection),
    /// The one writer where other nodes make the same changes: what work writes is recorded, and not committed here.
    SqliteRecorder(SqliteConnection, Vec<Statement>),
    /// The one writer of a SQLite file that has no replicas, on the writer's own thread.
    SqliteInPlace(InPlace),
    SqliteReader(Reader),
    PostgresTx(Transaction<'static, Postgres>),
    PostgresReader(PoolConnection<Postgres>),
}

/// One argument of a statement. `None` is NULL of that type.
#[derive(Clone, Copy)]
pub(crate) enum Value<'a> {
    Int(Option<i64>),
    Text(Option<&'a str>),
    Blob(Option<&'a [u8]>),
}

/// Lists the arguments of a statement: `args![gid, name, now]`.
macro_rules! args {
    ($($value:expr),* $(,)?) => { &[$($crate::db::ToValue::to_value(&$value)),*] };
}
pub(crate) use args;

macro_rules! bind {
    ($sql:expr, $args:expr) => {{
        let mut query = sqlx::query($sql);
        for value in $args {
            query = match *value {
                Value::Int(value) => query.bind(value),
                Value::Text(Some(text)) if text.contains('\0') => return Err(What::ZeroByte.into()),
                Value::Text(value) => query.bind(value),
                Value::Blob(value) => query.bind(value),
            };
        }
        query
    }};
}

/// Runs `$call` on a query bound to `$args`, on whichever database `$conn` is; `$in_place` where it is one that runs
/// statements at once.
macro_rules! on_either {
    ($conn:expr, $sql:expr, $args:expr, $call:ident, |$out:ident| $lite:expr, $postgres:expr, |$here:ident, $text:ident| $in_place:expr) => {{
        let sql = $sql.into_sql_str();
        match $conn {
            Conn::SqliteInPlace($here) => {
                let $text = sql.as_str();
                $in_place
            }
            Conn::SqliteReader(reader) => {
                let ($here, $text) = (reader.conn()?, sql.as_str());
                $in_place
            }
            Conn::SqliteWriter(conn) => {
                let $out = bind!(sql, $args).$call(&mut *conn).await?;
                $lite
            }
            Conn::SqliteRecorder(conn, written) => {
                let text = sql.clone();
                let $out = bind!(sql, $args).$call(&mut *conn).await?;
                if Statement::writes(text.as_str()) {
                    written.push(Statement::record(text.as_str(), $args));
                }
                $lite
            }
            Conn::PostgresTx(conn) => {
                let $out = bind!(sql, $args).$call(&mut **conn).await?;
                $postgres
            }
            Conn::PostgresReader(conn) => {
                let $out = bind!(sql, $args).$call(&mut **conn).await?;
                $postgres
            }
        }
    }};
}

impl Conn {
    /// Runs a statement; how many rows it touched.
    pub(crate) async fn execute(&mut self, sql: impl SqlSafeStr, args: &[Value<'_>]) -> Result<u64, StoreError> {
        Ok(on_either!(self, sql, args, execute, |done| done.rows_affected(), done.rows_affected(), |here, text| here
            .execute(
            text, args
        )?))
    }

    /// All rows of a query.
    pub(crate) async fn all<T: FromRow>(
        &mut self,
        sql: impl SqlSafeStr,
        args: &[Value<'_>],
    ) -> Result<Vec<T>, StoreError> {
        on_either!(
            self,
            sql,
            args,
            fetch_all,
            |rows| rows.into_iter().map(|row| T::from_row(&Row::Sqlite(row))).collect(),
            rows.into_iter().map(|row| T::from_row(&Row::Postgres(row))).collect(),
            |here, text| {
                let mut rows = Vec::new();
                here.query(text, args, |row| {
                    rows.push(T::from_row(&Row::InPlace(row))?);
                    Ok(true)
                })?;
                Ok(rows)
            }
        )
    }

    /// The only row of a query, if there is one.
    pub(crate) async fn optional<T: FromRow>(
        &mut self,
        sql: impl SqlSafeStr,
        args: &[Value<'_>],
    ) -> Result<Option<T>, StoreError> {
        on_either!(
            self,
            sql,
            args,
            fetch_optional,
            |row| row.map(|row| T::from_row(&Row::Sqlite(row))).transpose(),
            row.map(|row| T::from_row(&Row::Postgres(row))).transpose(),
            |here, text| {
                let mut first = None;
                here.query(text, args, |row| {
                    first = Some(T::from_row(&Row::InPlace(row))?);
                    Ok(false)
                })?;
                Ok(first)
            }
        )
    }

    /// The only row of a query that always has one.
    pub(crate) async fn one<T: FromRow>(&mut self, sql: impl SqlSafeStr, args: &[Value<'_>]) -> Result<T, StoreError> {
        self.optional(sql, args).await?.ok_or_else(|| StoreError::corrupt("a query without a row"))
    }

    /// Runs several statements without arguments.
    pub(crate) async fn script(&mut self, sql: &'static str) -> Result<(), StoreError> {
        match self {
            Self::SqliteWriter(conn) => sqlx::raw_sql(sql).execute(&mut *conn).await.map(drop)?,
            // Scripts are for migrations, which run on a connection of their own.
            Self::SqliteRecorder(..) | Self::SqliteInPlace(_) | Self::SqliteReader(_) => {
                return Err(StoreError::corrupt("a script outside of a migration"));
            }
            Self::PostgresTx(conn) => sqlx::raw_sql(sql).execute(&mut **conn).await.map(drop)?,
            Self::PostgresReader(conn) => sqlx::raw_sql(sql).execute(&mut **conn).await.map(drop)?,
        }
        Ok(())
    }

    /// Closes a connection of its own; others go back to their pool when they are dropped.
    pub(crate) async fn close(self) -> Result<(), StoreError> {
        if let Self::SqliteWriter(conn) | Self::SqliteRecorder(conn, _) = self {
            sqlx::Connection::close(conn).await?;
        }
        Ok(())
    }

    /// The next number of a named counter, from 1; no number is given twice.
    pub(crate) async fn next_number(&mut self, name: &'static str) -> Result<i64, StoreError> {
        self.next_numbers(name, 1).await
    }

    /// Takes so many numbers in a row of a named counter; the last of them.
    pub(crate) async fn next_numbers(&mut self, name: &'static str, count: i64) -> Result<i64, StoreError> {
        let Scalar(last) = self
            .one(
                "INSERT INTO counters (name, value) VALUES ($1, $2)
                 ON CONFLICT (name) DO UPDATE SET value = counters.value + excluded.value RETURNING value AS v",
                args![name, count],
            )
            .await?;
        Ok(last)
    }

    /// Inserts rows of `width` values each; how many.
    pub(crate) async fn insert(&mut self, into: &str, width: usize, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let mut sql = into.to_owned();
        for at in 1..=values.len() {
            sql.push_str(match (at, at % width) {
                (1, _) => "(",
                (_, 1) => "), (",
                _ => ", ",
            });
            sql.push_str(&format!("${at}"));
        }
        sql.push(')');
        // The text holds numbers of parameters only.
        self.execute(sqlx::AssertSqlSafe(sql), values).await
    }
}

/// A row of either database.
pub(crate) enum Row<'a> {
    InPlace(&'a rusqlite::Row<'a>),
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row<'_> {
    pub(crate) fn get<T: FromColumn>(&self, column: &'static str) -> Result<T, StoreError> {
        T::from_column(self, column)
    }

    /// What a column of SQLite holds in this row, whatever its type: `NULL`, `INTEGER`, `TEXT`, `BLOB` or `REAL`.
    pub(crate) fn kind(&self, column: usize) -> Result<String, StoreError> {
        let Self::Sqlite(row) = self else { return Err(StoreError::corrupt("not a row of SQLite")) };
        let value = row.try_get_raw(column)?;
        if sqlx::ValueRef::is_null(&value) {
            return Ok("NULL".to_owned());
        }
        Ok(sqlx::TypeInfo::name(&*sqlx::ValueRef::type_info(&value)).to_owned())
    }

    /// The value of a column of SQLite by its place.
    pub(crate) fn at<'r, T>(&'r self, column: usize) -> Result<T, StoreError>
    where
        T: sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>,
    {
        let Self::Sqlite(row) = self else { return Err(StoreError::corrupt("not a row of SQLite")) };
        Ok(row.try_get(column)?)
    }
}

/// A struct read from the columns named like its fields.
pub(crate) trait FromRow: Sized + Send {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError>;
}

/// Implements [`FromRow`] by the names of the fields.
macro_rules! from_row {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl $crate::db::FromRow for $name {
            fn from_row(row: &$crate::db::Row<'_>) -> Result<Self, $crate::StoreError> {
                Ok(Self { $($field: row.get(stringify!($field))?),* })
            }
        }
    };
}
pub(crate) use from_row;

/// The column called `v`.
pub(crate) struct Scalar<T>(pub(crate) T);

impl<T: FromColumn + Send> FromRow for Scalar<T> {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        row.get("v").map(Self)
    }
}

/// A type that can be an argument.
pub(crate) trait ToValue {
    const NULL: Value<'static>;
    fn to_value(&self) -> Value<'_>;
}

/// A type that can be read from a column.
pub(crate) trait FromColumn: Sized {
    fn from_column(row: &Row<'_>, column: &'static str) -> Result<Self, StoreError>;
}

macro_rules! base {
    ($type:ty) => {
        impl FromColumn for Option<$type> {
            fn from_column(row: &Row<'_>, column: &'static str) -> Result<Self, StoreError> {
                Ok(match row {
                    Row::InPlace(row) => row.get(column)?,
                    Row::Sqlite(row) => row.try_get(column)?,
                    Row::Postgres(row) => row.try_get(column)?,
                })
            }
        }

        impl FromColumn for $type {
            fn from_column(row: &Row<'_>, column: &'static str) -> Result<Self, StoreError> {
                Option::from_column(row, column)?
                    .ok_or_else(|| StoreError::corrupt(format!("column {column} is empty")))
            }
        }
    };
}

base!(i64);
base!(String);
base!(Vec<u8>);

impl ToValue for i64 {
    const NULL: Value<'static> = Value::Int(None);
    fn to_value(&self) -> Value<'_> {
        Value::Int(Some(*self))
    }
}

impl ToValue for str {
    const NULL: Value<'static> = Value::Text(None);
    fn to_value(&self) -> Value<'_> {
        Value::Text(Some(self))
    }
}

impl ToValue for String {
    const NULL: Value<'static> = Value::Text(None);
    fn to_value(&self) -> Value<'_> {
        Value::Text(Some(self))
    }
}

impl ToValue for [u8] {
    const NULL: Value<'static> = Value::Blob(None);
    fn to_value(&self) -> Value<'_> {
        Value::Blob(Some(self))
    }
}

impl ToValue for Vec<u8> {
    const NULL: Value<'static> = Value::Blob(None);
    fn to_value(&self) -> Value<'_> {
        Value::Blob(Some(self))
    }
}

impl ToValue for [u8; 32] {
    const NULL: Value<'static> = Value::Blob(None);
    fn to_value(&self) -> Value<'_> {
        Value::Blob(Some(self))
    }
}

impl<T: ToValue + ?Sized> ToValue for &T {
    const NULL: Value<'static> = T::NULL;
    fn to_value(&self) -> Value<'_> {
        T::to_value(self)
    }
}

impl<T: ToValue> ToValue for Option<T> {
    const NULL: Value<'static> = T::NULL;
    fn to_value(&self) -> Value<'_> {
        self.as_ref().map_or(T::NULL, T::to_value)
    }
}

impl<T: ToValue> ToValue for Redacted<T> {
    const NULL: Value<'static> = T::NULL;
    fn to_value(&self) -> Value<'_> {
        self.0.to_value()
    }
}

impl<T: FromColumn> FromColumn for Redacted<T> {
    fn from_column(row: &Row<'_>, column: &'static str) -> Result<Self, StoreError> {
        T::from_column(row, column).map(Self)
    }
}

/// A type kept as another one: how to store it (a number) and how to read it back.
macro_rules! kept_as_number {
    ($type:ty, |$to:ident| $number:expr, |$from:ident| $value:expr) => {
        impl $crate::db::ToValue for $type {
            const NULL: $crate::db::Value<'static> = $crate::db::Value::Int(None);
            fn to_value(&self) -> $crate::db::Value<'_> {
                let $to = *self;
                $crate::db::Value::Int(Some($number))
            }
        }
        $crate::db::read_through!($type, i64, |$from| $value);
    };
}
pub(crate) use kept_as_number;

/// Reads `$type` and `Option<$type>` by way of `$base`; `$value` is `None` for what cannot be.
macro_rules! read_through {
    ($type:ty, $base:ty, |$from:ident| $value:expr) => {
        impl $crate::db::FromColumn for Option<$type> {
            fn from_column(row: &$crate::db::Row<'_>, column: &'static str) -> Result<Self, $crate::StoreError> {
                let read: Option<$base> = row.get(column)?;
                let Some($from) = read else { return Ok(None) };
                let value: Option<$type> = $value;
                match value {
                    None => Err($crate::StoreError::corrupt(format!("column {column} holds an impossible value"))),
                    value => Ok(value),
                }
            }
        }

        impl $crate::db::FromColumn for $type {
            fn from_column(row: &$crate::db::Row<'_>, column: &'static str) -> Result<Self, $crate::StoreError> {
                Option::<$type>::from_column(row, column)?
                    .ok_or_else(|| $crate::StoreError::corrupt(format!("column {column} is empty")))
            }
        }
    };
}
pub(crate) use read_through;

/// An enum kept as one of a few words.
macro_rules! kept_as_word {
    ($type:ident { $($variant:ident = $word:literal),* $(,)? }) => {
        impl $type {
            /// The word it is stored and shown as.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl core::fmt::Display for $type {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.word())
            }
        }

        impl $crate::db::ToValue for $type {
            const NULL: $crate::db::Value<'static> = $crate::db::Value::Text(None);
            fn to_value(&self) -> $crate::db::Value<'_> {
                $crate::db::Value::Text(Some(self.word()))
            }
        }

        $crate::db::read_through!($type, String, |text| match text.as_str() {
            $($word => Some($type::$variant),)*
            _ => None,
        });
    };
}
pub(crate) use kept_as_word;

kept_as_number!(UnixMillis, |time| time.0, |number| Some(UnixMillis(number)));
kept_as_number!(GroupId, |gid| gid.0, |number| Some(GroupId(number)));
kept_as_number!(RunId, |run| run.0, |number| Some(RunId(number)));
kept_as_number!(Slot, |slot| slot.0, |number| Some(Slot(number)));
kept_as_number!(Attempt, |attempt| i64::from(attempt.0), |number| u32::try_from(number).ok().map(Attempt));
kept_as_number!(bool, |flag| i64::from(flag), |number| match number {
    0 => Some(false),
    1 => Some(true),
    _ => None,
});
kept_as_number!(u32, |number| i64::from(number), |number| u32::try_from(number).ok());
read_through!(u64, i64, |number| u64::try_from(number).ok());
read_through!([u8; 32], Vec<u8>, |bytes| bytes.try_into().ok());
read_through!(Fingerprint, String, |text| text.parse().ok());
read_through!(SessionId, String, |text| text.parse().ok());
