//! Rights that are taken away, while the gateways hear of identity late, or not at all.
//!
//! What is asserted is the arithmetic of the lease, whatever the machine does meanwhile: it is over 700 ms after the last question that
//! was sent before the acknowledgement, so a call that began later than that must not pass, at any gateway.

use contract::{
    Reason,
    events::v1::watch_events_request::From,
    identity::v1::{DeleteGroupRequest, Group, GroupSettings, RevokeKeyRequest, UpdateGroupRequest},
    ontology::v1::ListThingsRequest,
};
use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};
use tests::{Caller, Engine, Fault, Layout, Mesh, Role, Tenant, Wire, eventually, run, within};
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tonic::{Code, Status};

/// `chassis::changes::LEASE`.
const LEASE: Duration = Duration::from_millis(700);
const GATEWAYS: usize = 4;
const ROUNDS: usize = 5;
/// What each round takes away: 25 trials in all, each at four gateways.
const CHANGES: [Change; 5] = [Change::Key, Change::Key, Change::Key, Change::Archive, Change::CloseToParents];

#[derive(Clone, Copy, Debug)]
enum Change {
    Key,
    Archive,
    CloseToParents,
}

/// The faults of a round, one for each gateway.
fn faults(round: usize) -> [Fault; GATEWAYS] {
    let ms = |number| Duration::from_millis(number);
    let all = [
        Fault::Silent,
        Fault::Slow(ms(150)),
        Fault::Cut,
        Fault::Late(ms(650)),
        Fault::None,
        Fault::Slow(ms(400)),
        Fault::Late(ms(300)),
        Fault::Late(ms(1_200)),
    ];
    std::array::from_fn(|gateway| all[(round + 2 * gateway) % all.len()])
}

/// Somebody whose right is taken away.
struct Subject {
    change: Change,
    /// The id of the key, or of the group.
    id: String,
    /// Who loses it.
    caller: Caller,
    /// Who keeps it in the same group, if anybody can.
    witness: Option<Caller>,
    /// When the change was acknowledged.
    acknowledged: Arc<OnceLock<Instant>>,
}

impl Subject {
    async fn new(tenant: &Tenant, change: Change) -> Subject {
        let (id, caller, witness) = match change {
            Change::Key => {
                let made = tenant.create_key("to be revoked", "group_owner", &["*"]).await;
                (made.key.unwrap().id, tenant.with_key(&made.secret), Some(tenant.owner().clone()))
            }
            Change::Archive | Change::CloseToParents => {
                let child = tenant.create_group("a group", &tenant.group.id).await;
                open_to_parents(tenant, &child.id, true).await;
                let made = tenant.acting_in(&child.id).create_key("its own", "group_owner", &["*"]).await;
                let own = matches!(change, Change::CloseToParents).then(|| tenant.with_key(&made.secret));
                (child.id.clone(), tenant.acting_in(&child.id), own)
            }
        };
        Subject { change, id, caller, witness, acknowledged: Arc::default() }
    }

    async fn take_away(&self, tenant: &Tenant) {
        let id = self.id.clone();
        match self.change {
            Change::Key => drop(tenant.keys().revoke_key(RevokeKeyRequest { id, ..Default::default() }).await.unwrap()),
            Change::Archive => drop(tenant.groups().delete_group(DeleteGroupRequest { id, ..Default::default() }).await.unwrap()),
            Change::CloseToParents => open_to_parents(tenant, &id, false).await,
        }
        self.acknowledged.set(Instant::now()).expect("it is taken away once");
    }

    fn reason(&self) -> Reason {
        match self.change {
            Change::Key => Reason::KeyRevoked,
            Change::Archive | Change::CloseToParents => Reason::GroupNotFound,
        }
    }
}

async fn open_to_parents(tenant: &Tenant, id: &str, open: bool) {
    let settings = GroupSettings { allow_parent_access: Some(open), ..GroupSettings::default() };
    let group = Group { id: id.to_owned(), settings: Some(settings), ..Group::default() };
    tenant.groups().update_group(UpdateGroupRequest { group: Some(group), ..Default::default() }).await.unwrap();
}

async fn call(caller: &Caller) -> Result<(), Status> {
    caller.things().list_things(ListThingsRequest { page_size: 1, ..Default::default() }).await.map(drop)
}

