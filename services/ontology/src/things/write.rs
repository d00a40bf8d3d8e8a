//! Changes of things. Each is its checks, one statement, one event.

use super::{
    events, invalid, named, not_found,
    patch::{Patch, status_or_default},
    read_properties,
    row::{State, Stored},
    store,
};
use crate::{
    check,
    types::{ARCHIVED, ThingType, Types},
};
use ::store::{Creator, Tx, etag};
use chassis::principal::Principal;
use contract::{
    Reason, Refusal, Role,
    id::{GroupId, ThingId},
    ontology::v1::{CreateThingRequest, DeleteThingRequest, Thing, UpdateThingRequest},
};

/// Creates a thing in the acting group.
pub(crate) async fn create(types: &Types, principal: &Principal, tx: &mut Tx, input: CreateThingRequest) -> Result<Thing, Refusal> {
    let given = input.thing.unwrap_or_default();
    let thing = Stored::new(Creator::of(principal), tx.now(), first(types, principal, given)?);
    store::insert(tx, principal.group, &thing).await?;
    tx.count("things", principal.group, 1, principal.quotas.things).await?;
    tx.emit(events::created(principal.group, &thing))?;
    Ok(thing.message(types, principal.group))
}

fn first(types: &Types, principal: &Principal, given: Thing) -> Result<State, Refusal> {
    in_group(principal, &given.group_id)?;
    if given.r#type.is_empty() {
        return Err(invalid("thing.type", "is required"));
    }
    named(&given.name)?;
    let of = types.find(&given.r#type)?;
    writable(of, principal)?;
    let status = status_or_default(of, &given.status);
    check::status(of, status)?;
    let properties = read_properties(given.properties)?;
    check::properties(of, &properties)?;
    Ok(State { kind: of.name.clone(), name: given.name, status: status.to_owned(), properties })
}

/// Changes a thing.
pub(crate) async fn update(types: &Types, principal: &Principal, tx: &mut Tx, input: UpdateThingRequest) -> Result<Thing, Refusal> {
    let given = input.thing.unwrap_or_default();
    in_group(principal, &given.group_id)?;
    let id = ThingId::parse(&given.id).ok_or_else(|| invalid("thing.id", "is required"))?;
    let sent = given.etag.clone();
    let patch = Patch::read(input.update_mask.as_ref(), given)?;
    let change = Change { types, principal, id, etag: &sent };
    change.run(tx, |before| patch.apply(types, before)).await
}

/// Archives a thing.
pub(crate) async fn delete(types: &Types, principal: &Principal, tx: &mut Tx, input: DeleteThingRequest) -> Result<Thing, Refusal> {
    let id = ThingId::parse(&input.id).ok_or_else(|| invalid("id", "must be a UUID"))?;
    let change = Change { types, principal, id, etag: &input.etag };
    change.run(tx, |before| Ok(State { status: ARCHIVED.to_owned(), ..before.clone() })).await
}

/// A change of the thing that has this id and, if one was sent, this etag.
struct Change<'a> {
    types: &'a Types,
    principal: &'a Principal,
    id: ThingId,
    etag: &'a str,
}

impl Change<'_> {
    /// Reads, changes, and writes where nobody has written in between; else what they wrote is read and changed anew, so nothing is lost.
    ///
    /// A change that changes nothing is answered with the thing as it is: no revision, no event. The log tells of changes, and a watcher
    /// that would see revision 5 equal to 4 learns nothing.
    async fn run(&self, tx: &mut Tx, change: impl Fn(&State) -> Result<State, Refusal> + Send) -> Result<Thing, Refusal> {
        let group = self.principal.group;
        loop {
            let before = store::get(tx, group, self.id).await?.ok_or_else(|| not_found(self.id))?;
            self.allowed(&before)?;
            let state = change(&before.state)?;
            if state == before.state {
                return Ok(before.message(self.types, group));
            }
            let after = before.next(tx.now(), state);
            if store::update(tx, group, &after).await? {
                tx.emit(events::changed(group, &before.state, &after))?;
                return Ok(after.message(self.types, group));
            }
        }
    }

    fn allowed(&self, thing: &Stored) -> Result<(), Refusal> {
        self.types.get(&thing.state.kind).map_or(Ok(()), |of| writable(of, self.principal))?;
        if self.principal.role < Role::GroupOwner && !thing.creator.is(self.principal) {
            let refusal = Refusal::new(Reason::InsufficientRole, "a group_user changes only things of its own; ask a group_owner");
            return Err(refusal.with("role", self.principal.role.word()).with("needed", Role::GroupOwner.word()));
        }
        etag::check(self.etag, thing.revision)
    }
}

/// The acting group comes from the credential; one in the body may only repeat it.
fn in_group(principal: &Principal, sent: &str) -> Result<(), Refusal> {
    let id = GroupId::parse(sent);
    if sent.is_empty() || id == Some(principal.group) {
        return Ok(());
    }
    let refusal = Refusal::new(Reason::GroupMismatch, "thing.group_id is not the acting group; leave it out, or send x-group-id");
    // Only what is an id: a field may hold by mistake what must not be repeated.
    Err(match id {
        Some(id) => refusal.with("group_id", id.to_string()),
        None => refusal,
    })
}

/// What the platform keeps for itself, it writes itself.
fn writable(of: &ThingType, principal: &Principal) -> Result<(), Refusal> {
    if !of.system || principal.is_system() {
        return Ok(());
    }
    Err(Refusal::new(Reason::SystemType, format!("things of type {} are written by the platform only", of.name)).with("type", of.name.as_str()))
}
