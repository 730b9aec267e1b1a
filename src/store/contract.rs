//! What every [`ObjectStore`] promises, as tests that any implementation (or wrapper of one) runs against a fresh
//! store: `contract::suite!(open)` makes one test of each promise, where `open()` gives a guard and the store.

pub(crate) mod appends;
pub(crate) mod buckets;
pub(crate) mod listing;
pub(crate) mod objects;
pub(crate) mod races;
pub(crate) mod uploads;
pub(crate) mod versions;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;

use crate::store::{
    Ahead, Bucket, CipherOffset, Commit, Error, Metadata, ObjectStore, OpenObject, Precondition, StoredObject,
    StoredTag, Versioning,
};
use crate::types::{BucketName, ObjectAt, Timestamp, UserId, VersionId};

/// A store under test.
pub(crate) type Store = Arc<dyn ObjectStore>;

/// The bucket that [`with_bucket`] makes.
pub(crate) const BUCKET: &str = "contract";

macro_rules! suite {
    ($open:path: $($room:ident { $($promise:ident),* $(,)? })*) => {
        $(mod $room {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $promise() {
                let (_guard, store) = $open();
                crate::store::contract::$room::$promise(store).await;
            })*
        })*
    };
    ($open:path) => {
        crate::store::contract::suite! { $open:
            appends {
                the_beginning_stays_and_the_end_is_replaced, many_pieces_make_one_body, what_has_changed_does_not_grow, what_has_new_metadata_does_not_grow,
                more_than_there_is_cannot_be_kept, a_dropped_append_changes_nothing,
                who_has_it_open_reads_on_what_was_there, a_copy_and_its_source_grow_apart,
                a_version_grows_in_place_and_only_the_current_one, of_many_appends_to_one_state_one_is_made,
                readers_see_a_state_and_never_a_mix_of_two,
            }
            buckets {
                a_bucket_is_as_it_was_made, a_second_creation_names_the_owner, configurations_come_and_go,
                a_bucket_with_anything_in_it_stays, what_needs_a_bucket_says_when_there_is_none,
            }
            objects {
                bodies_of_any_length_read_back, any_range_is_that_slice, chunks_have_the_length_asked_for,
                a_range_past_the_end_is_refused, names_that_look_like_paths_are_only_names, a_nul_is_a_letter_like_others,
                metadata_and_summary_come_back, each_write_has_its_own_tag, preconditions_are_judged,
                deletes_tell_what_they_did, other_versions_are_not_there, a_dropped_writer_changes_nothing,
                an_open_body_outlives_its_object, a_copy_has_the_body_and_its_own_metadata,
                a_copy_onto_itself_keeps_the_body, a_copy_of_a_changed_source_is_refused,
                a_body_lives_as_long_as_one_copy,
            }
            listing {
                a_page_says_whether_there_is_more, an_equal_prefix_is_skipped_as_a_whole,
                listings_agree_with_the_model, listings_with_nul_agree_with_the_model, uploads_are_ordered_and_paged,
            }
            uploads {
                parts_in_order_and_the_manifest_make_the_body, a_part_can_be_sent_again,
                a_completion_names_its_attempts, parts_come_in_pages, an_ended_upload_is_gone,
                an_upload_belongs_to_its_object, a_refused_completion_leaves_the_upload,
                a_completed_body_can_be_copied, many_parts_and_an_empty_one,
            }
            versions {
                a_bucket_starts_without_versions_and_never_comes_back_to_that,
                every_write_is_a_version_under_the_id_that_was_given,
                a_delete_hides_and_deleting_the_marker_shows_again, a_suspended_bucket_replaces_the_null_version_only,
                conditions_see_a_marker_as_nothing, a_version_can_be_copied_and_the_copy_outlives_it,
                metadata_changes_in_place_and_only_once_per_look,
                versions_are_listed_by_key_then_newest_first_and_in_pages,
                versions_of_a_key_with_a_nul_are_listed_like_others, histories_agree_with_the_model,
                histories_without_suspension_agree_with_the_model,
                readers_of_a_version_find_it_while_others_come_and_go, an_upload_is_a_version_only_once_it_is_completed,
                an_open_version_outlives_its_deletion,
            }
            races {
                one_of_many_conditional_creators_wins, one_of_many_conditional_replacers_wins,
                readers_see_whole_versions, a_bucket_never_vanishes_under_an_object,
                a_late_part_never_survives_an_abort, an_upload_completes_once,
            }
        }
    };
}
pub(crate) use suite;

