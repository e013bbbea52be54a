//! Keys of the Jobs tab.

use crossterm::event::{KeyCode, KeyEvent};

use super::JobsScreen;
use super::chooser::{self, Choice, Chooser};
use super::curve::SMOOTHING;
use super::state::{Asked, Of, can_cancel};
use crate::jobs::kinds::{self, Next};
use crate::jobs::{ClusterSpec, Job, JobState, JobSummary, QueueMove};
use crate::text::printable;
use crate::train::TrainSpec;
use crate::tui::cancelling::{Answer, Wish};
use crate::tui::keymap::{
    Binding, Chord, DOWN, ENTER, ESC, KeyHint, KeySection, KeyTable, LEFT, Motion, PAGE_DOWN, PAGE_UP, RIGHT,
    UP, more_moves, moves,
};
use crate::tui::screens::comparison_chrome::{can_compare, cluster_form};
use crate::tui::{AppEffect, Effect, JobsEffect, Shared};

/// What a key does here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Move(Motion),
    Read,
    Scroll(Motion),
    StopReading,
    Cancel,
    Remove,
    Resume,
    ResumeFailed,
    Hold,
    Queue(QueueMove),
    Toggle,
    Order,
    Filter,
    KeepFilter,
    ClearFilter,
    Mark,
    Unmark,
    Inspect(i32),
    StopInspecting,
    Logarithmic,
    Smooth,
    Losses,
    ByTime,
    Enlarge,
    Shrink,
    New,
    Next,
    Train,
    Cluster,
    Open,
}

type Table = KeyTable<JobsScreen, Action>;

fn can_resume(job: &JobSummary) -> bool {
    job.state.can_resume()
}

/// The list of jobs.
static LIST: Table = KeyTable {
    title: "Jobs",
    bindings: &[
        Binding::new(moves!(Action::Move), "move", "Select a job")
            .also(more_moves!(Action::Move))
            .when(|_, shared| !shared.jobs.is_empty()),
        Binding::new(&[(ENTER, Action::Toggle)], "open", "Open or close the selected group of jobs")
            .when(|s: &JobsScreen, _| s.group().is_some()),
        Binding::new(&[(ENTER, Action::Read)], "details", "Read the details and the log of the selected job")
            .when(|s: &JobsScreen, shared| !shared.jobs.is_empty() && s.group().is_none()),
    ],
};

/// What is looked for in the list, and marked there.
static FIND: Table = KeyTable {
    title: "Jobs, finding and marking",
    bindings: &[
        Binding::new(&[(Chord::char('/'), Action::Filter)], "filter", "Find jobs by name, kind and state")
            .when(|_, shared| !shared.jobs.is_empty()),
        Binding::new(
            &[(Chord::char('O'), Action::Order)],
            "order",
            "Newest first, what has failed first, the best result first",
        )
        .when(|_, shared| shared.jobs.len() > 1),
        Binding::new(
            &[(Chord::char(' '), Action::Mark)],
            "mark",
            "Mark the selected job or group: the curves of marked jobs are laid over each other",
        )
        .when(|_, shared| !shared.jobs.is_empty()),
        Binding::new(&[(Chord::char('u'), Action::Unmark)], "", "Take all marks away")
            .when(|s: &JobsScreen, _| !s.marked.is_empty()),
        Binding::new(&[(ESC, Action::StopInspecting)], "", "Take the cursor off the curves")
            .when(|s: &JobsScreen, _| s.plot.is_inspecting()),
        Binding::new(&[(ESC, Action::ClearFilter)], "all", "Show all jobs again")
            .when(|s: &JobsScreen, _| s.rows.is_filtered()),
    ],
};

/// The filter is being typed: what is not bound is text.
static FILTERING: Table = KeyTable {
    title: "Jobs, in the filter",
    bindings: &[
        Binding::new(&[(ENTER, Action::KeepFilter)], "keep", "Keep the filter and go back to the list"),
        Binding::new(&[(ESC, Action::ClearFilter)], "clear", "Show all jobs again"),
        Binding::new(
            &[(UP, Action::Move(Motion::Up)), (DOWN, Action::Move(Motion::Down))],
            "move",
            "Move in the jobs that were found",
        )
        .also(&[(PAGE_UP, Action::Move(Motion::PageUp)), (PAGE_DOWN, Action::Move(Motion::PageDown))]),
    ],
};

