//! Snapshots of volumes.

use serde::{Deserialize, Serialize};

use super::{Done, Set, Tag, TagSpecification};
use crate::ec2::action::{action, listing};

/// Creates a snapshot. It has no token: look for the tags first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateSnapshot {
    /// The volume.
    pub volume_id: String,
    /// The description.
    pub description: String,
    /// Tags of `snapshot`.
    #[serde(rename = "TagSpecification")]
    pub tags: Vec<TagSpecification>,
}

/// A snapshot; the answer to [`CreateSnapshot`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// The ID.
    pub snapshot_id: String,
    /// The volume.
    #[serde(default)]
    pub volume_id: String,
    /// `pending`, `completed` or `error`.
    #[serde(default)]
    pub status: String,
    /// When it was begun (ISO 8601).
    #[serde(default)]
    pub start_time: String,
    /// The tags.
    #[serde(rename = "tagSet", default)]
    pub tags: Set<Tag>,
}

action!(CreateSnapshot, once, Snapshot);

listing! {
    /// Lists snapshots.
    DescribeSnapshots {
        /// Owners: `self`.
        #[serde(rename = "Owner")]
        owners: Vec<String>,
        /// IDs of snapshots.
        #[serde(rename = "SnapshotId")]
        snapshot_ids: Vec<String>,
    } => Snapshots.snapshots "snapshotSet": Snapshot
}

/// Deletes a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteSnapshot {
    /// The snapshot.
    pub snapshot_id: String,
}

action!(DeleteSnapshot, repeatable, Done);
