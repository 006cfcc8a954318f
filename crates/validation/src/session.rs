//! One caller on one state: what all items of a call share.

use crate::answer::Basis;
use crate::halt::Halt;
use latchkey_decision::{
    Access, Decision, Explanation, Freshness, Ground, Identified, Presented, Question, Undecided, Verdict,
    authenticate_noting, authenticate_validator, claimed, decide_noting, explain, recognise,
};
use latchkey_domain::{
    DurationMillis, Duty, KeyId, KeyspaceName, KeyspaceNumber, Outcome, Refusal, Scope, TenantNumber, UnixMillis,
    covers,
};
use latchkey_link::ProvenIdentity;
use latchkey_registry::{LineDetails, ManagementUse, Registry, SeenFrom, Validated, View};
use latchkey_state::{Found, State};
use latchkey_transport::{Caller, Rejection, Unavailable};
use latchkey_wire::request::ValidateKey;
use std::net::IpAddr;
use std::time::Duration;
use tonic::Extensions;

/// Reads how old the state is, anew each time.
type Age<'a> = &'a dyn Fn() -> Result<DurationMillis, Unavailable>;

/// A caller who proved who he is, and the ground on which all is decided.
#[derive(Clone, Copy)]
pub(crate) struct Session<'a> {
    ground: Ground<'a>,
    identified: Identified<'a>,
    age: Age<'a>,
    registry: &'a Registry,
}

/// What a view is to a decision. The time is read once: one answer has one now.
pub(crate) fn ground_of(view: &View) -> Ground<'_> {
    Ground { state: view.state(), peppers: view.peppers(), now: view.now(), denials: view.denials() }
}

impl<'a> Session<'a> {
    /// Finds out who calls.
    ///
    /// # Errors
    /// `IDENTITY_MISSING`, `IDENTITY_UNKNOWN`, and that the state is too old to say.
    pub(crate) fn open(
        ground: Ground<'a>,
        extensions: &Extensions,
        age: Age<'a>,
        registry: &'a Registry,
    ) -> Result<Self, Halt> {
        let (key_text, client) = claim(extensions)?;
        let mut uses = ManagementUse::of(registry, ground.now, client);
        let identified = authenticate_noting(key_text, client, ground, age()?, |found| uses.note(found));
        uses.tell(&identified);
        Ok(Self { ground, identified: identified?, age, registry })
    }

