//! Randomness from the operating system, and texts generated from it.

/// Fills the buffer from the operating system's generator.
///
/// # Panics
/// If the operating system provides no randomness: nothing secure can be done then.
pub fn fill(buffer: &mut [u8]) {
    getrandom::fill(buffer).expect("the operating system gives randomness");
}

/// Returns `N` random bytes.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    fill(&mut out);
    out
}

/// Returns a random text of `length` characters in lower-case Crockford base 32, five bits each: no `i`, `l`, `o` or
/// `u`, so that it can be read aloud.
pub fn token(length: usize) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut raw = vec![0u8; length];
    fill(&mut raw);
    raw.iter().map(|b| ALPHABET[usize::from(b & 31)] as char).collect()
}

/// Returns a random number from 0 to 1.
pub fn unit() -> f64 {
    let value = u64::from_le_bytes(bytes()) >> 11;
    value as f64 / (1u64 << 53) as f64
}
