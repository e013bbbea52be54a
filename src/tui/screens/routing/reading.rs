//! The prompt and its answer as text, every token in the colour of its strongest expert, the expert's letter below.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::digest::{Digest, strength};
use super::experts::Listed;
use super::paint::{put, scroll, tint};
use crate::routing::{Part, Trace};
use crate::text::printable;
use crate::tui::Theme;
use crate::tui::text_width::width;

/// A piece of a token where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    token: usize,
    row: usize,
    x: usize,
    /// Printable.
    text: String,
    /// Whether the letter stands below it: once per token.
    lettered: bool,
}

/// A text that was broken into rows.
#[derive(Debug, Default)]
pub struct Reading {
    pieces: Vec<Piece>,
    rows: usize,
}

impl Reading {
    /// Breaks the text of a trace, without what the template adds, into rows of so many cells.
    pub fn new(trace: &Trace, cells: usize) -> Self {
        let cells = cells.max(1);
        let mut pieces: Vec<Piece> = Vec::new();
        let (mut row, mut x) = (0, 0);
        for (token, at) in trace.tokens.iter().enumerate().filter(|(_, at)| at.part != Part::Template) {
            let mut lettered = true;
            // The answer begins a row of its own.
            let begins = at.part == Part::Generated
                && token
                    .checked_sub(1)
                    .and_then(|last| trace.tokens.get(last))
                    .is_some_and(|last| last.part != at.part);
            if begins && x > 0 {
                (row, x) = (row + 1, 0);
            }
            let lines: Vec<&str> = at.text.split('\n').collect();
            for (i, line) in lines.iter().enumerate() {
                let ends = i + 1 < lines.len();
                let mut text = printable(line).into_owned();
                if ends {
                    text.push('⏎');
                } else if text.is_empty() && lines.len() == 1 {
                    // A part of a character has no text of its own.
                    text.push('∅');
                }
                // A word that would be cut begins a row, without its blank.
                if x > 0 && x + width(&text) > cells {
                    (row, x) = (row + 1, 0);
                    text = text.trim_start_matches(' ').to_string();
                }
                let mut part = String::new();
                let (mut from, mut used) = (x, x);
                for c in text.chars() {
                    let w = width(c.encode_utf8(&mut [0; 4]));
                    if used + w > cells && used > 0 {
                        pieces.push(Piece { token, row, x: from, text: std::mem::take(&mut part), lettered });
                        lettered = false;
                        (row, from, used) = (row + 1, 0, 0);
                    }
                    part.push(c);
                    used += w;
                }
                if !part.is_empty() {
                    pieces.push(Piece { token, row, x: from, text: part, lettered });
                    lettered = false;
                }
                x = used;
                if ends {
                    (row, x) = (row + 1, 0);
                }
            }
        }
        let rows = pieces.last().map_or(0, |last| last.row + 1);
        Self { pieces, rows }
    }

    /// Rows of text; on the screen, each has one of letters below.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Draws as many rows as have room, those around the token under the cursor.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, at: &Reader, theme: &Theme) {
        let room = usize::from(area.height).div_ceil(2).max(1);
        let here = self.pieces.iter().find(|piece| piece.token == at.token).map_or(0, |piece| piece.row);
        let first = scroll(here, self.rows, room);
        for piece in self.pieces.iter().filter(|piece| (first..first + room).contains(&piece.row)) {
            let (x, y) = (piece.x as u16, (piece.row - first) as u16 * 2);
            let cell = at.digest.token(piece.token);
            let expert = cell.expert.filter(|_| !cell.tie).map(|expert| expert as usize);
            let counts = at.trace.counts(piece.token);
            let hue = expert.map(|expert| at.listed.mark(at.trace, expert).hue);
            let recedes = at.faded || !counts || at.expert.is_some_and(|chosen| expert != Some(chosen));
            let style = match hue {
                _ if piece.token == at.token => theme.cursor(),
                Some(hue) if recedes => theme.category_faint(hue),
                Some(hue) => theme.category_cell(hue, strength(cell.weight, at.trace.experts.len())),
                None => theme.dim(),
            };
            // Blanks between words stay bare, so that words are seen as such.
            let blank = piece.text.len() - piece.text.trim_start_matches(' ').len();
            let blank = if blank == piece.text.len() { 0 } else { blank };
            put(buf, area, x, y, &piece.text, Style::new());
            let word = width(&piece.text[blank..]) as u16;
            tint(buf, area, x + blank as u16, y, word, style);
            if !piece.lettered || y + 1 >= area.height {
                continue;
            }
            let letter = match cell.expert {
                None => ' ',
                Some(_) if cell.tie => '=',
                Some(expert) => at.listed.mark(at.trace, expert as usize).letter,
            };
            let style = match hue {
                Some(hue) if !recedes => theme.category(hue),
                Some(hue) => theme.category_faint(hue),
                None => theme.dim(),
            };
            put(buf, area, x + blank as u16, y + 1, &letter.to_string(), style);
        }
    }
}

/// What the text shows beside itself.
pub struct Reader<'a> {
    pub trace: &'a Trace,
    pub digest: &'a Digest,
    /// Under the cursor.
    pub token: usize,
    /// An expert that a person chose: its tokens stand out.
    pub expert: Option<usize>,
    /// Old: a newer answer is on its way.
    pub faded: bool,
    pub listed: &'a Listed<'a>,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::routing::TraceToken;

    fn trace(tokens: &[(&str, Part)]) -> Trace {
        let mut trace = Trace::new(Arc::new(vec!["q".into()]), Arc::new(vec!["a".into()]), 1);
        for (id, (text, part)) in tokens.iter().enumerate() {
            trace.push(TraceToken { id: id as u32, text: text.to_string(), part: *part }, &[(0, 1.0)]);
        }
        trace
    }

    fn rows(tokens: &[&str], cells: usize) -> Vec<String> {
        let tokens: Vec<(&str, Part)> = tokens.iter().map(|text| (*text, Part::Prompt)).collect();
        let reading = Reading::new(&trace(&tokens), cells);
        let mut rows = vec![String::new(); reading.rows()];
        for piece in &reading.pieces {
            assert!(piece.x + width(&piece.text) <= cells.max(width(&piece.text)));
            rows[piece.row].push_str(&piece.text);
        }
        rows
    }

    #[test]
    fn text_breaks_between_tokens_and_at_line_breaks() {
        assert_eq!(rows(&["When", " did", " William", "?"], 9), ["When did", "William?"]);
        assert_eq!(rows(&["a", "\n", "b\n\nc"], 9), ["a⏎", "b⏎", "⏎", "c"]);
        assert_eq!(rows(&["日本語", "x"], 4), ["日本", "語x"]);
        assert_eq!(rows(&["", "\x1b"], 20), ["∅\\u{1b}"]);
        assert!(rows(&[], 5).is_empty());
    }

    #[test]
    fn what_the_template_adds_is_no_text_and_each_token_has_one_letter() {
        let tokens =
            [("<|im_start|>", Part::Template), ("a long word", Part::Prompt), (" yes", Part::Generated)];
        let reading = Reading::new(&trace(&tokens), 5);
        assert!(reading.pieces.iter().all(|piece| piece.token > 0));
        let answer = reading.pieces.iter().find(|piece| piece.token == 2).unwrap();
        assert!(answer.row > 0 && answer.x == 0, "the answer begins a row");
        for token in 1..3 {
            let lettered = reading.pieces.iter().filter(|p| p.token == token && p.lettered).count();
            assert_eq!(lettered, 1);
        }
    }
}
