//! Reads that travel to a connection's thread together.
//!
//! A trip wakes that thread and then whoever asked, and costs more than a point read itself. So those who wait while all connections are
//! at work are taken together when one is free: reads of the same text make one trip.

use super::joined::{Joined, TOGETHER, copied};
use crate::engine::{
    bind::{Held, arguments},
    on::sql_str,
};
use futures::TryStreamExt;
use sqlx::{
    ConnectOptions, Connection, Either, Executor, SqlStr, SqliteConnection, query_with,
    sqlite::{SqliteArguments, SqliteConnectOptions, SqliteRow},
};
use std::{borrow::Cow, mem::take, sync::Arc};
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

type Rows = sqlx::Result<Vec<SqliteRow>>;

/// A read and who waits for it.
struct Asked {
    text: Cow<'static, str>,
    values: Vec<Held>,
    answer: oneshot::Sender<Rows>,
}

/// The line of those who want to read, and the tasks that serve it, each with a connection.
pub(crate) struct Trips {
    line: mpsc::Sender<Asked>,
    stop: CancellationToken,
    tasks: Mutex<JoinSet<()>>,
}

impl Trips {
    pub(super) fn start(options: &SqliteConnectOptions, connections: u32) -> Self {
        let (line, asked) = mpsc::channel(4 * TOGETHER);
        let (asked, stop, mut tasks) = (Arc::new(Mutex::new(asked)), CancellationToken::new(), JoinSet::new());
        for _ in 0..connections {
            let guide = Guide { options: options.clone(), asked: asked.clone(), connection: None };
            tasks.spawn(guide.run(stop.clone()));
        }
        Self { line, stop, tasks: Mutex::new(tasks) }
    }

    pub(crate) async fn rows(&self, text: Cow<'static, str>, values: Vec<Held>) -> Rows {
        let (answer, answered) = oneshot::channel();
        self.line.send(Asked { text, values, answer }).await.map_err(|_| sqlx::Error::PoolClosed)?;
        answered.await.map_err(|_| sqlx::Error::PoolClosed)?
    }

    pub(super) async fn close(&self) {
        self.stop.cancel();
        while self.tasks.lock().await.join_next().await.is_some() {}
    }
}

/// Takes them there and back.
struct Guide {
    options: SqliteConnectOptions,
    asked: Arc<Mutex<mpsc::Receiver<Asked>>>,
    connection: Option<SqliteConnection>,
}

impl Guide {
    async fn run(mut self, stop: CancellationToken) {
        while let Some(Some(asked)) = stop.run_until_cancelled(self.next()).await {
            for some in alike(asked) {
                self.take(some).await;
            }
        }
        if let Some(connection) = self.connection.take() {
            connection.close().await.ok();
        }
    }

    /// Those who wait by now.
    async fn next(&self) -> Option<Vec<Asked>> {
        let mut some = Vec::with_capacity(TOGETHER);
        let count = self.asked.lock().await.recv_many(&mut some, TOGETHER).await;
        (count > 0).then_some(some)
    }

    async fn take(&mut self, some: Vec<Asked>) {
        if some.len() > 1
            && let Ok(all) = self.together(&some).await
        {
            some.into_iter().zip(all).for_each(|(asked, rows)| drop(asked.answer.send(Ok(rows))));
            return;
        }
        for Asked { text, values, answer } in some {
            let rows = self.alone(text, values).await;
            answer.send(rows).ok();
        }
    }

    async fn alone(&mut self, text: Cow<'static, str>, values: Vec<Held>) -> Rows {
        let connection = self.connection().await?;
        let rows = connection.fetch_all(query_with(sql_str(text), arguments(values))).await;
        self.settle(rows)
    }

    /// The rows of each.
    async fn together(&mut self, some: &[Asked]) -> sqlx::Result<Vec<Vec<SqliteRow>>> {
        let mut joined = Joined::default();
        some.iter().for_each(|asked| joined.push(&asked.text, asked.values.len()));
        let values = copied(some.iter().flat_map(|asked| &asked.values));
        let rows = by_statement(self.connection().await?, joined.into_text(), values).await;
        self.settle(rows)
    }

