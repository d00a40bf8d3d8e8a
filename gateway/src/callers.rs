//! Who calls and where they act: out of the caches while they may be trusted, else from identity.

use crate::{
    address::Address,
    call::{InGroup, Known},
    credential::Presented,
    guard::Guard,
    standing::{Look, Stream},
};
use chassis::{
    acting::{acting, authorize, not_found},
    changes::{Caller, Feed, Fresh, Identity, Leased, Line, Proven},
};
use contract::{Method, Reason, Refusal, id::GroupId};
use std::sync::Arc;
use uuid::Uuid;

/// The caches and identity behind them.
pub struct Callers<I> {
    identity: Arc<I>,
    proven: Leased<Proven>,
    lines: Leased<Option<Arc<Line>>>,
    guard: Guard,
    /// Keys the hash under which a credential is known here and, where gateways share a Redis, to the others.
    secret: [u8; 32],
}

impl<I: Identity> Callers<I> {
    /// Empty caches under the feed's lease. `secret` is the same in all gateways of one mesh.
    #[must_use]
    pub fn new(identity: Arc<I>, feed: &Arc<Feed>, guard: Guard, secret: [u8; 32]) -> Self {
        let (proven, lines) = (Leased::new(feed.clone()), Leased::new(feed.clone()));
        Self { identity, proven, lines, guard, secret }
    }

    /// Under which key the presented text is cached.
    #[must_use]
    pub fn key(&self, presented: &str) -> u128 {
        let digest = blake3::keyed_hash(&self.secret, presented.as_bytes());
        let (half, _) = digest.as_bytes().split_at(16);
        u128::from_le_bytes(half.try_into().expect("16 bytes of 32"))
    }

    /// Who it is, if that is known, may be trusted, and has worked from that address: the steady state, one hash and two looks.
    #[must_use]
    pub fn current(&self, key: u128, from: Address) -> Option<Result<Known, Refusal>> {
        let proven = self.proven.current(key)?;
        self.guard.knows(key, from).then(|| known(key, proven))
    }

    /// Who it is. The secret is proven once; after that only the state is asked, never a hash. The guard stands before the cache: whoever
    /// is silenced learns nothing of a key that others use.
    ///
    /// # Errors
    /// No such credential, or it is revoked or expired; too many failures; or identity cannot be asked.
    pub async fn prove(&self, key: u128, presented: &Presented, from: Address) -> Result<Known, Refusal> {
        let attempt = self.guard.attempt(key, from).await?;
        let answer = self.proven.get(key, |prior| self.ask(prior, presented)).await;
        match answer.as_ref().err().map(Refusal::reason) {
            None => attempt.right().await,
            Some(Reason::InvalidApiKey) => attempt.wrong().await,
            Some(_) => drop(attempt), // nobody knows
        }
        known(key, answer?)
    }

    /// What was presented is no credential by its form: that counts as a guess, and says no more.
    ///
    /// # Errors
    /// Too many failures.
    pub async fn malformed(&self, from: Address) -> Result<(), Refusal> {
        self.guard.failed(from).await
    }

    /// Whose it is, if it is known and no longer good.
    #[must_use]
    pub fn denied(&self, key: u128) -> Option<(Uuid, GroupId)> {
        let proven = self.proven.current(key)?;
        let known = proven.state.is_err() && !proven.home.is_nil();
        known.then_some((proven.credential, proven.home))
    }

    async fn ask(&self, prior: Option<Proven>, presented: &Presented) -> Result<Fresh<Proven>, Refusal> {
        match prior {
            Some(prior) => self.check(prior.credential, prior.proved).await,
            None => self.identity.verify(presented.reveal()).await,
        }
    }

    async fn check(&self, credential: Uuid, proved: i64) -> Result<Fresh<Proven>, Refusal> {
        let mut fresh = self.identity.check(credential).await?;
        fresh.value.proved = proved;
        Ok(fresh)
    }

    /// Where the caller acts, and as what.
    ///
    /// # Errors
    /// One answer for a group that is unknown, foreign, archived or not allowed; a role or scope that is missing.
    pub async fn acting(&self, caller: &Caller, asked: Option<GroupId>, method: &Method) -> Result<InGroup, Refusal> {
        let group = asked.unwrap_or(caller.home);
        let key = group.as_u128();
        let line = match self.lines.current(key) {
            Some(line) => line,
            None => Box::pin(self.lines.get(key, |_| self.identity.group(group))).await?, // seldom, so out of the way
        };
        in_group(caller, line, method)
    }

    /// How a stream's caller stands by what may be trusted now.
    pub(crate) fn look(&self, of: &Stream) -> Look {
        let Some((proven, left)) = self.proven.lease(of.known.key) else { return Look::Unknown };
        let Some((line, of_line)) = self.lines.lease(of.group().as_u128()) else { return Look::Unknown };
        if of.is_same(known(of.known.key, proven), line) { Look::Same(left.min(of_line)) } else { Look::Changed }
    }

    /// The same, when it has to be asked.
    ///
    /// # Errors
    /// Identity cannot be asked.
    pub(crate) async fn look_again(&self, of: &Stream) -> Result<bool, Refusal> {
        let (key, credential, proved) = (of.known.key, of.known.caller.credential.id, of.known.proved);
        let proven = self.proven.get(key, |_| self.check(credential, proved)).await?;
        let line = self.lines.get(of.group().as_u128(), |_| self.identity.group(of.group())).await?;
        Ok(of.is_same(known(key, proven), line))
    }
}

fn known(key: u128, proven: Proven) -> Result<Known, Refusal> {
    let Proven { proved, state, .. } = proven;
    state.map(|caller| Known { key, proved, caller })
}

/// Where the caller acts who wants to act in the first group of that line.
pub(crate) fn in_group(caller: &Caller, line: Option<Arc<Line>>, method: &Method) -> Result<InGroup, Refusal> {
    let line = line.ok_or_else(not_found)?;
    let acting = acting(&caller.grants, &line.groups, method).ok_or_else(not_found)?;
    let scopes = authorize(acting.role, caller.scopes, method)?;
    Ok(InGroup { acting, scopes, quotas: line.quotas })
}

#[cfg(test)]
mod trials;
