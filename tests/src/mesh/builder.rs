//! Settings of a mesh, and its start.

use super::{Inner, Layout, Mesh, Role, part::Part, temporary, write_secret};
use crate::{Database, Disk, Engine, Postgres, Wire, port};
use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

/// A mesh before it starts.
#[derive(Debug)]
pub struct Builder {
    layout: Layout,
    engine: Engine,
    folder: PathBuf,
    database: Option<Database>,
    settings: Vec<(String, String)>,
    gateways: Option<usize>,
    wires: Vec<Wire>,
    files: Option<usize>,
}

impl Builder {
    pub(super) fn new(layout: Layout, engine: Engine) -> Builder {
        let builder = Builder::bare(layout, engine);
        match engine {
            Engine::Sqlite => builder,
            Engine::Postgres => builder.on(Database::create()),
        }
    }

    pub(super) fn with_server(layout: Layout, server: &Postgres) -> Builder {
        Builder::bare(layout, Engine::Postgres).on(Database::on(server.url()))
    }

    fn bare(layout: Layout, engine: Engine) -> Builder {
        assert!(layout == Layout::OneProcess || engine == Engine::Postgres, "processes share no files");
        let builder =
            Builder { layout, engine, folder: temporary(), database: None, settings: Vec::new(), gateways: None, wires: Vec::new(), files: None };
        builder.set("ONE_LOG_FORMAT", "json").set("ONE_GATEWAY_CORS_ORIGINS", "https://app.example.com")
    }

    fn on(mut self, database: Database) -> Builder {
        self = self.set("ONE_DATABASE_URL", &database.owner_url);
        self.database = Some(database);
        self
    }

    /// On Postgres: serves as a role that owns no table, and migrates as the one that owns them.
    pub fn with_an_owner_apart(self) -> Builder {
        let database = self.database.clone().expect("only Postgres has roles");
        self.set("ONE_DATABASE_URL", &database.serving_url).set("ONE_MIGRATE_DATABASE_URL", &database.owner_url)
    }

    /// A setting of all its processes, as in the environment.
    pub fn set(mut self, name: &str, value: &str) -> Builder {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Each process may open so many files at once.
    pub fn open_files(self, most: usize) -> Builder {
        Builder { files: Some(most), ..self }
    }

    /// With its files, in one process on SQLite, on a disk that can be full and can lose its power.
    pub fn on_a_forgetful_disk(self) -> (Builder, Disk) {
        assert!(self.engine == Engine::Sqlite, "Postgres has files of its own");
        let disk = Disk::new(self.folder.join("disk"), self.folder.join("onemesh-0"));
        (disk.settings().iter().fold(self, |builder, (name, value)| builder.set(name, value)), disk)
    }

    /// So many gateways before one of each service.
    pub fn gateways(self, number: usize) -> Builder {
        assert!(self.layout == Layout::Split, "one process is one gateway");
        Builder { gateways: Some(number), ..self }
    }

    /// All gateways but the first reach identity over one of these each.
    pub fn wired(self, wires: &[Wire]) -> Builder {
        Builder { wires: wires.to_vec(), ..self }
    }

    /// Starts it.
    pub async fn start(self) -> Mesh {
        tokio::task::spawn_blocking(|| self.start_now()).await.expect("the mesh starts")
    }

    pub(super) fn start_now(mut self) -> Mesh {
        let replicas = if self.layout == Layout::Replicas { 2 } else { 1 };
        let mut parts = Vec::new();
        if self.layout == Layout::OneProcess {
            parts.extend(self.begin(None, 1));
        } else {
            let secret = write_secret(&self.folder);
            self = self.set("ONE_SECRET_FILE", &secret);
            for role in Role::ALL {
                let gateways = self.gateways.filter(|_| role == Role::Gateway);
                let begun = self.begin(Some(role), gateways.unwrap_or(replicas));
                let urls: Vec<String> = begun.iter().map(|part| format!("http://{}", part.addr(role.word()))).collect();
                if role == Role::Identity {
                    self.wires.iter().for_each(|wire| wire.leads_to(begun[0].addr(role.word())));
                }
                self = self.set(&format!("ONE_{}_URL", role.word().to_uppercase()), &urls.join(","));
                parts.extend(begun);
            }
        }
        Mesh(Arc::new(Inner { layout: self.layout, engine: self.engine, folder: self.folder, database: self.database, parts: Mutex::new(parts) }))
    }

    /// All replicas of a role, at once.
    fn begin(&self, role: Option<Role>, replicas: usize) -> Vec<Part> {
        let mut parts: Vec<Part> = (0..replicas).map(|number| self.part(role, number)).collect();
        parts.iter_mut().for_each(Part::spawn);
        parts.iter_mut().for_each(Part::ready);
        parts
    }

    fn part(&self, role: Option<Role>, number: usize) -> Part {
        let name = format!("{}-{number}", role.map_or("onemesh", Role::word));
        let data = self.folder.join(&name);
        let mut settings = vec![("ONE_DATA_DIR".to_owned(), data.display().to_string())];
        for listener in ["ADMIN", role.unwrap_or(Role::Gateway).word()] {
            settings.push((format!("ONE_{}_ADDR", listener.to_uppercase()), port::free().to_string()));
        }
        // A gateway has no URL: nobody calls it from inside.
        settings.extend(self.settings.iter().filter(|(name, _)| name != "ONE_GATEWAY_URL").cloned());
        if let Some(wire) = number.checked_sub(1).filter(|_| role == Some(Role::Gateway)).and_then(|number| self.wires.get(number)) {
            settings.push(("ONE_IDENTITY_URL".to_owned(), format!("http://{}", wire.addr()))); // the last one counts
        }
        Part::new(name, role, data, settings, self.files)
    }
}
