//! The best router for a library, found on the validation splits of tasks by successive halving.

use std::sync::Arc;

use super::asked_task::AskedTask;
use super::compare::StudyEvent;
use super::evaluation::Evaluation;
use super::forced::{Forced, forced};
use super::run::with_its_answer;
use crate::routing::{CalibrationStep, ExpertSet, Prompt, ResolvedRouter, RouterConfig};
use crate::{Error, Result};

/// Routers that are tried where none are named.
pub const CANDIDATES: [&str; 14] = [
    "arrow:k=3:temperature=0.1",
    "arrow:k=3:temperature=1",
    "arrow:k=3:temperature=0.3:calibrated",
    "norm:k=3:temperature=0.3:calibrated",
    "arrow:k=3:temperature=0.3:calibrated:prior=4",
    "norm:k=3:temperature=0.3:calibrated:prior=8",
    "norm:k=3:temperature=0.3:calibrated:prior=8:sharpness=auto",
    "lag:k=3:calibrated",
    "vote:score=arrow:top=1:calibrated",
    "vote:score=norm:top=1:calibrated",
    "vote:score=arrow:top=3:sharpness=0.5:calibrated",
    "vote:score=arrow:top=0:sharpness=2:calibrated",
    "vote:score=norm:top=0:sharpness=auto:calibrated",
    "uniform",
];

/// Items of each task in the first round.
const FIRST: usize = 4;

/// What a router scored.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuned {
    /// With its settings.
    pub router: RouterConfig,
    /// Rounds that it was in.
    pub rounds: usize,
    /// Items of all tasks that it was asked.
    pub items: usize,
    /// Share of the right answers that are its greedy ones.
    pub exact: f64,
    /// Standard error of it, as if one answer more were right and one more wrong (Agresti and Coull 1998): a few answers
    /// that agree are no certainty.
    pub stderr: f64,
    /// Mean log-probability of a right answer in nats.
    pub log_probability: f64,
    /// Difference of `exact` to the best one's on the same items, and its standard error, with half an item added to each of
    /// the four outcomes of a pair (Agresti and Min 2005); `None` for the best one.
    pub behind: Option<(f64, f64)>,
    /// How likely a difference at least as large is by chance: the two-sided exact sign test over the items that one of
    /// the two alone has right (McNemar 1947). `None` for the best one.
    pub chance: Option<f64>,
}

/// From this likelihood on, a difference is one by chance.
const BY_CHANCE: f64 = 0.05;

/// A router with what it answered so far.
struct Candidate {
    router: RouterConfig,
    /// Over its experts, once it is at work.
    resolved: Option<(Arc<ExpertSet>, ResolvedRouter)>,
    rounds: usize,
    /// By task.
    answers: Vec<Vec<Forced>>,
}

impl Candidate {
    fn all(&self) -> impl Iterator<Item = &Forced> {
        self.answers.iter().flatten()
    }

    /// Exact answers first, then log-probability.
    fn order(&self) -> (f64, f64) {
        let count = self.all().count().max(1) as f64;
        let exact = self.all().filter(|answer| answer.exact).count() as f64;
        (exact / count, self.all().map(|answer| answer.log_probability).sum::<f64>() / count)
    }
}

