//! Where entries of the audit log go besides.

use std::path::PathBuf;

use latchkey_domain::Slug;

use crate::declare::settings;
use crate::field::Field;
use crate::host_port::HostPort;
use crate::reader::Reader;
use crate::url::Url;

/// What a sink is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkKind {
    /// Elasticsearch or what speaks its `_bulk`.
    Elasticsearch,
    /// A receiver of HTTP calls.
    Http,
    /// A collector of OpenTelemetry, over gRPC.
    Otlp,
    /// A syslog daemon.
    Syslog,
    /// Files in a folder.
    File,
    /// ClickHouse.
    ClickHouse,
}

impl SinkKind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Elasticsearch, Self::Http, Self::Otlp, Self::Syslog, Self::File, Self::ClickHouse];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Elasticsearch => "elasticsearch",
            Self::Http => "http",
            Self::Otlp => "otlp",
            Self::Syslog => "syslog",
            Self::File => "file",
            Self::ClickHouse => "clickhouse",
        }
    }

    /// The form of a stream there, where nobody says; `None`: the kind has one form alone.
    #[must_use]
    pub const fn usual_format(self, stream: SinkStream) -> Option<SinkFormat> {
        match (self, stream) {
            (Self::Elasticsearch | Self::Otlp | Self::Syslog | Self::ClickHouse, _) => None,
            (Self::Http, SinkStream::Entries) => Some(SinkFormat::CloudEvents),
            (Self::Http | Self::File, _) => Some(SinkFormat::Json),
        }
    }

    /// Whether a stream can be sent there.
    #[must_use]
    pub const fn takes(self, stream: SinkStream) -> bool {
        match stream {
            SinkStream::Entries => true,
            SinkStream::Access => !matches!(self, Self::Otlp | Self::Syslog),
            SinkStream::Usage => matches!(self, Self::Http | Self::File | Self::ClickHouse),
        }
    }
}

/// What is sent to a sink.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SinkStream {
    /// Entries of the audit log.
    #[default]
    Entries,
    /// Sums of usage, as replicas hand them over.
    Usage,
    /// Lines of the access log.
    Access,
}

impl SinkStream {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Entries => "entries",
            Self::Usage => "usage",
            Self::Access => "access",
        }
    }
}

impl Field for SinkStream {
    const EXPECTED: &'static str = "entries, usage or access";

    fn parse(text: &str) -> Option<Self> {
        [Self::Entries, Self::Usage, Self::Access].into_iter().find(|stream| stream.as_str() == text)
    }
}

impl Field for SinkKind {
    const EXPECTED: &'static str = "elasticsearch, http, otlp, syslog, file or clickhouse";

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// The form of an entry in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkFormat {
    /// Elastic Common Schema.
    Ecs,
    /// Open Cybersecurity Schema Framework.
    Ocsf,
    /// CloudEvents.
    CloudEvents,
    /// Our own: the JSON of the API.
    Json,
}

impl Field for SinkFormat {
    const EXPECTED: &'static str = "ecs, ocsf, cloud_events or json";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "ecs" => Some(Self::Ecs),
            "ocsf" => Some(Self::Ocsf),
            "cloud_events" => Some(Self::CloudEvents),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// Actions: a word such as `key.created`, or with `*` at its end all that begin so, such as `key.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionPattern(String);

impl ActionPattern {
    /// Whether it means this action.
    #[must_use]
    pub fn matches(&self, action: &str) -> bool {
        self.0.strip_suffix('*').map_or(self.0 == action, |start| action.starts_with(start))
    }
}

impl Field for ActionPattern {
    const EXPECTED: &'static str = "actions such as key.created or key.*, separated by commas";

    fn parse(text: &str) -> Option<Self> {
        let stem = text.strip_suffix('*').unwrap_or(text);
        let fits = stem.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'.' || byte == b'_');
        (!text.is_empty() && fits).then(|| Self(text.to_owned()))
    }
}

