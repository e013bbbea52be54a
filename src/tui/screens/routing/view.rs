//! Puts the parts of the tab in their places.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::widgets::{Clear, Paragraph, Wrap};

use super::answer::Answer;
use super::answers::{Against, Answers};
use super::cell::{CellDetail, Known};
use super::cost;
use super::cursor::Zoom;
use super::empty_state::SMALL_WIDTH;
use super::exchange::Shown;
use super::experiment::Kept;
use super::experts::{Listed, Shares};
use super::finding::Finding;
use super::layers::{Layers, by_groups};
use super::map::{Axis, Map, SAME};
use super::marks::{ExpertMarks, OTHERS};
use super::paint::{framed, heading, put, quoted_width};
use super::places::{Wish, column};
use super::reading::{Reader, Reading};
use super::reasons::{EXPLAINED, chooses};
use super::state::{Focus, RoutingScreen};
use super::weights::Weights;
use super::why::WhyPane;
use super::{empty_state, status, why};
use crate::routing::CALIBRATED;
use crate::text::printable;
use crate::tui::text_width::{flow, truncate, width};
use crate::tui::widgets::below;
use crate::tui::{Shared, TextField, Theme};

const SMALL_HEIGHT: u16 = 14;

/// From here on prompt and answer stand side by side.
const WIDE: u16 = 72;

/// The narrowest and the widest useful list of shares.
const MIN_SHARES: u16 = 30;
const MAX_SHARES: u16 = 76;

/// Cells that a map needs beside a list of shares.
const MAP: u16 = 42;

/// From this height on, panes that wait to be asked say how.
const ROOM_FOR_HINTS: usize = 24;

/// Rows for what an answer is owed to: a heading, two experts, and two of what is concluded.
const WHY_ROWS: usize = 5;

/// In fewer rows panes have no headings.
const SMALL_BODY: u16 = 8;

/// Draws the tab.
pub fn draw(screen: &RoutingScreen, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
    if area.is_empty() {
        return;
    }
    let small = area.width < SMALL_WIDTH || area.height < SMALL_HEIGHT;
    let boxes = if small { small_boxes(screen, area) } else { framed_boxes(screen, area) };
    let failed = screen.exchange.error.as_ref().map(|error| {
        let way =
            if screen.question.can_mute() && screen.blamed(shared).is_some() { ": x mutes it" } else { "" };
        format!(" ✗ {}{way}", printable(error))
    });
    let error_rows = failed.as_ref().map_or(0, |error| {
        let rows = (width(error) + 1).div_ceil(usize::from(area.width));
        rows.min(4).min(usize::from(area.height) / 2) as u16
    });
    // What is found about a routing says which router gave it.
    let blind = screen.experiment.hides();
    let found = screen.exchange.shown.as_ref().filter(|_| !blind);
    let finding = found.map(|shown| (shown, Finding::of(shown, &screen.marks)));
    let said = u16::from(finding.is_some() && area.height > boxes.height);
    let [top, sentence, line, error, body] = Layout::vertical([
        Constraint::Length(boxes.height),
        Constraint::Length(said),
        Constraint::Length(u16::from(area.height > boxes.height + said + 1)),
        Constraint::Length(error_rows),
        Constraint::Min(0),
    ])
    .areas(area);
    boxes.draw(screen, frame, top, small, shared, theme);
    if let Some((shown, finding)) = finding {
        let faded = screen.exchange.is_faded(shared);
        frame.render_widget(finding.line(shown, &screen.marks, (sentence.width, faded), theme), sentence);
    }
    match &screen.reference {
        Some(field) => draw_reference(field, frame, line, theme),
        None => frame.render_widget(status::line(screen, shared, theme, line.width), line),
    }
    if let Some(text) = failed {
        frame.render_widget(Paragraph::new(text).style(theme.error()).wrap(Wrap { trim: true }), error);
    }
    match &screen.exchange.shown {
        _ if screen.history.finding.is_some() => screen.history.draw(frame, body, theme),
        _ if blind => answers(screen, shared).draw(frame.buffer_mut(), body, theme),
        Some(shown) => draw_routing(screen, shown, frame, body, shared, theme),
        None => empty_state::draw(screen, frame, body, shared, theme),
    }
}

