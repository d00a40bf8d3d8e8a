//! A schema of one table, and a request that writes into it.

use crate::{Db, Migration, NewEvent, Result, Target, Tx, migrate::BASE, record};
use chassis::principal::Principal;
use contract::{Mutation, Refusal, Role, Scopes, id::GroupId};
use futures::FutureExt;
use uuid::Uuid;

pub(crate) const MIGRATIONS: &[Migration] = &[
    BASE,
    Migration {
        version: 2,
        name: "note",
        min_reader: 0,
        sql: &[
            "CREATE TABLE note (group_id UUID NOT NULL, id UUID NOT NULL, text TEXT NOT NULL UNIQUE, revision BIGINT NOT NULL, PRIMARY KEY (group_id, id))",
        ],
    },
];

#[derive(Debug, PartialEq)]
pub(crate) struct Note {
    pub(crate) id: Uuid,
    pub(crate) text: String,
    pub(crate) revision: i64,
}
record!(Note { id, text, revision });

/// Makes a note.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Make {
    #[prost(string, tag = "1")]
    pub(crate) text: String,
    #[prost(string, tag = "2")]
    pub(crate) request_id: String,
    #[prost(bool, tag = "3")]
    pub(crate) validate_only: bool,
    /// How many there may be.
    #[prost(int64, tag = "4")]
    pub(crate) limit: i64,
}

impl Mutation for Make {
    const NAME: &'static str = "test.Make";
    fn request_id(&self) -> &str {
        &self.request_id
    }
    fn validate_only(&self) -> bool {
        self.validate_only
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Made {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(string, tag = "2")]
    pub(crate) text: String,
}

pub(crate) fn make(text: &str, request_id: &str) -> Make {
    Make { text: text.into(), request_id: request_id.into(), validate_only: false, limit: -1 }
}

pub(crate) fn group() -> GroupId {
    GroupId::new(1_700_000_000_000_000)
}

pub(crate) fn principal(group: GroupId) -> Principal {
    let mut principal = Principal::test(group, Role::GroupOwner, Scopes::default());
    principal.call_id = "call".into();
    principal.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into();
    principal
}

/// The handler, as a service would write it.
pub(crate) async fn create(principal: &Principal, tx: &mut Tx, input: Make) -> Result<Made, Refusal> {
    tx.count("notes", principal.group, 1, input.limit).await?;
    let id = Uuid::new_v4();
    tx.sql("insert into note (group_id, id, text, revision) values ($1, $2, $3, 1)")
        .bind(principal.group)
        .bind(id)
        .bind(input.text.as_str())
        .run()
        .await?;
    tx.emit(NewEvent { group: principal.group, kind: "note_created", target: Target { kind: "note", id, revision: 1 }, metadata: None })?;
    Ok(Made { id: id.to_string(), text: input.text })
}

pub(crate) async fn send(db: &Db, principal: &Principal, input: Make) -> Result<Made, Refusal> {
    db.change(principal, input, |principal, tx, input| create(principal, tx, input).boxed()).await
}

/// Puts a note into an open transaction.
pub(crate) async fn put(tx: &mut Tx, group: GroupId, text: &str) -> Result<u64> {
    let sql = tx.sql("insert into note (group_id, id, text, revision) values ($1, $2, $3, 1)");
    sql.bind(group).bind(Uuid::new_v4()).bind(text).run().await
}

/// The notes of a group, in order.
pub(crate) async fn notes(db: &Db, group: GroupId) -> Vec<String> {
    let rows: Vec<Note> = db.group(group).sql("select * from note where group_id = $1 order by text").bind(group).all().await.unwrap();
    rows.into_iter().map(|note| note.text).collect()
}

/// Rows of a table of the store's own.
pub(crate) async fn rows(db: &Db, text: &'static str) -> i64 {
    let row: (i64,) = db.system("test").sql(text).one().await.unwrap();
    row.0
}
