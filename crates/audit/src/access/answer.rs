//! Answering `ListAccess`.

use super::request::ListAccess;
use super::search::{Named, Search};
use super::show::{LineNames, key_name, line};
use super::{Line, Page, Whose};
use crate::collect::{Observed, ObservedError, Tier};
use crate::run::CLUSTER;
use crate::search::Visible;
use crate::usage::Names;
use crate::usage::names::Kind;
use crate::usage::request::Parent;
use latchkey_domain::{KeyspaceName, TenantNumber, UnixMillis};
use latchkey_wire::pb::v1;
use latchkey_wire::time::write_time;

/// Tenants whose lines one listing looks at.
const TENANTS_MAX: usize = 1_000;

/// A listing with its numbers, as far as the registry knows them.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) asked: ListAccess,
    pub(crate) search: Search,
    pub(crate) visible: Visible,
    /// The keyspace of the parent, where it still is.
    pub(crate) keyspace: Option<u32>,
    pub(crate) now: UnixMillis,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    /// The keyspace of the parent is not there, and never was used.
    #[error("there is no {0}, and it never was used")]
    NotFound(KeyspaceName),
    /// There are too many to look at.
    #[error("there are more than 1,000 tenants with lines; name one in `parent`")]
    Tenants,
    /// It cannot be read.
    #[error(transparent)]
    Observed(#[from] ObservedError),
}

impl Asked {
    /// Answers. Blocks the thread.
    pub(crate) fn answer(self, observed: &Observed) -> Result<v1::ListAccessResponse, AnswerError> {
        let snapshot = observed.snapshot();
        let kept_since = observed.kept_since_ms(Tier::Lines, self.now.millis()).max(snapshot.lines_from_ms);
        let mut times = self.search.times();
        times.start = times.start.max(kept_since);
        let whose = self.whose(observed)?;
        let only = self.only(observed, &whose)?;
        let mut names = Names::new(observed);
        let ListAccess { oldest_first, page_size, ref after, .. } = self.asked;
        let search = &self.search;
        let keep = |tenant: TenantNumber, line: &Line| {
            let is_within = only.as_ref().is_none_or(|(keyspace, key)| {
                line.record.keyspace == Some(*keyspace) && key.as_ref().is_none_or(|key| line.record.key_id == *key)
            });
            if !is_within {
                return Ok(false);
            }
            let keyspace = names.name(tenant, Kind::Keyspace, line.record.keyspace.unwrap_or(0))?;
            Ok(search.holds(&Named { line, keyspace: &keyspace, key: &key_name(line, &keyspace) }))
        };
        let Page { lines, after } =
            observed.list_lines(&whose, &times, oldest_first, after.clone(), page_size, keep)?;
        let mut shown = Vec::new();
        for (tenant, found) in lines {
            let keyspace = names.name(tenant, Kind::Keyspace, found.record.keyspace.unwrap_or(0))?;
            let tenant = names.name(tenant, Kind::Tenant, tenant.0)?;
            shown.push(line(found, LineNames { tenant, keyspace }));
        }
        Ok(v1::ListAccessResponse {
            lines: shown,
            next_page_token: self.asked.next_page_token(after.as_ref(), self.now),
            kept_since: Some(write_time(UnixMillis::new(kept_since))),
            lost: if self.visible == Visible::All { snapshot.lost.lines } else { 0 },
        })
    }

    fn whose(&self, observed: &Observed) -> Result<Whose, AnswerError> {
        let whose: Whose = match &self.visible {
            Visible::Tenants(tenants) => tenants.clone(),
            Visible::All => std::iter::once(CLUSTER).chain(observed.tenants_with_lines()).collect(),
        };
        if whose.len() > TENANTS_MAX { Err(AnswerError::Tenants) } else { Ok(whose) }
    }

    /// The one keyspace, and the one key, that the parent is.
    #[expect(clippy::type_complexity, reason = "a number and the bytes of an id, both of them optional")]
    fn only(&self, observed: &Observed, whose: &[TenantNumber]) -> Result<Option<(u32, Option<Vec<u8>>)>, AnswerError> {
        let (name, key) = match &self.asked.parent {
            Parent::Keyspace(name) => (name, None),
            Parent::Key(name) => (&name.keyspace, Some(name.key.bytes().to_vec())),
            Parent::System | Parent::Tenant(_) | Parent::Owner(_) => return Ok(None),
        };
        let number = match (self.keyspace, whose) {
            (Some(number), _) => Some(number),
            (None, [tenant, ..]) => observed.numbered(*tenant, Kind::Keyspace, &name.to_string())?,
            (None, []) => None,
        };
        number.map(|number| Some((number, key))).ok_or_else(|| AnswerError::NotFound(name.clone()))
    }
}

impl Observed {
    fn tenants_with_lines(&self) -> Vec<TenantNumber> {
        let mut tenants = std::collections::BTreeSet::new();
        let shelf = self.look(|memory| tenants.extend(memory.lines.keys().map(|(tenant, _)| *tenant)));
        let runs = shelf.within(Tier::Lines, 0..u32::MAX).flat_map(|(_, runs)| runs);
        tenants.extend(runs.flat_map(|run| run.reader.tenants().map(|(tenant, _)| tenant)));
        tenants.remove(&CLUSTER);
        tenants.into_iter().collect()
    }
}
