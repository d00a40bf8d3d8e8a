//! The doors to rows.

use crate::{
    Db, Result, Sql, Tx,
    engine::{On, Scope},
    tx::Author,
};
use contract::id::GroupId;

/// The rows of one or some tenants. Their ids still stand in each statement; on Postgres this is the wall behind it.
pub struct Tenant<'db> {
    db: &'db Db,
    scope: Scope,
}

impl<'db> Tenant<'db> {
    pub(crate) fn new(db: &'db Db, scope: Scope) -> Self {
        Self { db, scope }
    }

    /// A statement that reads, outside any transaction.
    pub fn sql(&self, text: &'static str) -> Sql<'db> {
        self.composed(text.into())
    }

    pub(crate) fn composed(&self, text: std::borrow::Cow<'static, str>) -> Sql<'db> {
        Sql::new(On::engine(self.db.engine(), self.scope.clone()), text, self.db.0.texts.as_ref())
    }

    pub(crate) fn db(&self) -> &'db Db {
        self.db
    }

    /// The tenants.
    pub(crate) fn groups(&self) -> &[GroupId] {
        match &self.scope {
            Scope::Groups(groups) => groups,
            Scope::System(_) => &[],
        }
    }

    /// A transaction of the platform itself, without a caller: the effect of a consumer. Handlers use [`Db::mutate`].
    ///
    /// # Errors
    /// Too many wait, or the engine is away.
    pub async fn begin(&self) -> Result<Tx> {
        Tx::begin(self.db, self.scope.clone(), Author::system()).await
    }
}

/// All rows, for the platform's own work.
pub struct System<'db> {
    tenant: Tenant<'db>,
}

impl<'db> System<'db> {
    pub(crate) fn new(db: &'db Db, why: &'static str) -> Self {
        Self { tenant: Tenant::new(db, Scope::System(why)) }
    }

    /// A statement that reads, outside any transaction.
    pub fn sql(&self, text: &'static str) -> Sql<'db> {
        self.tenant.sql(text)
    }

    /// A transaction whose events have the SYSTEM actor.
    ///
    /// # Errors
    /// Too many wait, or the engine is away.
    pub async fn begin(&self) -> Result<Tx> {
        self.tenant.begin().await
    }
}

impl<'db> AsRef<Tenant<'db>> for Tenant<'db> {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl<'db> AsRef<Tenant<'db>> for System<'db> {
    fn as_ref(&self) -> &Tenant<'db> {
        &self.tenant
    }
}
