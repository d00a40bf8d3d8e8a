//! Limits of size: the headers, and the request's body as it is read. Before anything is spent on the call.

use crate::{
    call::{Call, Inbound, Meter},
    stack::{Answer, Layer, Next},
};
use bytes::Bytes;
use chassis::serve::{Limits, Messages, metadata};
use http_body::{Frame, SizeHint};
use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tonic::body::Body;

/// The layer.
pub struct Sizes {
    metadata: u32,
    messages: Messages,
}

impl Sizes {
    /// As the listener's limits say.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self { metadata: limits.metadata, messages: Messages::new(limits) }
    }

    fn guard(&self, body: Inbound, read: &Arc<Meter>) -> Body {
        let read = read.clone();
        match body {
            Inbound::Raw(body) => Body::new(Metered { body: self.messages.guard(body), read }),
            Inbound::Boxed(body) => Body::new(Metered { body: self.messages.guard(body), read }),
        }
    }
}

impl Layer for Sizes {
    async fn call(&self, call: &mut Call, next: &impl Next) -> Answer {
        metadata::check(call.headers(), self.metadata)?;
        let body = mem::take(call.request.body_mut());
        *call.request.body_mut() = Inbound::Boxed(self.guard(body, &call.read));
        next.call(call).await
    }
}

/// A body whose bytes are counted.
struct Metered<B> {
    body: B,
    read: Arc<Meter>,
}

impl<B: http_body::Body<Data = Bytes> + Unpin> http_body::Body for Metered<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.read.add(data.len());
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::layer::testing::{call, ok};
    use contract::Reason;
    use http_body_util::{BodyExt, Full};
    use tonic::Code;

    async fn refused(headers: &[(&'static str, &str)]) -> Option<Reason> {
        let sizes = Sizes::new(&Limits { metadata: 300, ..Limits::public() });
        sizes.call(&mut call("/x", headers), &|_: &mut Call| ok()).await.err().map(|refusal| refusal.reason())
    }

    #[tokio::test]
    async fn headers_may_not_be_too_long_nor_say_binary_and_be_none() {
        assert_eq!(refused(&[("x-test", "short")]).await, None);
        assert_eq!(refused(&[("x-test", &"x".repeat(300))]).await, Some(Reason::MetadataTooLarge));
        assert_eq!(refused(&[("x-test-bin", "YQ")]).await, None);
        assert_eq!(refused(&[("x-test-bin", "?")]).await, Some(Reason::InvalidMetadata));
    }

    #[tokio::test]
    async fn a_message_beyond_the_limit_ends_the_body_and_what_was_read_is_counted() {
        let sizes = Sizes::new(&Limits { message: 4, ..Limits::public() });
        for (bytes, fits) in [(&b"\0\0\0\0\x04abcd"[..], true), (b"\0\0\0\0\x05abcde", false)] {
            let mut call = call("/x", &[]);
            *call.request.body_mut() = Inbound::Boxed(Body::new(Full::from(bytes)));
            sizes.call(&mut call, &|_: &mut Call| ok()).await.unwrap();
            let read = mem::take(call.request.body_mut()).into_body().collect().await;
            assert_eq!(read.is_ok(), fits);
            assert_eq!(read.err().map(|status| status.code()), (!fits).then_some(Code::ResourceExhausted));
            assert_eq!(call.read.total(), if fits { 9 } else { 0 });
        }
    }
}
