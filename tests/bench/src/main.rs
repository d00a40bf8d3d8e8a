//! What a call costs, beside what it costs in stock tonic, in one run: `make bench`.
//!
//! A figure is CPU time that the operating system counted for the server processes, divided by the calls of one client process with 64
//! callers over 4 connections. So it holds on a busy machine, where requests a second mean little. Ratios are between rows of the same run.
//! Only `burst`, `durable`, `neighbour`, `overload` and `mixed` look at the clock, for there it is the time that somebody waits: they want a
//! machine to themselves.
//!
//! `bench serve NAME` is a server for it; `bench` alone starts them one after the other, and the mesh itself, and prints the table;
//! `bench mesh`, `bench records`, `bench limits`, `bench pages`, `bench burst`, `bench durable`, `bench growth`, `bench neighbour`, `bench
//! overload` and `bench mixed` print their part, the last one for as many seconds as are said behind it.

mod burst;
mod durable;
mod echo;
mod folder;
mod growth;
mod house;
mod known;
mod limits;
mod load;
mod mesh;
mod mixed;
mod neighbour;
mod overload;
mod pace;
mod pages;
mod process;
mod records;
mod servers;
mod syncs;
mod table;
mod tenants;

use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", what, ref rest @ ..] => servers::run(what, rest).await,
        ["mesh"] => mesh::print().await,
        ["pages"] => pages::print().await,
        ["records"] => records::print().await,
        ["limits"] => limits::print().await,
        ["burst"] => burst::print().await,
        ["durable"] => durable::print().await,
        ["growth"] => growth::print().await,
        ["neighbour"] => neighbour::print().await,
        ["overload"] => overload::print().await,
        ["mixed"] => mixed::print(mixed::TIME).await,
        ["mixed", seconds] => mixed::print(Duration::from_secs(seconds.parse().expect("a number of seconds"))).await,
        _ => table::print().await,
    }
}
