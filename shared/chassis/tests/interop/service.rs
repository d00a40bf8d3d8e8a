//! `grpc.testing.TestService` behind the strict stack.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use chassis::serve::{Guarded, Incoming};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use prost::Message;
use tonic::body::Body;
use tonic::server::Grpc;
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::service_fn;

use crate::messages::{
    EchoStatus, Empty, Payload, ResponseParameters, SimpleRequest, SimpleResponse, StreamingInputCallRequest, StreamingInputCallResponse,
    StreamingOutputCallRequest, StreamingOutputCallResponse,
};

/// The methods whose requests stream.
pub(crate) const LONG: [&str; 2] = ["/grpc.testing.TestService/StreamingInputCall", "/grpc.testing.TestService/FullDuplexCall"];

const INITIAL: HeaderName = HeaderName::from_static("x-grpc-test-echo-initial");
const TRAILING: HeaderName = HeaderName::from_static("x-grpc-test-echo-trailing-bin");

type Answers = Pin<Box<dyn Stream<Item = Result<StreamingOutputCallResponse, Status>> + Send>>;

/// Answers a call by its path, and echoes the metadata that is meant to be echoed.
pub(crate) async fn answer(request: http::Request<Guarded<Incoming>>) -> Result<Response<Body>, Infallible> {
    let echo = [INITIAL, TRAILING].map(|name| request.headers().get(name).cloned());
    let answer = match request.uri().path().strip_prefix("/grpc.testing.TestService/") {
        Some("EmptyCall") => grpc().unary(service_fn(async |_: Request<Empty>| Ok(tonic::Response::new(Empty {}))), request).await,
        Some("UnaryCall") => grpc().unary(service_fn(unary), request).await,
        Some("StreamingInputCall") => grpc().client_streaming(service_fn(sum), request).await,
        Some("StreamingOutputCall") => grpc().server_streaming(service_fn(listed), request).await,
        Some("FullDuplexCall") => grpc().streaming(service_fn(duplex), request).await,
        _ => Status::unimplemented("there is no such method").into_http(),
    };
    Ok(echoed(answer, echo))
}

fn grpc<A: Message + Default + 'static, Q: Message + Default + 'static>() -> Grpc<ProstCodec<A, Q>> {
    Grpc::new(ProstCodec::default())
}

async fn unary(request: Request<SimpleRequest>) -> Result<tonic::Response<SimpleResponse>, Status> {
    let asked = request.into_inner();
    end(asked.response_status)?;
    Ok(tonic::Response::new(SimpleResponse { payload: Some(Payload::of(asked.response_size)) }))
}

async fn sum(request: Request<Streaming<StreamingInputCallRequest>>) -> Result<tonic::Response<StreamingInputCallResponse>, Status> {
    let add = async |sum: usize, message: StreamingInputCallRequest| Ok(sum + message.payload.map_or(0, |payload| payload.body.len()));
    let sum = request.into_inner().try_fold(0, add).await?;
    let aggregated_payload_size = i32::try_from(sum).map_err(|_| Status::out_of_range("more than 2 GiB"))?;
    Ok(tonic::Response::new(StreamingInputCallResponse { aggregated_payload_size }))
}

async fn listed(request: Request<StreamingOutputCallRequest>) -> Result<tonic::Response<Answers>, Status> {
    Ok(tonic::Response::new(answers(request.into_inner())))
}

async fn duplex(request: Request<Streaming<StreamingOutputCallRequest>>) -> Result<tonic::Response<Answers>, Status> {
    let answers = request.into_inner().map_ok(answers).try_flatten();
    Ok(tonic::Response::new(answers.boxed()))
}

fn answers(asked: StreamingOutputCallRequest) -> Answers {
    let ends = end(asked.response_status).err().map(Err);
    stream::iter(asked.response_parameters).then(paced).map(Ok).chain(stream::iter(ends)).boxed()
}

/// As slowly as the client asks for it.
async fn paced(asked: ResponseParameters) -> StreamingOutputCallResponse {
    tokio::time::sleep(Duration::from_micros(u64::try_from(asked.interval_us).unwrap_or(0))).await;
    StreamingOutputCallResponse { payload: Some(Payload::of(asked.size)) }
}

fn end(asked: Option<EchoStatus>) -> Result<(), Status> {
    match asked {
        Some(asked) if asked.code != 0 => Err(Status::new(Code::from_i32(asked.code), asked.message)),
        _ => Ok(()),
    }
}

fn echoed(mut answer: Response<Body>, [initial, trailing]: [Option<HeaderValue>; 2]) -> Response<Body> {
    if let Some(initial) = initial {
        answer.headers_mut().insert(INITIAL, initial);
    }
    let Some(trailing) = trailing else { return answer };
    let add = move |mut trailers: HeaderMap| {
        trailers.insert(TRAILING, trailing.clone());
        Frame::trailers(trailers)
    };
    answer.map(|body| Body::new(body.map_frame(move |frame| frame.into_trailers().map_or_else(|frame| frame, &add))))
}
