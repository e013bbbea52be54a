//! Keys of the forms. What is not bound edits the focused field.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::fields::{Step, Value};
use super::picker::{self, Picked, Picker};
use super::{Form, FormOutcome};
use crate::jobs::kinds::EVAL;
use crate::settings::Role;
use crate::tui::keymap::{
    BACK_TAB, Binding, Chord, DOWN, ENTER, ESC, KeyHint, KeySection, KeyTable, LEFT, RIGHT, TAB, UP,
};
use crate::tui::{DataEffect, Effect, Shared};

/// What a key does in a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Start,
    NextField,
    PreviousField,
    Complete,
    Pick,
    NextValue,
    PreviousValue,
    Unfold,
    Close,
}

const SPACE: Chord = Chord::char(' ');
const FOLD: &[(Chord, Action)] = &[(SPACE, Action::Unfold)];
const FOLD_TOO: &[(Chord, Action)] = &[(LEFT, Action::Unfold), (RIGHT, Action::Unfold)];

static TABLE: KeyTable<Form, Action> = KeyTable {
    title: "Forms",
    bindings: &[
        Binding::new(&[(ENTER, Action::Start)], "start", "Start the job").when(edits),
        Binding::new(&[(UP, Action::PreviousField), (DOWN, Action::NextField)], "field", "Another field")
            .when(edits),
        Binding::new(&[(TAB, Action::Complete)], "complete", "Complete the path").when(
            |form: &Form, shared| {
                edits(form, shared) && form.fields.get(form.focus).is_some_and(|f| f.is_path())
            },
        ),
        Binding::new(
            &[(Chord::ctrl('t'), Action::Pick)],
            "tasks",
            "Choose among the task folders near the library, or the folders with several",
        )
        .when(|form: &Form, shared| {
            let field = form.fields.get(form.focus);
            let lists = |role| matches!(role, Role::Data | Role::Tasks);
            edits(form, shared) && field.is_some_and(|field| lists(field.role()))
        }),
        Binding::new(
            &[(TAB, Action::NextField), (BACK_TAB, Action::PreviousField)],
            "",
            "Next field, previous field",
        )
        .when(edits),
        Binding::new(
            &[(LEFT, Action::PreviousValue), (RIGHT, Action::NextValue)],
            "choose",
            "Another value, or the one whose first letter is typed",
        )
        .also(&[(SPACE, Action::NextValue)])
        .when(|form: &Form, shared| {
            edits(form, shared) && matches!(form.value(), Some(Value::Choice { .. }))
        }),
        Binding::new(FOLD, "show", "Show more options").also(FOLD_TOO).when(|form: &Form, shared| {
            edits(form, shared) && matches!(form.value(), Some(Value::Fold { open: false }))
        }),
        Binding::new(FOLD, "hide", "Hide these options").also(FOLD_TOO).when(|form: &Form, shared| {
            edits(form, shared) && matches!(form.value(), Some(Value::Fold { open: true }))
        }),
        Binding::new(&[(ESC, Action::Close)], "close", "Close without starting"),
    ],
};

/// While the job is being started, nothing can be changed.
fn edits(form: &Form, _: &Shared) -> bool {
    !form.waiting
}

/// All keys of the forms, for the reference.
pub fn reference() -> Vec<KeySection> {
    vec![TABLE.section(), picker::reference()]
}

impl Form {
    /// What the focused field contains.
    fn value(&self) -> Option<&Value> {
        self.fields.get(self.focus).map(|field| &field.value)
    }

    /// The keys that the footer and the help show now.
    pub fn hints(&self, shared: &Shared) -> Vec<KeyHint> {
        match &self.picker {
            Some(picker) => picker.hints(shared),
            None => TABLE.hints(self, shared),
        }
    }

    /// Takes a key press.
    pub fn on_key(&mut self, key: KeyEvent, shared: &Shared) -> FormOutcome {
        if let Some(picker) = self.picker.take() {
            return FormOutcome::Open(match picker.take_key(key, shared) {
                Picked::Open(picker) => {
                    self.picker = Some(picker);
                    Vec::new()
                }
                Picked::Closed(path) => self.picked(path.as_deref(), shared),
            });
        }
        match TABLE.action(key, self, shared) {
            Some(action) => self.act(action, shared),
            None if self.waiting => FormOutcome::Open(Vec::new()),
            None => {
                let changed = self.edit(key);
                FormOutcome::Open(if changed { self.edited(shared) } else { Vec::new() })
            }
        }
    }

    fn act(&mut self, action: Action, shared: &Shared) -> FormOutcome {
        match action {
            Action::Close => return FormOutcome::Closed,
            Action::Start => return FormOutcome::Open(self.start(shared)),
            Action::Complete => {
                let text = self.fields[self.focus].text();
                // Nothing to complete: on to the next field, as Tab does elsewhere.
                if text.is_empty() && self.focus > 0 {
                    self.go(true);
                } else {
                    // An evaluation takes no examples without a task.
                    let yaml = self.kind().name == EVAL.name && self.fields[self.focus].role() == Role::Tasks;
                    return FormOutcome::Open(vec![Effect::Data(DataEffect::Complete { text, yaml })]);
                }
            }
            Action::Pick => {
                // Where many tasks are named by a folder, folders are listed, too.
                let field = self.fields.get(self.focus);
                self.picker = Some(Picker::of(field.is_some_and(|field| field.role() == Role::Tasks)));
                return FormOutcome::Open(vec![Effect::Data(DataEffect::Tasks)]);
            }
            Action::NextField => self.go(true),
            Action::PreviousField => self.go(false),
            Action::NextValue => return self.choose(Step::Next, shared),
            Action::PreviousValue => return self.choose(Step::Previous, shared),
            Action::Unfold => {
                if let Value::Fold { open } = &mut self.fields[self.focus].value {
                    *open = !*open;
                }
            }
        }
        FormOutcome::Open(Vec::new())
    }

    fn choose(&mut self, step: Step, shared: &Shared) -> FormOutcome {
        let changed = self.fields[self.focus].choose(step);
        FormOutcome::Open(if changed { self.edited(shared) } else { Vec::new() })
    }

    /// Changes the focused field by a key; whether it says something else now.
    fn edit(&mut self, key: KeyEvent) -> bool {
        let plain = !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
        let field = &mut self.fields[self.focus];
        match (&mut field.value, key.code) {
            (Value::Text(input), _) => input.on_key(key) == Some(true),
            (Value::Choice { .. }, KeyCode::Char(c)) if plain => field.choose(Step::To(c)),
            (Value::Choice { .. } | Value::Fold { .. } | Value::Shown, _) => false,
        }
    }
}
