//! Where the rotation service delivers new secrets.

use std::fmt;
use std::path::PathBuf;

use latchkey_domain::{KeyId, KeyspaceName, Slug};

use crate::declare::settings;
use crate::field::Field;
use crate::host_port::HostPort;
use crate::reader::Reader;

/// What stands for the ids of a key in a form.
const WORDS: [&str; 3] = ["tenant", "keyspace", "key"];

/// What a store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryKind {
    /// A file of mode 0600 on this machine, replaced as a whole.
    File,
    /// A process that reads the secret from its standard input.
    Hook,
    /// A Kubernetes Secret.
    KubernetesSecret,
}

impl Field for DeliveryKind {
    const EXPECTED: &'static str = "file, hook or kubernetes_secret";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "file" => Some(Self::File),
            "hook" => Some(Self::Hook),
            "kubernetes_secret" => Some(Self::KubernetesSecret),
            _ => None,
        }
    }
}

/// Which keyspaces: `acme/orders`, `acme/*` for all of a tenant, or `*/*` for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyspacePattern {
    tenant: Option<Slug>,
    keyspace: Option<Slug>,
}

impl KeyspacePattern {
    /// Reads one. `None` where it has another form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "*/*" {
            return Some(Self::every());
        }
        let (tenant, keyspace) = text.split_once('/')?;
        let tenant = Some(Slug::parse(tenant).ok()?);
        let keyspace = if keyspace == "*" { None } else { Some(Slug::parse(keyspace).ok()?) };
        Some(Self { tenant, keyspace })
    }

    /// All keyspaces.
    #[must_use]
    pub const fn every() -> Self {
        Self { tenant: None, keyspace: None }
    }

    /// Whether it means this keyspace.
    #[must_use]
    pub fn matches(&self, keyspace: &KeyspaceName) -> bool {
        let tenant = self.tenant.as_ref().is_none_or(|named| *named == keyspace.tenant);
        tenant && self.keyspace.as_ref().is_none_or(|named| *named == keyspace.keyspace)
    }
}

impl Field for KeyspacePattern {
    const EXPECTED: &'static str = "keyspaces such as acme/orders, acme/* or */*, separated by commas";

    fn parse(text: &str) -> Option<Self> {
        Self::parse(text)
    }
}

impl Field for KeyId {
    const EXPECTED: &'static str = "the id of a key, 16 letters and digits";

    fn parse(text: &str) -> Option<Self> {
        Self::from_chars(text.as_bytes())
    }
}

/// A program and its arguments, separated by spaces. There is no quoting and no shell: whoever needs more names a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// The program, by its whole path: there is no `PATH` to look it up in.
    pub program: PathBuf,
    /// What it is given. Never a secret.
    pub arguments: Vec<String>,
}

impl CommandLine {
    /// Reads one. `None` where the program's path is not absolute.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace().map(str::to_owned);
        let program = PathBuf::from(words.next()?);
        program.is_absolute().then(|| Self { program, arguments: words.collect() })
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.program.display())?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {argument}"))
    }
}

impl Field for CommandLine {
    const EXPECTED: &'static str = "the absolute path of a program, then its arguments, separated by spaces";
    const REMEDY: &'static str = "give the whole path; for quotes or a shell, name a script";

    fn parse(text: &str) -> Option<Self> {
        Self::parse(text)
    }
}

/// What a hook is run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookStep {
    /// It gets the key text.
    Stage,
    /// Consumers may read it.
    Deliver,
    /// The rotation has ended.
    Finish,
}

impl HookStep {
    /// Its word, in the settings and in `LATCHKEY_STEP`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stage => "stage",
            Self::Deliver => "deliver",
            Self::Finish => "finish",
        }
    }
}

impl Field for HookStep {
    const EXPECTED: &'static str = "stage, deliver and finish, separated by commas";

    fn parse(text: &str) -> Option<Self> {
        [Self::Stage, Self::Deliver, Self::Finish].into_iter().find(|step| step.as_str() == text)
    }
}