/// The answer whose probability is compared, while one types it.
fn draw_reference(field: &TextField, frame: &mut Frame, area: Rect, theme: &Theme) {
    const LABEL: &str = " reference answer: ";
    let used = put(frame.buffer_mut(), area, 0, 0, LABEL, theme.header());
    let place = Rect { x: area.x + used, width: area.width.saturating_sub(used), ..area };
    frame.render_widget(field.line(usize::from(place.width), true, theme), place);
}

/// The answers of the routers that are compared.
fn answers<'a>(screen: &'a RoutingScreen, shared: &Shared) -> Answers<'a> {
    Answers { experiment: &screen.experiment, now: &screen.exchange.asked, tick: shared.tick }
}

/// The answer that has a box of its own: not while answers are compared blindly, among which it is, and none to an
/// earlier prompt where that to the present one stands among those that are compared.
fn boxed(screen: &RoutingScreen) -> Option<&Answer> {
    let now = &screen.exchange.asked;
    let newer =
        || screen.experiment.rows.iter().any(|row| row.asked.is_same_run(now) && !row.text.is_empty());
    let answer = screen.exchange.answer.as_ref().filter(|_| !screen.experiment.hides())?;
    (answer.asked().is_same_prompt(now) || !newer()).then_some(answer)
}

/// How prompt and answer share the top.
struct Boxes {
    height: u16,
    prompt: Constraint,
    answer: Constraint,
    beside: bool,
}

fn small_boxes(screen: &RoutingScreen, area: Rect) -> Boxes {
    let most = usize::from(area.height / 4).max(1);
    let prompt = screen.question.prompt.rows(area.width.saturating_sub(2)).min(most) as u16;
    let answer = u16::from(boxed(screen).is_some() && area.height > 4);
    Boxes {
        height: prompt + answer,
        prompt: Constraint::Length(prompt),
        answer: Constraint::Length(answer),
        beside: false,
    }
}

fn framed_boxes(screen: &RoutingScreen, area: Rect) -> Boxes {
    let beside = boxed(screen).is_some() && area.width >= WIDE;
    let inner = |cells: u16| cells.saturating_sub(4);
    let prompt_width = inner(if beside { area.width / 2 } else { area.width });
    let most = usize::from(area.height / 6).max(1);
    let prompt = screen.question.prompt.rows(prompt_width).min(most) as u16;
    let Some(answer) = boxed(screen) else {
        return Boxes {
            height: prompt + 2,
            prompt: Constraint::Min(0),
            answer: Constraint::Length(0),
            beside,
        };
    };
    let answer_width = if beside { inner(area.width - area.width / 2) } else { inner(area.width) };
    let answer = answer.rows(answer_width, most);
    if beside {
        let halves = (Constraint::Length(area.width / 2), Constraint::Min(0));
        return Boxes { height: prompt.max(answer) + 2, prompt: halves.0, answer: halves.1, beside };
    }
    Boxes {
        height: prompt + answer + 4,
        prompt: Constraint::Length(prompt + 2),
        answer: Constraint::Length(answer + 2),
        beside,
    }
}

impl Boxes {
    fn draw(
        &self,
        screen: &RoutingScreen,
        frame: &mut Frame,
        area: Rect,
        small: bool,
        shared: &Shared,
        theme: &Theme,
    ) {
        let layout = [self.prompt, self.answer];
        let [prompt, answer] = if self.beside {
            Layout::horizontal(layout).areas(area)
        } else {
            Layout::vertical(layout).areas(area)
        };
        draw_prompt(screen, frame, prompt, small, theme);
        match boxed(screen) {
            Some(text) if small => text.draw_small(frame, answer, &screen.exchange.asked, theme),
            Some(text) => text.draw(frame, answer, &screen.exchange.asked, shared.tick, theme),
            None => {}
        }
    }
}

