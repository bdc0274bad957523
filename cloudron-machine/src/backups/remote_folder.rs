//! A backup store in a folder of a machine, accessed over SSH with standard tools only.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use cloudron_backup::store::{check_key, missing};
use cloudron_backup::{BackupStore, ObjectMeta};
use cloudron_core::Result;
use cloudron_provision::steps::Outputs;
use cloudron_provision::{CloudProvider, Command, Remote, Stdin, answer};
use tokio::sync::OnceCell;

/// `$1`: the folder. Prints a line per file: size, modification time, path.
const LIST: &str = r#"[ -d "$1" ] || exit 0
find "$1" -type f -printf '%s %T@ %P\n'"#;

/// `$1`: the file. Exits with [`NO_FILE`] if it does not exist.
const GET: &str = r#"[ -f "$1" ] || exit 44
exec cat -- "$1""#;

/// `$1`: the file, `$2`: the first byte, counted from 1, `$3`: the number of bytes.
const GET_RANGE: &str = r#"[ -f "$1" ] || exit 44
tail -c "+$2" -- "$1" | head -c "$3""#;

/// `$1`: the folder, `$2`: the file below it, `$3`: `new` if it must not exist yet. Writes its standard input
/// to the file atomically. Exits with [`THERE`] if the file must be new and exists. New files belong to the
/// owner of the folder.
const PUT: &str = r#"set -eu
umask 077
cd -- "$1"
mkdir -p -- "$(dirname "$2")"
part="$(dirname "$2")/.$(basename "$2").part"
cat >"$part"
sync "$part"
chown --reference=. -- "$(dirname "$2")" "$part"
if [ "$3" = new ]; then
  if ! ln -T -- "$part" "$2" 2>/dev/null; then rm -f -- "$part"; exit 45; fi
  rm -f -- "$part"
else mv -fT -- "$part" "$2"; fi
sync "$(dirname "$2")""#;

/// `$1`: the folder. Reads paths below it, removes them in that order, then removes empty folders.
const REMOVE: &str = r#"set -eu
cd -- "$1"
while IFS= read -r file; do rm -f -- "$file"; done
cd /
find "$1" -depth -type d -empty -delete"#;

/// Exit code of the scripts if the file does not exist.
const NO_FILE: i32 = 44;

/// Exit code of [`PUT`] if the file exists already.
const THERE: i32 = 45;

/// Time limit for reading or writing one object.
const LIMIT: Duration = Duration::from_secs(600);

/// How to open the connection when it is first needed.
enum Source {
    Remote(Arc<dyn Remote>),
    Provider(Arc<dyn CloudProvider>, Outputs),
}

/// A store in a folder of a machine. Supports reading, writing small objects, and removal as a whole.
pub struct RemoteFolder {
    source: Source,
    remote: OnceCell<Arc<dyn Remote>>,
    folder: String,
    /// The store's name in messages.
    shown: String,
}

impl fmt::Debug for RemoteFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RemoteFolder").field(&self.shown).finish()
    }
}

impl RemoteFolder {
    /// Returns the folder on a connected machine; `shown` is its name in messages.
    pub fn new(remote: Arc<dyn Remote>, folder: impl Into<String>, shown: impl Into<String>) -> Self {
        Self::of(Source::Remote(remote), folder.into(), shown.into())
    }

    /// Returns the folder on a machine that the provider connects to on first access.
    pub fn at(
        provider: Arc<dyn CloudProvider>,
        outputs: Outputs,
        folder: impl Into<String>,
        shown: impl Into<String>,
    ) -> Self {
        Self::of(Source::Provider(provider, outputs), folder.into(), shown.into())
    }

    fn of(source: Source, folder: String, shown: String) -> Self {
        Self { source, remote: OnceCell::new(), folder, shown }
    }

    async fn remote(&self) -> Result<&Arc<dyn Remote>> {
        self.remote
            .get_or_try_init(|| async {
                match &self.source {
                    Source::Remote(remote) => Ok(remote.clone()),
                    Source::Provider(provider, outputs) => provider.connect(outputs).await,
                }
            })
            .await
    }

    fn file(&self, key: &str) -> Result<String> {
        check_key(key)?;
        Ok(format!("{}/{key}", self.folder))
    }

    async fn read(&self, key: &str, script: &str, arguments: &[String]) -> Result<Bytes> {
        let command = Command::sh(script, arguments).as_root().within(LIMIT);
        let output = self.remote().await?.exec(command).await?;
        if output.status == NO_FILE {
            return Err(missing(&self.shown, key));
        }
        let output = answer::check(&format!("reading {key} in {}", self.shown), output)?;
        Ok(output.stdout.into())
    }

    /// Removes these objects in that order, and the folders that are then empty.
    pub(super) async fn remove(&self, keys: &[String]) -> Result<()> {
        keys.iter().try_for_each(|key| check_key(key))?;
        let lines: String = keys.iter().map(|key| format!("{key}\n")).collect();
        let command = Command::sh(REMOVE, [&self.folder]).as_root().within(LIMIT);
        let command = command.stdin_secret(&cloudron_core::Secret::new(lines));
        answer::run(&**self.remote().await?, command).await.map(drop)
    }

