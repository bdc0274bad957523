//! The event log: entries are added and never changed, but for the number of failed logins. The database enforces this.

use jiff::Timestamp;
use rusqlite::{Connection, Row, ToSql, types::Type};
use serde_json::Value;

use super::Sql;
use crate::Result;
use crate::api::{EventEntry, EventPage, EventSource};
use crate::time::timestamp;

/// Returns the source for the system's own events.
pub(crate) fn system(name: &str) -> EventSource {
    EventSource { username: Some(name.to_owned()), ..EventSource::default() }
}

/// Adds an entry.
pub(crate) fn add(
    connection: &Connection,
    now: i64,
    action: &str,
    source: &EventSource,
    data: &Value,
) -> Result<()> {
    let source = serde_json::to_string(source).expect("a source serializes");
    connection
        .execute(
            "INSERT INTO events (action, source, data, time) VALUES (?1, ?2, ?3, ?4)",
            (action, source, data.to_string(), now),
        )
        .sql()?;
    Ok(())
}

/// The action whose entries have a number that grows.
pub(crate) const LOGIN_FAILED: &str = "user.login.failed";

/// Sets the number of failed logins in their entry: the only change that the database lets through.
pub(crate) fn set_count(connection: &Connection, entry: i64, count: u64) -> Result<()> {
    let text = "UPDATE events SET data = json_set(data, '$.count', ?2) WHERE id = ?1 AND action = ?3";
    connection.execute(text, (entry, count.cast_signed(), LOGIN_FAILED)).sql().map(drop)
}

/// A filter for log entries.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) page: u32,
    pub(crate) per_page: u32,
    pub(crate) action: Option<String>,
    pub(crate) search: Option<String>,
    pub(crate) since: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
}

impl Filter {
    fn condition(&self) -> (String, Vec<Box<dyn ToSql>>) {
        let mut parts = vec!["1".to_owned()];
        let mut values: Vec<Box<dyn ToSql>> = Vec::new();
        let mut part = |text: &str, value: Box<dyn ToSql>| {
            values.push(value);
            parts.push(text.replace('#', &format!("?{}", values.len())));
        };
        if let Some(action) = &self.action {
            part("action = #", Box::new(action.clone()));
        }
        if let Some(search) = &self.search {
            // instr rather than LIKE: `%` in the search text has no special meaning.
            let text = "instr(lower(action || ' ' || source || ' ' || data), lower(#)) > 0";
            part(text, Box::new(search.clone()));
        }
        if let Some(since) = self.since {
            part("time >= #", Box::new(since.as_millisecond()));
        }
        if let Some(until) = self.until {
            part("time < #", Box::new(until.as_millisecond()));
        }
        (parts.join(" AND "), values)
    }
}

/// Returns a page of entries, newest first.
pub(crate) fn page(connection: &Connection, filter: &Filter) -> Result<EventPage> {
    let (condition, values) = filter.condition();
    let values: Vec<&dyn ToSql> = values.iter().map(AsRef::as_ref).collect();
    let count = format!("SELECT count(*) FROM events WHERE {condition}");
    let total: i64 = connection.query_row(&count, values.as_slice(), |row| row.get(0)).sql()?;
    let offset = u64::from(filter.page.saturating_sub(1)) * u64::from(filter.per_page);
    let text = format!(
        "SELECT id, action, source, data, time FROM events WHERE {condition} ORDER BY id DESC LIMIT {} OFFSET {offset}",
        filter.per_page
    );
    let mut query = connection.prepare(&text).sql()?;
    let eventlogs =
        query.query_map(values.as_slice(), entry).sql()?.collect::<rusqlite::Result<_>>().sql()?;
    Ok(EventPage { eventlogs, page: filter.page, per_page: filter.per_page, total: total.unsigned_abs() })
}

