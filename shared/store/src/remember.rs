//! Remembered answers: a request that is sent again has one effect and the same answer.
//!
//! Of many calls with one id, one has its effect, the others find its answer. On Postgres the record is the first statement of a change,
//! and the others wait at it for the COMMIT. On SQLite writers stand in a line anyway, so it is written last, with the answer in it: one
//! statement instead of two. Who finds it written, or is refused, looks for the answer then. Only successes are remembered, sealed, for 24
//! hours.

use crate::{At, Db, Error, Sql, Tx};
use chassis::principal::Principal;
use contract::{Mutation, Reason, Refusal, id::GroupId};
use prost::Message;
use std::time::Duration;
use uuid::Uuid;

/// How long an answer is remembered.
pub(crate) const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// What names a request: its tenant, and who asks what under which id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) group: GroupId,
    /// Of actor, credential, request type and request_id: half a BLAKE3, which nobody finds a second preimage for.
    pub(crate) request: Uuid,
    /// Of the whole request: the same id with another body is a mistake of the client.
    pub(crate) hash: Vec<u8>,
}

/// A row of `remembered`: the request's hash, the sealed answer, and until when somebody works on it.
type Known = (Vec<u8>, Option<Vec<u8>>, Option<At>);

impl Claim {
    /// None: the client does not want to be remembered, or only tries.
    ///
    /// A credential is part of the name, for a replay is not checked again: what a strong key was answered, a weak one must ask for.
    pub(crate) fn of<M: Mutation + Message>(principal: &Principal, input: &M) -> Option<Self> {
        let id = input.request_id();
        if id.is_empty() || input.validate_only() {
            return None;
        }
        let (actor, credential) = (&principal.actor, &principal.credential);
        let mut name = blake3::Hasher::new();
        name.update(&[actor.kind as u8, credential.kind as u8]);
        for part in [Some(*actor.id), actor.on_behalf_of.map(|id| *id), Some(credential.id)] {
            name.update(part.unwrap_or_default().as_bytes());
        }
        name.update(M::NAME.as_bytes()).update(&[0]).update(id.as_bytes());
        let hash = blake3::hash(&input.encode_to_vec()).as_bytes().to_vec();
        Some(Self { group: principal.group, request: half(name.finalize()), hash })
    }

    /// What an answer is sealed for: it opens for no other request.
    fn bound(&self) -> Vec<u8> {
        [self.group.as_bytes(), self.request.as_bytes(), &self.hash[..]].concat()
    }

    pub(crate) fn seal(&self, db: &Db, answer: &impl Message) -> Vec<u8> {
        db.0.sealers.answers.seal(&self.bound(), &answer.encode_to_vec())
    }
}

fn half(hash: blake3::Hash) -> Uuid {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_bytes()[..16]);
    Uuid::from_bytes(bytes)
}

impl Tx {
    /// Claims the request for this change: `None`, it is ours. `Some`: the answer it had.
    pub(crate) async fn claim<A: Message + Default>(&mut self, claim: &Claim) -> Result<Option<A>, Refusal> {
        let ours = self.record(claim, None).run().await?;
        if ours == 1 { Ok(None) } else { self.known(claim).await }
    }

    /// Claims the request with the answer it has now; refused as repeated if it had one.
    pub(crate) async fn claim_answered(&mut self, claim: &Claim, answer: Vec<u8>) -> crate::Result<()> {
        self.record(claim, Some(answer)).later_or(|| Error::Repeated).await
    }

    /// Takes over a record that has expired, but was not yet purged, and one whose claim has run out without an answer.
    fn record(&mut self, claim: &Claim, answer: Option<Vec<u8>>) -> Sql<'_> {
        let (now, forget) = (self.now(), self.now().later(KEPT));
        self.sql(
            "insert into remembered (group_id, request, hash, answer, expire_time) values ($1, $2, $3, $4, $5)
             on conflict (group_id, request) do update
             set hash = excluded.hash, answer = excluded.answer, held_until = null, expire_time = excluded.expire_time
             where remembered.expire_time < $6
             or (remembered.answer is null and remembered.hash = excluded.hash and coalesce(remembered.held_until <= $6, true))",
        )
        .bind(claim.group)
        .bind(claim.request)
        .bind(claim.hash.as_slice())
        .bind(answer)
        .bind(forget)
        .bind(now)
    }

    /// The answer of a request that was claimed before.
    pub(crate) async fn known<A: Message + Default>(&mut self, claim: &Claim) -> Result<Option<A>, Refusal> {
        let now = self.now();
        let known: Option<Known> = self
            .sql("select hash, answer, held_until from remembered where group_id = $1 and request = $2 and expire_time >= $3")
            .bind(claim.group)
            .bind(claim.request)
            .bind(now)
            .opt()
            .await?;
        let Some((hash, answer, held)) = known else { return Ok(None) };
        if hash != claim.hash {
            return Err(Refusal::new(Reason::RequestIdReused, "this request_id was used with another request; take a new one for a new request"));
        }
        let Some(sealed) = answer else { return self.unfinished(held) };
        let plain = self.shared().sealers.answers.open(&claim.bound(), &sealed);
        let answer = plain.and_then(|plain| A::decode(&plain[..]).ok());
        answer.map(Some).ok_or_else(|| Refusal::internal("a remembered answer does not open: was its secret removed?"))
    }

    /// Claimed by a transaction of its own, before a call elsewhere. Ours when that claim has run out.
    fn unfinished<A>(&self, held: Option<At>) -> Result<Option<A>, Refusal> {
        match held {
            Some(until) if until > self.now() => {
                let wait = Duration::from_micros(u64::try_from(until.0 - self.now().0).unwrap_or_default());
                Err(Refusal::new(Reason::RequestInProgress, "the same request is still being worked on; try again for its answer").retry(wait))
            }
            _ => Ok(None),
        }
    }
}