    /// As [`Self::open`], for somebody who validates: where a keyspace is answered for from what was known last, so is who
    /// asks.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(crate) fn open_validator(
        ground: Ground<'a>,
        extensions: &Extensions,
        age: Age<'a>,
        registry: &'a Registry,
    ) -> Result<Self, Halt> {
        let (key_text, client) = claim(extensions)?;
        let mut uses = ManagementUse::of(registry, ground.now, client);
        let identified = authenticate_validator(key_text, client, ground, age()?, |found| uses.note(found));
        uses.tell(&identified);
        Ok(Self { ground, identified: identified?, age, registry })
    }

    /// Refuses whoever validates nowhere. Where he does is for [`decide`]: outside of it there are no keys.
    ///
    /// # Errors
    /// `PERMISSION_DENIED`.
    pub(crate) fn require_validator(&self) -> Result<(), Halt> {
        if self.identified.grants().iter().any(|grant| grant.duty.includes(Duty::Validator)) {
            return Ok(());
        }
        Err(Halt::Refused(Refusal::PermissionDenied { duty: Duty::Validator, scope: Scope::System }))
    }

    /// Refuses whoever operates nothing, or not the keyspace that he asks for. Management keys are operated by those who
    /// operate the system.
    ///
    /// # Errors
    /// `PERMISSION_DENIED`.
    pub(crate) fn require_operator(&self, keyspace: Option<&KeyspaceName>) -> Result<(), Halt> {
        let (grants, duty) = (self.identified.grants(), Duty::Operator);
        let scope = match keyspace {
            None if grants.iter().any(|grant| grant.duty.includes(duty)) => return Ok(()),
            None => Scope::System,
            Some(name) if name.is_management() => Scope::System,
            Some(name) => Scope::Keyspace(name.clone()),
        };
        if covers(grants, duty, &scope) {
            return Ok(());
        }
        Err(Halt::Refused(Refusal::PermissionDenied { duty, scope }))
    }

    /// The state that all is decided on.
    pub(crate) const fn state(&self) -> &'a State {
        self.ground.state
    }

    /// What time it is.
    pub(crate) const fn now(&self) -> UnixMillis {
        self.ground.now
    }

    /// The key with which the caller proved who he is.
    pub(crate) fn key(&self) -> KeyId {
        self.identified.key_name().key
    }

    /// Whether the caller holds a duty there.
    pub(crate) fn holds(&self, duty: Duty, scope: &Scope) -> bool {
        covers(self.identified.grants(), duty, scope)
    }

    /// Who calls, as the other services know him.
    pub(crate) fn proven(&self) -> ProvenIdentity {
        ProvenIdentity {
            identity: self.identified.name(),
            grants: self.identified.grants().to_vec(),
            key: self.identified.key_name(),
            revision: self.ground.state.revision(),
        }
    }

    /// Refuses whoever holds none of `duties` on the system.
    ///
    /// # Errors
    /// `PERMISSION_DENIED`, naming the first.
    pub(crate) fn require_on_system(&self, duties: &[Duty]) -> Result<(), Halt> {
        let grants = self.identified.grants();
        if duties.iter().any(|duty| covers(grants, *duty, &Scope::System)) {
            return Ok(());
        }
        Err(Halt::Refused(Refusal::PermissionDenied { duty: duties[0], scope: Scope::System }))
    }

    /// Decides on one key. Whatever comes of it, that its secret was used is taken note of, where it rotates.
    ///
    /// # Errors
    /// That it cannot be decided now.
    pub(crate) fn decide<'b>(&self, asked: &'b ValidateKey<'b>) -> Result<Decision<'b>, Halt>
    where
        'a: 'b,
    {
        let question = Question::by(&self.identified, asked.keyspace.as_ref());
        let access = Access { query: asked.query.as_ref(), context: &asked.context };
        let age = || (self.age)().map_err(Halt::from);
        let (user_agent, tags) = (asked.log.user_agent, &*asked.log.tags);
        let from = SeenFrom { client: asked.context.client_address, user_agent, tags };
        let note = |found| self.registry.own_evidence().note(&found, self.ground.now, &from);
        decide_noting(asked.key_text, self.ground, question, access, age, note)
    }

    /// Takes note of what was answered, for the audit service.
    pub(crate) fn observe(&self, asked: &ValidateKey<'_>, verdict: &Verdict<'_>, took: Duration) {
        let found = verdict.named();
        let one = Validated {
            outcome: verdict.outcome(),
            found,
            looked_in: if found.is_none() { self.looked_in(asked.keyspace.as_ref()) } else { (TenantNumber(0), None) },
            is_last_known: verdict.freshness() == Freshness::LastKnown,
            now: self.ground.now,
            took,
            client: asked.context.client_address,
        };
        self.registry.observed().validated(&one, || LineDetails {
            mistaken: (one.outcome == Outcome::NotFound).then(|| self.claimed(asked)).flatten(),
            caller: self.identified.name().to_string(),
            method: asked.context.method.as_ref().map_or("", |method| method.as_str()),
            resource: hidden(asked.context.resource.as_ref().map_or("", |path| path.as_str()), asked.key_text),
            user_agent: hidden(asked.log.user_agent, asked.key_text),
            tags: if asked
                .log
                .tags
                .iter()
                .any(|(word, value)| [word, value].iter().any(|text| tells(text, asked.key_text)))
            {
                &[]
            } else {
                &asked.log.tags
            },
        });
    }

    /// Whose loss it is that nothing was found: of the keyspace asked for, if the caller may ask for it, else of his tenant.
    fn looked_in(&self, asked: Option<&KeyspaceName>) -> (TenantNumber, Option<KeyspaceNumber>) {
        let may =
            |name: &&KeyspaceName| covers(self.identified.grants(), Duty::Validator, &Scope::Keyspace((*name).clone()));
        let keyspace = asked.filter(may).and_then(|name| self.ground.state.keyspace(name));
        match keyspace {
            Some(keyspace) => (keyspace.tenant, Some(keyspace.number)),
            None => (self.identified.tenant().number, None),
        }
    }

    fn claimed(&self, asked: &ValidateKey<'_>) -> Option<Found<'a>> {
        let question = Question::by(&self.identified, asked.keyspace.as_ref());
        claimed(asked.key_text, self.ground, question)
    }

    /// Explains what [`Self::decide`] would answer to somebody who may validate what this caller operates.
    ///
    /// # Errors
    /// As [`Self::decide`].
    pub(crate) fn explain<'b>(&self, asked: &'b ValidateKey<'b>) -> Result<Explanation<'b>, Halt>
    where
        'a: 'b,
    {
        let question = Question::explaining(self.identified.grants(), asked.keyspace.as_ref());
        let access = Access { query: asked.query.as_ref(), context: &asked.context };
        let explained = explain(asked.key_text, self.ground, question, access, || (self.age)().map_err(Halt::from))?;
        explained.explanation((self.age)()?).map_err(|stale| Undecided::Stale(stale).into())
    }

    /// Reads the age once more, now that the answer leaves.
    ///
    /// # Errors
    /// That the lease is void.
    pub(crate) fn basis(&self) -> Result<Basis<'a>, Halt> {
        Ok(Basis { state: self.ground.state, age: (self.age)()? })
    }
}

