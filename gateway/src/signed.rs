//! Principals that were signed a moment ago.

use crate::call::{Call, InGroup, Known};
use chassis::{
    changes::Caller,
    clock::Clock,
    principal::{Principal, Signer},
};
use contract::Method;
use http::HeaderValue;
use std::{
    net::IpAddr,
    ptr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

const PLACES: usize = 1_024;
/// A signature is good for 30 s; used again for so long, it still has most of its life before it.
const AGAIN: Duration = Duration::from_secs(5);

/// A longer user agent is cut: it travels with every call.
const LONGEST_AGENT: usize = 256;

/// Signs who calls. The same caller in the same group to the same rpc is signed once in a few seconds, for a signature costs more than all
/// the looks that led to it.
pub(crate) struct Signed {
    signer: Signer,
    clock: Clock,
    places: Vec<Mutex<Option<Place>>>,
}

struct Place {
    of: Of,
    until: Duration,
    value: HeaderValue,
}

/// All that a signature depends on. The caller is compared by identity: another state of the same credential is another caller.
struct Of {
    caller: Arc<Caller>,
    group: InGroup,
    method: &'static Method,
    address: IpAddr,
    user_agent: Option<HeaderValue>,
}

impl Of {
    fn is(&self, call: &Call, known: &Known, group: InGroup) -> bool {
        Arc::ptr_eq(&self.caller, &known.caller)
            && ptr::eq(self.method, call.method())
            && self.group == group
            && self.address == call.address.ip()
            && self.user_agent == call.user_agent
    }
}

impl Signed {
    pub(crate) fn new(signer: Signer, clock: Clock) -> Self {
        Self { signer, clock, places: (0..PLACES).map(|_| Mutex::default()).collect() }
    }

    /// The signed principal of a call for that audience.
    pub(crate) fn sign(&self, call: &Call, audience: &str) -> HeaderValue {
        let (Some(known), Some(group)) = (&call.caller, call.acting) else {
            return self.signer.sign(&nobody(call), audience, &call.method().path);
        };
        let (now, mut place) = (self.clock.now(), self.place(call, known).lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(place) = place.as_ref().filter(|place| now < place.until && place.of.is(call, known, group)) {
            return place.value.clone();
        }
        let value = self.signer.sign(&principal(call, known, group), audience, &call.method().path);
        // Sent again, it is worth a place in HPACK's table: a name of one byte instead of 400 of Huffman on both sides.
        let mut again = value.clone();
        again.set_sensitive(false);
        let (caller, address) = (known.caller.clone(), call.address.ip());
        let of = Of { caller, group, method: call.method(), address, user_agent: call.user_agent.clone() };
        *place = Some(Place { of, until: now + AGAIN, value: again });
        value
    }

    fn place(&self, call: &Call, known: &Known) -> &Mutex<Option<Place>> {
        let method = ptr::from_ref(call.method()) as usize / size_of::<Method>();
        &self.places[(known.key as usize).wrapping_add(method) % PLACES]
    }
}

fn nobody(call: &Call) -> Principal {
    let user_agent = call.user_agent.as_ref().and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    Principal {
        address: call.address.to_string().into(),
        user_agent: user_agent.chars().take(LONGEST_AGENT).collect::<String>().into(),
        ..Principal::default()
    }
}

fn principal(call: &Call, known: &Known, group: InGroup) -> Principal {
    let caller = &known.caller;
    Principal {
        actor: caller.actor,
        credential: caller.credential,
        home: caller.home,
        group: group.acting.group,
        root: group.acting.root,
        role: group.acting.role,
        inherited: group.acting.inherited,
        grants: caller.grants.as_slice().into(),
        scopes: group.scopes,
        quotas: group.quotas,
        proved: known.proved,
        ..nobody(call)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::layer::testing::{House, call, routed};

    const GET: &str = "/one.ontology.v1.ThingService/GetThing";
    const LIST: &str = "/one.ontology.v1.ThingService/ListThings";

    async fn acting(house: &House, known: &Known, path: &str) -> Call {
        let mut call = routed(call(path, &[("user-agent", "test/1")]));
        call.caller = Some(known.clone());
        call.acting = Some(house.callers.acting(&known.caller, None, call.method()).await.unwrap());
        call
    }

    #[tokio::test]
    async fn what_is_signed_is_the_caller_in_the_acting_group() {
        let house = House::new();
        let signer = Signer::new(&[7; 32], house.clock.clone());
        let signed = Signed::new(signer.clone(), house.clock.clone());
        let known = house.known().await;
        let call = acting(&house, &known, GET).await;
        let opened = signer.open(&signed.sign(&call, "ontology"), "ontology", GET).unwrap();
        assert_eq!(opened, principal(&call, &known, call.acting.unwrap()));
        assert_eq!((opened.group, &*opened.user_agent, &*opened.address), (known.caller.home, "test/1", "0.0.0.0"));
        let stranger = routed(crate::layer::testing::call(GET, &[]));
        let opened = signer.open(&signed.sign(&stranger, "ontology"), "ontology", GET).unwrap();
        assert_eq!(opened, nobody(&stranger));
    }

    #[tokio::test]
    async fn a_signature_is_used_again_for_the_same_call_only_and_not_for_long() {
        let house = House::new();
        let signed = Signed::new(Signer::new(&[7; 32], house.clock.clone()), house.clock.clone());
        let known = house.known().await;
        let call = acting(&house, &known, GET).await;
        let first = signed.sign(&call, "ontology");
        house.clock.advance(Duration::from_secs(4));
        assert_eq!(signed.sign(&acting(&house, &known, GET).await, "ontology"), first);
        assert_ne!(signed.sign(&acting(&house, &known, LIST).await, "ontology"), first);
        let mut other = acting(&house, &known, GET).await;
        other.address = crate::address::Address::of("192.0.2.1".parse().unwrap());
        assert_ne!(signed.sign(&other, "ontology"), first);
        let mut other = acting(&house, &known, GET).await;
        other.acting.as_mut().unwrap().quotas.things = 5;
        assert_ne!(signed.sign(&other, "ontology"), first);
        house.clock.advance(AGAIN);
        assert_ne!(signed.sign(&call, "ontology"), first);
    }
}
