//! An older valid write put back (C10 in tests/threats.toml).

use std::sync::Arc;

use super::support::*;

#[tokio::test]
async fn metadata_of_an_older_write_beside_a_newer_body_is_found_out() {
    let house = House::new().await;
    let object = at("one", "object");
    house.put(&object, &[1; 100]).await;
    let old = Arc::new(house.store.kept(&object).await);
    house.put(&object, &[2; 100]).await;

    let metadata = Arc::clone(&old);
    house.store.edit_objects(move |_, kept| kept.object.metadata = metadata.object.metadata.clone());
    house.assert_all_refuse(&object, "metadata").await;

    let summary = Arc::clone(&old);
    house.store.edit_objects(move |_, kept| {
        kept.object.metadata = summary.object.metadata.clone();
        kept.object.summary = summary.object.summary.clone();
    });
    house.assert_whole_read_fails(&object, &[2; 100], "metadata and summary").await;
}

/// What lies on disk apart from the record: the body file with its metadata block. The record pins which write it is of.
#[tokio::test]
async fn the_body_of_an_older_write_under_the_record_of_the_newer_is_found_out() {
    let house = House::new().await;
    let object = at("one", "object");
    house.put(&object, &[1; 100]).await;
    let old = Arc::new(house.store.kept(&object).await);
    house.put(&object, &[2; 100]).await;

    let both = Arc::clone(&old);
    house.store.edit_objects(move |_, kept| {
        kept.body = both.body.clone();
        kept.object.metadata = both.object.metadata.clone();
    });
    house.assert_all_refuse(&object, "body and metadata").await;
    house.store.edit_objects(move |_, kept| kept.body = old.body.clone());
    house.assert_whole_read_fails(&object, &[2; 100], "body").await;
}