    async fn connection(&mut self) -> sqlx::Result<&mut SqliteConnection> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.options.connect().await?,
        };
        Ok(self.connection.insert(connection))
    }

    /// After an error a connection is thrown away rather than judged.
    fn settle<T>(&mut self, result: sqlx::Result<T>) -> sqlx::Result<T> {
        if result.is_err() {
            self.connection = None;
        }
        result
    }
}

/// Cuts the line into reads of the same text, in numbers that are powers of two. Who has gone is left out.
fn alike(mut asked: Vec<Asked>) -> Vec<Vec<Asked>> {
    asked.retain(|asked| !asked.answer.is_closed());
    asked.sort_by(|a, b| a.text.cmp(&b.text));
    let mut cut = Vec::new();
    while let Some(Asked { text, .. }) = asked.first() {
        let same = asked.iter().take_while(|other| other.text == *text).count();
        let numbered = !text.contains('?');
        let size = if numbered { 1 << same.ilog2() } else { 1 };
        cut.push(asked.drain(..size).collect());
    }
    cut
}

async fn by_statement(connection: &mut SqliteConnection, text: SqlStr, values: SqliteArguments) -> sqlx::Result<Vec<Vec<SqliteRow>>> {
    let mut ends = connection.fetch_many(query_with(text, values));
    let (mut all, mut rows) = (Vec::new(), Vec::new());
    while let Some(end) = ends.try_next().await? {
        match end {
            Either::Right(row) => rows.push(row),
            Either::Left(_) => all.push(take(&mut rows)),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use sqlx::Row as _;

    fn asked(text: &'static str) -> (Asked, oneshot::Receiver<Rows>) {
        let (answer, answered) = oneshot::channel();
        (Asked { text: text.into(), values: Vec::new(), answer }, answered)
    }

    #[test]
    fn reads_of_one_text_are_cut_into_powers_of_two_and_who_has_gone_is_left_out() {
        let texts = ["b", "a", "b", "b", "c ?", "gone", "c ?", "b", "b"];
        let (line, mut waiting): (Vec<_>, Vec<_>) = texts.map(asked).into_iter().unzip();
        waiting.remove(5);
        let cut: Vec<(String, usize)> = alike(line).iter().map(|some| (some[0].text.to_string(), some.len())).collect();
        assert_eq!(cut, [("a".into(), 1), ("b".into(), 4), ("b".into(), 1), ("c ?".into(), 1), ("c ?".into(), 1)]);
    }

    #[tokio::test]
    async fn each_reader_of_a_shared_trip_gets_its_own_rows_and_its_own_error() {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteConnectOptions::new().filename(folder.path().join("a.db")).create_if_missing(true);
        let mut guide = Guide { options, asked: Arc::new(Mutex::new(mpsc::channel(1).1)), connection: None };
        let text =
            "with n (n) as (select 1 union all select 2 union all select 3) select n from n where n <= $1 and json('[' || $2 || ']') is not null";
        let read = |most: i64, number: &str| {
            let (answer, answered) = oneshot::channel();
            (Asked { text: text.into(), values: vec![Held::Int(most), Held::Text(number.to_owned())], answer }, answered)
        };
        for third in ["3", "not JSON"] {
            let (some, answers): (Vec<_>, Vec<_>) = [read(0, "1"), read(2, "2"), read(3, third), read(1, "4")].into_iter().unzip();
            guide.take(some).await;
            let mut told = Vec::new();
            for answer in answers {
                told.push(answer.await.unwrap().map(|rows| rows.iter().map(|row| row.get::<i64, _>(0)).collect::<Vec<_>>()).ok());
            }
            let expected = if third == "3" { Some(vec![1, 2, 3]) } else { None };
            assert_eq!(told, [Some(vec![]), Some(vec![1, 2]), expected, Some(vec![1])]);
        }
    }
}
