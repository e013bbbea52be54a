//! The finding in a sentence: who decides, in which layers, how sure.

use ratatui::text::{Line, Span};

use super::digest::Digest;
use super::exchange::Shown;
use super::marks::ExpertMarks;
use crate::routing::{Lead, Scope, verdict};
use crate::text::{counted, percent, printable};
use crate::tui::Theme;
use crate::tui::text_width::{truncate, truncate_middle, width};

/// What a routing says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Finding {
    /// The expert that it is about.
    pub expert: Option<usize>,
    /// Who has the weight; the sentence begins with it. Printable.
    who: String,
    /// What is said first, the same in few words, and more, the most wanted first.
    lead: String,
    short: String,
    more: Vec<String>,
}

impl Finding {
    /// What a routing says under the router that gave it.
    pub fn of(shown: &Shown, marks: &ExpertMarks) -> Self {
        let (trace, digest) = (&shown.trace, &shown.digest);
        let order = digest.order();
        let says =
            |lead: &str, short: &str| Self { lead: lead.into(), short: short.into(), ..Self::default() };
        let Some(&first) = order.first().filter(|&&first| digest.totals[first] > 0.0) else {
            return match trace.experts.is_empty() || !shown.asked.router.is_weighted() {
                true => says("No expert takes part: the base model answers alone.", "No expert takes part."),
                false => says("No token has weights yet.", "No weights yet."),
            };
        };
        let who = printable(&trace.experts[first]).into_owned();
        let router = &shown.asked.router;
        if router.router.names_expert() {
            let lead = " has all the weight at every token and layer, whatever they are.".into();
            return Self { expert: Some(first), who, lead, short: " has all".into(), more: Vec::new() };
        }
        let share = digest.totals[first];
        let second = order.get(1).map_or(0.0, |&second| digest.totals[second]);
        let all = order.iter().filter(|&&expert| digest.totals[expert] > 0.0).count();
        if all > 1 && router.router.scope == Scope::Everywhere && share - second < share * 1e-4 {
            let lead =
                format!("All {} have the same weight everywhere: nothing is chosen.", counted(all, "expert"));
            return says(&lead, &format!("All {all} the same"));
        }
        let mut more = Vec::new();
        if router.router.scope == Scope::Sequence {
            more.push(", the same in all layers".to_string());
        } else if let Some((from, to)) = digest.home(first) {
            let label = |at: usize| digest.layers.get(at).map_or("", |layer| layer.label.as_str());
            more.push(match from == to {
                true => format!(", most in layer {}", label(from)),
                false => format!(", most in layers {}–{}", label(from), label(to)),
            });
        } else if digest.is_even(first) {
            more.push(", in all layers alike".into());
        } else {
            let all = digest.layers.len();
            more.push(match digest.layers.iter().filter(|layer| layer.leader() == Some(first)).count() {
                led if led == all => format!(", first in all {all} layers"),
                led => format!(", first in {led} of {all} layers"),
            });
        }
        let most = (trace.width() > 1).then(|| (trace.width() as f64).ln());
        let (leads, certainty) = verdict((share, second), most.map(|most| digest.entropy / most));
        let sure = match most {
            None => ".".into(),
            Some(most) => format!(". {}: entropy {:.2} of {most:.2}.", certainty.words(), digest.entropy),
        };
        let experts = trace.experts.len();
        let spread = format!(" Over all tokens as spread as {:.1} of {experts} experts.", digest.effective());
        more.push(sure);
        if let Some((name, sum, rest)) = group(first, digest, marks) {
            more.push(format!(" Its {name} has {} in all{rest}.", percent(sum)));
        }
        more.push(spread);
        if leads == Lead::Just {
            let other = order.get(1).map_or(String::new(), |&e| printable(&trace.experts[e]).into_owned());
            let lead = format!(
                " is just ahead of {other}: {} and {} of the weight",
                percent(share),
                percent(second)
            );
            return Self {
                expert: Some(first),
                who,
                lead,
                short: format!(" just leads: {}", percent(share)),
                more,
            };
        }
        let verb = if leads == Lead::Decides { "decides" } else { "leads" };
        let lead = format!(" {verb}: {} of the weight", percent(share));
        Self { expert: Some(first), who, lead, short: format!(" {verb}: {}", percent(share)), more }
    }

    /// As much of it as has room, the expert's mark before its name.
    pub fn line(
        &self,
        shown: &Shown,
        marks: &ExpertMarks,
        (room, faded): (u16, bool),
        theme: &Theme,
    ) -> Line<'static> {
        let text = if faded { theme.dim() } else { theme.text() };
        let mut room = usize::from(room).saturating_sub(1);
        let mut spans = vec![Span::raw(" ")];
        if let Some(expert) = self.expert {
            let mark = marks.of(shown.trace.experts.get(expert).map_or("", String::as_str));
            let style =
                if faded { theme.category_faint(mark.hue) } else { theme.category_cell(mark.hue, 1.0) };
            spans.extend([Span::styled(mark.letter.to_string(), style), Span::raw(" ")]);
            room = room.saturating_sub(2);
        }
        let whole = width(&self.who) + width(&self.lead) <= room;
        let lead = if whole { &self.lead } else { &self.short };
        let who = truncate_middle(&self.who, room.saturating_sub(width(lead)));
        room = room.saturating_sub(width(&who));
        spans.push(Span::styled(who, if faded { theme.dim() } else { theme.accent() }));
        let mut said = truncate(lead, room);
        if whole {
            for more in &self.more {
                if width(&said) + width(more) > room {
                    break;
                }
                said.push_str(more);
            }
        }
        spans.push(Span::styled(said, text));
        Line::from(spans)
    }

    /// The whole of it.
    #[cfg(test)]
    pub fn text(&self) -> String {
        format!("{}{}{}", self.who, self.lead, self.more.concat())
    }
}

