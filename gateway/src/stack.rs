//! What a layer is, and how layers become one service.

use crate::call::Call;
use bytes::Bytes;
use contract::Refusal;
use futures::{FutureExt, future::BoxFuture};
use http::{Request, Response};
use std::{
    convert::Infallible,
    future::Future,
    sync::Arc,
    task::{Context, Poll},
};
use tonic::body::Body;
use tower::Service;

/// What a layer answers; the [`respond`](crate::layer::Respond) layer turns a refusal into an answer.
pub type Answer = Result<Response<Body>, Refusal>;

/// What stands below a layer.
///
/// Not tower's `Service`: by `&self` nothing is cloned, and no future is boxed between two layers. The call is lent, not given, so a
/// layer sees on the way back what those below it found, and no request is moved from future to future.
pub trait Next: Send + Sync {
    /// Answers the call.
    fn call(&self, call: &mut Call) -> impl Future<Output = Answer> + Send;
}

/// One concern. It passes a call on or refuses it.
pub trait Layer: Send + Sync + 'static {
    /// Answers the call, as a rule with the answer of `next`.
    fn call(&self, call: &mut Call, next: &impl Next) -> impl Future<Output = Answer> + Send;
}

/// A layer over what stands below it.
pub struct Over<L, N>(pub L, pub N);

impl<L: Layer, N: Next> Next for Over<L, N> {
    fn call(&self, call: &mut Call) -> impl Future<Output = Answer> + Send {
        self.0.call(call, &self.1)
    }
}

/// So that a test of a layer is a closure.
impl<F: Fn(&mut Call) -> Answer + Send + Sync> Next for F {
    async fn call(&self, call: &mut Call) -> Answer {
        self(call)
    }
}

/// Outside first, as it is read.
macro_rules! stack {
    ($last:expr $(,)?) => { $last };
    ($first:expr, $($rest:expr),+ $(,)?) => { $crate::stack::Over($first, $crate::stack::stack![$($rest),+]) };
}
pub(crate) use stack;

/// The whole stack as a tower service: one box for all layers together.
pub struct Stacked<N>(Arc<N>);

impl<N> Stacked<N> {
    pub(crate) fn new(stack: N) -> Self {
        Self(Arc::new(stack))
    }
}

impl<N> Clone for Stacked<N> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<N, B> Service<Request<B>> for Stacked<N>
where
    N: Next + 'static,
    Call: From<Request<B>>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (stack, mut call) = (self.0.clone(), Box::new(Call::from(request)));
        async move { Ok(stack.call(&mut call).await.unwrap_or_else(|refusal| refusal.status().into_http())) }.boxed()
    }
}
