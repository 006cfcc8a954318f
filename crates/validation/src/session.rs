//! One caller on one state: what all items of a call share.

use crate::answer::Basis;
use crate::halt::Halt;
use latchkey_decision::{
    Access, Decision, Explanation, Ground, Identified, Presented, Question, Undecided, Verdict, authenticate,
    authenticate_validator, decide, explain, recognise,
};
use latchkey_domain::{DurationMillis, Duty, KeyspaceName, Refusal, Scope, covers};
use latchkey_link::ProvenIdentity;
use latchkey_registry::View;
use latchkey_transport::{Caller, Rejection, Unavailable};
use latchkey_wire::request::ValidateKey;
use std::net::IpAddr;
use tonic::Extensions;

/// Reads how old the state is, anew each time.
type Age<'a> = &'a dyn Fn() -> Result<DurationMillis, Unavailable>;

/// A caller who proved who he is, and the ground on which all is decided.
#[derive(Clone, Copy)]
pub(crate) struct Session<'a> {
    ground: Ground<'a>,
    identified: Identified<'a>,
    age: Age<'a>,
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
    pub(crate) fn open(ground: Ground<'a>, extensions: &Extensions, age: Age<'a>) -> Result<Self, Halt> {
        let (key_text, client) = claim(extensions)?;
        let identified = authenticate(key_text, client, ground, age()?)?;
        Ok(Self { ground, identified, age })
    }

    /// As [`Self::open`], for somebody who validates: where a keyspace is answered for from what was known last, so is who
    /// asks.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(crate) fn open_validator(ground: Ground<'a>, extensions: &Extensions, age: Age<'a>) -> Result<Self, Halt> {
        let (key_text, client) = claim(extensions)?;
        let identified = authenticate_validator(key_text, client, ground, age()?)?;
        Ok(Self { ground, identified, age })
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

    /// Decides on one key.
    ///
    /// # Errors
    /// That it cannot be decided now.
    pub(crate) fn decide<'b>(&self, asked: &'b ValidateKey<'b>) -> Result<Decision<'b>, Halt>
    where
        'a: 'b,
    {
        let question = Question::by(&self.identified, asked.keyspace.as_ref());
        let access = Access { query: asked.query.as_ref(), context: &asked.context };
        decide(asked.key_text, self.ground, question, access, || (self.age)().map_err(Halt::from))
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