/// Makes [`BUCKET`] and gives its name.
pub(crate) async fn with_bucket(store: &Store) -> BucketName {
    store.create_bucket(bucket(BUCKET)).await.unwrap();
    BUCKET.parse().unwrap()
}

/// A bucket of this name.
pub(crate) fn bucket(name: &str) -> Bucket {
    Bucket {
        name: name.parse().unwrap(),
        owner: UserId::new("alice"),
        created: Timestamp(17),
        region: "here".to_owned(),
        versioning: Versioning::Never,
        configs: BTreeMap::new(),
    }
}

/// An object in [`BUCKET`].
pub(crate) fn at(key: &str) -> ObjectAt {
    ObjectAt { bucket: BUCKET.parse().unwrap(), key: key.parse().unwrap() }
}

/// Metadata that can be told from other metadata.
pub(crate) fn metadata(text: &str) -> Metadata {
    let map = |name: &str| BTreeMap::from([(name.to_owned(), text.to_owned())]);
    Metadata {
        system: map("content-type"),
        user: map("colour"),
        tags: map("team"),
        access: map("acl"),
        envelope: map("key"),
    }
}

/// Bytes that differ from place to place and from seed to seed.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..len).map(|_| step()).collect()
}

/// Only a precondition.
pub(crate) fn given(precondition: Precondition) -> Commit {
    Commit { precondition, ..Commit::default() }
}

/// What is known before a body of this length.
pub(crate) fn ahead(len: usize, precondition: &Precondition) -> Ahead {
    Ahead { len: Some(CipherOffset(len as u64)), precondition: precondition.clone() }
}

/// Metadata that says which version id its write was made with.
pub(crate) fn with_version(mut metadata: Metadata, version: Option<&VersionId>) -> Metadata {
    metadata.envelope.extend(version.map(|version| (Metadata::VERSION.to_owned(), version.as_str().to_owned())));
    metadata
}

/// Puts a body in chunks of 10,000 bytes.
pub(crate) async fn put(store: &Store, at: &ObjectAt, body: &[u8], commit: Commit) -> Result<StoredObject, Error> {
    let metadata = with_version(metadata("plain"), commit.version.as_ref());
    let mut writer = store.put(at, metadata, ahead(body.len(), &commit.precondition)).await?;
    for chunk in body.chunks(10_000) {
        writer.write(Bytes::copy_from_slice(chunk)).await?;
    }
    writer.commit(commit).await
}

/// The summary that an object is to come back with: none from a store that keeps no summaries but gives ends of bodies.
pub(crate) fn kept_summary<'a>(object: &StoredObject, given: &'a [u8]) -> &'a [u8] {
    if object.tail.is_empty() { given } else { &[] }
}

/// Puts a body without conditions.
pub(crate) async fn put_plain(store: &Store, key: &str, body: &[u8]) -> StoredTag {
    put(store, &at(key), body, Commit::default()).await.unwrap().tag
}

/// Reads a range of an open object.
pub(crate) async fn read(open: &dyn OpenObject, from: u64, to: u64, chunk: usize) -> Result<Vec<u8>, Error> {
    let chunks = open.read(CipherOffset(from)..CipherOffset(to), chunk).await?;
    Ok(chunks.try_collect::<Vec<_>>().await?.concat())
}

/// Reads a whole object.
pub(crate) async fn body_of(store: &Store, key: &str) -> Result<Vec<u8>, Error> {
    loop {
        let open = store.open(&at(key), None).await?;
        match read(&*open, 0, open.object().len.0, 65_536).await {
            // Only where a store cannot keep an old body readable.
            Err(Error::Changed) => {}
            read => return read,
        }
    }
}
