//! Rows of somebody else's database: read, never written. The measurements of an organisation stay where they are,
//! and its peer takes what is new.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, Column as _, ConnectOptions as _, Connection as _, Row as _, TypeInfo as _, ValueRef as _};
use tacit_model::UnixMillis;

use crate::Redacted;

/// A query may take so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was measured at a moment, in a foreign database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignRow {
    /// When.
    pub at: UnixMillis,
    /// Decimals as text, by the name of the column; a NULL is left out.
    pub values: Vec<(String, Redacted<String>)>,
}

/// Why nothing was read. Holds no data of the database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ForeignError {
    /// Not an address of a database.
    #[error("the url is sqlite:FILE or postgres://...")]
    Url,
    /// It cannot be reached, or lets nobody in.
    #[error("the database cannot be opened; look at the url, its user and its password")]
    Open,
    /// The same of a file, which has no user and no password.
    #[error(
        "the file of its url cannot be opened; look whether it is there, is a SQLite database, and may be read by this node"
    )]
    OpenFile,
    /// The query fails.
    #[error("the query fails ({0}); try it in the database's own shell, with a moment in milliseconds for $1")]
    Query(String),
    /// It takes too long.
    #[error("the query took longer than 60 s")]
    Slow,
    /// Not a moment in the first column.
    #[error("row {row}: the first column must be a moment: milliseconds since 1970, or RFC 3339 as text")]
    Moment {
        /// Counted from 1.
        row: usize,
    },
    /// A column of another type.
    #[error("row {row}: the column {column} is of type {kind}; cast it to bigint, double precision or text")]
    Type {
        /// Counted from 1.
        row: usize,
        /// Its name.
        column: String,
        /// What the database calls it.
        kind: String,
    },
}

/// A cell that was read.
enum Cell {
    Null,
    Whole(i64),
    Text(String),
    Other(String),
}

/// Runs a query whose `$1` is a moment in milliseconds: only what is newer is wanted. Its first column is the moment,
/// the others are series. At most so many rows, the oldest first. The connection is read-only and closes.
pub async fn read_foreign(
    url: &str,
    query: &str,
    after: UnixMillis,
    most: u32,
) -> Result<Vec<ForeignRow>, ForeignError> {
    tokio::time::timeout(PATIENCE, fetch(url, query, after, most)).await.unwrap_or(Err(ForeignError::Slow))
}

async fn fetch(url: &str, query: &str, after: UnixMillis, most: u32) -> Result<Vec<ForeignRow>, ForeignError> {
    let query = query.trim().trim_end_matches(';');
    let sql = AssertSqlSafe(format!("SELECT * FROM ({query}) AS measured ORDER BY 1 LIMIT {most}"));
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        let options = PgConnectOptions::from_str(url).map_err(|_| ForeignError::Url)?;
        let options = options.options([("default_transaction_read_only", "on")]);
        let mut connection = options.connect().await.map_err(|_| ForeignError::Open)?;
        let rows: Vec<PgRow> = sqlx::query(sql).bind(after.0).fetch_all(&mut connection).await.map_err(failed)?;
        let _closed = connection.close().await;
        return rows.iter().enumerate().map(|(index, row)| read(index + 1, row, postgres)).collect();
    }
    let file = url.strip_prefix("sqlite:").ok_or(ForeignError::Url)?;
    let options = SqliteConnectOptions::new().filename(file).read_only(true).create_if_missing(false);
    let mut connection = options.connect().await.map_err(|_| ForeignError::OpenFile)?;
    let rows: Vec<SqliteRow> = sqlx::query(sql).bind(after.0).fetch_all(&mut connection).await.map_err(failed)?;
    let _closed = connection.close().await;
    rows.iter().enumerate().map(|(index, row)| read(index + 1, row, sqlite)).collect()
}

fn read<R: sqlx::Row>(number: usize, row: &R, cell: fn(&R, usize) -> Cell) -> Result<ForeignRow, ForeignError> {
    let moment = ForeignError::Moment { row: number };
    let at = match (row.columns().is_empty(), row.columns().first().map(|_| cell(row, 0))) {
        (false, Some(Cell::Whole(millis))) => UnixMillis(millis),
        (false, Some(Cell::Text(text))) => UnixMillis::from_rfc3339(&text).ok_or(moment)?,
        _ => return Err(moment),
    };
    let mut values = Vec::new();
    for (index, column) in row.columns().iter().enumerate().skip(1) {
        let text = match cell(row, index) {
            Cell::Null => continue,
            Cell::Whole(number) => number.to_string(),
            Cell::Text(text) => text,
            Cell::Other(kind) => {
                return Err(ForeignError::Type { row: number, column: column.name().to_owned(), kind });
            }
        };
        values.push((column.name().to_owned(), Redacted(text)));
    }
    Ok(ForeignRow { at, values })
}

/// Reads a cell by what the database says it is; the types differ, the steps do not.
macro_rules! cell {
    ($row:expr, $index:expr, $($names:pat => $kind:ty as $make:expr),+ $(,)?) => {{
        let Ok(raw) = $row.try_get_raw($index) else { return Cell::Other("unknown".to_owned()) };
        if raw.is_null() {
            return Cell::Null;
        }
        let name = raw.type_info().name().to_owned();
        let read = match name.as_str() {
            $($names => $row.try_get::<$kind, _>($index).ok().map($make),)+
            _ => None,
        };
        read.unwrap_or(Cell::Other(name))
    }};
}

/// `NaN` and the like are left to whoever reads decimals.
fn decimal(value: f64) -> Cell {
    Cell::Text(format!("{value:.6}"))
}

fn sqlite(row: &SqliteRow, index: usize) -> Cell {
    cell!(row, index, "INTEGER" => i64 as Cell::Whole, "REAL" => f64 as decimal, "TEXT" => String as Cell::Text)
}

fn postgres(row: &PgRow, index: usize) -> Cell {
    cell!(
        row, index,
        "INT2" => i16 as |number| Cell::Whole(number.into()),
        "INT4" => i32 as |number| Cell::Whole(number.into()),
        "INT8" => i64 as Cell::Whole,
        "FLOAT4" => f32 as |number| decimal(number.into()),
        "FLOAT8" => f64 as decimal,
        "TEXT" | "VARCHAR" => String as Cell::Text,
    )
}

fn failed(error: sqlx::Error) -> ForeignError {
    // What the database says may quote data.
    let code = match &error {
        sqlx::Error::Database(fault) => fault.code().map(|code| format!("code {code}")),
        _ => None,
    };
    ForeignError::Query(code.unwrap_or_else(|| "the connection was lost".to_owned()))
}
