//! What routing costs: time for the prompt and for its answer beside the base model's own, and memory.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::answers::one_line;
use super::paint::{heading, put};
use super::question::Asked;
use crate::memory;
use crate::tui::text_width::truncate;
use crate::tui::{Cost, Effect, EngineEffect, Study, Theme};

/// Rows that it takes.
pub const ROWS: usize = 4;

/// What was asked last, and perhaps answered.
#[derive(Debug, Default)]
pub struct Costs(Option<Measured>);

#[derive(Debug)]
struct Measured {
    asked: Asked,
    ticket: u64,
    result: Option<Result<Cost, String>>,
}

impl Costs {
    /// Measures what was asked, in the background.
    pub fn ask(&mut self, asked: &Asked, ticket: u64) -> Vec<Effect> {
        let known = |measured: &Measured| measured.asked.is_same_run(asked);
        if !asked.router.is_weighted() || self.0.as_ref().is_some_and(known) {
            return Vec::new();
        }
        self.0 = Some(Measured { asked: asked.clone(), ticket, result: None });
        let Asked { prompt, raw, router } = asked.clone();
        vec![Effect::Engine(EngineEffect::Study { ticket, study: Study::Cost { prompt, raw, router } })]
    }

    /// Takes the answer to what was asked last.
    pub fn take(&mut self, ticket: u64, result: &Result<Cost, String>) {
        if let Some(measured) = self.0.as_mut().filter(|measured| measured.ticket == ticket) {
            measured.result = Some(result.clone());
        }
    }

    /// Studies were ended: what has no answer gets none.
    pub fn end(&mut self) {
        self.0.take_if(|measured| measured.result.is_none());
    }

    /// The experts are others.
    pub fn forget(&mut self) {
        self.0 = None;
    }

    /// What was measured of this very run.
    fn of(&self, now: &Asked) -> Option<&Measured> {
        self.0.as_ref().filter(|measured| measured.asked.is_same_run(now))
    }

    /// What routing adds to each token of an answer or, where that was too short, of the prompt, as far as it is known of
    /// this very run.
    pub fn in_short(&self, now: &Asked) -> Option<String> {
        let Cost { tokens, routed, base, .. } = self.of(now)?.result.as_ref()?.as_ref().ok()?;
        let more = match (routed.token, base.token) {
            (Some(routed), Some(base)) => routed - base,
            _ => (routed.prompt - base.prompt) / (*tokens).max(1) as f64,
        };
        Some(format!("routing {}", milliseconds(more)))
    }

    /// Lines of a name and a sentence.
    fn lines(&self, now: &Asked) -> Result<Vec<(&'static str, String)>, String> {
        let Some(measured) = self.of(now) else {
            return Err("g answers, and measures it".into());
        };
        let cost = match &measured.result {
            None => return Err("measuring …".into()),
            Some(Err(error)) => return Err(one_line(error)),
            Some(Ok(cost)) => cost,
        };
        let Cost { tokens, routed, base, memory } = cost;
        let each = (routed.prompt - base.prompt) / (*tokens).max(1) as f64;
        let mut lines = vec![(
            "prompt",
            format!(
                "{:.0} ms, {:.0} without experts; {} per token",
                routed.prompt,
                base.prompt,
                milliseconds(each)
            ),
        )];
        if let (Some(with), Some(without)) = (routed.token, base.token) {
            let speed = |each: f64| per_second(1.0, each);
            let text = format!(
                "{} tokens/s, {} without experts; {} per token",
                speed(with),
                speed(without),
                milliseconds(with - without)
            );
            lines.push(("answer", text));
        }
        if let Some(bytes) = memory {
            lines.push(("memory", format!("{} in use by this program", memory::size(*bytes))));
        }
        Ok(lines)
    }

    /// Draws a heading and the lines.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, now: &Asked, faded: bool, theme: &Theme) {
        heading(buf, area, 0, "cost", "", theme);
        let room = usize::from(area.width);
        match self.lines(now) {
            Err(why) => {
                put(buf, area, 1, 1, &truncate(&why, room.saturating_sub(1)), theme.dim());
            }
            Ok(lines) => {
                let style = if faded { theme.dim() } else { theme.text() };
                for (y, (what, text)) in lines.into_iter().enumerate() {
                    put(buf, area, 1, y as u16 + 1, what, theme.dim());
                    put(buf, area, 9, y as u16 + 1, &truncate(&text, room.saturating_sub(9)), style);
                }
            }
        }
    }
}

/// So many more milliseconds. Routing saves nothing: where the base model alone was slower, the difference is within
/// what times vary by.
fn milliseconds(more: f64) -> String {
    match more {
        _ if more < 0.05 => "±0 ms".into(),
        _ if more < 9.95 => format!("{more:+.1} ms"),
        _ => format!("{more:+.0} ms"),
    }
}

/// How many a second, where `count` took so many milliseconds.
pub fn per_second(count: f64, milliseconds: f64) -> String {
    match count * 1e3 / milliseconds.max(1e-3) {
        speed if speed < 9.95 => format!("{speed:.1}"),
        speed => format!("{speed:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::Speed;

    #[test]
    fn what_routing_adds_is_said_of_the_run_that_was_measured_only() {
        let mut costs = Costs::default();
        let now = Asked { prompt: "fox".into(), ..Asked::default() };
        assert_eq!(costs.lines(&now), Err("g answers, and measures it".into()));
        assert_eq!(costs.ask(&now, 7).len(), 1);
        assert_eq!(costs.ask(&now, 8), [], "it is being measured");
        assert_eq!(costs.lines(&now), Err("measuring …".into()));
        let (routed, base) =
            (Speed { prompt: 41.2, token: Some(31.0) }, Speed { prompt: 29.2, token: Some(26.5) });
        costs.take(6, &Err("old".into()));
        costs.take(7, &Ok(Cost { tokens: 24, routed, base, memory: Some(412_000_000) }));
        let lines = costs.lines(&now).unwrap();
        assert_eq!(lines[0].1, "41 ms, 29 without experts; +0.5 ms per token");
        assert_eq!(lines[1].1, "32 tokens/s, 38 without experts; +4.5 ms per token");
        assert_eq!(lines[2].1, "412 MB in use by this program");
        assert_eq!(costs.in_short(&now).as_deref(), Some("routing +4.5 ms"));
        let other = Asked { prompt: "ox".into(), ..Asked::default() };
        assert_eq!((costs.in_short(&other), costs.lines(&other).is_err()), (None, true));
        let base = Asked { router: crate::routing::RouterConfig::base(), ..other };
        assert_eq!(costs.ask(&base, 9), [], "the base model alone routes nothing");
        // Times vary; nothing is won by routing.
        assert_eq!(
            [-7.8, -0.01, 0.04, 0.06, 12.3].map(milliseconds),
            ["±0 ms", "±0 ms", "±0 ms", "+0.1 ms", "+12 ms"]
        );
    }
}
