//! What the request log says of a load: each attempt stands in it once, whoever was killed meanwhile.

use crate::load::Ledger;
use contract::events::v1::GetUsageRequest;
use std::collections::BTreeMap;
use tests::{Tenant, eventually};

/// How often the tenant's key called each rpc of the writers.
async fn counted(tenant: &Tenant, ledger: &Ledger) -> BTreeMap<&'static str, usize> {
    let key_id = tenant.who_am_i().await.key.expect("a key").id;
    let asked = GetUsageRequest { interval: "hour".to_owned(), group_by: vec!["rpc".to_owned()], key_id, ..Default::default() };
    let usage = tenant.usage().get_usage(asked).await.expect("an answer").into_inner();
    let mut counts = BTreeMap::new();
    for span in usage.spans {
        let (_, name) = span.rpc.split_once('/').unwrap_or_default();
        if let Some((rpc, _)) = ledger.attempts.get_key_value(name) {
            let count = span.measures.map_or(0, |measures| measures.count);
            *counts.entry(*rpc).or_default() += usize::try_from(count).expect("no less than none");
        }
    }
    counts
}

/// Every attempt is there, and once: the gateway lived all the time, and whom it tells of them may have been killed at any moment.
pub(crate) async fn each_attempt_is_on_record(tenant: &Tenant, ledger: &Ledger) {
    // On a machine with more to do than it can identity is late now and then, and nobody knows whose such an attempt was.
    let nobodys = ledger.refusals.get("IDENTITY_UNAVAILABLE").copied().unwrap_or_default();
    let all = ledger.attempts.values().sum::<usize>() - nobodys;
    eventually("all attempts on record", || async { (counted(tenant, ledger).await.values().sum::<usize>() >= all).then_some(()) }).await;
    no_attempt_is_on_record_twice(tenant, ledger).await;
}

/// What a gateway had not told when it was killed is lost; nothing is there twice.
pub(crate) async fn no_attempt_is_on_record_twice(tenant: &Tenant, ledger: &Ledger) {
    for (rpc, count) in counted(tenant, ledger).await {
        let attempts = ledger.attempts[rpc];
        assert!(count <= attempts, "{rpc}: {count} on record, and {attempts} were sent");
    }
}
