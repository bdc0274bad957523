//! Another encryption than plain age.

use std::fmt::Debug;
use std::sync::Arc;

use super::{Decryptor, Encryptor};

/// Seals the packs, index objects and manifests of a repository in another way than as plain age files: with
/// one more layer around them, or with something else altogether. Keys stay age files, summaries stay clear.
///
/// Such a repository says so in its description. It is made with
/// [`Repository::init_with_layer`](crate::Repository::init_with_layer) and opens with
/// [`Repository::open_with_layer`](crate::Repository::open_with_layer) only; this program and the recovery
/// scripts that lie in it refuse it by name.
pub trait EncryptionLayer: Send + Sync + Debug {
    /// What the description of the repository calls it: short and in clear. It should change when what is
    /// written does.
    fn name(&self) -> &str;

    /// Seals objects. `age` is what would seal them without this layer; to wrap it keeps its promises.
    fn encryptor(&self, age: Arc<dyn Encryptor>) -> Arc<dyn Encryptor>;

    /// Opens what [`encryptor`](Self::encryptor) sealed. `age` is what would open it without this layer.
    fn decryptor(&self, age: Arc<dyn Decryptor>) -> Arc<dyn Decryptor>;
}
