//! What is told of a key, in which order, under which names. Names are a contract: they are added to, and never changed.

use latchkey_domain::UnixMillis;
use latchkey_wire::pb::v1 as pb;
use pb::version::State;
use prost_types::Timestamp;

/// The cells of one key, in the order of [`COLUMNS`].
pub(crate) type Row = Vec<Cell>;

/// What stands in a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    /// A text; an empty one is none.
    Text(String),
    /// Texts in an order of their own.
    Texts(Vec<String>),
    /// A moment. Milliseconds since 1970.
    Time(Option<i64>),
    /// A number.
    Number(i64),
}

/// What kind of cells a column has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Texts,
    Time,
    Number,
}

/// A column.
pub(crate) struct Column {
    pub(crate) name: &'static str,
    #[cfg_attr(not(feature = "parquet"), expect(dead_code, reason = "the other formats write what a cell is"))]
    pub(crate) kind: Kind,
    read: fn(&pb::Key, UnixMillis) -> Cell,
}

impl Column {
    const fn new(name: &'static str, kind: Kind, read: fn(&pb::Key, UnixMillis) -> Cell) -> Self {
        Self { name, kind, read }
    }
}

/// All columns.
pub(crate) const COLUMNS: [Column; 37] = [
    Column::new("name", Kind::Text, |key, _| text(&key.name)),
    Column::new("keyspace", Kind::Text, |key, _| text(key.name.split("/keys/").next().unwrap_or_default())),
    Column::new("display_name", Kind::Text, |key, _| text(&key.display_name)),
    Column::new("owner", Kind::Text, |key, _| text(&key.owner)),
    Column::new("purpose", Kind::Text, |key, _| text(&key.purpose)),
    Column::new("state", Kind::Text, |key, _| text(word(key.state().as_str_name(), "STATE_"))),
    Column::new("permissions", Kind::Texts, |key, _| Cell::Texts(key.permissions.clone())),
    Column::new("roles", Kind::Texts, |key, _| Cell::Texts(key.roles.clone())),
    Column::new("networks", Kind::Texts, |key, _| Cell::Texts(key.networks.clone())),
    Column::new("methods", Kind::Texts, |key, _| Cell::Texts(key.methods.clone())),
    Column::new("resources", Kind::Texts, |key, _| Cell::Texts(key.resources.clone())),
    Column::new("metadata", Kind::Texts, |key, _| {
        Cell::Texts(key.metadata.iter().map(|(name, value)| format!("{name}={value}")).collect())
    }),
    Column::new("parent_key", Kind::Text, |key, _| text(&key.parent_key)),
    Column::new("create_time", Kind::Time, |key, _| time(key.create_time.as_ref())),
    Column::new("age_days", Kind::Number, |key, now| Cell::Number(age_days(key, now))),
    Column::new("not_before", Kind::Time, |key, _| time(key.not_before.as_ref())),
    Column::new("expire_time", Kind::Time, |key, _| time(key.expire_time.as_ref())),
    Column::new("update_time", Kind::Time, |key, _| time(key.update_time.as_ref())),
    Column::new("import_time", Kind::Time, |key, _| time(imported(key, |imported| imported.import_time.as_ref()))),
    Column::new("import_format", Kind::Text, |key, _| {
        text(imported(key, |imported| Some(imported.format.as_str())).unwrap_or_default())
    }),
    Column::new("import_start", Kind::Text, |key, _| {
        text(imported(key, |imported| Some(imported.start.as_str())).unwrap_or_default())
    }),
    Column::new("source_id", Kind::Text, |key, _| {
        text(imported(key, |imported| Some(imported.source_id.as_str())).unwrap_or_default())
    }),
    Column::new("source_create_time", Kind::Time, |key, _| {
        time(imported(key, |imported| imported.source_create_time.as_ref()))
    }),
    Column::new("rotation_state", Kind::Text, |key, _| text(rotation_state(key))),
    Column::new("rotation", Kind::Text, |key, _| text(&key.rotation)),
    Column::new("last_rotate_time", Kind::Time, |key, _| time(last_rotate_time(key))),
    Column::new("overlap_end_time", Kind::Time, |key, _| {
        time(
            key.versions
                .iter()
                .filter(|version| version.state() == State::Retiring)
                .filter_map(|version| version.retire_time.as_ref())
                .next(),
        )
    }),
    Column::new("version_ids", Kind::Texts, |key, _| each(key, |version| last_segment(&version.name).to_owned())),
    Column::new("version_states", Kind::Texts, |key, _| {
        each(key, |version| word(version.state().as_str_name(), "STATE_").to_owned())
    }),
    Column::new("version_create_times", Kind::Texts, |key, _| each(key, |version| shown(version.create_time.as_ref()))),
    Column::new("version_end_times", Kind::Texts, |key, _| {
        each(key, |version| {
            let revoked = version.revocation.as_ref().and_then(|revocation| revocation.revoke_time.as_ref());
            shown(revoked.or(version.retire_time.as_ref()))
        })
    }),
    Column::new("suspend_time", Kind::Time, |key, _| {
        time(key.suspension.as_ref().and_then(|it| it.suspend_time.as_ref()))
    }),
    Column::new("suspension_reason_text", Kind::Text, |key, _| {
        text(key.suspension.as_ref().map_or("", |suspension| &suspension.reason_text))
    }),
    Column::new("restriction_end_time", Kind::Time, |key, _| {
        time(key.restriction.as_ref().and_then(|restriction| restriction.end_time.as_ref()))
    }),
    Column::new("revoke_time", Kind::Time, |key, _| {
        time(key.revocation.as_ref().and_then(|it| it.revoke_time.as_ref()))
    }),
    Column::new("revocation_reason", Kind::Text, |key, _| {
        text(key.revocation.as_ref().map_or("", |it| word(it.reason().as_str_name(), "REVOCATION_REASON_")))
    }),
    Column::new("revocation_reason_text", Kind::Text, |key, _| {
        text(key.revocation.as_ref().map_or("", |revocation| &revocation.reason_text))
    }),
];

