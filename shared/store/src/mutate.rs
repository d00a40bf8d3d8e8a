//! A handler's prologue and epilogue: who asks, whether it was asked before, and when the answer may leave.

use crate::{Db, Dialect, Error, Tx, engine::Scope, remember::Claim, tx::Author};
use chassis::{
    principal::{self, Principal},
    telemetry::Step,
};
use contract::{Mutation, Refusal};
use futures::future::BoxFuture;
use prost::Message;
use tonic::{Request, Response, Status};

/// What became of a change before its transaction ends.
enum Outcome<A> {
    /// To be kept.
    Made(A),
    /// It was made before, and this was the answer; or it was only tried.
    Seen(A),
}

impl Db {
    /// Runs a change in a transaction of its own.
    ///
    /// * The same `request_id` again is answered as the first time, for 24 hours; with another body it is `REQUEST_ID_REUSED`.
    /// * `validate_only` runs everything, then rolls back.
    /// * The answer leaves after the COMMIT that it read under; so do refusals.
    ///
    /// `change` gets who asks, the transaction, and the request. It reads and writes through the transaction only, and waits for nothing
    /// else.
    ///
    /// # Errors
    /// What `change` refuses, or the store's own, as a status.
    pub async fn mutate<M, A, F>(&self, request: Request<M>, change: F) -> Result<Response<A>, Status>
    where
        M: Mutation + Message + 'static,
        A: Message + Default,
        F: for<'a> FnOnce(&'a Principal, &'a mut Tx, M) -> BoxFuture<'a, Result<A, Refusal>>,
    {
        let principal = principal::of(&request)?;
        let answer = self.change(&principal, request.into_inner(), change).await?;
        Ok(Response::new(answer))
    }

    /// [`Db::mutate`] without gRPC: for batch, import and tests.
    ///
    /// # Errors
    /// What `change` refuses, or the store's own.
    pub async fn change<M, A, F>(&self, principal: &Principal, input: M, change: F) -> Result<A, Refusal>
    where
        M: Mutation + Message + 'static,
        A: Message + Default,
        F: for<'a> FnOnce(&'a Principal, &'a mut Tx, M) -> BoxFuture<'a, Result<A, Refusal>>,
    {
        let _step = Step::begin("store.change", self.engine().dialect().system());
        let claim = Claim::of(principal, &input);
        let mut tx = Tx::late(self, Scope::Groups([principal.group].into()), Author::of(principal)).await?;
        let result = match attempt(&mut tx, claim.as_ref(), principal, input, change).await {
            Ok(Outcome::Made(answer)) => {
                let sealed = claim.as_ref().map(|claim| (claim, claim.seal(self, &answer)));
                tx.finish(sealed).await.map(|()| answer).map_err(Refusal::from)
            }
            Ok(Outcome::Seen(answer)) => tx.undo().await.map(|()| answer).map_err(Refusal::from),
            Err(refusal) => Err(refused(tx, refusal).await),
        };
        match (result, claim) {
            (Err(refusal), Some(claim)) if self.engine().dialect() == Dialect::Sqlite => self.answered(principal, &claim).await?.ok_or(refusal),
            (result, _) => result,
        }
    }

    /// The answer that a request had before, now that it was refused: there its record is written last.
    async fn answered<A: Message + Default>(&self, principal: &Principal, claim: &Claim) -> Result<Option<A>, Refusal> {
        let mut tx = Tx::late(self, Scope::Groups([principal.group].into()), Author::of(principal)).await?;
        match tx.known(claim).await {
            Ok(known) => tx.undo().await.map(|()| known).map_err(Refusal::from),
            Err(refusal) => Err(refused(tx, refusal).await),
        }
    }
}

async fn attempt<M, A, F>(tx: &mut Tx, claim: Option<&Claim>, principal: &Principal, input: M, change: F) -> Result<Outcome<A>, Refusal>
where
    M: Mutation,
    A: Message + Default,
    F: for<'a> FnOnce(&'a Principal, &'a mut Tx, M) -> BoxFuture<'a, Result<A, Refusal>>,
{
    if let Some(claim) = claim
        && tx.transaction.dialect() == Dialect::Postgres
        && let Some(answer) = tx.claim(claim).await?
    {
        return Ok(Outcome::Seen(answer));
    }
    let tried = input.validate_only();
    let answer = change(principal, tx, input).await?;
    if tried {
        tx.settle().await?;
    }
    Ok(if tried { Outcome::Seen(answer) } else { Outcome::Made(answer) })
}

/// A refusal may rest on a neighbour's row: it holds when that row is kept, else the store was not available.
async fn refused(tx: Tx, refusal: Refusal) -> Refusal {
    if tx.transaction.is_spoiled() {
        return refusal; // dropped: rolled back
    }
    match tx.undo().await {
        Ok(()) | Err(Error::Spoiled) => refusal,
        Err(error) => error.into(),
    }
}