fn has_curves(screen: &JobsScreen, shared: &Shared) -> bool {
    !screen.plot_view(shared).is_empty()
}

/// The curves, wherever they are shown.
static CURVES: Table = KeyTable {
    title: "Jobs, the curves",
    bindings: &[
        Binding::new(
            &[(LEFT, Action::Inspect(-1)), (RIGHT, Action::Inspect(1))],
            "inspect",
            "Read the curves at a step: from the end, from the beginning",
        )
        .also(&[(Chord::char('['), Action::Inspect(-10)), (Chord::char(']'), Action::Inspect(10))])
        .when(has_curves),
        Binding::new(&[(Chord::char('p'), Action::Enlarge)], "large plot", "Give the curves the whole tab")
            .when(|s: &JobsScreen, shared| !s.plot.large && has_curves(s, shared)),
        Binding::new(&[(Chord::char('p'), Action::Shrink)], "", "Back to the list")
            .also(&[(ESC, Action::Shrink), (ENTER, Action::Shrink)])
            .when(|s: &JobsScreen, _| s.plot.large),
        Binding::new(
            &[(Chord::char('l'), Action::Logarithmic)],
            "log",
            "Logarithms of the losses, or the losses",
        )
        .when(has_curves),
        Binding::new(
            &[(Chord::char('e'), Action::Smooth)],
            "smooth",
            "Average training losses over those before: not at all, by 0.6, 0.9, 0.98",
        )
        .when(has_curves),
        Binding::new(
            &[(Chord::char('v'), Action::Losses)],
            "losses",
            "Training and validation, or one of them",
        )
        .when(has_curves),
        Binding::new(&[(Chord::char('b'), Action::ByTime)], "by time", "By step, or by the time of work")
            .when(has_curves),
    ],
};

/// The log has the focus.
static READING: Table = KeyTable {
    title: "Jobs, in the log",
    bindings: &[
        Binding::new(moves!(Action::Scroll), "scroll", "Scroll the log, or all details where they are long")
            .also(more_moves!(Action::Scroll)),
        Binding::new(&[(ESC, Action::StopReading)], "back", "Back to the list")
            .also(&[(ENTER, Action::StopReading)]),
    ],
};

