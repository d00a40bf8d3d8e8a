//! Others' tools: h2spec's conformance suite, and the interop client of grpc-go.
