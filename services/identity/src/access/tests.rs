#![allow(clippy::unwrap_used)]

use super::*;
use crate::{
    secret::guess,
    tiers::Tier,
    world::{World, call, group_id, in_group, named, worlds},
};
use chassis::{
    changes::{Access, Identity as _},
    principal::{Principal, Signer},
    room::Room,
    upstream::{Client, Upstream},
};
use contract::{
    Role, Scopes,
    identity::v1::{
        ActorKind, CreateKeyResponse, DeleteGroupRequest, Group, GroupLimits, GroupSettings, Key, RevokeKeyRequest, UpdateGroupRequest,
        group_service_server::GroupService, key_service_server::KeyService,
    },
    internal::v1::{Grant, Line, Quotas, Rate, Standing, credential::State},
    time::timestamp,
};
use std::time::Duration;

impl World<'_> {
    async fn made(&self, sent: Key) -> CreateKeyResponse {
        let sent = Key { name: "A".to_owned(), scopes: vec!["things:write".to_owned()], ..sent };
        self.create_key(&self.owner, sent).await.unwrap()
    }

    async fn checked(&self, ids: &[&[u8]]) -> Result<Vec<Credential>, Status> {
        let input = CheckCredentialsRequest { ids: ids.iter().map(|id| Bytes::copy_from_slice(id)).collect() };
        Ok(self.identity.check_credentials(call(&Principal::system(), input)).await?.into_inner().credentials)
    }

    async fn line(&self, id: Uuid) -> Option<Line> {
        let input = GetGroupsRequest { ids: vec![raw(&id)] };
        self.identity.get_groups(call(&Principal::system(), input)).await.unwrap().into_inner().lines.pop()
    }
}

fn id(made: &CreateKeyResponse) -> Uuid {
    Uuid::parse_str(&made.key.as_ref().unwrap().id).unwrap()
}

fn standing(credential: &Credential) -> Standing {
    let Some(State::Standing(standing)) = credential.state.clone() else { panic!("{credential:?}") };
    standing
}

fn refused(credential: &Credential) -> Reason {
    let Some(State::Refused(reason)) = credential.state else { panic!("{credential:?}") };
    Reason::try_from(reason).unwrap()
}

#[tokio::test]
async fn a_proven_key_says_what_it_may_do() {
    worlds(Tier::Pro, async |world| {
        let expire = world.case.clock.micros() + 60_000_000;
        let made = world.made(Key { role: "group_user".into(), expire_time: Some(timestamp(expire)), ..Key::default() }).await;
        let credential = world.identity.verify(&made.secret).await.unwrap();
        let group = raw(&world.owner.group);
        let rate = |per_minute, per_day| Some(Rate { per_minute, per_day });
        let expected = Standing {
            kind: contract::internal::v1::CredentialKind::Key.into(),
            actor_kind: ActorKind::Key.into(),
            actor_id: raw(&id(&made)),
            home_group_id: group.clone(),
            root_id: group.clone(),
            grants: vec![Grant { group_id: group.clone(), role: Role::GroupUser.into() }],
            scopes: Scopes::parse("things:write").unwrap().0,
            expire_micros: expire,
            rate: rate(600, 100_000),
            root_rate: rate(6_000, 1_000_000),
        };
        assert_eq!((standing(&credential), credential.id.clone()), (expected, raw(&id(&made))));
        assert_eq!(credential.depends_on, [raw(&id(&made)), group.clone(), group]);
        assert_eq!(world.checked(&[id(&made).as_bytes()]).await.unwrap(), [credential]);

        let first = standing(&world.identity.verify(&world.key).await.unwrap());
        assert_eq!((first.scopes, first.expire_micros), (Scopes::ALL.0, 0));
    })
    .await;
}