settings! {
    /// A store that rotation policies may name. In forms, `{tenant}`, `{keyspace}` and `{key}` stand for the ids of the key.
    DeliverySettings, checked by check {
        /// What policies call it, such as `orders-files`. Each name once. Required. Since 0.1.
        value name: Slug;
        /// What it is: `file`, `hook` or `kubernetes_secret`. Required. Since 0.1.
        value kind: DeliveryKind;
        /// Whose keys may be delivered to it, such as `acme/orders`, `acme/*` for all keyspaces of a tenant, or `*/*` for
        /// all. To all others there is no such store. Required. Since 0.1.
        value keyspaces: Vec<KeyspacePattern>;
        /// The one key that may use it. Default empty: all keys of `keyspaces`, and then `{key}` must be in the place, so that
        /// no key writes over another. Since 0.1.
        value key: Option<KeyId> = "";
        /// Of a file: its absolute path, a form such as `/run/keys/{keyspace}/{key}`. It gets mode 0600 and holds the key text
        /// alone, without a line end. Folders are made, mode 0700, from the first with a word in braces on; the one above must
        /// exist. Default empty. Since 0.1.
        value path: Option<String> = "";
        /// Of a hook: the program that gets the key text on its standard input, with its arguments. It is told `LATCHKEY_STEP`,
        /// `LATCHKEY_ROTATION`, `LATCHKEY_KEY` and `LATCHKEY_VERSION` in its environment, and must be idempotent by the rotation.
        /// Exit code 0: done; 75: try again; else the rotation is held. Default empty. Since 0.1.
        value command: Option<CommandLine> = "";
        /// Of a hook: the steps that it is run for. `stage`: it gets the key text, to be kept where consumers do not read it yet;
        /// with this step alone it lets them read it at once. `deliver`: they may read it. `finish`: the rotation has ended, and
        /// `LATCHKEY_ENDING` is `completed`, or `undone` where the old secret is to be put back. Default `stage`. Since 0.1.
        value steps: Vec<HookStep> = "stage";
        /// The consumer's own check, run when every replica accepts the new version and before consumers read it: only when it
        /// exits with 0 the rotation goes on. It is told what a hook is told, of a file also `LATCHKEY_STAGED`, the path where
        /// the new secret lies; it gets no secret itself. Default empty. Since 0.1.
        value check: Option<CommandLine> = "";
        /// How long each command may take, and each step at a store, with its waiting for others there, 1 to 600. Seconds.
        /// Default 30. Since 0.1.
        value time_limit_s: u64 = "30";
        /// Of a Kubernetes Secret: where the API server is reached, over TLS. Default `kubernetes.default.svc:443`. Since 0.1.
        value server: HostPort = "kubernetes.default.svc:443";
        /// Of a Kubernetes Secret: the file with the token that may `get`, `create` and `patch` it. It is read for each call. Default
        /// `/var/run/secrets/kubernetes.io/serviceaccount/token`. Since 0.1.
        value token_file: PathBuf = "/var/run/secrets/kubernetes.io/serviceaccount/token";
        /// Of a Kubernetes Secret: the file with the roots that the API server is believed by. PEM. Default
        /// `/var/run/secrets/kubernetes.io/serviceaccount/ca.crt`. Since 0.1.
        value ca_file: PathBuf = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";
        /// Of a Kubernetes Secret: its namespace, a form without `{key}`. Default empty. Since 0.1.
        value namespace: Option<String> = "";
        /// Of a Kubernetes Secret: its name, a form without `{key}`, such as `latchkey-{keyspace}`. Default empty. Since 0.1.
        value secret: Option<String> = "";
        /// Of a Kubernetes Secret: under which key of its data the key text lies, a form. Default `{key}`. Since 0.1.
        value data_key: String = "{key}";
    }
}

fn check(settings: &DeliverySettings, reader: &mut Reader) {
    let needs = |reader: &mut Reader, set: bool, name: &str, kind: &str| {
        reader.require(
            set,
            name,
            "empty",
            format!("must be set where the kind is {kind}"),
            "set it, or change the kind",
        );
    };
    reader.in_range("time_limit_s", settings.time_limit_s, 1..=600);
    let named = !settings.keyspaces.is_empty();
    let remedy = "name the keyspaces whose keys it is for, such as acme/orders";
    reader.require(named, "keyspaces", "empty", "must name at least one".to_owned(), remedy);
    match settings.kind {
        DeliveryKind::File => {
            needs(reader, settings.path.is_some(), "path", "file");
            check_path(settings, reader);
        }
        DeliveryKind::Hook => {
            needs(reader, settings.command.is_some(), "command", "hook");
            let expected = "must contain stage, the step that gets the secret".to_owned();
            let remedy = "add stage, or leave steps away";
            reader.require(settings.steps.contains(&HookStep::Stage), "steps", "without it", expected, remedy);
        }
        DeliveryKind::KubernetesSecret => {
            needs(reader, settings.namespace.is_some(), "namespace", "kubernetes_secret");
            needs(reader, settings.secret.is_some(), "secret", "kubernetes_secret");
            // The names of Secrets have no capitals, and the ids of keys do.
            check_form(reader, "namespace", settings.namespace.as_deref().unwrap_or_default(), &WORDS[..2]);
            check_form(reader, "secret", settings.secret.as_deref().unwrap_or_default(), &WORDS[..2]);
            check_form(reader, "data_key", &settings.data_key, &WORDS);
            check_own(settings, reader, "data_key", &settings.data_key);
        }
    }
}

fn check_path(settings: &DeliverySettings, reader: &mut Reader) {
    let Some(path) = &settings.path else { return };
    let plain =
        path.starts_with('/') && !path.ends_with('/') && !path.split('/').any(|part| part == ".." || part == ".");
    let expected = "must be the absolute path of a file, without . and ..".to_owned();
    reader.require(plain, "path", path, expected, "give a path such as /run/keys/{key}");
    check_form(reader, "path", path, &WORDS);
    check_own(settings, reader, "path", path);
}

