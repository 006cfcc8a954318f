//! `latchkey keyring`: the keys that the cluster itself seals and digests with.

use crate::cli::context::{Context, Page, PageArguments};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::names::Kind;
use crate::cli::output::{self, Column, Shape, View};
use crate::cli::shared::TryArguments;
use crate::cli::span;
use clap::{Args, Subcommand, ValueEnum};
use latchkey_wire::pb::v1 as pb;
use pb::ring_key::{Purpose, State};
use std::time::Duration;
use tokio::time::Instant;

pub(super) const VIEW: View = View {
    columns: &[
        Column::new("NUMBER", "number", Shape::Plain),
        Column::new("PURPOSE", "purpose", Shape::Word),
        Column::new("OF", "of", Shape::Name),
        Column::new("STATE", "state", Shape::Word),
        Column::new("AGE", "createTime", Shape::Age),
        Column::new("DIGESTS", "versions", Shape::Plain),
        Column::new("SEALS", "inners", Shape::Plain),
        Column::new("WRAPS", "ringKeys", Shape::Plain),
        Column::new("WRAPPED BY", "wrappedBy", Shape::Plain),
        Column::new("KEK", "kek", Shape::Plain),
    ],
    none: "The keyring is empty.",
};

/// How often the keyring is looked at while a rotation is waited for.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// What to do with the keyring.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyringTask {
    /// Shows the keys: what each is for, what still needs it, and how far its replacement has come.
    #[command(alias = "show")]
    Status(Status),
    /// Puts a new key in the place of one in use; the old one goes when nothing needs it any more.
    Rotate(Rotate),
}

/// Which to show.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey keyring status
  latchkey keyring status --all --limit 0
  latchkey keyring status --output json

It shows the keys of the cluster, those that were replaced, and those that took their places; --all shows also what is in
use in tenants and keyspaces, and the replay keys. DIGESTS are versions whose digest is under a pepper, SEALS are versions
whose inner digest is under a data key, WRAPS are keys of the keyring under a key. An old key is destroyed once all three
are zero; that of the log once no disk of a replica needs it either.")]
pub(crate) struct Status {
    /// Show all keys.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    page: PageArguments,
}

/// What to rotate.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey keyring rotate pepper --dry-run
  latchkey keyring rotate pepper --wait 10m
  latchkey keyring rotate keyspace acme/orders --wait 10m
  latchkey keyring rotate tenant acme
  latchkey keyring rotate log
  latchkey keyring rotate kek

Nothing stops: what is made from now on is made with the new key, and validations go on under both until everything that
the old one made is made anew in the background, whoever leads. To stop waiting stops nothing. Before kek, give the new
key-encryption key to all replicas and services, and keep the old one among the previous ones until this is done.")]
pub(crate) struct Rotate {
    /// Which kind of key.
    #[arg(value_enum, value_name = "WHAT")]
    what: What,
    /// The tenant or keyspace whose key it is; for tenant and keyspace.
    #[arg(value_name = "TENANT[/KEYSPACE]")]
    name: Option<String>,
    /// How long to wait until the old key is gone, telling how far it is; what was asked goes on all the same.
    #[arg(long, value_name = "SPAN", value_parser = span::parse, default_value = "0s")]
    wait: Duration,
    #[command(flatten)]
    tried: TryArguments,
}

/// Kinds of keys that rotate when somebody asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Keys the digests of all secrets.
    Pepper,
    /// Seals the log and the rows of the directory.
    Log,
    /// The key-encryption key, which wraps the keys at the top.
    Kek,
    /// Wraps the other keys of a tenant.
    Tenant,
    /// Seals what is kept of the secrets of a keyspace: its data key.
    Keyspace,
}

impl KeyringTask {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        match self {
            Self::Status(task) => task.run(context).await,
            Self::Rotate(task) => task.run(context).await,
        }
    }
}

