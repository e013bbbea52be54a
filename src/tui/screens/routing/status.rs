//! The line between prompt and map, the keys, and what is said while there is no map.

use ratatui::text::{Line, Span};

use super::digest::kinds;
use super::{Focus, RoutingScreen, needs_retry};
use crate::routing::{Part, RouterKind};
use crate::tui::fit::{spinner, truncate, width};
use crate::tui::{Binding, EngineState, Shared, Theme};

/// The keys that work now, the most wanted first.
pub fn bindings(screen: &RoutingScreen, shared: &Shared) -> Vec<Binding> {
    let key = |keys, short, help| Binding { keys, short, help };
    let mut keys = Vec::new();
    if screen.focus == Focus::Prompt {
        if screen.is_generating() {
            keys.push(key("Esc", "stop", "Stop generating; what was written stays."));
        } else {
            keys.push(key("Esc", "to the map", "Leave the prompt for the map."));
        }
        keys.push(key("Enter", "generate", "Let the routed model continue the prompt."));
        keys.push(key("Alt-Enter", "new line", "Start a new line in the prompt (Ctrl-J does, too)."));
        if screen.can_fill_example() {
            keys.push(key("Tab", "example", "Fill in the next example prompt (Ctrl-N and Ctrl-P, too)."));
        }
        keys.push(key("Ctrl-U", "clear to the left", "Delete back to the head of the line."));
        return keys;
    }
    match &shared.engine {
        EngineState::Missing { .. } => {
            keys.push(key("f", "fetch", "Download the base model, check it and load it."));
            keys.push(key("R", "look again", "Look for the base model again."));
        }
        EngineState::Failed { .. } => keys.push(key("R", "try again", "Load the model again.")),
        EngineState::Fetching { .. } => keys.push(key("Esc", "stop", "Stop the download.")),
        _ => {}
    }
    if screen.is_generating() {
        keys.push(key("Esc", "stop", "Stop generating; what was written stays."));
    }
    keys.push(key("i", "prompt", "Edit the prompt (Enter does, too)."));
    if screen.can_fill_example() {
        keys.push(key("n", "example", "Fill in the next example prompt."));
    }
    if screen.shown.is_some() {
        keys.extend([
            key("g", "generate", "Let the routed model continue the prompt."),
            key("↑↓", "token", "Choose a token; PgUp, PgDn, Home and End go further."),
            key("←→", "layer", "Choose a layer, or a module when zoomed in."),
            key("m", "modules", "Show one kind of module: all, q, k, v …"),
            key("z", "zoom", "One column per module instead of one per layer, and back."),
            key("r", "router", "Next router: Arrow, uniform, a single expert, base."),
            key("< >", "top k", "Keep fewer or more experts per token and module."),
            key("T t", "temperature", "Lower the temperature (sharper) or raise it (softer)."),
            key("[ ]", "expert", "Choose an expert; its cells stand out on the map."),
            key("x", "mute", "Give the chosen expert no weight, or bring it back."),
            key("X", "unmute all", "Bring all muted experts back."),
            key("s", "single", "Route everything through the chosen expert."),
            key("w", "template", "Put the prompt into the chat template, or send it raw."),
        ]);
    }
    keys
}

/// Parts of the line from the left, least wanted last, and the one at the right end.
pub fn line<'a>(screen: &RoutingScreen, shared: &Shared, theme: &Theme, room: u16) -> Line<'a> {
    let mut parts: Vec<(String, ratatui::style::Style)> = Vec::new();
    let dim = theme.dim();
    let updating = screen.pending.is_some();
    if updating {
        let what = if screen.is_generating() { "generating" } else { "updating" };
        parts.push((format!("{} {what}", spinner(shared.tick)), theme.warning()));
    }
    let router = &screen.router;
    let name = match &router.kind {
        RouterKind::Arrow => "Arrow".to_string(),
        RouterKind::Uniform => "uniform".into(),
        RouterKind::UniformFactors => "uniform factors".into(),
        RouterKind::Single(name) => format!("single {}", truncate(name, 24)),
        RouterKind::Base => "base".into(),
    };
    parts.push((name, theme.accent()));
    match &router.kind {
        RouterKind::Arrow => {
            let k = if router.top_k == 0 { "all".to_string() } else { router.top_k.to_string() };
            parts.push((format!("top {k}"), theme.text()));
            parts.push((format!("τ {}", router.temperature), theme.text()));
        }
        RouterKind::Uniform | RouterKind::UniformFactors => {
            parts.push(("every expert has the same weight everywhere".into(), dim));
        }
        RouterKind::Single(_) => parts.push(("this expert everywhere".into(), dim)),
        RouterKind::Base => parts.push(("the model alone, no experts".into(), dim)),
    }
    if !router.muted.is_empty() {
        parts.push((format!("{} muted", router.muted.len()), theme.warning()));
    }
    if let Some(shown) = &screen.shown {
        let all = || kinds(&shown.trace.modules).join(" ");
        let text = screen.kind.clone().unwrap_or_else(all);
        if !text.is_empty() {
            let text = if screen.by_module { format!("{text} zoomed") } else { text };
            parts.push((truncate(&text, 28), theme.text()));
        }
    }
    parts.push((if screen.raw { "raw".into() } else { "template".into() }, theme.text()));
    if let EngineState::Loading { stage } = &shared.engine {
        parts.push((format!("{} {}", spinner(shared.tick), truncate(stage, 40)), theme.warning()));
    }
    if let EngineState::Ready { skipped, .. } = &shared.engine
        && !skipped.is_empty()
    {
        parts.push((format!("{} skipped", skipped.len()), theme.warning()));
    }
    let right = match (&shared.engine, &screen.shown) {
        (EngineState::Ready { label, .. }, Some(shown)) if !updating => {
            let written = shown.trace.tokens.iter().filter(|t| t.part == Part::Generated).count();
            let speed = match written {
                0 => format!("{:.0} ms", shown.milliseconds),
                n => format!("{:.0} ms a token", shown.milliseconds / n as f64),
            };
            format!("{} · {speed}", truncate(label, 60))
        }
        (EngineState::Ready { label, .. }, _) => truncate(label, 60),
        _ => String::new(),
    };
    compose(parts, &right, dim, usize::from(room))
}

