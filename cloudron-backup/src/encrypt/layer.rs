//! Alternative encryption.

use std::fmt::Debug;
use std::sync::Arc;

use super::{Decryptor, Encryptor};

/// Encrypts the packs, index objects and manifests of a repository in another way than as plain age files:
/// with an additional layer around them, or with another format. Keys remain age files, summaries remain
/// clear text.
///
/// The description of such a repository names the layer. It is created with
/// [`Repository::init_with_layer`](crate::Repository::init_with_layer) and can only be opened with
/// [`Repository::open_with_layer`](crate::Repository::open_with_layer); this program and the recovery scripts
/// in the repository refuse it with a message that names the layer.
pub trait EncryptionLayer: Send + Sync + Debug {
    /// Returns the name of the layer in the repository's description: short, in clear text. It should change
    /// when the format changes.
    fn name(&self) -> &str;

    /// Returns an encryptor of objects. `age` is the default one; wrapping it keeps its guarantees.
    fn encryptor(&self, age: Arc<dyn Encryptor>) -> Arc<dyn Encryptor>;

    /// Returns a decryptor for objects of [`encryptor`](Self::encryptor). `age` is the default one.
    fn decryptor(&self, age: Arc<dyn Decryptor>) -> Arc<dyn Decryptor>;
}
