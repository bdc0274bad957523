//! The order of manifest entries.

use std::cmp::Ordering;

/// Compares two paths in the order of the walk: a folder before its content, names by their bytes.
pub(crate) fn in_order(a: &[u8], b: &[u8]) -> Ordering {
    let key = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
    a.iter().map(key).cmp(b.iter().map(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_folder_comes_right_behind_it() {
        let mut paths = ["/a.b", "/a/x", "/a", "/a b", "/a/x/y", "/ab", "/a/x.z"].map(str::as_bytes);
        paths.sort_by(|a, b| in_order(a, b));
        assert_eq!(paths, ["/a", "/a/x", "/a/x/y", "/a/x.z", "/a b", "/a.b", "/ab"].map(str::as_bytes));
    }
}
