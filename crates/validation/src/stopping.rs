//! That the process is about to end, told to whoever would otherwise wait for ever.

use tokio::sync::watch;

/// Says when the process begins to stop. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Stopping(watch::Receiver<()>);

/// Whoever holds it decides. Dropping it says that the process stops, so that nothing outlives its owner.
#[derive(Debug)]
pub struct Stop(watch::Sender<()>);

impl Stop {
    /// Of a process that does not stop yet.
    #[must_use]
    pub fn new() -> (Self, Stopping) {
        let (stop, stopping) = watch::channel(());
        (Self(stop), Stopping(stopping))
    }

    /// Says that it stops now.
    pub fn begin(self) {
        drop(self.0);
    }
}

impl Stopping {
    /// Returns once the process begins to stop.
    pub async fn begun(&mut self) {
        // Nothing is ever sent: what is waited for is that the sender is gone.
        while self.0.changed().await.is_ok() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_clone_hears_of_the_end_also_afterwards() {
        let (stop, mut stopping) = Stop::new();
        let mut other = stopping.clone();
        assert!(tokio::time::timeout(std::time::Duration::from_millis(1), stopping.begun()).await.is_err());
        stop.begin();
        stopping.begun().await;
        other.begun().await;
        other.begun().await;
    }
}
