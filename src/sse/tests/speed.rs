//! How fast streams are sealed and opened: `cargo test --release --lib -- --ignored --nocapture streams_seal`.

use std::time::Instant;

use bytes::BytesMut;

use crate::sse::{
    Aead, BodyOpener, Last, Layout, PartHeader, PartSealer, PlainOffset, SealedPart, SegmentSealer, SegmentSize,
};
use crate::store::CipherOffset;
use crate::types::PartNumber;

use super::support::*;

const LEN: usize = 64 << 20;

fn seal(plain: &[u8], push: usize) -> (f64, Vec<BytesMut>, SealedPart) {
    let start = Instant::now();
    let sealer = PartSealer::new(&data_key(), PartNumber::FIRST, Aead::Aes256Gcm, SegmentSize::DEFAULT).unwrap();
    let mut sealer = sealer.expecting(plain.len() as u64);
    let (mut out, mut taken) = (BytesMut::new(), Vec::new());
    for piece in plain.chunks(push) {
        sealer.push(piece, &mut out).unwrap();
        if out.len() >= 256 * 1024 {
            taken.push(out.split());
            if taken.len() > 4 {
                taken.remove(0);
            }
        }
    }
    let part = sealer.finish(&mut out).unwrap();
    taken.push(out);
    (plain.len() as f64 / start.elapsed().as_secs_f64() / 1e9, taken, part)
}

fn open(layout: &std::sync::Arc<Layout>, body: &[u8], aligned: bool) -> f64 {
    let plain = PlainOffset(0)..layout.plain_len();
    let (cipher, mut opener) = BodyOpener::range(&data_key(), layout.clone(), plain).unwrap();
    let body = &body[cipher.start.0 as usize..cipher.end.0 as usize];
    let (mut seconds, mut first) = (0.0, if aligned { 0 } else { opener.chunk_len() - 48 });
    let mut rest = body;
    while !rest.is_empty() {
        let n = if first > 0 { std::mem::take(&mut first) } else { opener.chunk_len() }.min(rest.len());
        let (now, later) = rest.split_at(n);
        let chunk = BytesMut::from(now);
        let start = Instant::now();
        opener.push(chunk);
        while let Some(bytes) = opener.next().unwrap() {
            std::hint::black_box(&bytes);
        }
        seconds += start.elapsed().as_secs_f64();
        rest = later;
    }
    opener.finish().unwrap();
    body.len() as f64 / seconds / 1e9
}

/// The rate to compare with: one segment in the cache, sealed again and again.
fn cipher() -> f64 {
    let header = PartHeader {
        aead: Aead::Aes256Gcm,
        segment_size: SegmentSize::DEFAULT,
        number: PartNumber::FIRST,
        salt: salt(1, 1),
    };
    let mut sealer = SegmentSealer::new(&data_key(), &header);
    let mut segment = pattern(65_536);
    let start = Instant::now();
    for _ in 0..4096 {
        assert!(std::hint::black_box(sealer.seal(&mut segment, Last::No)).is_ok());
    }
    4096.0 * 65_536.0 / start.elapsed().as_secs_f64() / 1e9
}

#[test]
#[ignore = "a measurement"]
fn streams_seal_and_open_at_the_speed_of_the_cipher() {
    let plain = pattern(LEN);
    println!("seal, the cipher alone: {:.1} GB/s", cipher());
    for push in [8 << 10, 16 << 10, 64 << 10, 100_000, 256 << 10, 400 << 10] {
        let best = (0..5).map(|_| seal(&plain, push).0).fold(0.0, f64::max);
        println!("seal, pushes of {push:>6}: {best:.1} GB/s");
    }
    let (body, part) = seal_part(Aead::Aes256Gcm, SegmentSize::DEFAULT, 1, 1, &plain);
    let len = CipherOffset(body.len() as u64 + 200);
    let layout = std::sync::Arc::new(Layout::new(Aead::Aes256Gcm, SegmentSize::DEFAULT, &[part], len).unwrap());
    for aligned in [true, false] {
        let best = (0..5).map(|_| open(&layout, &body, aligned)).fold(0.0, f64::max);
        println!("open, aligned {aligned}: {best:.1} GB/s");
    }
    let small = pattern(4096);
    let start = Instant::now();
    for _ in 0..100_000 {
        std::hint::black_box(seal(&small, 4096));
    }
    println!("seal a part of 4 KiB: {:.2} us", start.elapsed().as_secs_f64() * 10.0);
}
