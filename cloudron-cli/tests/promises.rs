//! Checks that every command named in this project's texts exists with its options: hints, explanations, help
//! and pages. A hint must be a complete command; an explanation may omit arguments.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Command;
use clap::error::ErrorKind;

/// Possible values for a placeholder in braces: a domain, an address, options of a DNS host, a file, a name, a cloud.
const VALUES: [&str; 6] =
    ["example.com", "203.0.113.7", "--provider wildcard", "/srv/files", "latest", "hetzner"];

/// A command named in a text.
#[derive(Debug)]
struct Named {
    file: PathBuf,
    text: String,
    /// True if its arguments may be omitted.
    partial: bool,
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Collects the files below a folder with this ending, without tests and build output.
fn files(folder: &Path, ending: &str, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = entry.file_name().unwrap().to_string_lossy().into_owned();
        if entry.is_dir() {
            if !["target", "tests", "benches", ".git", "fuzz"].contains(&&*name) {
                files(&entry, ending, into);
            }
        } else if name.ends_with(ending) {
            into.push(entry);
        }
    }
}

/// Joins continued lines: strings and examples that end with a backslash, and comments.
fn joined(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let comment = line.trim_start().strip_prefix("///").or_else(|| line.trim_start().strip_prefix("//!"));
        let continued = out.len() - out.trim_end_matches('\\').len();
        if let Some(comment) = comment {
            out += comment;
        } else if continued > 0 {
            out.truncate(out.len() - continued);
            out += line.trim_start();
        } else {
            out.push('\n');
            out += line;
        }
    }
    out
}

/// The text of a file, with lines joined that belong together.
fn text_of(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    if file.extension().is_some_and(|ending| ending == "txt") {
        text.replace("\n    ", " ")
    } else {
        joined(&text)
    }
}

/// The folder of the hints, whose texts are in data files.
fn hints() -> PathBuf {
    workspace().join("cloudron-cli/src/hints")
}

/// The folder of the texts below the options of commands.
fn help() -> PathBuf {
    workspace().join("cloudron-cli/src/help")
}

/// Returns the texts in backticks that begin with `begin`, each with the text after it.
fn spans<'a>(text: &'a str, begin: &str) -> Vec<(&'a str, &'a str)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices(&format!("`{begin}")) {
        let rest = &text[at + 1..];
        if let Some(end) = rest.find('`').filter(|end| !rest[..*end].contains('\n')) {
            found.push((&rest[..end], &rest[end + 1..]));
        }
    }
    found
}

/// Returns all commands named in texts.
fn named() -> Vec<Named> {
    let (mut sources, mut pages) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(workspace()).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.join("Cargo.toml").is_file() && entry.join("src").is_dir() && !entry.ends_with("e2e") {
            files(&entry.join("src"), ".rs", &mut sources);
        }
    }
    for texts in [hints(), help()] {
        files(&texts, ".txt", &mut sources);
    }
    files(&workspace().join("docs"), ".md", &mut pages);
    pages.push(workspace().join("README.md"));
    let mut all = Vec::new();
    for file in sources {
        let text = text_of(&file);
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let explains = ["codes.rs", "explanations.txt"].iter().any(|name| file.ends_with(name));
        let explains = explains || file.starts_with(help());
        for (command, after) in spans(text, "cloudron ") {
            // A sentence about a command in general; the message contains its arguments.
            let generic =
                [" command", " with `--", " makes a repository"].iter().any(|a| after.starts_with(a));
            // Messages have their values filled in; what has none is a comment or an explanation.
            let comment = file.extension().is_some_and(|ending| ending == "rs") && !is_message(text, command);
            let partial = explains || generic || comment;
            all.push(Named { file: file.clone(), text: command.into(), partial });
        }
        for line in text.lines().filter(|line| line.starts_with("  cloudron ")) {
            let line = line.split("\")]").next().unwrap().to_owned();
            all.push(Named { file: file.clone(), text: line.trim().into(), partial: false });
        }
    }
    for file in pages {
        let page = std::fs::read_to_string(&file).unwrap();
        for (command, _) in spans(&page.replace('\n', " "), "cloudron ") {
            all.push(Named { file: file.clone(), text: command.into(), partial: true });
        }
        // Pages omit the command group if it is clear.
        for (group, begin) in
            [("", "machine "), ("", "backup "), ("", "dns "), ("", "policy "), ("backup ", "key ")]
        {
            for (command, _) in spans(&page.replace('\n', " "), begin) {
                all.push(Named {
                    file: file.clone(),
                    text: format!("cloudron {group}{command}"),
                    partial: true,
                });
            }
        }
        for command in blocks(&page) {
            all.push(Named { file: file.clone(), text: command, partial: false });
        }
    }
    all
}

