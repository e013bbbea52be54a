//! The line between prompt and map: what is under way, and how the prompt is routed.

use ratatui::text::{Line, Span};

use super::cost::per_second;
use super::cursor::Zoom;
use super::digest::kinds;
use super::exchange::{Exchange, written};
use super::state::RoutingScreen;
use crate::text::counted;
use crate::tui::format::{duration, spinner};
use crate::tui::text_width::{truncate, width};
use crate::tui::{EngineState, Shared, Theme};

/// In less room only the numbers stand before the time.
const ROOM_FOR_VERB: u16 = 60;

/// Parts of the line from the left, least wanted last, and the one at the right end.
pub fn line<'a>(screen: &RoutingScreen, shared: &Shared, theme: &Theme, room: u16) -> Line<'a> {
    let mut parts: Vec<(String, ratatui::style::Style)> = Vec::new();
    let dim = theme.dim();
    let RoutingScreen { question, exchange, map, .. } = screen;
    let updating = exchange.pending.is_some();
    if screen.experiment.hides() {
        // Any more would say whose the answers are.
        if updating || screen.experiment.is_running() {
            parts.push((format!("{} answering", spinner(shared.tick)), theme.warning()));
        }
        parts.push(("answers are compared blindly".into(), theme.accent()));
        parts.push(("B says whose they are".into(), theme.text()));
        return compose(parts, &[], dim, usize::from(room));
    }
    parts.extend(activity(exchange, shared, room).into_iter().map(|text| (text, theme.warning())));
    if exchange.is_faded(shared) {
        parts.push(("dimmed: out of date".into(), theme.warning()));
    }
    let router = &question.router;
    let name = match &router.router.argument {
        Some(_) => format!("{} {}", router.router.title, truncate(&router.argument, 24)),
        None => router.router.title.to_string(),
    };
    parts.push((name, theme.accent()));
    let settings = router.router.settings.iter();
    let shown = settings.filter_map(|setting| setting.shown(router.values.get(setting)));
    parts.extend(shown.map(|text| (text, theme.text())));
    if !router.router.caption.is_empty() {
        parts.push((router.router.caption.into(), dim));
    }
    for (count, what) in [(question.muted().len(), "muted"), (question.pinned().len(), "pinned")] {
        if count > 0 {
            parts.push((format!("{count} {what}"), theme.warning()));
        }
    }
    // A list that shows who is chosen comes with a routing.
    if let Some(name) =
        screen.chosen().filter(|_| exchange.shown.is_none()).and_then(|_| screen.target(shared))
    {
        parts.push((format!("chosen: {}", truncate(&name, 24)), theme.accent()));
    }
    if let Some(shown) = &exchange.shown {
        let all = || kinds(&shown.trace.modules).join(" ");
        let text = map.kind.clone().unwrap_or_else(all);
        if !text.is_empty() {
            let text = if map.zoom == Zoom::Modules { format!("{text} zoomed") } else { text };
            parts.push((truncate(&text, 28), theme.text()));
        }
    }
    if map.difference && screen.experiment.kept.is_some() {
        parts.push(("what moved".into(), theme.warning()));
    }
    parts.push((if question.raw { "raw".into() } else { "template".into() }, theme.text()));
    if let EngineState::Loading { stage } = &shared.engine {
        parts.push((format!("{} {}", spinner(shared.tick), truncate(stage, 40)), theme.warning()));
    }
    if let EngineState::Ready { skipped, .. } = &shared.engine
        && !skipped.is_empty()
    {
        parts.push((format!("{} skipped", skipped.len()), theme.warning()));
    }
    let right = match (&shared.engine, &exchange.shown) {
        (EngineState::Ready { label, .. }, Some(shown)) if !updating && !exchange.is_stale() => {
            let speed = match written(&shown.trace) {
                0 => format!("{:.0} ms", shown.milliseconds),
                n => format!("{} tokens/s", per_second(n as f64, shown.milliseconds)),
            };
            let label = truncate(label, 60);
            let cost = screen.costs.in_short(&shown.asked);
            let mut forms = vec![format!("{label} · {speed}"), speed.clone()];
            if let Some(cost) = cost {
                forms.insert(0, format!("{label} · {speed} · {cost}"));
                forms.insert(1, format!("{speed} · {cost}"));
            }
            forms
        }
        (EngineState::Ready { label, .. }, _) => vec![truncate(label, 60)],
        _ => Vec::new(),
    };
    compose(parts, &right, dim, usize::from(room))
}

