//! Buckets: few, changed seldom, asked for always. Each change goes through the committer; memory follows it.

use super::committer::Change;
use super::database::Table;
use super::keyspace;
use crate::store::{Bucket, Error, Versioning};
use crate::types::BucketName;

fn key(name: &BucketName) -> Vec<u8> {
    name.as_str().as_bytes().to_vec()
}

/// Makes a bucket.
///
/// # Errors
/// [`Error::BucketExists`].
pub(crate) fn create(change: &mut Change<'_>, bucket: Bucket) -> Result<(), Error> {
    let key = key(&bucket.name);
    if let Some(there) = change.record::<Bucket>(Table::Buckets, &key)? {
        return Err(Error::BucketExists { owner: there.owner });
    }
    change.put(Table::Buckets, key, &bucket)?;
    change.after(move |core| core.remember_bucket(bucket.name.clone(), Some(bucket)));
    Ok(())
}

/// Removes an empty bucket.
///
/// # Errors
/// [`Error::NoSuchBucket`], [`Error::BucketNotEmpty`].
pub(crate) fn delete(change: &mut Change<'_>, name: BucketName) -> Result<(), Error> {
    super::objects::need_bucket(change, &name)?;
    let rows = keyspace::bucket_prefix(&name);
    if change.any(Table::Objects, &rows)? || change.any(Table::UploadOrder, &rows)? {
        return Err(Error::BucketNotEmpty);
    }
    change.delete(Table::Buckets, key(&name));
    change.after(move |core| core.remember_bucket(name, None));
    Ok(())
}

/// Sets what becomes of versions.
///
/// # Errors
/// [`Error::NoSuchBucket`].
pub(crate) fn set_versioning(change: &mut Change<'_>, name: &BucketName, versioning: Versioning) -> Result<(), Error> {
    let mut bucket = super::objects::need_bucket(change, name)?;
    // What is kept would be out of reach.
    if versioning != Versioning::Never {
        bucket.versioning = versioning;
    }
    change.put(Table::Buckets, key(name), &bucket)?;
    change.after(move |core| core.remember_bucket(bucket.name.clone(), Some(bucket)));
    Ok(())
}

/// Sets or clears one configuration.
///
/// # Errors
/// [`Error::NoSuchBucket`].
pub(crate) fn configure(
    change: &mut Change<'_>,
    name: &BucketName,
    kind: String,
    value: Option<Vec<u8>>,
) -> Result<(), Error> {
    let mut bucket = super::objects::need_bucket(change, name)?;
    match value {
        Some(value) => bucket.configs.insert(kind, value),
        None => bucket.configs.remove(&kind),
    };
    change.put(Table::Buckets, key(name), &bucket)?;
    change.after(move |core| core.remember_bucket(bucket.name.clone(), Some(bucket)));
    Ok(())
}
