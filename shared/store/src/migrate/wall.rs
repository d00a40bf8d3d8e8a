//! The second wall of Postgres: row-level security on every table that has a `group_id`.
//!
//! It is built after every migration, so no table can be forgotten. It holds for a role that owns no table; the owner itself walks
//! through, which is why the two should differ (`owner_url`).

use super::{raw, sql};
use crate::{
    DbOptions, Dialect, Result,
    engine::{Transaction, postgres},
};

/// The groups the transaction named are read once per statement, not per row.
const POLICY: &str = "(select current_setting('one.group_ids', true)) = '*'
    or group_id = any ((select string_to_array(nullif(current_setting('one.group_ids', true), '*'), ',')::uuid[])::uuid[])";

pub(super) async fn build(transaction: &mut Transaction, options: &DbOptions) -> Result<()> {
    if transaction.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    for (table,) in open_tables(transaction, &options.schema).await? {
        let name = format!("{}.{}", options.schema, quoted(&table));
        raw(transaction, format!("alter table {name} enable row level security")).run().await?;
        raw(transaction, format!("create policy tenant on {name} using ({POLICY})")).run().await?;
    }
    if options.owner_url.is_some() {
        grant(transaction, options).await?;
    }
    Ok(())
}

/// Tables of tenants without a wall.
async fn open_tables(transaction: &mut Transaction, schema: &str) -> Result<Vec<(String,)>> {
    sql(
        transaction,
        "select c.table_name::text from information_schema.columns c
         join pg_tables t on t.schemaname = c.table_schema and t.tablename = c.table_name
         where c.table_schema = $1 and c.column_name = 'group_id' and not t.rowsecurity order by 1",
    )
    .bind(schema)
    .all()
    .await
}

/// The role that serves may read and write rows, nothing else.
async fn grant(transaction: &mut Transaction, options: &DbOptions) -> Result<()> {
    let serving = postgres::options(&options.url, &options.schema, options.limits)?;
    let (schema, role) = (&options.schema, quoted(serving.get_username()));
    for text in [
        format!("grant usage on schema {schema} to {role}"),
        format!("grant select, insert, update, delete on all tables in schema {schema} to {role}"),
        format!("revoke insert, update, delete on {schema}.schema_migration, {schema}.schema_secret from {role}"),
    ] {
        raw(transaction, text).run().await?;
    }
    Ok(())
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
