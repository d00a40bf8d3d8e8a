//! The events service in this process, over SQLite on a disk.

use crate::folder;
use chassis::{clock::Clock, principal::Signer, room::Room, secret::Secrets, upstream::Client, upstream::Upstream};
use events::Events;
use store::{Db, DbOptions};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Its files go when it is dropped; before, it is to be closed.
pub(crate) struct House {
    pub(crate) clock: Clock,
    /// What the rest of the mesh calls it with.
    pub(crate) client: Client,
    db: Db,
    _data: TempDir,
}

impl House {
    pub(crate) async fn open() -> House {
        let data = folder::on_disk();
        let secrets = Secrets::of(&[[7; 32]]).expect("32 bytes");
        let url = format!("sqlite:{}", data.path().display());
        let db = Db::open(DbOptions::new(url, events::SCHEMA, events::MIGRATIONS, secrets.clone())).await.expect("a new store");
        let clock = Clock::system();
        let signer = Signer::new(&secrets.derive("bench"), clock.clone());
        let room = Room::new(Events::new(db.clone(), Default::default(), CancellationToken::new()).routes(), events::SCHEMA, signer.clone());
        let client = Client::new(Upstream::here(room), events::SCHEMA, signer);
        House { clock, client, db, _data: data }
    }

    pub(crate) async fn close(self) {
        self.db.close().await;
    }
}

/// An id as it travels between services.
pub(crate) fn bytes(id: Uuid) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(id.as_bytes())
}
