use super::*;
use futures::future::join_all;
use std::collections::BTreeSet;

fn query(filter: &str) -> ListThingsRequest {
    ListThingsRequest { filter: filter.to_owned(), order_by: "name".to_owned(), ..Default::default() }
}

fn names(page: &ListThingsResponse) -> Vec<&str> {
    page.things.iter().map(|thing| thing.name.as_str()).collect()
}

/// a … f, each a millisecond later than the one before.
async fn six(world: &World<'_>) -> Vec<Thing> {
    let mut made = Vec::new();
    for (name, kind, status, properties) in [
        ("a", "note", "active", json!({"n": 5, "s": "x", "deep": {"er": true}})),
        ("b", "note", "draft", json!({"n": 7.5, "s": "it's", "tags": ["x", "y"]})),
        ("c", "product", "active", json!({"n": "7", "s": "100% \"sure\""})),
        ("d", "product", "published", json!({"n": 6, "s": null})),
        ("e", "product", "archived", json!({"n": 100})),
        ("f", "note", "active", json!({"n": true, "s": "'; drop table things; --"})),
    ] {
        let thing = Thing { r#type: kind.to_owned(), name: name.to_owned(), status: status.to_owned(), ..with(Thing::default(), properties) };
        made.push(world.create(creation(thing)).await.unwrap());
        world.case.clock.advance(std::time::Duration::from_millis(1));
    }
    made
}

#[tokio::test]
async fn a_filter_finds_what_it_says() {
    both(async |world| {
        let things = six(&world).await;
        let third = things[2].create_time.unwrap();
        let cases = [
            ("", "abcdf"),
            ("type = \"note\"", "abf"),
            ("type = note", "abf"),
            ("type != \"note\"", "cd"),
            ("NOT type = \"note\"", "cd"),
            ("-type = \"note\"", "cd"),
            ("status = \"active\" AND type = \"note\"", "af"),
            ("status = \"active\" type = \"note\"", "af"),
            ("status = \"draft\" OR status = \"published\"", "bd"),
            ("type = \"product\" AND (status = \"draft\" OR status = \"active\")", "c"),
            // OR binds tighter than AND
            ("type = \"product\" AND status = \"draft\" OR status = \"active\"", "c"),
            ("status = \"archived\"", "e"),
            ("status = \"archived\" OR status = \"draft\"", "b"),
            ("name = \"c\"", "c"),
            ("name != \"c\"", "abdf"),
            ("name > \"b\"", "cdf"),
            ("name <= \"b\"", "ab"),
            (&format!("create_time >= \"{third}\""), "cdf"),
            (&format!("create_time < \"{third}\""), "ab"),
            (&format!("update_time = \"{third}\""), "c"),
            // a literal finds values of its own type only
            ("properties.n > 5", "bd"),
            ("properties.n >= 5", "abd"),
            ("properties.n = 6", "d"),
            ("properties.n < 6", "a"),
            ("properties.n = 7.5", "b"),
            ("properties.n = \"7\"", "c"),
            ("properties.n = true", "f"),
            ("properties.s = \"x\"", "a"),
            ("properties.deep.er = true", "a"),
            ("properties.deep.er = \"true\"", ""),
            ("properties.s = \"it's\"", "b"),
            ("properties.s = \"100% \\\"sure\\\"\"", "c"),
            ("properties.s = \"'; drop table things; --\"", "f"),
            ("properties.none = 1", ""),
            ("type = \"' OR 1=1 --\"", ""),
        ];
        for (filter, expected) in cases {
            let page = world.list(query(filter)).await.unwrap_or_else(|refusal| panic!("{filter}: {refusal}"));
            assert_eq!(names(&page).concat(), expected, "{filter}");
        }
        let all = world.list(ListThingsRequest { show_archived: true, ..query("properties.n > 5") }).await.unwrap();
        assert_eq!(names(&all).concat(), "bde");
    })
    .await;
}

#[tokio::test]
async fn a_wrong_filter_is_refused_with_its_position() {
    both(async |world| {
        for (filter, position) in [
            ("nothing = 1", Some("0")),
            ("type", None),
            ("type =", None),
            ("= 1", Some("0")),
            ("type ~ \"a\"", None),
            ("type = \"a\" AND", None),
            ("(type = \"a\"", None),
            ("type = \"a", None),
            ("type = 5", None),
            ("type = true", None),
            ("create_time > \"yesterday\"", None),
            ("create_time = 5", None),
            ("properties = 1", None),
            ("properties. = 1", None),
            ("properties.n > true", None),
            ("group_id = \"x\"", Some("0")),
            ("id = \"x\"", Some("0")),
            ("type = 'a'; drop table things", None),
            ("name = \"a\" extra = 1", Some("11")),
        ] {
            let refusal = world.list(query(filter)).await.err().unwrap_or_else(|| panic!("{filter} is accepted"));
            assert_eq!(refusal.reason(), Reason::InvalidFilter, "{filter}");
            let given = refusal.status().get_details_error_info().unwrap().metadata.get("position").cloned();
            assert!(given.is_some() && (position.is_none() || given.as_deref() == position), "{filter}: {given:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_requests_own_fields_equal_the_filters_terms() {
    both(async |world| {
        six(&world).await;
        let by = |kind: &str, status: &str| ListThingsRequest { r#type: kind.to_owned(), status: status.to_owned(), ..query("") };
        for (request, expected) in [
            (by("product", ""), "cd"),
            (by("", "active"), "acf"),
            (by("note", "active"), "af"),
            (by("never_was", ""), ""),
            (by("", "never_was"), ""),
            // who asks for archived ones sees them
            (by("", "archived"), "e"),
            (by("note", "archived"), ""),
            (ListThingsRequest { show_archived: true, ..by("product", "") }, "cde"),
            (ListThingsRequest { filter: "properties.n = 6".to_owned(), ..by("product", "") }, "d"),
            (ListThingsRequest { filter: "type = \"note\"".to_owned(), ..by("product", "") }, ""),
        ] {
            let page = world.list(request.clone()).await.unwrap();
            assert_eq!(names(&page).concat(), expected, "{request:?}");
        }
        let archived = world.list(ListThingsRequest { show_archived: true, ..query("status = \"archived\"") }).await.unwrap();
        assert_eq!(names(&archived), ["e"]);
    })
    .await;
}

#[tokio::test]
async fn things_come_in_the_order_that_was_asked() {
    both(async |world| {
        let things = six(&world).await;
        for (at, name) in [(0, "ä"), (1, "Z"), (2, "zz")] {
            let sent = Thing { id: things[at].id.clone(), name: name.to_owned(), ..Default::default() };
            world.update(change(sent, &[])).await.unwrap();
            world.case.clock.advance(std::time::Duration::from_millis(1));
        }
        for (order_by, expected) in [
            ("", "f d zz Z ä"),
            ("create_time desc", "f d zz Z ä"),
            ("create_time", "ä Z zz d f"),
            ("update_time", "d f ä Z zz"),
            ("update_time desc", "zz Z ä f d"),
            // bytewise
            ("name", "Z d f zz ä"),
            ("name desc", "ä zz f d Z"),
        ] {
            let page = world.list(ListThingsRequest { order_by: order_by.to_owned(), ..query("") }).await.unwrap();
            assert_eq!(names(&page).join(" "), expected, "{order_by}");
            let filtered =
                world.list(ListThingsRequest { order_by: order_by.to_owned(), page_size: 2, ..query("status != \"none\"") }).await.unwrap();
            assert_eq!(names(&filtered).join(" "), expected.split(' ').take(2).collect::<Vec<_>>().join(" "));
        }
        for order_by in ["status", "properties.n", "name asc desc", "name,", "group_id", "NAME", "name; drop table things"] {
            let refusal = world.list(ListThingsRequest { order_by: order_by.to_owned(), ..query("") }).await.unwrap_err();
            assert_eq!(refusal.reason(), Reason::InvalidOrderBy, "{order_by}");
        }
    })
    .await;
}

#[tokio::test]
async fn page_sizes_are_bounded() {
    both(async |world| {
        join_all((0..1_010).map(async |n| world.note(&format!("n{n}")).await)).await;
        for (page_size, rows) in [(0, 50), (1, 1), (1_000, 1_000), (1_001, 1_000), (i32::MAX, 1_000)] {
            let page = world.list(ListThingsRequest { page_size, ..Default::default() }).await.unwrap();
            assert_eq!((page.things.len(), page.next_page_token.is_empty()), (rows, false), "{page_size}");
        }
        let refusal = world.list(ListThingsRequest { page_size: -1, ..Default::default() }).await.unwrap_err();
        assert_eq!((refusal.reason(), fields(&refusal)), (Reason::InvalidField, vec!["page_size".to_owned()]));
        let first = world.list(ListThingsRequest { page_size: 1_000, ..Default::default() }).await.unwrap();
        let rest = ListThingsRequest { page_token: first.next_page_token, ..Default::default() };
        let rest = world.list(rest).await.unwrap();
        assert_eq!((rest.things.len(), rest.next_page_token.as_str()), (10, ""), "the size may change between pages");
    })
    .await;
}

#[tokio::test]
async fn a_page_ends_at_two_mebibytes() {
    both(async |world| {
        let large = json!({ "text": "x".repeat(60_000) });
        for n in 0..40 {
            world.create(creation(with(note(&format!("n{n:02}")), large.clone()))).await.unwrap();
        }
        let (mut seen, mut token) = (Vec::new(), String::new());
        loop {
            let page = world.list(ListThingsRequest { page_size: 1_000, page_token: token, ..query("") }).await.unwrap();
            assert!(page.encoded_len() <= 2_200_000 && !page.things.is_empty());
            seen.extend(page.things.into_iter().map(|thing| thing.name));
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(seen, (0..40).map(|n| format!("n{n:02}")).collect::<Vec<_>>());
    })
    .await;
}

#[tokio::test]
async fn each_untouched_thing_appears_once_while_others_change() {
    both(async |world| {
        for order_by in ["create_time", "create_time desc", "update_time", "update_time desc", "name", "name desc"] {
            let mut things = Vec::new();
            for n in 0..30 {
                things.push(world.note(&format!("{order_by} {:02}", n * 7 % 30)).await);
            }
            let (touched, untouched) = things.split_at(10);
            let (mut seen, mut token, mut round) = (Vec::new(), String::new(), 0);
            loop {
                let filter = format!("name >= \"{order_by} 00\" AND name <= \"{order_by} 99\"");
                let request = ListThingsRequest { page_size: 4, page_token: token, filter, order_by: order_by.to_owned(), ..Default::default() };
                let page = world.list(request).await.unwrap();
                seen.extend(page.things.into_iter().map(|thing| thing.id));
                token = page.next_page_token;
                if token.is_empty() {
                    break;
                }
                // between pages one is renamed, one archived, one added
                let renamed = Thing { id: touched[round % 10].id.clone(), name: format!("{order_by} {:02}", 50 + round), ..Default::default() };
                world.update(change(renamed, &["name"])).await.unwrap();
                world.delete(removal(&touched[(round + 5) % 10].id, "")).await.unwrap();
                world.note(&format!("{order_by} {:02}", round * 3 % 30)).await;
                round += 1;
            }
            for thing in untouched {
                assert_eq!(seen.iter().filter(|id| **id == thing.id).count(), 1, "{order_by}: {}", thing.name);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_page_token_belongs_to_its_query_and_group() {
    both(async |world| {
        six(&world).await;
        let first = ListThingsRequest { page_size: 2, ..query("type = \"note\"") };
        let token = world.list(first.clone()).await.unwrap().next_page_token;
        let next = ListThingsRequest { page_token: token.clone(), ..first.clone() };
        assert_eq!(names(&world.list(next.clone()).await.unwrap()), ["f"]);
        let mut cut = token.clone();
        cut.pop();
        for wrong in [
            ListThingsRequest { filter: String::new(), ..next.clone() },
            ListThingsRequest { order_by: "create_time".to_owned(), ..next.clone() },
            ListThingsRequest { show_archived: true, ..next.clone() },
            ListThingsRequest { r#type: "note".to_owned(), ..next.clone() },
            ListThingsRequest { status: "active".to_owned(), ..next.clone() },
            ListThingsRequest { page_token: cut, ..next.clone() },
            ListThingsRequest { page_token: "AAAA".to_owned(), ..next.clone() },
        ] {
            assert_eq!(world.list(wrong.clone()).await.unwrap_err().reason(), Reason::InvalidPageToken, "{wrong:?}");
        }
        let stranger = World::new(world.case);
        assert_eq!(stranger.list(next).await.unwrap_err().reason(), Reason::InvalidPageToken);
    })
    .await;
}

#[tokio::test]
async fn every_query_walks_an_index() {
    both(async |world| {
        six(&world).await;
        let filters =
            ["", "type = \"note\"", "status = \"active\"", "name > \"a\"", "properties.n > 5", "NOT (type = \"note\" OR properties.s = \"x\")"];
        let mut seen = BTreeSet::new();
        for filter in filters {
            for order_by in ["", "create_time", "update_time desc", "update_time", "name", "name desc"] {
                for (kind, status, show_archived) in [("", "", false), ("note", "", false), ("", "active", true), ("note", "active", false)] {
                    let request = ListThingsRequest {
                        page_size: 1,
                        filter: filter.to_owned(),
                        order_by: order_by.to_owned(),
                        r#type: kind.to_owned(),
                        status: status.to_owned(),
                        show_archived,
                        ..Default::default()
                    };
                    let page = world.list(request.clone()).await.unwrap();
                    if !page.next_page_token.is_empty() {
                        world.list(ListThingsRequest { page_token: page.next_page_token, ..request }).await.unwrap();
                        seen.insert((filter, order_by));
                    }
                }
            }
        }
        assert_eq!(seen.len(), 36); // `both` EXPLAINs what ran
    })
    .await;
}
