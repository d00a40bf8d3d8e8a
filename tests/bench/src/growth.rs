//! What a call costs among more tenants, and over more rows: the real binary, all in one on SQLite.
//!
//! Three meshes side by side, so that their rounds can be interleaved. Between the first two only the number of tenants differs, and between
//! the last two only how much each has.

use crate::{
    load::{self, Client, Figures},
    mesh::Mesh,
    tenants::{PAGE, Tenants},
};
use std::sync::Arc;

/// Interleaved; each is compared within itself, and the middle one counts: what else the machine does for a while meets neighbours alike.
const ROUNDS: usize = 15;
/// In each round. A fifth of them create a thing, so the last mesh begins with more than ten times the rows of the one before it, and has ten
/// times as many half-way.
const CALLS: usize = 4_000;

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
        load::whole(&self.clients, &self.tenants, CALLS, &self.mesh.process).await
    }
}

pub(crate) async fn print() {
    let (few, many, full) = (Grown::to(100, 10 * PAGE).await, Grown::to(1_000, PAGE).await, Grown::to(1_000, 13 * PAGE).await);
    let (mut tenants, mut rows) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (few, many, full) = (few.round().await, many.round().await, full.round().await);
        tenants.push((few, many));
        rows.push((many, full));
    }
    let (tenants, rows) = (middle(tenants), middle(rows));
    println!("{:<34} {:>10} {:>8} {:>8} {:>8}", "70 % get, 20 % create, 10 % list", "calls/s", "CPU µs", "ratio", "limit");
    for (name, (beside, of), limit) in [
        ("100 tenants, 20,000 things", (tenants.0, tenants.0), 1.0),
        ("1,000 tenants / 100", tenants, 1.15),
        ("20,000 things, 1,000 tenants", (rows.0, rows.0), 1.0),
        ("260,000 things / 20,000", rows, 1.3),
    ] {
        println!("{name:<34} {:>10.0} {:>8.1} {:>8.2} {limit:>8.2}", of.per_second, of.micros, of.micros / beside.micros);
    }
}

/// The round whose ratio is the middle one.
fn middle(mut rounds: Vec<(Figures, Figures)>) -> (Figures, Figures) {
    rounds.sort_by(|one, other| (one.1.micros / one.0.micros).total_cmp(&(other.1.micros / other.0.micros)));
    rounds[rounds.len() / 2]
}
