//! OSS's AppendObject.

use crate::identity::Requester;

use super::{AppendRequest, Appended, Error, Gateway};

impl Gateway {
    /// Appends bytes to an object, or makes it with them.
    ///
    /// # Errors
    /// [`Error::NotAppendable`], [`Error::PositionMismatch`], and as writing an object.
    pub async fn append(&self, _caller: &Requester, _request: AppendRequest) -> Result<Appended, Error> {
        Err(Error::NotImplemented("AppendObject"))
    }
}
