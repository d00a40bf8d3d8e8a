//! Which requests speak gRPC, by method and content type only.

use http::{HeaderMap, Method, Request, Response, StatusCode, header};

/// The language of a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// `application/grpc`, also with `+proto`.
    Grpc,
    /// `application/grpc-web`, also with `+proto`.
    GrpcWeb,
    /// `application/grpc-web-text`, also with `+proto`.
    GrpcWebText,
    /// Anything else, or nothing.
    Other,
}

impl Speech {
    /// What the content type says.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let kind = headers.get(header::CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
        let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii_end();
        match kind.strip_suffix(b"+proto").unwrap_or(kind) {
            b"application/grpc" => Self::Grpc,
            b"application/grpc-web" => Self::GrpcWeb,
            b"application/grpc-web-text" => Self::GrpcWebText,
            _ => Self::Other,
        }
    }
}

/// How a port that speaks only gRPC answers this request without a look at it: 405 for another method than POST, 415
/// for another content type. `None`: it is gRPC.
#[must_use]
pub fn refuse<B>(request: &Request<B>) -> Option<StatusCode> {
    if request.method() != Method::POST {
        return Some(StatusCode::METHOD_NOT_ALLOWED);
    }
    (Speech::of(request.headers()) != Speech::Grpc).then_some(StatusCode::UNSUPPORTED_MEDIA_TYPE)
}

/// The answer of that status.
pub(super) fn refused<B: Default>(status: StatusCode) -> Response<B> {
    let mut answer = Response::new(B::default());
    *answer.status_mut() = status;
    if status == StatusCode::METHOD_NOT_ALLOWED {
        answer.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("POST"));
    }
    answer
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_content_type_decides_what_is_spoken() {
        for (kind, speech) in [
            ("application/grpc", Speech::Grpc),
            ("application/grpc+proto", Speech::Grpc),
            ("application/grpc ; charset=utf-8", Speech::Grpc),
            ("application/grpc-web", Speech::GrpcWeb),
            ("application/grpc-web+proto", Speech::GrpcWeb),
            ("application/grpc-web-text", Speech::GrpcWebText),
            ("application/grpc-web-text+proto", Speech::GrpcWebText),
            ("application/grpc+json", Speech::Other),
            ("application/grpcx", Speech::Other),
            ("application/json", Speech::Other),
            ("", Speech::Other),
        ] {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, kind.parse().unwrap())]);
            assert_eq!(Speech::of(&headers), speech, "{kind}");
        }
        assert_eq!(Speech::of(&HeaderMap::new()), Speech::Other);
    }

    #[test]
    fn a_port_of_grpc_refuses_other_methods_and_types() {
        for (method, kind, expected) in [
            ("POST", "application/grpc", None),
            ("GET", "application/grpc", Some(StatusCode::METHOD_NOT_ALLOWED)),
            ("OPTIONS", "", Some(StatusCode::METHOD_NOT_ALLOWED)),
            ("POST", "application/json", Some(StatusCode::UNSUPPORTED_MEDIA_TYPE)),
            ("POST", "application/grpc-web", Some(StatusCode::UNSUPPORTED_MEDIA_TYPE)),
        ] {
            let request = Request::builder().method(method).header("content-type", kind).body(()).unwrap();
            assert_eq!(refuse(&request), expected, "{method} {kind}");
        }
    }
}
