//! Credential → caller.

use crate::{
    call::{Call, Known, Target},
    callers::Callers,
    credential::{self, Presented},
    stack::{Answer, Layer, Next},
};
use chassis::{
    changes::Identity,
    left,
    principal::{CredentialKind, HEADER},
};
use contract::{Access, Reason, Refusal};
use std::sync::Arc;

/// The layer.
pub struct Authenticate<I>(pub Arc<Callers<I>>);

/// What a request carries.
enum Sent {
    Nothing,
    /// Somebody who is known and may be trusted.
    Caller(Known),
    /// Somebody who is known, and refused.
    Refused(u128, Refusal),
    /// Somebody who has to be asked about, or has not been seen at this address.
    Stranger(u128, Presented),
    /// What cannot be a credential.
    Wrong(Refusal),
}

impl<I: Identity> Authenticate<I> {
    fn read(&self, call: &Call) -> Result<Sent, Refusal> {
        // Health and reflection are for probes and tools, whoever they are.
        if call.route().target == Target::Own {
            return Ok(Sent::Nothing);
        }
        let presented = match credential::presented(call.headers()) {
            Ok(Some(presented)) => presented,
            Ok(None) => return Ok(Sent::Nothing),
            Err(wrong) if wrong.reason() == Reason::InvalidApiKey => return Ok(Sent::Wrong(wrong)),
            Err(refusal) => return Err(refusal),
        };
        let key = self.0.key(presented);
        match self.0.current(key, call.address) {
            Some(Ok(known)) => Ok(Sent::Caller(known)),
            Some(Err(refusal)) => Ok(Sent::Refused(key, refusal)),
            None => Ok(Sent::Stranger(key, credential::owned(presented))),
        }
    }

    /// Whose key it was stands on record.
    fn deny(&self, call: &mut Call, key: u128, refusal: Refusal) -> Refusal {
        call.denied = self.0.denied(key);
        refusal
    }
}

/// Whether somebody, or nobody, may call it at all.
fn admit(call: &Call) -> Result<(), Refusal> {
    let kind = call.caller.as_ref().map(|known| known.caller.credential.kind);
    match (call.method().access, kind) {
        (Access::Public, _) | (Access::Caller, Some(_)) | (Access::Session, Some(CredentialKind::Session)) => Ok(()),
        (Access::Session, Some(_)) => {
            Err(Refusal::new(Reason::SessionRequired, "this method needs a person's session, not an API key; sign in and send the session's token"))
        }
        (Access::Caller | Access::Session | Access::Internal | Access::Unspecified, _) => {
            Err(Refusal::new(Reason::MissingCredential, "this method needs a credential; send `authorization: Bearer org_…` or `x-api-key: org_…`"))
        }
    }
}

