//! The operator's tools that work whether or not a gateway runs: through the one that has the data directory, on the
//! directory itself where none does, and beside the gateways of an upstream.

use crate::config::{Config, StoreKind};
use crate::control::{self, Said, Task};
use crate::gateway::Gateway;
use crate::store::ObjectStore;
use crate::{rewrap, serve};

/// Why a tool did not begin, or did not end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Keystore or store do not open.
    #[error(transparent)]
    Open(#[from] serve::Error),
    /// The running gateway did not answer.
    #[error(transparent)]
    Control(#[from] control::Error),
}

/// Does a task; `hear` is told everything of it, in order.
///
/// # Errors
/// What kept it from beginning. That it failed, `hear` is told.
pub async fn run(config: &Config, task: &Task, mut hear: impl FnMut(Said) + Send) -> Result<(), Error> {
    match config.store {
        StoreKind::Local => {
            if control::ask(&config.data_dir, task, &mut hear).await?.is_some() {
                return Ok(());
            }
            let (gateway, store) = serve::opened(config).await?;
            here(&gateway, store.as_ref(), task, &mut hear).await;
        }
        StoreKind::Upstream => {
            let (gateway, store) = serve::opened_upstream(config).await?;
            here(&gateway, store.as_ref(), task, &mut hear).await;
        }
    }
    Ok(())
}

/// Does a task with this gateway and its store.
pub(crate) async fn here(
    gateway: &Gateway,
    store: &dyn ObjectStore,
    task: &Task,
    hear: &mut (impl FnMut(Said) + Send),
) {
    match task {
        Task::Rewrap(plan) => {
            let done = rewrap::rewrap(gateway, store, plan, &mut |progress| hear(Said::Rewrapping(progress))).await;
            hear(done.map_or_else(|error| Said::Failed(rewrap::told(&error)), Said::Rewrapped));
        }
    }
}
