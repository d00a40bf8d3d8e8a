#![allow(clippy::unwrap_used)]

use super::*;
use crate::{MIGRATIONS, world::worlds};
use contract::internal::v1::credential::State;
use futures::future::join_all;
use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt};
use store::testing::{Case, both};
use tempfile::tempdir;

fn of(case: &Case, db: store::Db) -> Identity {
    Identity::new(db, &case.options.secrets)
}

/// Every file of a folder, hidden ones too.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())).collect()
}

async fn role(identity: &Identity, key: &str) -> Role {
    let Some(State::Standing(standing)) = identity.verify(key.trim_end()).await.unwrap().state else { panic!("refused") };
    assert_eq!(standing.scopes, contract::Scopes::ALL.0);
    Role::try_from(standing.grants[0].role).unwrap()
}

async fn groups(case: &Case) -> i64 {
    let rows: Vec<(GroupId,)> = case.db.system("test").sql("select below_id from group_line where distance = 0").all().await.unwrap();
    i64::try_from(rows.len()).unwrap()
}

#[tokio::test]
async fn the_first_start_makes_two_groups_and_two_keys_and_the_second_nothing() {
    worlds(Tier::Enterprise, async |world| {
        let made = files(world.folder.path());
        assert_eq!(made.keys().collect::<Vec<_>>(), ["owner.key", "platform.key"]);
        assert_eq!(made["owner.key"], format!("{}\n", world.key));
        for (name, expected) in [("owner.key", Role::GroupOwner), ("platform.key", Role::PlatformOwner)] {
            assert_eq!(role(&world.identity, &made[name]).await, expected);
            let mode = fs::metadata(world.folder.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        let told = world.told().await;
        let kinds: Vec<_> = told.iter().map(|told| (told.kind.as_str(), told.group)).collect();
        let (platform, owner) = (world.platform.group, world.owner.group);
        assert_eq!(kinds, [("group_created", platform), ("api_key_generated", platform), ("group_created", owner), ("api_key_generated", owner)]);
        assert_eq!(told[2].metadata["changes"]["plan"], "enterprise");

        let later = of(world.case, world.case.again().await);
        assert_eq!(bootstrap(&later, world.folder.path(), Tier::Starter).await.unwrap(), None);
        assert_eq!(files(world.folder.path()), made);
        assert_eq!(world.told().await.len(), 4);
        later.db.close().await;
    })
    .await;
}

#[tokio::test]
async fn another_tier_has_its_own_limits() {
    worlds(Tier::Starter, async |world| {
        let Some(State::Standing(standing)) = world.identity.verify(&world.key).await.unwrap().state else { panic!("refused") };
        assert_eq!((standing.rate.unwrap().per_minute, standing.root_rate.unwrap().per_minute), (60, 600));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_replicas_that_start_at_once_one_makes_the_groups() {
    both(MIGRATIONS, async |case| {
        let (shared, mut replicas) = (tempdir().unwrap(), Vec::new());
        for _ in 0..4 {
            replicas.push(of(case, case.again().await));
        }
        let made = join_all(replicas.iter().map(|replica| bootstrap(replica, shared.path(), Tier::Enterprise))).await;
        let keys: Vec<String> = made.into_iter().filter_map(Result::unwrap).collect();
        let [key] = &keys[..] else { panic!("{} keys", keys.len()) };
        assert_eq!(groups(case).await, 2);
        let left = files(shared.path());
        assert_eq!(left.keys().collect::<Vec<_>>(), ["owner.key", "platform.key"], "nothing is left over");
        assert_eq!(left["owner.key"].trim_end(), key);
        assert_eq!(role(&replicas[0], &left["platform.key"]).await, Role::PlatformOwner);
        for replica in replicas {
            replica.db.close().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_start_that_was_killed_is_mended_by_the_next() {
    both(MIGRATIONS, async |case| {
        let (identity, folder) = (of(case, case.db.clone()), tempdir().unwrap());
        let (path, owner) = (folder.path(), KeyFile::new(folder.path(), "owner.key"));
        // Killed before the commit, in the middle of a file and after one.
        owner.prepare(&Secret::make("0123456789ab").unwrap()).unwrap();
        fs::write(path.join(".platform.key.AbCdEfGh"), "org_0123").unwrap();
        let key = bootstrap(&identity, path, Tier::Enterprise).await.unwrap().unwrap();
        let made = files(path);
        assert_eq!(made.keys().collect::<Vec<_>>(), ["owner.key", "platform.key"]);
        // Killed between the commit and each rename.
        let handle = Secret::parse(&key).unwrap().handle().to_owned();
        fs::rename(path.join("owner.key"), path.join(format!(".owner.key.{handle}"))).unwrap();
        owner.prepare(&Secret::make("0123456789ab").unwrap()).unwrap();
        assert_eq!(bootstrap(&identity, path, Tier::Enterprise).await.unwrap(), None);
        assert_eq!(files(path), made);
        // Done already is done; and a key that was taken away on purpose does not come back.
        owner.place(&Secret::parse(&key).unwrap()).unwrap();
        fs::remove_file(path.join("platform.key")).unwrap();
        assert_eq!(bootstrap(&identity, path, Tier::Enterprise).await.unwrap(), None);
        assert_eq!(files(path).len(), 1);
        assert_eq!(groups(case).await, 2);
    })
    .await;
}

#[tokio::test]
async fn a_folder_that_is_not_there_makes_no_groups() {
    both(MIGRATIONS, async |case| {
        let (identity, folder) = (of(case, case.db.clone()), tempdir().unwrap());
        let failed = bootstrap(&identity, &folder.path().join("nowhere"), Tier::Enterprise).await.unwrap_err();
        assert!(matches!(failed, Error::Io(_)), "{failed}");
        assert_eq!(groups(case).await, 0, "a key nobody could read would open the platform to nobody");
    })
    .await;
}
