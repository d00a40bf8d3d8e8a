//! Starts of many kinds.

use super::fixture::{MIGRATIONS as NEW, group, notes, principal, send};
use crate::{
    BASE, Db, DbOptions, Migration, OpenError,
    migrate::{Error, Mode},
    testing::both,
};
use chassis::secret::Secrets;
use futures::future::join_all;

const OLD: &[Migration] = &[BASE];
const CHANGED: &[Migration] = &[BASE, Migration { sql: &["CREATE TABLE other (id UUID)"], ..NEW[1] }];
const DISORDER: &[Migration] = &[BASE, Migration { version: 3, ..NEW[1] }];
const BROKEN: &[Migration] =
    &[BASE, NEW[1], Migration { version: 3, name: "broken", min_reader: 0, sql: &["CREATE TABLE half (id UUID)", "CREATE nonsense"] }];
const CONTRACT: &[Migration] = &[BASE, NEW[1], Migration { version: 3, name: "contract", min_reader: 2, sql: &["CREATE TABLE third (id UUID)"] }];

async fn opened(options: &DbOptions, change: impl FnOnce(&mut DbOptions)) -> Result<(), OpenError> {
    let mut options = options.clone();
    change(&mut options);
    Db::open(options).await?.close().await;
    Ok(())
}

#[tokio::test]
async fn replicas_may_start_at_once() {
    both(NEW, async |case| {
        // A schema that nobody has made yet.
        let options = DbOptions { schema: format!("{}_at_once", case.options.schema), ..case.options.clone() };
        let started = join_all((0..8).map(|_| Db::open(options.clone()))).await;
        for db in started {
            let db = db.unwrap();
            let versions: Vec<(i64, String)> =
                db.system("test").sql("select version, name from schema_migration order by version").all().await.unwrap();
            assert_eq!(versions, [(1, "store".into()), (2, "note".into())]);
            db.close().await;
        }
        if case.dialect == crate::Dialect::Postgres {
            crate::testing::postgres().run(&format!("drop schema {} cascade", options.schema)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_start_after_a_start_keeps_what_is_there() {
    both(NEW, async |case| {
        let who = principal(group());
        send(&case.db, &who, super::fixture::make("a", "")).await.unwrap();
        let next = case.again().await;
        assert_eq!(notes(&next, who.group).await, ["a"]);
        next.close().await;
    })
    .await;
}

#[tokio::test]
async fn what_was_applied_may_not_change_and_a_broken_step_leaves_nothing() {
    both(NEW, async |case| {
        let changed = opened(&case.options, |options| options.migrations = CHANGED).await.unwrap_err();
        assert!(matches!(changed, OpenError::Migrate(Error::Changed { version: 2, .. })), "{changed:?}");
        let disorder = opened(&case.options, |options| options.migrations = DISORDER).await.unwrap_err();
        assert!(matches!(disorder, OpenError::Migrate(Error::Disorder { version: 3, .. })), "{disorder:?}");
        let broken = opened(&case.options, |options| options.migrations = BROKEN).await.unwrap_err();
        assert!(matches!(broken, OpenError::Migrate(Error::Store { .. })), "{broken:?}");
        assert!(case.db.system("test").sql("select * from half").all::<(uuid::Uuid,)>().await.is_err());
        opened(&case.options, |_| ()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_older_binary_starts_until_the_schema_says_no() {
    both(NEW, async |case| {
        opened(&case.options, |options| options.migrations = OLD).await.unwrap();
        opened(&case.options, |options| options.migrations = CONTRACT).await.unwrap();
        opened(&case.options, |_| ()).await.unwrap();
        let old = opened(&case.options, |options| options.migrations = OLD).await.unwrap_err();
        assert!(matches!(old, OpenError::Migrate(Error::TooNew { needs: 2, knows: 1, .. })), "{old:?}");
    })
    .await;
}

#[tokio::test]
async fn a_check_changes_nothing() {
    both(OLD, async |case| {
        opened(&case.options, |options| options.migrate = Mode::Check).await.unwrap();
        let check = |options: &mut DbOptions| (options.migrate, options.migrations) = (Mode::Check, NEW);
        let behind = opened(&case.options, check).await.unwrap_err();
        assert!(matches!(behind, OpenError::Migrate(Error::Behind { at: 1, needs: 2, .. })), "{behind:?}");
        let empty = opened(&case.options, |options| (options.migrate, options.schema) = (Mode::Check, "nobody_made_this".into())).await.unwrap_err();
        assert!(matches!(empty, OpenError::Migrate(Error::Behind { at: 0, .. })), "{empty:?}");
        opened(&case.options, |options| options.migrations = NEW).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn another_secret_than_the_datas_is_told_and_a_rotated_one_opens() {
    both(OLD, async |case| {
        let of = |list: &[[u8; 32]]| Secrets::of(list).unwrap();
        let other = opened(&case.options, |options| options.secrets = of(&[[9; 32]])).await.unwrap_err();
        assert!(matches!(&other, OpenError::Migrate(Error::Secret { .. })), "{other:?}");
        assert!(other.to_string().contains("ONE_SECRET_FILE"));
        opened(&case.options, |options| options.secrets = of(&[[9; 32], [7; 32]])).await.unwrap();
        opened(&case.options, |options| options.secrets = of(&[[9; 32]])).await.unwrap();
        assert!(opened(&case.options, |_| ()).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_bad_setting_is_told_without_its_password() {
    let case = crate::testing::Case::sqlite(OLD).await;
    for url in ["", "mysql://a:hunter2@b/c", "postgres://a:hunter2@b:notaport/c"] {
        let error = opened(&case.options, |options| options.url = url.into()).await.unwrap_err();
        assert!(matches!(error, OpenError::Url), "{url}");
        assert!(!error.to_string().contains("hunter2"));
    }
    for schema in ["", "A", "a-b", "a; drop schema b", "\"a\""] {
        assert!(matches!(opened(&case.options, |options| options.schema = schema.into()).await, Err(OpenError::Schema(_))), "{schema}");
    }
    case.end().await;
}