/// Calls until enough were refused that began after the lease; what passes meanwhile must have begun before its end.
async fn load(caller: Caller, acknowledged: Arc<OnceLock<Instant>>) {
    let mut refused = 0;
    while refused < 2 {
        let begun = Instant::now();
        let answer = call(&caller).await;
        // Over while the call was under way: then it began before the acknowledgement, or shortly after.
        let after = acknowledged.get().and_then(|at| begun.checked_duration_since(*at));
        let late = after.is_some_and(|after| after >= LEASE);
        assert!(answer.is_err() || !late, "a call was answered that began {after:?} after the acknowledgement");
        refused += usize::from(late);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Reads a watch to its end: how it ended, and what it saw.
async fn watch(caller: Caller) -> (Status, Vec<String>) {
    let mut stream = caller.watch(From::Now(true)).await;
    let mut seen = Vec::new();
    loop {
        match stream.next().await {
            Some(Ok(answer)) => seen.extend(answer.events.into_iter().map(|event| event.target.unwrap_or_default().id)),
            Some(Err(status)) => return (status, seen),
            None => panic!("a watch never ends well"),
        }
    }
}

struct Round {
    mesh: Mesh,
    wires: Vec<Wire>,
    tenant: Tenant,
    subjects: Vec<Subject>,
    loads: JoinSet<()>,
    watches: JoinSet<(Status, Vec<String>)>,
}

impl Round {
    async fn new(mesh: &Mesh, wires: &[Wire]) -> Round {
        let tenant = mesh.tenant().await;
        let mut subjects = Vec::new();
        for change in CHANGES {
            subjects.push(Subject::new(&tenant, change).await);
        }
        Round { mesh: mesh.clone(), wires: wires.to_vec(), tenant, subjects, loads: JoinSet::new(), watches: JoinSet::new() }
    }

    /// The same caller at each gateway behind a wire.
    fn everywhere(&self, caller: &Caller) -> [Caller; GATEWAYS] {
        std::array::from_fn(|number| caller.reconnected(self.mesh.addr(Role::Gateway, number + 1)))
    }

    /// Each of them calls and watches at each gateway.
    async fn begin(&mut self) {
        for subject in &self.subjects {
            for caller in self.everywhere(&subject.caller) {
                eventually("the key to work", || async { call(&caller).await.ok() }).await;
                self.loads.spawn(load(caller.clone(), subject.acknowledged.clone()));
                self.watches.spawn(watch(caller));
            }
        }
    }

    /// The rights are taken away while the wires are faulty; what happens afterwards, no watch may show.
    async fn take_away(&self, faults: [Fault; GATEWAYS]) -> Vec<String> {
        for (wire, fault) in self.wires.iter().zip(faults) {
            wire.set(fault);
        }
        for subject in &self.subjects {
            subject.take_away(&self.tenant).await;
        }
        // Not a time that is hoped to do: it is the end of the last lease, and what is created from here on is after it.
        tokio::time::sleep(LEASE).await;
        let mut after = Vec::new();
        for witness in self.subjects.iter().filter_map(|subject| subject.witness.as_ref()) {
            after.push(witness.create("too late to be seen").await.id);
        }
        after
    }

    async fn end(mut self, after: Vec<String>) {
        while let Some(loaded) = self.loads.join_next().await {
            loaded.expect("nothing passes after the lease");
        }
        self.wires.iter().for_each(|wire| wire.set(Fault::None));
        while let Some(watched) = tokio::time::timeout(Duration::from_secs(30), self.watches.join_next()).await.expect("watches end") {
            let (status, seen) = watched.unwrap();
            assert_eq!(status.code(), Code::Unavailable, "{status:?}");
            assert!([Reason::AccessChanged, Reason::IdentityUnavailable].contains(&tests::reason(&status)), "{status:?}");
            assert!(seen.iter().all(|id| !after.contains(id)), "a watch showed what happened after the lease");
        }
        for subject in &self.subjects {
            for caller in self.everywhere(&subject.caller) {
                let what = format!("{:?} to be heard of", subject.change);
                within(Duration::from_secs(30), &what, || async {
                    call(&caller).await.err().filter(|status| tests::reason(status) == subject.reason())
                })
                .await;
            }
        }
        for caller in self.everywhere(&self.tenant) {
            eventually("who lost nothing to go on", || async { call(&caller).await.ok() }).await;
        }
    }
}

#[test]
fn what_was_taken_away_is_gone_everywhere_when_the_lease_is_over_whatever_is_heard_of_identity() {
    run(Layout::Split, Engine::Postgres, |_| async {
        let mut wires = Vec::new();
        for _ in 0..GATEWAYS {
            wires.push(Wire::lay().await);
        }
        // The first one has a wire of its own without faults: that is where rights are taken away.
        let mesh = Mesh::builder(Layout::Split, Engine::Postgres).gateways(1 + GATEWAYS).wired(&wires).start().await;
        let _shown = mesh.show_logs_of_a_failure();
        for number in 0..ROUNDS {
            let mut round = Round::new(&mesh, &wires).await;
            round.begin().await;
            let after = round.take_away(faults(number)).await;
            round.end(after).await;
        }
    });
}
