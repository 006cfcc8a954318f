//! A process of the operator's that takes the secret on its standard input.
//!
//! It is started for the steps that the settings list, with nothing in its environment but `LATCHKEY_STEP`, `LATCHKEY_KEY`,
//! `LATCHKEY_ROTATION` (full names, so that it can be idempotent by the rotation) and what belongs to the step:
//!
//! | step | standard input | besides | to do |
//! |---|---|---|---|
//! | `stage` | the key text | `LATCHKEY_VERSION` | keep it where consumers do not read it yet |
//! | `deliver` | nothing | `LATCHKEY_VERSION` | put it where they do; every replica accepts it now |
//! | `finish` | nothing | `LATCHKEY_ENDING`, `completed` or `undone` | forget the old one, or put it back |
//!
//! Exit code 0 says that it is done. A hook with the step `stage` alone delivers at once: its consumers may use the new secret
//! a moment before every replica accepts it. `example.sh`, beside this file, takes all three.

use crate::{BoxFuture, DeliveryError, Ending, Item, Store, process};
use latchkey_config::{CommandLine, HookStep};
use latchkey_domain::{RotationName, VersionName};
use std::time::Duration;

/// Delivers through a process.
#[derive(Debug)]
pub struct HookStore {
    place: String,
    line: CommandLine,
    steps: Vec<HookStep>,
    limit: Duration,
}

impl HookStore {
    /// Runs `line` for each of `steps`, for at most `limit` each time.
    #[must_use]
    pub fn new(line: CommandLine, steps: Vec<HookStep>, limit: Duration) -> Self {
        Self { place: format!("hook:{}", line.program.display()), line, steps, limit }
    }

    async fn run(
        &self,
        step: HookStep,
        rotation: &RotationName,
        about: (&'static str, String),
        input: &[u8],
    ) -> Result<(), DeliveryError> {
        if !self.steps.contains(&step) {
            return Ok(());
        }
        let mut variables = variables(step.as_str(), rotation);
        variables.push(about);
        Ok(process::run(&self.line, &variables, input, self.limit).await?)
    }
}

impl Store for HookStore {
    fn place(&self) -> &str {
        &self.place
    }

    fn stage<'a>(&'a self, item: &'a Item<'a>) -> BoxFuture<'a, Result<(), DeliveryError>> {
        let about = ("LATCHKEY_VERSION", item.version_name().to_string());
        Box::pin(self.run(HookStep::Stage, item.rotation, about, item.text.expose().as_bytes()))
    }

    fn deliver<'a>(
        &'a self,
        rotation: &'a RotationName,
        version: &'a VersionName,
    ) -> BoxFuture<'a, Result<(), DeliveryError>> {
        Box::pin(self.run(HookStep::Deliver, rotation, ("LATCHKEY_VERSION", version.to_string()), &[]))
    }

    fn finish<'a>(&'a self, rotation: &'a RotationName, ending: Ending) -> BoxFuture<'a, Result<(), DeliveryError>> {
        Box::pin(self.run(HookStep::Finish, rotation, ("LATCHKEY_ENDING", ending.as_str().to_owned()), &[]))
    }
}

/// What a command of the settings is told of a rotation. No secret is among it.
pub(crate) fn variables(step: &str, rotation: &RotationName) -> Vec<(&'static str, String)> {
    vec![
        ("LATCHKEY_STEP", step.to_owned()),
        ("LATCHKEY_ROTATION", rotation.to_string()),
        ("LATCHKEY_KEY", rotation.key.to_string()),
    ]
}

#[cfg(test)]
mod tests;
