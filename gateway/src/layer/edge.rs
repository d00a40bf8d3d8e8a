//! grpc-web and CORS for browsers, and the few pages. From here on every request names an rpc in gRPC's own form.

use crate::{
    call::{Call, Inbound},
    page::{as_asked, not_allowed, page, speech},
    record::Transport,
    stack::{Answer, Layer, Next},
};
use chassis::{admin::Readiness, serve::front::Speech};
use contract::Refusal;
use http::{HeaderName, HeaderValue, Method, Request, header};
use std::{fmt, mem, time::Duration};
use tonic::body::Body;
use tonic_web::GrpcWebLayer;
use tower::{Layer as _, ServiceExt, service_fn};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

/// What a page of another origin may read of an answer.
const EXPOSED: [&str; 9] = [
    "grpc-status",
    "grpc-message",
    "grpc-status-details-bin",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "x-request-id",
    "traceparent",
    "content-type",
];

/// The layer. What is neither from a browser nor grpc-web passes it untouched.
pub struct Edge {
    cors: CorsLayer,
    readiness: Readiness,
}

/// An origin that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadOrigin(String);

impl fmt::Display for BadOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not an origin: write scheme://host[:port], as in https://app.example.com, or * alone", self.0)
    }
}

impl std::error::Error for BadOrigin {}

impl Edge {
    /// Pages of these origins may call, with credentials; `*` alone lets in all, but never with credentials.
    ///
    /// # Errors
    /// What is no origin, and `*` among others.
    pub fn new(origins: &[String], readiness: Readiness) -> Result<Self, BadOrigin> {
        let cors = CorsLayer::new()
            .allow_methods([Method::GET, Method::POST])
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(EXPOSED.map(HeaderName::from_static))
            .max_age(Duration::from_secs(3_600));
        let cors = match origins {
            [any] if any == "*" => cors.allow_origin(tower_http::cors::Any),
            listed => {
                let listed: Vec<HeaderValue> = listed.iter().map(|text| origin(text)).collect::<Result<_, _>>()?;
                cors.allow_credentials(!listed.is_empty()).allow_origin(AllowOrigin::list(listed))
            }
        };
        Ok(Self { cors, readiness })
    }

    /// A request in gRPC's own form goes on; everything else is a page.
    async fn plain(&self, call: &mut Call, next: &impl Next) -> Answer {
        match speech(call) {
            None => Ok(as_asked(call, page(call, &self.readiness))),
            Some(_) if call.request.method() != Method::POST => Ok(as_asked(call, not_allowed("POST"))),
            Some(_) => next.call(call).await,
        }
    }

    /// Through tower's own layers, which take the request; the call gets it back on the way in.
    async fn browser(&self, call: &mut Call, next: &impl Next) -> Answer {
        let (request, web) = (mem::take(&mut call.request).map(Inbound::into_body), call.transport == Transport::GrpcWeb);
        let mut once = Some(call);
        let inner = service_fn(move |request: Request<Body>| {
            let call = once.take(); // a service may be called again; this one is made for one call
            async move {
                let call = call.ok_or_else(|| Refusal::internal("one request was answered twice"))?;
                call.request = request.map(Inbound::Boxed);
                self.plain(call, next).await
            }
        });
        if web {
            return self.cors.layer(GrpcWebLayer::new().layer(inner)).oneshot(request).await;
        }
        self.cors.layer(inner).oneshot(request).await
    }
}

/// tonic-web knows the types without parameters only.
fn without_parameters(speech: Speech) -> HeaderValue {
    HeaderValue::from_static(match speech {
        Speech::GrpcWebText => "application/grpc-web-text+proto",
        Speech::GrpcWeb => "application/grpc-web+proto",
        Speech::Grpc | Speech::Other => "application/grpc",
    })
}

fn origin(text: &str) -> Result<HeaderValue, BadOrigin> {
    let bad = || BadOrigin(text.to_owned());
    let (scheme, host) = text.split_once("://").ok_or_else(bad)?;
    let complete = matches!(scheme, "http" | "https") && !host.is_empty() && !host.contains(['/', '*', ' ', '?', '#', '@', ',']);
    complete.then(|| HeaderValue::from_str(text).ok()).flatten().ok_or_else(bad)
}