fn entry(row: &Row<'_>) -> rusqlite::Result<EventEntry> {
    let json = |column: usize, text: String| {
        serde_json::from_str::<Value>(&text)
            .map_err(|e| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(e)))
    };
    Ok(EventEntry {
        id: row.get::<_, i64>(0)?.to_string(),
        action: row.get(1)?,
        source: serde_json::from_value(json(2, row.get(2)?)?).unwrap_or_default(),
        data: json(3, row.get(3)?)?,
        creation_time: timestamp(row.get(4)?),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::db::for_test;

    fn filled() -> (tempfile::TempDir, crate::db::Db) {
        let (home, db) = for_test();
        db.transaction(|c| {
            for n in 0..60 {
                let action = if n % 2 == 0 { "user.login" } else { "backup.start" };
                add(c, 1000 * n, action, &system("cron"), &json!({"n": n, "text": "50%"}))?;
            }
            Ok(())
        })
        .unwrap();
        (home, db)
    }

    fn ask(db: &crate::db::Db, filter: Filter) -> EventPage {
        let filter = Filter { page: filter.page.max(1), per_page: filter.per_page.max(25), ..filter };
        db.read(|c| page(c, &filter)).unwrap()
    }

    #[test]
    fn pages_hold_every_entry_once_newest_first() {
        let (_home, db) = filled();
        let ids: Vec<u64> = (1..=3)
            .flat_map(|page| ask(&db, Filter { page, ..Filter::default() }).eventlogs)
            .map(|e| e.id.parse().unwrap())
            .collect();
        assert_eq!(ids.len(), 60);
        assert!(ids.windows(2).all(|w| w[0] > w[1]));
        assert!(ask(&db, Filter { page: 4, ..Filter::default() }).eventlogs.is_empty());
    }

    #[test]
    fn filters_narrow_by_action_text_and_time() {
        let (_home, db) = filled();
        let total = |f| ask(&db, f).total;
        assert_eq!(total(Filter { action: Some("user.login".into()), ..Filter::default() }), 30);
        assert_eq!(total(Filter { search: Some("BACKUP".into()), ..Filter::default() }), 30);
        assert_eq!(total(Filter { search: Some("50%".into()), ..Filter::default() }), 60);
        assert_eq!(total(Filter { search: Some("5_%".into()), ..Filter::default() }), 0);
        let (since, until) = (Some(timestamp(10_000)), Some(timestamp(20_000)));
        assert_eq!(total(Filter { since, until, ..Filter::default() }), 10);
    }

    #[test]
    fn entries_can_be_neither_changed_nor_removed() {
        let (_home, db) = filled();
        for statement in ["DELETE FROM events", "UPDATE events SET action = 'x' WHERE id = 1"] {
            assert!(db.transaction(|c| c.execute(statement, []).sql()).is_err(), "{statement}");
        }
        assert_eq!(ask(&db, Filter::default()).total, 60);
    }

    #[test]
    fn of_failed_logins_only_the_number_grows() {
        let (_home, db) = filled();
        let data = json!({"reason": "wrong", "count": 3});
        db.transaction(|c| add(c, 7, LOGIN_FAILED, &system("x"), &data)).unwrap();
        let set = |entry, count| db.transaction(|c| set_count(c, entry, count));
        set(61, 12).unwrap();
        set(61, 2).unwrap_err();
        set(1, 5).unwrap();
        let change =
            "UPDATE events SET data = json_set(data, '$.reason', 'none', '$.count', 20) WHERE id = 61";
        assert!(db.transaction(|c| c.execute(change, []).sql()).is_err());
        let entry =
            ask(&db, Filter { action: Some(LOGIN_FAILED.into()), ..Filter::default() }).eventlogs.remove(0);
        assert_eq!(entry.data, json!({"reason": "wrong", "count": 12}));
        let first = ask(&db, Filter { page: 3, ..Filter::default() }).eventlogs.pop().unwrap();
        assert_eq!(first.data["count"], serde_json::Value::Null, "an entry of another kind");
    }
}
