#![allow(clippy::print_stderr, reason = "a program prints")]
//! Encrypts a repository with a custom layer: a mask around the age files, derived from an additional secret.
//! The store and the backup key alone, without that secret, are not enough to read anything.
//!
//! The example creates a repository in memory, backs up a folder, restores it, and shows that a program
//! without the layer refuses the repository with a message that names the layer.

use std::io::{Read, Write};
use std::sync::Arc;

use cloudron_backup::encrypt::{Decryptor, EncryptionLayer, Encryptor, SealingWriter};
use cloudron_backup::{
    BackupRequest, BackupStore, InitOptions, MemoryStore, Repository, RestoreRequest, Result, Source, codes,
};
use cloudron_core::{BackupId, Cancel, Error, Progress, Secret, Version, random};

/// The number of random bytes before every object, so that no two have the same mask.
const NONCE: usize = 24;

/// The layer: its name, and the wrappers of the default encryptor and decryptor.
#[derive(Debug)]
struct Masked {
    secret: Secret,
}

impl EncryptionLayer for Masked {
    fn name(&self) -> &str {
        "example mask 1"
    }
    fn encryptor(&self, age: Arc<dyn Encryptor>) -> Arc<dyn Encryptor> {
        Arc::new(Mask { secret: self.secret.clone(), age })
    }
    fn decryptor(&self, age: Arc<dyn Decryptor>) -> Arc<dyn Decryptor> {
        Arc::new(Mask { secret: self.secret.clone(), age })
    }
}

/// An encryptor or decryptor of age, wrapped in a mask.
#[derive(Debug)]
struct Mask<T: ?Sized> {
    secret: Secret,
    age: Arc<T>,
}

impl<T: ?Sized> Mask<T> {
    fn stream(&self, nonce: &[u8]) -> blake3::OutputReader {
        let key = blake3::derive_key("cloudron-backup example mask 1", self.secret.expose().as_bytes());
        blake3::Hasher::new_keyed(&key).update(nonce).finalize_xof()
    }
}

impl Encryptor for Mask<dyn Encryptor> {
    fn seal<'a>(&self, mut output: Box<dyn Write + Send + 'a>) -> Result<Box<dyn SealingWriter + 'a>> {
        let nonce = random::bytes::<NONCE>();
        output.write_all(&nonce).map_err(|e| Error::io("(output)", e))?;
        // Age protects the content; the mask needs no finishing step.
        self.age.seal(Box::new(Through { inner: output, mask: self.stream(&nonce) }))
    }
}

impl Decryptor for Mask<dyn Decryptor> {
    fn open<'a>(&self, mut input: Box<dyn Read + Send + 'a>) -> Result<Box<dyn Read + Send + 'a>> {
        let mut nonce = [0; NONCE];
        input.read_exact(&mut nonce).map_err(|_| Error::new(&codes::OBJECT_CORRUPT, "the object is cut"))?;
        self.age.open(Box::new(Through { inner: input, mask: self.stream(&nonce) }))
    }
}

/// Applies the mask to all data that passes through.
struct Through<T> {
    inner: T,
    mask: blake3::OutputReader,
}

impl<T> Through<T> {
    fn lay_over(&mut self, content: &mut [u8]) {
        let mut mask = vec![0; content.len()];
        self.mask.fill(&mut mask);
        content.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    }
}

impl<W: Write> Write for Through<W> {
    fn write(&mut self, content: &[u8]) -> std::io::Result<usize> {
        let mut masked = content.to_vec();
        self.lay_over(&mut masked);
        self.inner.write_all(&masked)?;
        Ok(content.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Through<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.lay_over(&mut buffer[..length]);
        Ok(length)
    }
}

#[tokio::main]
pub(crate) async fn main() -> Result<()> {
    let dir = tempfile::tempdir().map_err(|e| Error::io("(temporary folder)", e))?;
    let (folder, target) = (dir.path().join("folder"), dir.path().join("back"));
    std::fs::create_dir(&folder).map_err(|e| Error::io(&folder, e))?;
    std::fs::write(folder.join("note"), "remember").map_err(|e| Error::io(&folder, e))?;

    let store: Arc<dyn BackupStore> = Arc::new(MemoryStore::new());
    let layer = Arc::new(Masked { secret: Secret::new("a secret of one's own") });
    // Work factor 2 is for examples only: leave it out for a real backup key.
    let options = InitOptions { work_factor: Some(2) };
    let backup_key = Secret::new("correct horse battery staple");
    Repository::init_with_layer(store.clone(), &backup_key, options, layer.clone()).await?;

    let repository = Repository::open_with_layer(store.clone(), layer).await?;
    let identity = repository.unlock(&backup_key).await?;
    let (progress, cancel) = (Progress::none(), Cancel::new());
    let id = BackupId::new(std::time::SystemTime::now(), &Version::current());
    let request = BackupRequest::new(id.clone(), vec![Source::new("folder", &folder)]);
    repository.backup(&identity.writer_keys(), request, &progress, &cancel).await?;
    let request = RestoreRequest::under(&target);
    let restored = repository.restore(&identity, &id, &request, &progress, &cancel).await?.complete()?;
    let compared = repository.compare(&identity, &id, &request, &progress, &cancel).await?.identical()?;
    eprintln!("{} files restored, {} entries compared: identical", restored.files, compared.entries);

    for object in store.list("packs/").await? {
        let content = store.get(&object.key).await?;
        assert!(!content.starts_with(b"age-encryption.org"), "the mask hides what lies in it");
    }
    let refused = Repository::open(store).await.expect_err("plain age does not open it");
    assert!(refused.is(&codes::REPOSITORY_LAYER));
    eprintln!("without the layer: {refused}");
    Ok(())
}