impl Status {
    async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let fetch = async |page_size, page_token| {
            let request = pb::GetKeyringRequest { all: self.all, page_size, page_token };
            let answer = context.api.get_keyring(request).await?;
            if context.printer.is_for_people() {
                answer.message.keks.iter().for_each(|kek| output::note(&tell(kek)));
                left(&answer.message).iter().for_each(|left| output::note(left));
            }
            Ok(Page::new(&answer, |page| &page.next_page_token))
        };
        context.list(&self.page, &VIEW, "ringKeys", fetch).await?;
        Ok(Exit::Done)
    }
}

impl Rotate {
    async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let (purpose, of) = self.which(context)?;
        let request = pb::RotateKeyringRequest {
            purpose: purpose.into(),
            of: of.clone(),
            validate_only: self.tried.dry_run,
            request_id: self.tried.request_id(),
        };
        let answer = context.api.rotate_keyring(request).await?;
        if !self.tried.dry_run {
            self.until_gone(context, purpose, &of).await?;
            if self.wait.is_zero() && context.printer.is_for_people() {
                output::note("latchkey keyring status tells how far it is.");
            }
        }
        context.show_change(&answer, self.tried.dry_run)?;
        Ok(Exit::Done)
    }

    fn which(&self, context: &Context) -> Result<(Purpose, String), CliError> {
        let alone = |purpose| match &self.name {
            None => Ok((purpose, String::new())),
            Some(name) => Err(CliError::usage(format!("{name} has no key of this kind: the cluster has one"))
                .remedy("leave the name out, or rotate the key of a tenant or keyspace")),
        };
        let named = |kind, purpose| match &self.name {
            Some(name) => Ok((purpose, context.name(kind, name)?)),
            None => Err(CliError::usage("expected the name of whose key is to rotate")
                .remedy("such as: latchkey keyring rotate keyspace acme/orders")),
        };
        match self.what {
            What::Pepper => alone(Purpose::Pepper),
            What::Log => alone(Purpose::Log),
            What::Kek => alone(Purpose::Kek),
            What::Tenant => named(Kind::Tenant, Purpose::Tenant),
            What::Keyspace => named(Kind::Keyspace, Purpose::Keyspace),
        }
    }

    async fn until_gone(&self, context: &Context, purpose: Purpose, of: &str) -> Result<(), CliError> {
        let (ends, mut told) = (Instant::now() + self.wait, String::new());
        while !self.wait.is_zero() {
            // Whoever is asked may be about to stop: the next look finds out.
            if let Ok((keys, keks)) = all_keys(context, purpose == Purpose::Kek).await {
                let Some(now) = waits_for(&keys, &keks, purpose, of) else { return Ok(()) };
                if now != told && context.printer.is_for_people() {
                    output::note(&now);
                    told = now;
                }
            }
            if Instant::now() >= ends {
                return Err(CliError::usage(format!("not yet after {} s: {told}", self.wait.as_secs()))
                    .remedy("latchkey keyring status tells how far it is; what was asked goes on"));
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        Ok(())
    }
}

async fn all_keys(context: &Context, all: bool) -> Result<(Vec<pb::RingKey>, Vec<pb::KeyEncryptionKey>), CliError> {
    let (mut keys, mut keks, mut page_token) = (Vec::new(), Vec::new(), String::new());
    loop {
        let answer = context.api.get_keyring(pb::GetKeyringRequest { all, page_size: 1_000, page_token }).await?;
        keys.extend(answer.message.ring_keys);
        keks.extend(answer.message.keks);
        page_token = answer.message.next_page_token;
        if page_token.is_empty() {
            return Ok((keys, keks));
        }
    }
}

/// What a rotation still waits for, in a sentence; nothing where it is done.
fn waits_for(keys: &[pb::RingKey], keks: &[pb::KeyEncryptionKey], purpose: Purpose, of: &str) -> Option<String> {
    if purpose == Purpose::Kek {
        return waits_for_kek(keks);
    }
    let is_old = |key: &&pb::RingKey| key.purpose() == purpose && key.of == of && key.state() != State::Current;
    let old = keys.iter().find(is_old)?;
    let number = old.number;
    Some(match (old.versions + old.inners, old.ring_keys) {
        (0, 0) if !old.needed_by.is_empty() => {
            format!("The folders of these replicas still need key {number}: {}.", list(&old.needed_by))
        }
        (0, 0) => format!("Nothing in the state needs key {number} any more; it is not destroyed yet."),
        (0, wrapped) => format!("Key {number} still wraps {wrapped} keys."),
        (versions, _) => format!("{versions} versions still need key {number}."),
    })
}

/// What the move to the key-encryption key that all replicas name still waits for; nothing where it is done.
fn waits_for_kek(keks: &[pb::KeyEncryptionKey]) -> Option<String> {
    if keks.is_empty() {
        return Some("No leader tells how far it is.".to_owned());
    }
    let old = keks.iter().find(|kek| kek.first_of.is_empty() && kek.ring_keys + kek.needed_by.len() as u64 > 0)?;
    Some(tell(old))
}

/// A key-encryption key in a sentence.
fn tell(kek: &pb::KeyEncryptionKey) -> String {
    let (id, wrapped) = (&kek.id, kek.ring_keys);
    let (has, first, needs) = (list(&kek.replicas), list(&kek.first_of), list(&kek.needed_by));
    format!(
        "Key-encryption key {id}: wraps {wrapped} keys of the keyring; at hand on replicas {has}; named in kek_file of \
         {first}; needed by the folders of {needs}."
    )
}

fn list(ids: &[u64]) -> String {
    let ids: Vec<_> = ids.iter().map(u64::to_string).collect();
    if ids.is_empty() { "none".to_owned() } else { ids.join(", ") }
}

/// What is left of the rotations under way; nothing where none is.
fn left(keyring: &pb::GetKeyringResponse) -> Option<String> {
    let (digests, inners) = (keyring.versions_to_redigest, keyring.inners_to_reseal);
    (digests + inners > 0).then(|| format!("{digests} digests and {inners} inner digests are yet to be made anew."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32, state: State, versions: u64) -> pb::RingKey {
        let purpose = Purpose::Pepper.into();
        pb::RingKey { number, purpose, state: state.into(), versions, ..pb::RingKey::default() }
    }

    #[test]
    fn a_rotation_is_waited_for_until_the_old_key_is_gone() {
        let keys = [key(2, State::Retiring, 7), key(9, State::Current, 3)];
        assert_eq!(waits_for(&keys, &[], Purpose::Pepper, "").unwrap(), "7 versions still need key 2.");
        let keys = [key(2, State::Unused, 0), key(9, State::Current, 10)];
        assert!(waits_for(&keys, &[], Purpose::Pepper, "").unwrap().contains("not destroyed yet"));
        assert_eq!(waits_for(&keys[1..], &[], Purpose::Pepper, ""), None);
        assert_eq!(waits_for(&keys, &[], Purpose::Log, ""), None, "another kind is not waited for");
        assert_eq!(waits_for(&keys, &[], Purpose::Pepper, "tenants/acme"), None, "nor that of another");
    }

    #[test]
    fn the_kek_is_waited_for_until_nothing_is_under_the_old_one_and_no_folder_needs_it() {
        let kek = |id: &str, ring_keys, first_of: &[u64], needed_by: &[u64]| pb::KeyEncryptionKey {
            id: id.to_owned(),
            ring_keys,
            replicas: vec![1, 2],
            first_of: first_of.to_vec(),
            needed_by: needed_by.to_vec(),
        };
        let new = kek("bb", 5, &[1, 2], &[1, 2]);
        let waits = |old| waits_for(&[], &[old, new.clone()], Purpose::Kek, "");
        assert!(waits(kek("aa", 3, &[], &[1])).unwrap().contains("aa: wraps 3 keys"));
        assert!(waits(kek("aa", 0, &[], &[1])).unwrap().contains("needed by the folders of 1."));
        assert_eq!(waits(kek("aa", 0, &[], &[])), None);
        assert!(waits_for(&[], &[], Purpose::Kek, "").is_some(), "nobody tells");
    }
}
