//! Rows: read once for both engines, by the name or the place of a column.

use super::{At, Json};
use contract::id;
use sqlx::{Row as _, ValueRef, postgres::PgRow, sqlite::SqliteRow};
use uuid::Uuid;

/// A row of either engine.
#[derive(Clone, Copy)]
pub enum Row<'r> {
    #[doc(hidden)]
    Sqlite(&'r SqliteRow),
    #[doc(hidden)]
    Postgres(&'r PgRow),
}

impl<'r> From<&'r SqliteRow> for Row<'r> {
    fn from(row: &'r SqliteRow) -> Self {
        Self::Sqlite(row)
    }
}

impl<'r> From<&'r PgRow> for Row<'r> {
    fn from(row: &'r PgRow) -> Self {
        Self::Postgres(row)
    }
}

impl Row<'_> {
    /// The value of a column, by its name or its place.
    ///
    /// # Errors
    /// There is no such column, or it holds another type.
    pub fn get<'c, T: Field>(&self, column: impl Into<Column<'c>>) -> sqlx::Result<T> {
        T::get(self, column.into())
    }
}

/// Names a column of a row.
#[derive(Clone, Copy, Debug)]
pub enum Column<'c> {
    /// As the statement calls it.
    Name(&'c str),
    /// Counted from 0.
    Place(usize),
}

impl<'c> From<&'c str> for Column<'c> {
    fn from(name: &'c str) -> Self {
        Self::Name(name)
    }
}

impl From<usize> for Column<'_> {
    fn from(place: usize) -> Self {
        Self::Place(place)
    }
}

/// A type that a column can be read into.
pub trait Field: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// There is no such column, or it holds another type.
    fn get(row: &Row<'_>, column: Column<'_>) -> sqlx::Result<Self>;
}

macro_rules! fields {
    ($($kind:ty),* $(,)?) => {$(
        impl Field for $kind {
            fn get(row: &Row<'_>, column: Column<'_>) -> sqlx::Result<Self> {
                match (row, column) {
                    (Row::Sqlite(row), Column::Name(name)) => row.try_get(name),
                    (Row::Sqlite(row), Column::Place(place)) => row.try_get(place),
                    (Row::Postgres(row), Column::Name(name)) => row.try_get(name),
                    (Row::Postgres(row), Column::Place(place)) => row.try_get(place),
                }
            }
        }
    )*};
}

fields!(bool, i64, f64, String, Vec<u8>, Uuid, At, Json<serde_json::Value>);

macro_rules! ids {
    ($($id:ident),* $(,)?) => {$(
        impl Field for id::$id {
            fn get(row: &Row<'_>, column: Column<'_>) -> sqlx::Result<Self> {
                Uuid::get(row, column).map(id::$id)
            }
        }
    )*};
}

ids!(GroupId, ActorId, KeyId, ThingId, EventId);

impl<T: Field> Field for Option<T> {
    fn get(row: &Row<'_>, column: Column<'_>) -> sqlx::Result<Self> {
        let null = match (row, column) {
            (Row::Sqlite(row), Column::Name(name)) => row.try_get_raw(name)?.is_null(),
            (Row::Sqlite(row), Column::Place(place)) => row.try_get_raw(place)?.is_null(),
            (Row::Postgres(row), Column::Name(name)) => row.try_get_raw(name)?.is_null(),
            (Row::Postgres(row), Column::Place(place)) => row.try_get_raw(place)?.is_null(),
        };
        if null { Ok(None) } else { T::get(row, column).map(Some) }
    }
}

/// What a row is read into: tuples by place, structs by name through [`record!`](crate::record).
pub trait Record: Sized + Send {
    /// Reads it.
    ///
    /// # Errors
    /// A column is missing, or holds another type.
    fn read(row: &Row<'_>) -> sqlx::Result<Self>;
}

macro_rules! tuples {
    ($(($($kind:ident $place:literal),+)),* $(,)?) => {$(
        impl<$($kind: Field + Send),+> Record for ($($kind,)+) {
            fn read(row: &Row<'_>) -> sqlx::Result<Self> {
                Ok(($(row.get::<$kind>($place)?,)+))
            }
        }
    )*};
}

tuples! {
    (A 0),
    (A 0, B 1),
    (A 0, B 1, C 2),
    (A 0, B 1, C 2, D 3),
    (A 0, B 1, C 2, D 3, E 4),
    (A 0, B 1, C 2, D 3, E 4, F 5),
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6),
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7),
}

/// Reads rows into a struct: each field from the column of its name, or of the one given after `:`.
///
/// ```
/// use store::{At, record};
///
/// struct Thing {
///     id: uuid::Uuid,
///     kind: String,
///     archive_time: Option<At>,
/// }
/// record!(Thing { id, kind: "type", archive_time });
/// ```
#[macro_export]
macro_rules! record {
    ($record:ident { $($field:ident $(: $column:literal)?),+ $(,)? }) => {
        impl $crate::Record for $record {
            fn read(row: &$crate::Row<'_>) -> ::core::result::Result<Self, $crate::sqlx::Error> {
                Ok(Self { $($field: row.get($crate::record!(@ $field $($column)?))?),+ })
            }
        }
    };
    (@ $field:ident) => { stringify!($field) };
    (@ $field:ident $column:literal) => { $column };
}