settings! {
    /// A place that entries of the audit log are sent to, or usage, or the access log: at least once, in their order.
    SinkSettings, checked by check {
        /// What it is called in logs, metrics and `latchkey audit exports`. Each name once; another name begins anew. Required. Since 0.1.
        value name: Slug;
        /// What it is: `elasticsearch`, `http`, `otlp`, `syslog`, `file` or `clickhouse`. Required. Since 0.1.
        value kind: SinkKind;
        /// What is sent: `entries` of the audit log, `usage` (the sums of each version, minute and replica, to be added up by who
        /// takes them; to `http`, `file` and `clickhouse`) or `access` (lines of the access log; not to `otlp` and `syslog`). Of
        /// usage and access no more is kept for a sink that is away than `usage.raw_bytes_max`; what it missed is counted and told.
        /// Default `entries`. Since 0.1.
        value stream: SinkStream = "entries";
        /// Of `elasticsearch`, `http`, `otlp` and `clickhouse`: where it is reached, such as `https://logs.example:9200`. What follows
        /// a `?` is sent and shown nowhere; the path is shown. Default empty. Since 0.1.
        value url: Option<Url> = "";
        /// Of `syslog`: the host and the port of the daemon, such as `logs.example:6514`. Default empty. Since 0.1.
        value server: Option<HostPort> = "";
        /// Of `file`: the folder, an absolute path outside the data folder. It must exist. Default empty. Since 0.1.
        value folder: Option<PathBuf> = "";
        /// The form of an entry: `ecs`, `ocsf`, `cloud_events` or `json`; of `http` and `file` only, as the others have one form
        /// alone. Usage has `json` and `cloud_events` only. Default empty: `cloud_events` for entries to `http`, else `json`. Since 0.1.
        value format: Option<SinkFormat> = "";
        /// Of `http` with `cloud_events`: whether the attributes are headers (the binary mode), one event a call. Default `false`.
        /// Since 0.1.
        value binary: bool = "false";
        /// Of `elasticsearch`: the data stream or index. Default empty: `logs-latchkey.audit-default`, or of the access log
        /// `logs-latchkey.access-default`. Since 0.1.
        value index: Option<String> = "";
        /// Of `clickhouse`: the table, as `database.table`. Default empty. Since 0.1.
        value table: Option<String> = "";
        /// Of `elasticsearch`, `http` and `clickhouse`: who we are. Default empty. Since 0.1.
        value username: Option<String> = "";
        /// The file with the password of `username`. Mode 0600, outside the data folder. It is read for each call. Default empty.
        /// Since 0.1.
        value password_file: Option<PathBuf> = "";
        /// Of `elasticsearch` (an API key) and `http` (a bearer token): the file with what is shown instead of a name and a
        /// password. Mode 0600, outside the data folder. It is read for each call. Default empty. Since 0.1.
        value token_file: Option<PathBuf> = "";
        /// Of `http`: the files with the secrets that sign each call by Standard Webhooks, `whsec_` or `whsk_` and base64. Each of
        /// several signs, so that a receiver can change from one to the next. Mode 0600, outside the data folder. Default empty.
        /// Since 0.1.
        value signing_key_files: Vec<PathBuf> = "";
        /// The file with the roots that the server is believed by. PEM. Default `/etc/ssl/certs/ca-certificates.crt`. Since 0.1.
        value ca_file: PathBuf = "/etc/ssl/certs/ca-certificates.crt";
        /// The file with our certificate, where the server asks for one. PEM. Default empty. Since 0.1.
        value certificate_file: Option<PathBuf> = "";
        /// The file with its key. Mode 0600, outside the data folder. PEM. Default empty. Since 0.1.
        value key_file: Option<PathBuf> = "";
        /// Of `syslog`: whether TLS is spoken; without it only this machine can be named. Default `true`. Since 0.1.
        value tls: bool = "true";
        /// Whose, by the ids of tenants. Default empty: all tenants' and those of the cluster itself. Since 0.1.
        value tenants: Vec<Slug> = "";
        /// Of entries: which actions, such as `key.*`; `proto/README.md` lists them under "Audit actions". Default empty: all.
        /// Since 0.1.
        value actions: Vec<ActionPattern> = "";
        /// Whether a sink that is new begins with the first entry there is; else with the next that comes. Default `true`. Since 0.1.
        value from_beginning: bool = "true";
        /// How many entries one batch has at most, 1 to 10000; of `http` in the binary mode and with `cloud_events`, 1 sends each by
        /// itself. Default 500. Since 0.1.
        value batch_entries_max: u64 = "500";
        /// How long one batch may take, 1 to 600. Seconds. Default 30. Since 0.1.
        value time_limit_s: u64 = "30";
        /// Of `file`: how large a file grows before the next begins, at least 1. Bytes. Default 67108864. Since 0.1.
        value rotate_bytes: u64 = "67108864";
        /// Of `file`: how old a file becomes before the next begins, at least 1. Seconds. Default 86400. Since 0.1.
        value rotate_s: u64 = "86400";
        /// Of `file`: how many whole files are kept, the oldest goes first; 0 keeps all. Default 0. Since 0.1.
        value files_max: u64 = "0";
    }
}

