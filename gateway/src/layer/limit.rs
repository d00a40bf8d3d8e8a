//! How often somebody may call: the credential, then the whole organisation, by minute and day; nobody's calls count by address.
//!
//! Needs the caller and the cost. Before authorize, or calls that are refused there would be free.

use crate::{
    address::Address,
    call::{Call, Target},
    layer::respond::refused,
    limiter::{Charges, Limiter, Name, Taken, Window, Windows},
    quota::{Policies, used_up},
    stack::{Answer, Layer, Next},
};
use chassis::{
    changes::{Caller, Rate},
    left::{self, Left},
    principal::CredentialKind,
};
use http::HeaderValue;
use std::sync::Arc;

/// The layer.
pub struct Limit<L> {
    limiter: Arc<L>,
    charges: Arc<dyn Charges>,
    address: Rate,
    policies: Policies,
}

impl<L: Limiter> Limit<L> {
    /// `address` is what a client without credential may do.
    pub fn new(limiter: Arc<L>, address: Rate) -> Self {
        Self { charges: limiter.clone(), limiter, address, policies: Policies::default() }
    }
}

/// A credential's own windows: a key's, or a person's over all their sessions. Then those of the organisation.
fn of_caller(caller: &Caller) -> Windows {
    let root = caller.root.as_u128();
    let mut windows = Windows::new(root, true);
    let own = match caller.credential.kind {
        CredentialKind::Session => caller.actor.id.as_u128(),
        CredentialKind::Key | CredentialKind::Unspecified => caller.credential.id.as_u128(),
    };
    windows.push(own, Name::Minute, caller.rate.per_minute);
    windows.push(own, Name::Day, caller.rate.per_day);
    windows.push(root, Name::OrganisationMinute, caller.root_rate.per_minute);
    windows.push(root, Name::OrganisationDay, caller.root_rate.per_day);
    windows
}

fn of_address(address: Address, rate: Rate) -> Windows {
    let mut windows = Windows::new(address.client(), false);
    windows.push(address.client(), Name::Minute, rate.per_minute);
    windows.push(address.client(), Name::Day, rate.per_day);
    windows
}

/// For the services whose answer shows it.
fn tell(windows: &Windows, taken: &Taken) -> HeaderValue {
    let resets = |window: &Window| (taken.at + window.resets(taken.at)).as_secs();
    left::write(windows.iter().zip(taken.left).map(|(of, requests)| Left { name: of.name.word(), requests, resets: resets(of) }))
}

/// Whose quota it is, for `QuotaFailure.subject`.
fn subject(call: &Call, name: Name) -> String {
    match (&call.caller, name) {
        (None, _) => format!("address:{}", call.address),
        (Some(known), Name::Minute | Name::Day) => match known.caller.credential.kind {
            CredentialKind::Session => format!("person:{}", known.caller.actor.id),
            CredentialKind::Key | CredentialKind::Unspecified => format!("key:{}", known.caller.credential.id),
        },
        (Some(known), Name::OrganisationMinute | Name::OrganisationDay) => format!("organisation:{}", known.caller.root),
    }
}

impl<L: Limiter> Limit<L> {
    async fn pass(&self, call: &mut Call, next: &impl Next, windows: &Windows, taken: &Taken) -> Answer {
        if let Some(at) = taken.refused {
            call.refused_by = Some(windows[at].name);
            return Err(used_up(&windows[at], subject(call, windows[at].name), taken.at));
        }
        if call.method().tells_limits {
            call.request.headers_mut().insert(left::HEADER, tell(windows, taken));
        }
        call.cost = call.method().cost;
        let answer = next.call(call).await;
        call.ends.charge = Some((self.charges.clone(), *windows));
        answer
    }
}

