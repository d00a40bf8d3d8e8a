//! Redis: a server for each test that wants one.

use crate::tools;
use std::{
    fmt,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Mutex, PoisonError},
};

/// A running `redis-server` with nothing in it. It ends when this is dropped, or this process ends.
pub struct Redis {
    url: String,
    keeper: Child,
    orders: Mutex<Option<(ChildStdin, BufReader<ChildStdout>)>>,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Redis").field(&self.url).finish()
    }
}

impl Redis {
    /// Starts one.
    ///
    /// # Panics
    /// If it is not installed: `make test` does it.
    pub fn start() -> Redis {
        let mut keeper = Command::new(tools::repository().join("tests/redis"));
        let mut keeper = keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("tests/redis is there");
        let orders = keeper.stdin.take().expect("it is piped");
        let mut answers = BufReader::new(keeper.stdout.take().expect("it is piped"));
        let mut url = String::new();
        answers.read_line(&mut url).expect("tests/redis says where it listens");
        assert!(url.starts_with("redis://"), "tests/redis did not start: run tests/install");
        Redis { url: url.trim().to_owned(), keeper, orders: Mutex::new(Some((orders, answers))) }
    }

    /// Where it is, as `ONE_REDIS_URL` takes it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sends it a signal by name: `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        self.order(name);
    }

    /// kill -9.
    pub fn kill(&self) {
        self.order("stop");
    }

    /// Another one in its place, with nothing in it.
    pub fn start_again(&self) {
        self.order("start");
    }

    /// Asks it as an operator does.
    ///
    /// # Panics
    /// If it does not answer.
    pub fn ask(&self, words: &[&str]) -> String {
        let out = Command::new("redis-cli").args(["-u", &self.url]).args(words).output().expect("redis-cli comes with Redis");
        assert!(out.status.success(), "{words:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    fn order(&self, order: &str) {
        let mut pipes = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let (orders, answers) = pipes.as_mut().expect("it is taken when this is dropped");
        writeln!(orders, "{order}").expect("tests/redis lives as long as we do");
        let mut line = String::new();
        answers.read_line(&mut line).expect("an answer");
        assert_eq!(line, "done\n", "{order}");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.orders.get_mut().unwrap_or_else(PoisonError::into_inner).take());
        let _ = self.keeper.wait();
    }
}
