//! One message by SMTP (RFC 5321): plain text in ASCII, over TLS from the beginning or by STARTTLS.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use latchkey_config::is_address;
use latchkey_dial::{Connection, DialError, Server, read_file};
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::time::{Instant, timeout, timeout_at};
use zeroize::Zeroizing;

/// Longest line of an answer, and the most lines of one. RFC 5321, section 4.5.3.1.5, and more than any server has to say.
const LINE_BYTES_MAX: usize = 2_048;
const LINES_MAX: usize = 128;
/// How long the server may take to say good-bye, after it has the message.
const QUIT_MAX: Duration = Duration::from_secs(1);

/// Where messages are handed in.
#[derive(Clone, Debug)]
pub struct MailServer {
    /// The server.
    pub server: Server,
    /// Whether the connection begins in the clear, and TLS after that.
    pub starttls: bool,
    /// Our name there, and the file with the password.
    pub user: Option<(String, PathBuf)>,
    /// From whom messages are.
    pub from: String,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// To whom: an address.
    pub to: String,
    /// What it is about, in one line.
    pub subject: String,
    /// What it says.
    pub text: String,
    /// Its id: the same for each attempt, so that a reader can tell a repeat.
    pub id: String,
    /// When it was written, seconds since 1970.
    pub unix_seconds: u64,
}

/// Why a message was not handed in.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The server was not reached.
    #[error("no answer from the mail server")]
    Reach(#[from] DialError),
    /// The connection broke.
    #[error("the connection to the mail server broke")]
    Stream(#[from] io::Error),
    /// What it answers is no SMTP.
    #[error("the mail server does not speak SMTP")]
    Answer,
    /// It refused a step.
    #[error("the mail server answered {code} to {step}")]
    Refused {
        /// The command.
        step: &'static str,
        /// What it said: 4xx may pass, 5xx does not.
        code: u16,
    },
    /// The server takes no messages, whoever they are for: it is away, or does not know us.
    #[error("the mail server takes no messages")]
    Server(#[source] Box<Self>),
    /// An address or a line that cannot be sent.
    #[error("{0} cannot be sent: it is no address in ASCII")]
    Address(String),
}

impl MailError {
    /// Whether the same message may be taken later.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Refused { code, .. } => *code < 500,
            Self::Address(_) => false,
            Self::Reach(_) | Self::Stream(_) | Self::Answer | Self::Server(_) => true,
        }
    }
}

impl MailServer {
    /// Hands in a message.
    ///
    /// # Errors
    /// [`MailError`]: [`MailError::Server`] where it would be the same for any message.
    pub async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        for address in [&self.from, &mail.to] {
            if !is_address(address) {
                return Err(MailError::Address(address.clone()));
            }
        }
        let limit = self.server.limit;
        let by = Instant::now() + limit;
        let late = |_| MailError::from(DialError::Time(limit));
        let begun = timeout_at(by, self.begin()).await.map_err(late).flatten();
        let talk = begun.map_err(|error| MailError::Server(Box::new(error)))?;
        let mut talk = timeout_at(by, Self::give(talk, &self.from, mail)).await.map_err(late)??;
        // It has the message: how it says good-bye, and whether it does, changes nothing.
        let _ = timeout(QUIT_MAX, talk.step("QUIT", b"QUIT\r\n", 221)).await;
        Ok(())
    }

    /// All that comes before the address of whoever gets a message.
    async fn begin(&self) -> Result<Talk, MailError> {
        let mut talk = Talk::greeted(self.connect().await?).await?;
        talk.step("EHLO", b"EHLO latchkey\r\n", 250).await?;
        if let Some((name, file)) = &self.user {
            let password = read_file(file)?;
            let mut plain = Zeroizing::new(format!("\0{name}\0").into_bytes());
            plain.extend_from_slice(password.trim_ascii());
            let line = Zeroizing::new(format!("AUTH PLAIN {}\r\n", BASE64_STANDARD.encode(&plain)));
            talk.step("AUTH", line.as_bytes(), 235).await?;
        }
        talk.step("MAIL FROM", format!("MAIL FROM:<{}>\r\n", self.from).as_bytes(), 250).await?;
        Ok(talk)
    }

    async fn give(mut talk: Talk, from: &str, mail: &Mail) -> Result<Talk, MailError> {
        talk.step("RCPT TO", format!("RCPT TO:<{}>\r\n", mail.to).as_bytes(), 250).await?;
        talk.step("DATA", b"DATA\r\n", 354).await?;
        talk.step("the message", message(from, mail).as_bytes(), 250).await?;
        Ok(talk)
    }

    /// Connects; by STARTTLS the server has said its greeting in the clear, and greets no more.
    async fn connect(&self) -> Result<(Connection, bool), MailError> {
        if !self.starttls {
            return Ok((self.server.dial(&[]).await?, true));
        }
        let mut talk = Talk::greeted((Box::pin(self.server.tcp().await?), true)).await?;
        talk.step("EHLO", b"EHLO latchkey\r\n", 250).await?;
        talk.step("STARTTLS", b"STARTTLS\r\n", 220).await?;
        // What came before the handshake would be somebody else's words.
        if !talk.stream.buffer().is_empty() {
            return Err(MailError::Answer);
        }
        Ok((self.server.over(talk.stream.into_inner(), &[]).await?, false))
    }
}

