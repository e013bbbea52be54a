//! The machine: its cores, memory and disk, and what each job that runs takes of them.

use ratatui::text::{Line, Span};

use super::marks::progress_bar;
use crate::memory::size;
use crate::text::counted;
use crate::tui::{MachineView, Theme, format, text_width};

/// Cells of the bars.
const BAR: usize = 20;

/// Its lines, in so many cells each.
pub fn lines(machine: &MachineView, cells: usize, theme: &Theme) -> Vec<Line<'static>> {
    let load = &machine.load;
    let slots =
        machine.slots.map_or(String::new(), |slots| format!(" · {} at a time", counted(slots, "job")));
    let mut lines = vec![Line::styled(
        text_width::truncate(&format!("Machine  {}{slots}", counted(load.cores, "core")), cells),
        theme.header(),
    )];
    let bar = BAR.min(cells.saturating_sub(24));
    let mut put = |name: &str, share: Option<f64>, text: String| {
        lines.push(Line::from(vec![
            Span::styled(format!("{name:<5}"), theme.dim()),
            Span::styled(share.map_or(String::new(), |share| progress_bar(share, bar) + " "), theme.accent()),
            Span::styled(text_width::truncate(&text, cells.saturating_sub(6 + bar)), theme.text()),
        ]));
    };
    if let Some(busy) = load.busy {
        put("cpu", Some(busy), format::percent(busy));
    }
    if let Some((used, all)) = load.memory {
        put("mem", Some(used as f64 / all.max(1) as f64), format!("{} of {}", size(used), size(all)));
    }
    if let Some(free) = load.disk {
        put("disk", None, format!("{} free", size(free)));
    }
    for (number, gpu) in machine.gpus.iter().enumerate() {
        let used = gpu.total.saturating_sub(gpu.free);
        let share = used as f64 / gpu.total.max(1) as f64;
        let load = gpu.load.map_or(String::new(), |load| format!(", {load} %"));
        put(&format!("gpu{number}"), Some(share), format!("{} of {}{load}", size(used), size(gpu.total)));
    }
    for (name, usage) in &machine.jobs {
        let cores = usage.taken.cores.map(|cores| format!("{cores:.1} cores"));
        let facts = [cores, Some(size(usage.taken.memory)), usage.device.clone()];
        let facts = facts.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let room = cells.saturating_sub(text_width::width(&facts) + 4);
        let name = text_width::truncate_middle(name, room);
        lines.push(Line::from(vec![
            Span::styled("▸ ", theme.accent()),
            Span::styled(format!("{name}  "), theme.text()),
            Span::styled(facts, theme.dim()),
        ]));
    }
    lines
}
