//! Names of headers that several parts of the mesh read. Made once: a name given as text is parsed, folded and hashed at each look.

use http::HeaderName;

/// The call's id, the client's own or the gateway's.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// W3C trace context: which trace, and which span of it asks.
pub const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
/// W3C trace context: what the vendors of the trace say beside it.
pub const TRACE_STATE: HeaderName = HeaderName::from_static("tracestate");
/// How long the client waits.
pub const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
