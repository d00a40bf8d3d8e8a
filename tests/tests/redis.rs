//! Several gateways and the Redis they share.

use crate::{
    limits::{left, tenant_with},
    support::metric,
};
use contract::{Reason, identity::v1::GetCallerRequest};
use futures::{StreamExt, future::join_all, stream};
use std::time::Duration;
use tests::{Caller, Engine, Layout, Mesh, Redis, Refused, Refuses, Role, eventually, run};
use tonic::Code;

/// Which gateway it was makes no difference.
fn everywhere(mesh: &Mesh, caller: &Caller, gateways: usize) -> Vec<Caller> {
    (0..gateways).map(|number| caller.reconnected(mesh.addr(Role::Gateway, number))).collect()
}

/// How many of some calls passed, and of how many it is not known whether they were counted: on a busy machine identity may be late, before
/// the limit or after it.
#[derive(Clone, Copy, Debug, Default)]
struct Passed {
    surely: usize,
    perhaps: usize,
}

impl Passed {
    fn is(self, expected: usize) -> bool {
        (self.surely..=self.surely + self.perhaps).contains(&expected)
    }

    fn and(self, other: Passed) -> Passed {
        Passed { surely: self.surely + other.surely, perhaps: self.perhaps + other.perhaps }
    }
}

/// Calls, a few at a time; what does not pass is over the limit.
async fn pass(caller: &Caller, calls: usize) -> Passed {
    let one = async |_| match caller.keys().get_caller(GetCallerRequest {}).await.map_err(Refused::from) {
        Ok(_) => Passed { surely: 1, perhaps: 0 },
        Err(refused) if refused.reason == Reason::RateLimited => Passed::default(),
        Err(refused) if refused.reason == Reason::IdentityUnavailable => Passed { surely: 0, perhaps: 1 },
        Err(refused) => panic!("{refused:?}"),
    };
    stream::iter(0..calls).map(one).buffer_unordered(8).fold(Passed::default(), async |all, one| all.and(one)).await
}

async fn is_connected(mesh: &Mesh, gateway: usize) -> bool {
    metric(mesh.admin(Role::Gateway, gateway), "gateway_redis_connected", &[]).await == Some(1.0)
}

async fn connected(mesh: &Mesh, gateways: usize) {
    for gateway in 0..gateways {
        eventually("the gateway to find Redis", || async { is_connected(mesh, gateway).await.then_some(()) }).await;
    }
}

async fn decided(mesh: &Mesh, gateway: usize, decided: &str) -> f64 {
    let labels = ["asked=\"limit\"", &format!("decided=\"{decided}\"")];
    metric(mesh.admin(Role::Gateway, gateway), "gateway_redis_away_total", &labels).await.unwrap_or_default()
}

async fn start(gateways: usize, redis: &Redis, timeout: &str, away: &str) -> Mesh {
    let mesh = Mesh::builder(Layout::Split, Engine::Postgres).gateways(gateways);
    mesh.set("ONE_REDIS_URL", redis.url()).set("ONE_REDIS_TIMEOUT", timeout).set("ONE_REDIS_AWAY", away).start().await
}

#[test]
fn four_gateways_together_let_exactly_the_allowed_number_pass() {
    run(Layout::Split, Engine::Postgres, |_| async {
        let redis = Redis::start();
        let mesh = start(4, &redis, "30s", "closed").await;
        let _shown = mesh.show_logs_of_a_failure();
        let tenant = tenant_with(&mesh, 300).await;
        let callers = everywhere(&mesh, &tenant, 4);
        for (number, caller) in callers.iter().enumerate() {
            assert_eq!(left(caller, "day").await, 299 - i64::try_from(number).unwrap(), "whichever is asked");
        }
        let passed = join_all(callers.iter().map(|caller| pass(caller, 150))).await.into_iter().fold(Passed::default(), Passed::and);
        assert!(passed.is(296), "{passed:?}");
        for caller in &callers {
            assert_eq!(pass(caller, 3).await.surely, 0);
        }
    });
}

