#![allow(clippy::unwrap_used)]
use super::*;
use crate::{
    tiers::Tier,
    world::{named, worlds},
};
use contract::identity::v1::Group;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

/// Remembers what it was told.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<SetRetentionRequest>>>);

impl Keeper for Notes {
    async fn set(&self, told: SetRetentionRequest) -> Result<(), Status> {
        self.0.lock().unwrap().push(told);
        Ok(())
    }
}

#[tokio::test]
async fn every_group_is_told_with_the_days_of_its_organisations_tier() {
    worlds(Tier::Pro, async |world| {
        let notes = Notes::default();
        let starter = world.create_group(&world.platform, "", named("A")).await.unwrap();
        let team = world.create_group(&world.owner, &world.owner.group.to_string(), named("below")).await.unwrap();
        let expected =
            |days| [(starter.id.clone(), days), (team.id.clone(), 90), (world.owner.group.to_string(), 90), (world.platform.group.to_string(), 365)];
        for (tier, days) in [("starter", 30), ("enterprise", 365)] {
            world.update(&world.platform, Group { id: starter.id.clone(), tier: tier.to_owned(), ..Group::default() }, &["tier"]).await.unwrap();
            world.identity.tell_all(&notes).await.unwrap();
            let told = notes.0.lock().unwrap().pop().unwrap();
            assert_eq!(GroupId::from_slice(&told.platform_id), Some(world.platform.group));
            let days_of: HashMap<String, i64> =
                told.retentions.iter().map(|of| (GroupId::from_slice(&of.group_id).unwrap().to_string(), of.days)).collect();
            assert_eq!(days_of, expected(days).into());
        }
    })
    .await;
}
