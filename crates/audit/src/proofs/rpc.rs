//! The RPCs that prove. What they prove with is public, and so are the proofs; what an entry says is not.

use crate::entries::Found;
use crate::handlers::Handlers;
use crate::proofs::{ConsistencyAsked, InclusionAsked, Prover, answer};
use crate::search::{Search, Visible};
use latchkey_domain::UnixMillis;
use latchkey_link::{Call, Registry, fields_invalid};
use latchkey_transport::{Unavailable, status};
use latchkey_wire::pb::v1;
use tokio::time::Instant;
use tonic::Status;

impl<R: Registry> Handlers<R> {
    pub(crate) async fn checkpoint(&self, call: Call<()>) -> Result<v1::Checkpoint, Status> {
        self.visible(&call.identity, None, call.by).await?;
        let prover = self.prover()?;
        Ok(prover.show(&prover.newest().await?))
    }

    pub(crate) async fn inclusion_proof(
        &self,
        call: Call<InclusionAsked>,
    ) -> Result<v1::GetInclusionProofResponse, Status> {
        let visible = self.visible(&call.identity, None, call.by).await?;
        let prover = self.prover()?;
        let newest = prover.newest().await?;
        let (sequence, size) = call.asked.within(&newest.checkpoint).map_err(fields_invalid)?;
        let proof = prover.inclusion(&newest.checkpoint, sequence, size).await?;
        let content = self.content(sequence, visible, call.by).await?;
        Ok(answer::inclusion((sequence, size), &proof, prover.show(&newest), content))
    }

    pub(crate) async fn consistency_proof(
        &self,
        call: Call<ConsistencyAsked>,
    ) -> Result<v1::GetConsistencyProofResponse, Status> {
        self.visible(&call.identity, None, call.by).await?;
        let prover = self.prover()?;
        let newest = prover.newest().await?;
        let sizes = call.asked.within(&newest.checkpoint).map_err(fields_invalid)?;
        let hashes = prover.consistency(&newest.checkpoint, sizes.0, sizes.1).await?;
        Ok(answer::consistency(sizes, &hashes, prover.show(&newest)))
    }

    /// The entry itself, where the caller may see it and it can still be opened.
    async fn content(&self, sequence: u64, visible: Visible, by: Instant) -> Result<Option<Found>, Status> {
        let entries = self.entries()?;
        // Retention may have taken the sealed entry away; its leaf stays.
        let Some(block) = entries.block(sequence).await? else { return Ok(None) };
        let at = usize::try_from(sequence - block.first).ok();
        let frame = at
            .and_then(|at| block.frames.get(at))
            .ok_or_else(|| status::bug("a block is without an entry of its own"))?;
        let any = Search::of_list("", visible, UnixMillis::default()).expect("an empty filter is one");
        entries.find(&any, sequence, frame, by).await
    }

    fn prover(&self) -> Result<&Prover, Status> {
        self.proving_cell().get().ok_or_else(|| Unavailable::Starting.into())
    }
}
