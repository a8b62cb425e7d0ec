//! The tasks of one part of the service, whose owner must notice when one of them breaks.
//!
//! ```text
//!              lasting task    passing task
//!  returns     unexpected      as it should
//!  panics      unexpected      unexpected
//!  aborted     by its owner    by its owner
//! ```

use tokio::task::{AbortHandle, JoinSet};

/// Which tasks may end while their owner lives.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Serves for as long as its owner lives.
    Lasting,
    /// Ends when its work is done.
    Passing,
}

/// A set of running tasks. Dropping it ends them.
#[derive(Debug, Default)]
pub struct OwnedTasks {
    tasks: JoinSet<Kind>,
}

impl OwnedTasks {
    /// Starts a task that must not end before its owner does.
    pub fn spawn_lasting(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn(Kind::Lasting, task);
    }

    /// Starts a task that ends when its work is done, or by the handle.
    pub fn spawn_passing(
        &mut self,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> AbortHandle {
        self.spawn(Kind::Passing, task)
    }

    /// Waits until a task ends that should not have, and forgets those that ended as they should.
    ///
    /// May be dropped and called again: nothing is missed in between.
    pub async fn unexpected_end(&mut self) {
        while let Some(ended) = self.tasks.join_next().await {
            match ended {
                Ok(Kind::Lasting) => return,
                Ok(Kind::Passing) => {}
                Err(error) if error.is_panic() => return,
                // Aborted by its owner.
                Err(_) => {}
            }
        }
        // There is no task at all: none can end.
        std::future::pending::<()>().await;
    }

    fn spawn(
        &mut self,
        kind: Kind,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> AbortHandle {
        self.tasks.spawn(async move {
            task.await;
            kind
        })
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::time::Duration;

    use super::*;

    /// In virtual time: whatever can happen happens before this is over.
    const LONG: Duration = Duration::from_secs(60);

    async fn ends_unexpectedly(mut tasks: OwnedTasks) -> bool {
        tokio::time::timeout(LONG, tasks.unexpected_end())
            .await
            .is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_lasting_task_that_returns_is_noticed() {
        let mut tasks = OwnedTasks::default();
        tasks.spawn_lasting(pending());
        tasks.spawn_lasting(ready(()));
        assert!(ends_unexpectedly(tasks).await);
    }

    #[tokio::test(start_paused = true)]
    async fn any_task_that_panics_is_noticed() {
        let mut tasks = OwnedTasks::default();
        tasks.spawn_lasting(async { panic!("a fault in a lasting task") });
        assert!(ends_unexpectedly(tasks).await);
        let mut tasks = OwnedTasks::default();
        tasks.spawn_passing(async { panic!("a fault in a passing task") });
        assert!(ends_unexpectedly(tasks).await);
    }

    #[tokio::test(start_paused = true)]
    async fn passing_tasks_may_end_or_be_aborted() {
        let mut tasks = OwnedTasks::default();
        tasks.spawn_passing(ready(()));
        tasks.spawn_passing(pending()).abort();
        assert!(!ends_unexpectedly(tasks).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_without_tasks_never_ends() {
        assert!(!ends_unexpectedly(OwnedTasks::default()).await);
    }
}
