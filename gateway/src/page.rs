//! The few plain HTTP paths, and what is answered to everything that is no rpc.

use crate::{call::Call, layer::Router};
use bytes::Bytes;
use chassis::{admin::Readiness, serve::front::Speech};
use http::{Method, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::json;
use tonic::body::Body;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

const WELCOME: &str = "This is onemesh. It speaks gRPC and grpc-web here.

  grpcurl -plaintext HOST:PORT list
  grpcurl -plaintext -H \"authorization: Bearer $KEY\" HOST:PORT one.identity.v1.KeyService/GetCaller

Health: /livez, /readyz, grpc.health.v1.
";

/// The answer to a request that is not gRPC.
pub(crate) fn page(call: &Call, readiness: &Readiness) -> Response<Body> {
    let path = call.path();
    if Router::knows(path) {
        return not_grpc(call);
    }
    let reads = matches!(*call.request.method(), Method::GET | Method::HEAD);
    match path {
        "/" | "/livez" | "/readyz" if !reads => not_allowed("GET, HEAD"),
        "/" => answer(StatusCode::OK, TEXT, WELCOME),
        "/livez" => status(StatusCode::OK, "ok"),
        "/readyz" => match readiness.missing() {
            None => status(StatusCode::OK, "ok"),
            Some(missing) => status(StatusCode::SERVICE_UNAVAILABLE, &missing),
        },
        _ => not_found(call),
    }
}

fn status(code: StatusCode, status: &str) -> Response<Body> {
    answer(code, JSON, json!({ "status": status }).to_string())
}

/// An rpc, but not called as one.
fn not_grpc(call: &Call) -> Response<Body> {
    if call.request.method() != Method::POST {
        return not_allowed("POST");
    }
    let kind = "this is an rpc: send it with content-type application/grpc, application/grpc-web or application/grpc-web-text\n";
    answer(StatusCode::UNSUPPORTED_MEDIA_TYPE, TEXT, kind)
}

/// What a HEAD asks for. Over HTTP/2 hyper would send the body too, which is a protocol error.
pub(crate) fn as_asked(call: &Call, page: Response<Body>) -> Response<Body> {
    if call.request.method() == Method::HEAD { page.map(|_| Body::empty()) } else { page }
}

/// Another method than the path takes.
pub(crate) fn not_allowed(allowed: &'static str) -> Response<Body> {
    let mut answer = answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, format!("only {allowed} is allowed here\n"));
    answer.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static(allowed));
    answer
}

fn not_found(call: &Call) -> Response<Body> {
    let error = json!({
        "error": {
            "code": contract::Reason::MethodNotFound.word(),
            "message": "there is nothing at this path; GET / tells what there is",
            "statusCode": 404,
            "requestId": call.id.to_str().unwrap_or_default(),
            "details": [],
        }
    });
    answer(StatusCode::NOT_FOUND, JSON, error.to_string())
}

fn answer(code: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut answer = Response::new(Body::new(Full::new(body.into())));
    *answer.status_mut() = code;
    answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    answer
}

/// What the body speaks; `None` is a request for a page.
pub(crate) fn speech(call: &Call) -> Option<Speech> {
    match Speech::of(call.headers()) {
        Speech::Other => None,
        speech @ (Speech::Grpc | Speech::GrpcWeb | Speech::GrpcWebText) => Some(speech),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::layer::testing::call;
    use http_body_util::BodyExt;

    async fn get(method: Method, path: &str, readiness: &Readiness) -> (u16, String) {
        let mut call = call(path, &[]);
        call.id = "call-1".parse().unwrap();
        *call.request.method_mut() = method;
        let answer = page(&call, readiness);
        let code = answer.status().as_u16();
        (code, String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap())
    }

    #[tokio::test]
    async fn pages_answer_and_everything_else_is_not_found_in_the_form_of_rest() {
        let ready = Readiness::default();
        assert_eq!(get(Method::GET, "/livez", &ready).await, (200, r#"{"status":"ok"}"#.to_owned()));
        assert_eq!(get(Method::GET, "/readyz", &ready).await.0, 200);
        assert!(get(Method::GET, "/", &ready).await.1.contains("grpcurl"));
        assert_eq!(get(Method::POST, "/livez", &ready).await.0, 405);
        let (code, body) = get(Method::GET, "/nope", &ready).await;
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!((code, &body["error"]["code"], &body["error"]["statusCode"]), (404, &json!("METHOD_NOT_FOUND"), &json!(404)));
        assert_eq!(body["error"]["requestId"], json!("call-1"));
    }

    #[tokio::test]
    async fn readiness_is_lost_with_the_feed() {
        let ready = Readiness::default();
        let feed = ready.needs("the change feed");
        assert_eq!(get(Method::GET, "/readyz", &ready).await, (503, r#"{"status":"waiting for the change feed"}"#.to_owned()));
        feed.set(true);
        assert_eq!(get(Method::GET, "/readyz", &ready).await.0, 200);
        assert_eq!(get(Method::GET, "/livez", &ready).await.0, 200);
    }

    #[tokio::test]
    async fn an_rpc_that_is_not_called_as_one_is_told_so() {
        let ready = Readiness::default();
        for path in ["/one.ontology.v1.ThingService/GetThing", "/grpc.health.v1.Health/Check"] {
            assert_eq!(get(Method::GET, path, &ready).await.0, 405, "{path}");
            assert_eq!(get(Method::POST, path, &ready).await.0, 415, "{path}");
        }
        assert_eq!(get(Method::GET, "/one.internal.v1.LogService/Append", &ready).await.0, 404);
    }
}