impl SinkSettings {
    /// The form that is sent; where the kind has one alone it means nothing.
    #[must_use]
    pub fn form(&self) -> SinkFormat {
        self.format.or(self.kind.usual_format(self.stream)).unwrap_or(SinkFormat::Json)
    }

    /// The files with secrets, by the names of their settings.
    pub fn secret_files(&self) -> impl Iterator<Item = (&'static str, &PathBuf)> {
        let single =
            [("password_file", &self.password_file), ("token_file", &self.token_file), ("key_file", &self.key_file)];
        let single = single.into_iter().filter_map(|(name, file)| Some((name, file.as_ref()?)));
        single.chain(self.signing_key_files.iter().map(|file| ("signing_key_files", file)))
    }
}

fn check(settings: &SinkSettings, reader: &mut Reader) {
    let kind = settings.kind;
    let word = kind.as_str();
    let needs = |reader: &mut Reader, set: bool, name: &str| {
        let expected = format!("must be set where the kind is {word}");
        reader.require(set, name, "empty", expected, "set it, or change the kind");
    };
    let only = |reader: &mut Reader, unset: bool, name: &str| {
        let expected = format!("says nothing where the kind is {word}");
        reader.require(unset, name, "set", expected, "remove it, or change the kind");
    };
    let by_url = matches!(kind, SinkKind::Elasticsearch | SinkKind::Http | SinkKind::Otlp | SinkKind::ClickHouse);
    let required = [
        ("url", by_url, settings.url.is_some()),
        ("server", kind == SinkKind::Syslog, settings.server.is_some()),
        ("folder", kind == SinkKind::File, settings.folder.is_some()),
        ("table", kind == SinkKind::ClickHouse, settings.table.is_some()),
    ];
    for (name, wanted, set) in required {
        if wanted {
            needs(reader, set, name);
        } else {
            only(reader, !set, name);
        }
    }
    if kind.usual_format(settings.stream).is_none() {
        only(reader, settings.format.is_none(), "format");
    }
    check_stream(settings, reader);
    if kind != SinkKind::Http {
        only(reader, settings.signing_key_files.is_empty(), "signing_key_files");
    }
    let cloud_events = settings.form() == SinkFormat::CloudEvents && kind == SinkKind::Http;
    if !cloud_events {
        only(reader, !settings.binary, "binary");
    }
    let remedy = "set both or none";
    let paired = settings.username.is_some() == settings.password_file.is_some();
    reader.require(paired, "password_file", "alone or missing", "must come with username".to_owned(), remedy);
    let paired = settings.certificate_file.is_some() == settings.key_file.is_some();
    reader.require(paired, "key_file", "alone or missing", "must come with certificate_file".to_owned(), remedy);
    let one = settings.username.is_none() || settings.token_file.is_none();
    reader.require(one, "token_file", "set", "must not be set beside username".to_owned(), "choose one of them");
    let absolute = settings.folder.as_ref().is_none_or(|folder| folder.is_absolute());
    reader.require(absolute, "folder", "relative", "must be an absolute path".to_owned(), "give the whole path");
    let near = settings.tls || settings.server.as_ref().is_none_or(HostPort::is_loopback);
    let expected = "must be true where the server is another machine".to_owned();
    reader.require(near, "tls", "false", expected, "speak TLS, or name a daemon of this machine");
    let table = settings.table.as_deref().is_none_or(|table| {
        let word =
            |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        table.split_once('.').is_some_and(|(database, table)| word(database) && word(table))
    });
    reader.require(
        table,
        "table",
        "another form",
        "must be database.table".to_owned(),
        "name both, with letters, digits and _",
    );
    let name = settings.index.as_deref().unwrap_or_default();
    let index = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte));
    let expected = "must have lower-case letters, digits and -_. only".to_owned();
    reader.require(index, "index", name, expected, "give the name of a data stream or an index");
    reader.in_range("batch_entries_max", settings.batch_entries_max, 1..=10_000);
    reader.in_range("time_limit_s", settings.time_limit_s, 1..=600);
    reader.in_range("rotate_bytes", settings.rotate_bytes, 1..=1 << 40);
    reader.in_range("rotate_s", settings.rotate_s, 1..=366 * 86_400);
}

