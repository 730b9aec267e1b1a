//! The operator's tools that work whether or not a gateway runs: through the one that has the data directory, on the
//! directory itself where none does, and beside the gateways of an upstream.

use crate::config::{Config, StoreKind};
use crate::control::{self, Said, Task};
use crate::gateway::Gateway;
use crate::kms::embedded::EmbeddedKms;
use crate::store::ObjectStore;
use crate::{rewrap, serve, usage};

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
            let (gateway, store, keystore) = serve::opened_with_keys(config).await?;
            here(&Hands { gateway: &gateway, store: store.as_ref(), keystore: &keystore }, task, &mut hear).await;
        }
        StoreKind::Upstream => {
            let (gateway, store, keystore) = serve::opened_upstream_with_keys(config).await?;
            here(&Hands { gateway: &gateway, store: store.as_ref(), keystore: &keystore }, task, &mut hear).await;
        }
    }
    Ok(())
}

/// What a task is done with.
#[derive(Clone, Copy)]
pub(crate) struct Hands<'a> {
    pub(crate) gateway: &'a Gateway,
    pub(crate) store: &'a dyn ObjectStore,
    pub(crate) keystore: &'a EmbeddedKms,
}

/// Does a task.
pub(crate) async fn here(hands: &Hands<'_>, task: &Task, hear: &mut (impl FnMut(Said) + Send)) {
    let Hands { gateway, store, keystore } = *hands;
    match task {
        Task::Rewrap(plan) => {
            let done = rewrap::rewrap(gateway, store, plan, &mut |progress| hear(Said::Rewrapping(progress))).await;
            hear(done.map_or_else(|error| Said::Failed(rewrap::told(&error)), Said::Rewrapped));
        }
        Task::Usage(key) => {
            let counted = usage::usage(gateway, store, keystore, key, &mut |more| hear(Said::Counted(more))).await;
            hear(counted.map_or_else(|error| Said::Failed(error.to_string()), Said::Usage));
        }
    }
}
