//! No library names a command or an option of the program in a text: whoever embeds it has another program, or none.
//! A library says what is wrong by a code with details, and the program adds what to type.

use std::path::PathBuf;

use crate::floors::sources;

/// The server is not among them: it is the other half of the program, on a machine.
const LIBRARIES: [&str; 8] = [
    "cloudron-core",
    "cloudron-http",
    "cloudron-api",
    "cloudron-dns",
    "cloudron-backup",
    "cloudron-provision",
    "cloudron-proxy",
    "cloudron-machine",
];

/// Markers of texts with options of another program: scripts that run on a server, and commands typed there or into a
/// cloud's own program.
const OTHERS: [&str; 5] = [
    "chown --reference=",
    "systemd-run -q --collect",
    "cloud-init status --long",
    "aws ec2 ",
    "doctl compute ",
];

/// Texts that are one argument of such a program: of cloud-init.
const ARGUMENTS: [&str; 1] = ["--wait"];

/// The places that write the commands of the program on a machine, for programs to call.
const SPOKEN: [(&str, &str); 2] = [("cloudron-api", "command.rs"), ("cloudron-api", "layout.rs")];

/// The groups of commands that people type.
const GROUPS: [&str; 4] = ["machine", "backup", "dns", "policy"];

#[test]
fn no_library_names_a_command_or_an_option_of_the_program() {
    let mut wrong = Vec::new();
    for package in LIBRARIES {
        for (file, source) in sources(package) {
            if !SPOKEN.iter().any(|(of, name)| *of == package && file == PathBuf::from(name)) {
                wrong.extend(
                    named(&source)
                        .into_iter()
                        .map(|text| format!("{package}/src/{}: {}", file.display(), text.trim())),
                );
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_command_or_an_option_in_a_text_is_found() {
    for bad in [
        r#"error.with_hint("add --adopt to replace them")"#,
        r#"error.with_hint("add `--resume` to go on")"#,
        "text(\"one \\\n     --two\")",
        r##"text(r#"(--ssh-port)"#)"##,
        r#"format!("`cloudron machine destroy {domain}` removes it")"#,
        r#"text("`backup list` shows them")"#,
        r#"text("`cloudron backup`")"#,
    ] {
        assert_eq!(named(bad).len(), 1, "{bad}");
    }
    for good in [
        "// add --adopt\nlet a = b - --c;",
        "/// `cloudron machine destroy` removes it.\nfn f() {}",
        r#"text("cloud-init status --long says more")"#,
        r#"text("a cloudron machine")"#,
        r#"text("-- and <!-- are no options")"#,
        "fn f() {}\n#[cfg(test)]\nmod tests {\n    const A: &str = \"--adopt\";\n}\n",
    ] {
        assert_eq!(named(good), [""; 0], "{good}");
    }
}

/// The texts of a file that name a command or an option.
fn named(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let is_own = |text: &String| {
        !ARGUMENTS.contains(&text.as_str()) && !OTHERS.iter().any(|other| text.contains(other))
    };
    literals(code)
        .into_iter()
        .filter(|text| names_an_option(text) || names_a_command(text))
        .filter(is_own)
        .collect()
}

/// `--` and a letter, at the beginning of a word.
fn names_an_option(text: &str) -> bool {
    text.match_indices("--").any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let begins = before.is_none_or(|c| !c.is_alphanumeric() && !"-!".contains(c));
        begins && text[at + 2..].starts_with(|c: char| c.is_ascii_lowercase())
    })
}

/// A command in backticks, with the program's name or by its group alone.
fn names_a_command(text: &str) -> bool {
    text.match_indices('`').any(|(at, _)| {
        let words = text[at + 1..].trim_start_matches("cloudron ");
        let group = words.split([' ', '`']).next().unwrap_or_default();
        let alone = words.len() == text[at + 1..].len();
        GROUPS.contains(&group) && (!alone || words[group.len()..].starts_with(' '))
    })
}

/// The strings of a source file, continued lines joined.
fn literals(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(at) = rest.find(['"', '/', '\'']) {
        let (before, from) = rest.split_at(at);
        let hashes = before.len() - before.trim_end_matches('#').len();
        let raw = before[..before.len() - hashes].ends_with('r');
        rest = match from {
            _ if from.starts_with("//") => from.find('\n').map_or("", |end| &from[end..]),
            _ if from.starts_with("'\"'") || from.starts_with("'/'") => &from[3..],
            _ if from.starts_with("'\\''") || from.starts_with("'\\\"'") => &from[4..],
            _ if !from.starts_with('"') => &from[1..],
            _ if raw => {
                let end = format!("\"{}", "#".repeat(hashes));
                let length = from[1..].find(&end).unwrap_or(from.len() - 1);
                found.push(from[1..=length].to_owned());
                from.get(1 + length + end.len()..).unwrap_or_default()
            }
            _ => {
                let end = end_of_string(&from[1..]);
                found.push(from[1..=end].replace("\\\n", ""));
                from.get(end + 2..).unwrap_or_default()
            }
        };
    }
    found
}

/// The length of a string up to its closing quote.
fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' if !escaped => return at,
            _ => escaped = c == '\\' && !escaped,
        }
    }
    text.len()
}
