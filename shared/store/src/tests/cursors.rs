//! Cursors open for their own group only.

use super::fixture::{MIGRATIONS, group};
use crate::testing::{Case, both};
use contract::Reason;

#[tokio::test]
async fn a_cursor_says_where_its_group_stood_and_nothing_else() {
    both(MIGRATIONS, async |case| {
        let (mine, theirs) = (group(), group());
        for sequence in [0, 1, i64::MAX] {
            assert_eq!(case.db.opened(mine, &case.db.cursor(mine, sequence)).unwrap(), sequence);
        }
        let next = case.again().await;
        assert_eq!(next.opened(mine, &case.db.cursor(mine, 7)).unwrap(), 7);
        next.close().await;
        assert_eq!(case.db.opened(theirs, &case.db.cursor(mine, 7)).unwrap_err().reason(), Reason::InvalidCursor);
    })
    .await;
}

#[tokio::test]
async fn adv_ghsa_vhvq_fv9f_wh4q_a_forged_or_cut_cursor_is_refused() {
    let case = Case::sqlite(MIGRATIONS).await;
    let group = group();
    let cursor = case.db.cursor(group, 7);
    for cut in 0..cursor.len() {
        assert!(case.db.opened(group, &cursor[..cut]).is_err(), "cut at {cut}");
    }
    for place in 0..cursor.len() {
        for bit in 0..7 {
            let mut changed = cursor.clone().into_bytes();
            changed[place] ^= 1 << bit;
            let Ok(changed) = String::from_utf8(changed) else { continue };
            assert!(case.db.opened(group, &changed).is_err(), "bit {bit} of {place}");
        }
    }
    for wrong in ["", "7", "=", "\0"] {
        assert_eq!(case.db.opened(group, wrong).unwrap_err().reason(), Reason::InvalidCursor);
    }
    case.end().await;
}
