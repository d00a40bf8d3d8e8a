//! A test that needs a mesh.

use crate::{Engine, Layout, Mesh};
use std::future::Future;

/// Runs a test on the mesh that all tests of this layout and engine share. If it fails, what the mesh logged meanwhile is shown.
pub fn run<F: Future<Output = ()>>(layout: Layout, engine: Engine, test: impl FnOnce(Mesh) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mesh = Mesh::shared(layout, engine);
        let _shown = mesh.show_logs_of_a_failure();
        test(mesh).await;
    });
}

/// Makes each `async fn(mesh: Mesh)` of the list three tests: in one process on SQLite, in one process on Postgres, and split on Postgres.
#[macro_export]
macro_rules! on_every_mesh {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[test]
            fn one_process_on_sqlite() {
                $crate::run($crate::Layout::OneProcess, $crate::Engine::Sqlite, super::$name);
            }

            #[test]
            fn one_process_on_postgres() {
                $crate::run($crate::Layout::OneProcess, $crate::Engine::Postgres, super::$name);
            }

            #[test]
            fn split_on_postgres() {
                $crate::run($crate::Layout::Split, $crate::Engine::Postgres, super::$name);
            }
        }
    )+};
}
