//! How notices travel: by e-mail or webhook, each destination with a back-off that all notices share.

use crate::notices::Notice;
use crate::notices::rests::Rests;
use bytes::Bytes;
use http::{Request, header};
use http_body_util::Full;
use latchkey_config::{Contact, HostPort, NoticeSettings, Url};
use latchkey_dial::{DialError, Reach, Server, Trust};
use latchkey_export::SinkError;
use latchkey_export::mail::{Mail, MailError, MailServer};
use latchkey_export::webhook::{self, SigningKey};
use latchkey_telemetry::OsEntropy;
use std::error::Error;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Before the second attempt and the third. After that a contact is passed.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];
/// What the mail server is called among those that rest. No URL is.
const MAIL: &str = "the mail server";

/// How notices travel. Cheap to clone; all clones let the same destinations rest.
#[derive(Clone, Debug)]
pub struct Senders {
    mail: Option<MailServer>,
    webhook_hosts: Vec<HostPort>,
    /// They may lead anywhere: whoever runs this wrote them down.
    operators: Vec<Contact>,
    signing_key_files: Vec<PathBuf>,
    ca_file: PathBuf,
    limit: Duration,
    rests: Arc<Mutex<Rests>>,
    /// One message at a time is handed in: the first that finds nobody there tells all others.
    mailing: Arc<tokio::sync::Mutex<()>>,
}

/// Why a contact was not told.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    /// A webhook was not reached.
    #[error("no answer")]
    Dial(#[from] DialError),
    /// An e-mail was not handed in.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// A webhook answered something else than 2xx.
    #[error("status {0}")]
    Status(u16),
    /// It took nothing a moment ago, and is left alone.
    #[error("{why}")]
    Rests { left: Duration, why: String },
    /// There is no mail server in the settings.
    #[error("no smtp_server is set")]
    NoMail,
}

impl SendError {
    /// Whether another attempt may do.
    pub(super) fn is_retryable(&self) -> bool {
        match self {
            Self::Dial(error) => !matches!(error, DialError::Refused { .. } | DialError::Content { .. }),
            Self::Mail(error) => error.is_retryable(),
            Self::Status(status) => matches!(status, 408 | 425 | 429 | 500..),
            Self::Rests { .. } => true,
            Self::NoMail => false,
        }
    }

    /// Whether it says something of the destination, and not of this message or this address there.
    fn is_of_destination(&self) -> bool {
        match self {
            Self::Mail(error) => matches!(error, MailError::Server(_)),
            Self::Dial(_) | Self::Status(_) => self.is_retryable(),
            Self::Rests { .. } | Self::NoMail => false,
        }
    }

    /// How long the destination is left alone from now on, as far as that is known.
    pub(super) const fn left(&self) -> Duration {
        match self {
            Self::Rests { left, .. } => *left,
            _ => Duration::ZERO,
        }
    }

    /// All that is known, causes included.
    pub(super) fn told(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let _ = write!(text, ": {error}");
            cause = error.source();
        }
        text
    }
}

impl Senders {
    /// As the settings say.
    #[must_use]
    pub fn new(settings: &NoticeSettings) -> Self {
        let limit = Duration::from_secs(settings.time_limit_s);
        let mail = settings.smtp_server.as_ref().zip(settings.from.clone()).map(|(server, from)| MailServer {
            server: Server {
                address: server.to_string(),
                trust: settings.smtp_tls.then(|| Trust::roots(&settings.ca_file)),
                reach: Reach::Anywhere,
                limit,
            },
            starttls: settings.smtp_starttls,
            user: settings.smtp_username.clone().zip(settings.smtp_password_file.clone()),
            from,
        });
        Self {
            mail,
            webhook_hosts: settings.webhook_hosts.clone(),
            operators: settings.operators.clone(),
            signing_key_files: settings.signing_key_files.clone(),
            ca_file: settings.ca_file.clone(),
            limit,
            rests: Arc::default(),
            mailing: Arc::default(),
        }
    }

    /// That the mail server takes nothing now, and why.
    pub(super) fn no_mail(&self, error: &SendError) -> SinkError {
        let server = self.mail.as_ref().map_or(MAIL, |mail| &mail.server.address).to_owned();
        let left = self.rests(|rests| rests.left(MAIL, Instant::now()));
        SinkError::Mail { server, why: error.told(), retry_after: left.map_or(Duration::ZERO, |(left, _)| left) }
    }