/// What works in the list and in the log.
static JOB: Table = KeyTable {
    title: "Jobs, in both",
    bindings: &[
        Binding::new(
            &[(Chord::char('x'), Action::Cancel)],
            "cancel",
            "Cancel the selected job, or all of a group, after a question",
        )
        .when(|s: &JobsScreen, shared| {
            s.job(shared).is_some_and(can_cancel) || s.group().is_some_and(|group| !group.state().is_over())
        })
        .explains(),
        Binding::new(
            &[(Chord::char('r'), Action::Resume)],
            "resume",
            "Resume the selected job from its saved state",
        )
        .when(|s: &JobsScreen, shared| {
            s.job(shared).is_some_and(|job| can_resume(job) && job.keeps_its_work())
        })
        .explains(),
        Binding::new(
            &[(Chord::char('r'), Action::Resume)],
            "run again",
            "Start the selected job again, if it saves no state",
        )
        .when(|s: &JobsScreen, shared| {
            s.job(shared).is_some_and(|job| can_resume(job) && !job.keeps_its_work())
        }),
        Binding::new(
            &[(Chord::char('R'), Action::ResumeFailed)],
            "resume failed",
            "Resume what has failed of the selected group, and nothing else",
        )
        .when(|s: &JobsScreen, _| s.group().is_some_and(|group| group.count(JobState::Failed) > 0))
        .explains(),
        Binding::new(
            &[(Chord::char('h'), Action::Hold)],
            "hold",
            "Keep the selected job from beginning; of a group all that wait",
        )
        .when(|s: &JobsScreen, shared| s.waiting(shared).iter().any(|job| !job.held))
        .explains(),
        Binding::new(
            &[(Chord::char('h'), Action::Hold)],
            "release",
            "Let the selected job go that is held; of a group all, once all that wait are held",
        )
        .when(|s: &JobsScreen, shared| {
            let waiting = s.waiting(shared);
            !waiting.is_empty() && waiting.iter().all(|job| job.held)
        }),
        Binding::new(
            &[(Chord::char('f'), Action::Queue(QueueMove::First))],
            "first",
            "Put the selected job before all others that wait on this machine",
        )
        .when(|s: &JobsScreen, shared| s.job(shared).is_some_and(|job| job.turn.is_some()))
        .explains(),
        Binding::new(
            &[
                (Chord::char('K'), Action::Queue(QueueMove::Earlier)),
                (Chord::char('J'), Action::Queue(QueueMove::Later)),
            ],
            "earlier, later",
            "Put the selected job one place earlier or later among those that wait on this machine",
        )
        .when(|s: &JobsScreen, shared| s.job(shared).is_some_and(|job| job.turn.is_some()))
        .explains(),
        Binding::new(
            &[(Chord::char('o'), Action::Open)],
            "open",
            "Show what the job made: its expert, its clusters, its scores, or its library instead of this one",
        )
        .when(|s: &JobsScreen, _| s.made().is_some())
        .explains(),
        Binding::new(
            &[(Chord::char('n'), Action::Next)],
            "next",
            "What can be done once the job has ended: show, compare, route, evaluate, start another like it",
        )
        .when(|s: &JobsScreen, _| !s.next().is_empty())
        .explains(),
        Binding::new(&[(Chord::char('s'), Action::New)], "start", "Start a job of any kind"),
        Binding::new(&[(Chord::char('t'), Action::Train)], "train", TrainSpec::HEADING),
        Binding::new(&[(Chord::char('c'), Action::Cluster)], "cluster", ClusterSpec::HEADING)
            .when(|_, shared| can_compare(shared))
            .explains(),
        Binding::new(
            &[(Chord::char('d'), Action::Remove)],
            "remove",
            "Remove the selected job that has ended, or those of a group, after a question; what they wrote elsewhere stays",
        )
        .when(|s: &JobsScreen, shared| s.selected_jobs(shared).iter().any(|job| job.state.is_over()))
        .explains(),
    ],
};

/// All keys of the tab, for the reference.
pub fn reference() -> Vec<KeySection> {
    let own = [&LIST, &READING, &JOB, &FIND, &FILTERING, &CURVES].map(Table::section);
    own.into_iter()
        .chain([Wish::Cancel.reference(), Wish::Remove.reference(), chooser::reference()])
        .collect()
}

