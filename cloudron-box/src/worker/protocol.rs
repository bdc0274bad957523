//! The messages between the interface and the worker: lines of JSON over a stream, one request for each.

use cloudron_api::helper::{HookEnd, Moment};
use cloudron_core::BackupId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::StoreObject;
use crate::failure::Failure;

/// What the interface may ask. No request names a folder or a command: these are the worker's own settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) enum Request {
    /// Makes a backup; the interface has put a copy of its database into its staging folder. Answered with [`Made`].
    Backup,
    /// Lists the backups, newest first. Answered with a [`BackupPage`](crate::api::BackupPage).
    List { page: u32, per_page: u32 },
    /// Finds a backup by its ID, or the latest. Answered with its ID.
    Find { wanted: String },
    /// Compares the store with the keys and the index. Answered with a sentence.
    Check { newest: Option<BackupId> },
    /// Lists the objects of the store whose key starts so.
    Objects { prefix: String },
    /// Answered with the size of an object, or null.
    Size { key: String },
    /// Answered with this part of an object.
    Read { key: String, start: u64, end: u64 },
}

/// What the worker says: any number of the first four, and then one of the others.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Answer {
    /// How far a backup is.
    Working(Working),
    /// What a person may want to know about it.
    Said(Said),
    /// Some of the objects.
    Objects(Vec<StoreObject>),
    /// So many bytes follow the line.
    Bytes(u64),
    Done(Value),
    Failed(Failure),
}

/// How far a backup is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Working {
    pub(crate) percent: u8,
    pub(crate) message: String,
    pub(crate) backup: Option<BackupId>,
}

/// A line for the server's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Said {
    Warning(String),
    Note(String),
    /// A hook command ended.
    Hook {
        folder: String,
        when: Moment,
        end: HookEnd,
    },
    /// It could not be run, or did not end well.
    HookFailed(String),
}

/// The backup that was made, and the problems that did not prevent it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Made {
    pub(crate) id: BackupId,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) added: u64,
    pub(crate) unreadable: u64,
    pub(crate) issues: Vec<String>,
}
