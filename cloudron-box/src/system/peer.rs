//! Who is at the other end of a local socket.

use crate::{Error, Result};

/// Returns the user number of a system user, from `/etc/passwd`.
///
/// # Errors
/// File errors.
pub(crate) fn uid_of(user: &str) -> Result<Option<u32>> {
    let path = "/etc/passwd";
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
    Ok(in_passwd(&text, user))
}

fn in_passwd(text: &str, user: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(user)).then(|| fields.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let text = "root:x:0:0:root:/root:/bin/bash\ncloudron-backup:x:998:997::/var/lib/cloudron-backup:/bin/false\n\
                    cloudron:x:999:998::/var/lib/cloudron:/bin/false\n";
        assert_eq!(in_passwd(text, "cloudron"), Some(999));
        assert_eq!(in_passwd(text, "cloudron-backup"), Some(998));
        assert_eq!(in_passwd(text, "cloud"), None);
        assert_eq!(in_passwd("cloudron", "cloudron"), None);
    }
}
