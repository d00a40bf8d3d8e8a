//! What a process says on standard output: to people, or to the program that started it.

use chassis::telemetry::Format;
use serde_json::json;
use std::net::SocketAddr;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Announce(pub(crate) Format);

impl Announce {
    /// A port is open.
    pub(crate) fn listening(self, what: &str, addr: SocketAddr) {
        match self.0 {
            Format::Json => println!("{}", json!({ "listening": what, "addr": addr.to_string() })),
            Format::Pretty => println!("{what:<10} http://{addr}"),
        }
    }

    /// All ports are open, and calls are answered.
    pub(crate) fn ready(self) {
        if self.0 == Format::Json {
            println!("{}", json!({ "ready": true }));
        }
    }

    /// The first start made a key. It is shown this once.
    pub(crate) fn first_key(self, key: &str, file: &str, gateway: SocketAddr) {
        match self.0 {
            Format::Json => println!("{}", json!({ "owner_key": key, "file": file })),
            Format::Pretty => println!(
                "\nThe key of your organisation's owner, shown this once and kept in {file}:\n\n  {key}\n\nTry:\n\n  \
                 grpcurl -plaintext {gateway} list\n  \
                 grpcurl -plaintext -H \"authorization: Bearer {key}\" -d '{{\"thing\": {{\"type\": \"product\", \"name\": \"Tea\"}}}}' \
                 {gateway} one.ontology.v1.ThingService/CreateThing\n"
            ),
        }
    }
}
