//! Where a page ended: sealed, and bound to the tenant and the query that asked for it.

use super::Listing;
use crate::{Value, engine::words};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chassis::secret::Sealer;
use contract::{Page, Reason, Refusal, id::GroupId};

/// What a token is bound to: a page of one query is no page of another, and one tenant's no other's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bound([u8; 32]);

impl Bound {
    /// Each part is preceded by its length, so that none can run into the next. The page's size may change from page to page.
    pub(crate) fn of(listing: &Listing, groups: &[GroupId], page: &Page<'_>, extra: &[String]) -> Self {
        let mut hash = blake3::Hasher::new();
        let mut add = |part: &str| {
            hash.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        };
        add("1");
        add(listing.table);
        add(&words(groups));
        add(page.filter);
        add(page.order_by);
        add(if page.show_archived { "archived" } else { "" });
        extra.iter().for_each(|part| add(part));
        Self(hash.finalize().into())
    }

    /// The token after a row with these values in the order's columns.
    pub(crate) fn seal(&self, sealer: &Sealer, key: &[Value]) -> String {
        let plain = serde_json::to_vec(key).expect("values are plain data");
        URL_SAFE_NO_PAD.encode(sealer.seal(&self.0, &plain))
    }

    /// # Errors
    /// `INVALID_PAGE_TOKEN`, whatever is wrong with it.
    pub(crate) fn open(&self, sealer: &Sealer, token: &str) -> Result<Vec<Value>, Refusal> {
        let sealed = URL_SAFE_NO_PAD.decode(token).ok();
        let plain = sealed.and_then(|sealed| sealer.open(&self.0, &sealed));
        plain.and_then(|plain| serde_json::from_slice(&plain).ok()).ok_or_else(|| {
            let sentence = "this page_token is not from this list with this filter and order; begin without one";
            Refusal::new(Reason::InvalidPageToken, sentence).field("page_token", "next_page_token of the page before, unchanged")
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{list::Listing, testing::secrets};
    use uuid::Uuid;

    static LISTING: Listing = Listing { table: "thing", group: None, id: "id", columns: &[], order: "", archived: None };

    fn key() -> Vec<Value> {
        vec![Value::At(5), Value::Text("a\"b".into()), Value::Id(Uuid::from_u128(7))]
    }

    fn bound(group: u128, page: &Page<'_>, extra: &[String]) -> Bound {
        Bound::of(&LISTING, &[GroupId(Uuid::from_u128(group))], page, extra)
    }

    #[test]
    fn adv_ghsa_r9w3_57w2_gch2_a_token_opens_for_its_own_query_only() {
        let sealer = secrets().sealer("pages");
        let page = Page { filter: "a = 1", order_by: "name", ..Page::default() };
        let token = bound(1, &page, &["x".into()]).seal(&sealer, &key());
        assert_eq!(bound(1, &Page { size: 7, token: "other", ..page }, &["x".into()]).open(&sealer, &token).unwrap(), key());
        for other in [
            bound(2, &page, &["x".into()]),
            bound(1, &page, &[]),
            bound(1, &page, &["x".into(), String::new()]),
            bound(1, &Page { filter: "a = 2", ..page }, &["x".into()]),
            bound(1, &Page { filter: "a = 1n", order_by: "ame", ..page }, &["x".into()]),
            bound(1, &Page { order_by: "", ..page }, &["x".into()]),
            bound(1, &Page { show_archived: true, ..page }, &["x".into()]),
        ] {
            assert_eq!(other.open(&sealer, &token).unwrap_err().reason(), Reason::InvalidPageToken);
        }
        assert!(bound(1, &page, &["x".into()]).open(&secrets().sealer("cursors"), &token).is_err());
    }

    /// Words that would run into one another, or pass for a length, for a flag or for what comes before.
    const WORDS: [&str; 6] = ["", "a", "aa", "archived", "1", "\u{1}\0\0\0\0\0\0\0a"];

    #[test]
    fn adv_cve_2026_46668_no_two_queries_are_bound_alike() {
        static A: Listing = Listing { table: "a", ..LISTING };
        let groups: [&[u128]; 4] = [&[], &[1], &[1, 2], &[2, 1]];
        let groups = groups.map(|ids| ids.iter().map(|id| GroupId(Uuid::from_u128(*id))).collect::<Vec<_>>());
        let one = WORDS.iter().map(|word| vec![(*word).to_owned()]);
        let two = WORDS.iter().flat_map(|first| WORDS.iter().map(|second| vec![(*first).to_owned(), (*second).to_owned()]));
        let extras: Vec<Vec<String>> = std::iter::once(vec![]).chain(one).chain(two).collect();
        let mut bounds = std::collections::HashSet::new();
        for (listing, groups) in [&LISTING, &A].into_iter().flat_map(|listing| groups.iter().map(move |groups| (listing, groups))) {
            for (filter, order_by) in WORDS.iter().flat_map(|filter| WORDS.iter().map(move |order| (*filter, *order))) {
                for (show_archived, extra) in [false, true].into_iter().flat_map(|archived| extras.iter().map(move |extra| (archived, extra))) {
                    let page = Page { filter, order_by, show_archived, ..Page::default() };
                    let bound = Bound::of(listing, groups, &page, extra).0;
                    assert!(bounds.insert(bound), "{} {groups:?} {page:?} {extra:?}", listing.table);
                }
            }
        }
    }

    #[test]
    fn adv_cve_2026_27840_every_changed_bit_and_every_cut_is_refused() {
        let (sealer, bound) = (secrets().sealer("pages"), bound(1, &Page::default(), &[]));
        let token = bound.seal(&sealer, &key());
        for cut in 0..token.len() {
            assert!(bound.open(&sealer, &token[..cut]).is_err(), "cut at {cut}");
        }
        for place in 0..token.len() {
            for bit in 0..7 {
                let mut changed = token.clone().into_bytes();
                changed[place] ^= 1 << bit;
                let Ok(changed) = String::from_utf8(changed) else { continue };
                assert!(bound.open(&sealer, &changed).is_err(), "bit {bit} of {place}");
            }
        }
        for wrong in ["", "=", "a", " ", "\0", &format!("{token}="), &format!("{token}A"), &token.repeat(2)] {
            assert!(bound.open(&sealer, wrong).is_err(), "{wrong:?}");
        }
    }
}