/// Bytes with which a key text begins that no other text has by chance: its prefix and most of its version.
const TELLING_BYTES: usize = 20;

/// Whether a text has the key text in it, though cut: some APIs take keys in paths.
fn tells(text: &str, key_text: &str) -> bool {
    let begins = &key_text[..key_text.floor_char_boundary(TELLING_BYTES)];
    begins.len() == TELLING_BYTES && text.contains(begins)
}

/// The text, unless it tells the key text.
fn hidden<'a>(text: &'a str, key_text: &str) -> &'a str {
    if tells(text, key_text) { "" } else { text }
}

/// Refuses whoever does not even claim to be somebody, before anything is waited for on his behalf.
///
/// # Errors
/// `IDENTITY_MISSING`, `IDENTITY_UNKNOWN`.
pub(crate) fn require_claim(extensions: &Extensions) -> Result<(), Halt> {
    let (key_text, _) = claim(extensions)?;
    match Presented::read_own(key_text) {
        Ok(_) => Ok(()),
        Err(_) => Err(Rejection::IdentityUnknown.into()),
    }
}

/// Who calls, by what this replica knew last, however long ago that was: for what can only take away.
///
/// # Errors
/// `IDENTITY_MISSING`, `IDENTITY_UNKNOWN`.
pub(crate) fn recognised<'a>(ground: Ground<'a>, extensions: &Extensions) -> Result<Identified<'a>, Halt> {
    let (key_text, client) = claim(extensions)?;
    Ok(recognise(key_text, client, ground)?)
}

fn claim(extensions: &Extensions) -> Result<(&str, Option<IpAddr>), Halt> {
    let caller = extensions.get::<Caller>().ok_or(Rejection::IdentityMissing)?;
    let bearer = caller.bearer.as_ref().ok_or(Rejection::IdentityMissing)?;
    Ok((bearer.reveal(), caller.peer.map(|peer| peer.ip())))
}

/// Makes a decision an answer.
///
/// # Errors
/// That the state has become too old meanwhile.
pub(crate) fn verdict<'a>(decision: Decision<'a>, age: DurationMillis) -> Result<Verdict<'a>, Halt> {
    decision.verdict(age).map_err(|stale| Undecided::Stale(stale).into())
}
