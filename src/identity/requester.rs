//! A caller together with what its request says: all that a decision needs to know of a request.

use crate::kms::Principal;
use crate::policy::Context;

use super::caller::{Authenticated, Caller};
use super::policy::Denied;

/// Who asks, and with which words.
#[derive(Debug, Clone)]
pub struct Requester {
    caller: Caller,
    context: Context,
}

impl Requester {
    /// A caller and the condition keys of its request. What depends on the caller alone need not be among them.
    #[must_use]
    pub fn new(caller: Caller, context: Context) -> Self {
        Self { caller, context }
    }

    /// Who.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The condition keys of the request.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The authenticated user, if there is one.
    #[must_use]
    pub fn user(&self) -> Option<&Authenticated> {
        self.caller.user()
    }

    /// The caller, as a key service knows it.
    ///
    /// # Errors
    /// [`Denied`]: nobody uses a key anonymously.
    pub fn principal(&self) -> Result<Principal, Denied> {
        self.caller.principal()
    }
}

impl From<Caller> for Requester {
    fn from(caller: Caller) -> Self {
        Self { caller, context: Context::default() }
    }
}
