//! Promises about multipart uploads.

use bytes::Bytes;

use super::{Store, at, body_of, given, kept_summary, metadata, noise, put_plain, read, with_bucket};
use crate::store::{
    CipherOffset, Commit, Completion, CopyPlan, Error, Precondition, StoredObject, StoredPart, StoredTag, UploadAt,
};
use crate::types::{PartNumber, UploadId};

pub(crate) fn upload(key: &str, id: u8) -> UploadAt {
    UploadAt { object: at(key), id: UploadId::from_bits([id; 16]) }
}

pub(crate) fn number(number: u32) -> PartNumber {
    PartNumber::try_from(number).unwrap()
}

pub(crate) async fn start(store: &Store, at: &UploadAt) {
    store.create_upload(at, metadata("upload"), Bytes::from_static(b"state")).await.unwrap();
}

pub(crate) async fn send(store: &Store, at: &UploadAt, nth: u32, body: &[u8]) -> Result<StoredPart, Error> {
    let mut writer = store.put_part(at, number(nth), Some(CipherOffset(body.len() as u64))).await?;
    for chunk in body.chunks(50_000) {
        writer.write(Bytes::copy_from_slice(chunk)).await?;
    }
    writer.commit(Bytes::from(format!("record {nth}"))).await
}

pub(crate) async fn complete(
    store: &Store,
    at: &UploadAt,
    parts: &[&StoredPart],
    manifest: &[u8],
) -> Result<StoredObject, Error> {
    let parts = parts.iter().map(|part| (part.number, part.tag.clone())).collect();
    let commit = Commit { summary: Bytes::from_static(b"summary"), ..Commit::default() };
    let manifest = Bytes::copy_from_slice(manifest);
    store.complete(at, Completion { parts, manifest, metadata: metadata("done"), commit }).await
}

pub(crate) async fn parts_in_order_and_the_manifest_make_the_body(store: Store) {
    with_bucket(&store).await;
    let up = upload("a", 1);
    start(&store, &up).await;
    let bodies = [noise(700_000, 1), noise(10, 2), noise(300_001, 3)];
    let third = send(&store, &up, 30, &bodies[2]).await.unwrap();
    let first = send(&store, &up, 1, &bodies[0]).await.unwrap();
    let second = send(&store, &up, 2, &bodies[1]).await.unwrap();
    let done = complete(&store, &up, &[&first, &second, &third], b"manifest").await.unwrap();
    let whole = [&bodies.concat()[..], b"manifest"].concat();
    assert_eq!((done.len, &done.metadata), (CipherOffset(whole.len() as u64), &metadata("done")));
    let seen = store.head(&at("a"), None).await.unwrap();
    assert_eq!(&seen.summary[..], kept_summary(&seen, b"summary"));
    assert_eq!(body_of(&store, "a").await.unwrap(), whole);
    let open = store.open(&at("a"), None).await.unwrap();
    for (from, to) in
        [(699_999, 700_011), (700_000, 700_010), (0, 1_000_019), (1_000_010, 1_000_019), (650_000, 800_000)]
    {
        let (from_byte, to_byte) = (usize::try_from(from).unwrap(), usize::try_from(to).unwrap());
        assert_eq!(read(&*open, from, to, 65_552).await.unwrap(), whole[from_byte..to_byte], "{from}..{to}");
    }
}

pub(crate) async fn a_part_can_be_sent_again(store: Store) {
    with_bucket(&store).await;
    let up = upload("a", 1);
    start(&store, &up).await;
    let old = send(&store, &up, 1, &noise(200_000, 1)).await.unwrap();
    let new = send(&store, &up, 1, &noise(100_000, 2)).await.unwrap();
    assert_ne!(old.tag, new.tag);
    let page = store.parts(&up, None, 10).await.unwrap();
    assert_eq!(page.parts.len(), 1);
    assert_eq!((&page.parts[0].tag, page.parts[0].len), (&new.tag, CipherOffset(100_000)));
    complete(&store, &up, &[&new], b"").await.unwrap();
    assert_eq!(body_of(&store, "a").await.unwrap(), noise(100_000, 2));
}

pub(crate) async fn a_completion_names_its_attempts(store: Store) {
    with_bucket(&store).await;
    let up = upload("a", 1);
    start(&store, &up).await;
    let old = send(&store, &up, 1, b"old").await.unwrap();
    let new = send(&store, &up, 1, b"new").await.unwrap();
    let spare = send(&store, &up, 2, b"spare").await.unwrap();
    let missing = StoredPart { number: number(3), tag: StoredTag("x".to_owned()), ..spare.clone() };
    assert!(matches!(complete(&store, &up, &[&old], b"m").await, Err(Error::NoSuchPart(n)) if n == number(1)));
    assert!(
        matches!(complete(&store, &up, &[&new, &missing], b"m").await, Err(Error::NoSuchPart(n)) if n == number(3))
    );
    assert!(matches!(store.head(&at("a"), None).await, Err(Error::NoSuchObject)));
    complete(&store, &up, &[&new], b"-m").await.unwrap();
    assert_eq!(body_of(&store, "a").await.unwrap(), b"new-m");
}

