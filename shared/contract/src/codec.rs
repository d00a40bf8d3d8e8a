//! The codec of all our services: protobuf, with field rules checked as soon as a request is decoded.

use crate::{Reason, Refusal, rules, rules::Rules};
use prost::Message;
use std::marker::PhantomData;
use tonic::{
    Status,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder},
};
use tonic_prost::ProstEncoder;

/// Encodes `T`, decodes `U` and, if it is a request, checks its rules.
pub struct CheckedCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for CheckedCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for CheckedCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Rules + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = CheckedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::new(BufferSettings::default())
    }

    fn decoder(&mut self) -> Self::Decoder {
        CheckedDecoder(PhantomData)
    }
}

/// The decoding side of [`CheckedCodec`].
pub struct CheckedDecoder<U>(PhantomData<U>);

impl<U: Message + Rules + Default> Decoder for CheckedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        // prost's sentence names our fields, and its code would be INTERNAL, though it is the caller's mistake.
        let message = U::decode(bytes).map_err(|_| Refusal::new(Reason::InvalidMessage, "the request is not a valid message of its type"))?;
        if U::REQUEST {
            rules::check(&message)?;
        }
        Ok(Some(message))
    }
}