fn draw_prompt(screen: &RoutingScreen, frame: &mut Frame, area: Rect, small: bool, theme: &Theme) {
    let focused = screen.focus == Focus::Prompt;
    let inner = if small {
        put(frame.buffer_mut(), area, 0, 0, "› ", if focused { theme.accent() } else { theme.dim() });
        Rect { x: area.x + 2.min(area.width), width: area.width.saturating_sub(2), ..area }
    } else {
        let title = match area.width {
            ..60 => " prompt ",
            _ if focused => " prompt · Ctrl-G editor · Ctrl-R history ",
            _ => " prompt ",
        };
        framed(frame, area, title, focused, theme)
    };
    if screen.question.prompt.is_blank() && !focused {
        let hints = ["i to type a prompt, n for an example", "i to type, n for an example", "i to type"];
        let fits = hints.into_iter().find(|hint| width(hint) <= usize::from(inner.width));
        put(frame.buffer_mut(), inner, 0, 0, fits.unwrap_or_default(), theme.dim());
        return;
    }
    screen.question.prompt.draw(frame, inner);
}

/// What all panes show: the routing, and how it is looked at.
struct Look<'a> {
    screen: &'a RoutingScreen,
    shown: &'a Shown,
    token: usize,
    column: usize,
    faded: bool,
    shared: &'a Shared,
    theme: &'a Theme,
}

fn draw_routing(
    screen: &RoutingScreen,
    shown: &Shown,
    frame: &mut Frame,
    area: Rect,
    shared: &Shared,
    theme: &Theme,
) {
    if area.is_empty() {
        return;
    }
    let (token, column) = (screen.map.token_in(shown), screen.map.column_in(shown));
    let faded = screen.exchange.is_faded(shared);
    let look = Look { screen, shown, token, column, faded, shared, theme };
    match screen.map.zoom {
        Zoom::Whole => look.draw_whole(frame, area),
        // Beside the map, experts have no room there to be found.
        Zoom::Layers | Zoom::Modules
            if screen.search.is_some() && (area.width < MIN_SHARES + MAP || area.height < SMALL_BODY) =>
        {
            look.draw_whole(frame, area);
        }
        Zoom::Layers | Zoom::Modules => look.draw_map(frame, area),
    }
}

