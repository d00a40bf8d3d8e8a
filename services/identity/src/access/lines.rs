//! The way from groups up to their organisations, for who must decide who acts there.

use super::{padded, raw};
use crate::{
    groups::row::read_limits,
    tiers::{Limits, Tier},
};
use contract::{
    Refusal,
    id::GroupId,
    identity::v1::GroupLimits,
    internal::v1::{GroupState, Line, Quotas},
};
use serde_json::Value;
use store::{At, Db, Json, Record, Row, sqlx};
use uuid::Uuid;

/// A step of a line.
struct Step {
    below: GroupId,
    above: GroupId,
    archive_time: Option<At>,
    allow_parent_access: bool,
    tier: String,
    limits: GroupLimits,
}

impl Record for Step {
    fn read(row: &Row<'_>) -> sqlx::Result<Self> {
        let Json(limits) = row.get::<Json<Value>>("limits")?;
        Ok(Self {
            below: row.get("below_id")?,
            above: row.get("above_id")?,
            archive_time: row.get("archive_time")?,
            allow_parent_access: row.get("allow_parent_access")?,
            tier: row.get("tier")?,
            limits: read_limits(&limits),
        })
    }
}

/// The lines of these groups, in no order; those that are none are left out. One statement, with subselects for the reason that
/// `standing::by_id` gives.
pub(crate) async fn lines(db: &Db, ids: &[Uuid]) -> Result<Vec<Line>, Refusal> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let select = db.system("who may act in a group is asked before the tenant is known").sql(
        "select l.below_id, l.above_id,
             (select g.archive_time from groups g where g.group_id = l.above_id) as archive_time,
             (select g.allow_parent_access from groups g where g.group_id = l.above_id) as allow_parent_access,
             (select g.tier from groups g where g.group_id = l.above_id) as tier,
             (select g.limits from groups g where g.group_id = l.above_id) as limits
         from group_line l
         where l.below_id in (",
    );
    let select = select.rows(&padded(ids), 1, |sql, id| sql.bind(*id)).push(") order by l.below_id, l.distance");
    let steps: Vec<Step> = select.all().await?;
    Ok(steps.chunk_by(|one, next| one.below == next.below).map(line).collect())
}

fn line(steps: &[Step]) -> Line {
    let state =
        |step: &Step| GroupState { id: raw(&step.above), archived: step.archive_time.is_some(), allow_parent_access: step.allow_parent_access };
    Line { groups: steps.iter().map(state).collect(), quotas: quotas(steps) }
}

fn quotas(steps: &[Step]) -> Option<Quotas> {
    let (own, root) = (steps.first()?, steps.last()?);
    let limits = Limits::of(Tier::parse(&root.tier).unwrap_or_default(), &root.limits, &own.limits);
    Some(Quotas { groups: limits.groups, things: limits.things })
}
