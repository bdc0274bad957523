//! The lines in which two texts differ.

/// A line that one of two texts has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Only the first text has it.
    First(&'a str),
    /// Only the second text has it.
    Second(&'a str),
}

/// Maximum number of lines that are compared one by one; the table of a policy has fewer.
const MOST: usize = 2000;

/// Returns the lines that are not common to both, in their order, by a longest common subsequence.
pub(super) fn lines<'a>(first: &'a str, second: &'a str) -> Vec<Line<'a>> {
    let split = |text: &'a str| -> Vec<&'a str> {
        text.lines().map(str::trim).filter(|line| !line.is_empty()).take(MOST).collect()
    };
    let (a, b) = (split(first), split(second));
    // common[i][j] is the length for a[i..] and b[j..].
    let mut common = vec![vec![0_u16; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            common[i][j] = match a[i] == b[j] {
                true => common[i + 1][j + 1] + 1,
                false => common[i + 1][j].max(common[i][j + 1]),
            };
        }
    }
    let (mut i, mut j, mut found) = (0, 0, Vec::new());
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            (i, j) = (i + 1, j + 1);
        } else if j == b.len() || (i < a.len() && common[i + 1][j] >= common[i][j + 1]) {
            found.push(Line::First(a[i]));
            i += 1;
        } else {
            found.push(Line::Second(b[j]));
            j += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_named_with_its_side_and_in_order() {
        assert!(lines("a\n\tb\n", "a\nb").is_empty());
        let found = lines("a\nb\nc\nd", "a\nx\nc\nd\ne");
        assert_eq!(found, [Line::First("b"), Line::Second("x"), Line::Second("e")]);
        assert_eq!(lines("", "a"), [Line::Second("a")]);
        assert_eq!(lines("a", ""), [Line::First("a")]);
    }
}