/// That the stream is one that the kind takes, in a form that it has.
fn check_stream(settings: &SinkSettings, reader: &mut Reader) {
    let (kind, stream) = (settings.kind.as_str(), settings.stream);
    let expected = format!("cannot be sent where the kind is {kind}");
    reader.require(
        settings.kind.takes(stream),
        "stream",
        stream.as_str(),
        expected,
        "change the kind, or send entries",
    );
    let has = stream != SinkStream::Usage || !matches!(settings.format, Some(SinkFormat::Ecs | SinkFormat::Ocsf));
    let expected = "must be json or cloud_events where the stream is usage".to_owned();
    reader.require(has, "format", "another form", expected, "change it, or leave it out");
    let expected = format!("says nothing where the stream is {}", stream.as_str());
    let acts = stream == SinkStream::Entries || settings.actions.is_empty();
    reader.require(acts, "actions", "set", expected, "remove it, or send entries");
}

/// What notices are called among the sinks.
const NOTICES: &str = "notices";

/// That each name is there once, that no two write the same files, and that no secret lies beside what it protects.
pub(crate) fn check_sinks(all: &[SinkSettings], data_folder: &std::path::Path, reader: &mut Reader) {
    for (index, one) in all.iter().enumerate() {
        let first = !all.iter().take(index).any(|other| other.name == one.name) && one.name.as_str() != NOTICES;
        let expected = "must be the name of one sink only, and notices are one".to_owned();
        reader.require(first, &format!("sink[{index}].name"), &one.name, expected, "give another name");
        let place = one.folder.as_ref().filter(|_| one.kind == SinkKind::File);
        let alone = place.is_none_or(|folder| {
            !all.iter().take(index).any(|other| other.folder.as_ref() == Some(folder) && other.stream == one.stream)
        });
        let expected = format!("must be the folder of one sink of {} only", one.stream.as_str());
        let found = place.map_or_else(String::new, |folder| folder.display().to_string());
        reader.require(alone, &format!("sink[{index}].folder"), found, expected, "give each a folder of its own");
        let files = one.secret_files().chain(one.folder.as_ref().map(|folder| ("folder", folder)));
        for (name, file) in files {
            let expected = format!("must not lie in data_folder ({})", data_folder.display());
            let remedy = "move it: the data folder is for the audit log alone";
            reader.require(
                !file.starts_with(data_folder),
                &format!("sink[{index}].{name}"),
                file.display(),
                expected,
                remedy,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AuditSettings, Mistakes, Sources};
    use std::io::Write as _;

    fn load(sinks: &str) -> Result<AuditSettings, Mistakes> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let head = "data_folder = '/data'\ncluster_secret_file = '/s'\nkek_file = '/k'\nregistry_endpoints = ['127.0.0.1:7720']\n";
        file.write_all(format!("{head}{sinks}").as_bytes()).unwrap();
        AuditSettings::load(&Sources { file: Some(file.path().to_owned()), ..Sources::default() })
    }

    #[test]
    fn each_kind_tells_what_it_lacks_and_what_says_nothing() {
        let told = load(
            "[[sink]]\nname = 'a'\nkind = 'elasticsearch'\nformat = 'json'\n\
             [[sink]]\nname = 'b'\nkind = 'syslog'\nurl = 'https://h.example'\n\
             [[sink]]\nname = 'a'\nkind = 'file'\nfolder = '/data/out'\nbinary = true\n\
             [[sink]]\nname = 'c'\nkind = 'http'\nurl = 'http://logs.example'\n\
             [[sink]]\nname = 'd'\nkind = 'syslog'\nserver = 'logs.example:514'\ntls = false\n\
             [[sink]]\nname = 'e'\nkind = 'clickhouse'\nurl = 'https://c.example'\ntable = 'a;drop'\nusername = 'u'\n\
             [[sink]]\nname = 'f'\nkind = 'elasticsearch'\nurl = 'https://c.example'\nstream = 'usage'\nactions = ['key.*']\n\
             [[sink]]\nname = 'g'\nkind = 'file'\nfolder = '/out'\nstream = 'usage'\nformat = 'ocsf'\n",
        );
        let told = told.unwrap_err().to_string();
        for expected in [
            "sink[0].url (empty) must be set where the kind is elasticsearch",
            "sink[0].format (set) says nothing where the kind is elasticsearch",
            "sink[1].server (empty) must be set where the kind is syslog",
            "sink[1].url (set) says nothing where the kind is syslog",
            "sink[2].name (a) must be the name of one sink only",
            "sink[2].folder (/data/out) must not lie in data_folder (/data)",
            "sink[2].binary (set) says nothing where the kind is file",
            "sink[3].url",
            "sink[4].tls (false) must be true where the server is another machine",
            "sink[5].table (another form) must be database.table",
            "sink[6].stream (usage) cannot be sent where the kind is elasticsearch",
            "sink[6].actions (set) says nothing where the stream is usage",
            "sink[7].format (another form) must be json or cloud_events where the stream is usage",
            "sink[5].password_file (alone or missing) must come with username",
        ] {
            assert!(told.contains(expected), "{expected}: {told}");
        }
    }

    #[test]
    fn no_two_sinks_share_a_name_or_the_files_of_a_folder() {
        let file =
            |name: &str, more: &str| format!("[[sink]]\nname = '{name}'\nkind = 'file'\nfolder = '/out'\n{more}");
        // One would write on into what the other has called whole.
        let told = load(&(file("a", "") + &file("b", "stream = 'usage'\n") + &file("c", "format = 'ocsf'\n")));
        let told = told.unwrap_err().to_string();
        assert!(told.contains("sink[2].folder (/out) must be the folder of one sink of entries only"), "{told}");
        assert!(!told.contains("sink[1]"), "the names of its files differ: {told}");
        // Notices are told of under this name, and hold their cursor under it.
        let told = load(&file("notices", "")).unwrap_err().to_string();
        assert!(told.contains("sink[0].name (notices)"), "{told}");
    }

    #[test]
    fn what_a_url_may_hold_as_a_secret_is_in_no_mistake_and_no_debug_output() {
        let sink = |url: &str| load(&format!("[[sink]]\nname = 'a'\nkind = 'http'\nurl = '{url}'\n"));
        let told = sink("https://u:p@host/path?token=x").unwrap_err().to_string();
        assert!(told.contains("sink[0].url") && told.contains("without a user and a password"), "{told}");
        assert!(!told.contains("u:p") && !told.contains("token=x"), "{told}");
        let settings = format!("{:?}", sink("https://host/path?token=x").unwrap());
        assert!(settings.contains("https://host:443/path?***") && !settings.contains("token=x"), "{settings}");
    }

    #[test]
    fn each_kind_can_be_set_up() {
        let settings = load(
            "[[sink]]\nname = 'elk'\nkind = 'elasticsearch'\nurl = 'https://es.example:9200'\ntoken_file = '/t'\nactions = ['key.*']\n\
             [[sink]]\nname = 'hook'\nkind = 'http'\nurl = 'https://h.example/x'\nsigning_key_files = ['/a', '/b']\nbinary = true\n\
             [[sink]]\nname = 'collector'\nkind = 'otlp'\nurl = 'http://127.0.0.1:4317'\n\
             [[sink]]\nname = 'siem'\nkind = 'syslog'\nserver = 'siem.example:6514'\ntenants = ['acme']\n\
             [[sink]]\nname = 'files'\nkind = 'file'\nfolder = '/var/log/latchkey'\nformat = 'ocsf'\n\
             [[sink]]\nname = 'house'\nkind = 'clickhouse'\nurl = 'https://c.example'\ntable = 'audit.entries'\n",
        );
        let sinks = settings.unwrap().sink;
        assert_eq!(sinks.iter().map(|sink| sink.kind).collect::<Vec<_>>(), SinkKind::ALL);
        assert!(sinks[0].actions[0].matches("key.created") && !sinks[0].actions[0].matches("keyspace.created"));
        assert_eq!(sinks[1].secret_files().count(), 2);
    }

    #[test]
    fn each_stream_has_a_form_of_its_own() {
        let settings = load(
            "[[sink]]\nname = 'house'\nkind = 'clickhouse'\nurl = 'https://c.example'\ntable = 'latchkey.usage'\nstream = 'usage'\n\
             [[sink]]\nname = 'hook'\nkind = 'http'\nurl = 'https://h.example/x'\nstream = 'usage'\ntenants = ['acme']\n\
             [[sink]]\nname = 'events'\nkind = 'http'\nurl = 'https://h.example/x'\n\
             [[sink]]\nname = 'elk'\nkind = 'elasticsearch'\nurl = 'https://h.example/x'\nstream = 'access'\n",
        );
        let sinks = settings.unwrap().sink;
        assert_eq!(sinks[2].form(), SinkFormat::CloudEvents);
        assert!([0, 1, 3].into_iter().all(|at| sinks[at].form() == SinkFormat::Json));
        assert_eq!((sinks[2].stream, sinks[3].stream), (SinkStream::Entries, SinkStream::Access));
    }
}
