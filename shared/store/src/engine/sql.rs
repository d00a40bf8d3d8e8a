//! A statement: text, values, and where it runs.

use super::{Bind, Binds, Dialect, Error, On, Open, Record, Result, Row, Text, Texts, Value, Weight, bind::Values, on::TakeAll, sqlite::No};
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
        let mut rows = Vec::new();
        let mut take = |row: &Row<'_>| {
            rows.push(T::read(row)?);
            Ok(())
        };
        self.take_all(&mut take).await?;
        Ok(rows)
    }

    /// The one row there must be.
    ///
    /// # Errors
    /// There is none, the statement did not run, or the row could not be read.
    pub async fn one<T: Record>(self) -> Result<T> {
        Ok(self.opt().await?.ok_or(sqlx::Error::RowNotFound)?)
    }

    /// The row, if there is one.
    ///
    /// # Errors
    /// The statement did not run, or the row could not be read.
    pub async fn opt<T: Record>(self) -> Result<Option<T>> {
        let mut first = None;
        let mut take = |row: &Row<'_>| {
            if first.is_none() {
                first = Some(T::read(row)?);
            }
            Ok(())
        };
        self.take_all(&mut take).await?;
        Ok(first)
    }

    /// Runs it and counts the rows it changed.
    ///
    /// # Errors
    /// It did not run.
    pub async fn run(self) -> Result<u64> {
        self.take_all(&mut |_| Ok(())).await
    }

    async fn take_all(self, take: &mut TakeAll<'_>) -> Result<u64> {
        self.note();
        let _step = self.on.step();
        self.on.all(self.text, self.binds.values, take).await
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
        if let On::Transaction(transaction) = &mut self.on
            && let Open::Sqlite(turn) = transaction.open()
        {
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
    pub(crate) async fn bounded<T: Weight + Send>(self, bytes: usize, read: impl Fn(&Row<'_>) -> sqlx::Result<T> + Sync) -> Result<(Vec<T>, bool)> {
        self.note();
        let _step = self.on.step();
        let (mut rows, mut weight, mut cut) = (Vec::new(), 0, false);
        let mut take = |row: &Row<'_>| {
            let row = read(row)?;
            weight += row.weight();
            cut = weight > bytes && !rows.is_empty();
            if !cut {
                rows.push(row);
            }
            Ok(!cut)
        };
        self.on.each(self.text, self.binds.values, &mut take).await?;
        Ok((rows, cut))
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