impl Look<'_> {
    /// The experts to list, and how many there are of them.
    fn listed(&self, rows: u16, headed: bool) -> (Listed<'_>, usize) {
        let order = self.screen.order();
        let found = order.len();
        // Without a list there is no better place for a letter's name than the sentence and the cell.
        let room = match rows {
            0 => usize::MAX,
            rows => usize::from(rows) - usize::from(headed),
        };
        let (experts, chosen) = (self.shown.trace.experts.len(), self.screen.map.expert);
        (Listed::new(order, experts, room, &self.screen.marks, chosen), found)
    }

    fn draw_shares(&self, frame: &mut Frame, area: Rect, (listed, found): (&Listed, usize), headed: bool) {
        let trace = self.shown.trace.as_ref();
        let search = self.screen.search.as_ref().map(TextField::text);
        let shares = Shares {
            trace,
            digest: &self.shown.digest,
            muted: self.screen.question.muted(),
            pinned: self.screen.question.pinned(),
            expert: self.screen.map.expert_in(self.shown),
            faded: self.faded,
            listed,
            found,
            search: search.as_deref(),
            headed,
        };
        shares.draw(frame.buffer_mut(), area, self.theme);
        if trace.experts.is_empty() || !self.shown.asked.router.is_weighted() {
            frame.render_widget(Clear, area);
            let text = truncate("no experts in this router", usize::from(area.width));
            put(frame.buffer_mut(), area, 0, 0, &text, self.theme.dim());
        }
    }

    fn detail<'a>(&'a self, listed: &'a Listed<'a>) -> CellDetail<'a> {
        let Self { shown, token, column, faded, .. } = *self;
        let known = match self.screen.reasons.of(shown, token) {
            _ if !chooses(shown) => Known::Nothing,
            None => Known::Pending,
            Some(Ok(why)) => Known::Found(why),
            Some(Err(error)) => Known::Failed(error),
        };
        CellDetail { trace: &shown.trace, digest: &shown.digest, token, column, faded, listed, known }
    }

    /// Rows of the cell under the cursor, with reasons where there are some and `room` for them.
    fn detail_rows(&self, room: usize) -> usize {
        let modules = self.shown.digest.columns.get(self.column).map_or(0, |column| column.modules.len());
        let reasons = CellDetail::rows(modules, EXPLAINED);
        match modules {
            0 => 0,
            // Of one module, as many experts as have room.
            1 if chooses(self.shown) && room >= 4 => reasons.min(room),
            _ if chooses(self.shown) && room >= reasons => reasons,
            modules => modules + 1,
        }
    }

    /// The run that the map is compared with.
    fn difference(&self) -> Option<&Kept> {
        let kept = self.screen.experiment.kept.as_ref().filter(|_| self.screen.map.difference)?;
        (kept.asked.is_same_prompt(&self.shown.asked) && kept.trace.experts == self.shown.trace.experts)
            .then_some(kept)
    }

    /// The run that is kept against this one.
    fn against(&self) -> Option<Against<'_>> {
        let experiment = &self.screen.experiment;
        let kept = experiment.kept.as_ref().filter(|kept| !kept.asked.is_same_run(&self.shown.asked))?;
        if experiment.hides() {
            return None;
        }
        let row = experiment.rows.iter().find(|row| row.asked.is_same_run(&self.shown.asked));
        Some(Against {
            kept,
            shown: self.shown,
            answer: self.screen.present_answer(),
            log_probability: row.and_then(|row| row.log_probability()),
            faded: self.faded,
        })
    }

    /// The prompt as text, layers as bars, experts and one cell.
    fn draw_whole(&self, frame: &mut Frame, area: Rect) {
        let wide = area.width >= WIDE;
        let beside = if wide { (area.width * 2 / 5).clamp(MIN_SHARES, MAX_SHARES) } else { 0 };
        let width = if wide { area.width - beside - 2 } else { area.width };
        let left = Rect { width, ..area };
        let right = Rect { x: area.x + width + 2, width: beside, ..area };
        let (trace, digest, theme) = (self.shown.trace.as_ref(), &self.shown.digest, self.theme);
        let reading = Reading::new(trace, usize::from(left.width).saturating_sub(1).max(1));
        // The base model alone has a routing without experts.
        let experts = if self.shown.asked.router.is_weighted() { trace.experts.len() } else { 0 };
        // A heading takes a row that a small place needs for other things.
        let head = usize::from(area.height >= SMALL_BODY);
        let text = reading.rows() * 2;
        let whole = usize::from(area.height);
        let text = Wish::new(head + text.min(2), head + text.min((whole * 2 / 5).max(2)));
        let grouped = by_groups(self.screen.map.bars, trace, &self.screen.marks);
        let layers = if experts > 0 { digest.layers.len() + 1 + usize::from(grouped) } else { 0 };
        let layers = Wish::new(layers.min(5), layers);
        // What is above comes first.
        let room = whole.saturating_sub(text.least + layers.least);
        let detail = if experts > 0 { self.detail_rows(room) } else { 0 };
        let detail = Wish::new(detail, detail);
        let searching = self.screen.search.is_some();
        // What is looked for has a row below what was typed.
        let shares = match searching {
            true => Wish::new((1 + experts).min(2 + 2 * head), 2 + experts),
            false => Wish::new((head + experts).min(1 + 2 * head), 2 + experts),
        };
        let hidden = experts + 3 > whole;
        let mut signs = if area.height >= 16 {
            legend(self.shown, &self.screen.marks, hidden, false)
        } else {
            Vec::new()
        };
        if whole >= ROOM_FOR_HINTS && chooses(self.shown) {
            signs.push("σ₁ share of ΔW that one direction has".into());
            signs.push("gap σ₂/σ₁".into());
            if self.screen.question.router.values.flag(&CALIBRATED) {
                signs.push("z score against what is usual".into());
            }
        }
        let signs = flow(&signs, usize::from(if wide { beside } else { width }));
        let signs = signs.iter().filter(|line| !line.is_empty()).cloned().collect::<Vec<_>>();
        let (experiment, now) = (&self.screen.experiment, &self.screen.exchange.asked);
        let answers = answers(self.screen, self.shared);
        // What can be asked is said where there is room for it.
        let hints = whole >= ROOM_FOR_HINTS;
        let answers_wish = match experiment.rows.is_empty() && !hints {
            true => Wish::default(),
            // In a small place, the present one at least.
            false => Wish::new(if head > 0 { answers.rows() } else { 1 }, answers.rows()),
        };
        let why = why::rows(experiment);
        let explains = experiment.why.is_some() || experts > 0 && hints;
        let why_wish = if explains {
            Wish::new(if head > 0 { why.min(WHY_ROWS) } else { 1 }, why)
        } else {
            Wish::default()
        };
        let against = self.against();
        let against_rows = against.as_ref().map_or(0, |against| against.lines().len() + 1);
        let against_wish = Wish::new(against_rows.min(5), against_rows);
        let signs_wish = Wish::new(signs.len(), signs.len());
        // What a person asked for comes before what is there anyway; in a small place, what was asked of an earlier run
        // does not.
        let explained = if head > 0 { experiment.why.is_some() } else { self.is_explained() };
        let asked = !experiment.rows.is_empty() || explained;
        let (panes, list, side) = if wide {
            let order: &[usize] = match asked {
                true if head == 0 => &[3, 2, 0, 1, 4],
                true => &[0, 2, 3, 1, 4],
                false => &[0, 1, 4, 2, 3],
            };
            // Where there is room below the experts, the cell stands there, and prompts to come back to.
            let (below_layers, below_shares) =
                if hints { (Wish::default(), detail) } else { (detail, Wish::default()) };
            let recent = self.screen.history.recent_rows(&self.screen.suggestions.prompts);
            let recent = if hints { Wish::new(recent.min(3), recent) } else { Wish::default() };
            let mut panes = column(left, &[text, layers, answers_wish, why_wish, below_layers], order);
            let cost = if hints && experts > 0 { cost::ROWS } else { 0 };
            let wishes = [shares, below_shares, against_wish, recent, Wish::new(cost, cost), signs_wish];
            let side = column(right, &wishes, &[0, 1, 2, 5, 4, 3]);
            if hints {
                panes[4] = side[1];
            }
            (panes, side[0], vec![side[2], side[5], side[3], side[4]])
        } else {
            let shares = Wish::new(shares.least, shares.most.min(shares.least.max(whole / 3)));
            let optional = |shown: bool, wish: Wish| if shown { wish } else { Wish::default() };
            let answers = optional(!experiment.rows.is_empty(), answers_wish);
            let why = optional(experiment.why.is_some(), why_wish);
            let wishes = [text, shares, layers, answers, why, detail, against_wish];
            let order: &[usize] = match head == 0 {
                true if searching => &[1, 0, 3, 4, 6, 2, 5],
                true if asked => &[4, 3, 0, 1, 6, 2, 5],
                true | false => &[0, 1, 3, 4, 6, 2, 5],
            };
            let panes = column(left, &wishes, order);
            (
                vec![panes[0], panes[2], panes[3], panes[4], panes[5]],
                panes[1],
                vec![panes[6], Rect::default(), Rect::default(), Rect::default()],
            )
        };
        let headed = head > 0 || self.screen.search.is_some();
        let (listed, found) = self.listed(list.height, headed);
        let buf = frame.buffer_mut();
        let [mut text, bars, answers_place, why_place, detail] =
            [panes[0], panes[1], panes[2], panes[3], panes[4]];
        if head > 0 && text.height > 1 {
            heading(buf, text, 0, "text", "each token in the colour of its strongest expert", theme);
            text = below(text, 1);
        }
        text = Rect { x: text.x + u16::from(text.width > 1), width: text.width.saturating_sub(1), ..text };
        let expert = self.screen.map.expert;
        let reader = Reader { trace, digest, token: self.token, expert, faded: self.faded, listed: &listed };
        if !text.is_empty() {
            reading.draw(buf, text, &reader, theme);
        }
        let layers = Layers {
            trace,
            digest,
            layer: digest
                .columns
                .iter()
                .take(self.column + 1)
                .filter(|column| column.starts_layer)
                .count()
                .saturating_sub(1),
            by: self.screen.map.bars,
            faded: self.faded,
            marks: &self.screen.marks,
            listed: &listed,
        };
        if !bars.is_empty() {
            layers.draw(buf, bars, theme);
        }
        if !detail.is_empty() {
            self.detail(&listed).draw(buf, detail, theme);
        }
        if !answers_place.is_empty() {
            answers.draw(buf, answers_place, theme);
        }
        if !why_place.is_empty() {
            let (time, tick) = (self.shared.now, self.shared.tick);
            WhyPane { experiment, trace, listed: &listed, now, time, tick }.draw(buf, why_place, theme);
        }
        if let Some(against) = against.filter(|_| !side[0].is_empty()) {
            against.draw(buf, side[0], theme);
        }
        for (y, line) in signs.into_iter().enumerate() {
            put(buf, side[1], 0, y as u16, &line, theme.dim());
        }
        if !side[2].is_empty() {
            let (examples, prompt) = (&self.screen.suggestions.prompts, &self.shown.asked.prompt);
            self.screen.history.draw_recent(buf, side[2], examples, prompt, theme);
        }
        if !side[3].is_empty() {
            self.screen.costs.draw(buf, side[3], &self.shown.asked, self.faded, theme);
        }
        if !list.is_empty() {
            self.draw_shares(frame, list, (&listed, found), headed);
        }
    }

    /// Whether it was asked what the answer owes to whom under this very run.
    fn is_explained(&self) -> bool {
        let now = &self.screen.exchange.asked;
        self.screen.experiment.why.as_ref().is_some_and(|why| why.asked.is_same_run(now))
    }

    /// What a person asked for beside the routing, below the map; what is left for the map.
    fn draw_asked(&self, frame: &mut Frame, area: Rect) -> Rect {
        let experiment = &self.screen.experiment;
        let answers = answers(self.screen, self.shared);
        let compared = if experiment.rows.is_empty() { 0 } else { answers.rows() };
        let small = area.height < SMALL_BODY;
        let explained = if small { self.is_explained() } else { experiment.why.is_some() };
        let why = if explained { why::rows(experiment) } else { 0 };
        let wanted = compared + why + usize::from(compared > 0 && why > 0);
        // The map keeps half, in most places more.
        let most = if small { usize::from(area.height) / 2 } else { usize::from(area.height) * 2 / 5 };
        let rows = wanted.min(most) as u16;
        let [map, _, asked] = Layout::vertical([
            Constraint::Min(0),
            Constraint::Length(u16::from(rows > 0 && !small)),
            Constraint::Length(rows),
        ])
        .areas(area);
        let least = if small { 1 } else { 2 };
        let wishes = [Wish::new(compared.min(least), compared), Wish::new(why.min(least), why)];
        let places = column(asked, &wishes, &[1, 0]);
        let buf = frame.buffer_mut();
        if !places[0].is_empty() {
            answers.draw(buf, places[0], self.theme);
        }
        if !places[1].is_empty() {
            let (trace, now) = (self.shown.trace.as_ref(), &self.screen.exchange.asked);
            let order = self.shown.digest.order();
            let listed = Listed::new(order, trace.experts.len(), usize::MAX, &self.screen.marks, None);
            let (time, tick) = (self.shared.now, self.shared.tick);
            WhyPane { experiment, trace, listed: &listed, now, time, tick }.draw(buf, places[1], self.theme);
        }
        map
    }

    /// A row a token, with the weights of one of them below.
    fn draw_map(&self, frame: &mut Frame, area: Rect) {
        let area = self.draw_asked(frame, area);
        let Self { shown, token, column, faded, theme, screen, .. } = *self;
        let (trace, digest) = (shown.trace.as_ref(), &shown.digest);
        let columns = digest.columns.len();
        let tokens = trace.tokens.iter().map(|t| quoted_width(&t.text));
        let names = trace.experts.iter().map(|name| width(name) + 2);
        let longest = tokens.chain(names).max().unwrap_or(0);
        let shares = if area.width >= MIN_SHARES + MAP { MIN_SHARES } else { 0 };
        let axis =
            Axis::fit(area.width.saturating_sub(shares + u16::from(shares > 0)), columns, longest, column);
        // What the layers leave goes to the shares.
        let left_width = if shares == 0 { area.width } else { axis.width() };
        let left = Rect { width: left_width.min(area.width), ..area };
        let experts = trace.experts.len();
        let right =
            Rect { x: left.right() + 2, width: (area.width.saturating_sub(left.width + 2)).min(72), ..area };
        let mut signs =
            if area.height >= 16 { legend(shown, &screen.marks, false, true) } else { Vec::new() };
        if let Some(kept) = self.difference() {
            let router = printable(&kept.asked.router.to_string()).into_owned();
            let text = format!("{SAME} as under {router}");
            signs.insert(0, truncate(&text, usize::from(right.width)));
        }
        let legend: Vec<String> = flow(&signs, usize::from(right.width));
        let legend: Vec<String> = legend.into_iter().filter(|line| !line.is_empty()).collect();
        let height = usize::from(area.height);
        let cell = if height >= 12 { self.detail_rows(height / 2) } else { 0 };
        let wishes = [
            Wish::new((experts + 1).min(3), experts + 2),
            Wish::new(cell, cell),
            Wish::new(legend.len(), legend.len()),
        ];
        let places = self::column(right, &wishes, &[1, 2, 0]);
        let (rows, found) = self.listed(places[0].height, true);
        // The weights below name more than the list.
        let listed = Listed::new(digest.order(), experts, usize::MAX, &screen.marks, None);
        let grid_rows =
            if area.height < 10 { 0 } else { experts.min(usize::from(area.height) * 2 / 5) as u16 };
        let grid_height = if grid_rows == 0 { 0 } else { grid_rows + 1 };
        let [top, bottom] =
            Layout::vertical([Constraint::Min(0), Constraint::Length(grid_height)]).areas(left);
        let buf = frame.buffer_mut();
        let expert = screen.map.expert;
        let against = self.difference().map(|kept| &kept.digest);
        Map { trace, digest, token, column, expert, faded, listed: &listed, against }
            .draw(buf, top, &axis, theme);
        if grid_height > 0 {
            let (expert, marks) = (screen.map.expert_in(shown), &screen.marks);
            Weights { trace, digest, token, column, expert, faded, marks }.draw(buf, bottom, &axis, theme);
        }
        if shares == 0 {
            return;
        }
        if !places[1].is_empty() {
            self.detail(&listed).draw(buf, places[1], theme);
        }
        for (y, line) in legend.into_iter().enumerate() {
            put(buf, places[2], 0, y as u16, &line, theme.dim());
        }
        self.draw_shares(frame, places[0], (&rows, found), true);
    }
}

/// What the signs on the map mean that are no letters, as far as there are any.
fn legend(shown: &Shown, marks: &ExpertMarks, hidden: bool, map: bool) -> Vec<String> {
    let unlettered = |name: &String| marks.of(name).letter == OTHERS;
    let signs = [
        shown.digest.ties.then(|| "= all the same".to_string()),
        (hidden || shown.trace.experts.iter().any(unlettered))
            .then(|| format!("{OTHERS} an expert with less weight")),
        shown
            .trace
            .tokens
            .iter()
            .any(|token| token.text.is_empty())
            .then(|| "∅ a part of a character".into()),
        (map && shown.digest.generated > 0).then(|| "+ the answer".into()),
    ];
    signs.into_iter().flatten().collect()
}
