//! What the upstream store promises, against a real one: `SEALGATE_TEST_UPSTREAM` names it as
//! `http://host:port,access key,secret key`, followed by `,oss` where it is to be spoken to in OSS. They are ignored unless asked for, and fail then where there is none:
//! `tests/upstream/ceph.py run cargo test --release --lib -- --include-ignored store::upstream` starts one, and `make test`
//! does that.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use zeroize::Zeroizing;

use super::testing::TestSeal;
use super::*;
use crate::store::contract::{self, Store};
use crate::types::SystemClock;

mod fleet;
mod objects;
mod several;
mod sweep;
mod uploads;

/// Buckets of the upstream's are one space: each test has its own beginning of names.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Settings of a place that no other test has.
fn settings() -> Settings {
    let text =
        std::env::var("SEALGATE_TEST_UPSTREAM").expect("SEALGATE_TEST_UPSTREAM names an upstream to test against");
    let fields: Vec<&str> = text.split(',').collect();
    let (&[endpoint, id, secret], rest) =
        fields.split_first_chunk().expect("SEALGATE_TEST_UPSTREAM: endpoint,id,secret");
    let key = UpstreamKey { id: id.to_owned(), secret: Zeroizing::new(secret.to_owned()), token: None };
    let mut settings = Settings::new(endpoint.parse().unwrap(), KeySource::Fixed(key));
    let nth = NEXT.fetch_add(1, Ordering::Relaxed);
    let run = format!("t{}-{nth}", crate::types::Clock::now(&SystemClock).0 % 10_000_000_000);
    settings.wire = if rest == ["oss"] { Wire::Oss } else { Wire::S3 };
    settings.reserved = format!("{run}-sys");
    settings.bucket_prefix = format!("{run}-");
    settings
}

/// A gateway's store of this place, with its own memory.
async fn gateway(settings: &Settings) -> (tempfile::TempDir, Arc<UpstreamStore>) {
    let dir = tempfile::tempdir().unwrap();
    let reached = reach(vec![settings.clone()], Arc::new(TestSeal), Arc::new(SystemClock)).await.unwrap();
    let store = reached.open("here".to_owned(), Some(&dir.path().join("cache"))).unwrap();
    (dir, Arc::new(store))
}

async fn open() -> (tempfile::TempDir, Store) {
    let (dir, store) = gateway(&settings()).await;
    (dir, store)
}

macro_rules! promises {
    ($($room:ident { $($promise:ident),* $(,)? })*) => {
        mod promises {
            $(mod $room {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                #[ignore = "needs SEALGATE_TEST_UPSTREAM"]
                async fn $promise() {
                    let (_guard, store) = super::super::open().await;
                    crate::store::contract::$room::$promise(store).await;
                })*
            })*
        }
    };
}

// Not among them: that a body stays readable when its object is replaced or its version deleted, and that a deletion says
// whether there was something, which no upstream store can promise over HTTP; names with a NUL, which Ceph refuses; and long histories of suspended buckets, in which Ceph 16 itself now and then keeps a
// `null` version that was deleted or replaced.
promises! {
    appends {
        the_beginning_stays_and_the_end_is_replaced, many_pieces_make_one_body, what_has_changed_does_not_grow,
        what_has_new_metadata_does_not_grow,
        more_than_there_is_cannot_be_kept, a_dropped_append_changes_nothing,
        of_many_appends_to_one_state_one_is_made, a_version_grows_in_place_and_only_the_current_one,
    }
    buckets {
        a_bucket_is_as_it_was_made, a_second_creation_names_the_owner, configurations_come_and_go,
        a_bucket_with_anything_in_it_stays, what_needs_a_bucket_says_when_there_is_none,
    }
    objects {
        bodies_of_any_length_read_back, any_range_is_that_slice, chunks_have_the_length_asked_for,
        a_range_past_the_end_is_refused, names_that_look_like_paths_are_only_names,
        metadata_and_summary_come_back, each_write_has_its_own_tag, preconditions_are_judged,
        other_versions_are_not_there, a_dropped_writer_changes_nothing,
        a_copy_has_the_body_and_its_own_metadata, a_copy_onto_itself_keeps_the_body,
        a_copy_of_a_changed_source_is_refused, a_body_lives_as_long_as_one_copy,
    }
    listing {
        a_page_says_whether_there_is_more, an_equal_prefix_is_skipped_as_a_whole, listings_agree_with_the_model,
        uploads_are_ordered_and_paged,
    }
    uploads {
        parts_in_order_and_the_manifest_make_the_body, a_part_can_be_sent_again, a_completion_names_its_attempts,
        parts_come_in_pages, an_ended_upload_is_gone, an_upload_belongs_to_its_object,
        a_refused_completion_leaves_the_upload, a_completed_body_can_be_copied, many_parts_and_an_empty_one,
    }
    versions {
        a_bucket_starts_without_versions_and_never_comes_back_to_that,
        every_write_is_a_version_under_the_id_that_was_given,
        a_delete_hides_and_deleting_the_marker_shows_again, a_suspended_bucket_replaces_the_null_version_only,
        conditions_see_a_marker_as_nothing, a_version_can_be_copied_and_the_copy_outlives_it,
        metadata_changes_in_place_and_only_once_per_look,
        versions_are_listed_by_key_then_newest_first_and_in_pages, histories_without_suspension_agree_with_the_model,
        readers_of_a_version_find_it_while_others_come_and_go, an_upload_is_a_version_only_once_it_is_completed,
    }
    races {
        one_of_many_conditional_creators_wins, one_of_many_conditional_replacers_wins, readers_see_whole_versions,
        a_bucket_never_vanishes_under_an_object, a_late_part_never_survives_an_abort, an_upload_completes_once,
    }
}
