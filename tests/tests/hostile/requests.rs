//! One request that is wrong in one way.

use super::reason;
use contract::Reason;
use http::{Method, StatusCode};
use tests::{
    Mesh, on_every_mesh,
    peer::{Kind, Peer, error},
    raw::{Answer, Raw, frame},
};
use tonic::Code;

const CALLER: &str = "/one.identity.v1.KeyService/GetCaller";

on_every_mesh![
    adv_cve_2026_33186_a_path_is_taken_as_it_is_written,
    a_window_beyond_all_bounds_resets_its_stream,
    what_is_not_grpc_is_refused_by_http,
    a_binary_header_that_is_not_base64_is_refused,
    a_frame_that_lies_is_refused,
    no_compression_is_taken_so_no_bomb_is,
    a_declared_length_is_believed_before_it_comes,
    metadata_over_the_limit_is_refused_with_a_status,
    metadata_far_over_the_limit_ends_the_connection,
];

async fn adv_cve_2026_33186_a_path_is_taken_as_it_is_written(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let mut peer = Peer::hello(mesh.gateway()).await;
    peer.call(1, &CALLER[1..], &[("x-api-key", tenant.key())]).await;
    let reset = peer.next_of(Kind::ResetStream).await.expect("the stream alone ends");
    assert_eq!((reset.stream, reset.error()), (1, error::PROTOCOL), "a path without a slash");
    for path in ["//one.identity.v1.KeyService/GetCaller", "/one.identity.v1.KeyService/%47etCaller", "/one.identity.v1.keyservice/GetCaller"] {
        let answer = Raw::call(path, frame(&[])).key(tenant.key()).http2(mesh.gateway()).await;
        assert_eq!((answer.code(), reason(&answer)), (Code::Unimplemented, Reason::MethodNotFound), "{path}");
    }
    for path in [&format!("{CALLER}/"), "/one.internal.v1.AccessService/ListChanges", "/one.identity.v1.KeyService/../KeyService/GetCaller"] {
        let answer = Raw::call(path, frame(&[])).key(tenant.key()).http2(mesh.gateway()).await;
        assert_eq!((answer.code(), reason(&answer)), (Code::Unimplemented, Reason::MethodNotFound), "{path}");
    }
}

async fn a_window_beyond_all_bounds_resets_its_stream(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let mut peer = Peer::hello(mesh.gateway()).await;
    peer.call(1, CALLER, &[("x-api-key", tenant.key())]).await; // and no message, so the stream stays open
    peer.send(Kind::WindowUpdate, 0, 1, &[0x7f, 0xff, 0xff, 0xff]).await;
    let reset = peer.next_of(Kind::ResetStream).await.expect("the stream alone ends");
    assert_eq!((reset.stream, reset.error()), (1, error::FLOW_CONTROL));
}

async fn what_is_not_grpc_is_refused_by_http(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    for kind in ["application/json", "text/plain", "application/grpcx", "application/x-protobuf"] {
        let answer = Raw::new(Method::POST, CALLER, frame(&[])).with("content-type", kind).key(tenant.key()).http2(mesh.gateway()).await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind}");
    }
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::HEAD, Method::OPTIONS] {
        let call = Raw::new(method.clone(), CALLER, frame(&[])).with("content-type", "application/grpc").key(tenant.key());
        let answer = call.http2(mesh.gateway()).await;
        assert_eq!((answer.status, answer.get("allow")), (StatusCode::METHOD_NOT_ALLOWED, "POST"), "{method}");
    }
}

async fn a_binary_header_that_is_not_base64_is_refused(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    for (value, code) in [("YQ==", Code::Ok), ("YQ", Code::Ok), ("YQ,Yg==", Code::Ok), ("?", Code::InvalidArgument), ("Y", Code::InvalidArgument)] {
        let answer = Raw::call(CALLER, frame(&[])).key(tenant.key()).with("x-trace-bin", value).http2(mesh.gateway()).await;
        assert_eq!(answer.code(), code, "{value}");
    }
}

async fn send(mesh: &Mesh, key: &str, body: &[u8], encoding: &str) -> Answer {
    let call = Raw::call(CALLER, body.to_vec()).key(key);
    let call = if encoding.is_empty() { call } else { call.with("grpc-encoding", encoding) };
    call.http2(mesh.gateway()).await
}

async fn a_frame_that_lies_is_refused(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    for (what, body) in [
        ("compressed, without saying how", &[1, 0, 0, 0, 0][..]),
        ("an unknown flag", &[7, 0, 0, 0, 0]),
        ("cut in its head", &[0, 0, 0]),
        ("cut in its message", &[0, 0, 0, 0, 9, 1]),
        ("no message", &[]),
    ] {
        let answer = send(&mesh, tenant.key(), body, "").await;
        assert!([Code::Internal, Code::InvalidArgument].contains(&answer.code()), "{what}: {answer:?}");
    }
}

async fn no_compression_is_taken_so_no_bomb_is(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    for encoding in ["br", "gzip", "deflate", "zstd", "snappy"] {
        let answer = send(&mesh, tenant.key(), &[1, 0, 0, 0, 2, 31, 139], encoding).await;
        assert_eq!(answer.code(), Code::Unimplemented, "{encoding}: {answer:?}");
    }
    assert_eq!(send(&mesh, tenant.key(), &frame(&[]), "identity").await.code(), Code::Ok);
}

async fn a_declared_length_is_believed_before_it_comes(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    for length in [(5 << 20), u32::MAX] {
        let body = [&[0][..], &length.to_be_bytes(), b"and little else"].concat();
        let answer = send(&mesh, tenant.key(), &body, "").await;
        assert_eq!((answer.code(), reason(&answer)), (Code::ResourceExhausted, Reason::MessageTooLarge), "{length}");
    }
}

async fn metadata_over_the_limit_is_refused_with_a_status(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    for kibibytes in [17, 33, 60] {
        let answer = Raw::call(CALLER, frame(&[])).key(tenant.key()).with("x-long", "y".repeat(kibibytes << 10)).http2(mesh.gateway()).await;
        assert_eq!((answer.code(), reason(&answer)), (Code::ResourceExhausted, Reason::MetadataTooLarge), "{kibibytes} KiB");
    }
}

async fn metadata_far_over_the_limit_ends_the_connection(mesh: Mesh) {
    const FRAME: usize = 16 << 10;
    for kibibytes in [100, 1_024] {
        let mut peer = Peer::hello(mesh.gateway()).await;
        let long = tests::peer::head(CALLER, &[("x-long", &"y".repeat(kibibytes << 10))]);
        let mut frames = long.chunks(FRAME);
        peer.send(Kind::Headers, 0, 1, frames.next().expect("a head")).await;
        for frame in frames {
            peer.send(Kind::Continuation, 0, 1, frame).await;
        }
        let ended = peer.end().await;
        assert!([Some(error::COMPRESSION), Some(error::CALM)].contains(&ended), "{kibibytes} KiB: {ended:?}");
    }
}