/// Where there are more experts than colours: the group of the strongest, its share, and whether another has more.
fn group(first: usize, digest: &Digest, marks: &ExpertMarks) -> Option<(String, f64, String)> {
    let groups = &marks.groups;
    if !groups.divide() {
        return None;
    }
    let group = groups.of.get(first).copied().flatten()?;
    let sums = groups.sums(digest.totals.iter().copied());
    let best = (0..groups.names.len()).max_by(|&a, &b| sums[a].total_cmp(&sums[b]).then(b.cmp(&a)))?;
    let name = if groups.what == "cluster" {
        groups.names[group].clone()
    } else {
        format!("family {}", groups.names[group])
    };
    let rest = if best == group {
        String::new()
    } else {
        format!(", {} {}", groups.names[best], percent(sums[best]))
    };
    Some((name, sums[group], rest))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{PROMPT, Synthetic};
    use super::*;
    use crate::routing::{RouterConfig, Trace};
    use crate::tui::Depth;

    fn shown(trace: Trace, router: &str) -> Shown {
        let digest = Digest::new(&trace, None, false);
        let asked = super::super::question::Asked { router: router.parse().unwrap(), ..Default::default() };
        Shown { asked, outdated: false, trace: trace.into(), digest, milliseconds: 1.0 }
    }

    fn of(trace: Trace, router: &str) -> String {
        Finding::of(&shown(trace, router), &ExpertMarks::default()).text()
    }

    #[test]
    fn who_leads_where_and_how_surely_is_said() {
        let trace = Synthetic::default().trace(&PROMPT);
        let text = of(trace.clone(), "arrow");
        // The fixture favours later layers, the more the later.
        assert!(text.starts_with("negate leads: 26 % of the weight, most in layers "), "{text}");
        assert!(text.contains("–29. Unsure: entropy ") && text.contains(" of 1.10."), "{text}");
        assert!(text.contains(" of 12 experts."), "{text}");
    }

    #[test]
    fn layers_are_alike_only_where_they_are() {
        let layers = |shares: &[f32]| {
            let mut shown =
                shown(Synthetic { experts: 2, width: 2, layers: 4, uniform: true }.trace(&PROMPT), "arrow");
            for (layer, share) in shown.digest.layers.iter_mut().zip(shares) {
                layer.shares = vec![*share, 1.0 - share];
            }
            shown.digest.totals = vec![0.6, 0.4];
            Finding::of(&shown, &ExpertMarks::default()).text()
        };
        for (shares, said) in [
            ([0.6, 0.62, 0.58, 0.6], ", in all layers alike"),
            ([0.6, 0.64, 0.4, 0.64], ", first in 3 of 4 layers"),
            ([0.7, 0.69, 0.52, 0.7], ", first in all 4 layers"),
        ] {
            let text = layers(&shares);
            assert!(text.contains(&format!("60 % of the weight{said}.")), "{text}");
        }
    }

    #[test]
    fn where_experts_have_groups_that_of_the_winner_is_said() {
        let shown = shown(Synthetic::default().trace(&PROMPT), "arrow");
        let mut marks = ExpertMarks::default();
        let groups = super::super::groups::Groups {
            what: "family",
            names: vec!["language".into(), "units".into()],
            of: (0..12).map(|expert| Some(usize::from(expert == 3))).collect(),
        };
        marks.groups = groups;
        let text = Finding::of(&shown, &marks).text();
        let said = " of 1.10. Its family language has 82 % in all. Over all tokens as spread";
        assert!(text.contains(said), "{text}");
        // Where another group has more, it is named.
        marks.groups.of = (0..12).map(|expert| Some(usize::from(expert != 4))).collect();
        let text = Finding::of(&shown, &marks).text();
        assert!(text.contains("Its family language has 26 % in all, units 74 %."), "{text}");
    }

    #[test]
    fn routers_that_choose_nothing_are_said_to() {
        let uniform = Synthetic { width: 12, uniform: true, ..Synthetic::default() }.trace(&PROMPT);
        assert_eq!(
            of(uniform, "uniform"),
            "All 12 experts have the same weight everywhere: nothing is chosen."
        );
        let base = Trace::new(Default::default(), Default::default(), 1);
        assert!(of(base, "base").starts_with("No expert takes part"));
        let single = Synthetic { experts: 1, width: 1, uniform: true, ..Synthetic::default() }.trace(&PROMPT);
        assert!(of(single, "single:antonym").starts_with("antonym has all the weight"));
    }

    #[test]
    fn the_winner_stands_in_every_width() {
        let shown = shown(Synthetic::default().trace(&PROMPT), "arrow");
        let marks = ExpertMarks::default();
        let finding = Finding::of(&shown, &marks);
        let theme = Theme::new(Depth::True);
        for room in 0..200 {
            let line = finding.line(&shown, &marks, (room, false), &theme);
            let text: String = line.spans.iter().map(|span| span.content.as_ref()).collect();
            assert!(line.width() <= usize::from(room).max(3), "{room}: {text}");
            assert!(room < 24 || text.contains("negate"), "{room}: {text}");
            assert!(room < 24 || text.contains("26 %"), "{room}: {text}");
        }
        let _ = RouterConfig::default();
    }
}
