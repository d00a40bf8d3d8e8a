//! A real Redis for tests, and gateways that share it.

#![allow(clippy::unwrap_used)]

use super::{Decisions, Link, Policy};
use crate::limiter::{Limiter, Shared};
use chassis::{clock::Clock, telemetry::Metrics};
use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Long enough for a busy machine; what stands still is waited for this long.
const PATIENCE: Duration = Duration::from_secs(2);

/// A server with nothing in it, kept by `tests/redis`.
pub(crate) struct Server {
    keeper: Child,
    orders: Mutex<(Option<ChildStdin>, BufReader<std::process::ChildStdout>)>,
    url: String,
}

impl Server {
    fn start() -> Self {
        let mut keeper = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/redis"));
        let mut keeper = keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (orders, mut answers) = (keeper.stdin.take(), BufReader::new(keeper.stdout.take().unwrap()));
        let mut url = String::new();
        answers.read_line(&mut url).unwrap();
        assert!(url.starts_with("redis://"), "redis-server is installed: make test does it");
        Self { keeper, orders: Mutex::new((orders, answers)), url: url.trim().to_owned() }
    }

    fn order(&self, order: &str) {
        let (orders, answers) = &mut *self.orders.lock().unwrap();
        writeln!(orders.as_mut().unwrap(), "{order}").unwrap();
        let mut line = String::new();
        answers.read_line(&mut line).unwrap();
        assert_eq!(line, "done\n", "{order}");
    }

    pub(crate) fn signal(&self, name: &str) {
        self.order(name);
    }

    /// kill -9.
    pub(crate) fn stop(&self) {
        self.order("stop");
    }

    /// The same, and another one in its place, with nothing in it.
    pub(crate) fn restart(&self) {
        self.order("start");
    }

    /// Asks it as an operator does.
    pub(crate) fn ask(&self, words: &[&str]) -> String {
        let out = Command::new("redis-cli").args(["-u", &self.url]).args(words).output().unwrap();
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    /// Its minute does not end soon, nor its day.
    async fn is_calm(&self) {
        loop {
            let time = self.ask(&["TIME"]);
            let seconds: u64 = time.lines().next().unwrap().parse().unwrap();
            if seconds % 60 < 40 && seconds % 86_400 < 86_340 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.orders.get_mut().unwrap().0.take());
        let _ = self.keeper.wait();
    }
}

/// A Redis and whoever shares it.
pub(crate) struct House {
    pub(crate) server: Server,
    metrics: Metrics,
}

/// A gateway's half of it, running.
pub(crate) struct Gateway {
    pub(crate) link: Arc<Link>,
    pub(crate) limiter: Arc<Shared>,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Gateway {
    /// It drains.
    pub(crate) async fn end(self) {
        self.stop.cancel();
        self.running.await.unwrap();
    }
}

impl House {
    pub(crate) async fn open() -> Self {
        let server = Server::start();
        server.is_calm().await;
        Self { server, metrics: Metrics::default() }
    }

    pub(crate) async fn link(&self) -> Arc<Link> {
        Link::open(&self.server.url, PATIENCE, Decisions::new(&self.metrics.meter())).await.unwrap()
    }

    pub(crate) async fn gateway(&self, policy: Policy) -> Gateway {
        let (link, stop) = (self.link().await, CancellationToken::new());
        let limiter = Arc::new(Shared::new(link.clone(), policy, Clock::system()));
        let running = tokio::spawn({
            let (limiter, stop) = (limiter.clone(), stop.clone());
            async move { limiter.run(stop).await }
        });
        Gateway { link, limiter, stop, running }
    }

    /// How many such decisions the metrics tell of.
    pub(crate) fn away(&self, asked: &str, decided: &str) -> u64 {
        let page = self.metrics.render().unwrap();
        let wanted = [format!("asked=\"{asked}\""), format!("decided=\"{decided}\"")];
        let line = page.lines().find(|line| line.starts_with("gateway_redis_away_total{") && wanted.iter().all(|part| line.contains(part)));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_default()
    }
}

/// Waits for a condition.
pub(crate) async fn eventually<F: Future<Output = bool>>(holds: impl Fn() -> F) {
    while !holds().await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
