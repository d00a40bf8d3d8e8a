//! Lists: pages, order, filters.

use crate::support::{list_all, names};
use contract::{Access, Reason, ontology::v1::ListThingsRequest};
use prost::Message;
use serde_json::json;
use std::collections::HashSet;
use tests::{
    Caller, Mesh, Refused, Refuses, on_every_mesh,
    raw::{Raw, frame},
};
use tonic::Code;

async fn refused(caller: &Caller, request: ListThingsRequest) -> Refused {
    caller.things().list_things(request).await.refused()
}

fn filtered(filter: &str) -> ListThingsRequest {
    ListThingsRequest { filter: filter.to_owned(), ..Default::default() }
}

on_every_mesh![
    every_row_is_on_exactly_one_page,
    names_are_ordered_by_bytes,
    a_row_that_nobody_touches_is_seen_once_while_others_come_and_go,
    a_page_token_is_good_for_its_tenant_and_its_query_only,
    every_list_bounds_its_page_size,
    each_operator_of_a_filter,
    each_operator_of_a_filter_on_texts_and_times,
    a_wrong_filter_is_refused_with_its_position,
];

async fn every_row_is_on_exactly_one_page(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let made = futures::future::join_all((0..60).map(|number| tenant.create_with("A", json!({ "n": number })))).await;
    for order_by in ["", "create_time", "create_time desc", "update_time", "name desc", "name"] {
        for page_size in [0, 1, 7, 60, 1001] {
            let request = ListThingsRequest { page_size, order_by: order_by.to_owned(), ..Default::default() };
            let ids: Vec<String> = list_all(&tenant, request).await.into_iter().map(|thing| thing.id).collect();
            assert_eq!(ids.len(), made.len(), "{order_by:?} by {page_size}");
            assert_eq!(ids.iter().collect::<HashSet<_>>().len(), made.len(), "{order_by:?} by {page_size}");
        }
    }
    let first = tenant.things().list_things(ListThingsRequest::default()).await.unwrap().into_inner();
    assert_eq!(first.things.len(), 50, "50 if unset");
    assert!(
        first.things.windows(2).all(|pair| {
            let at = |n: usize| pair[n].create_time.as_ref().map(|time| (time.seconds, time.nanos));
            at(0) >= at(1)
        }),
        "newest first if unset"
    );
    let negative = refused(&tenant, ListThingsRequest { page_size: -1, ..Default::default() }).await;
    assert_eq!((negative.reason, negative.fields), (Reason::InvalidField, vec!["page_size".to_owned()]));
}

async fn names_are_ordered_by_bytes(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    for name in ["b", "a", "B", "é", "z", "A"] {
        tenant.create(name).await;
    }
    let ordered = list_all(&tenant, ListThingsRequest { order_by: "name".to_owned(), page_size: 2, ..Default::default() }).await;
    let ordered: Vec<&str> = ordered.iter().map(|thing| thing.name.as_str()).collect();
    assert_eq!(ordered, ["A", "B", "a", "b", "z", "é"]);
    for order_by in ["price", "name sideways", "name, ", "name; drop table things", "properties.n"] {
        assert_eq!(
            refused(&tenant, ListThingsRequest { order_by: order_by.to_owned(), ..Default::default() }).await.reason,
            Reason::InvalidOrderBy,
            "{order_by}"
        );
    }
}