impl Evaluation<'_> {
    /// Scores `routers` on the validation splits of `tasks`, each task once, on few items first; the better half gets twice as
    /// many, until two are left or there are `limit` items of each task. Best first. Settings that a router does not
    /// give are those of the session's router. `progress` hears
    /// of it.
    ///
    /// # Errors
    /// Items that cannot be asked; routers that cannot be resolved; none at all.
    pub fn tune(
        &self,
        tasks: &[AskedTask],
        routers: &[RouterConfig],
        limit: usize,
        progress: &mut dyn FnMut(StudyEvent),
    ) -> Result<Vec<Tuned>> {
        // With another metric, the answers are the same.
        let tasks: Vec<&AskedTask> = tasks.iter().filter(|task| !task.again).collect();
        let new = |router: &RouterConfig| Candidate {
            router: router.clone(),
            resolved: None,
            rounds: 0,
            answers: vec![Vec::new(); tasks.len()],
        };
        let mut alive: Vec<Candidate> = routers.iter().map(new).collect();
        let mut out: Vec<Candidate> = Vec::new();
        let mut items = FIRST.min(limit.max(1));
        for candidate in &mut alive {
            let config = self.completed(candidate.router.clone());
            let mut step = |step: CalibrationStep| StudyEvent::of_step(&step, progress);
            candidate.resolved = Some(self.session.resolve(&config, &mut step, self.cancel)?);
        }
        loop {
            // Whoever asks first about a prompt asks for all that are left.
            let all = alive.iter_mut().filter_map(|candidate| candidate.resolved.as_mut());
            ResolvedRouter::survey_together(all.map(|(experts, router)| (&*experts, router)));
            for candidate in &mut alive {
                progress(StudyEvent::Stage(format!("{}: {items} items of each task", candidate.router)));
                self.ask(candidate, &tasks, items)?;
            }
            alive.sort_by(|a, b| {
                let (a, b) = (a.order(), b.order());
                b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1))
            });
            if items >= limit {
                break;
            }
            let left = alive.len().div_ceil(2).max(2).min(alive.len());
            // Those that are out come after those that stay longer.
            out.splice(0..0, alive.split_off(left));
            items = if left == 2 { limit } else { (2 * items).min(limit) };
        }
        alive.extend(out);
        let best = alive.first().ok_or_else(|| Error::usage("there is no router to try"))?;
        Ok(alive.iter().enumerate().map(|(at, candidate)| summary(candidate, best, at == 0)).collect())
    }

    /// Lets a candidate answer the items of every task up to `items` that it has not seen yet.
    fn ask(&self, candidate: &mut Candidate, tasks: &[&AskedTask], items: usize) -> Result<()> {
        candidate.rounds += 1;
        let Some((experts, router)) = &candidate.resolved else { return Ok(()) };
        for (task, answers) in tasks.iter().zip(&mut candidate.answers) {
            self.cancel.check()?;
            let new = task.questions().take(items).skip(answers.len());
            let new = new.map(|question| with_its_answer(self, question)).collect::<Result<Vec<_>>>()?;
            if new.is_empty() {
                continue;
            }
            let (prompts, right): (Vec<Prompt>, Vec<Vec<u32>>) = new.into_iter().unzip();
            answers.extend(forced(self.model(), (experts, router), &prompts, &right, self.cancel)?);
        }
        Ok(())
    }
}

/// Items on which one of two routers alone is right.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Discordant {
    /// Items that both were asked.
    items: usize,
    /// Those of the one.
    own: usize,
    /// Those of the other.
    others: usize,
}

impl Discordant {
    fn of<'a>(pairs: impl Iterator<Item = (&'a Forced, &'a Forced)>) -> Self {
        pairs.fold(Self::default(), |found, (own, other)| Self {
            items: found.items + 1,
            own: found.own + usize::from(own.exact && !other.exact),
            others: found.others + usize::from(other.exact && !own.exact),
        })
    }

    /// The difference of their shares of right answers, and its standard error ([`Tuned::behind`]).
    fn difference(self) -> (f64, f64) {
        let (own, others) = (self.own as f64, self.others as f64);
        let count = self.items as f64 + 2.0;
        let square = (own + others + 1.0) - (own - others).powi(2) / count;
        ((own - others) / (self.items.max(1) as f64), square.max(0.0).sqrt() / count)
    }

    /// [`Tuned::chance`].
    fn chance(self) -> f64 {
        let (all, least) = (self.own + self.others, self.own.min(self.others));
        let mut log = -(all as f64) * std::f64::consts::LN_2;
        let mut sum = log.exp();
        for i in 1..=least {
            log += ((all - i + 1) as f64 / i as f64).ln();
            sum += log.exp();
        }
        (2.0 * sum).min(1.0)
    }
}

