//! A whole mesh, in one process or many.

mod builder;
mod part;

pub use builder::Builder;

use crate::{Caller, Database, Engine, Exit, Postgres, Process, Tenant, read_key, reaper};
use contract::identity::v1::Group;
use part::Part;
use std::{
    collections::HashMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError},
};

/// How the mesh is cut into processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// All in one.
    OneProcess,
    /// Gateway, identity, ontology and events, each its own.
    Split,
    /// Two of each of them.
    Replicas,
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Takes the calls.
    Gateway,
    /// Groups and keys.
    Identity,
    /// Things.
    Ontology,
    /// The log.
    Events,
}

impl Role {
    /// In the order in which they start: each finds those it calls.
    const ALL: [Role; 4] = [Role::Events, Role::Identity, Role::Ontology, Role::Gateway];

    /// As on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Role::Gateway => "gateway",
            Role::Identity => "identity",
            Role::Ontology => "ontology",
            Role::Events => "events",
        }
    }
}

/// A mesh that runs. Its last clone takes it away.
#[derive(Clone, Debug)]
pub struct Mesh(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    layout: Layout,
    engine: Engine,
    folder: PathBuf,
    database: Option<Database>,
    parts: Mutex<Vec<Part>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.parts.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Mesh {
    /// A mesh of its own, with its own data.
    pub async fn start(layout: Layout, engine: Engine) -> Mesh {
        Mesh::builder(layout, engine).start().await
    }

    /// The same, with settings to be said first.
    pub fn builder(layout: Layout, engine: Engine) -> Builder {
        Builder::new(layout, engine)
    }

    /// On a server of the test's own.
    pub fn on(layout: Layout, server: &Postgres) -> Builder {
        Builder::with_server(layout, server)
    }

    /// The one of this layout and engine that all well-behaved tests share. It ends with the test binary.
    pub fn shared(layout: Layout, engine: Engine) -> Mesh {
        type Shared = HashMap<(Layout, Engine), Arc<OnceLock<Mesh>>>;
        static SHARED: LazyLock<Mutex<Shared>> = LazyLock::new(Mutex::default);
        let cell = Arc::clone(SHARED.lock().unwrap_or_else(PoisonError::into_inner).entry((layout, engine)).or_default());
        cell.get_or_init(|| Mesh::builder(layout, engine).start_now()).clone()
    }

    /// How it is cut.
    pub fn layout(&self) -> Layout {
        self.0.layout
    }

    /// Where it keeps its data.
    pub fn engine(&self) -> Engine {
        self.0.engine
    }

    /// Its database, if it is on Postgres.
    pub fn database(&self) -> Option<&Database> {
        self.0.database.as_ref()
    }

    /// Where clients call; of several gateways the first.
    pub fn gateway(&self) -> SocketAddr {
        self.addr(Role::Gateway, 0)
    }

    /// Where the `number`th process of a role listens for its callers.
    pub fn addr(&self, role: Role, number: usize) -> SocketAddr {
        self.with_part(role, number, |part| part.addr(role.word()))
    }

    /// Where the `number`th process of a role listens for its operator.
    pub fn admin(&self, role: Role, number: usize) -> SocketAddr {
        self.with_part(role, number, |part| part.addr("admin"))
    }

    /// The files of the `number`th process of a role.
    pub fn data(&self, role: Role, number: usize) -> PathBuf {
        self.with_part(role, number, |part| part.data().to_owned())
    }

    /// The owner of the first organisation.
    pub fn owner(&self) -> Caller {
        Caller::new(self.gateway(), &self.first_key("owner.key"))
    }

    /// The platform's owner.
    pub fn platform(&self) -> Caller {
        Caller::new(self.gateway(), &self.first_key("platform.key"))
    }

    /// Of several replicas only one made the first keys.
    fn first_key(&self, file: &str) -> String {
        let parts = self.parts();
        let found = parts.iter().map(|part| part.data().join(file)).find(|path| path.exists());
        read_key(&found.unwrap_or_else(|| panic!("no process wrote {file}")))
    }

    /// A fresh organisation on tier enterprise, as its owner.
    pub async fn tenant(&self) -> Tenant {
        self.tenant_on("enterprise").await
    }

    /// A fresh organisation on that tier, as its owner.
    pub async fn tenant_on(&self, tier: &str) -> Tenant {
        let group = Group { name: "a tenant".to_owned(), tier: tier.to_owned(), ..Group::default() };
        self.tenant_like(group).await
    }

    /// A fresh organisation like that one, as its owner.
    pub async fn tenant_like(&self, group: Group) -> Tenant {
        Tenant::new(&self.platform(), group).await
    }

    /// Somebody without a credential, from an address of their own.
    pub fn stranger(&self) -> Caller {
        Caller::stranger(self.gateway())
    }

    /// kill -9 to the `number`th process of a role.
    pub fn kill(&self, role: Role, number: usize) -> Exit {
        self.take(role, number).kill()
    }

    /// Takes the process out of the mesh, to end it in one's own way; [`Mesh::start_again`] puts another there.
    pub fn take(&self, role: Role, number: usize) -> Process {
        self.with_part(role, number, Part::take)
    }

    /// Starts a process that was killed or taken, at its old address, with its old data.
    pub fn start_again(&self, role: Role, number: usize) {
        self.with_part(role, number, Part::start);
    }

    /// Ends all processes, empties the database and the folders, and starts all of them in the same moment, each where it was.
    pub fn start_at_once_from_nothing(&self) {
        let mut parts = self.parts();
        for part in parts.iter_mut() {
            part.take().kill();
            std::fs::remove_dir_all(part.data()).expect("it held the process's files");
        }
        self.database().expect("processes share a database").empty();
        parts.iter_mut().for_each(Part::spawn);
        parts.iter_mut().for_each(Part::ready);
    }

    /// All that its processes logged, and said.
    pub fn said(&self) -> String {
        self.parts().iter().map(|part| part.process().all()).collect()
    }

    /// The process of that role runs: what `look` sees of it.
    pub fn look<T>(&self, role: Role, number: usize, look: impl FnOnce(&Process) -> T) -> T {
        self.with_part(role, number, |part| look(part.process()))
    }

    /// Shows what each process logged from now on, if the test fails before this is dropped.
    pub fn show_logs_of_a_failure(&self) -> impl Drop + use<> {
        Shown { mesh: self.clone(), marks: self.parts().iter().map(Part::mark).collect() }
    }

    fn parts(&self) -> MutexGuard<'_, Vec<Part>> {
        self.0.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_part<T>(&self, role: Role, number: usize, ask: impl FnOnce(&mut Part) -> T) -> T {
        let mut parts = self.parts();
        let part = parts.iter_mut().filter(|part| part.does(role)).nth(number);
        ask(part.unwrap_or_else(|| panic!("there is no process {number} for {role:?}")))
    }
}

struct Shown {
    mesh: Mesh,
    marks: Vec<usize>,
}

impl Drop for Shown {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (part, mark) in self.mesh.parts().iter().zip(&self.marks) {
                eprintln!("{}", part.log_after(*mark));
            }
        }
    }
}

/// A new folder below the system's temporary one.
fn temporary() -> PathBuf {
    let folder = tempfile::Builder::new().prefix("onemesh-").tempdir().expect("a temporary folder").keep();
    reaper::folder(&folder);
    folder
}

fn write_secret(folder: &Path) -> String {
    let path = folder.join("secret");
    let secret = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    std::fs::write(&path, secret).expect("a folder of ours");
    path.display().to_string()
}
