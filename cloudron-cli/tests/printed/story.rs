//! Typed commands and their output, without variable parts.

use crate::common::{FAST_KEY, Home};

/// Regular expressions for variable parts, and their replacements. The order matters.
const FILTERS: [(&str, &str); 26] = [
    (r"\b192\.0\.2\.(\d+)\b", "ADDRESS-$1"),
    (r#"("added"|"bytes"|"duration\w*"):\d+"#, "$1:NUMBER"),
    (r#"p=MII[0-9A-Za-z+/]+(" "[0-9A-Za-z+/=]+)*"#, "p=PUBLIC-KEY"),
    (r"backup_\d{4}-\d\d-…", "BACKUP…"),
    (r"backup_\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ_v[0-9.]+", "BACKUP"),
    (r"cloudron/\d+\.\d+\.\d+|\bv?\d+\.\d+\.\d+(-[a-z.0-9]+)?\b(?:\.\d+)?", "VERSION"),
    (r"AGE-SECRET-KEY-1[0-9A-Z]+", "PAPER-KEY"),
    (r"age1[0-9a-z]{50,}", "RECIPIENT"),
    (r"#setup=[0-9A-Za-z]+", "#setup=TOKEN"),
    (r"SHA256:[0-9A-Za-z+/]+", "SHA256:FINGERPRINT"),
    (r"(?:[0-9A-F]{2}:){31}[0-9A-F]{2}", "FINGERPRINT"),
    (r"\b01[0-9a-hjkmnp-tv-zA-HJKMNP-TV-Z]{24}\b", "ULID"),
    (r"\b[0-9a-f]{64}\b", "HASH"),
    (r"\b[0-9a-f]{32}\b", "ID"),
    (r"\b[0-9a-f]{16}\b", "ID16"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?Z?", "TIME"),
    (r"\d{4}-\d\d-\d\d", "DATE"),
    (r"\b\d\d:\d\d:\d\d(\.\d+)?( ?UTC)?\b", "CLOCK"),
    (r"\b\d\d:\d\d UTC", "CLOCK"),
    (
        r"just now|in \d+ (seconds?|minutes?|hours?|days?)|\d+ (seconds?|minutes?|hours?|days?) ago",
        "SOME TIME",
    ),
    (r"\d+(\.\d+)? ?(ms|s|seconds|minutes)\b", "DURATION"),
    (r"\d+(\.\d+)? (B|KiB|MiB|GiB|TiB)\b", "SIZE"),
    (r"(?P<host>localhost|127\.0\.0\.1|\[::1\]):\d+", "$host:PORT"),
    (r"\b(pid|port|process) \d+", "$1 NUMBER"),
    (r"(files|entries), \d+ (bytes)", "$1, NUMBER $2"),
    // The width of a column depends on its content.
    (r"  +", "  "),
];

/// A home in which commands are typed one after another.
pub(crate) struct Story {
    pub(crate) home: Home,
    text: String,
}

impl Story {
    /// Returns a home with a key in `key` that is fast to use and has mode 0600.
    pub(crate) fn new() -> Self {
        let home = Home::new();
        std::fs::write(home.path("key"), format!("{FAST_KEY}\n")).unwrap();
        std::fs::set_permissions(home.path("key"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
        Self { home, text: String::new() }
    }

    /// Types a command. Returns its output.
    pub(crate) fn types(&mut self, words: &str) -> String {
        let arguments: Vec<&str> = words.split(' ').collect();
        let run = self.home.run(&arguments);
        self.text.push_str(&format!("$ cloudron {words}\n{}", ended(&run.stdout)));
        for line in ended(&run.stderr).lines() {
            self.text.push_str(&format!("! {line}\n"));
        }
        if run.code != 0 {
            self.text.push_str(&format!("exit code {}\n", run.code));
        }
        self.text.push('\n');
        run.stdout
    }

    /// Compares the whole story with the snapshot of this name.
    pub(crate) fn is(self, name: &str) {
        let mut settings = settings();
        let home = self.home.dir().to_str().unwrap().to_owned();
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let text = self.text.replace(&home, "HOME").replace(&format!(" {host} "), " HOST ");
        for (what, instead) in FILTERS {
            settings.add_filter(what, instead);
        }
        settings.bind(|| insta::assert_snapshot!(name, text));
    }
}

fn ended(text: &str) -> String {
    if text.is_empty() || text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") }
}

/// Returns the snapshot settings of these tests.
pub(crate) fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings
}
