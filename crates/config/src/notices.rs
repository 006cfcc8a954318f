//! Notices to those whose keys they are, and to operators.

use std::path::{Path, PathBuf};

use crate::contact::Contact;
use crate::declare::settings;
use crate::host_port::HostPort;
use crate::reader::Reader;

settings! {
    /// Notices to the contacts of owners and tenants: that a key is due for a rotation or that a rotation waits, each at most once a
    /// day; that a key soon expires, as often as its keyspace says; and to operators, of what audit alone knows.
    NoticeSettings, checked by check {
        /// Whether notices are sent. Of several audit services one is to send. Default `false`. Since 0.1.
        value enabled: bool = "false";
        /// Where e-mail is handed in, such as `mail.example:465`. Default empty: contacts that are e-mail addresses get nothing.
        /// Since 0.1.
        value smtp_server: Option<HostPort> = "";
        /// Whether the connection begins in the clear and becomes TLS by STARTTLS, as at port 587. Default `false`: TLS from the
        /// beginning. Since 0.1.
        value smtp_starttls: bool = "false";
        /// Whether TLS is spoken; without it only this machine can be named. Default `true`. Since 0.1.
        value smtp_tls: bool = "true";
        /// Who we are there. Default empty. Since 0.1.
        value smtp_username: Option<String> = "";
        /// The file with the password of `smtp_username`. Mode 0600, outside the data folder. Default empty. Since 0.1.
        value smtp_password_file: Option<PathBuf> = "";
        /// From whom e-mail is: an address. Default empty: required where there is a `smtp_server`. Since 0.1.
        value from: Option<String> = "";
        /// Hosts with ports that webhooks of contacts may lead to although they have private addresses, such as
        /// `hooks.internal:443`. All others must have public addresses alone, since tenants write contacts; `operators` may lead
        /// anywhere. Default empty. Since 0.1.
        value webhook_hosts: Vec<HostPort> = "";
        /// The files with the secrets that sign webhooks by Standard Webhooks. Mode 0600, outside the data folder. Default empty.
        /// Since 0.1.
        value signing_key_files: Vec<PathBuf> = "";
        /// Who is told what audit alone knows: that a sink takes nothing or falls behind, that the log was forked or rolled back, that
        /// no checkpoint covers it, each once when it begins and once when it has ended; alarms of the audit log; and notices about
        /// keys that nobody else can be told of. E-mail addresses and URLs of https. Default empty. Since 0.1.
        value operators: Vec<Contact> = "";
        /// How long a sink takes nothing, or is behind without catching up, before operators are told, 10 to 86400. Seconds. Default
        /// 900. Since 0.1.
        value sink_behind_after_s: u64 = "900";
        /// How long entries wait for a checkpoint before operators are told, 10 to 86400. Seconds. Default 600. Since 0.1.
        value unsigned_after_s: u64 = "600";
        /// The file with the roots that servers are believed by. PEM. Default `/etc/ssl/certs/ca-certificates.crt`. Since 0.1.
        value ca_file: PathBuf = "/etc/ssl/certs/ca-certificates.crt";
        /// How long one message may take, 1 to 60. Seconds. Default 10. Since 0.1.
        value time_limit_s: u64 = "10";
    }
}

impl NoticeSettings {
    /// The files with secrets, by the names of their settings.
    pub fn secret_files(&self) -> impl Iterator<Item = (&'static str, &PathBuf)> {
        let password = self.smtp_password_file.iter().map(|file| ("smtp_password_file", file));
        password.chain(self.signing_key_files.iter().map(|file| ("signing_key_files", file)))
    }
}

fn check(settings: &NoticeSettings, reader: &mut Reader) {
    let near = settings.smtp_tls || settings.smtp_server.as_ref().is_none_or(HostPort::is_loopback);
    let expected = "must be true where the server is another machine".to_owned();
    reader.require(near, "smtp_tls", "false", expected, "speak TLS, or name a server of this machine");
    let paired = settings.smtp_username.is_some() == settings.smtp_password_file.is_some();
    let expected = "must come with smtp_username".to_owned();
    reader.require(paired, "smtp_password_file", "alone or missing", expected, "set both or none");
    let from = settings.smtp_server.is_none() || settings.from.is_some();
    let expected = "must be set where there is a smtp_server".to_owned();
    reader.require(from, "from", "empty", expected, "give the address that e-mail is from");
    reader.in_range("time_limit_s", settings.time_limit_s, 1..=60);
    reader.in_range("sink_behind_after_s", settings.sink_behind_after_s, 10..=86_400);
    reader.in_range("unsigned_after_s", settings.unsigned_after_s, 10..=86_400);
    let mail = settings.smtp_server.is_some() || !settings.operators.iter().any(|to| matches!(to, Contact::Mail(_)));
    let expected = "must be set where operators has e-mail addresses".to_owned();
    reader.require(mail || !settings.enabled, "smtp_server", "empty", expected, "say where e-mail is handed in");
}

/// That no secret lies beside what it protects.
pub(crate) fn check_notices(settings: &NoticeSettings, data_folder: &Path, reader: &mut Reader) {
    for (name, file) in settings.secret_files() {
        let expected = format!("must not lie in data_folder ({})", data_folder.display());
        let remedy = "move it: whoever gets a copy of the data must not get the secret with it";
        reader.require(!file.starts_with(data_folder), &format!("notices.{name}"), file.display(), expected, remedy);
    }
}

#[cfg(test)]
mod tests {
    use crate::{AuditSettings, Sources};

    #[test]
    fn every_mistake_is_told_at_once_and_nothing_is_sent_unless_asked_for() {
        let load = |more: &[(&str, &str)]| {
            let usual = [
                ("data_folder", "/data"),
                ("cluster_secret_file", "/s"),
                ("kek_file", "/k"),
                ("registry_endpoints", "127.0.0.1:1"),
            ];
            let flags =
                usual.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            AuditSettings::load(&Sources { flags, ..Sources::default() })
        };
        assert!(!load(&[]).unwrap().notices.enabled);
        let told = load(&[
            ("notices.smtp_server", "mail.example:25"),
            ("notices.smtp_tls", "false"),
            ("notices.smtp_password_file", "/data/password"),
            ("notices.time_limit_s", "0"),
            ("notices.unsigned_after_s", "9"),
            ("notices.operators", "ops@example.com,https://u:p@hooks.example/x?token=y"),
        ]);
        let told = told.unwrap_err().to_string();
        for expected in [
            "notices.smtp_tls (false) must be true",
            "notices.from (empty) must be set",
            "notices.smtp_password_file",
            "notices.time_limit_s (0) must be 1 to 60",
            "notices.unsigned_after_s (9) must be 10 to 86400",
            "notices.operators (not shown",
        ] {
            assert!(told.contains(expected), "{expected}: {told}");
        }
        assert!(!told.contains("token=y") && !told.contains("u:p"), "{told}");
        let told = load(&[("notices.enabled", "true"), ("notices.operators", "ops@example.com")]);
        let told = told.unwrap_err().to_string();
        assert!(
            told.contains("notices.smtp_server (empty) must be set where operators has e-mail addresses"),
            "{told}"
        );
        let hook = load(&[("notices.operators", "https://hooks.example/x?token=y")]).unwrap().notices;
        assert!(!format!("{hook:?}").contains("token"), "{hook:?}");
    }
}
