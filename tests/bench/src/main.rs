//! What a call costs, beside what it costs in stock tonic, in one run: `make bench`.
//!
//! Every figure is CPU time that the operating system counted for the server processes, divided by the calls of one client process with 64
//! callers over 4 connections. So it holds on a busy machine, where requests a second mean little. Ratios are between rows of the same run.
//!
//! `bench serve NAME` is a server for it; `bench` alone starts them one after the other, and the mesh itself, and prints the table;
//! `bench mesh`, `bench records`, `bench limits` and `bench pages` print their part.

mod echo;
mod known;
mod limits;
mod load;
mod mesh;
mod overload;
mod pages;
mod process;
mod records;
mod servers;
mod syncs;
mod table;

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
        ["overload"] => overload::print().await,
        ["limits"] => limits::print().await,
        _ => table::print().await,
    }
}
