//! Things of types that other packs bring, and take away again.

use super::*;

const FILES: &str = "
ontology: {name: files, version: 1.0.0, description: d, extends: [core]}
thing_types:
- {name: folder, category: c, description: d, aliases: [media_folder], properties: {depth: {type: number, required: true}}}
- {name: shelf, category: c, description: d, same_as: folder}";

fn files() -> &'static Types {
    Box::leak(Box::new(load::load(&[("files.yaml", FILES), ("core.yaml", include_str!("../../../packs/core.yaml"))]).unwrap()))
}

fn folder(kind: &str) -> Thing {
    Thing { r#type: kind.to_owned(), ..with(note(kind), json!({"depth": 1})) }
}

#[tokio::test]
async fn other_names_are_stored_and_found_as_the_canonical_one() {
    both(async |mut world| {
        world.types = files();
        for kind in ["folder", "media_folder", "shelf"] {
            assert_eq!(world.create(creation(folder(kind))).await.unwrap().r#type, "folder");
        }
        world.note("a").await;
        for kind in ["folder", "media_folder", "shelf"] {
            let filter = |text: String| ListThingsRequest { filter: text, ..Default::default() };
            for (request, count) in [
                (ListThingsRequest { r#type: kind.to_owned(), ..Default::default() }, 3),
                (filter(format!("type = \"{kind}\"")), 3),
                (filter(format!("NOT (type = {kind} OR name = \"x\")")), 1),
                (filter(format!("name = \"{kind}\"")), 1),
            ] {
                assert_eq!(world.list(request.clone()).await.unwrap().things.len(), count, "{request:?}");
            }
        }
        // what is sent along need not be the canonical name
        let thing = world.list(ListThingsRequest::default()).await.unwrap().things.remove(1);
        let sent = Thing { r#type: "shelf".to_owned(), name: "b".to_owned(), ..thing };
        assert_eq!(world.update(change(sent, &[])).await.unwrap().name, "b");
        assert_eq!(world.events().await[0].3["entityType"], "folder");
    })
    .await;
}

#[tokio::test]
async fn a_pack_that_is_gone_leaves_its_things_readable_and_takes_no_new_ones() {
    both(async |mut world| {
        world.types = files();
        let thing = world.create(creation(folder("folder"))).await.unwrap();
        world.types = load::core();
        assert_eq!(world.get(&thing.id).await.unwrap(), thing);
        assert_eq!(world.list(ListThingsRequest { r#type: "folder".to_owned(), ..Default::default() }).await.unwrap().things, vec![thing.clone()]);
        assert_eq!(reason(&world.create(creation(folder("folder"))).await), Some(Reason::UnknownType));
        let renamed = Thing { id: thing.id.clone(), name: "b".to_owned(), ..Default::default() };
        assert_eq!(reason(&world.update(change(renamed, &[])).await), Some(Reason::UnknownType));
        assert_eq!(world.delete(removal(&thing.id, "")).await.unwrap().status, "archived");
    })
    .await;
}
