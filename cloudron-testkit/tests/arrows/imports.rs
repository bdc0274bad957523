//! Finds the modules of its own crate that a source file uses: `use crate::…`, including nested groups, paths
//! inside expressions, and `super::…`.

/// An imported path without `crate`, and its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Import {
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
}

/// Returns the imports from its own crate of the module at a path (`["format", "index"]`).
pub(crate) fn imports(module: &[&str], source: &str) -> Vec<Import> {
    let tokens = tokens(&blank(source));
    let module = module.iter().map(ToString::to_string).collect();
    let mut reader =
        Reader { tokens: &tokens, at: 0, module, inline: Vec::new(), depth: 0, found: Vec::new() };
    reader.read();
    reader.found
}

/// Returns the source with comments and literals replaced by spaces. Line breaks are kept.
fn blank(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut out = String::with_capacity(source.len());
    let mut i = 0;
    while i < chars.len() {
        let end = match chars[i] {
            '/' if at(i + 1) == '/' => until(&chars, i, |c, _| c == '\n'),
            '/' if at(i + 1) == '*' => block_comment(&chars, i),
            'r' if !is_word(at(i.wrapping_sub(1))) && raw_string(&chars, i).is_some() => {
                raw_string(&chars, i).expect("it was found")
            }
            '"' => string(&chars, i),
            // A character literal, not a lifetime.
            '\'' if at(i + 1) == '\\' => until(&chars, i + 3, |c, _| c == '\'') + 1,
            '\'' if at(i + 2) == '\'' => i + 3,
            c => {
                out.push(c);
                i += 1;
                continue;
            }
        };
        let end = end.min(chars.len());
        out.extend(chars[i..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
        i = end;
    }
    out
}

fn until(chars: &[char], from: usize, is_end: impl Fn(char, usize) -> bool) -> usize {
    (from..chars.len()).find(|i| is_end(chars[*i], *i)).unwrap_or(chars.len())
}

fn block_comment(chars: &[char], from: usize) -> usize {
    let (mut depth, mut i) = (0, from);
    while i < chars.len() {
        match (chars[i], chars.get(i + 1)) {
            ('/', Some('*')) => (depth, i) = (depth + 1, i + 2),
            ('*', Some('/')) => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            break;
        }
    }
    i
}

fn string(chars: &[char], from: usize) -> usize {
    let mut i = from + 1;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

/// Returns the end of the raw string that starts here, if there is one.
fn raw_string(chars: &[char], from: usize) -> Option<usize> {
    let hashes = chars[from + 1..].iter().take_while(|c| **c == '#').count();
    let open = from + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return None;
    }
    let is_end = |i: usize| {
        chars[i] == '"' && chars[i + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
    };
    Some((open + 1..chars.len()).find(|i| is_end(*i)).map_or(chars.len(), |i| i + 1 + hashes))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[derive(Debug)]
struct Token {
    text: String,
    line: usize,
}

/// Splits the source into words, `::`, and single other characters.
fn tokens(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for (n, text) in source.lines().enumerate() {
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = match first {
                c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
                ':' if rest.starts_with("::") => 2,
                c => c.len_utf8(),
            };
            tokens.push(Token { text: rest[..length].to_owned(), line: n + 1 });
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

struct Reader<'t> {
    tokens: &'t [Token],
    at: usize,
    module: Vec<String>,
    /// The inline modules that are open at this position: name, and depth of their brace.
    inline: Vec<(String, usize)>,
    depth: usize,
    found: Vec<Import>,
}

impl Reader<'_> {
    fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| &token.text)
    }

    fn read(&mut self) {
        while self.at < self.tokens.len() {
            match self.text(self.at) {
                "{" => self.depth += 1,
                "}" => {
                    self.depth = self.depth.saturating_sub(1);
                    self.inline.retain(|(_, depth)| *depth < self.depth + 1);
                }
                "mod" if self.text(self.at + 2) == "{" => {
                    self.inline.push((self.text(self.at + 1).to_owned(), self.depth + 1));
                    self.at += 1;
                }
                "crate" | "super" if self.text(self.at + 1) == "::" && !self.is_inside_a_path() => {
                    self.tree(Vec::new());
                    continue;
                }
                _ => {}
            }
            self.at += 1;
        }
    }

    /// Returns true if this word is part of a longer path, such as `$crate::` or `a::crate::`.
    fn is_inside_a_path(&self) -> bool {
        self.at > 0 && ["::", "$"].contains(&self.text(self.at - 1))
    }

    /// Parses `a::b`, `a::*` or `a::{b, c::d}` below a path that starts with `crate` or `super`.
    fn tree(&mut self, mut path: Vec<String>) {
        let line = self.tokens[self.at].line;
        loop {
            path.push(self.text(self.at).to_owned());
            self.at += 1;
            if self.text(self.at) != "::" {
                break;
            }
            self.at += 1;
            match self.text(self.at) {
                "{" => {
                    self.at += 1;
                    while !["}", ""].contains(&self.text(self.at)) {
                        self.tree(path.clone());
                        while ![",", "}", ""].contains(&self.text(self.at)) {
                            self.at += 1;
                        }
                        self.at += usize::from(self.text(self.at) == ",");
                    }
                    self.at += 1;
                    return;
                }
                // As in `collect::<Vec<_>>`.
                "<" => break,
                _ => {}
            }
        }
        let path = self.resolve(&path);
        self.found.push(Import { path, line });
    }

    /// Returns the path from the crate's root.
    fn resolve(&self, path: &[String]) -> Vec<String> {
        let ups = path.iter().take_while(|word| *word == "super").count();
        if ups == 0 {
            return path[1..].to_vec();
        }
        let here: Vec<String> =
            self.module.iter().chain(self.inline.iter().map(|(name, _)| name)).cloned().collect();
        let base = here.len().saturating_sub(ups);
        here[..base].iter().chain(&path[ups..]).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(module: &[&str], source: &str) -> Vec<String> {
        imports(module, source).iter().map(|i| i.path.join("::")).collect()
    }

    #[test]
    fn nested_groups_and_paths_in_expressions_are_found() {
        let source = "use crate::a::{self, b::{C, D as E}, *};\npub(crate) use crate::f;\nfn x() { crate::g::h(super::i::J::new()) }";
        let found = ["a::self", "a::b::C", "a::b::D", "a::*", "f", "g::h", "m::i::J::new"];
        assert_eq!(paths(&["m", "n"], source), found);
        assert_eq!(imports(&["m"], source).last().unwrap().line, 3);
    }

    #[test]
    fn what_is_in_comments_and_texts_counts_for_nothing() {
        let source = "// crate::a::b\n/* crate::c /* d */ */ let s = \"crate::e::f\"; let r = r#\"crate::g\"#; let c = '\"'; crate::h::i();";
        assert_eq!(paths(&["m"], source), ["h::i"]);
        assert!(
            paths(&["m"], "//! [`crate::a`]\npub(crate) fn x<'a>(x: &'a str) -> Vec<u8> { $crate::y() }")
                .is_empty()
        );
    }

    #[test]
    fn the_modules_of_a_file_count_for_super() {
        let source = "mod tests {\n use super::*;\n use super::super::other::X;\n}\nuse super::near::Y;";
        assert_eq!(paths(&["top", "file"], source), ["top::file::*", "top::other::X", "top::near::Y"]);
    }
}
