//! Which statements would read a whole table.

use crate::{DbOptions, Dialect, Text};
use serde_json::Value;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection, Row, SqliteConnection, postgres::PgConnectOptions, sqlite::SqliteConnectOptions,
};
use std::path::Path;

/// One line for each of them.
pub(super) async fn scans(texts: &[Text], options: &DbOptions) -> Vec<String> {
    match options.url.strip_prefix("sqlite:") {
        Some(folder) => {
            let file = Path::new(folder).join(&options.schema).with_extension("db");
            let bytewise = |left: &str, right: &str| left.as_bytes().cmp(right.as_bytes());
            let connect = SqliteConnectOptions::new().filename(file).read_only(true).collation("C", bytewise);
            sqlite(texts, connect.connect().await.expect("the file opens")).await
        }
        None => {
            let url = options.owner_url.as_deref().unwrap_or(&options.url);
            let connect: PgConnectOptions = url.parse().expect("a URL of Postgres");
            let settings = [("search_path", options.schema.as_str()), ("enable_seqscan", "off"), ("plan_cache_mode", "force_generic_plan")];
            postgres(texts, connect.options(settings).connect().await.expect("the server answers")).await
        }
    }
}

async fn sqlite(texts: &[Text], mut connection: SqliteConnection) -> Vec<String> {
    let mut found = Vec::new();
    for text in texts.iter().filter(|text| text.dialect == Dialect::Sqlite).flat_map(|text| text.text.split("; ")) {
        let plan = sqlx::query(AssertSqlSafe(format!("explain query plan {text}"))).fetch_all(&mut connection).await;
        for row in plan.unwrap_or_else(|error| panic!("{text}: {error}")) {
            let step: String = row.get("detail");
            if reads_all(&step) {
                found.push(format!("SQLite: {step}: {text}"));
            }
        }
    }
    connection.close().await.ok();
    found
}

/// `SCAN thing`, with or without an index, reads all of it; scans of subqueries, constants and JSON are bounded by what they stand on.
fn reads_all(step: &str) -> bool {
    let Some(what) = step.strip_prefix("SCAN ") else { return false };
    !(what.starts_with('(')
        || what.contains("CONSTANT ROW")
        || what.contains("VALUES CLAUSE")
        || what.contains("VIRTUAL TABLE")
        || what.starts_with("page")
        || what.contains("SUBQUERY"))
}

async fn postgres(texts: &[Text], mut connection: PgConnection) -> Vec<String> {
    // The one table that is empty now and long a moment later, when the log is away: statistics of it are never of today.
    sqlx::raw_sql("analyze outbox").execute(&mut connection).await.expect("the owner may");
    let mut found = Vec::new();
    for text in texts.iter().filter(|text| text.dialect == Dialect::Postgres) {
        let plan = plan(text, &mut connection).await.unwrap_or_else(|error| panic!("{}: {error}", text.text));
        whole(&plan[0]["Plan"], &mut |node| found.push(format!("Postgres: {node}: {}", text.text)));
    }
    connection.close().await.ok();
    found
}

async fn plan(text: &Text, connection: &mut PgConnection) -> sqlx::Result<Value> {
    let (types, nulls) = match text.types.len() {
        0 => (String::new(), String::new()),
        count => (format!("({})", text.types.join(", ")), format!("({})", vec!["null"; count].join(", "))),
    };
    let prepare = format!("deallocate all; prepare asked {types} as {}", text.text);
    sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut *connection).await?;
    let explain = format!("explain (format json) execute asked {nulls}");
    let row = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_one(&mut *connection).await?;
    row.try_get::<sqlx::types::Json<Value>, _>(0).map(|plan| plan.0)
}

/// Nodes that read a table without a condition on an index.
fn whole(node: &Value, found: &mut impl FnMut(String)) {
    let kind = node["Node Type"].as_str().unwrap_or_default();
    let scans = match kind {
        "Seq Scan" => true,
        "Index Scan" | "Index Only Scan" | "Bitmap Index Scan" => node["Index Cond"].is_null(),
        _ => false,
    };
    if scans {
        found(format!("{kind} on {}", node["Relation Name"].as_str().unwrap_or("an index")));
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        whole(child, found);
    }
}