/// A dialogue.
struct Talk {
    stream: BufReader<Connection>,
}

impl Talk {
    async fn greeted((connection, greets): (Connection, bool)) -> Result<Self, MailError> {
        let mut talk = Self { stream: BufReader::new(connection) };
        if greets {
            talk.answer("the connection", 220).await?;
        }
        Ok(talk)
    }

    async fn step(&mut self, step: &'static str, line: &[u8], expected: u16) -> Result<(), MailError> {
        self.stream.write_all(line).await?;
        self.stream.flush().await?;
        self.answer(step, expected).await
    }

    async fn answer(&mut self, step: &'static str, expected: u16) -> Result<(), MailError> {
        for _ in 0..LINES_MAX {
            let mut line = Vec::new();
            let mut bounded = tokio::io::AsyncReadExt::take(&mut self.stream, LINE_BYTES_MAX as u64);
            bounded.read_until(b'\n', &mut line).await?;
            let code = line.get(..3).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
            let code: u16 = code.ok_or(MailError::Answer)?;
            match line.get(3) {
                Some(b'-') => {}
                _ if code == expected => return Ok(()),
                _ => return Err(MailError::Refused { step, code }),
            }
        }
        Err(MailError::Answer)
    }
}

/// The message as `DATA` carries it, its end included.
fn message(from: &str, mail: &Mail) -> String {
    let host = from.rsplit('@').next().unwrap_or("latchkey.invalid");
    let mut text = String::new();
    let headers = [
        ("Date", date(mail.unix_seconds)),
        ("From", format!("Latchkey <{from}>")),
        ("To", mail.to.clone()),
        ("Subject", ascii(&mail.subject)),
        ("Message-ID", format!("<{}@{host}>", ascii(&mail.id))),
        ("Auto-Submitted", "auto-generated".to_owned()),
        ("MIME-Version", "1.0".to_owned()),
        ("Content-Type", "text/plain; charset=us-ascii".to_owned()),
    ];
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    for line in mail.text.lines() {
        // A point at the beginning would end the message.
        if line.starts_with('.') {
            text.push('.');
        }
        text.push_str(&ascii(line));
        text.push_str("\r\n");
    }
    text.push_str(".\r\n");
    text
}

/// One line of visible ASCII.
fn ascii(text: &str) -> String {
    text.chars().map(|letter| if letter == ' ' || letter.is_ascii_graphic() { letter } else { '?' }).take(900).collect()
}

/// A date of RFC 5322, in UTC.
fn date(unix_seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (days, seconds) = (unix_seconds / 86_400, unix_seconds % 86_400);
    // Days of the civil calendar, from the first of March of the year 0 (H. Hinnant).
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let index = |number: u64| usize::try_from(number).expect("a day or a month");
    format!(
        "{}, {day:02} {} {year} {:02}:{:02}:{:02} +0000",
        DAYS[index(days % 7)],
        MONTHS[index(month - 1)],
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_cannot_be_ended_or_headed_by_what_it_says() {
        let mail = Mail {
            to: "keys@example.com".to_owned(),
            subject: "due\r\nBcc: all@example.com".to_owned(),
            text: "one\n.\n.two\nRCPT TO:<x@y>\r\nend".to_owned(),
            id: "a-7".to_owned(),
            unix_seconds: 1_795_420_800,
        };
        let text = message("latchkey@example.com", &mail);
        assert!(text.contains("Subject: due??Bcc: all@example.com\r\n"), "{text}");
        assert!(text.contains("Date: Mon, 23 Nov 2026 08:00:00 +0000\r\n"), "{text}");
        assert!(text.ends_with("\r\n\r\none\r\n..\r\n..two\r\nRCPT TO:<x@y>\r\nend\r\n.\r\n"), "{text}");
        assert_eq!(text.matches("\r\n.\r\n").count(), 1);
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, shown) in [
            (0, "Thu, 01 Jan 1970 00:00:00 +0000"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 +0000"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 +0000"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 +0000"),
        ] {
            assert_eq!(date(seconds), shown);
        }
    }
}
