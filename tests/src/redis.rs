//! Redis: a server for each test that wants one.

use crate::orders::Orders;
use std::process::Command;

/// A running `redis-server` with nothing in it. It ends when this is dropped, or this process ends.
#[derive(Debug)]
pub struct Redis(Orders);

impl Redis {
    /// Starts one.
    ///
    /// # Panics
    /// If it is not installed: `make test` does it.
    pub fn start() -> Redis {
        Redis(Orders::to("tests/redis", &[], "redis://"))
    }

    /// Where it is, as `ONE_REDIS_URL` takes it.
    pub fn url(&self) -> &str {
        self.0.said()
    }

    /// Lets in only who says this, until it is started again; where it is, with the password.
    pub fn protect(&self, password: &str) -> String {
        self.ask(&["config", "set", "requirepass", password]);
        self.url().replace("redis://", &format!("redis://:{password}@"))
    }

    /// Sends it a signal by name: `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        self.0.order(name);
    }

    /// kill -9.
    pub fn kill(&self) {
        self.0.order("stop");
    }

    /// Another one in its place, with nothing in it.
    pub fn start_again(&self) {
        self.0.order("start");
    }

    /// Asks it as an operator does.
    ///
    /// # Panics
    /// If it does not answer.
    pub fn ask(&self, words: &[&str]) -> String {
        let out = Command::new("redis-cli").args(["-u", self.url()]).args(words).output().expect("redis-cli comes with Redis");
        assert!(out.status.success(), "{words:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }
}
