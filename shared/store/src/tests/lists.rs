//! Lists: each row once, in order, within bounds, alike on both engines.

use super::fixture::group;
use crate::{
    At, Db, Json, Migration, Tx, Value, Weight,
    list::{Column, Kind, Listing, Page},
    migrate::BASE,
    powers, record,
    testing::{Case, both},
};
use contract::{Paged, Reason, Refusal, id::GroupId};
use serde_json::{Value as Any, json};
use uuid::Uuid;

const MIGRATIONS: &[Migration] = &[
    BASE,
    Migration {
        version: 2,
        name: "item",
        min_reader: 0,
        sql: &[
            "CREATE TABLE item (group_id UUID NOT NULL, id UUID NOT NULL, type TEXT NOT NULL, name TEXT COLLATE \"C\" NOT NULL, rank BIGINT,
             done BOOLEAN NOT NULL, create_time TIMESTAMPTZ NOT NULL, archive_time TIMESTAMPTZ, properties JSONB NOT NULL, PRIMARY KEY (group_id, id))",
            "CREATE INDEX item_create_time ON item (group_id, create_time, id)",
            "CREATE INDEX item_name ON item (group_id, name, id)",
            "CREATE INDEX item_type ON item (group_id, type, create_time, id)",
        ],
    },
];

static ITEMS: Listing = Listing {
    table: "item",
    group: Some("group_id"),
    id: "id",
    columns: &[
        Column::new("type", Kind::Text).indexed(),
        Column::new("name", Kind::Text).sorted(),
        Column::new("owner.rank", Kind::Int).of("rank").nullable(),
        Column::new("done", Kind::Bool),
        Column::new("id", Kind::Id),
        Column::new("create_time", Kind::Time).sorted(),
        Column::new("born", Kind::Time).of("create_time").sorted_by("id"),
        Column::new("archive_time", Kind::Time).nullable(),
        Column::new("properties", Kind::Json),
    ],
    order: "create_time desc",
    archived: Some("archive_time"),
};

#[derive(Clone, Debug, PartialEq)]
struct Item {
    id: Uuid,
    name: String,
    properties: Json<Any>,
}
record!(Item { id, name, properties });

impl Weight for Item {
    fn weight(&self) -> usize {
        self.properties.to_string().len()
    }
}

#[derive(Clone, Default)]
struct List {
    size: i32,
    token: String,
    filter: String,
    order_by: String,
    show_archived: bool,
}

impl Paged for List {
    const NAME: &'static str = "test.List";
    fn page(&self) -> contract::Page<'_> {
        contract::Page { size: self.size, token: &self.token, filter: &self.filter, order_by: &self.order_by, show_archived: self.show_archived }
    }
}

fn filtered(filter: &str) -> List {
    List { filter: filter.into(), ..List::default() }
}

struct New {
    id: Uuid,
    kind: &'static str,
    name: String,
    rank: Option<i64>,
    time: i64,
    archived: bool,
    properties: Any,
}

/// The `n`th: ids and times rise with it, two have each time.
fn new(n: i64) -> New {
    let time = 1_700_000_000_000_000 + n / 2 * 1_000_000;
    let id = contract::id::at(time);
    New { id, kind: if n % 10 == 0 { "rare" } else { "usual" }, name: format!("{n:05}"), rank: Some(n), time, archived: false, properties: json!({}) }
}

