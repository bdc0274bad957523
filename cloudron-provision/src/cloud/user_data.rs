//! The user-data of a machine for its first boot.

use cloudron_core::{Error, Result, Secret};
use serde_json::json;

use super::{OneTimeKey, codes};

/// Returns the user-data for cloud-init: the one-time host key, the public keys that may log in, and no login by
/// password. Nothing else is in it, and no other secret. `most` is the cloud's limit in bytes.
///
/// # Errors
/// `cloud-settings` if the keys are longer than the cloud allows.
pub fn cloud_config(key: &OneTimeKey, authorized: &[String], most: usize) -> Result<Secret> {
    let config = json!({
        "ssh_keys": { "ed25519_private": key.private().expose(), "ed25519_public": key.public().to_string() },
        "ssh_authorized_keys": authorized,
        "ssh_pwauth": false,
    });
    // JSON is YAML, and quotes whatever a key's comment holds.
    let text = format!("#cloud-config\n{config}\n");
    if text.len() > most {
        let message = format!("the user-data has {} bytes, and the cloud takes {most}", text.len());
        return Err(Error::new(&codes::SETTINGS, message));
    }
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn it_has_the_key_and_who_may_log_in_and_nothing_else() {
        let key = OneTimeKey::generate();
        let authorized = ["ssh-ed25519 AAAA me: {} \" \n#x".to_string()];
        let text = cloud_config(&key, &authorized, 16 << 10).unwrap();
        let body = text.expose().strip_prefix("#cloud-config\n").unwrap();
        assert_eq!(body.trim_end().lines().count(), 1);
        let value: Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            value.as_object().unwrap().keys().collect::<Vec<_>>(),
            ["ssh_authorized_keys", "ssh_keys", "ssh_pwauth"]
        );
        assert_eq!(value["ssh_authorized_keys"][0], authorized[0].as_str());
        assert!(cloud_config(&key, &authorized, 100).unwrap_err().is(&codes::SETTINGS));
    }
}
