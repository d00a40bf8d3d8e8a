//! The run: each server in turn, and the table.

use crate::{
    burst, durable, growth, limits,
    load::{self, Call, Figures},
    mesh, mixed, neighbour, overload, pages,
    process::Process,
    records,
    servers::{self, KEY},
};

/// Calls of one measurement. Enough for two seconds on one core of a small machine.
const CALLS: usize = 60_000;
/// Rounds, interleaved, of which the cheapest counts: what else runs on the machine only ever adds.
const ROUNDS: usize = 5;
const ID: &str = "0199a0d2-7a5c-7000-8000-000000000001";

/// A row: what it is, its figures, and the limit it is held to.
struct Row {
    name: &'static str,
    figures: Figures,
    ratio: f64,
    limit: f64,
}

pub(crate) async fn print() {
    println!("64 callers, 4 connections; CPU of the servers, the least of {ROUNDS} rounds of {CALLS} calls\n");
    echoes().await;
    println!();
    mesh::print().await;
    println!();
    records::print().await;
    println!();
    limits::print().await;
    println!();
    pages::print().await;
    println!();
    burst::print().await;
    println!();
    durable::print().await;
    println!();
    growth::print().await;
    println!();
    mixed::print(mixed::TIME).await;
    println!();
    overload::print().await;
    println!();
    neighbour::print().await;
}

/// The same echo behind stock tonic, our listener, and the gateway in one process and in two.
async fn echoes() {
    let stock = servers::start("stock", &[]);
    let ours = servers::start("ours", &[]);
    let gateway = servers::start("gateway", &[]);
    let service = servers::start("service", &[]);
    let split = servers::start("split", &[&service.addr]);
    let rows: [(&str, Vec<&Process>); 4] = [
        ("stock tonic", vec![&stock]),
        ("serve()", vec![&ours]),
        ("gateway in process", vec![&gateway]),
        ("gateway + service", vec![&split, &service]),
    ];
    let mut measured: Vec<Vec<Figures>> = vec![Vec::new(); rows.len()];
    for _ in 0..ROUNDS {
        for (row, (_, processes)) in rows.iter().enumerate() {
            let clients = load::clients(&processes[0].addr).await;
            measured[row].push(load::run(&clients, KEY, &Call::Get(ID.to_owned()), CALLS, processes).await);
        }
    }
    let least: Vec<Figures> = measured.into_iter().map(least).collect();
    let beside = |row: usize, other: usize| least[row].micros / least[other].micros;
    println!("{:<22} {:>10} {:>8} {:>8} {:>8}", "echo of 200 bytes", "calls/s", "CPU µs", "ratio", "limit");
    for row in [
        Row { name: rows[0].0, figures: least[0], ratio: 1.0, limit: 1.0 },
        Row { name: "serve() / stock", figures: least[1], ratio: beside(1, 0), limit: 1.2 },
        Row { name: "gateway / serve()", figures: least[2], ratio: beside(2, 1), limit: 1.4 },
        Row { name: "split / stock", figures: least[3], ratio: beside(3, 0), limit: 4.0 },
    ] {
        println!("{:<22} {:>10.0} {:>8.1} {:>8.2} {:>8.2}", row.name, row.figures.per_second, row.figures.micros, row.ratio, row.limit);
    }
}

pub(crate) fn least(rounds: Vec<Figures>) -> Figures {
    rounds.into_iter().min_by(|a, b| a.micros.total_cmp(&b.micros)).expect("there were rounds")
}
