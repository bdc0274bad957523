//! A script that is run in place of the installer.

use std::sync::Arc;
use std::time::Duration;

use cloudron_core::{Error, Result, Secret, escape};
use serde_json::Value;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::steps::Context;
use crate::{Command, Remote, Stdin, answer, codes};

/// `$1` the script's file, `$2` its hash: writes standard input there. Exit status 65 means that the hash differs.
const PUT: &str = r#"set -eu
umask 077
mkdir -p "$(dirname "$1")"
cat >"$1.new"
if [ "$(sha256sum <"$1.new" | cut -c1-64)" != "$2" ]; then rm -f "$1.new"; exit 65; fi
chmod 700 "$1.new"
mv -f "$1.new" "$1""#;

/// Removes the script's file `$1`.
const REMOVE: &str = r#"rm -f "$1" "$1.new""#;

/// Number of its last lines in an error.
const LINES: usize = 5;

/// Maximum length of these lines, in characters.
const LENGTH: usize = 800;

/// Texts of the request that are shorter are no secrets.
const SECRET: usize = 12;

/// A script of the user that installs the server. It is run as root with the installer's command as its arguments and
/// the installer's request, which contains secrets, on its standard input. The last line of its standard output must be
/// the installer's response: `exec "$@"` as its last command runs the installer.
#[derive(Clone)]
pub struct SetupScript {
    content: Arc<[u8]>,
    hash: String,
    folder: String,
    limit: Duration,
}

impl SetupScript {
    /// Longest script, in bytes.
    pub const LIMIT: usize = 1 << 20;

    /// Creates a script with this content, which is put into that folder of the machine, next to the program, while it
    /// runs.
    ///
    /// # Errors
    /// `setup-script` if it is too long or does not begin with `#!`.
    pub fn new(content: impl Into<Vec<u8>>, folder: impl Into<String>) -> Result<Self> {
        let content = content.into();
        let refused = |text: String| Err(Error::new(&codes::SETUP_SCRIPT_INVALID, text));
        if content.len() > Self::LIMIT {
            return refused(format!("the setup script is longer than {} bytes", Self::LIMIT));
        }
        if !content.starts_with(b"#!") {
            return refused("the setup script does not begin with #! and its interpreter".into());
        }
        let hash = hex::encode(Sha256::digest(&content));
        let limit = Duration::from_secs(30 * 60);
        Ok(Self { content: content.into(), hash, folder: folder.into(), limit })
    }

    /// Sets its time limit; the default is 30 minutes.
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Returns its SHA-256 in hexadecimal digits.
    pub fn sha256(&self) -> &str {
        &self.hash
    }

    /// Returns its file on the machine. It is named as the part of an upload, so that undoing the step `program` removes
    /// it as well.
    fn path(&self) -> String {
        format!("{}/.{}.part", self.folder, self.hash)
    }

    /// Runs it in place of `install`. Its response must have these fields.
    pub(super) async fn run(
        &self,
        context: &Context,
        install: &[String],
        request: &Secret,
        fields: &[String],
    ) -> Result<Value> {
        let remote = context.remote().await?;
        self.put(&*remote).await?;
        let path = self.path();
        tracing::info!(sha256 = %self.hash, "runs the setup script");
        let argv: Vec<String> = std::iter::once(path.clone()).chain(install.iter().cloned()).collect();
        let command =
            context.program(&argv).within(self.limit).stdin_secret(request).cancelled_by(&context.cancel);
        let more = command.codes.clone();
        let output = remote.exec(command).await?;
        let told = Hidden::of(request).tail(&output);
        let last = output.stdout.split(|b| *b == b'\n').rev().find(|line| !line.trim_ascii().is_empty());
        let said: Option<Value> = last.and_then(|line| serde_json::from_slice(line).ok());
        let failed = |what: String| {
            let ending = if told.is_empty() { String::new() } else { format!(": {told}") };
            Error::new(&codes::SETUP_SCRIPT, format!("the setup script {what}{ending}"))
        };
        if !output.success() {
            // The installer's own error, if the script has run it.
            let own = answer::told_by(&output, &more).filter(|error| !error.is(&codes::REMOTE_COMMAND));
            return Err(own.unwrap_or_else(|| failed(format!("ended with status {}", output.status))));
        }
        match said.filter(|value| fields.iter().all(|field| value.get(field).is_some())) {
            Some(value) => {
                answer::run(&*remote, Command::sh(REMOVE, [path]).as_root()).await?;
                Ok(value)
            }
            None => Err(failed("ended without the installer's response".into())),
        }
    }

