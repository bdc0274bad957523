//! The age v1 format, <https://age-encryption.org/v1>: X25519 recipients and scrypt passphrases.

use std::cell::OnceCell;
use std::collections::HashSet;
use std::fmt;
use std::io::{Read, Write};
use std::str::FromStr;

use age::secrecy::{ExposeSecret, SecretString};
use age::stream::StreamWriter;
use age_core::format::{FileKey, Stanza};
use cloudron_core::{Error, Result, Secret};

use zeroize::Zeroizing;

use super::payload::{self, PayloadKey, PayloadWriter};
use super::{Decryptor, Encryptor, ReadSeek, SealingWriter};
use crate::codes;

impl<W: Write + Send> SealingWriter for StreamWriter<W> {
    fn finish(self: Box<Self>) -> std::io::Result<()> {
        (*self).finish()?.flush()
    }
}

// The messages of the crate are not used: a debug build looks them up in its source folder, which another
// machine does not have.

fn encrypt_failed(error: age::EncryptError) -> Error {
    match error {
        age::EncryptError::Io(e) => Error::io("(output)", e),
        _ => Error::new(&cloudron_core::codes::FAILED, "age cannot encrypt to these recipients"),
    }
}

fn decrypt_failed(error: &age::DecryptError) -> Error {
    use age::DecryptError as Age;
    let why = match error {
        Age::NoMatchingKeys => "it is encrypted to other keys".to_owned(),
        Age::InvalidHeader | Age::InvalidMac => "its header is damaged".to_owned(),
        Age::ExcessiveWork { required, .. } => format!("it asks for a work factor of {required}"),
        Age::UnknownFormat => "it is not an age file".to_owned(),
        Age::Io(e) => e.to_string(),
        _ => "it is damaged".to_owned(),
    };
    Error::new(&codes::OBJECT_CORRUPT, format!("it cannot be decrypted: {why}"))
}

/// Encrypts to one or several X25519 public keys.
#[derive(Clone)]
pub struct AgeRecipients {
    recipients: Vec<age::x25519::Recipient>,
}

impl AgeRecipients {
    /// Parses recipients from their text form, `age1…`.
    ///
    /// # Errors
    /// `recipient-invalid`, also for an empty list.
    pub fn parse<T: AsRef<str>>(recipients: impl IntoIterator<Item = T>) -> Result<Self> {
        let parse = |text: T| {
            age::x25519::Recipient::from_str(text.as_ref()).map_err(|e| {
                let text = format!("{:?} is not an age recipient: {e}", text.as_ref());
                Error::new(&codes::RECIPIENT_INVALID, text)
            })
        };
        let recipients = recipients.into_iter().map(parse).collect::<Result<Vec<_>>>()?;
        if recipients.is_empty() {
            return Err(Error::new(&codes::RECIPIENT_INVALID, "there is no recipient to encrypt to"));
        }
        Ok(Self { recipients })
    }
}

impl fmt::Debug for AgeRecipients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.recipients.iter().map(ToString::to_string)).finish()
    }
}

impl Encryptor for AgeRecipients {
    fn seal<'a>(&self, output: Box<dyn Write + Send + 'a>) -> Result<Box<dyn SealingWriter + 'a>> {
        let tap = Tap { identities: &[], key: OnceCell::new() };
        let recipients = self.recipients.iter().map(|r| r as &dyn age::Recipient);
        let age = age::Encryptor::with_recipients(recipients.chain([&tap as _])).map_err(encrypt_failed)?;
        let mut head = Vec::new();
        age.wrap_output(&mut head).map_err(|e| Error::io("(output)", e))?;
        let key = tap.payload_key(head.last_chunk().expect("a header ends in a nonce"));
        let writer = PayloadWriter::new(key, &head, output).map_err(|e| Error::io("(output)", e))?;
        Ok(Box::new(writer))
    }
}

/// Captures the key of a file while the crate writes or reads its header, so that the payload, almost all of
/// a pack, can be processed by faster code.
struct Tap<'i> {
    identities: &'i [age::x25519::Identity],
    key: OnceCell<Zeroizing<[u8; 16]>>,
}

impl Tap<'_> {
    fn payload_key(&self, nonce: &[u8; 16]) -> PayloadKey {
        PayloadKey::derive(&**self.key.get().expect("a header holds the key of its file"), nonce)
    }
}

/// An additional recipient, without an entry in the header.
impl age::Recipient for Tap<'_> {
    fn wrap_file_key(&self, key: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), age::EncryptError> {
        self.key.get_or_init(|| Zeroizing::new(*key.expose_secret()));
        Ok((Vec::new(), HashSet::new()))
    }
}

impl age::Identity for Tap<'_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, age::DecryptError>> {
        let found = self.identities.iter().find_map(|identity| identity.unwrap_stanza(stanza))?;
        if let Ok(key) = &found {
            self.key.get_or_init(|| Zeroizing::new(*key.expose_secret()));
        }
        Some(found)
    }
}

/// Decrypts with one or several X25519 secret keys.
#[derive(Clone)]
pub struct AgeIdentities {
    identities: Vec<age::x25519::Identity>,
}

impl AgeIdentities {
    /// Parses identities from their text form, `AGE-SECRET-KEY-1…`.
    ///
    /// # Errors
    /// `identity-invalid`.
    pub fn parse<'s>(identities: impl IntoIterator<Item = &'s Secret>) -> Result<Self> {
        let parse = |secret: &Secret| {
            // The parser's message is left out: it may quote the secret.
            age::x25519::Identity::from_str(secret.expose().trim())
                .map_err(|_| Error::new(&codes::IDENTITY_INVALID, "it is not an age X25519 identity"))
        };
        Ok(Self { identities: identities.into_iter().map(parse).collect::<Result<_>>()? })
    }
}