    /// Tells one contact; tries a few times. A mail server that takes nothing at all is tried once: others wait for it as well.
    pub(super) async fn tell(&self, contact: &Contact, notice: &Notice, now: u64) -> Result<(), SendError> {
        let mut pauses = PAUSES.iter();
        loop {
            match (self.tell_once(contact, notice, now).await, pauses.next()) {
                (Err(error), Some(pause)) if error.is_retryable() && !is_of_mail(contact, &error) => {
                    sleep(*pause).await;
                }
                (told, _) => return told,
            }
        }
    }

    /// Tells one contact, unless its destination rests.
    pub(super) async fn tell_once(&self, contact: &Contact, notice: &Notice, now: u64) -> Result<(), SendError> {
        let turn = match contact {
            Contact::Mail(_) => Some(self.mailing.lock().await),
            Contact::Webhook(_) => None,
        };
        let destination = match contact {
            Contact::Mail(_) => MAIL.to_owned(),
            Contact::Webhook(url) => url.whole(),
        };
        if let Some((left, why)) = self.rests(|rests| rests.left(&destination, Instant::now())) {
            return Err(SendError::Rests { left, why });
        }
        let told = match contact {
            Contact::Mail(address) => self.mail(address, notice, now).await,
            Contact::Webhook(url) => self.call(url, notice, now).await,
        };
        match &told {
            Err(error) if error.is_of_destination() => {
                let why = error.told();
                let rest = self.rests(|rests| rests.failed(&destination, why, Instant::now(), &mut OsEntropy));
                tracing::debug!(?rest, "a destination of notices is left alone");
            }
            _ => self.rests(|rests| rests.well(&destination)),
        }
        drop(turn);
        told
    }

    async fn mail(&self, address: &str, notice: &Notice, now: u64) -> Result<(), SendError> {
        let server = self.mail.as_ref().ok_or(SendError::NoMail)?;
        let mail = Mail {
            to: address.to_owned(),
            subject: notice.subject.clone(),
            text: notice.text.clone(),
            id: notice.id.clone(),
            unix_seconds: now,
        };
        Ok(server.send(&mail).await?)
    }

    async fn call(&self, url: &Url, notice: &Notice, now: u64) -> Result<(), SendError> {
        let own = self.operators.iter().any(|own| matches!(own, Contact::Webhook(own) if own == url));
        let allowed = own || self.webhook_hosts.contains(url.host());
        let server = Server {
            address: url.host().to_string(),
            trust: Some(Trust::roots(&self.ca_file)),
            reach: if allowed { Reach::Anywhere } else { Reach::Public },
            limit: self.limit,
        };
        let keys: Result<Vec<_>, _> = self.signing_key_files.iter().map(|file| SigningKey::read(file)).collect();
        let body = body(notice);
        let mut request = Request::post(url.target()).header(header::CONTENT_TYPE, "application/json");
        for (name, value) in webhook::headers(&keys?, &notice.id, now, body.as_bytes()) {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::from(body))).expect("the path of a URL is visible letters");
        let status = server.call(request).await?.status;
        if status.is_success() { Ok(()) } else { Err(SendError::Status(status.as_u16())) }
    }

    fn rests<T>(&self, act: impl FnOnce(&mut Rests) -> T) -> T {
        act(&mut self.rests.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether an error says that our mail server takes nothing: what it did not take then comes again.
pub(super) fn is_of_mail(contact: &Contact, error: &SendError) -> bool {
    let away = matches!(error, SendError::Rests { .. } | SendError::Mail(MailError::Server(_)));
    matches!(contact, Contact::Mail(_)) && away
}

/// The notice as JSON.
fn body(notice: &Notice) -> String {
    let fields = [
        ("id", &notice.id),
        ("type", &notice.kind),
        ("about", &notice.about),
        ("subject", &notice.subject),
        ("text", &notice.text),
    ];
    let fields: Vec<_> = fields.iter().map(|(name, value)| format!("\"{name}\":{}", quoted(value))).collect();
    format!("{{{}}}", fields.join(","))
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(letter))),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}
