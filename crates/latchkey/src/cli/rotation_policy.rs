//! Rotation policies as arguments: a file with the whole of one, and the common fields as flags, which win over the file.

use crate::cli::error::CliError;
use crate::cli::files;
use crate::cli::output::json;
use crate::cli::recipient;
use crate::cli::shared::words;
use crate::cli::span;
use clap::Args;
use latchkey_wire::pb::v1 as pb;
use std::path::PathBuf;
use std::time::Duration;

/// How the old version of a rotation ends.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "How the old version ends")]
pub(crate) struct TermsArguments {
    /// How long both versions are accepted at most; at most 90d.
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    overlap: Option<Duration>,
    /// How long both are accepted at least, whatever the evidence says.
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    overlap_min: Option<Duration>,
    /// End the old version early once it was not used for so long and the new one was.
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    silence: Option<Duration>,
    /// When the overlap begins: at once, or with the first use of the new version [default: at-once].
    #[arg(long, value_name = "WHEN", value_parser = words("OverlapStart"))]
    overlap_start: Option<i32>,
    /// What happens at the deadline where the old version is still used: enforce ends it, hold waits and raises an alarm that
    /// names the callers [default: enforce].
    #[arg(long, value_name = "WHAT", value_parser = words("AtDeadline"))]
    at_deadline: Option<i32>,
    /// With hold: for how much longer than the deadline the old version is accepted at most.
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    hold_max: Option<Duration>,
}

impl TermsArguments {
    /// `terms` with what is given in its place; nothing where nothing was and is.
    pub(crate) fn over(&self, terms: Option<pb::RotationTerms>) -> Option<pb::RotationTerms> {
        let mut terms = terms.unwrap_or_default();
        put(&mut terms.overlap, self.overlap);
        put(&mut terms.overlap_min, self.overlap_min);
        put(&mut terms.silence, self.silence);
        put(&mut terms.hold_max, self.hold_max);
        terms.overlap_start = self.overlap_start.unwrap_or(terms.overlap_start);
        terms.at_deadline = self.at_deadline.unwrap_or(terms.at_deadline);
        (terms != pb::RotationTerms::default()).then_some(terms)
    }
}

/// A rotation policy. It is one field: what is not given of it is taken away.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Rotation policy")]
pub(crate) struct PolicyArguments {
    /// Read it from a file, JSON as `show --output json` prints `rotationPolicy`; spans may be written as 90d. Flags win.
    #[arg(long, value_name = "FILE")]
    rotation_policy: Option<PathBuf>,
    /// How often its keys rotate: high is 30 days with an overlap of 24 h, moderate 90 days with 48 h, custom as you say.
    #[arg(long, value_name = "CLASS", value_parser = words("RiskClass"))]
    rotation_class: Option<i32>,
    /// Who rotates: the rotation service, or you, who is told.
    #[arg(long, value_name = "WHO", value_parser = words("RotationMode"))]
    rotation_mode: Option<i32>,
    /// How old a version is when its key is due; with the class custom.
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    rotation_interval: Option<Duration>,
    /// How long both versions are accepted at most; with the class custom.
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    rotation_overlap: Option<Duration>,
    /// End the old version early once it was not used for so long and the new one was.
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    rotation_silence: Option<Duration>,
    /// Where the old version is still used at the deadline: wait for so much longer at most, and raise an alarm.
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    rotation_hold_max: Option<Duration>,
    /// How long before it is due to give a notice; again for more.
    #[arg(long = "rotation-notice", value_name = "SPAN", value_parser = span::parse)]
    rotation_notices: Vec<Duration>,
    /// Over how long before the interval ends keys become due, so that not all do at one moment.
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    rotation_jitter: Option<Duration>,
    /// How many rotations of the keyspace may be under way before their overlaps [default: 100].
    #[arg(long, value_name = "N")]
    rotation_at_once_max: Option<u32>,
    /// Into which store of the rotation service's settings a new secret goes.
    #[arg(long, value_name = "STORE", conflicts_with = "rotation_recipient")]
    rotation_deliver: Option<String>,
    /// To which public key a new secret is sealed, PEM: X25519 or RSA. `latchkey recipient new` makes one.
    #[arg(long, value_name = "FILE")]
    rotation_recipient: Option<PathBuf>,
}