impl Layer for Edge {
    async fn call(&self, call: &mut Call, next: &impl Next) -> Answer {
        if let Some(speech @ (Speech::GrpcWeb | Speech::GrpcWebText)) = speech(call) {
            call.transport = Transport::GrpcWeb;
            call.request.headers_mut().insert(header::CONTENT_TYPE, without_parameters(speech));
            return Box::pin(self.browser(call, next)).await;
        }
        if call.headers().contains_key(header::ORIGIN) {
            return Box::pin(self.browser(call, next)).await;
        }
        self.plain(call, next).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::layer::testing::{answer_with_trailers, call, text};
    use base64::{Engine, prelude::BASE64_STANDARD};
    use http::{HeaderMap, Response};
    use http_body_util::{BodyExt, Full};
    use tonic::Status;

    const GET: &str = "/one.ontology.v1.ThingService/GetThing";
    const HOME: &str = "https://app.example.com";

    fn edge(origins: &[&str]) -> Edge {
        let origins: Vec<String> = origins.iter().map(|origin| (*origin).to_owned()).collect();
        Edge::new(&origins, Readiness::default()).unwrap()
    }

    async fn send(edge: &Edge, method: Method, headers: &[(&'static str, &str)], body: &[u8]) -> Response<Body> {
        let mut call = call(GET, headers);
        *call.request.method_mut() = method;
        *call.request.body_mut() = Inbound::Boxed(Body::new(Full::from(body.to_vec())));
        let echo = |call: &mut Call| -> Answer {
            assert_eq!(text(call.headers(), "content-type"), "application/grpc");
            Ok(answer_with_trailers(b"\0\0\0\0\x01a", Some(&Status::ok("")), None))
        };
        edge.call(&mut call, &echo).await.unwrap()
    }

    #[tokio::test]
    async fn grpc_passes_and_other_methods_and_types_do_not() {
        let edge = edge(&[]);
        for (method, kind, status) in [
            (Method::POST, "application/grpc", 200),
            (Method::POST, "application/grpc-web; charset=utf-8", 200),
            (Method::POST, "application/json", 415),
            (Method::GET, "application/grpc", 405),
            (Method::GET, "text/html", 405),
            (Method::GET, "application/grpc-web", 405),
            (Method::OPTIONS, "application/grpc", 405),
        ] {
            let answer = send(&edge, method.clone(), &[("content-type", kind)], b"").await;
            assert_eq!(answer.status(), status, "{method} {kind}");
        }
    }

    #[tokio::test]
    async fn grpc_web_has_its_trailers_in_the_body_binary_or_text() {
        let edge = edge(&[]);
        let answer = send(&edge, Method::POST, &[("content-type", "application/grpc-web+proto")], b"\0\0\0\0\0").await;
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(bytes.starts_with(b"\0\0\0\0\x01a\x80"), "{bytes:?}");
        let headers = [("content-type", "application/grpc-web-text"), ("accept", "application/grpc-web-text")];
        let answer = send(&edge, Method::POST, &headers, b"AAAAAAA=").await;
        let read = answer.into_body().collect().await.unwrap().to_bytes();
        let decoded: Vec<u8> = read.split_inclusive(|byte| *byte == b'=').flat_map(|part| BASE64_STANDARD.decode(part).unwrap()).collect();
        assert!(decoded.starts_with(b"\0\0\0\0\x01a\x80"), "{decoded:?}");
    }

    async fn preflight(edge: &Edge, origin: &str) -> HeaderMap {
        let asked = [("origin", origin), ("access-control-request-method", "POST"), ("access-control-request-headers", "x-api-key,x-grpc-web")];
        let answer = send(edge, Method::OPTIONS, &asked, b"").await;
        assert_eq!(answer.status(), 200);
        answer.headers().clone()
    }

    #[tokio::test]
    async fn listed_origins_may_call_with_credentials_and_others_may_not_read() {
        let edge = edge(&[HOME]);
        let headers = preflight(&edge, HOME).await;
        assert_eq!(text(&headers, "access-control-allow-origin"), HOME);
        assert_eq!(text(&headers, "access-control-allow-credentials"), "true");
        assert_eq!(text(&headers, "access-control-allow-headers"), "x-api-key,x-grpc-web");
        assert!(!preflight(&edge, "https://evil.example.com").await.contains_key("access-control-allow-origin"));
        let answer = send(&edge, Method::POST, &[("origin", HOME), ("content-type", "application/grpc-web")], b"\0\0\0\0\0").await;
        let exposed = text(answer.headers(), "access-control-expose-headers");
        for name in EXPOSED {
            assert!(exposed.split(',').any(|part| part == name), "{name}");
        }
    }

    #[tokio::test]
    async fn a_star_lets_in_all_without_credentials() {
        let headers = preflight(&edge(&["*"]), "https://anybody.example.com").await;
        assert_eq!(text(&headers, "access-control-allow-origin"), "*");
        assert!(!headers.contains_key("access-control-allow-credentials"));
    }

    #[test]
    fn what_is_no_origin_is_refused_at_the_start() {
        for origins in [&["app.example.com"][..], &["https://"], &["https://a/b"], &["*", HOME], &["https://*.example.com"], &["ftp://a"], &[""]] {
            let origins: Vec<String> = origins.iter().map(|origin| (*origin).to_owned()).collect();
            assert!(Edge::new(&origins, Readiness::default()).is_err(), "{origins:?}");
        }
    }
}
