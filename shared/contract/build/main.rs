//! Compiles the protos without protoc, and writes what follows from their options: field rules, and two traits over requests.

mod requests;
mod rules;

use prost_reflect::{DescriptorPool, MessageDescriptor};
use std::{env, error::Error, fs, path::PathBuf};

const PROTOS: &str = "../../proto";
const FILES: &[&str] = &[
    "one/policy/v1/policy.proto",
    "one/policy/v1/reason.proto",
    "one/identity/v1/group.proto",
    "one/identity/v1/key.proto",
    "one/ontology/v1/thing.proto",
    "one/events/v1/event.proto",
    "one/events/v1/usage.proto",
    "one/internal/v1/principal.proto",
    "one/internal/v1/access.proto",
    "one/internal/v1/log.proto",
    "one/internal/v1/record.proto",
    "one/internal/v1/retention.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={PROTOS}");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut compiler = protox::Compiler::new([PROTOS])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(FILES)?;
    // The compiler's own bytes: prost drops options it does not know when it writes a set again.
    let descriptor = compiler.encode_file_descriptor_set();
    let pool = DescriptorPool::decode(descriptor.as_slice())?;
    fs::write(out.join("descriptor.bin"), descriptor)?;
    let ours: Vec<MessageDescriptor> = pool.all_messages().filter(|m| m.package_name().starts_with("one.") && !m.is_map_entry()).collect();
    fs::write(out.join("rules.rs"), rules::write(&pool, &ours)?)?;
    fs::write(out.join("requests.rs"), requests::write(&ours))?;

    let secret: Vec<&str> = ours.iter().filter(|message| requests::has_secrets(message)).map(MessageDescriptor::full_name).collect();
    tonic_prost_build::configure()
        .codec_path("crate::codec::CheckedCodec")
        .bytes(".one.internal.v1")
        .skip_debug(secret)
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

/// `one.ontology.v1.Thing` as the path of its Rust type.
fn rust_type(message: &MessageDescriptor) -> String {
    format!("crate::{}", message.full_name().replace('.', "::"))
}