impl PolicyArguments {
    /// The policy; none where nothing is given.
    ///
    /// # Errors
    /// [`CliError`]: a file is not what it must be.
    pub(crate) fn policy(&self) -> Result<Option<pb::RotationPolicy>, CliError> {
        let mut policy = match &self.rotation_policy {
            Some(path) => json::read("RotationPolicy", &files::read_text(path)?)
                .map_err(|why| CliError::usage(format!("{}: {why}", path.display())))?,
            None => pb::RotationPolicy::default(),
        };
        policy.risk_class = self.rotation_class.unwrap_or(policy.risk_class);
        policy.mode = self.rotation_mode.unwrap_or(policy.mode);
        put(&mut policy.interval, self.rotation_interval);
        put(&mut policy.jitter, self.rotation_jitter);
        policy.at_once_max = self.rotation_at_once_max.or(policy.at_once_max);
        if !self.rotation_notices.is_empty() {
            let mut notices = self.rotation_notices.clone();
            notices.sort_unstable_by(|a, b| b.cmp(a));
            policy.notices = notices.into_iter().map(span::to_wire).collect();
        }
        policy.delivery = self.delivery()?.or(policy.delivery);
        let hold = self.rotation_hold_max.map(|_| pb::AtDeadline::Hold.into());
        let terms = TermsArguments {
            overlap: self.rotation_overlap,
            silence: self.rotation_silence,
            hold_max: self.rotation_hold_max,
            at_deadline: hold,
            ..TermsArguments::default()
        };
        policy.terms = terms.over(policy.terms);
        Ok((policy != pb::RotationPolicy::default()).then_some(policy))
    }

    fn delivery(&self) -> Result<Option<pb::RotationDelivery>, CliError> {
        delivery(self.rotation_deliver.as_deref(), self.rotation_recipient.as_ref())
    }
}

/// Where a new secret goes: to a store, or sealed to the public key in a file.
///
/// # Errors
/// [`CliError`]: there is no such key in the file.
pub(crate) fn delivery(
    store: Option<&str>,
    recipient: Option<&PathBuf>,
) -> Result<Option<pb::RotationDelivery>, CliError> {
    use pb::rotation_delivery::Target;
    let target = match (store, recipient) {
        (Some(store), _) => Target::Store(store.to_owned()),
        (None, Some(file)) => Target::Recipient(recipient::read(file)?),
        (None, None) => return Ok(None),
    };
    Ok(Some(pb::RotationDelivery { target: Some(target) }))
}

fn put(field: &mut Option<prost_types::Duration>, given: Option<Duration>) {
    *field = given.map(span::to_wire).or(*field);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn policy(file: &str, change: impl FnOnce(&mut PolicyArguments)) -> Result<Option<pb::RotationPolicy>, CliError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.json");
        fs::write(&path, file).unwrap();
        let mut arguments = PolicyArguments { rotation_policy: Some(path), ..PolicyArguments::default() };
        change(&mut arguments);
        arguments.policy()
    }

    const FILE: &str = r#"{
        "riskClass": "CUSTOM", "mode": "automatic", "interval": "30d", "notices": ["7d", "86400s"],
        "terms": {"overlap": "24h", "silence": "1h30m", "atDeadline": "HOLD", "holdMax": "2d"},
        "windows": [{"cron": "0 2 * * *", "timeZone": "Europe/Zurich", "length": "4h"}],
        "delivery": {"store": "orders-files"}
    }"#;

    #[test]
    fn what_is_no_policy_is_refused_with_the_place() {
        for (file, expected) in [
            ("", "JSON"),
            ("{\"riskClas\": \"HIGH\"}", "riskClas"),
            ("{\"riskClass\": \"HIGHEST\"}", "HIGHEST"),
            ("{\"interval\": \"soon\"}", "soon"),
        ] {
            let error = policy(file, |_| {}).unwrap_err().text();
            assert!(error.contains("policy.json") && error.contains(expected), "{file}: {error}");
        }
    }

    #[test]
    fn a_file_is_read_with_short_words_and_spans() {
        let policy = policy(FILE, |_| {}).unwrap().unwrap();
        assert_eq!((policy.risk_class(), policy.mode()), (pb::RiskClass::Custom, pb::RotationMode::Automatic));
        let terms = policy.terms.unwrap();
        assert_eq!(terms.at_deadline(), pb::AtDeadline::Hold);
        assert_eq!((policy.interval.unwrap().seconds, terms.silence.unwrap().seconds), (2_592_000, 5_400));
        assert_eq!(policy.windows[0].length.unwrap().seconds, 14_400);
        assert_eq!(policy.notices.iter().map(|notice| notice.seconds).collect::<Vec<_>>(), [604_800, 86_400]);
    }

    #[test]
    fn a_flag_wins_over_the_file_and_nothing_is_no_policy() {
        let policy = policy(FILE, |arguments| {
            arguments.rotation_interval = Some(Duration::from_secs(60));
            arguments.rotation_deliver = Some("others".to_owned());
            arguments.rotation_notices = vec![Duration::from_secs(1), Duration::from_secs(9)];
        });
        let policy = policy.unwrap().unwrap();
        assert_eq!(policy.interval.unwrap().seconds, 60);
        assert_eq!(policy.terms.unwrap().overlap.unwrap().seconds, 86_400, "the rest is the file's");
        let store = pb::rotation_delivery::Target::Store("others".to_owned());
        assert_eq!(policy.delivery.unwrap().target, Some(store));
        assert_eq!(policy.notices[0].seconds, 9, "the longest comes first");
        assert_eq!(PolicyArguments::default().policy().unwrap(), None);
    }
}