impl<I: Identity> Layer for Authenticate<I> {
    async fn call(&self, call: &mut Call, next: &impl Next) -> Answer {
        for ours in [HEADER, left::HEADER] {
            call.request.headers_mut().remove(ours); // whoever sends one, it is not ours
        }
        call.caller = match self.read(call)? {
            Sent::Nothing => None,
            Sent::Caller(known) => Some(known),
            // Boxed, as every way that is seldom taken: the future of each call has room for all that stands in it.
            Sent::Stranger(key, presented) => match Box::pin(self.0.prove(key, &presented, call.address)).await {
                Ok(known) => Some(known),
                Err(refusal) => return Err(self.deny(call, key, refusal)),
            },
            Sent::Refused(key, refusal) => return Err(self.deny(call, key, refusal)),
            Sent::Wrong(wrong) => return Err(Box::pin(self.0.malformed(call.address)).await.err().unwrap_or(wrong)),
        };
        admit(call)?;
        credential::strip(call.request.headers_mut());
        next.call(call).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{
        credential::tests::key,
        layer::testing::{House, call, ok, routed},
    };

    const GET: &str = "/one.ontology.v1.ThingService/GetThing";

    async fn who(house: &House, path: &str, headers: &[(&'static str, &str)]) -> Result<bool, Reason> {
        let layer = Authenticate(house.callers.clone());
        let mut call = routed(call(path, headers));
        let below = |call: &mut Call| {
            for secret in ["authorization", "x-api-key", "one-principal-bin", "one-left", "cookie"] {
                assert!(!call.headers().contains_key(secret), "{secret} goes no further");
            }
            ok()
        };
        layer.call(&mut call, &below).await.map_err(|refusal| refusal.reason())?;
        Ok(call.caller.is_some())
    }

    #[tokio::test]
    async fn a_credential_is_proven_once_and_then_known() {
        let house = House::new();
        let key = key('a');
        for _ in 0..5 {
            assert_eq!(
                who(&house, GET, &[("x-api-key", &key), ("one-principal-bin", "forged"), ("one-left", "minute=9@9"), ("cookie", "a=b")]).await,
                Ok(true)
            );
        }
        assert_eq!(house.identity.counts(), (1, 0));
        house.clock.advance(chassis::changes::LEASE);
        assert_eq!(who(&house, GET, &[("x-api-key", &key)]).await, Ok(true));
        assert_eq!(house.identity.counts(), (1, 1), "its state is asked, never a proof again");
    }

    #[tokio::test]
    async fn access_decides_who_may_come_in() {
        let house = House::new();
        let (right, wrong) = (key('a'), key('z'));
        for (path, headers, expected) in [
            (GET, &[][..], Err(Reason::MissingCredential)),
            (GET, &[("x-api-key", wrong.as_str())], Err(Reason::InvalidApiKey)),
            (GET, &[("x-api-key", "nonsense")], Err(Reason::InvalidApiKey)),
            (GET, &[("x-api-key", &right), ("authorization", "Bearer x")], Err(Reason::CredentialsConflict)),
            ("/grpc.health.v1.Health/Check", &[], Ok(false)),
            ("/grpc.health.v1.Health/Check", &[("x-api-key", "nonsense")], Ok(false)),
        ] {
            assert_eq!(who(&house, path, headers).await, expected, "{path} {headers:?}");
        }
    }

    #[tokio::test]
    async fn a_wrong_key_of_any_kind_is_refused_in_the_same_bytes() {
        let house = House::new();
        let layer = Authenticate(house.callers.clone());
        let mut seen = Vec::new();
        for value in [key('z'), "nonsense".to_owned(), key('a')[..77].to_owned()] {
            let refusal = layer.call(&mut routed(call(GET, &[("x-api-key", &value)])), &|_: &mut Call| ok()).await.unwrap_err();
            seen.push(refusal.status().into_http::<()>().headers().clone());
        }
        assert!(seen.windows(2).all(|two| two[0] == two[1]));
    }

    #[tokio::test]
    async fn a_revoked_key_is_refused_with_its_id_after_the_proof_only() {
        let house = House::new();
        let key = key('a');
        assert_eq!(who(&house, GET, &[("x-api-key", &key)]).await, Ok(true));
        house.identity.revoke();
        house.news();
        assert_eq!(who(&house, GET, &[("x-api-key", &key)]).await, Err(Reason::KeyRevoked));
    }

    #[tokio::test]
    async fn when_identity_is_away_nobody_is_let_in_after_the_lease() {
        let house = House::new();
        let key = key('a');
        assert_eq!(who(&house, GET, &[("x-api-key", &key)]).await, Ok(true));
        house.identity.leave();
        assert_eq!(who(&house, GET, &[("x-api-key", &key)]).await, Ok(true));
        house.clock.advance(chassis::changes::LEASE);
        assert_eq!(who(&house, GET, &[("x-api-key", &key)]).await, Err(Reason::IdentityUnavailable));
    }

    #[tokio::test]
    async fn of_many_parallel_guesses_ten_reach_identity_and_who_worked_before_still_does() {
        let house = House::new();
        let right = key('a');
        assert_eq!(who(&house, GET, &[("x-api-key", &right)]).await, Ok(true));
        let guesses: Vec<String> = ('A'..='Z').map(key).collect();
        let answers = futures::future::join_all(guesses.iter().map(|guess| async { who(&house, GET, &[("x-api-key", guess)]).await })).await;
        assert_eq!(answers.iter().filter(|answer| **answer == Err(Reason::InvalidApiKey)).count(), 10);
        assert_eq!(answers.iter().filter(|answer| **answer == Err(Reason::TooManyFailures)).count(), 16);
        assert_eq!(house.identity.counts().0, 11);
        assert_eq!(who(&house, GET, &[("x-api-key", &right)]).await, Ok(true));
    }

    /// The same, from an address.
    async fn who_from(house: &House, ip: &str, headers: &[(&'static str, &str)]) -> Result<(), Reason> {
        let layer = Authenticate(house.callers.clone());
        let mut call = routed(call(GET, headers));
        call.address = crate::address::Address::of(ip.parse().unwrap());
        layer.call(&mut call, &|_: &mut Call| ok()).await.map(drop).map_err(|refusal| refusal.reason())
    }

    #[tokio::test]
    async fn a_known_key_is_refused_from_a_silenced_address_where_it_never_worked() {
        let house = House::new();
        let right = key('a');
        let headers = [("x-api-key", right.as_str())];
        for ip in ["192.0.2.1", "192.0.2.2"] {
            assert_eq!(who_from(&house, ip, &headers).await, Ok(()));
        }
        for silenced in ["192.0.2.2", "192.0.2.3"] {
            for guess in 'A'..='J' {
                assert_eq!(who_from(&house, silenced, &[("x-api-key", &key(guess))]).await, Err(Reason::InvalidApiKey));
            }
        }
        assert_eq!(who_from(&house, "192.0.2.2", &headers).await, Ok(()), "it has worked from there");
        assert_eq!(who_from(&house, "192.0.2.3", &headers).await, Err(Reason::TooManyFailures), "it is in the cache, and says nothing");
        house.news();
        assert_eq!(who_from(&house, "192.0.2.2", &headers).await, Ok(()), "also when its state has to be asked");
        assert_eq!(house.identity.counts().0, 1 + 2 * 10);
    }

    #[tokio::test]
    async fn whatever_is_wrong_with_it_is_a_guess_and_asks_identity_nothing() {
        let house = House::new();
        let right = key('a');
        let mistyped = format!("{}0", &right[..77]);
        let basic = format!("Basic {right}");
        let wrong = [("x-api-key", mistyped.as_str()), ("x-api-key", "x"), ("authorization", basic.as_str()), ("authorization", "Bearer")];
        for number in 0..10 {
            assert_eq!(who_from(&house, "192.0.2.1", &[wrong[number % wrong.len()]]).await, Err(Reason::InvalidApiKey));
        }
        for header in wrong.iter().chain(&[("x-api-key", right.as_str())]) {
            assert_eq!(who_from(&house, "192.0.2.1", &[*header]).await, Err(Reason::TooManyFailures), "{header:?}");
        }
        assert_eq!(who_from(&house, "192.0.2.1", &[]).await, Err(Reason::MissingCredential), "nothing is no guess");
        assert_eq!(house.identity.counts(), (0, 0));
    }
}