impl JobsScreen {
    /// Where keys are looked up, in this order.
    fn tables(&self) -> Vec<&'static Table> {
        match (self.plot.large, self.reading) {
            (true, _) => vec![&CURVES],
            (false, true) => vec![&READING, &JOB, &CURVES],
            (false, false) => vec![&LIST, &JOB, &FIND, &CURVES],
        }
    }

    /// The keys that the footer and the help show now.
    pub(super) fn key_hints(&self, shared: &Shared) -> Vec<KeyHint> {
        if let Some(chooser) = &self.choosing {
            return chooser.hints(shared);
        }
        if let Some(asked) = &self.confirming {
            return asked.wish.hints(shared);
        }
        if self.filtering {
            return FILTERING.hints(self, shared);
        }
        self.tables().iter().flat_map(|table| table.hints(self, shared)).collect()
    }

    pub(super) fn take_key(&mut self, key: KeyEvent, shared: &Shared) -> Option<Vec<Effect>> {
        if let Some(chooser) = self.choosing.take() {
            return Some(match chooser.take_key(key, shared) {
                Choice::Open(chooser) => {
                    self.choosing = Some(chooser);
                    Vec::new()
                }
                Choice::Closed(effects) => effects,
            });
        }
        if self.filtering {
            return self.take_filter_key(key, shared);
        }
        let asked = self.confirming.take();
        if let Some(asked) = asked
            && let Some(answer) = asked.wish.answer(key, shared)
        {
            return Some(match answer {
                Answer::Yes => self.agreed(&asked, shared),
                Answer::No => Vec::new(),
            });
        }
        let action = self.tables().iter().find_map(|table| table.action(key, self, shared))?;
        self.act(action, shared)
    }

    fn take_filter_key(&mut self, key: KeyEvent, shared: &Shared) -> Option<Vec<Effect>> {
        if let Some(action) = FILTERING.action(key, self, shared) {
            return self.act(action, shared);
        }
        if matches!(key.code, KeyCode::Tab | KeyCode::BackTab) {
            self.filtering = false;
            return None;
        }
        let changed = self.filter.on_key(key) == Some(true);
        Some(if changed { self.set_filter(shared) } else { Vec::new() })
    }

    /// The selected job, or those of the selected group, if they wait.
    fn waiting<'a>(&self, shared: &'a Shared) -> Vec<&'a JobSummary> {
        let jobs = self.selected_jobs(shared).into_iter();
        jobs.filter(|job| job.state == JobState::Queued).collect()
    }

    /// The selected job, or those of the selected group.
    fn selected_jobs<'a>(&self, shared: &'a Shared) -> Vec<&'a JobSummary> {
        let of_group =
            self.group().into_iter().flat_map(|group| &group.jobs).filter_map(|at| shared.jobs.get(*at));
        of_group.chain(self.job(shared)).collect()
    }

    /// Does what was asked about.
    fn agreed(&self, asked: &Asked, shared: &Shared) -> Vec<Effect> {
        let mut ids: Vec<String> =
            self.asked_about(asked, &shared.jobs).into_iter().map(|job| job.id.clone()).collect();
        match (asked.wish, ids.len()) {
            (Wish::Remove, _) => vec![Effect::Jobs(JobsEffect::Remove { ids })],
            (Wish::Cancel, 1) => ids.drain(..).map(|id| Effect::Jobs(JobsEffect::Cancel { id })).collect(),
            (Wish::Cancel, _) => vec![Effect::Jobs(JobsEffect::CancelMany { ids })],
        }
    }

    /// Why a key does nothing with what is selected: its state, and with which jobs it does something.
    fn refusal(&self, shared: &Shared, only: &str) -> Vec<Effect> {
        let text = match self.job(shared) {
            Some(job) => format!("this job {}: {only}", job.state.words()),
            None if self.group().is_some() => format!("none of these jobs: {only}"),
            None => only.to_string(),
        };
        vec![Effect::App(AppEffect::Notice(text))]
    }

    fn act(&mut self, action: Action, shared: &Shared) -> Option<Vec<Effect>> {
        match action {
            Action::Open => {
                let shown = match (self.made(), self.job(shared)) {
                    (Some(made), Some(job)) => AppEffect::Open { made, job: job.id.clone() },
                    _ => AppEffect::Notice("this job has made nothing that could be shown".into()),
                };
                return Some(vec![Effect::App(shown)]);
            }
            Action::Move(motion) => {
                self.awaited = None;
                self.list.go(motion, self.rows.rows.len());
                return Some(self.follow_cursor(shared));
            }
            Action::Read => self.reading = true,
            Action::Scroll(motion) => self.scroll.go(motion),
            Action::StopReading => self.reading = false,
            Action::Toggle => {
                let id = self.group()?.id.clone();
                return Some(self.toggle_group(&id, shared));
            }
            Action::ResumeFailed if self.group().is_none() => {
                let text = "this is for groups of jobs: r resumes a single one".into();
                return Some(vec![Effect::App(AppEffect::Notice(text))]);
            }
            Action::ResumeFailed if self.group()?.count(JobState::Failed) == 0 => {
                return Some(self.refusal(shared, "only failed jobs are resumed by this key"));
            }
            Action::ResumeFailed => {
                let jobs = self.group()?.jobs.iter().filter_map(|at| shared.jobs.get(*at));
                let failed = jobs.filter(|job| job.state == JobState::Failed).map(|job| job.id.clone());
                return Some(vec![Effect::Jobs(JobsEffect::ResumeMany { ids: failed.collect() })]);
            }
            Action::Hold if self.waiting(shared).is_empty() => {
                return Some(self.refusal(shared, "only jobs that wait can be held"));
            }
            Action::Hold => {
                let jobs = self.waiting(shared);
                let held = jobs.iter().any(|job| !job.held);
                let ids = jobs.iter().filter(|job| job.held != held).map(|job| job.id.clone()).collect();
                return Some(vec![Effect::Jobs(JobsEffect::Hold { ids, held })]);
            }
            Action::Queue(_) if self.job(shared).is_none_or(|job| job.turn.is_none()) => {
                return Some(self.refusal(shared, "only jobs that wait on this machine have an order"));
            }
            Action::Queue(to) => {
                let id = self.job(shared)?.id.clone();
                return Some(vec![Effect::Jobs(JobsEffect::Reorder { id, to })]);
            }
            Action::Order => return Some(self.reorder(shared)),
            Action::Filter => self.filtering = true,
            Action::KeepFilter => self.filtering = false,
            Action::ClearFilter => {
                self.filtering = false;
                self.filter.set("");
                return Some(self.set_filter(shared));
            }
            Action::Mark => {
                self.mark(shared);
                self.list.go(Motion::Down, self.rows.rows.len());
                return Some(self.follow_cursor(shared));
            }
            Action::Unmark => {
                self.marked.clear();
                return Some(self.ask_curves(shared).into_iter().collect());
            }
            Action::Inspect(cells) => self.plot.inspect(cells),
            Action::StopInspecting => drop(self.plot.stop_inspecting()),
            Action::Logarithmic => self.plot.scale.logarithmic = !self.plot.scale.logarithmic,
            Action::Smooth => self.plot.smoothing = (self.plot.smoothing + 1) % SMOOTHING.len(),
            Action::Losses => self.plot.shown = self.plot.shown.next(),
            Action::ByTime => self.plot.switch_axis(),
            Action::Enlarge => self.plot.large = true,
            Action::Shrink => {
                self.plot.stop_inspecting();
                self.plot.large = false;
            }
            Action::Cancel if self.group().is_some() => {
                let group = self.group()?;
                if group.state().is_over() {
                    let text = "these jobs have already ended".into();
                    return Some(vec![Effect::App(AppEffect::Notice(text))]);
                }
                self.confirming = Some(Asked { wish: Wish::Cancel, of: Of::Group(group.id.clone()) });
            }
            Action::Remove => {
                if !self.selected_jobs(shared).iter().any(|job| job.state.is_over()) {
                    return Some(self.refusal(shared, "only jobs that have ended can be removed"));
                }
                let of = match self.group() {
                    Some(group) => Of::Group(group.id.clone()),
                    None => Of::Job(self.job(shared)?.id.clone()),
                };
                self.confirming = Some(Asked { wish: Wish::Remove, of });
            }
            Action::Cancel => match self.job(shared)? {
                job if can_cancel(job) => {
                    self.confirming = Some(Asked { wish: Wish::Cancel, of: Of::Job(job.id.clone()) });
                }
                job => {
                    let why =
                        if job.state.is_over() { "has already ended" } else { "is already being cancelled" };
                    return Some(vec![Effect::App(AppEffect::Notice(format!("this job {why}")))]);
                }
            },
            Action::Resume => match self.job(shared)? {
                job if can_resume(job) => {
                    return Some(vec![Effect::Jobs(JobsEffect::Resume { id: job.id.clone() })]);
                }
                _ => {
                    let text = "only cancelled or failed jobs can be resumed".into();
                    return Some(vec![Effect::App(AppEffect::Notice(text))]);
                }
            },
            Action::New => self.choosing = Some(Chooser::of_kinds()),
            Action::Next => {
                let next = self.next();
                if next.is_empty() {
                    let text = "what can follow shows once the job has ended".into();
                    return Some(vec![Effect::App(AppEffect::Notice(text))]);
                }
                let id = self.job(shared)?.id.clone();
                let entry = |Next { text, step }: Next| {
                    let follow = AppEffect::Follow { step, job: id.clone() };
                    (printable(&text).into_owned(), Effect::App(follow))
                };
                self.choosing = Some(Chooser::new(" What next ", next.into_iter().map(entry).collect()));
            }
            Action::Train => return Some(vec![Effect::App(AppEffect::OpenForm(&kinds::TRAIN))]),
            Action::Cluster => return Some(vec![cluster_form(shared)]),
        }
        Some(Vec::new())
    }
}
