//! The texts below the options of each command: examples, and what else its users should know.

use clap::Command;

/// Files of texts. A line `== COMMAND, COMMAND` is followed by the text of these commands.
const TEXTS: [&str; 4] = [
    include_str!("general.txt"),
    include_str!("machine.txt"),
    include_str!("backup.txt"),
    include_str!("dns.txt"),
];

/// Options that mean nothing at a cloud, by the ends of the commands whose help leaves them out.
const UNUSED: [(&str, &[&str]); 5] = [
    ("create ec2", &["token"]),
    (" digitalocean", &["network"]),
    (" digitalocean", OF_EC2),
    (" hetzner", &["reserved_ip"]),
    (" hetzner", OF_EC2),
];
const OF_EC2: &[&str] = &["disk_size", "subnet", "security_group", "instance_profile", "server_role"];

/// Adds their texts to a command and all its subcommands.
pub(crate) fn with_texts(command: Command) -> Command {
    complete(command, "")
}

fn complete(command: Command, above: &str) -> Command {
    let path = format!("{above}{}", command.get_name());
    let own = || command.get_after_help().map(ToString::to_string);
    let command = match text(&path).map(str::to_owned).or_else(own) {
        Some(text) => command.after_help(paragraphs(&text)),
        None => command,
    };
    let unused = UNUSED.iter().filter(|(end, _)| path.ends_with(end)).flat_map(|(_, ids)| *ids);
    let command = unused.fold(command, |command, id| command.mut_arg(*id, |option| option.hide(true)));
    command.mut_subcommands(|below| complete(below, &format!("{path} ")))
}

/// Returns the text of a command.
fn text(path: &str) -> Option<&'static str> {
    let sections = TEXTS.iter().flat_map(|file| file.split("\n== ").skip(1));
    let mut texts = sections.filter_map(|section| section.split_once('\n'));
    texts.find(|(names, _)| names.split(", ").any(|name| name == path)).map(|(_, text)| text.trim_end())
}

/// Joins the lines of each paragraph. Indented examples are left unchanged.
fn paragraphs(text: &str) -> String {
    let prose = |line: &str| !line.is_empty() && !line.starts_with(' ');
    let mut joined = String::new();
    let mut before = "";
    for line in text.lines() {
        if !joined.is_empty() {
            joined.push(if prose(before) && prose(line) { ' ' } else { '\n' });
        }
        joined += line;
        before = line;
    }
    joined
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Collects the paths of a command and its subcommands.
    fn paths(command: &Command, above: &str, into: &mut BTreeSet<String>) {
        let path = format!("{above}{}", command.get_name());
        command.get_subcommands().for_each(|below| paths(below, &format!("{path} "), into));
        into.insert(path);
    }

    #[test]
    fn every_text_belongs_to_one_command_that_exists() {
        let (mut commands, mut seen) = (BTreeSet::new(), BTreeSet::new());
        paths(&crate::command(), "", &mut commands);
        let headings = TEXTS.iter().flat_map(|file| file.lines().filter_map(|line| line.strip_prefix("== ")));
        for name in headings.flat_map(|names| names.split(", ")) {
            assert!(commands.contains(name), "there is no command {name}");
            assert!(seen.insert(name), "{name} has two texts");
        }
        assert!(seen.len() > 50, "texts were lost: {seen:?}");
    }

    #[test]
    fn prose_is_joined_and_examples_are_not() {
        let text = "Examples:\n  one \\\n      more\n  two\n\nA paragraph that\ngoes on.\n\nAnother.";
        let joined = "Examples:\n  one \\\n      more\n  two\n\nA paragraph that goes on.\n\nAnother.";
        assert_eq!(paragraphs(text), joined);
    }
}
