//! `latchkey validate`.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::names::Kind;
use crate::cli::shared::{pair, pairs};
use clap::Args;
use latchkey_wire::pb::v1 as pb;
use std::path::PathBuf;

/// What to check, and for what.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey validate orders.key --permission-query 'orders:read and billing:read'
  pbpaste | latchkey validate --keyspace acme/orders --client-ip 192.0.2.7
  latchkey validate orders.key --output json | jq -r .outcome")]
pub(crate) struct Validate {
    #[command(flatten)]
    question: Question,
}

/// What is asked of a key text.
#[derive(Args, Clone, Debug)]
pub(crate) struct Question {
    /// The file with the key text; - is standard input.
    #[arg(value_name = "FILE", default_value = "-")]
    pub(crate) key_text_file: PathBuf,
    /// The keyspace that the key must belong to.
    #[arg(long, value_name = "TENANT/KEYSPACE")]
    keyspace: Option<String>,
    /// What it must permit: words joined by `and` and `or`, with parentheses.
    #[arg(long, short = 'p', value_name = "QUERY", default_value = "", hide_default_value = true)]
    permission_query: String,
    /// The address of the end client.
    #[arg(long, value_name = "ADDRESS", default_value = "", hide_default_value = true)]
    client_ip: String,
    /// The method of its request, such as GET.
    #[arg(long, value_name = "METHOD", default_value = "", hide_default_value = true)]
    method: String,
    /// The path of its request, such as /v1/orders/7.
    #[arg(long, value_name = "PATH", default_value = "", hide_default_value = true)]
    resource: String,
    /// Your own words for the access log; again for more.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = pair)]
    tags: Vec<(String, String)>,
    /// Decide on a state that knows all that was acknowledged before: costs a round trip to the leader.
    #[arg(long, conflicts_with = "at_least_as_fresh")]
    fully_consistent: bool,
    /// Decide on a state that knows this revision, EPOCH:INDEX, as earlier answers tell it.
    #[arg(long, value_name = "REVISION", value_parser = revision)]
    at_least_as_fresh: Option<pb::Revision>,
}

impl Validate {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let answer = context.api.validate_key(self.question.request(context)?).await?;
        context.show(&answer)?;
        Ok(exit(answer.message.outcome()))
    }
}

/// 0 where it may be used as asked.
pub(super) fn exit(outcome: pb::Outcome) -> Exit {
    if outcome == pb::Outcome::Valid { Exit::Done } else { Exit::No }
}

impl Question {
    pub(super) fn request(&self, context: &Context) -> Result<pb::ValidateKeyRequest, CliError> {
        let keyspace = self.keyspace.as_deref().map(|name| context.name(Kind::Keyspace, name)).transpose()?;
        let key_text = context.key_text(&self.key_text_file, "a key text")?;
        Ok(pb::ValidateKeyRequest {
            key_text: key_text.to_string(),
            keyspace: keyspace.unwrap_or_default(),
            permission_query: self.permission_query.clone(),
            context: Some(pb::RequestContext {
                client_ip: self.client_ip.clone(),
                method: self.method.clone(),
                resource: self.resource.clone(),
                user_agent: String::new(),
                tags: pairs(&self.tags),
            }),
            consistency: self.consistency(),
        })
    }

    fn consistency(&self) -> Option<pb::Consistency> {
        use pb::consistency::{AtLeastAsFresh, FullyConsistent, Requirement};
        let requirement = if self.fully_consistent {
            Requirement::FullyConsistent(FullyConsistent {})
        } else {
            Requirement::AtLeastAsFresh(AtLeastAsFresh { revision: Some(self.at_least_as_fresh?) })
        };
        Some(pb::Consistency { requirement: Some(requirement) })
    }
}

/// `EPOCH:INDEX`.
fn revision(text: &str) -> Result<pb::Revision, String> {
    let parts = text.split_once(':').and_then(|(epoch, index)| Some((epoch.parse().ok()?, index.parse().ok()?)));
    let (epoch, index) = parts.ok_or("expected EPOCH:INDEX, such as 1:1042")?;
    Ok(pb::Revision { epoch, index })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_valid_is_a_yes() {
        assert_eq!(exit(pb::Outcome::Valid), Exit::Done);
        for outcome in [pb::Outcome::Unspecified, pb::Outcome::Revoked, pb::Outcome::NotFound] {
            assert_eq!(exit(outcome), Exit::No);
        }
    }

    #[test]
    fn a_revision_reads_as_it_is_printed() {
        assert_eq!(revision("3:1042"), Ok(pb::Revision { epoch: 3, index: 1_042 }));
        assert!(revision("1042").is_err());
    }
}