async fn insert(db: &Db, group: GroupId, items: &[New]) {
    let mut tx: Tx = db.group(group).begin().await.unwrap();
    for some in powers(items) {
        tx.sql("insert into item (group_id, id, type, name, rank, done, create_time, archive_time, properties) values ")
            .rows(some, 9, |sql, item| {
                sql.bind(group)
                    .bind(item.id)
                    .bind(item.kind)
                    .bind(item.name.as_str())
                    .bind(item.rank)
                    .bind(item.rank.is_some_and(|rank| rank % 2 == 0))
                    .bind(At(item.time))
                    .bind(item.archived.then_some(At(item.time)))
                    .bind(Json(item.properties.clone()))
            })
            .run()
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
}

async fn page(case: &Case, group: GroupId, list: &List) -> Result<Page<Item>, Refusal> {
    ITEMS.query(list)?.page(&case.db.group(group)).await
}

/// All pages; between two of them `between` may change the table.
async fn walk(case: &Case, group: GroupId, list: &List, between: impl AsyncFn(usize)) -> (Vec<Item>, usize) {
    let (mut list, mut items, mut pages) = (list.clone(), Vec::new(), 0);
    loop {
        let page = page(case, group, &list).await.unwrap();
        items.extend(page.rows);
        pages += 1;
        if page.next.is_empty() {
            return (items, pages);
        }
        list.token = page.next;
        between(pages).await;
    }
}

fn names(items: &[Item]) -> Vec<&str> {
    items.iter().map(|item| item.name.as_str()).collect()
}

#[tokio::test]
async fn every_row_comes_once_in_each_order() {
    both(MIGRATIONS, async |case| {
        let group = group();
        let items: Vec<New> = (0..137).map(new).collect();
        insert(&case.db, group, &items).await;
        insert(&case.db, super::fixture::group(), &items).await;
        let mut ascending: Vec<&New> = items.iter().collect();
        ascending.sort_by_key(|item| (item.time, item.id));
        let ascending: Vec<&str> = ascending.into_iter().map(|item| item.name.as_str()).collect();
        let descending: Vec<&str> = ascending.iter().rev().copied().collect();
        let mut mixed: Vec<&New> = items.iter().collect();
        mixed.sort_by(|a, b| b.time.cmp(&a.time).then(a.name.cmp(&b.name)));
        let mixed: Vec<&str> = mixed.into_iter().map(|item| item.name.as_str()).collect();
        for (order_by, expected) in
            [("", &descending), ("create_time", &ascending), ("born", &ascending), ("born desc", &descending), ("create_time desc, name", &mixed)]
        {
            for size in [1, 10, 137, 1000] {
                for show_archived in [true, false] {
                    let list = List { size, order_by: order_by.into(), show_archived, ..List::default() };
                    let (seen, pages) = walk(case, group, &list, async |_| {}).await;
                    assert_eq!(&names(&seen), expected, "{order_by:?} by {size}");
                    assert_eq!(pages, 137_usize.div_ceil(usize::try_from(size).unwrap()));
                }
            }
        }
        let by_name = List { order_by: "name desc".into(), ..List::default() };
        assert_eq!(names(&walk(case, group, &by_name, async |_| {}).await.0), items.iter().rev().map(|item| &item.name[..]).collect::<Vec<_>>());
        case.explain_all().await;
    })
    .await;
}

#[tokio::test]
async fn names_order_by_their_bytes() {
    both(MIGRATIONS, async |case| {
        let group = group();
        let mut expected = ["a", "B", "b", "A", "_", "ä", "Z", "aa", " a", "1", "é", "e\u{301}", "\u{1F600}"];
        let items: Vec<New> = expected.iter().zip(0..).map(|(name, n)| New { name: (*name).to_owned(), ..new(n) }).collect();
        insert(&case.db, group, &items).await;
        expected.sort_unstable();
        let list = List { size: 2, order_by: "name".into(), ..List::default() };
        assert_eq!(names(&walk(case, group, &list, async |_| {}).await.0), expected);
        let above = List { order_by: "name".into(), ..filtered("name > \"a\" AND name <= \"é\"") };
        let between: Vec<&str> = expected.iter().copied().filter(|name| *name > "a" && *name <= "é").collect();
        assert_eq!(names(&page(case, group, &above).await.unwrap().rows), between);
    })
    .await;
}

#[tokio::test]
async fn untouched_rows_come_once_while_others_come_and_go() {
    both(MIGRATIONS, async |case| {
        let group = group();
        insert(&case.db, group, &(0..100).map(new).collect::<Vec<_>>()).await;
        let list = List { size: 7, ..filtered("type = usual") };
        let (seen, _) = walk(case, group, &list, async |pages| {
            let pages = i64::try_from(pages).unwrap();
            insert(&case.db, group, &[new(1_000 + pages), new(pages)]).await;
            let mut tx = case.db.group(group).begin().await.unwrap();
            tx.sql("delete from item where group_id = $1 and name = $2").bind(group).bind(format!("{:05}", pages * 2 + 1)).run().await.unwrap();
            tx.commit().await.unwrap();
        })
        .await;
        for n in (0..100).filter(|n| n % 10 != 0 && (n % 2 == 0 || *n > 60) && *n > 30) {
            assert_eq!(seen.iter().filter(|item| item.name == format!("{n:05}")).count(), 1, "{n}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_page_looks_at_ten_thousand_rows_and_says_where_it_stopped() {
    both(MIGRATIONS, async |case| {
        let group = group();
        let items: Vec<New> = (0..20_500).map(|n| New { archived: n == 20_499, ..new(n) }).collect();
        insert(&case.db, group, &items).await;
        let list = filtered("owner.rank < 3");
        let first = page(case, group, &list).await.unwrap();
        assert!(first.rows.is_empty() && !first.next.is_empty());
        let (seen, pages) = walk(case, group, &list, async |_| {}).await;
        let mut found = names(&seen);
        found.sort_unstable(); // two of them have one time: the order of their ids
        assert_eq!((found, pages), (vec!["00000", "00001", "00002"], 3));
        // A row that fits and is the last one looked at is not lost.
        let edge = filtered("owner.rank = 10499 OR owner.rank = 10498 OR owner.rank = 10500");
        let (seen, _) = walk(case, group, &edge, async |_| {}).await;
        assert_eq!(seen.len(), 3);
        // What an index walks reaches further: no page of it is empty.
        let (rare, pages) = walk(case, group, &List { size: 1000, ..filtered("type = rare AND done = true") }, async |_| {}).await;
        assert_eq!((rare.len(), pages), (2_050, 3));
        let old = filtered("create_time < \"2023-11-14T22:13:22Z\"");
        assert_eq!(page(case, group, &old).await.unwrap().rows.len(), 4);
        let born = List { order_by: "born desc".into(), ..filtered("born < \"2023-11-14T22:13:21.5Z\" AND done = true") };
        assert_eq!(page(case, group, &born).await.unwrap().rows.len(), 2);
        case.explain_all().await;
    })
    .await;
}

#[tokio::test]
async fn a_page_ends_at_two_mebibytes() {
    both(MIGRATIONS, async |case| {
        let group = group();
        let big = "x".repeat(300_000);
        let items: Vec<New> = (0..20).map(|n| New { properties: json!({ "text": big }), ..new(n) }).collect();
        for item in items {
            insert(&case.db, group, &[item]).await;
        }
        let list = List { size: 1000, ..List::default() };
        assert_eq!(page(case, group, &list).await.unwrap().rows.len(), 6);
        let (seen, pages) = walk(case, group, &list, async |_| {}).await;
        assert_eq!((seen.len(), pages), (20, 4));
    })
    .await;
}

#[tokio::test]
async fn sizes_and_tokens() {
    both(MIGRATIONS, async |case| {
        let group = group();
        insert(&case.db, group, &(0..1_100).map(new).collect::<Vec<_>>()).await;
        for (size, rows) in [(0, 50), (1, 1), (1000, 1000), (1001, 1000), (i32::MAX, 1000)] {
            assert_eq!(page(case, group, &List { size, ..List::default() }).await.unwrap().rows.len(), rows, "{size}");
        }
        assert_eq!(page(case, group, &List { size: -1, ..List::default() }).await.unwrap_err().reason(), Reason::InvalidField);
        let token = page(case, group, &List::default()).await.unwrap().next;
        let other_size = List { token: token.clone(), size: 3, ..List::default() };
        assert_eq!(page(case, group, &other_size).await.unwrap().rows.len(), 3);
        for list in [filtered("type = rare"), List { order_by: "name".into(), ..List::default() }, List { show_archived: true, ..List::default() }] {
            let list = List { token: token.clone(), ..list };
            assert_eq!(page(case, group, &list).await.unwrap_err().reason(), Reason::InvalidPageToken);
        }
        let own = List { token: token.clone(), ..List::default() };
        assert_eq!(page(case, super::fixture::group(), &own).await.unwrap_err().reason(), Reason::InvalidPageToken);
        let equal = ITEMS.query(&own).unwrap().equals("type", "rare").unwrap().page::<Item>(&case.db.group(group)).await;
        assert_eq!(equal.unwrap_err().reason(), Reason::InvalidPageToken);
        let next = case.again().await;
        assert_eq!(ITEMS.query(&own).unwrap().page::<Item>(&next.group(group)).await.unwrap().rows.len(), 50);
        next.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_field_of_the_request_is_as_a_term_of_the_filter() {
    both(MIGRATIONS, async |case| {
        let group = group();
        insert(&case.db, group, &(0..100).map(new).collect::<Vec<_>>()).await;
        let (list, system) = (List { size: 1000, ..List::default() }, case.db.system("test"));
        let rare: Page<Item> = ITEMS.query(&list).unwrap().equals("type", "rare").unwrap().page(&case.db.group(group)).await.unwrap();
        assert_eq!(rare.rows, page(case, group, &List { size: 1000, ..filtered("type = rare") }).await.unwrap().rows);
        assert_eq!(rare.rows.len(), 10);
        let none: Page<Item> = ITEMS.query(&list).unwrap().equals("type", "").unwrap().page(&case.db.group(group)).await.unwrap();
        assert_eq!(none.rows.len(), 100);
        assert_eq!(ITEMS.query(&list).unwrap().equals("id", "no id").unwrap_err().reason(), Reason::InvalidField);
        let within: Page<Item> = ITEMS.query(&list).unwrap().within("group_id = ", Some(Value::Id(*group))).page(&system).await.unwrap();
        assert_eq!(within.rows.len(), 100);
        case.explain_all().await;
    })
    .await;
}

fn samples() -> Vec<New> {
    let properties = [
        ("int", json!({"v": 5})),
        ("whole", json!({"v": 5.0})),
        ("float", json!({"v": 4.5})),
        ("text", json!({"v": "5"})),
        ("word", json!({"v": "hello world"})),
        ("upper", json!({"v": "Hello"})),
        ("quote", json!({"v": "it's \"so\""})),
        ("true", json!({"v": true})),
        ("false", json!({"v": false})),
        ("null", json!({"v": null})),
        ("absent", json!({})),
        ("array", json!({"v": [5, "5", "hello", true]})),
        ("object", json!({"v": {"a": {"b c": 1}}})),
        ("negative", json!({"v": -1})),
    ];
    properties
        .into_iter()
        .zip(0..)
        .map(|((name, properties), n)| New { name: name.into(), rank: (n > 4).then_some(n), properties, ..new(n) })
        .collect()
}

#[tokio::test]
async fn filters_mean_the_same_on_both_engines() {
    both(MIGRATIONS, async |case| {
        let group = group();
        insert(&case.db, group, &samples()).await;
        for (filter, expected) in [
            ("properties.v = 5", "int whole"),
            ("properties.v != 5", "float negative"),
            ("properties.v > 4", "float int whole"),
            ("properties.v >= 5", "int whole"),
            ("properties.v < 0", "negative"),
            ("properties.v <= -1", "negative"),
            ("properties.v = '5'", "text"),
            ("properties.v = \"hello world\"", "word"),
            ("properties.v > \"H\"", "quote upper word"),
            ("properties.v < \"H\"", "text"),
            ("properties.v != \"5\"", "quote upper word"),
            ("properties.v = true", "true"),
            ("properties.v != true", "false"),
            ("properties.v = null", "absent null"),
            ("properties.v != null", "array false float int negative object quote text true upper whole word"),
            ("properties.v:*", "array false float int negative object quote text true upper whole word"),
            ("properties.v:5", "array int whole"),
            ("properties.v:\"5\"", "array text"),
            ("properties.v:hello", "array word"),
            ("properties.v:true", "array true"),
            ("properties.v:false", "false"),
            ("properties.v:\"\"", "quote text upper word"),
            ("properties.v.a.\"b c\" = 1", "object"),
            ("properties.v.a:*", "object"),
            ("properties.v.\"0\" = 5", ""),
            ("properties.\"$.v\" = 5", ""),
            ("properties.\"[0]\" = 5", ""),
            ("NOT properties.v = 5", "absent array false float negative null object quote text true upper word"),
            ("NOT (properties.v > 0 OR properties.v != null)", "absent null"),
            ("properties.v = \"it's \\\"so\\\"\"", "quote"),
            ("owner.rank = 5", "upper"),
            ("owner.rank = null AND name != text", "float int whole word"),
            ("NOT owner.rank > 5 AND owner.rank != null", "upper"),
            ("owner.rank != 5 AND owner.rank < 7", "quote"),
            ("done = true AND owner.rank >= 10", "absent object"),
            ("name:\"oa\" OR name = int", "float int"),
            ("name:'%'", ""),
            ("name > \"t\" name < \"u\"", "text true"),
            ("type = rare", "absent int"),
            ("create_time >= 2023-11-14T22:13:26Z", "negative object"),
            ("create_time >= \"2023-11-14T23:13:26+01:00\"", "negative object"),
            ("born = 2023-11-14T22:13:20Z", "int whole"),
            ("archive_time = null AND name = int", "int"),
            ("archive_time:*", ""),
        ] {
            let page = page(case, group, &List { size: 1000, ..filtered(filter) }).await.unwrap_or_else(|refusal| panic!("{filter}: {refusal}"));
            let mut seen = names(&page.rows);
            seen.sort_unstable();
            let expected: Vec<&str> = expected.split_ascii_whitespace().collect();
            assert_eq!(seen, expected, "{filter} on {:?}", case.dialect);
        }
        case.explain_all().await;
    })
    .await;
}

#[tokio::test]
async fn a_filter_that_means_nothing_is_refused_with_its_place() {
    for (filter, position) in [
        ("nope = 1", "0"),
        ("type = a AND nope = 1", "13"),
        ("name.first = a", "0"),
        ("properties = 1", "0"),
        ("group_id = a", "0"),
        ("name = 5", "7"),
        ("name = true", "7"),
        ("owner.rank = \"5\"", "13"),
        ("owner.rank = 2.5", "13"),
        ("done = 1", "7"),
        ("done < true", "7"),
        ("id = 5", "5"),
        ("id = nope", "5"),
        ("id > 018f7d3e-0000-7000-8000-000000000000", "5"),
        ("create_time > yesterday", "14"),
        ("create_time > 5", "14"),
        ("create_time > \"2026-13-45T99:00:00Z\"", "14"),
        ("name < null", "7"),
        ("properties.a < null", "15"),
        ("properties.a > true", "15"),
        ("properties.\"a\\\"b\" = 1", "0"),
        ("name = \"a\0b\"", "7"),
    ] {
        let refusal = ITEMS.query(&filtered(filter)).unwrap_err();
        assert_eq!(refusal.reason(), Reason::InvalidFilter, "{filter}");
        let status = refusal.status();
        let info = tonic_types::StatusExt::get_details_error_info(&status).unwrap();
        assert_eq!(info.metadata["position"], position, "{filter}");
    }
}

#[tokio::test]
async fn adv_ghsa_r9w3_57w2_gch2_what_a_client_writes_is_never_sql() {
    both(MIGRATIONS, async |case| {
        let group = group();
        insert(&case.db, group, &samples()).await;
        for attack in [
            "' or 1=1 --",
            "'; drop table item; --",
            "$1",
            "?",
            "%",
            "\\",
            "') or (1=1",
            "x' union select * from item --",
            "\u{feff}'",
            "${1}",
            "{number}",
        ] {
            let quoted = format!("\"{}\"", attack.replace('\\', "\\\\").replace('"', "\\\""));
            for filter in
                [format!("name = {quoted}"), format!("properties.v = {quoted}"), format!("properties.{quoted} = 5"), format!("type:{quoted}")]
            {
                match page(case, group, &filtered(&filter)).await {
                    Ok(page) => assert!(page.rows.is_empty(), "{filter}"),
                    Err(refusal) => assert_eq!(refusal.reason(), Reason::InvalidFilter, "{filter}"),
                }
            }
            let token = List { token: attack.into(), ..List::default() };
            assert_eq!(page(case, group, &token).await.unwrap_err().reason(), Reason::InvalidPageToken);
            let order = List { order_by: attack.into(), ..List::default() };
            assert_eq!(page(case, group, &order).await.unwrap_err().reason(), Reason::InvalidOrderBy);
        }
        assert_eq!(page(case, group, &List::default()).await.unwrap().rows.len(), samples().len());
    })
    .await;
}
