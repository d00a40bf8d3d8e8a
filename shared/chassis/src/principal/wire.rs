//! The principal as the message of `principal.proto`.
//!
//! Written by hand, since it goes with every call and the generated message would have to own copies of all it holds; read by the generated
//! code, which so proves the other half.

use super::{Actor, ActorKind, Credential, CredentialKind, Grant, Principal, Quotas};
use contract::{
    Role, Scopes,
    id::{ActorId, GroupId, KeyId},
    internal::v1,
};
use prost::encoding::{WireType, encode_key, encode_varint};
use uuid::Uuid;

/// What is nothing is not written, as protobuf wants it.
struct Writer(Vec<u8>);

impl Writer {
    fn number(&mut self, tag: u32, value: u64) {
        if value != 0 {
            encode_key(tag, WireType::Varint, &mut self.0);
            encode_varint(value, &mut self.0);
        }
    }

    fn bytes(&mut self, tag: u32, value: &[u8]) {
        if !value.is_empty() {
            encode_key(tag, WireType::LengthDelimited, &mut self.0);
            encode_varint(value.len() as u64, &mut self.0);
            self.0.extend_from_slice(value);
        }
    }

    fn id(&mut self, tag: u32, id: Uuid) {
        if !id.is_nil() {
            self.bytes(tag, id.as_bytes());
        }
    }

    fn message(&mut self, tag: u32, write: impl FnOnce(&mut Writer)) {
        let mut within = Writer(Vec::with_capacity(24));
        write(&mut within);
        self.bytes(tag, &within.0);
    }
}

impl Principal {
    /// As it is signed at that time, with room for a signature.
    pub(super) fn written(&self, issued_micros: i64) -> Vec<u8> {
        let room = 256 + 22 * self.grants.len() + self.address.len() + self.user_agent.len();
        let mut to = Writer(Vec::with_capacity(room));
        to.number(1, self.actor.kind as u64);
        to.id(2, *self.actor.id);
        to.id(3, self.actor.on_behalf_of.map_or(Uuid::nil(), |id| *id));
        to.number(4, self.credential.kind as u64);
        to.id(5, self.credential.id);
        to.id(6, *self.home);
        to.id(7, *self.group);
        to.id(8, *self.root);
        to.number(9, self.role as u64);
        to.number(10, u64::from(self.inherited));
        for grant in &*self.grants {
            to.message(11, |to| {
                to.id(1, *grant.group);
                to.number(2, grant.role as u64);
            });
        }
        to.number(12, self.scopes.0);
        to.message(13, |to| {
            to.number(1, self.quotas.groups.cast_unsigned());
            to.number(2, self.quotas.things.cast_unsigned());
        });
        to.bytes(14, self.address.as_bytes());
        to.bytes(15, self.user_agent.as_bytes());
        to.number(16, self.proved.cast_unsigned());
        to.number(17, issued_micros.cast_unsigned());
        to.0
    }
}

/// An id of 16 bytes; none is nil.
fn id(bytes: &[u8]) -> Option<Uuid> {
    if bytes.is_empty() { Some(Uuid::nil()) } else { Uuid::from_slice(bytes).ok() }
}

fn some(id: Uuid) -> Option<Uuid> {
    (!id.is_nil()).then_some(id)
}

/// `None` if it says what this build does not know: half a principal is none.
impl TryFrom<v1::Principal> for Principal {
    type Error = Malformed;

    fn try_from(message: v1::Principal) -> Result<Self, Malformed> {
        read(message).ok_or(Malformed)
    }
}

/// The message says what this build does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

fn read(message: v1::Principal) -> Option<Principal> {
    let credential = Credential { kind: CredentialKind::try_from(message.credential_kind).ok()?, id: id(&message.credential_id)? };
    let quotas = message.quotas.unwrap_or_default();
    Some(Principal {
        actor: Actor {
            kind: ActorKind::try_from(message.actor_kind).ok()?,
            id: ActorId(id(&message.actor_id)?),
            key_id: (credential.kind == CredentialKind::Key).then_some(KeyId(credential.id)),
            on_behalf_of: some(id(&message.on_behalf_of_id)?).map(ActorId),
        },
        credential,
        home: GroupId(id(&message.home_group_id)?),
        group: GroupId(id(&message.group_id)?),
        root: GroupId(id(&message.root_id)?),
        role: Role::try_from(message.role).ok()?,
        inherited: message.inherited,
        grants: message.grants.iter().map(grant).collect::<Option<_>>()?,
        scopes: Scopes(message.scopes),
        quotas: Quotas { groups: quotas.groups, things: quotas.things },
        address: message.address.into(),
        user_agent: message.user_agent.into(),
        proved: message.proved_micros,
        call_id: String::new(),
        traceparent: String::new(),
    })
}

fn grant(message: &v1::Grant) -> Option<Grant> {
    Some(Grant { group: GroupId::from_slice(&message.group_id)?, role: Role::try_from(message.role).ok()? })
}