/// What is under way, how far it is and how to end it; the short form where there is little room.
fn activity(exchange: &Exchange, shared: &Shared, room: u16) -> Vec<String> {
    let Some(pending) = exchange.pending else {
        return if exchange.is_stopped(shared) { vec!["stopped".into()] } else { Vec::new() };
    };
    let spin = spinner(shared.tick);
    let elapsed = exchange.elapsed(shared).unwrap_or(0.0);
    let prompt = pending.progress.filter(|(done, total)| done < total);
    // What is shown may be of the request before.
    let answer = exchange.shown.as_ref().filter(|_| pending.begun).map(|shown| written(&shown.trace));
    if !exchange.is_long(shared) {
        return vec![format!("{spin} updating")];
    }
    let narrow = room < ROOM_FOR_VERB;
    let (verb, tokens) = match (pending.calibration, prompt) {
        (Some(step), _) if narrow => {
            (step.what.verb(), format!("{}/{} {}s", step.done, step.all, step.what.unit()))
        }
        (Some(step), _) => (step.what.verb(), step.amount()),
        (None, prompt) => {
            let routed = pending.progress.is_some();
            of_prompt(prompt, narrow, pending.generating.then_some((answer, routed)))
        }
    };
    let first = if narrow && !tokens.is_empty() {
        format!("{spin} {tokens}")
    } else {
        format!("{spin} {verb} {tokens}").trim_end().to_string()
    };
    vec![first, duration(elapsed), "Esc stops".into()]
}

/// What is done with the prompt, or after it, and how much of it is done. `answer`: where one is asked for, its tokens,
/// once there are some, and whether the prompt is routed.
fn of_prompt(
    prompt: Option<(usize, usize)>,
    narrow: bool,
    answer: Option<(Option<usize>, bool)>,
) -> (&'static str, String) {
    match (prompt, answer) {
        (Some((done, total)), _) if narrow => ("routing", format!("{done}/{total} tokens")),
        (Some((done, total)), _) => ("routing", format!("{done} of {total} tokens")),
        (None, Some((Some(tokens), _))) => ("generating", counted(tokens, "token")),
        (None, Some((None, true))) => ("generating", counted(0, "token")),
        // The router is made ready first, which may take long before it can say how far it is.
        (None, Some((None, false))) => ("preparing", String::new()),
        (None, None) => ("routing", String::new()),
    }
}

/// Joins as many parts as fit with ` · `, and the first of the right ends for which there is still room.
fn compose<'a>(
    parts: Vec<(String, ratatui::style::Style)>,
    right: &[String],
    dim: ratatui::style::Style,
    room: usize,
) -> Line<'a> {
    let mut spans: Vec<Span<'a>> = vec![Span::raw(" ")];
    let mut used = 1;
    for (i, (text, style)) in parts.into_iter().enumerate() {
        let join = if i == 0 { 0 } else { 3 };
        if used + join + width(&text) > room {
            break;
        }
        if join > 0 {
            spans.push(Span::styled(" · ", dim));
        }
        used += join + width(&text);
        spans.push(Span::styled(text, style));
    }
    let fits = |text: &&String| !text.is_empty() && used + width(text) + 3 <= room;
    if let Some(right) = right.iter().find(fits) {
        spans.push(Span::raw(" ".repeat(room - used - width(right) - 1)));
        spans.push(Span::styled(right.clone(), dim));
    }
    Line::from(spans)
}
