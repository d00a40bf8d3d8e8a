//! The schemas of this process's services.

use crate::{failure::Failure, role::Role, settings::Settings};
use chassis::{
    clock::Clock,
    secret::{Missing, Secrets},
};
use std::{fs, io, os::unix::fs::DirBuilderExt, path::Path};
use store::{Db, DbOptions, Migration, migrate::Mode};

/// The root secrets; on the first run of a whole mesh they are made.
pub(crate) fn secrets(settings: &Settings) -> Result<Secrets, Failure> {
    directory(&settings.data_dir).map_err(|error| Failure::setting(format!("data_dir {} cannot be made: {error}", settings.data_dir.display())))?;
    let (file, may_be_made) = settings.secret_file();
    Secrets::load(&file, if may_be_made { Missing::Create } else { Missing::Refuse }).map_err(Failure::setting)
}

/// Nobody else reads what is in it.
fn directory(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Opens the schema of a service.
pub(crate) async fn open(settings: &Settings, role: Role, secrets: &Secrets, clock: &Clock, mode: Mode) -> Result<Db, Failure> {
    let (schema, migrations) = schema(role);
    let mut options = DbOptions::new(url(settings), schema, migrations, secrets.clone());
    options.migrate = mode;
    options.clock = clock.clone();
    options.owner_url = (settings.migration_url() != settings.database_url).then(|| settings.migration_url().to_owned());
    Db::open(options).await.map_err(Failure::from)
}

/// As readiness names it.
pub(crate) fn name(role: Role) -> &'static str {
    match role {
        Role::Identity => "the store of identity",
        Role::Ontology => "the store of ontology",
        Role::Events => "the store of events",
        Role::Gateway => unreachable!("the gateway keeps nothing"),
    }
}

fn url(settings: &Settings) -> String {
    if settings.database_url.is_empty() { format!("sqlite:{}", settings.data_dir.display()) } else { settings.database_url.clone() }
}

fn schema(role: Role) -> (&'static str, &'static [Migration]) {
    match role {
        Role::Identity => (identity::SCHEMA, identity::MIGRATIONS),
        Role::Ontology => (ontology::SCHEMA, ontology::MIGRATIONS),
        Role::Events => (events::SCHEMA, events::MIGRATIONS),
        Role::Gateway => unreachable!("the gateway keeps nothing"),
    }
}