/// The cells of a key, as of `now`.
pub(crate) fn row(key: &pb::Key, now: UnixMillis) -> Row {
    COLUMNS.iter().map(|column| (column.read)(key, now)).collect()
}

fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

fn time(moment: Option<&Timestamp>) -> Cell {
    Cell::Time(moment.and_then(millis))
}

fn each(key: &pb::Key, cell: impl Fn(&pb::Version) -> String) -> Cell {
    Cell::Texts(key.versions.iter().map(cell).collect())
}

fn imported<'a, T>(key: &'a pb::Key, read: impl FnOnce(&'a pb::Imported) -> Option<T>) -> Option<T> {
    key.imported.as_ref().and_then(read)
}

fn last_segment(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or_default()
}

fn word<'a>(word: &'a str, prefix: &str) -> &'a str {
    word.strip_prefix(prefix).unwrap_or(word)
}

fn shown(moment: Option<&Timestamp>) -> String {
    moment.map(ToString::to_string).unwrap_or_default()
}

fn millis(moment: &Timestamp) -> Option<i64> {
    moment.seconds.checked_mul(1_000)?.checked_add(i64::from(moment.nanos / 1_000_000))
}

fn age_days(key: &pb::Key, now: UnixMillis) -> i64 {
    const DAY_MILLIS: i64 = 86_400_000;
    let now = i64::try_from(now.millis()).unwrap_or(i64::MAX);
    let made = key.create_time.as_ref().and_then(millis).unwrap_or(now);
    now.saturating_sub(made).max(0) / DAY_MILLIS
}

/// What its versions show: a standby waits, the old one ends, or nothing is going on.
fn rotation_state(key: &pb::Key) -> &'static str {
    let has = |state| key.versions.iter().any(|version| version.state() == state);
    match (key.rotation.is_empty(), has(State::Pending)) {
        (true, _) => "",
        (false, true) => "PREPARED",
        (false, false) => "OVERLAP",
    }
}

/// When its version in use took the place of another; none where it is the first.
fn last_rotate_time(key: &pb::Key) -> Option<&Timestamp> {
    let later = key.versions.iter().skip(1).filter(|version| version.state() != State::Pending);
    later.filter_map(|version| version.create_time.as_ref()).max_by_key(|moment| (moment.seconds, moment.nanos))
}
