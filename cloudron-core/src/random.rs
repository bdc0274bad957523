//! Randomness from the operating system, and texts made of it.

/// Fills the buffer from the operating system's generator.
///
/// # Panics
/// When the operating system has no randomness to give: nothing secure can be done then.
pub fn fill(buffer: &mut [u8]) {
    getrandom::fill(buffer).expect("the operating system gives randomness");
}

/// `N` random bytes.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    fill(&mut out);
    out
}

/// A random text of `length` characters of Crockford's base 32 in lower case, five bits each: no `i`, `l`,
/// `o` or `u`, so that it survives being read aloud.
pub fn token(length: usize) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut raw = vec![0u8; length];
    fill(&mut raw);
    raw.iter().map(|b| ALPHABET[usize::from(b & 31)] as char).collect()
}

/// A random number between 0 and 1.
pub fn unit() -> f64 {
    let value = u64::from_le_bytes(bytes()) >> 11;
    value as f64 / (1u64 << 53) as f64
}
