//! The jobs, persisted across restarts. An index allows only one active job.

use rusqlite::{Connection, OptionalExtension, Row};

use super::Sql;
use crate::Result;
use crate::api::{Job, JobKind, JobState};
use crate::time::timestamp;

const COLUMNS: &str = "id, kind, state, percent, message, error, backup_id, created, started, finished";

/// Stores a job, replacing its earlier state.
pub(crate) fn put(connection: &Connection, job: &Job) -> Result<()> {
    let error = job.error.as_ref().map(|e| serde_json::to_string(e).expect("an error serializes"));
    let at = |time: Option<jiff::Timestamp>| time.map(|t| t.as_millisecond());
    connection
        .execute(
            // An upsert rather than REPLACE, which would delete the row of another active job.
            &format!(
                "INSERT INTO jobs ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                 ON CONFLICT (id) DO UPDATE SET state = ?3, percent = ?4, message = ?5, error = ?6,
                 backup_id = ?7, started = ?9, finished = ?10"
            ),
            (
                &job.id,
                kind_name(job.kind),
                state_name(job.state),
                job.percent,
                &job.message,
                error,
                job.backup_id.as_ref().map(|id| id.as_str()),
                job.created_at.as_millisecond(),
                at(job.started_at),
                at(job.finished_at),
            ),
        )
        .sql()?;
    Ok(())
}

/// Returns the job with this ID.
pub(crate) fn get(connection: &Connection, id: &str) -> Result<Option<Job>> {
    let query = format!("SELECT {COLUMNS} FROM jobs WHERE id = ?1");
    connection.query_row(&query, [id], job).optional().sql()
}

/// Returns the jobs stored as queued or running.
pub(crate) fn active(connection: &Connection) -> Result<Vec<Job>> {
    let query = format!("SELECT {COLUMNS} FROM jobs WHERE state IN ('queued', 'running')");
    let mut query = connection.prepare(&query).sql()?;
    query.query_map([], job).sql()?.collect::<rusqlite::Result<_>>().sql()
}

/// Returns the newest finished job of a kind.
pub(crate) fn last_over(connection: &Connection, kind: JobKind) -> Result<Option<Job>> {
    let query = format!(
        "SELECT {COLUMNS} FROM jobs WHERE kind = ?1 AND state IN ('done', 'failed')
         ORDER BY created DESC, rowid DESC LIMIT 1"
    );
    connection.query_row(&query, [kind_name(kind)], job).optional().sql()
}

/// Deletes all but the newest 1,000 jobs.
pub(crate) fn trim(connection: &Connection) -> Result<()> {
    connection
        .execute(
            "DELETE FROM jobs WHERE state IN ('done', 'failed')
             AND id NOT IN (SELECT id FROM jobs ORDER BY created DESC LIMIT 1000)",
            [],
        )
        .sql()?;
    Ok(())
}

fn kind_name(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Backup => "backup",
        JobKind::Update => "update",
        JobKind::Restore => "restore",
    }
}

fn state_name(state: JobState) -> &'static str {
    match state {
        JobState::Queued => "queued",
        JobState::Running => "running",
        JobState::Done => "done",
        JobState::Failed => "failed",
    }
}

fn job(row: &Row<'_>) -> rusqlite::Result<Job> {
    let at = |time: Option<i64>| time.map(timestamp);
    Ok(Job {
        id: row.get(0)?,
        kind: match row.get::<_, String>(1)?.as_str() {
            "update" => JobKind::Update,
            "restore" => JobKind::Restore,
            _ => JobKind::Backup,
        },
        state: match row.get::<_, String>(2)?.as_str() {
            "queued" => JobState::Queued,
            "running" => JobState::Running,
            "done" => JobState::Done,
            _ => JobState::Failed,
        },
        percent: row.get(3)?,
        message: row.get(4)?,
        error: row.get::<_, Option<String>>(5)?.and_then(|text| serde_json::from_str(&text).ok()),
        backup_id: row.get::<_, Option<String>>(6)?.and_then(|text| text.parse().ok()),
        created_at: timestamp(row.get(7)?),
        started_at: at(row.get(8)?),
        finished_at: at(row.get(9)?),
    })
}