pub(crate) async fn parts_come_in_pages(store: Store) {
    with_bucket(&store).await;
    let up = upload("a", 1);
    start(&store, &up).await;
    start(&store, &upload("a", 2)).await;
    send(&store, &upload("a", 2), 9, b"another upload's").await.unwrap();
    for nth in [300, 2, 10_000, 1] {
        send(&store, &up, nth, b"x").await.unwrap();
    }
    for (after, limit, expected, more) in
        [(None, 2, &[1, 2][..], true), (Some(2), 2, &[300, 10_000], false), (Some(10_000), 2, &[], false)]
    {
        let page = store.parts(&up, after.map(number), limit).await.unwrap();
        let numbers: Vec<u32> = page.parts.iter().map(|part| part.number.get()).collect();
        assert_eq!((&numbers[..], page.truncated), (expected, more));
    }
    let page = store.parts(&up, None, 1).await.unwrap();
    assert_eq!(&page.parts[0].record[..], b"record 1");
}

async fn assert_gone(store: &Store, up: &UploadAt) {
    assert!(matches!(store.upload(up).await, Err(Error::NoSuchUpload)));
    assert!(matches!(store.put_part(up, number(1), None).await.err(), Some(Error::NoSuchUpload)));
    assert!(matches!(store.parts(up, None, 9).await, Err(Error::NoSuchUpload)));
    assert!(matches!(store.abort(up).await, Err(Error::NoSuchUpload)));
    assert!(matches!(complete(store, up, &[], b"").await, Err(Error::NoSuchUpload)));
}

pub(crate) async fn an_ended_upload_is_gone(store: Store) {
    with_bucket(&store).await;
    assert_gone(&store, &upload("a", 1)).await;
    for id in [1, 2] {
        let up = upload("a", id);
        start(&store, &up).await;
        assert_eq!(&store.upload(&up).await.unwrap().state[..], b"state");
        let part = send(&store, &up, 1, b"part").await.unwrap();
        let mut late = store.put_part(&up, number(2), Some(CipherOffset(400_000))).await.unwrap();
        late.write(Bytes::from(noise(400_000, 1))).await.unwrap();
        if id == 1 {
            complete(&store, &up, &[&part], b"").await.unwrap();
        } else {
            store.abort(&up).await.unwrap();
        }
        assert!(matches!(late.commit(Bytes::new()).await, Err(Error::NoSuchUpload)));
        assert_gone(&store, &up).await;
    }
    assert_eq!(body_of(&store, "a").await.unwrap(), b"part");
}

pub(crate) async fn an_upload_belongs_to_its_object(store: Store) {
    with_bucket(&store).await;
    start(&store, &upload("a", 1)).await;
    assert_gone(&store, &upload("b", 1)).await;
    let seen = store.upload(&upload("a", 1)).await.unwrap();
    assert_eq!((seen.key, seen.metadata), (at("a").key, metadata("upload")));
}

pub(crate) async fn a_refused_completion_leaves_the_upload(store: Store) {
    with_bucket(&store).await;
    put_plain(&store, "a", b"there").await;
    let up = upload("a", 1);
    start(&store, &up).await;
    let part = send(&store, &up, 1, b"part").await.unwrap();
    let parts = vec![(part.number, part.tag.clone())];
    let commit = given(Precondition::Absent);
    let refused = Completion { parts, manifest: Bytes::new(), metadata: metadata("m"), commit };
    assert!(matches!(store.complete(&up, refused).await, Err(Error::PreconditionFailed)));
    assert_eq!(body_of(&store, "a").await.unwrap(), b"there");
    complete(&store, &up, &[&part], b"!").await.unwrap();
    assert_eq!(body_of(&store, "a").await.unwrap(), b"part!");
}

pub(crate) async fn a_completed_body_can_be_copied(store: Store) {
    with_bucket(&store).await;
    let up = upload("a", 1);
    start(&store, &up).await;
    let part = send(&store, &up, 1, &noise(100_000, 1)).await.unwrap();
    let done = complete(&store, &up, &[&part], b"end").await.unwrap();
    let source = (at("a"), None, done.tag);
    let plan = CopyPlan { source, target: at("b"), metadata: metadata("copy"), commit: Commit::default() };
    store.copy(plan).await.unwrap();
    store.delete(&at("a"), None, Precondition::None).await.unwrap();
    assert_eq!(body_of(&store, "b").await.unwrap(), [&noise(100_000, 1)[..], b"end"].concat());
}

pub(crate) async fn many_parts_and_an_empty_one(store: Store) {
    with_bucket(&store).await;
    let up = upload("a", 1);
    start(&store, &up).await;
    let (mut parts, mut whole) = (Vec::new(), Vec::new());
    for nth in 1..=60 {
        let body = noise(if nth % 7 == 0 { 0 } else { 1000 }, u64::from(nth));
        parts.push(send(&store, &up, nth, &body).await.unwrap());
        whole.extend(body);
    }
    let manifest = noise(100_000, 77);
    complete(&store, &up, &parts.iter().collect::<Vec<_>>(), &manifest).await.unwrap();
    whole.extend(manifest);
    assert_eq!(body_of(&store, "a").await.unwrap(), whole);
}