fn summary(candidate: &Candidate, best: &Candidate, first: bool) -> Tuned {
    let same = candidate.answers.iter().zip(&best.answers).flat_map(|(own, best)| own.iter().zip(best));
    let discordant = Discordant::of(same);
    let items = candidate.all().count();
    let right = candidate.all().filter(|answer| answer.exact).count() as f64;
    let (exact, log_probability) = candidate.order();
    let (count, near) = (items as f64 + 2.0, (right + 1.0) / (items as f64 + 2.0));
    Tuned {
        router: candidate.router.clone(),
        rounds: candidate.rounds,
        items,
        exact,
        stderr: (near * (1.0 - near) / count).sqrt(),
        log_probability,
        behind: (!first).then(|| discordant.difference()),
        chance: (!first).then(|| discordant.chance()),
    }
}

/// Whether the best one is no better than the next one but by chance.
pub fn is_noise(tuned: &[Tuned]) -> bool {
    tuned.get(1).and_then(|next| next.chance).is_some_and(|chance| chance >= BY_CHANCE)
}

/// Why the best one is not to be a library's router; `None` where it may be.
pub fn unfit_as_default(tuned: &[Tuned]) -> Option<String> {
    let best = tuned.first()?;
    if tuned.iter().all(|one| one.exact == 0.0) {
        return Some("no router gave a right answer".into());
    }
    (!best.router.is_weighted() && (tuned.len() == 1 || is_noise(tuned))).then(|| {
        format!("{}, which uses no expert, is not better than another one except by chance", best.router)
    })
}

