//! The finding in a sentence: who decides, in which layers, how sure.

use ratatui::text::{Line, Span};

use super::digest::Digest;
use super::exchange::Shown;
use super::experts::more;
use super::marks::ExpertMarks;
use crate::routing::{Lead, Scope, WhySequence, WhyShare, verdict};
use crate::text::{counted, fixed, percent, printable, share as exact_share};
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
    /// What the share in few words is one of, where that is not weight.
    of: &'static str,
    /// How many other experts have weight.
    others: usize,
}

impl Finding {
    /// What a routing says under the router that gave it, and what was found of the whole prompt, where that is known.
    pub fn of(shown: &Shown, marks: &ExpertMarks, sequence: Option<&WhySequence>) -> Self {
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
            return Self { expert: Some(first), who, lead, short: " has all".into(), ..Self::default() };
        }
        let share = digest.totals[first];
        let second = order.get(1).map_or(0.0, |&second| digest.totals[second]);
        let all = order.iter().filter(|&&expert| digest.totals[expert] > 0.0).count();
        if all > 1 && router.router.scope == Scope::Everywhere && share - second < share * 1e-4 {
            let lead =
                format!("All {} have the same weight everywhere: nothing is chosen.", counted(all, "expert"));
            return says(&lead, &format!("All {all} the same"));
        }
        if router.router.scope == Scope::Sequence {
            let about = Once { shown, marks, first, who, shares: (share, second) };
            return about.found(sequence);
        }
        let mut more = pinned(shown, first);
        if let Some((from, to)) = digest.home(first) {
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
        more.push(sure);
        more.extend(group_said(first, digest, marks));
        more.push(spread(shown));
        let (lead, short) = said(leads, (share, second), "weight", &name_of(shown, order.get(1).copied()));
        Self { expert: Some(first), who, lead, short, more, of: "", others: all - 1 }
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
        } else {
            // Where there is room for few words, there may be none for a list of the others.
            let of = if self.of.is_empty() { String::new() } else { format!(" of {}", self.of) };
            let counted = |words| match self.others {
                0 => String::new(),
                others => format!(" {}", more(others, words)),
            };
            for forms in [vec![of], vec![counted(true), counted(false)]] {
                let fits = forms.into_iter().find(|form| width(&said) + width(form) <= room);
                said.push_str(&fits.unwrap_or_default());
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

/// What a lead says, at length and in short.
fn said(lead: Lead, shares: (f64, f64), what: &str, next: &str) -> (String, String) {
    let long = format!(" {}", lead.says(shares, what, next));
    (long, format!(" {}: {}", lead.short(), percent(shares.0)))
}

/// An expert's name, printable.
fn name_of(shown: &Shown, expert: Option<usize>) -> String {
    let name = expert.and_then(|expert| shown.trace.experts.get(expert));
    name.map_or(String::new(), |name| printable(name).into_owned())
}

/// Whether the first expert is chosen in any case.
fn pinned(shown: &Shown, first: usize) -> Vec<String> {
    let is_pinned = |name: &String| shown.asked.router.pinned.contains(name);
    match shown.trace.experts.get(first).is_some_and(is_pinned) {
        true => vec![", chosen in any case as it is pinned".into()],
        false => Vec::new(),
    }
}

/// Over how many of those experts that take part all tokens together are spread.
fn spread(shown: &Shown) -> String {
    let out = |name: &&String| {
        let router = &shown.asked.router;
        !router.muted.contains(name) && !router.general.contains(name)
    };
    let experts = shown.trace.experts.iter().filter(out).count();
    format!(" Over all tokens as spread as {:.1} of {experts} experts.", shown.digest.effective())
}

/// A routing by weights that are the same for all tokens and layers.
struct Once<'a> {
    shown: &'a Shown,
    marks: &'a ExpertMarks,
    /// The expert with the most weight, by number and name; its share and that of the next one.
    first: usize,
    who: String,
    shares: (f64, f64),
}

impl Once<'_> {
    /// How it came about, where that is known: weights alone say nothing of how sure a choice is that is made once.
    fn found(self, sequence: Option<&WhySequence>) -> Finding {
        let Self { shown, marks, first, who, shares: (share, second) } = self;
        let has = match share >= 0.9995 {
            true => "all the weight".to_string(),
            false => format!("{} of the weight", percent(share)),
        };
        let short = if share >= 0.9995 { " has all".into() } else { format!(" has {}", percent(share)) };
        let mut more = pinned(shown, first);
        let own = sequence.and_then(|found| found.experts.iter().find(|one| one.expert == first));
        let next = sequence.and_then(|found| {
            let others = found.experts.iter().filter(|one| one.expert != first);
            others.max_by(|a, b| used(a).total_cmp(&used(b)))
        });
        let mut by_votes = false;
        let (lead, short) = match (sequence, own, next) {
            (Some(found), _, _) if found.drawn => {
                (format!(" was drawn at random and has {has}"), " drawn at random".into())
            }
            (Some(found), Some(own), Some(next)) => {
                let (a, b, name) = (used(own), used(next), name_of(shown, Some(next.expert)));
                match found.lead {
                    Some(lead) if a >= b => {
                        by_votes = true;
                        more.push(format!(", so that it has {has}"));
                        said(lead, (a, b), "votes", &name)
                    }
                    Some(_) => {
                        let votes = format!("{} and {}", exact_share(a), exact_share(b));
                        (format!(" has {has}, though {name} has more votes: {votes}"), short)
                    }
                    None if share < 0.9995 => {
                        let (leads, _) = verdict((share, second), None);
                        said(
                            leads,
                            (share, second),
                            "weight",
                            &name_of(shown, shown.digest.order().get(1).copied()),
                        )
                    }
                    None => {
                        let calibrated = if own.calibrated.is_some() { ", calibrated," } else { "" };
                        let (a, b) = (fixed(a, 2), fixed(b, 2));
                        (format!(" has {has}: {}{calibrated} {a}, {name} {b}", found.value), short)
                    }
                }
            }
            (Some(_) | None, _, _) => (format!(" has {has}"), short),
        };
        more.push(", the same in all layers".into());
        more.push(".".into());
        if share < 0.9995 {
            more.extend(group_said(first, &shown.digest, marks));
            more.push(spread(shown));
        }
        let others = shown.digest.totals.iter().filter(|share| **share > 0.0).count().saturating_sub(1);
        let of = if by_votes { "votes" } else { "" };
        Finding { expert: Some(first), who, lead, short, more, of, others }
    }
}

/// What experts are compared by.
fn used(one: &WhyShare) -> f64 {
    one.calibrated.unwrap_or(one.value)
}

/// The group of the strongest expert in words, where experts have groups.
fn group_said(first: usize, digest: &Digest, marks: &ExpertMarks) -> Option<String> {
    let (name, sum, rest) = group(first, digest, marks)?;
    Some(format!(" Its {name} has {} in all{rest}.", percent(sum)))
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
        Finding::of(&shown(trace, router), &ExpertMarks::default(), None).text()
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
            Finding::of(&shown, &ExpertMarks::default(), None).text()
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
    fn a_choice_that_is_made_once_says_how_it_was_made() {
        let one = |expert, value, calibrated| WhyShare { expert, weight: None, value, calibrated };
        let found =
            |lead, drawn, value, experts| WhySequence { words: String::new(), value, lead, drawn, experts };
        let trace = || Synthetic { experts: 3, width: 1, layers: 4, uniform: true }.trace(&PROMPT);
        let said = |router: &str, pins: &[&str], sequence: Option<WhySequence>| {
            let mut shown = shown(trace(), router);
            shown.digest.totals = vec![1.0, 0.0, 0.0];
            shown.asked.router.pinned = pins.iter().map(ToString::to_string).collect();
            Finding::of(&shown, &ExpertMarks::default(), sequence.as_ref()).text()
        };
        // Nothing is said of how sure it is before that is known.
        assert!(said("vote", &[], None).starts_with("antonym has all the weight, the same in all layers."));
        let votes = |a, b| vec![one(0, a, None), one(1, b, None), one(2, 0.1, None)];
        let text = said(
            "vote",
            &[],
            Some(found(Some(Lead::Just), false, "share of the votes", votes(0.156, 0.152))),
        );
        assert!(
            text.starts_with("antonym is just ahead of capital: 15.6 % and 15.2 % of the votes, so that it has all the weight, the same"),
            "{text}"
        );
        let text =
            said("vote", &[], Some(found(Some(Lead::Decides), false, "share of the votes", votes(0.7, 0.2))));
        assert!(
            text.starts_with("antonym decides: 70 % of the votes, so that it has all the weight"),
            "{text}"
        );
        let pinned = found(Some(Lead::Just), false, "share of the votes", votes(0.1, 0.2));
        let text = said("vote", &["antonym"], Some(pinned));
        assert!(
            text.starts_with("antonym has all the weight, though capital has more votes: 10.0 % and 20.0 %, chosen in any case"),
            "{text}"
        );
        let text = said("random:7", &[], Some(found(None, true, "", Vec::new())));
        assert!(text.starts_with("antonym was drawn at random and has all the weight, the same"), "{text}");
        let text = said("retrieve", &[], Some(found(None, false, "cosine", votes(0.75, 0.74))));
        assert!(
            text.starts_with("antonym has all the weight: cosine 0.75, capital 0.74, the same"),
            "{text}"
        );
        // In few words, too, what the share is one of.
        let shown_by_votes = {
            let mut shown = shown(trace(), "vote");
            shown.digest.totals = vec![1.0, 0.0, 0.0];
            shown
        };
        let sequence = found(Some(Lead::Just), false, "share of the votes", votes(0.156, 0.152));
        let marks = ExpertMarks::default();
        let finding = Finding::of(&shown_by_votes, &marks, Some(&sequence));
        let line = finding.line(&shown_by_votes, &marks, (40, false), &Theme::new(Depth::True));
        let text: String = line.spans.iter().map(|span| span.content.as_ref()).collect();
        assert!(text.ends_with("antonym just leads: 16 % of votes"), "{text}");
        // Where several have weight, these are compared.
        let mut shown = shown(trace(), "logo");
        shown.digest.totals = vec![0.35, 0.33, 0.32];
        let sequence = found(None, false, "‖ΔW x‖ there", votes(0.6, 0.5));
        let text = Finding::of(&shown, &ExpertMarks::default(), Some(&sequence)).text();
        assert!(
            text.starts_with("antonym is just ahead of capital: 35.0 % and 33.0 % of the weight"),
            "{text}"
        );
        let calibrated = vec![one(0, 0.5, Some(2.0)), one(1, 0.7, Some(1.5))];
        let text = said("retrieve", &[], Some(found(None, false, "cosine", calibrated)));
        assert!(text.contains(": cosine, calibrated, 2.00, capital 1.50"), "{text}");
    }

    #[test]
    fn who_does_not_take_part_is_not_counted() {
        let mut shown = shown(Synthetic::default().trace(&PROMPT), "arrow");
        shown.asked.router.muted = vec!["plural".into(), "capital".into()];
        let text = Finding::of(&shown, &ExpertMarks::default(), None).text();
        assert!(text.contains(" of 10 experts."), "{text}");
        shown.asked.router.pinned = vec!["negate".into()];
        let text = Finding::of(&shown, &ExpertMarks::default(), None).text();
        assert!(text.contains("of the weight, chosen in any case as it is pinned"), "{text}");
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
        let text = Finding::of(&shown, &marks, None).text();
        let said = " of 1.10. Its family language has 82 % in all. Over all tokens as spread";
        assert!(text.contains(said), "{text}");
        // Where another group has more, it is named.
        marks.groups.of = (0..12).map(|expert| Some(usize::from(expert != 4))).collect();
        let text = Finding::of(&shown, &marks, None).text();
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
        let finding = Finding::of(&shown, &marks, None);
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
