//! A runner without a fuzzer: changes valid inputs at random, for two seconds per target, or for the number
//! in `CLOUDRON_FUZZ_SECONDS`.

use std::time::{Duration, Instant};

use cloudron_testkit::tree::Rng;

use super::{TARGETS, allocation, corpus};

/// The maximum time for one input, in an unoptimized build on a busy machine.
const LONGEST: Duration = Duration::from_secs(10);
/// The maximum memory for one input, in bytes. The longest line of a manifest is 64 MiB.
const MOST_MEMORY: usize = 400 << 20;

/// Pieces of text that have a meaning for some parser.
const PIECES: [&[u8]; 24] = [
    b"0",
    b"-1",
    b"4294967295",
    b"4294967296",
    b"18446744073709551615",
    b"9223372036854775808",
    b"1e308",
    b"null",
    b"[]",
    b"{}",
    b"\"\"",
    b"\\u0000",
    b"\xff",
    b"\n",
    b"..",
    b"/../",
    b"//",
    b"*",
    b"**",
    b"?",
    b"\0",
    b"\"more\":4294967295,",
    b"\"path64\":\"!\",",
    b"[null,18446744073709551615],",
];

fn change(input: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    let at = rng.below(input.len() as u64 + 1) as usize;
    let end = (at + 1 + rng.below(32) as usize).min(input.len());
    match rng.below(8) {
        0 if at < input.len() => input[at] ^= 1 << rng.below(8),
        1 if at < input.len() => input[at] = rng.below(256) as u8,
        2 => drop(input.drain(at.min(end)..end)),
        3 => input.truncate(at),
        4 => {
            let piece = *rng.pick(&PIECES);
            input.splice(at..at, piece.iter().copied());
        }
        5 => {
            let piece = *rng.pick(&PIECES);
            input.splice(at.min(end)..end, piece.iter().copied());
        }
        6 => {
            let again = input[at.min(end)..end].to_vec();
            input.splice(at..at, again);
        }
        _ => {
            let from = rng.below(other.len() as u64 + 1) as usize;
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
    }
}

fn feed(name: &str, target: fn(&[u8]), input: &[u8]) {
    let begun = Instant::now();
    let mut memory = 0;
    let calm = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        memory = allocation::peak(|| target(input));
    }));
    let (time, length) = (begun.elapsed(), input.len());
    let shown = || String::from_utf8_lossy(&input[..length.min(2000)]).into_owned();
    assert!(calm.is_ok(), "{name}: a panic with {length} bytes: {:?}", shown());
    assert!(time < LONGEST, "{name}: {time:?} with {length} bytes: {:?}", shown());
    assert!(memory < MOST_MEMORY, "{name}: {memory} bytes of memory with {length} bytes: {:?}", shown());
}

fn fuzz(name: &str, target: fn(&[u8]), seconds: u64, seed: u64) -> u64 {
    let mut inputs = corpus::of(name);
    inputs.push(Vec::new());
    inputs.iter().for_each(|input| feed(name, target, input));
    // Long inputs are tried unchanged, and changed only occasionally.
    inputs.sort_by_key(Vec::len);
    let short = inputs.iter().filter(|i| i.len() < 20_000).count() as u64;
    let (mut rng, mut runs, begun) = (Rng::new(seed), 0, Instant::now());
    while begun.elapsed() < Duration::from_secs(seconds) {
        let of = if rng.below(200) == 0 { inputs.len() as u64 } else { short };
        let mut input = inputs[rng.below(of) as usize].clone();
        let other = &inputs[rng.below(short) as usize];
        for _ in 0..=rng.below(6) {
            change(&mut input, other, &mut rng);
        }
        feed(name, target, &input);
        runs += 1;
    }
    runs
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn no_input_makes_a_parser_panic_or_take_much() {
    let (seconds, seed) = (number("CLOUDRON_FUZZ_SECONDS", 2), number("CLOUDRON_TEST_SEED", 1));
    std::thread::scope(|scope| {
        for (name, target) in TARGETS {
            scope.spawn(move || {
                let runs = fuzz(name, target, seconds, seed);
                assert!(runs > 0 || seconds == 0, "{name} never ran");
            });
        }
    });
}
