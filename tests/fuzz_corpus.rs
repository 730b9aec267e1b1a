//! The fuzz targets over their kept corpora and over seeded mutations of them, with the stable toolchain.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use sealgate::fuzzing::{TARGETS, run};

/// Mutations of each kept input; `SEALGATE_FUZZ_MUTATIONS` asks for more.
const MUTATIONS: usize = 300;

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<PathBuf> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn every_target_has_a_corpus_and_every_corpus_a_target() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let kept: BTreeSet<String> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(kept, targets);
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/Cargo.toml")).unwrap();
    for target in &targets {
        assert!(corpus(target).len() >= 3, "{target} has inputs that are right and inputs that are wrong");
        assert!(manifest.contains(&format!("name = \"{target}\"")), "{target} is a binary of fuzz/");
    }
}

#[test]
fn kept_inputs_hold_what_is_promised() {
    for (target, _) in TARGETS {
        for (path, input) in corpus(target) {
            println!("{}", path.display());
            run(target, &input);
        }
    }
}

#[test]
fn mutated_inputs_hold_what_is_promised() {
    let mutations = std::env::var("SEALGATE_FUZZ_MUTATIONS").map_or(MUTATIONS, |text| text.parse().unwrap());
    let mut rng = Rng(0x9e37_79b9_7f4a_7c15);
    for (target, _) in TARGETS {
        let inputs = corpus(target);
        for (path, input) in &inputs {
            println!("{}", path.display());
            for _ in 0..mutations {
                let (_, other) = &inputs[below(&mut rng, inputs.len())];
                run(target, &mutated(&mut rng, input, other));
            }
        }
    }
}

/// Marsaglia's xorshift64: the same inputs at every run.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

fn below(rng: &mut Rng, bound: usize) -> usize {
    usize::try_from(rng.next() % u64::try_from(bound.max(1)).unwrap()).unwrap()
}

/// One to four changes: a bit, a byte, a piece gone or doubled, the end of another input.
fn mutated(rng: &mut Rng, input: &[u8], other: &[u8]) -> Vec<u8> {
    const TELLING: &[u8] = b"\0\r\n -;:=\"%&/0$+\xff\x80";
    let mut out = input.to_vec();
    for _ in 0..=below(rng, 4) {
        let at = below(rng, out.len());
        let end = (at + below(rng, 16)).min(out.len());
        match below(rng, 7) {
            0 if !out.is_empty() => out[at] ^= 1 << below(rng, 8),
            1 if !out.is_empty() => out[at] = TELLING[below(rng, TELLING.len())],
            2 => out.insert(at, TELLING[below(rng, TELLING.len())]),
            3 => drop(out.drain(at..end)),
            4 => {
                let piece = out[at..end].to_vec();
                out.splice(at..at, piece);
            }
            5 => out.truncate(at),
            _ => {
                out.truncate(at);
                out.extend_from_slice(&other[below(rng, other.len()).min(other.len())..]);
            }
        }
    }
    out
}
