//! Rows of somebody else's database.

use tacit_model::UnixMillis;
use tacit_store::{ForeignError, Redacted, read_foreign};

use crate::{Fixture, on_both};

on_both!(foreign_rows_are_read, foreign_databases_are_not_written);

async fn foreign_rows_are_read(f: &Fixture) {
    let query = "SELECT * FROM (
            SELECT CAST(2000 AS BIGINT) AS at, CAST(21.5 AS DOUBLE PRECISION) AS temperature, CAST(NULL AS TEXT) AS note
            UNION ALL SELECT CAST(1000 AS BIGINT), CAST(-3 AS DOUBLE PRECISION), CAST('7' AS TEXT)
        ) AS m WHERE at > $1;";
    let values = |pairs: &[(&str, &str)]| -> Vec<(String, Redacted<String>)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), Redacted((*value).to_owned()))).collect()
    };
    let rows = read_foreign(&f.address, query, UnixMillis(0), 10).await.unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (rows[0].at, &rows[0].values),
        (UnixMillis(1000), &values(&[("temperature", "-3.000000"), ("note", "7")]))
    );
    assert_eq!((rows[1].at, &rows[1].values), (UnixMillis(2000), &values(&[("temperature", "21.500000")])));
    assert_eq!(read_foreign(&f.address, query, UnixMillis(1000), 10).await.unwrap().len(), 1);
    assert_eq!(read_foreign(&f.address, query, UnixMillis(0), 1).await.unwrap()[0].at, UnixMillis(1000));

    let text = "SELECT CAST('1970-01-01T00:00:05Z' AS TEXT) AS at, CAST(1 AS BIGINT) AS x WHERE CAST(5 AS BIGINT) > $1";
    assert_eq!(read_foreign(&f.address, text, UnixMillis(0), 10).await.unwrap()[0].at, UnixMillis(5000));
    // Whoever reads decimals says what is none; the row does not stop the others.
    let infinite = if f.address.starts_with("postgres") { "CAST('Infinity' AS DOUBLE PRECISION)" } else { "9e999" };
    let infinite = format!("SELECT CAST(1 AS BIGINT) AS at, {infinite} AS x WHERE CAST(5 AS BIGINT) > $1");
    assert_eq!(
        read_foreign(&f.address, &infinite, UnixMillis(0), 10).await.unwrap()[0].values,
        values(&[("x", "inf")])
    );
    let soon = "SELECT CAST('soon' AS TEXT) AS at, CAST(1 AS BIGINT) AS x WHERE CAST(5 AS BIGINT) > $1";
    assert_eq!(read_foreign(&f.address, soon, UnixMillis(0), 10).await, Err(ForeignError::Moment { row: 1 }));
    assert!(matches!(read_foreign(&f.address, "nonsense", UnixMillis(0), 10).await, Err(ForeignError::Query(_))));
    assert_eq!(read_foreign("mysql://nowhere", query, UnixMillis(0), 10).await, Err(ForeignError::Url));
    let nowhere = "sqlite:/nowhere/at/all.db";
    assert_eq!(read_foreign(nowhere, query, UnixMillis(0), 10).await, Err(ForeignError::OpenFile));
    assert!(!ForeignError::OpenFile.to_string().contains("password"), "a file has none");
}

async fn foreign_databases_are_not_written(f: &Fixture) {
    for query in [
        "DELETE FROM schema_version RETURNING version AS at",
        "SELECT 1 AS at) AS m; DELETE FROM schema_version; SELECT * FROM (SELECT 1 AS at",
    ] {
        assert!(read_foreign(&f.address, query, UnixMillis(0), 10).await.is_err(), "{query}");
    }
    let query = "SELECT CAST(count(*) AS BIGINT) AS at FROM schema_version WHERE CAST(5 AS BIGINT) > $1";
    assert!(read_foreign(&f.address, query, UnixMillis(0), 10).await.unwrap()[0].at > UnixMillis(0));
}