async fn a_row_that_nobody_touches_is_seen_once_while_others_come_and_go(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    for number in 0..10 {
        tenant.create(&format!("old {number}")).await;
    }
    let mut request = ListThingsRequest { page_size: 3, ..Default::default() };
    let mut seen = Vec::new();
    loop {
        let page = tenant.things().list_things(request.clone()).await.unwrap().into_inner();
        seen.extend(page.things.into_iter().map(|thing| thing.name).filter(|name| name.starts_with("old")));
        tenant.create("new").await;
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    seen.sort();
    assert_eq!(seen, (0..10).map(|number| format!("old {number}")).collect::<Vec<_>>());
}

async fn a_page_token_is_good_for_its_tenant_and_its_query_only(mesh: Mesh) {
    let (tenant, other) = (mesh.tenant().await, mesh.tenant().await);
    for caller in [&tenant, &other] {
        for _ in 0..3 {
            caller.create("A").await;
        }
    }
    let request = ListThingsRequest { page_size: 1, filter: "name = \"A\"".to_owned(), ..Default::default() };
    let token = tenant.things().list_things(request.clone()).await.unwrap().into_inner().next_page_token;
    let good = ListThingsRequest { page_token: token.clone(), ..request.clone() };
    tenant.things().list_things(good.clone()).await.unwrap();
    tenant.things().list_things(ListThingsRequest { page_size: 2, ..good.clone() }).await.unwrap();

    assert_eq!(refused(&other, good.clone()).await.reason, Reason::InvalidPageToken, "another tenant's");
    for wrong in [
        ListThingsRequest { filter: "name = \"B\"".to_owned(), ..good.clone() },
        ListThingsRequest { order_by: "name".to_owned(), ..good.clone() },
        ListThingsRequest { show_archived: true, ..good.clone() },
        ListThingsRequest { r#type: "product".to_owned(), ..good.clone() },
        ListThingsRequest { page_token: token[..token.len() - 1].to_owned(), ..good.clone() },
        ListThingsRequest { page_token: format!("{token}A"), ..good.clone() },
        ListThingsRequest { page_token: "forged".to_owned(), ..good.clone() },
        ListThingsRequest { page_token: "1' OR '1'='1".to_owned(), ..good.clone() },
    ] {
        let refused = refused(&tenant, wrong.clone()).await;
        assert_eq!((refused.reason, refused.code), (Reason::InvalidPageToken, Code::InvalidArgument), "{wrong:?}");
    }
    for at in 0..token.len() {
        let mut flipped = token.clone().into_bytes();
        flipped[at] = if flipped[at] == b'A' { b'B' } else { b'A' };
        let page_token = String::from_utf8(flipped).unwrap();
        if page_token != token {
            assert_eq!(refused(&tenant, ListThingsRequest { page_token, ..good.clone() }).await.reason, Reason::InvalidPageToken, "byte {at}");
        }
    }
}

async fn every_list_bounds_its_page_size(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let lists = contract::methods().iter().filter(|method| method.access != Access::Internal && method.name.starts_with("List"));
    let mut asked = 0;
    for method in lists {
        for (page_size, code) in
            [(-1, Code::InvalidArgument), (i32::MIN, Code::InvalidArgument), (0, Code::Ok), (1001, Code::Ok), (i32::MAX, Code::Ok)]
        {
            // Each list has page_size as its first field: the contract test sees to it.
            let body = ListThingsRequest { page_size, ..Default::default() }.encode_to_vec();
            let answer = Raw::call(&method.path, frame(&body)).key(tenant.key()).http2(mesh.gateway()).await;
            assert_eq!(answer.code(), code, "{} of {page_size}: {answer:?}", method.path);
            asked += 1;
        }
    }
    assert_eq!(asked, 5 * 5);
}

async fn each_operator_of_a_filter_on_texts_and_times(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    tenant.create_with("a", json!({"tags": ["x", "y"], "text": "lemon tea", "none": null})).await;
    tenant.create_with("b", json!({"tags": ["z"], "text": "coffee"})).await;
    for (filter, left) in [
        ("name > \"a\"", &["b"][..]),
        ("name >= \"a\"", &["a", "b"]),
        ("name < \"b\"", &["a"]),
        ("name <= \"b\"", &["a", "b"]),
        ("properties.tags:\"x\"", &["a"]),
        ("properties.text:\"tea\"", &["a"]),
        ("properties.tags:*", &["a", "b"]),
        ("properties.none:*", &[]), // null is nothing
        ("-properties.text:\"tea\"", &["b"]),
        ("name = a properties.tags:y", &["a"]),
        ("name = a OR name = b AND properties.tags:z", &["b"]), // OR binds tighter, says AIP-160
        ("NOT (properties.n = 5)", &["a", "b"]),
        ("create_time >= 2026-01-01T00:00:00Z AND update_time <= \"2100-01-01T00:00:00+02:00\"", &["a", "b"]),
        ("create_time != \"2026-01-01T00:00:00Z\"", &["a", "b"]),
    ] {
        assert_eq!(names(&tenant, filter).await, left, "{filter}");
    }
}

async fn each_operator_of_a_filter(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    tenant.create_with("one", json!({"n": 1, "tag": "x", "deep": {"n": 10}, "on": true})).await;
    tenant.create_with("two", json!({"n": 2, "tag": "y", "deep": {"n": 20}, "on": false})).await;
    tenant.create_with("three", json!({"n": "2", "tag": "it's \"quoted\"; drop table things --"})).await;
    let all = ["one", "two", "three"];
    for (filter, left) in [
        ("", &all[..]),
        ("name = \"one\"", &["one"]),
        ("name != \"one\"", &["two", "three"]),
        ("type = \"product\"", &all),
        ("type = product AND status = active", &all),
        ("properties.n > 1", &["two"]),
        ("properties.n >= 1", &["one", "two"]),
        ("properties.n < 2", &["one"]),
        ("properties.n <= 2", &["one", "two"]),
        ("properties.n = 2", &["two"]),
        ("properties.n = \"2\"", &["three"]),
        ("properties.deep.n = 20", &["two"]),
        ("properties.on = true", &["one"]),
        ("properties.tag = \"x\" OR properties.tag = \"y\"", &["one", "two"]),
        ("NOT properties.tag = \"x\" AND properties.n = 2", &["two"]),
        ("(name = \"one\" OR name = \"two\") AND properties.n > 1", &["two"]),
        (r#"properties.tag = "it's \"quoted\"; drop table things --""#, &["three"]),
        ("properties.tag = \"' OR 1=1 --\"", &[]),
        ("create_time > \"2026-01-01T00:00:00Z\"", &all),
        ("create_time < \"2026-01-01T00:00:00Z\"", &[]),
    ] {
        assert_eq!(names(&tenant, filter).await, left, "{filter}");
    }
    assert_eq!(list_all(&tenant, ListThingsRequest { r#type: "course".to_owned(), ..Default::default() }).await.len(), 0);
    assert_eq!(list_all(&tenant, ListThingsRequest { status: "active".to_owned(), ..Default::default() }).await.len(), 3);
}

async fn a_wrong_filter_is_refused_with_its_position(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    for filter in [
        "name =",
        "name = \"open",
        "= 1",
        "name == \"a\"",
        "colour = \"red\"",
        "name = \"a\" AND",
        "(name = \"a\"",
        "name = \"a\")",
        "create_time > \"yesterday\"",
        "create_time = 5",
        "properties = 1",
        "properties. = 1",
        "name > ",
        "name = 'a' ; drop table things",
        "NOT",
        "group_id = \"x\"",
    ] {
        let refused = refused(&tenant, filtered(filter)).await;
        assert_eq!((refused.reason, refused.code), (Reason::InvalidFilter, Code::InvalidArgument), "{filter}: {}", refused.message);
        let position: usize = refused.metadata["position"].parse().expect("a number");
        assert!(position <= filter.len() + 1, "{filter}: {position}");
    }
    for (filter, at) in [("colour = \"red\"", 0), ("name = \"a\" AND colour = 1", 15), ("name = \"é\" AND type ! 1", 21)] {
        let refused = refused(&tenant, filtered(filter)).await;
        assert_eq!(refused.metadata["position"], at.to_string(), "{filter}: {}", refused.message);
    }
    let long = refused(&tenant, filtered(&format!("name = \"{}\"", "x".repeat(5_000)))).await;
    assert_eq!(long.reason, Reason::InvalidField);
    let deep = refused(&tenant, filtered(&format!("{}name = \"a\"{}", "(".repeat(1_000), ")".repeat(1_000)))).await;
    assert_eq!(deep.reason, Reason::InvalidFilter);
}
