//! What parsers of hostile bytes promise, as functions of any input: they return or panic. `fuzz/` runs them under
//! libFuzzer, `tests/fuzz_corpus.rs` over the kept corpora with the stable toolchain. Not an interface of this crate.

use crate::{dialect, identity, sse};

/// A target: its name, which is that of its corpus, and what it promises of any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("aliyun_call", identity::fuzzing::aliyun_call),
    ("aws_chunked", identity::fuzzing::aws_chunked),
    ("authorization", identity::fuzzing::authorization),
    ("presigned", identity::fuzzing::presigned),
    ("form_policy", identity::fuzzing::form_policy),
    ("oss_authorization", identity::fuzzing::oss_authorization),
    ("oss_form", identity::fuzzing::oss_form),
    ("oss_url", identity::fuzzing::oss_url),
    ("policy", identity::fuzzing::policy),
    ("post_form", dialect::s3::fuzzing::post_form),
    ("xml", dialect::s3::fuzzing::xml),
    ("range", dialect::s3::fuzzing::range),
    ("copy_source", dialect::s3::fuzzing::copy_source),
    ("oss_xml", dialect::oss::fuzzing::xml),
    ("oss_copy_source", dialect::oss::fuzzing::copy_source),
    ("oss_address", dialect::oss::fuzzing::address),
    ("part_header", sse::fuzzing::part_header),
    ("envelope", sse::fuzzing::envelope),
    ("manifest", sse::fuzzing::manifest),
    ("manifest_sections", sse::fuzzing::manifest_sections),
];

/// Runs one target.
///
/// # Panics
/// When the target's promise does not hold, or there is no target of this name.
pub fn run(name: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|(there, _)| *there == name);
    assert!(target.is_some(), "no target {name}");
    if let Some((_, promise)) = target {
        promise(input);
    }
}