    async fn put(&self, remote: &dyn Remote) -> Result<()> {
        let content = Stdin::Bytes(Zeroizing::new(self.content.to_vec()));
        let put = Command::sh(PUT, [self.path(), self.hash.clone()]).as_root().stdin(content);
        let output = remote.exec(put).await?;
        if output.status == 65 {
            let text = "the setup script arrived with another hash";
            return Err(Error::new(&codes::UPLOAD_MISMATCH, text).retryable(true));
        }
        answer::check("cat", output).map(drop)
    }
}

/// The secrets of a request, which a script may have printed.
struct Hidden(Vec<String>);

impl Hidden {
    fn of(request: &Secret) -> Self {
        let mut found = Vec::new();
        if let Ok(value) = serde_json::from_str(request.expose()) {
            collect(&value, &mut found);
        }
        // The longest first: one may contain another.
        found.sort_by_key(|text| std::cmp::Reverse(text.len()));
        Self(found)
    }

    /// Returns the last lines that a script printed, as one line without secrets.
    fn tail(&self, output: &crate::Output) -> String {
        let stream = if output.stderr.trim_ascii().is_empty() { &output.stdout } else { &output.stderr };
        // A line that is cut off could begin within a secret.
        let whole = match stream.len() > crate::Output::STDERR_LIMIT / 2 {
            true => {
                let end = &stream[stream.len() - crate::Output::STDERR_LIMIT / 2..];
                end.iter().position(|b| *b == b'\n').map_or(&[][..], |at| &end[at..])
            }
            false => stream,
        };
        let mut text = String::from_utf8_lossy(whole).into_owned();
        for secret in &self.0 {
            text = text.replace(secret, "***");
        }
        let lines: Vec<&str> = text.lines().rev().filter(|l| !l.trim().is_empty()).take(LINES).collect();
        let joined = lines.into_iter().rev().collect::<Vec<_>>().join("; ");
        let skipped = joined.chars().count().saturating_sub(LENGTH);
        escape::line(&joined.chars().skip(skipped).collect::<String>()).into_owned()
    }
}

/// Collects the texts of a request, also those of JSON within a text, and as JSON writes them.
fn collect(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            match serde_json::from_str::<Value>(text) {
                Ok(inner) if inner.is_object() || inner.is_array() => collect(&inner, into),
                _ => (),
            }
            if text.len() >= SECRET {
                into.extend(text.lines().filter(|line| line.len() >= SECRET).map(str::to_owned));
                into.push(value.to_string().trim_matches('"').to_owned());
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
        Value::Object(items) => items.values().for_each(|item| collect(item, into)),
        _ => (),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Output;

    #[test]
    fn what_a_script_prints_of_its_request_is_hidden_also_keys_within_a_text() {
        let request = r#"{"fqdn":"a.org","keys":"{\"seal\":\"canary-of-the-writer\"}","access":{"secret":"canary-\"quoted\"-secret"}}"#;
        let hidden = Hidden::of(&Secret::new(request));
        let printed = format!("{request}\ncanary-of-the-writer canary-\"quoted\"-secret\nno room on a.org\n");
        let told = hidden.tail(&Output::new(1, "", printed));
        assert!(!told.contains("canary"), "{told}");
        assert!(told.contains("***") && told.ends_with("; no room on a.org"), "{told}");
    }

    #[test]
    fn only_a_script_of_bounded_length_is_one() {
        assert!(SetupScript::new("echo", "/x").err().unwrap().is(&codes::SETUP_SCRIPT_INVALID));
        let long = format!("#!{}", " ".repeat(SetupScript::LIMIT));
        assert!(SetupScript::new(long, "/x").is_err());
        let script = SetupScript::new("#!/bin/sh\n", "/x").unwrap();
        assert_eq!(script.sha256(), "a8076d3d28d21e02012b20eaf7dbf75409a6277134439025f282e368e3305abf");
    }
}
