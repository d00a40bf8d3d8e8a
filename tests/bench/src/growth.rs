//! What a call costs among more tenants, and over more rows: the real binary, all in one on SQLite.
//!
//! Three meshes side by side, so that their rounds can be interleaved. Between the first two only the number of tenants differs, and between
//! the last two only how much each has.

use crate::{
    load::{self, Client, Figures},
    mesh::Mesh,
    table::least,
    tenants::{PAGE, Tenants},
};
use std::sync::Arc;

/// Interleaved, of which the cheapest counts.
const ROUNDS: usize = 5;
/// In each round. Few, for a fifth of them create a thing, and the last mesh is to have ten times the rows of the others to the end.
const CALLS: usize = 10_000;

/// A mesh with its tenants, and connections to it.
struct Grown {
    mesh: Mesh,
    tenants: Arc<Tenants>,
    clients: Vec<Client>,
}

impl Grown {
    async fn to(tenants: usize, things: usize) -> Grown {
        let mesh = Mesh::start();
        let tenants = Arc::new(Tenants::make(&mesh, tenants, things).await);
        let clients = load::clients(&mesh.process.addr).await;
        Grown { mesh, tenants, clients }
    }

    async fn round(&self) -> Figures {
        load::measure(&self.clients, &self.tenants, CALLS, &[&self.mesh.process]).await
    }
}

pub(crate) async fn print() {
    let meshes = [Grown::to(100, 10 * PAGE).await, Grown::to(1_000, PAGE).await, Grown::to(1_000, 10 * PAGE).await];
    let mut measured: [Vec<Figures>; 3] = Default::default();
    for _ in 0..ROUNDS {
        for (measured, grown) in measured.iter_mut().zip(&meshes) {
            measured.push(grown.round().await);
        }
    }
    let [few, many, full] = measured.map(least);
    println!("{:<34} {:>10} {:>8} {:>8} {:>8}", "70 % get, 20 % create, 10 % list", "calls/s", "CPU µs", "ratio", "limit");
    for (name, of, beside, limit) in
        [("100 tenants, 20,000 things", few, few, 1.0), ("1,000 tenants / 100", many, few, 1.15), ("200,000 things / 20,000", full, many, 1.3)]
    {
        println!("{name:<34} {:>10.0} {:>8.1} {:>8.2} {limit:>8.2}", of.per_second, of.micros, of.micros / beside.micros);
    }
}