/// Returns true if a command is in a string of the program, not in a comment.
fn is_message(text: &str, command: &str) -> bool {
    let line = text.lines().find(|line| line.contains(&format!("`{command}`"))).unwrap_or_default();
    line.contains('"')
}

/// Returns the commands of a page's shell blocks, with continued lines joined.
fn blocks(page: &str) -> Vec<String> {
    let mut commands = Vec::new();
    for block in page.split("```").skip(1).step_by(2) {
        if !["sh\n", "console\n"].iter().any(|kind| block.starts_with(kind)) {
            continue;
        }
        let block = block.replace("\\\n", " ");
        let lines = block.lines().map(|line| line.strip_prefix("$ ").unwrap_or(line));
        commands.extend(lines.filter(|line| line.starts_with("cloudron ")).map(str::to_owned));
    }
    commands
}

/// Splits a command line into words, up to a pipe, a redirection or a comment.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut characters = line.replace("\\\"", "\"").chars().collect::<Vec<_>>().into_iter().peekable();
    while let Some(c) = characters.next() {
        match (c, quote) {
            ('\'' | '"', None) => (quote, word) = (Some(c), Some(word.unwrap_or_default())),
            (c, Some(q)) if c == q => quote = None,
            ('#' | '|' | '>' | '<', None) if word.is_none() => break,
            ('\\', None) if characters.peek().is_none_or(|next| *next == ' ') => {}
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// Replaces each placeholder in braces by each of its possible values.
fn filled(text: &str) -> Vec<String> {
    let (Some(open), Some(close)) = (text.find('{'), text.find('}')) else { return vec![text.to_owned()] };
    let with = |value: &&str| filled(&format!("{}{value}{}", &text[..open], &text[close + 1..]));
    VALUES.iter().flat_map(with).collect()
}

/// Returns why none of the possible commands is valid, or `None` if one is.
fn problem(program: &Command, named: &Named) -> Option<String> {
    let mut last = String::new();
    // A page may show optional parts and several commands at once.
    let mut text = named.text.replace(['[', ']'], "");
    for (word, value) in [
        ("DOMAIN", "example.com"),
        ("NEW-ADDRESS", "203.0.113.9"),
        ("ADDRESS", "203.0.113.7"),
        ("COMMAND", "machine"),
    ] {
        text = text.replace(word, value);
    }
    for line in filled(text.split('|').next().unwrap_or_default()) {
        let words: Vec<String> = words(&line);
        // An ellipsis stands for omitted words, which may be a subcommand.
        let open = words.iter().any(|word| word == "…");
        let known = words.split(|word| word == "…").next().unwrap_or_default();
        let words =
            if named.partial { known.to_vec() } else { words.into_iter().filter(|w| w != "…").collect() };
        let Err(error) = program.clone().try_get_matches_from(words) else { return None };
        let missing = [
            ErrorKind::MissingRequiredArgument,
            ErrorKind::MissingSubcommand,
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
        ];
        match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => return None,
            kind if missing.contains(&kind) && (named.partial || open) => return None,
            // A page may use placeholders such as ADDRESS and FILE.
            ErrorKind::InvalidValue | ErrorKind::ValueValidation if named.partial => return None,
            _ => last = error.to_string().lines().next().unwrap_or_default().to_owned(),
        }
    }
    Some(format!("{}: `{}`\n    {last}", named.file.display(), named.text))
}

#[test]
fn every_command_that_a_text_names_exists() {
    let program = cloudron_cli::command();
    let all = named();
    assert!(all.len() > 200, "{} commands were found", all.len());
    let problems: BTreeSet<String> = all.iter().filter_map(|named| problem(&program, named)).collect();
    assert!(problems.is_empty(), "\n{}", problems.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn every_option_that_a_text_names_exists() {
    fn options(command: &Command, into: &mut BTreeSet<String>) {
        for argument in command.get_arguments() {
            into.extend(argument.get_long_and_visible_aliases().into_iter().flatten().map(str::to_owned));
        }
        command.get_subcommands().for_each(|command| options(command, into));
    }
    let (mut known, mut sources) = (BTreeSet::new(), Vec::new());
    options(&cloudron_cli::command(), &mut known);
    for name in ["cloudron-cli", "cloudron-provision", "cloudron-box", "cloudron-backup", "cloudron-dns"] {
        files(&workspace().join(name).join("src"), ".rs", &mut sources);
    }
    for texts in [hints(), help()] {
        files(&texts, ".txt", &mut sources);
    }
    let mut problems = Vec::new();
    for file in sources {
        let text = text_of(&file);
        for (option, _) in spans(&text, "--") {
            let name = option.trim_start_matches('-').split([' ', '=']).next().unwrap_or_default();
            if !name.is_empty() && !known.contains(name) && !["help", "version"].contains(&name) {
                problems.push(format!("{}: `{option}`", file.display()));
            }
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn every_value_of_a_hint_is_a_detail_that_some_error_has() {
    let mut sources = Vec::new();
    files(&workspace(), ".rs", &mut sources);
    let sources: String = sources.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let table = text_of(&hints().join("table.txt"));
    let mut names = BTreeSet::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let (key, text) = line.split_once(": ").unwrap_or_default();
        names.extend(key.split_once(" with ").map(|(_, name)| name));
        names.extend(text.split('{').skip(1).filter_map(|part| part.split('}').next()));
    }
    assert!(names.len() > 10, "{names:?}");
    // The domain is of the machine that a command was about.
    names.remove("domain");
    names.retain(|name| !sources.contains(&format!("with_detail(\"{name}\"")));
    assert!(names.is_empty(), "no error has a detail of these names: {names:?}");
}

#[test]
fn a_command_that_does_not_exist_is_found() {
    let program = cloudron_cli::command();
    let named = |text: &str, partial| Named { file: PathBuf::from("x"), text: text.to_owned(), partial };
    for bad in
        ["cloudron machine heal example.com", "cloudron machine status --loud {domain}", "cloudron login {}"]
    {
        assert!(problem(&program, &named(bad, true)).is_some(), "{bad}");
    }
    assert!(problem(&program, &named("cloudron machine status", false)).is_some(), "it lacks its domain");
    assert!(problem(&program, &named("cloudron machine status", true)).is_none());
    assert!(problem(&program, &named("cloudron dns check {} --ip {}", false)).is_none());
    assert!(problem(&program, &named("cloudron machine ssh {0} -- 'cat a | wc'  # x", false)).is_none());
}

#[test]
fn every_code_has_a_name_of_its_own_and_an_explanation() {
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_cloudron"));
    let output = program.args(["explain", "--output", "json"]).output().unwrap();
    let codes: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let codes = codes["codes"].as_array().unwrap();
    let text = |code: &serde_json::Value, key: &str| code[key].as_str().unwrap().to_owned();
    let names: BTreeSet<String> = codes.iter().map(|code| text(code, "code")).collect();
    assert!(names.len() > 100 && names.len() == codes.len(), "two codes have the same name");
    for code in codes {
        let name = text(code, "code");
        assert!(text(code, "explanation").len() > 40, "{name} explains too little");
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-' || b.is_ascii_digit()), "{name}");
    }
}
