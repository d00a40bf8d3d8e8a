//! Values for `$n`: only types that mean the same on both engines.

use super::{At, Dialect};
use contract::id;
use serde::{Deserialize, Serialize};
use sqlx::{Arguments, postgres::PgArguments, sqlite::SqliteArguments};
use uuid::Uuid;

pub use sqlx::types::Json;

/// A value that both engines can bind.
///
/// A closed list instead of everything sqlx takes: a time type that sorts wrongly or a number that Postgres widens is a compile error.
pub trait Bind: Send {
    /// Its type in Postgres' words.
    const TYPE: &'static str;
    /// The next `$n`.
    fn bind(self, binds: &mut Binds);
    /// NULL of this type: Postgres refuses one of another.
    fn null(binds: &mut Binds);
}

/// The values of one statement.
#[derive(Debug)]
pub struct Binds {
    pub(crate) values: Values,
    pub(crate) count: usize,
    /// Their types, for who will EXPLAIN the statement.
    pub(crate) types: Option<Vec<&'static str>>,
}

#[derive(Debug)]
pub(crate) enum Values {
    Sqlite(Vec<Held>),
    Postgres(PgArguments),
}

/// A value for SQLite. sqlx's own list can't be joined to another one, as statements that run together must.
#[derive(Clone, Debug)]
pub(crate) enum Held {
    Null,
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    Id(Uuid),
    Json(Json<serde_json::Value>),
}

/// What sqlx takes.
pub(crate) fn arguments(values: Vec<Held>) -> SqliteArguments {
    let mut arguments = SqliteArguments::default();
    arguments.reserve(values.len(), 0);
    values.into_iter().for_each(|value| add(&mut arguments, value));
    arguments
}

/// The next one.
pub(crate) fn add(arguments: &mut SqliteArguments, value: Held) {
    match value {
        Held::Null => arguments.add(None::<i64>),
        Held::Int(number) => arguments.add(number),
        Held::Float(number) => arguments.add(number),
        Held::Text(text) => arguments.add(text),
        Held::Bytes(bytes) => arguments.add(bytes),
        Held::Id(id) => arguments.add(id),
        Held::Json(json) => arguments.add(json),
    }
    .expect("each of these types can be encoded");
}

impl Binds {
    pub(crate) fn new(dialect: Dialect, noted: bool) -> Self {
        let values = match dialect {
            Dialect::Sqlite => Values::Sqlite(Vec::new()),
            Dialect::Postgres => Values::Postgres(PgArguments::default()),
        };
        Self { values, count: 0, types: noted.then(Vec::new) }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match self.values {
            Values::Sqlite(_) => Dialect::Sqlite,
            Values::Postgres(_) => Dialect::Postgres,
        }
    }

    fn counted(&mut self, name: &'static str) {
        self.count += 1;
        if let Some(types) = &mut self.types {
            types.push(name);
        }
    }
}

macro_rules! bind {
    ($($kind:ty: $name:literal, $held:expr $(, for $life:lifetime)?);* $(;)?) => {$(
        impl $(<$life>)? Bind for $kind {
            const TYPE: &'static str = $name;
            fn bind(self, binds: &mut Binds) {
                binds.counted(Self::TYPE);
                match &mut binds.values {
                    Values::Sqlite(values) => values.push($held(self)),
                    Values::Postgres(values) => values.add(self).expect("each of these types can be encoded"),
                }
            }
            fn null(binds: &mut Binds) {
                binds.counted(Self::TYPE);
                match &mut binds.values {
                    Values::Sqlite(values) => values.push(Held::Null),
                    Values::Postgres(values) => values.add(None::<Self>).expect("NULL can be encoded"),
                }
            }
        }
    )*};
}

bind! {
    bool: "BOOLEAN", |truth| Held::Int(i64::from(truth));
    i64: "BIGINT", Held::Int;
    f64: "DOUBLE PRECISION", Held::Float;
    String: "TEXT", Held::Text;
    &'a str: "TEXT", |text: &str| Held::Text(text.to_owned()), for 'a;
    Vec<u8>: "BYTEA", Held::Bytes;
    &'a [u8]: "BYTEA", |bytes: &[u8]| Held::Bytes(bytes.to_vec()), for 'a;
    Uuid: "UUID", Held::Id;
    At: "TIMESTAMPTZ", |At(micros)| Held::Int(micros);
    Json<serde_json::Value>: "JSONB", Held::Json;
}

macro_rules! ids {
    ($($id:ident),* $(,)?) => {$(
        impl Bind for id::$id {
            const TYPE: &'static str = Uuid::TYPE;
            fn bind(self, binds: &mut Binds) {
                (*self).bind(binds);
            }
            fn null(binds: &mut Binds) {
                Uuid::null(binds);
            }
        }
    )*};
}

ids!(GroupId, ActorId, KeyId, ThingId, EventId);

impl<T: Bind> Bind for Option<T> {
    const TYPE: &'static str = T::TYPE;
    fn bind(self, binds: &mut Binds) {
        match self {
            Some(value) => value.bind(binds),
            None => T::null(binds),
        }
    }
    fn null(binds: &mut Binds) {
        T::null(binds);
    }
}

/// A value whose type is known at run time only: a literal of a filter, the key of a page's last row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// TEXT.
    Text(String),
    /// BIGINT.
    Int(i64),
    /// DOUBLE PRECISION.
    Float(f64),
    /// BOOLEAN.
    Bool(bool),
    /// UUID.
    Id(Uuid),
    /// TIMESTAMPTZ.
    At(i64),
}

impl Bind for Value {
    const TYPE: &'static str = String::TYPE;
    fn bind(self, binds: &mut Binds) {
        match self {
            Self::Text(text) => text.bind(binds),
            Self::Int(number) => number.bind(binds),
            Self::Float(number) => number.bind(binds),
            Self::Bool(truth) => truth.bind(binds),
            Self::Id(id) => id.bind(binds),
            Self::At(micros) => At(micros).bind(binds),
        }
    }
    fn null(binds: &mut Binds) {
        String::null(binds);
    }
}
