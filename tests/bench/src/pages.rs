//! A page of 50 things, where there are 100,000 of its type and where there are 10,000, in one group of 1,000,000.

use crate::process;
use chassis::{clock::Clock, principal::Principal, principal::Signer, room::Room, secret::Secrets, upstream::Client, upstream::Upstream};
use contract::{
    Role, Scopes,
    id::GroupId,
    ontology::v1::{ListThingsRequest, thing_service_client::ThingServiceClient},
};
use std::sync::Arc;
use store::{At, Db, DbOptions};

const ROWS: i64 = 1_000_000;
const BATCH: i64 = 20_000;
const CALLS: u32 = 1_000;
/// Interleaved, of which the cheapest counts.
const ROUNDS: usize = 5;

pub(crate) async fn print() {
    let data = tempfile::tempdir().expect("a folder");
    let secrets = Secrets::of(&[[7; 32]]).expect("32 bytes");
    let url = format!("sqlite:{}", data.path().display());
    let db = Db::open(DbOptions::new(url, ontology::SCHEMA, ontology::MIGRATIONS, secrets.clone())).await.expect("a new store");
    let group = GroupId::new(0);
    fill(&db, group).await;
    let clock = Clock::system();
    let signer = Signer::new(&secrets.derive("bench"), clock);
    let room = Room::new(ontology::Ontology::new(db.clone()).routes(), "ontology", signer.clone());
    let caller = Arc::new(Principal::test(group, Role::GroupOwner, Scopes::ALL));
    let client = ThingServiceClient::new(Client::new(Upstream::here(room), "ontology", signer).acting_for(caller));

    println!("{:<34} {:>10} {:>8} {:>8} {:>8}", "a page of 50 in 1,000,000 things", "pages", "CPU µs", "ratio", "limit");
    let (mut few, mut many) = (Vec::new(), Vec::new());
    let (few_at, many_at) = (fiftieth(client.clone(), "course").await, fiftieth(client.clone(), "product").await);
    for _ in 0..ROUNDS {
        few.push(page(client.clone(), &few_at).await); // of 10,000
        many.push(page(client.clone(), &many_at).await); // of 100,000
    }
    let (few, many) = (least(&few), least(&many));
    println!("{:<34} {CALLS:>10} {few:>8.0} {:>8.2} {:>8.2}", "of 10,000 of its type", 1.0, 1.0);
    println!("{:<34} {CALLS:>10} {many:>8.0} {:>8.2} {:>8.2}", "of 100,000 of its type", many / few, 1.3);
    db.close().await;
}

/// Straight into the table: of every hundred rows ten are products and one is a course.
async fn fill(db: &Db, group: GroupId) {
    let system = db.system("the bench fills a table");
    for from in (0..ROWS).step_by(BATCH as usize) {
        let mut tx = system.begin().await.expect("the writer");
        let filled = tx.sql(
            "with recursive n (n) as (select $1 union all select n + 1 from n where n < $2)
             insert into things (group_id, id, create_time, type, creator_kind, name, status, properties, revision, update_time)
             select $3, cast(printf('%016d', n) as blob), $4 + n, case when n % 100 < 10 then 'product' when n % 100 = 10 then 'course' else 'note' end,
                    5, 'Thing ' || n, 'active', '{\"price\": 12}', 1, $4 + n from n",
        );
        filled.bind(from).bind(from + BATCH - 1).bind(group).bind(At(1_700_000_000_000_000)).run().await.expect("rows");
        tx.commit().await.expect("kept");
    }
}

fn asked(of: &str, page_token: String) -> ListThingsRequest {
    ListThingsRequest { page_size: 50, page_token, r#type: of.to_owned(), ..Default::default() }
}

/// What to ask for the fiftieth page.
async fn fiftieth(mut client: ThingServiceClient<Client>, of: &str) -> ListThingsRequest {
    let mut token = String::new();
    for _ in 0..49 {
        token = client.list_things(asked(of, token)).await.expect("a page").into_inner().next_page_token;
    }
    asked(of, token)
}

/// CPU µs of the whole process for the same page, again and again.
async fn page(mut client: ThingServiceClient<Client>, request: &ListThingsRequest) -> f64 {
    for _ in 0..CALLS / 10 {
        client.list_things(request.clone()).await.expect("a page");
    }
    let before = process::own_cpu();
    for _ in 0..CALLS {
        let page = client.list_things(request.clone()).await.expect("a page").into_inner();
        assert_eq!(page.things.len(), 50);
    }
    (process::own_cpu() - before).as_secs_f64() * 1e6 / f64::from(CALLS)
}

fn least(rounds: &[f64]) -> f64 {
    rounds.iter().copied().fold(f64::INFINITY, f64::min)
}