    /// Writes an object. Returns false if it had to be new and exists.
    async fn write(&self, key: &str, content: &Bytes, how: &str) -> Result<bool> {
        check_key(key)?;
        let command = Command::sh(PUT, [&self.folder, key, how]).as_root().within(LIMIT);
        let command = command.stdin(Stdin::Bytes(content.to_vec().into()));
        let output = self.remote().await?.exec(command).await?;
        if output.status == THERE {
            return Ok(false);
        }
        answer::check(&format!("writing {key} in {}", self.shown), output).map(|_| true)
    }
}

/// Parses a line of [`LIST`]. Returns `None` if the file is not an object.
fn object(line: &str) -> Option<ObjectMeta> {
    let mut parts = line.splitn(3, ' ');
    let size = parts.next()?.parse().ok()?;
    let changed: f64 = parts.next()?.parse().ok()?;
    let key = parts.next()?;
    check_key(key).ok()?;
    let changed =
        Duration::try_from_secs_f64(changed).ok().and_then(|t| SystemTime::UNIX_EPOCH.checked_add(t));
    Some(ObjectMeta::new(key, size).modified(changed))
}

#[async_trait]
impl BackupStore for RemoteFolder {
    fn url(&self) -> String {
        self.shown.clone()
    }

    async fn put(&self, key: &str, content: &Bytes) -> Result<()> {
        self.write(key, content, "").await.map(drop)
    }

    async fn put_new(&self, key: &str, content: &Bytes) -> Result<bool> {
        self.write(key, content, "new").await
    }

    async fn get(&self, key: &str) -> Result<Bytes> {
        self.read(key, GET, &[self.file(key)?]).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        let (first, count) = (range.start + 1, range.end.saturating_sub(range.start));
        self.read(key, GET_RANGE, &[self.file(key)?, first.to_string(), count.to_string()]).await
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        Ok(self.list(key).await?.into_iter().find(|o| o.key == key))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        let command = Command::sh(LIST, [&self.folder]).as_root().within(LIMIT);
        let output = self.remote().await?.exec(command).await?;
        let output = answer::check(&format!("listing {}", self.shown), output)?;
        let text = String::from_utf8_lossy(&output.stdout);
        let mut found: Vec<ObjectMeta> = text.lines().filter_map(object).collect();
        found.retain(|o| o.key.starts_with(prefix));
        found.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(found)
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.remove(&[key.to_owned()]).await
    }
}

#[cfg(test)]
mod tests {
    use cloudron_backup::FsStore;
    use cloudron_provision::local::LocalRemote;

    use super::*;

    #[tokio::test]
    async fn a_folder_reads_the_same_through_a_machine_and_is_removed_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a store");
        let far = RemoteFolder::new(Arc::new(LocalRemote::new()), folder.to_string_lossy(), "there");
        assert!(far.list("").await.unwrap().is_empty());
        let near = FsStore::new(&folder).unwrap();
        for (key, text) in
            [("cloudron-backup.json", "{}"), ("packs/aa/1.age", "0123456789"), ("keys/k.age", "")]
        {
            near.put(key, &Bytes::from(text)).await.unwrap();
        }
        std::fs::write(folder.join("a note"), "mine").unwrap();
        let names = |all: Vec<ObjectMeta>| all.into_iter().map(|o| (o.key, o.size)).collect::<Vec<_>>();
        assert_eq!(names(far.list("").await.unwrap()), names(near.list("").await.unwrap()));
        assert_eq!(names(far.list("packs/").await.unwrap()), [("packs/aa/1.age".to_owned(), 10)]);
        assert_eq!(far.get("packs/aa/1.age").await.unwrap(), "0123456789");
        assert_eq!(far.get_range("packs/aa/1.age", 2..5).await.unwrap(), "234");
        assert_eq!(far.get_range("packs/aa/1.age", 8..50).await.unwrap(), "89");
        assert!(far.get("packs/bb/2.age").await.unwrap_err().is(&cloudron_backup::codes::OBJECT_MISSING));
        assert!(far.head("keys/k.age").await.unwrap().is_some());
        let content = Bytes::from("certificate");
        assert!(far.put_new("writers/w.json", &content).await.unwrap());
        assert!(!far.put_new("writers/w.json", &Bytes::from("other")).await.unwrap());
        assert_eq!(near.get("writers/w.json").await.unwrap(), content);
        far.put("writers/w.json", &Bytes::from("third")).await.unwrap();
        assert_eq!(near.get("writers/w.json").await.unwrap(), "third");
        assert_eq!(std::fs::read_dir(folder.join("writers")).unwrap().count(), 1);
        assert!(far.get("../x").await.unwrap_err().is(&cloudron_backup::codes::STORE_KEY));
        super::super::remove(&super::super::Folder::Far(Arc::new(far))).await.unwrap();
        let left: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["a note"]);
    }
}
