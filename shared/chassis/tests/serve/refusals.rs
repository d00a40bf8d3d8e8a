//! What is refused, and how.

use chassis::serve::Limits;
use contract::Reason;
use http::StatusCode;
use tonic::Code;

use crate::client::{CHECK, Client, EMPTY, post, request};
use crate::server::Server;

const GRPC: (&str, &str) = ("content-type", "application/grpc");

#[tokio::test]
async fn only_post_of_grpc_is_answered() {
    let server = Server::start(Limits::public()).await;
    let client = Client::connect(server.addr).await;
    for (method, headers, status) in [
        ("GET", &[GRPC][..], StatusCode::METHOD_NOT_ALLOWED),
        ("GET", &[], StatusCode::METHOD_NOT_ALLOWED),
        ("POST", &[("content-type", "application/json")], StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("POST", &[], StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ] {
        let answer = client.call(request(method, CHECK, headers), EMPTY).await;
        assert_eq!(answer.http, status, "{method} {headers:?}");
        assert_eq!(answer.headers.get("allow").is_some(), method == "GET");
    }
    let answer = client.call(post(CHECK, &[]), EMPTY).await;
    assert_eq!((answer.http, answer.code()), (StatusCode::OK, Code::Ok));
    assert_eq!(answer.body, [0, 0, 0, 0, 2, 8, 1], "SERVING");
}

#[tokio::test]
async fn headers_that_lie_are_refused_with_their_reason() {
    let server = Server::start(Limits::public()).await;
    let client = Client::connect(server.addr).await;
    let long = "x".repeat(17 << 10);
    for (headers, reason) in [
        (("grpc-timeout", "-5S"), Reason::InvalidMetadata),
        (("grpc-timeout", "123456789S"), Reason::InvalidMetadata),
        (("one-test-bin", "not base64!"), Reason::InvalidMetadata),
        (("one-test", long.as_str()), Reason::MetadataTooLarge),
        (("grpc-timeout", "0n"), Reason::DeadlineExceeded),
    ] {
        let (answer, _stream) = client.begin(post(CHECK, &[headers])).await;
        crate::client::Answer::read(answer).await.assert_refused(reason);
    }
    let answer = client.call(post(CHECK, &[("grpc-timeout", "5S"), ("one-test-bin", "YQ, YWI=")]), EMPTY).await;
    assert_eq!(answer.code(), Code::Ok);
}

#[tokio::test]
async fn a_message_that_is_none_is_refused_without_our_fields_names() {
    let server = Server::start(Limits::public()).await;
    let client = Client::connect(server.addr).await;
    for body in [&[0, 0, 0, 0, 3, 10, 1, 0xff][..], &[0, 0, 0, 0, 2, 0xff, 0xff]] {
        let answer = client.call(post(CHECK, &[]), body).await;
        answer.assert_refused(Reason::InvalidMessage); // fails if prost changes the sentence we recognise
        assert!(!answer.status().message().contains("service"), "{:?}", answer.status());
    }
}

#[tokio::test]
async fn a_message_longer_than_the_limit_is_refused_from_its_length() {
    let server = Server::start(Limits::public()).await;
    let client = Client::connect(server.addr).await;
    for length in [(4_u32 << 20) + 1, u32::MAX] {
        let (answer, mut stream) = client.begin(post(CHECK, &[])).await;
        stream.send_data([&[0][..], &length.to_be_bytes()].concat().into(), false).unwrap();
        crate::client::Answer::read(answer).await.assert_refused(Reason::MessageTooLarge);
    }
}

#[tokio::test]
async fn paths_are_taken_as_they_are_written() {
    let server = Server::start(Limits::public()).await;
    let client = Client::connect(server.addr).await;
    for path in ["//grpc.health.v1.Health/Check", "/grpc.health.v1.Health/%43heck", "/grpc.health.v1.Health/Check/", "/GRPC.health.v1.Health/Check"] {
        assert_eq!(client.call(post(path, &[]), EMPTY).await.code(), Code::Unimplemented, "{path}");
    }
}