/// Joins as many parts as fit with ` · `, and the right end when there is still room.
fn compose<'a>(
    parts: Vec<(String, ratatui::style::Style)>,
    right: &str,
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
    let cells = width(right);
    if cells > 0 && used + cells + 3 <= room {
        spans.push(Span::raw(" ".repeat(room - used - cells - 1)));
        spans.push(Span::styled(right.to_string(), dim));
    }
    Line::from(spans)
}

/// What to say while there is no map.
pub fn panel<'a>(screen: &RoutingScreen, shared: &Shared, theme: &Theme) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    let plain = |text: String| Line::from(Span::styled(text, theme.text()));
    let dim = |text: String| Line::from(Span::styled(text, theme.dim()));
    let key = |key: &'static str, what: &'static str| {
        Line::from(vec![Span::styled(format!("  {key}  "), theme.key()), Span::styled(what, theme.text())])
    };
    let usable = shared.library.as_ref().map(|library| library.usable().count());
    match &shared.engine {
        EngineState::Unloaded if shared.library.is_none() => lines.push(dim("Reading the library …".into())),
        EngineState::Unloaded => lines.push(dim("The model is not loaded.".into())),
        EngineState::Missing { what, error } => {
            lines.push(Line::from(Span::styled("The base model is not on this machine.", theme.warning())));
            lines.push(plain(truncate(what, 400)));
            if let Some(error) = error {
                lines.push(Line::from(Span::styled(format!("✗ {}", truncate(error, 400)), theme.error())));
            }
            lines.push(Line::default());
            lines.push(key("f", "fetch it, check it and load it"));
            lines.push(key("R", "look again, after putting the file in place"));
            lines.push(Line::default());
            lines.push(dim(
                "By hand: start with --base FILE, or name the file as `path` under [base] in library.toml. \
                 The other tabs work without it."
                    .into(),
            ));
            return lines;
        }
        EngineState::Failed { error } => {
            let error = format!("✗ {}", truncate(error, 600));
            lines.push(Line::from(Span::styled(error, theme.error())));
            lines.push(Line::default());
            lines.push(key("R", "try again"));
            return lines;
        }
        EngineState::Loading { stage } => {
            let text = format!("{} Loading: {}", spinner(shared.tick), truncate(stage, 200));
            lines.push(Line::from(Span::styled(text, theme.warning())));
        }
        EngineState::Fetching { source, .. } => {
            let text = format!("{} Fetching from {}", spinner(shared.tick), truncate(source, 200));
            lines.push(Line::from(Span::styled(text, theme.warning())));
            // The bar is drawn below this line.
            lines.push(Line::default());
        }
        EngineState::Ready { skipped, .. } => {
            for (name, reason) in skipped.iter().take(4) {
                let text = format!("skipped {}: {}", truncate(name, 40), truncate(reason, 200));
                lines.push(Line::from(Span::styled(text, theme.warning())));
            }
            if skipped.len() > 4 {
                let more = format!("{} more skipped", skipped.len() - 4);
                lines.push(Line::from(Span::styled(more, theme.warning())));
            }
        }
    }
    if usable == Some(0) {
        lines.push(Line::from(Span::styled(
            "No usable expert in this library: only the base model can answer.",
            theme.warning(),
        )));
    }
    if !lines.is_empty() {
        lines.push(Line::default());
    }
    if screen.prompt.is_blank() {
        lines.push(plain(
            "Type a prompt to see which experts each of its tokens uses, layer by layer.".into(),
        ));
        lines.push(Line::default());
        lines.push(dim("To begin with:".into()));
        for (i, example) in screen.examples.iter().take(4).enumerate() {
            let mark = if screen.example == Some(i) { "› " } else { "  " };
            let text = super::paint::token_text(example).replace('·', " ");
            lines.push(plain(format!("{mark}{}", truncate(&text, 160))));
        }
        lines.push(Line::default());
        lines.push(if screen.focus == Focus::Prompt {
            key("Tab", "fill in an example")
        } else {
            key("i", "type a prompt")
        });
        if screen.focus == Focus::Map {
            lines.push(key("n", "fill in an example"));
        }
    } else if !needs_retry(&shared.engine) && screen.error.is_none() && screen.pending.is_none() {
        lines.push(dim("The prompt is routed as soon as the model is ready.".into()));
    }
    lines
}