#[tokio::test]
async fn whatever_is_wrong_before_the_secret_fits_the_answer_is_the_same() {
    worlds(Tier::Starter, async |world| {
        let made = world.made(Key::default()).await;
        let other = world.made(Key::default()).await;
        let body = &made.secret[..72];
        let swapped = |at: usize, with: &str| format!("{}{with}{}", &body[..at], &body[at + with.len()..]);
        let guesses = [
            String::new(),
            "org_".to_owned(),
            "x".repeat(1 << 20),
            made.secret[..77].to_owned(),
            format!("{}0", made.secret),
            made.secret.replace("org_", "ORG_"),
            format!("{}{}", body, &other.secret[72..]),
            guess(&swapped(4, "000000000000")),         // another group's
            guess(&swapped(21, "00000000")),            // nobody's handle
            guess(&swapped(29, &other.secret[29..72])), // another's secret
            guess(&swapped(71, if body.ends_with('0') { "1" } else { "0" })),
        ];
        for presented in guesses {
            let refusal = world.identity.verify(&presented).await.unwrap_err();
            assert_eq!(refusal, unproven(), "{presented:.80}");
        }
        let input = VerifyCredentialRequest { presented: made.secret.clone() };
        assert!(!format!("{input:?}").contains(&made.secret));
        assert!(world.identity.verify_credential(call(&Principal::system(), input)).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn every_flipped_bit_is_refused_even_with_its_own_checksum() {
    worlds(Tier::Starter, async |world| {
        let body = world.made(Key::default()).await.secret[..72].to_owned();
        for place in 0..72 {
            let mut bytes = body.clone().into_bytes();
            bytes[place] ^= 1;
            let refusal = world.identity.verify(&guess(&String::from_utf8(bytes).unwrap())).await.unwrap_err();
            assert_eq!(refusal, unproven(), "at {place}");
        }
    })
    .await;
}

#[tokio::test]
async fn revoked_and_expired_is_told_only_to_who_has_the_secret() {
    worlds(Tier::Starter, async |world| {
        let expire_time = Some(timestamp(world.case.clock.micros() + 60_000_000));
        let (revoked, expired) = (world.made(Key::default()).await, world.made(Key { expire_time, ..Key::default() }).await);
        let both = world.made(Key { expire_time, ..Key::default() }).await;
        for made in [&revoked, &both] {
            let input = RevokeKeyRequest { id: id(made).to_string(), ..RevokeKeyRequest::default() };
            world.identity.revoke_key(call(&world.owner, input)).await.unwrap();
        }
        assert!(matches!(world.identity.verify(&expired.secret).await.unwrap().state, Some(State::Standing(_))));
        world.case.clock.advance(Duration::from_secs(60));
        for (made, why) in [(&revoked, Reason::KeyRevoked), (&expired, Reason::KeyExpired), (&both, Reason::KeyRevoked)] {
            assert_eq!(refused(&world.identity.verify(&made.secret).await.unwrap()), why);
            assert_eq!(refused(&world.checked(&[id(made).as_bytes()]).await.unwrap()[0]), why);
            let wrong = guess(&format!("{}{}", &made.secret[..29], "0".repeat(43)));
            assert_eq!(world.identity.verify(&wrong).await.unwrap_err(), unproven());
        }
    })
    .await;
}

#[tokio::test]
async fn a_replaced_key_works_until_its_grace_ends() {
    worlds(Tier::Starter, async |world| {
        let made = world.made(Key::default()).await;
        let end = world.case.clock.micros() + 60_000_000;
        let mut tx = world.case.db.system("test").begin().await.unwrap();
        tx.sql("update api_key set grace_time = $1 where id = $2").bind(At(end)).bind(id(&made)).run().await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(standing(&world.identity.verify(&made.secret).await.unwrap()).expire_micros, end);
        world.case.clock.advance(Duration::from_secs(60));
        assert_eq!(refused(&world.identity.verify(&made.secret).await.unwrap()), Reason::KeyExpired);
    })
    .await;
}

#[tokio::test]
async fn states_come_in_the_order_asked_many_at_once() {
    worlds(Tier::Starter, async |world| {
        let (one, two) = (id(&world.made(Key::default()).await), id(&world.made(Key::default()).await));
        let nobody = Uuid::from_u128(1);
        let ids = |credentials: Vec<Credential>| credentials.into_iter().map(|of| Uuid::from_slice(&of.id).unwrap()).collect::<Vec<_>>();
        let ask = |ids: &[Uuid]| ids.iter().map(|id| id.as_bytes().to_vec()).collect::<Vec<_>>();
        for (asked, known) in [(vec![two, nobody, one], vec![two, one]), (vec![nobody], vec![]), (vec![], vec![]), (vec![one, one], vec![one])] {
            let asked = ask(&asked);
            assert_eq!(ids(world.checked(&asked.iter().map(Vec::as_slice).collect::<Vec<_>>()).await.unwrap()), known);
        }
        let mut many: Vec<Uuid> = (10..1_009).map(Uuid::from_u128).collect();
        many.push(one);
        let many = ask(&many);
        assert_eq!(ids(world.checked(&many.iter().map(Vec::as_slice).collect::<Vec<_>>()).await.unwrap()), [one]);
        for wrong in [vec![&many[0][..15]], many.iter().chain(&many[..1]).map(Vec::as_slice).collect()] {
            assert_eq!(world.checked(&wrong).await.unwrap_err().code(), tonic::Code::InvalidArgument);
        }
    })
    .await;
}

#[tokio::test]
async fn a_line_leads_from_a_group_to_its_organisation() {
    worlds(Tier::Starter, async |world| {
        let middle = world.below(&world.owner, "middle").await;
        let low = world.below(&in_group(&world.owner, &middle), "low").await;
        let limits = |things, groups| Some(GroupLimits { things, groups, ..GroupLimits::default() });
        let change = async |group: Group| {
            let input = UpdateGroupRequest { group: Some(group), ..UpdateGroupRequest::default() };
            world.identity.update_group(call(&world.platform, input)).await.unwrap()
        };
        let settings = Some(GroupSettings { allow_parent_access: Some(true), ..GroupSettings::default() });
        change(Group { id: low.id.clone(), settings, limits: limits(Some(5), Some(1)), ..Group::default() }).await;
        change(Group { id: world.owner.group.to_string(), limits: limits(Some(7), Some(12)), ..Group::default() }).await;
        let input = DeleteGroupRequest { id: middle.id.clone(), ..DeleteGroupRequest::default() };
        world.identity.delete_group(call(&world.owner, input)).await.unwrap();

        let line = world.line(*group_id(&low)).await.unwrap();
        let states: Vec<_> =
            line.groups.iter().map(|group| (Uuid::from_slice(&group.id).unwrap(), group.archived, group.allow_parent_access)).collect();
        assert_eq!(states, [(*group_id(&low), false, true), (*group_id(&middle), true, false), (*world.owner.group, false, false)]);
        assert_eq!(line.quotas, Some(Quotas { groups: 12, things: 5 }), "things are the group's, groups the organisation's");
        assert_eq!(
            world.line(*group_id(&middle)).await.unwrap().quotas,
            Some(Quotas { groups: 12, things: 1_000 }),
            "the tier's, not the one's above"
        );
        assert_eq!(world.line(*world.owner.group).await.unwrap().quotas, Some(Quotas { groups: 12, things: 7 }));
        assert_eq!(world.line(Uuid::from_u128(1)).await, None);
        let input = GetGroupsRequest { ids: [*group_id(&low), Uuid::from_u128(1), *world.platform.group].iter().map(raw).collect() };
        let lines = world.identity.get_groups(call(&Principal::system(), input)).await.unwrap().into_inner().lines;
        assert_eq!(lines.iter().map(|line| line.groups.len()).sum::<usize>(), 4);
        let ids = (10..1_009).map(Uuid::from_u128).chain([*group_id(&low)]).map(|id| raw(&id)).collect();
        let lines = world.identity.get_groups(call(&Principal::system(), GetGroupsRequest { ids })).await.unwrap().into_inner().lines;
        assert_eq!(lines, [line]);
    })
    .await;
}

#[tokio::test]
async fn the_numbers_of_a_key_follow_its_group_and_its_organisation() {
    worlds(Tier::Enterprise, async |world| {
        let rates = async |key: &str| {
            let standing = standing(&world.identity.verify(key).await.unwrap());
            (standing.rate.unwrap(), standing.root_rate.unwrap())
        };
        let rate = |per_minute, per_day| Rate { per_minute, per_day };
        assert_eq!(rates(&world.key).await, (rate(-1, -1), rate(-1, -1)), "a self-hoster's own");
        let limits = Some(GroupLimits { key_requests_per_minute: Some(3), ..GroupLimits::default() });
        let sent = Group { limits, tier: "starter".into(), ..named("child's") };
        let organisation = world.create_group(&world.platform, "", sent).await.unwrap();
        let child = world.below(&in_group(&world.platform, &organisation), "child").await;
        let key = |who: Principal| {
            let world = &world;
            async move { world.create_key(&who, Key { name: "A".into(), scopes: vec!["*".into()], ..Key::default() }).await.unwrap().secret }
        };
        let above = key(in_group(&world.platform, &organisation)).await;
        let below = key(in_group(&world.platform, &child)).await;
        assert_eq!(rates(&above).await, (rate(3, 10_000), rate(600, 100_000)));
        assert_eq!(rates(&below).await, (rate(60, 10_000), rate(600, 100_000)));
    })
    .await;
}

#[tokio::test]
async fn the_gateways_client_understands_each_answer() {
    worlds(Tier::Pro, async |world| {
        let signer = Signer::new(&world.case.options.secrets.derive("test"), world.case.clock.clone());
        let upstream = Upstream::here(Room::new(world.identity.routes(), crate::SCHEMA, signer.clone()));
        let access = Access::new(Client::new(upstream.clone(), crate::SCHEMA, signer), world.case.clock.clone());
        let fresh = access.verify(&world.key).await.unwrap();
        let caller = fresh.value.state.unwrap();
        assert_eq!((caller.home, caller.root, caller.scopes, caller.rate.per_minute), (world.owner.group, world.owner.group, Scopes::ALL, 600));
        assert!(fresh.ids.contains(&world.owner.group));
        assert_eq!(access.check(fresh.value.credential).await.unwrap().value.state.unwrap(), caller);
        assert_eq!(access.verify("org_").await.unwrap_err(), unproven());
        assert_eq!(access.check(Uuid::from_u128(1)).await.unwrap().value.state.unwrap_err(), unproven());
        let line = access.group(world.owner.group).await.unwrap().value.unwrap();
        assert_eq!((line.groups.len(), line.quotas.things), (1, 50_000));
        assert!(access.changes(0).await.unwrap().reset);

        let stranger = Signer::new(&[1; 32], world.case.clock.clone());
        let stranger = Access::new(Client::new(upstream, crate::SCHEMA, stranger), world.case.clock.clone());
        assert_eq!(stranger.verify(&world.key).await.unwrap_err().reason(), Reason::IdentityUnavailable, "not ours: no answer about the key");
    })
    .await;
}