impl<L: Limiter> Layer for Limit<L> {
    async fn call(&self, call: &mut Call, next: &impl Next) -> Answer {
        let windows = match call.caller.as_ref().filter(|_| call.route().target != Target::Own) {
            Some(known) => of_caller(&known.caller),
            None => of_address(call.address, self.address),
        };
        if windows.is_empty() {
            call.cost = call.method().cost;
            return next.call(call).await;
        }
        let taken = self.limiter.take(&windows, call.method().cost).await?;
        let answer = self.pass(call, next, &windows, &taken).await;
        if !windows.known {
            return answer; // nobody has no headers
        }
        // A refusal, of this layer or one below, shows the windows like any answer.
        let mut answer = answer.unwrap_or_else(|refusal| refused(call, &refusal));
        self.policies.show(answer.headers_mut(), &windows, &taken);
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{
        layer::testing::{answer_with_trailers, call, caller, ok, routed, text},
        limiter::Memory,
    };
    use chassis::clock::Clock;
    use contract::{Reason, Refusal};
    use http::HeaderMap;
    use http_body_util::BodyExt;
    use std::time::Duration;
    use tonic::Status;
    use tonic_types::StatusExt;

    const GET: &str = "/one.ontology.v1.ThingService/GetThing";

    struct House {
        clock: Clock,
        limit: Limit<Memory>,
        rate: Rate,
        root_rate: Rate,
    }

    impl House {
        /// 27 s after a full minute, 12 hours after midnight.
        fn new(rate: (i64, i64), root_rate: (i64, i64)) -> Self {
            let clock = Clock::still(Duration::from_secs(20_000 * 86_400 + 43_227));
            let limit = Limit::new(Arc::new(Memory::new(clock.clone())), Rate { per_minute: 3, per_day: -1 });
            let rate_of = |(per_minute, per_day)| Rate { per_minute, per_day };
            Self { clock, limit, rate: rate_of(rate), root_rate: rate_of(root_rate) }
        }

        async fn headers(&self, key: u128, next: impl Fn(&mut Call) -> Answer + Send + Sync) -> HeaderMap {
            let mut call = routed(call(GET, &[]));
            call.caller = Some(caller(key, |caller| (caller.rate, caller.root_rate) = (self.rate, self.root_rate)));
            self.limit.call(&mut call, &next).await.unwrap().headers().clone()
        }

        async fn nobody(&self) -> Answer {
            self.stranger(Address::default()).await
        }

        async fn stranger(&self, address: Address) -> Answer {
            let mut call = routed(call("/grpc.health.v1.Health/Check", &[]));
            call.address = address;
            self.limit.call(&mut call, &|_: &mut Call| ok()).await
        }
    }

    #[tokio::test]
    async fn headers_are_those_of_the_contract_byte_for_byte() {
        let house = House::new((60, 10_000), (-1, -1));
        let headers = house.headers(1, |_| ok()).await;
        assert_eq!(text(&headers, "ratelimit-policy"), r#""minute";q=60;w=60, "day";q=10000;w=86400"#);
        assert_eq!(text(&headers, "ratelimit"), r#""minute";r=59;t=33"#);
        let house = House::new((60, -1), (600, 50));
        let headers = house.headers(1, |_| ok()).await;
        assert_eq!(text(&headers, "ratelimit-policy"), r#""minute";q=60;w=60, "organisation-minute";q=600;w=60, "organisation-day";q=50;w=86400"#);
        assert_eq!(text(&headers, "ratelimit"), r#""organisation-day";r=49;t=43173"#);
    }

    #[tokio::test]
    async fn no_limit_and_no_caller_have_no_headers() {
        let house = House::new((-1, -1), (-1, -1));
        let headers = house.headers(1, |_| ok()).await;
        assert!(!headers.contains_key("ratelimit") && !headers.contains_key("ratelimit-policy"));
        let answer = house.nobody().await.unwrap();
        assert!(!answer.headers().contains_key("ratelimit"));
    }

    #[tokio::test]
    async fn the_last_of_a_minute_is_answered_and_the_next_refused_until_the_minute_is_over() {
        let house = House::new((2, 10_000), (-1, -1));
        house.headers(1, |_| ok()).await;
        assert_eq!(text(&house.headers(1, |_| ok()).await, "ratelimit"), r#""minute";r=0;t=33"#);
        let headers = house.headers(1, |_| panic!("refused before")).await;
        assert_eq!((text(&headers, "ratelimit"), text(&headers, "retry-after")), (r#""minute";r=0;t=33"#, "33"));
        let details = Status::from_header_map(&headers).unwrap().get_error_details();
        assert_eq!(details.error_info().unwrap().reason, "RATE_LIMITED");
        assert_eq!(
            (details.error_info().unwrap().metadata["window"].as_str(), details.error_info().unwrap().metadata["limit"].as_str()),
            ("minute", "2")
        );
        assert_eq!(details.retry_info().unwrap().retry_delay, Some(Duration::from_secs(33)));
        assert_eq!(details.quota_failure().unwrap().violations[0].subject, "key:00000000-0000-0000-0000-000000000001");
        house.clock.advance(Duration::from_secs(33));
        assert_eq!(text(&house.headers(1, |_| ok()).await, "ratelimit"), r#""minute";r=1;t=60"#);
    }

    #[tokio::test]
    async fn keys_of_one_organisation_share_its_windows_and_have_their_own() {
        let house = House::new((2, -1), (3, -1));
        house.headers(1, |_| ok()).await;
        house.headers(1, |_| ok()).await;
        assert_eq!(text(&house.headers(2, |_| ok()).await, "ratelimit"), r#""organisation-minute";r=0;t=33"#);
        let refused = house.headers(2, |_| ok()).await;
        let details = Status::from_header_map(&refused).unwrap().get_error_details();
        assert!(details.quota_failure().unwrap().violations[0].subject.starts_with("organisation:"));
    }

    #[tokio::test]
    async fn only_a_service_that_shows_it_is_told_what_is_left() {
        let house = House::new((60, -1), (600, 50));
        let told = std::sync::Mutex::new(Vec::new());
        for path in [GET, "/one.identity.v1.KeyService/GetCaller"] {
            let mut call = routed(call(path, &[]));
            call.caller = Some(caller(2, |caller| (caller.rate, caller.root_rate) = (house.rate, house.root_rate)));
            let below = |call: &mut Call| {
                told.lock().unwrap().push(text(call.headers(), "one-left").to_owned());
                ok()
            };
            house.limit.call(&mut call, &below).await.unwrap();
        }
        let minute = 20_000 * 86_400 + 43_260;
        let left = format!("minute=58@{minute},organisation-minute=598@{minute},organisation-day=48@{}", 20_001 * 86_400);
        assert_eq!(*told.lock().unwrap(), [String::new(), left]);
    }

    #[tokio::test]
    async fn a_refusal_below_was_counted_and_shows_it() {
        let house = House::new((60, -1), (-1, -1));
        let headers = house.headers(1, |_| Err(Refusal::new(Reason::InsufficientScopes, "no"))).await;
        assert_eq!(text(&headers, "ratelimit"), r#""minute";r=59;t=33"#);
        assert_eq!(text(&headers, "grpc-status"), "7");
    }

    #[tokio::test]
    async fn nobody_is_limited_by_address() {
        let house = House::new((-1, -1), (-1, -1));
        for _ in 0..3 {
            house.nobody().await.unwrap();
        }
        let refusal = house.nobody().await.unwrap_err();
        assert_eq!((refusal.reason(), refusal.retry_after()), (Reason::RateLimited, Some(Duration::from_secs(33))));
    }

    #[tokio::test]
    async fn adv_cve_2026_45364_a_64_is_one_stranger_and_so_is_every_spelling_of_an_ipv4() {
        let stranger = |text: &str| Address::of(text.parse().unwrap());
        let alike = (0..10_000_u128).map(|host| Address::of(std::net::Ipv6Addr::from_bits((0x2001_0db8 << 96) | host << 40 | host).into()));
        let spelled = ["192.0.2.1", "::ffff:192.0.2.1", "::ffff:c000:201", "0:0:0:0:0:ffff:192.0.2.1", "::FFFF:C000:0201"].map(stranger);
        for (many, another) in
            [(alike.collect(), stranger("2001:db8:0:1::")), (spelled.to_vec(), stranger("192.0.2.2")), (vec![Address::default(); 9], stranger("::1"))]
        {
            let house = House::new((-1, -1), (-1, -1));
            let mut passed = 0;
            for address in many {
                passed += usize::from(house.stranger(address).await.is_ok());
            }
            assert_eq!(passed, 3, "as many as of one address");
            assert!(house.stranger(another).await.is_ok(), "{another} has windows of its own");
        }
    }

    #[tokio::test]
    async fn what_a_call_really_cost_is_charged_at_its_end_and_shown_to_nobody() {
        let house = House::new((60, -1), (-1, -1));
        let (recorder, mut records) = crate::record::Recorder::new(house.clock.clone());
        let respond = crate::layer::Respond::new(recorder, None);
        let mut call = routed(call(GET, &[]));
        call.caller = Some(caller(1, |caller| caller.rate = house.rate));
        let below = |_: &mut Call| -> Answer { Ok(answer_with_trailers(b"x", Some(&Status::ok("")), Some(40))) };
        let answer = respond.call(&mut call, &crate::stack::Over(Borrowed(&house.limit), below)).await.unwrap();
        let trailers = answer.into_body().collect().await.unwrap().trailers().cloned().unwrap();
        assert!(!trailers.contains_key("x-cost"));
        assert_eq!(records.try_recv().unwrap().cost, 41);
        assert_eq!(text(&house.headers(1, |_| ok()).await, "ratelimit"), r#""minute";r=18;t=33"#);
    }

    struct Borrowed<'a, L>(&'a L);

    impl<L: Layer, N: Next> Next for crate::stack::Over<Borrowed<'_, L>, N> {
        fn call(&self, call: &mut Call) -> impl Future<Output = Answer> + Send {
            self.0.0.call(call, &self.1)
        }
    }
}
