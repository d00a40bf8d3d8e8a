//! What it costs to count in Redis instead of in the gateway, and what a wrong guess costs.

use crate::{
    load::{self, Call, Figures},
    process::Process,
    servers::{self, KEY},
    table::least,
};

const ROUNDS: usize = 3;
const CALLS: usize = 60_000;
const ID: &str = "0199a0d2-7a5c-7000-8000-000000000001";

/// The same gateway with the same four windows a call, counted here and there.
pub(crate) async fn print() {
    let redis = Process::redis();
    let memory = servers::start("gateway", &[]);
    let shared = servers::start("shared", &[&format!("redis://{}", redis.addr)]);
    let rows: [Vec<&Process>; 3] = [vec![&memory], vec![&shared], vec![&shared, &redis]];
    let mut measured: Vec<Vec<Figures>> = vec![Vec::new(); rows.len()];
    for _ in 0..ROUNDS {
        for (row, processes) in rows.iter().enumerate() {
            let clients = load::clients(&processes[0].addr).await;
            measured[row].push(load::run(&clients, KEY, &Call::Get(ID.to_owned()), CALLS, processes).await);
        }
    }
    let least: Vec<Figures> = measured.into_iter().map(least).collect();
    println!("{:<34} {:>10} {:>8} {:>8} {:>8}", "four windows a call", "calls/s", "CPU µs", "more", "limit");
    for (name, of, limit) in
        [("counted in memory", least[0], ""), ("in Redis, CPU of the gateway", least[1], "60"), ("in Redis, with CPU of Redis", least[2], "")]
    {
        let more = of.micros - least[0].micros;
        println!("{name:<34} {:>10.0} {:>8.1} {more:>8.1} {limit:>8}", of.per_second, of.micros);
    }
}