/// A `library.toml` whose `[router]` has this default; everything else stays as it is, comments too.
pub fn with_default(manifest: &str, router: &RouterConfig) -> String {
    let line = format!("default = {}", toml::Value::String(router.to_string()));
    let mut lines: Vec<String> = manifest.lines().map(String::from).collect();
    let header = |line: &String| line.trim_start().starts_with('[');
    let Some(section) = lines.iter().position(|line| line.trim() == "[router]") else {
        if lines.last().is_some_and(|last| !last.is_empty()) {
            lines.push(String::new());
        }
        lines.extend(["[router]".to_string(), line]);
        return lines.join("\n") + "\n";
    };
    let end = lines[section + 1..].iter().position(header).map_or(lines.len(), |at| section + 1 + at);
    let is_default = |line: &String| {
        line.trim_start().strip_prefix("default").is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    match lines[section + 1..end].iter().position(is_default) {
        Some(at) => lines[section + 1 + at] = line,
        None => lines.insert(section + 1, line),
    }
    lines.join("\n") + "\n"
}

/// The line, from 1 on, of the last comment above the default router of a `library.toml`, or above the table that it stands
/// in: what it says may be of that default. None where there is no default or no such comment.
pub fn comment_of_default(manifest: &str) -> Option<usize> {
    let lines: Vec<&str> = manifest.lines().map(str::trim).collect();
    let section = lines.iter().position(|line| *line == "[router]")?;
    let in_section = lines[section + 1..].iter().take_while(|line| !line.starts_with('['));
    let own =
        |line: &&str| line.strip_prefix("default").is_some_and(|rest| rest.trim_start().starts_with('='));
    let default = section + 1 + in_section.into_iter().position(own)?;
    let is_comment = |at: &usize| lines[*at].starts_with('#');
    [default, section].into_iter().filter_map(|at| at.checked_sub(1)).find(is_comment).map(|at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_put_where_it_belongs_and_all_else_stays() {
        let router: RouterConfig = "vote:calibrated".parse().unwrap();
        let line = "default = \"vote:calibrated\"";
        let cases = [
            ("", format!("[router]\n{line}\n")),
            ("name = \"x\" # mine\n", format!("name = \"x\" # mine\n\n[router]\n{line}\n")),
            ("[router]\n# τ\ntop_k = 3\n[base]\n", format!("[router]\n{line}\n# τ\ntop_k = 3\n[base]\n")),
            ("[router]\ndefault = \"arrow\"\n", format!("[router]\n{line}\n")),
            ("[base]\ndefault = \"x\"\n[router]\n", format!("[base]\ndefault = \"x\"\n[router]\n{line}\n")),
        ];
        for (before, after) in cases {
            assert_eq!(with_default(before, &router), after);
        }
    }

    #[test]
    fn a_comment_above_the_default_is_found() {
        for (manifest, line) in [
            ("[router]\ndefault = \"arrow\"\n", None),
            ("# Why\n# so\n[router]\ndefault = \"arrow\"\n", Some(2)),
            ("# Not of it\n\n[router]\ntop_k = 3\n# why\ndefault = \"arrow\"\n", Some(5)),
            ("# Nothing is replaced\n[router]\ntop_k = 3\n[base]\ndefault = \"x\"\n", None),
            ("", None),
        ] {
            assert_eq!(comment_of_default(manifest), line, "{manifest}");
        }
    }

    #[test]
    fn the_candidates_are_routers() {
        for text in CANDIDATES {
            assert_eq!(text.parse::<RouterConfig>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_small_difference_is_noise() {
        let candidate = |exact: &[bool]| Candidate {
            router: RouterConfig::default(),
            resolved: None,
            rounds: 1,
            answers: vec![exact.iter().map(|&exact| Forced { exact, log_probability: -1.0 }).collect()],
        };
        let best = candidate(&[true; 20]);
        let near: Vec<bool> = (0..20).map(|i| i > 0).collect();
        let far: Vec<bool> = (0..20).map(|i| i > 12).collect();
        for (other, noise) in [(near, true), (far, false)] {
            let all = [summary(&best, &best, true), summary(&candidate(&other), &best, false)];
            assert_eq!(is_noise(&all), noise, "{:?}", all[1].behind);
        }
        // Of two items both may be right by chance, of six hardly all.
        for (count, noise, chance) in [(2, true, 0.5), (5, true, 0.0625), (6, false, 0.03125)] {
            let (right, wrong) = (candidate(&vec![true; count]), candidate(&vec![false; count]));
            let all = [summary(&right, &right, true), summary(&wrong, &right, false)];
            let (difference, error) = all[1].behind.unwrap();
            assert!((all[1].chance.unwrap() - chance).abs() < 1e-12 && is_noise(&all) == noise);
            assert!(difference == -1.0 && error > 0.1 && all[0].stderr > 0.1, "{error} {}", all[0].stderr);
        }
        let many = Discordant { items: 9000, own: 1900, others: 2000 };
        // The normal distribution with a correction for continuity: 2 Φ(-99 / √3900).
        assert!((many.chance() - 0.1129).abs() < 1e-3, "{}", many.chance());
        assert_eq!(Discordant { items: 9, own: 3, others: 3 }.chance(), 1.0);
        let (difference, error) = Discordant { items: 18, own: 1, others: 5 }.difference();
        assert!((difference + 4.0 / 18.0).abs() < 1e-12);
        assert!((error - (7.0f64 - 16.0 / 20.0).sqrt() / 20.0).abs() < 1e-12);
    }

    #[test]
    fn what_is_first_by_chance_without_experts_is_no_default() {
        let tuned = |router: &str, exact: f64, chance: Option<f64>| Tuned {
            router: router.parse().unwrap(),
            rounds: 1,
            items: 20,
            exact,
            stderr: 0.1,
            log_probability: -1.0,
            behind: chance.map(|_| (0.0, 0.1)),
            chance,
        };
        let why = |first: &str, exact, chance| {
            unfit_as_default(&[tuned(first, exact, None), tuned("single:a", 0.0, Some(chance))])
        };
        assert_eq!(why("base", 0.0, 1.0).as_deref(), Some("no router gave a right answer"));
        assert!(why("arrow", 0.0, 1.0).is_some());
        assert!(why("base", 0.1, 0.5).unwrap().starts_with("base, which uses no expert"));
        assert_eq!((why("base", 0.9, 1e-4), why("arrow", 0.1, 0.5)), (None, None));
        assert!(unfit_as_default(&[tuned("base", 0.5, None)]).is_some());
    }
}