#[test]
fn gateways_whose_redis_is_killed_count_alone_and_tell_the_next_one_what_they_know() {
    run(Layout::Split, Engine::Postgres, |_| async {
        let redis = Redis::start();
        let mesh = start(2, &redis, "5s", "local").await;
        let _shown = mesh.show_logs_of_a_failure();
        let tenant = tenant_with(&mesh, 40).await;
        let callers = everywhere(&mesh, &tenant, 2);
        let before = [pass(&callers[0], 10).await, pass(&callers[1], 5).await];
        assert!(before[0].is(10) && before[1].is(5), "{before:?}");
        redis.kill();
        let alone = pass(&callers[0], 60).await;
        assert!(before[0].and(alone).is(40), "on from the ten it had seen: {alone:?}");
        assert!(!is_connected(&mesh, 0).await && decided(&mesh, 0, "alone").await >= 30.0);
        redis.start_again();
        connected(&mesh, 1).await;
        eventually("the other to hear of it", || async { (pass(&callers[1], 1).await.surely == 0).then_some(()) }).await;
        connected(&mesh, 2).await;
        assert_eq!(pass(&callers[0], 5).await.surely, 0);
    });
}

#[test]
fn a_redis_that_stands_still_keeps_nobody_waiting_and_is_found_again() {
    run(Layout::Split, Engine::Postgres, |_| async {
        let redis = Redis::start();
        let mesh = start(2, &redis, "50ms", "local").await;
        let _shown = mesh.show_logs_of_a_failure();
        let tenant = tenant_with(&mesh, 1_000).await;
        let callers = everywhere(&mesh, &tenant, 2);
        assert!(pass(&callers[0], 10).await.is(10));
        redis.signal("STOP");
        for caller in &callers {
            assert!(pass(caller, 200).await.is(200));
        }
        for gateway in 0..2 {
            assert!(!is_connected(&mesh, gateway).await && decided(&mesh, gateway, "alone").await >= 150.0);
        }
        redis.signal("CONT");
        connected(&mesh, 2).await;
        // What each counted alone is in the common number; a call whose answer was late may be in it twice.
        let together = || async {
            let left = left(&callers[0], "day").await;
            (left < 690).then_some(left)
        };
        let left = eventually("both to have told", together).await;
        assert!(left >= 100, "{left}");
    });
}

#[test]
fn where_nothing_may_pass_uncounted_only_who_has_no_limit_passes_without_redis() {
    run(Layout::OneProcess, Engine::Sqlite, |_| async {
        let redis = Redis::start();
        let builder = Mesh::builder(Layout::OneProcess, Engine::Sqlite).set("ONE_REDIS_URL", redis.url());
        let mesh = builder.set("ONE_REDIS_AWAY", "closed").set("ONE_REDIS_TIMEOUT", "5s").start().await;
        let _shown = mesh.show_logs_of_a_failure();
        let tenant = tenant_with(&mesh, 1_000).await;
        assert!(pass(&tenant, 3).await.is(3));
        redis.kill();
        let refused = tenant.keys().get_caller(GetCallerRequest {}).await.refused();
        assert_eq!((refused.reason, refused.code, refused.retry), (Reason::LimiterUnavailable, Code::Unavailable, Some(Duration::from_secs(1))));
        assert!(decided(&mesh, 0, "refused").await >= 1.0);
        mesh.owner().who_am_i().await;
        redis.start_again();
        eventually("calls to pass again", || async { tenant.keys().get_caller(GetCallerRequest {}).await.ok() }).await;
        assert!(left(&tenant, "day").await <= 995, "the count went on");
    });
}

#[test]
fn a_gateway_starts_without_its_redis_and_a_url_that_is_none_is_a_bad_setting() {
    run(Layout::OneProcess, Engine::Sqlite, |_| async {
        let redis = Redis::start();
        redis.kill();
        let mesh = Mesh::builder(Layout::OneProcess, Engine::Sqlite).set("ONE_REDIS_URL", redis.url()).start().await;
        let _shown = mesh.show_logs_of_a_failure();
        let tenant = tenant_with(&mesh, 10).await;
        assert!(pass(&tenant, 15).await.is(10));
        redis.start_again();
        connected(&mesh, 1).await;
        assert_eq!(pass(&tenant, 1).await.surely, 0);
        let data = mesh.data(Role::Gateway, 0).join("other").display().to_string();
        let settings = [
            ("ONE_DATA_DIR", data.as_str()),
            ("ONE_REDIS_URL", "http://:s3cret@x"),
            ("ONE_GATEWAY_ADDR", "127.0.0.1:0"),
            ("ONE_ADMIN_ADDR", "127.0.0.1:0"),
        ];
        let exit = tests::Process::spawn("onemesh", &[], &settings.map(|(name, value)| (name.to_owned(), value.to_owned()))).wait();
        assert!(exit.code == Some(64) && exit.stderr.contains("redis.url") && !exit.stderr.contains("s3cret"), "{exit:?}");
    });
}
