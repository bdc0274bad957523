//! Credentials as Amazon's own tools find them.

use std::process::Stdio;
use std::time::Duration;

use cloudron_core::{Error, Result, Secret, escape};
use cloudron_http::AwsEnvironment;
use serde::Deserialize;

use super::Credentials;
use crate::cloud::codes;

/// How long the command of a profile may take: it may ask somebody.
const LIMIT: Duration = Duration::from_secs(120);
/// Maximum length of what it prints.
const LONGEST: usize = 64 << 10;

/// What the command of a profile prints.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Printed {
    version: u32,
    access_key_id: String,
    secret_access_key: Secret,
    session_token: Option<Secret>,
}

impl Credentials {
    /// Finds credentials in an environment: its key, or what the command of its profile prints. `None` if it has neither.
    ///
    /// # Errors
    /// `cloud-credentials` if a key has no secret, the command fails, or the profile gets credentials in a way that is not
    /// supported, such as single sign-on.
    pub async fn of(environment: &AwsEnvironment) -> Result<Option<Self>> {
        let wrong = |why: String| Error::new(&codes::CREDENTIALS, why);
        if let Some(id) = &environment.access_key_id {
            let secret = environment.secret_access_key.clone();
            let secret = secret.ok_or_else(|| wrong("the access key has no secret access key".into()))?;
            let session_token = environment.session_token.clone();
            return Ok(Some(Self { session_token, ..Self::new(id, secret) }));
        }
        if let Some(line) = &environment.credential_process {
            return printed(line)
                .await
                .map(Some)
                .map_err(|why| wrong(format!("`credential_process`: {why}")));
        }
        match environment.other_source {
            None => Ok(None),
            Some(source) => {
                let message =
                    format!("the profile gets its credentials by `{source}`, which is not supported");
                Err(wrong(message).with_hint(
                    "let `credential_process` of the profile be `aws configure export-credentials --format process`",
                ))
            }
        }
    }
}

/// Runs a command line, without a shell, and reads what it prints.
async fn printed(line: &str) -> Result<Credentials, String> {
    let words = words(line).ok_or("a quote is not closed")?;
    let (program, arguments) = words.split_first().ok_or("it is empty")?;
    let mut command = tokio::process::Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let running = tokio::time::timeout(LIMIT, command.output()).await;
    let output = running.map_err(|_| format!("it did not end within {} seconds", LIMIT.as_secs()))?;
    let output = output.map_err(|e| e.to_string())?;
    if !output.status.success() {
        let said: String = String::from_utf8_lossy(&output.stderr).trim().chars().take(300).collect();
        return Err(format!("it failed: {}", escape::line(&said)));
    }
    // What it prints is secret, so no error has a part of it.
    let parsed =
        (output.stdout.len() <= LONGEST).then(|| serde_json::from_slice(&output.stdout).ok()).flatten();
    match parsed {
        Some(Printed { version: 1, access_key_id, secret_access_key, session_token }) => {
            Ok(Credentials { session_token, ..Credentials::new(access_key_id, secret_access_key) })
        }
        _ => Err("it did not print credentials of version 1".into()),
    }
}

/// Splits a command line at spaces outside of double quotes; none if a quote is not closed.
fn words(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quoted) = (Vec::new(), None::<String>, false);
    for c in line.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            c if c.is_whitespace() && !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    (!quoted).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn of(pairs: &[(&str, &str)]) -> Result<Option<Credentials>> {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config");
        let process = pairs.iter().find(|(name, _)| *name == "process").map(|(_, line)| line);
        let line = process.map(|line| format!("credential_process = {line}\n")).unwrap_or_default();
        let source = if pairs.contains(&("sso", "")) { "sso_session = s\n" } else { "" };
        std::fs::write(&config, format!("[default]\n{line}{source}")).unwrap();
        let var = |name: &str| match name {
            "AWS_CONFIG_FILE" => Some(config.to_str().unwrap().to_owned()),
            name => pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()),
        };
        Credentials::of(&AwsEnvironment::from_variables("EC2", &var).unwrap()).await
    }

    #[tokio::test]
    async fn keys_come_from_variables_or_from_the_command_of_the_profile() {
        let keys = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_SESSION_TOKEN", "t")];
        let found = of(&keys).await.unwrap().unwrap();
        assert_eq!((&*found.access_key_id, found.session_token.unwrap().expose()), ("id", "t"));
        let json = r#"{"Version":1,"AccessKeyId":"p","SecretAccessKey":"canary","Expiration":"2026-12-01T00:00:00Z"}"#;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("with a space");
        std::fs::write(&file, json).unwrap();
        let found = of(&[("process", &format!("cat \"{}\"", file.display()))]).await.unwrap().unwrap();
        assert_eq!((&*found.access_key_id, found.secret_access_key.expose()), ("p", "canary"));
        assert_eq!(of(&[]).await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_gives_no_credentials_is_an_error_that_shows_none() {
        for (pairs, part) in [
            (vec![("AWS_ACCESS_KEY_ID", "id")], "no secret access key"),
            (vec![("process", "cat /nowhere")], "it failed: cat"),
            (vec![("process", "/nowhere/tool")], "No such file"),
            (vec![("process", "echo canary")], "version 1"),
            (vec![("process", "echo \"canary")], "quote"),
            (vec![("sso", "")], "sso_session"),
        ] {
            let error = of(&pairs).await.unwrap_err();
            assert!(error.is(&codes::CREDENTIALS) && error.message().contains(part), "{error}");
            assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        }
    }
}