/// That each word in braces is one that is filled.
fn check_form(reader: &mut Reader, name: &str, form: &str, words: &[&str]) {
    let mut rest = form.to_owned();
    for word in words {
        rest = rest.replace(&format!("{{{word}}}"), "");
    }
    let all = words.iter().map(|word| format!("{{{word}}}")).collect::<Vec<_>>().join(", ");
    let expected = format!("must have no braces but those of {all}");
    reader.require(!rest.contains(['{', '}']), name, form, expected, "remove the others");
}

/// That no key writes over another.
fn check_own(settings: &DeliverySettings, reader: &mut Reader, name: &str, form: &str) {
    let own = settings.key.is_some() || form.contains("{key}");
    let expected = "must contain {key}, or its keys would write over each other".to_owned();
    reader.require(own, name, form, expected, "put {key} into it, or name the one key with `key`");
}

/// That each name is there once.
pub(crate) fn check_names(all: &[DeliverySettings], reader: &mut Reader) {
    for (index, one) in all.iter().enumerate() {
        let first = !all.iter().take(index).any(|other| other.name == one.name);
        let expected = "must be the name of one store only".to_owned();
        reader.require(first, &format!("delivery[{index}].name"), &one.name, expected, "give another name");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Mistakes, RotationSettings, Sources};
    use std::io::Write as _;

    fn load(delivery: &str) -> Result<RotationSettings, Mistakes> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let head = "cluster_secret_file = '/s'\nkek_file = '/k'\nregistry_endpoints = ['127.0.0.1:7720']\n";
        file.write_all(format!("{head}{delivery}").as_bytes()).unwrap();
        RotationSettings::load(&Sources { file: Some(file.path().to_owned()), ..Sources::default() })
    }

    #[test]
    fn each_kind_tells_what_it_lacks() {
        let told = load(
            "[[delivery]]\nname = 'a'\nkind = 'file'\nkeyspaces = ['acme/orders']\n\
             [[delivery]]\nname = 'b'\nkind = 'hook'\nkeyspaces = []\n\
             [[delivery]]\nname = 'c'\nkind = 'kubernetes_secret'\nkeyspaces = ['acme']\ntime_limit_s = 0\n",
        );
        let told = told.unwrap_err().to_string();
        for expected in [
            "delivery[0].path (empty) must be set where the kind is file",
            "delivery[1].command (empty) must be set where the kind is hook",
            "delivery[1].keyspaces (empty) must name at least one",
            "delivery[2].keyspaces",
        ] {
            assert!(told.contains(expected), "{expected}: {told}");
        }
    }

    #[test]
    fn no_key_can_write_over_another_nor_outside_its_folder() {
        for (path, expected) in [
            ("/run/key", "must contain {key}"),
            ("run/{key}", "absolute path"),
            ("/run/../{key}", "absolute path"),
            ("/run/{key}/", "absolute path"),
            ("/run/{key}/{owner}", "no braces but those of {tenant}, {keyspace}, {key}"),
        ] {
            let delivery =
                format!("[[delivery]]\nname = 'a'\nkind = 'file'\nkeyspaces = ['acme/*']\npath = '{path}'\n");
            let told = load(&delivery).unwrap_err().to_string();
            assert!(told.contains(expected), "{path}: {told}");
        }
        let one = "[[delivery]]\nname = 'a'\nkind = 'file'\nkeyspaces = ['acme/orders']\npath = '/run/key'\n\
                   key = '0Jx5k3f9QmZ2aB7c'\n";
        assert!(load(one).is_ok());
    }

    #[test]
    fn a_name_stands_for_one_store() {
        let one = "[[delivery]]\nname = 'a'\nkind = 'hook'\ncommand = '/bin/true -x y'\nkeyspaces = ['acme/*']\n";
        let told = load(&one.repeat(2)).unwrap_err().to_string();
        assert!(told.contains("delivery[1].name (a) must be the name of one store only"), "{told}");
        let settings = load(one).unwrap();
        let line = settings.delivery[0].command.as_ref().unwrap();
        assert_eq!((line.to_string().as_str(), line.arguments.len()), ("/bin/true -x y", 2));
    }

    #[test]
    fn a_pattern_means_one_keyspace_or_all_of_a_tenant() {
        let keyspace = |text| KeyspaceName::parse(text).unwrap();
        let (orders, refunds) = (keyspace("tenants/acme/keyspaces/orders"), keyspace("tenants/acme/keyspaces/refunds"));
        let (one, all) = (KeyspacePattern::parse("acme/orders").unwrap(), KeyspacePattern::parse("acme/*").unwrap());
        assert!(one.matches(&orders) && !one.matches(&refunds));
        assert!(all.matches(&orders) && all.matches(&refunds));
        assert!(!all.matches(&keyspace("tenants/acme2/keyspaces/orders")));
        assert!(KeyspacePattern::parse("*/*").unwrap().matches(&keyspace("tenants/any/keyspaces/thing")));
        for text in ["*", "*/orders", "acme", "acme/", "/orders", "acme/or*", "acme/orders/x"] {
            assert_eq!(KeyspacePattern::parse(text), None, "{text}");
        }
    }
}