impl fmt::Debug for AgeIdentities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let public = self.identities.iter().map(|i| i.to_public().to_string());
        f.debug_list().entries(public).finish()
    }
}

impl Decryptor for AgeIdentities {
    fn open<'a>(&self, input: Box<dyn Read + Send + 'a>) -> Result<Box<dyn Read + Send + 'a>> {
        let age = age::Decryptor::new(input).map_err(|e| decrypt_failed(&e))?;
        let identities = self.identities.iter().map(|i| i as &dyn age::Identity);
        Ok(Box::new(age.decrypt(identities).map_err(|e| decrypt_failed(&e))?))
    }

    fn open_part(&self, sealed: &mut dyn ReadSeek, offset: u64, part: &mut [u8]) -> Result<()> {
        let tap = Tap { identities: &self.identities, key: OnceCell::new() };
        // Checks the header's MAC, and thereby the key.
        let age = age::Decryptor::new(&mut *sealed).map_err(|e| decrypt_failed(&e))?;
        age.decrypt(std::iter::once(&tap as _)).map_err(|e| decrypt_failed(&e))?;
        payload::read_part(|nonce| tap.payload_key(nonce), sealed, offset, part)
            .map_err(|e| Error::new(&codes::OBJECT_CORRUPT, format!("decryption failed: {e}")))
    }
}

/// Encrypts and decrypts with a passphrase, stretched by scrypt.
#[derive(Clone)]
pub struct AgePassphrase {
    passphrase: Secret,
    work_factor: u8,
}

impl AgePassphrase {
    /// The default of the `age` program: about a second and 256 MiB of memory on a current machine.
    pub const WORK_FACTOR: u8 = 18;
    /// The maximum accepted when opening: a higher one would take minutes, and only comes from an attacker.
    pub(crate) const MAX_WORK_FACTOR: u8 = 22;

    /// Creates a key from a passphrase. The work factor is the logarithm of scrypt's N, and applies to
    /// encryption only.
    pub fn new(passphrase: Secret, work_factor: u8) -> Self {
        Self { passphrase, work_factor }
    }

    fn secret(&self) -> SecretString {
        SecretString::from(self.passphrase.expose().to_owned())
    }
}

impl fmt::Debug for AgePassphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgePassphrase").field("work_factor", &self.work_factor).finish_non_exhaustive()
    }
}

impl Encryptor for AgePassphrase {
    fn seal<'a>(&self, output: Box<dyn Write + Send + 'a>) -> Result<Box<dyn SealingWriter + 'a>> {
        let mut recipient = age::scrypt::Recipient::new(self.secret());
        recipient.set_work_factor(self.work_factor);
        let age = age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient))
            .map_err(encrypt_failed)?;
        let writer = age.wrap_output(output).map_err(|e| Error::io("(output)", e))?;
        Ok(Box::new(writer))
    }
}

impl Decryptor for AgePassphrase {
    fn open<'a>(&self, input: Box<dyn Read + Send + 'a>) -> Result<Box<dyn Read + Send + 'a>> {
        let mut identity = age::scrypt::Identity::new(self.secret());
        identity.set_max_work_factor(Self::MAX_WORK_FACTOR);
        let age = age::Decryptor::new(input).map_err(|e| decrypt_failed(&e))?;
        let opened = age.decrypt(std::iter::once(&identity as &dyn age::Identity));
        match opened {
            Ok(reader) => Ok(Box::new(reader)),
            Err(age::DecryptError::DecryptionFailed | age::DecryptError::NoMatchingKeys) => {
                Err(Error::new(&codes::BACKUP_KEY_WRONG, "the backup key is wrong"))
            }
            Err(e) => Err(decrypt_failed(&e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Identity;

    #[test]
    fn what_is_sealed_to_several_opens_for_each_of_them_and_for_nobody_else() {
        let (a, b, c) = (Identity::generate(), Identity::generate(), Identity::generate());
        let sealed =
            AgeRecipients::parse([a.recipient(), b.recipient()]).unwrap().seal_bytes(b"plain").unwrap();
        for identity in [&a, &b] {
            let open = AgeIdentities::parse([&identity.to_secret()]).unwrap();
            assert_eq!(open.open_bytes(&sealed).unwrap(), b"plain");
        }
        let other = AgeIdentities::parse([&c.to_secret()]).unwrap();
        assert!(other.open_bytes(&sealed).unwrap_err().is(&codes::OBJECT_CORRUPT));
    }

    #[test]
    fn any_flipped_or_missing_byte_is_noticed() {
        let identity = Identity::generate();
        let sealed = AgeRecipients::parse([identity.recipient()]).unwrap().seal_bytes(&[7; 500]).unwrap();
        let open = AgeIdentities::parse([&identity.to_secret()]).unwrap();
        for i in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[i] ^= 1;
            assert!(open.open_bytes(&changed).is_err(), "byte {i}");
            assert!(open.open_bytes(&sealed[..i]).is_err(), "cut at {i}");
        }
    }

    #[test]
    fn a_wrong_passphrase_is_said_to_be_wrong() {
        let seal = |text: &str| AgePassphrase::new(Secret::new(text), 2);
        let sealed = seal("right passphrase").seal_bytes(b"plain").unwrap();
        assert_eq!(seal("right passphrase").open_bytes(&sealed).unwrap(), b"plain");
        let error = seal("wrong passphrase").open_bytes(&sealed).unwrap_err();
        assert!(error.is(&codes::BACKUP_KEY_WRONG));
    }
}
