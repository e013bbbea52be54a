//! How good methods and experts are on a task's test split.

use std::path::Path;

use super::report::Scores;
use super::spec::AdaptSpec;
use crate::eval::{AskedTask, Evaluation, Mean, Method, Order, Split, Store};
use crate::library::Library;
use crate::named::Named;
use crate::routing::Session;
use crate::scorers::Scorer;
use crate::{Cancel, Result};

/// A task as it is asked: by its own metric, and for the loss.
pub(super) struct Asked {
    tasks: Vec<AskedTask>,
    store: Store,
}

impl Asked {
    /// The test split of the task of `spec`; results are kept with the library at `root`.
    ///
    /// # Errors
    /// A task without one; as [`AskedTask::load`].
    pub fn open(spec: &AdaptSpec, root: &Path) -> Result<Self> {
        let limit = spec.limit.unwrap_or(usize::MAX);
        let task = AskedTask::load(&spec.data, Split::Test, limit, 0, &Default::default())?;
        let loss = Scorer::named("loss")?;
        let mut tasks = vec![task];
        if let [task] = tasks.as_slice()
            && !task.info.metric.is_loss()
        {
            let mut again = task.clone();
            (again.info.metric, again.again) = (*loss, true);
            tasks.push(again);
        }
        Ok(Self { tasks, store: Store::of(root)? })
    }

    /// Its metric.
    pub fn metric(&self) -> Option<Scorer> {
        self.tasks.first().map(|task| task.info.metric)
    }

    /// Items that are asked.
    pub fn items(&self) -> usize {
        self.tasks.first().map_or(0, |task| task.items)
    }

    /// How good `methods` over a library are, each with the name that it has for those who wait.
    ///
    /// # Errors
    /// As [`Evaluation::answer`].
    pub fn scores(
        &self,
        (library, session): (&Library, &Session),
        methods: &[(String, Method)],
        stage: &mut dyn FnMut(String),
        cancel: &Cancel,
    ) -> Result<Vec<Scores>> {
        let evaluation = Evaluation { library, session, cancel };
        let (names, methods): (Vec<_>, Vec<Method>) = methods.iter().cloned().unzip();
        let mut asked = None;
        let mut progress = |progress: &crate::eval::Progress| {
            let now = (progress.cell.1 > 0).then_some(progress.method);
            if now.is_some() && now != asked {
                asked = now;
                let name = names.get(progress.method).map_or(progress.names.0, String::as_str);
                stage(format!("asking the test split: {name}"));
            }
        };
        let order = Order::default();
        let answered = evaluation.answer(&self.store, (&self.tasks, &methods), &order, &mut progress)?;
        if let Some(failed) = answered.failed.first() {
            return Err(crate::Error::msg(format!("{}: {}", failed.name, failed.reason)));
        }
        let mean =
            |task: Option<usize>, method: usize| Mean::of(answered.scores.get(task?)?.get(method)?.as_ref()?);
        let loss = self.tasks.iter().position(|task| task.info.metric.is_loss());
        Ok((0..methods.len())
            .map(|method| Scores { score: mean(Some(0), method), loss: mean(loss, method) })
            .collect())
    }
}
