//! A statement: text, values, and where it runs.

use super::{
    Bind, Binds, Dialect, Engine, Error, Open, Record, Result, Row, Scope, Text, Texts, Transaction, Value, Weight,
    bind::{Values, arguments},
    postgres,
    sqlite::{No, Readers},
};
use futures::TryStreamExt;
use sqlx::{AssertSqlSafe, PgPool, SqlSafeStr, SqlStr, query_with};
use std::{borrow::Cow, fmt::Write as _, mem::replace};

/// A statement that is being written. Its text is made of literals only; every value is bound.
///
/// The text is the same on both engines, with `$1`, `$2`, … for the values in the order in which they are bound.
#[must_use = "a statement does nothing until it is run"]
pub struct Sql<'c> {
    on: On<'c>,
    text: Cow<'static, str>,
    binds: Binds,
    texts: Option<&'c Texts>,
}

/// Where a statement runs.
pub(crate) enum On<'c> {
    Readers(&'c Readers),
    /// Alone on a connection: it sees all rows.
    Pool(&'c PgPool),
    /// In a transaction of its own, behind the wall.
    Walled(&'c PgPool, Scope),
    Transaction(&'c mut Transaction),
}

impl<'c> On<'c> {
    /// To read with, outside any transaction.
    pub(crate) fn engine(engine: &'c Engine, scope: Scope) -> Self {
        match (engine, scope) {
            (Engine::Sqlite(sqlite), _) => Self::Readers(&sqlite.readers),
            (Engine::Postgres(pool), Scope::System(why)) => {
                tracing::trace!(why, "a read of all rows");
                Self::Pool(pool)
            }
            (Engine::Postgres(pool), scope) => Self::Walled(pool, scope),
        }
    }

    fn dialect(&self) -> Dialect {
        match self {
            Self::Readers(_) => Dialect::Sqlite,
            Self::Pool(_) | Self::Walled(..) => Dialect::Postgres,
            Self::Transaction(transaction) => transaction.dialect(),
        }
    }
}

/// The one place where the engines fork.
macro_rules! run {
    ($self:ident, |$on:ident, $query:ident| $body:expr) => {{
        $self.note();
        let text = sql_str($self.text);
        match ($self.on, $self.binds.values) {
            (On::Readers(readers), Values::Sqlite(values)) => {
                let mut reader = readers.get().await?;
                let result = {
                    let ($on, $query) = (reader.connection()?, query_with(text, arguments(values)));
                    $body
                };
                reader.settle(result)
            }
            (On::Pool($on), Values::Postgres(values)) => {
                let $query = query_with(text, values);
                Ok($body?)
            }
            (On::Walled(pool, scope), Values::Postgres(values)) => {
                let mut transaction = postgres::begin(pool, "BEGIN READ ONLY", &scope).await?;
                let ($on, $query) = (&mut *transaction, query_with(text, values));
                Ok($body?) // dropped: the ROLLBACK goes out with the pool's own ping, nobody waits for it
            }
            (On::Transaction(transaction), values) => {
                transaction.settle().await?;
                if replace(&mut transaction.spoiled, true) {
                    return Err(Error::Spoiled);
                }
                let result = match (&mut transaction.open, values) {
                    (Open::Sqlite(turn), Values::Sqlite(values)) => {
                        let mut slot = turn.loan().await?.slot().lock().await;
                        let ($on, $query) = (slot.as_mut().ok_or(Error::Expired)?, query_with(text, arguments(values)));
                        $body
                    }
                    (Open::Postgres(open), Values::Postgres(values)) => {
                        let ($on, $query) = (&mut **open, query_with(text, values));
                        $body
                    }
                    _ => unreachable!("values are made for the engine"),
                };
                transaction.spoiled = !matches!(result, Ok(_) | Err(sqlx::Error::RowNotFound));
                Ok(result?)
            }
            _ => unreachable!("values are made for the engine"),
        }
    }};
}

impl<'c> Sql<'c> {
    pub(crate) fn new(on: On<'c>, text: impl Into<Cow<'static, str>>, texts: Option<&'c Texts>) -> Self {
        let binds = Binds::new(on.dialect(), texts.is_some());
        Self { on, text: text.into(), binds, texts }
    }

    /// Where it will run; for the few texts that have to differ.
    pub fn dialect(&self) -> Dialect {
        self.binds.dialect()
    }

    /// The value of the next `$n`.
    pub fn bind(mut self, value: impl Bind) -> Self {
        value.bind(&mut self.binds);
        self
    }

    /// More text.
    pub fn push(mut self, text: &'static str) -> Self {
        self.text.to_mut().push_str(text);
        self
    }

    /// `text $n` when there is a value: conditions that a request may leave out.
    pub fn when(self, text: &'static str, value: Option<impl Bind>) -> Self {
        match value {
            Some(value) => self.push(text).push(" ").value(value),
            None => self,
        }
    }

    /// The next `$n` and its value.
    pub fn value(mut self, value: impl Bind) -> Self {
        let next = self.binds.count + 1;
        write!(self.text.to_mut(), "${next}").expect("a String takes everything");
        self.bind(value)
    }

    /// Text that was put together from literals, with values numbered as they stand in `values`: a compiled filter.
    pub(crate) fn composed(mut self, text: &str, values: impl IntoIterator<Item = Value>) -> Self {
        self.text.to_mut().push_str(text);
        values.into_iter().fold(self, Self::bind)
    }

    /// `(..), (..)` for many rows of so many values each. They must be the only values of the statement, and [`powers`](super::powers)
    /// should cut them.
    ///
    /// SQLite gets `?`: it keeps `$n` as names in a list that it and sqlx walk for each value, which is quadratic (500 events: 83 µs each
    /// instead of 22).
    pub fn rows<T>(mut self, rows: &[T], width: usize, bind: impl Fn(Self, &T) -> Self) -> Self {
        debug_assert_eq!(self.binds.count, 0, "rows are the only values of their statement");
        let dialect = self.dialect();
        let text = self.text.to_mut();
        text.reserve(rows.len() * (width * 4 + 4));
        for place in 0..rows.len() * width {
            text.push_str(match (place % width, place) {
                (0, 0) => "(",
                (0, _) => "), (",
                _ => ", ",
            });
            match dialect {
                Dialect::Sqlite => text.push('?'),
                Dialect::Postgres => write!(text, "${}", place + 1).expect("a String takes everything"),
            }
        }
        text.push(')');
        rows.iter().fold(self, bind)
    }

    /// All rows.
    ///
    /// # Errors
    /// The statement did not run, or a row could not be read.
    pub async fn all<T: Record>(self) -> Result<Vec<T>> {
        run!(self, |on, query| query.fetch_all(on).await.and_then(|rows| rows.iter().map(|row| T::read(&row.into())).collect()))
    }

    /// The one row there must be.
    ///
    /// # Errors
    /// There is none, the statement did not run, or the row could not be read.
    pub async fn one<T: Record>(self) -> Result<T> {
        run!(self, |on, query| query.fetch_one(on).await.and_then(|row| T::read(&(&row).into())))
    }

    /// The row, if there is one.
    ///
    /// # Errors
    /// The statement did not run, or the row could not be read.
    pub async fn opt<T: Record>(self) -> Result<Option<T>> {
        run!(self, |on, query| query.fetch_optional(on).await.and_then(|row| row.map(|row| T::read(&(&row).into())).transpose()))
    }

    /// Runs it and counts the rows it changed.
    ///
    /// # Errors
    /// It did not run.
    pub async fn run(self) -> Result<u64> {
        run!(self, |on, query| query.execute(on).await.map(|done| done.rows_affected()))
    }

    /// Runs it before the next statement of the transaction, or its COMMIT.
    ///
    /// On SQLite all that is put off so runs together, in one trip to the connection's thread: the trips are most of what a change costs
    /// there. On Postgres it runs at once.
    ///
    /// # Errors
    /// It did not run.
    pub async fn later(self) -> Result<()> {
        self.put_off(None).await
    }

    /// As [`Sql::later`]; when it changes no row, `no` says why the change is refused.
    ///
    /// # Errors
    /// It did not run, or what `no` says.
    pub(crate) async fn later_or(self, no: impl FnOnce() -> Error + Send + 'static) -> Result<()> {
        self.put_off(Some(Box::new(no))).await
    }

    async fn put_off(mut self, no: Option<No>) -> Result<()> {
        if let On::Transaction(Transaction { open: Open::Sqlite(turn), .. }) = &mut self.on {
            let Values::Sqlite(values) = replace(&mut self.binds.values, Values::Sqlite(Vec::new())) else {
                unreachable!("values are made for the engine")
            };
            turn.put_off(&self.text, values, no);
            self.note();
            return Ok(());
        }
        match (self.run().await?, no) {
            (0, Some(no)) => Err(no()),
            _ => Ok(()),
        }
    }

    /// Rows until the next one would no longer fit into so many bytes; at least one, if there is one.
    ///
    /// # Errors
    /// The statement did not run, or a row could not be read.
    pub async fn page<T: Record + Weight>(self, bytes: usize) -> Result<Vec<T>> {
        self.bounded(bytes, T::read).await.map(|(rows, _)| rows)
    }

    /// As [`Sql::page`], with a reader of its own; true when rows were left out.
    pub(crate) async fn bounded<T: Weight>(self, bytes: usize, read: impl Fn(&Row<'_>) -> sqlx::Result<T>) -> Result<(Vec<T>, bool)> {
        run!(self, |on, query| {
            let mut stream = query.fetch(on);
            let (mut rows, mut weight) = (Vec::new(), 0);
            loop {
                match stream.try_next().await {
                    Ok(None) => break Ok((rows, false)),
                    Err(error) => break Err(error),
                    Ok(Some(row)) => match read(&(&row).into()) {
                        Err(error) => break Err(error),
                        Ok(row) => {
                            weight += row.weight();
                            if weight > bytes && !rows.is_empty() {
                                break Ok((rows, true));
                            }
                            rows.push(row);
                        }
                    },
                }
            }
        })
    }

    fn note(&self) {
        debug_assert!(
            highest(&self.text) == self.binds.count || self.text.contains('?'),
            "{} values for: {} (SQLite would read a missing one as NULL)",
            self.binds.count,
            self.text
        );
        if let Some(texts) = self.texts {
            let types = self.binds.types.clone().unwrap_or_default();
            texts.note(Text { dialect: self.dialect(), text: self.text.to_string(), types });
        }
    }
}

/// The highest `$n` of a text.
fn highest(text: &str) -> usize {
    let numbers = text.split('$').skip(1).map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default());
    numbers.filter_map(|number| number.parse().ok()).max().unwrap_or_default()
}

/// Literals stay what they are; only a text that was put together is allocated.
fn sql_str(text: Cow<'static, str>) -> SqlStr {
    match text {
        Cow::Borrowed(text) => text.into_sql_str(),
        Cow::Owned(text) => AssertSqlSafe(text).into_sql_str(),
    }
}

impl<'r> From<&'r sqlx::sqlite::SqliteRow> for Row<'r> {
    fn from(row: &'r sqlx::sqlite::SqliteRow) -> Self {
        Self::Sqlite(row)
    }
}

impl<'r> From<&'r sqlx::postgres::PgRow> for Row<'r> {
    fn from(row: &'r sqlx::postgres::PgRow) -> Self {
        Self::Postgres(row)
    }
}
