//! A backend that redraws whole rows where the terminal may count cells in another way.
//!
//! Flags, families and other characters of several code points, and new emoji, are as wide as the terminal's tables
//! say, which are not ours. Where one comes or goes, the rest of its row may stand elsewhere: the row is cleared and
//! written anew, each part at its own place.

use std::io;

use ratatui::backend::{Backend, ClearType, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};
use unicode_width::UnicodeWidthStr;

/// Passes everything on to another backend, and keeps what it shows.
#[derive(Debug)]
pub struct Rows<B> {
    inner: B,
    size: Size,
    cells: Vec<Cell>,
}

impl<B> Rows<B> {
    /// Before anything is drawn.
    pub fn new(inner: B) -> Self {
        Self { inner, size: Size::ZERO, cells: Vec::new() }
    }
}

/// Whether terminals may differ about how wide a cell's text is.
fn is_ambiguous(cell: &Cell) -> bool {
    let symbol = cell.symbol();
    symbol.len() > 2 && (symbol.chars().nth(1).is_some() || symbol.starts_with(|c| c >= '\u{1f000}'))
}

impl<B: Backend<Error = io::Error>> Backend for Rows<B> {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let size = self.size()?;
        if self.size != size {
            self.size = size;
            self.cells = vec![Cell::default(); usize::from(size.width) * usize::from(size.height)];
        }
        let changed: Vec<_> = content.collect();
        let mut again: Vec<u16> = Vec::new();
        for &(x, y, cell) in &changed {
            let at = usize::from(y) * usize::from(size.width) + usize::from(x);
            let Some(old) = self.cells.get_mut(at).filter(|_| x < size.width) else { continue };
            if is_ambiguous(old) || is_ambiguous(cell) {
                again.push(y);
            }
            old.clone_from(cell);
        }
        if again.is_empty() {
            return self.inner.draw(changed.into_iter());
        }
        again.sort_unstable();
        again.dedup();
        for &y in &again {
            self.inner.set_cursor_position(Position { x: 0, y })?;
            self.inner.clear_region(ClearType::CurrentLine)?;
        }
        let mut all: Vec<_> =
            changed.into_iter().filter(|(_, y, _)| again.binary_search(y).is_err()).collect();
        for &y in &again {
            let mut next = 0;
            let start = usize::from(y) * usize::from(size.width);
            let row = self.cells.get(start..start + usize::from(size.width)).unwrap_or_default();
            for (x, cell) in row.iter().enumerate() {
                // What a wide character covers is not written.
                if x >= next {
                    next = x + cell.symbol().width().max(1);
                    all.push((x as u16, y, cell));
                }
            }
        }
        self.inner.draw(all.into_iter())
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        self.inner.hide_cursor()
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        self.inner.show_cursor()
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        self.inner.get_cursor_position()
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.inner.set_cursor_position(position)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.clear_region(ClearType::All)
    }

    fn clear_region(&mut self, region: ClearType) -> io::Result<()> {
        // No other is asked for, and what is shown must be known.
        self.cells.fill(Cell::default());
        self.inner.clear_region(region)
    }

    /// A terminal that does not know how large it is, such as a serial line, counts as one of 80 × 24.
    fn size(&self) -> io::Result<Size> {
        let Size { width, height } = self.inner.size()?;
        Ok(if width == 0 || height == 0 { Size::new(80, 24) } else { Size { width, height } })
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        self.inner.window_size()
    }

    fn flush(&mut self) -> io::Result<()> {
        Backend::flush(&mut self.inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::buffer::Buffer;

    /// Shows what it has to and counts the cells and the rows that are cleared.
    struct Counting {
        inner: TestBackend,
        written: usize,
        cleared: Vec<u16>,
    }

    impl Counting {
        fn new(width: u16, height: u16) -> Self {
            Self { inner: TestBackend::new(width, height), written: 0, cleared: Vec::new() }
        }
    }

    impl Backend for Counting {
        type Error = io::Error;

        fn draw<'a, I: Iterator<Item = (u16, u16, &'a Cell)>>(&mut self, content: I) -> io::Result<()> {
            let content: Vec<_> = content.collect();
            self.written += content.len();
            self.inner.draw(content.into_iter()).map_err(|never| match never {})
        }

        fn hide_cursor(&mut self) -> io::Result<()> {
            self.inner.hide_cursor().map_err(|never| match never {})
        }

        fn show_cursor(&mut self) -> io::Result<()> {
            self.inner.show_cursor().map_err(|never| match never {})
        }

        fn get_cursor_position(&mut self) -> io::Result<Position> {
            self.inner.get_cursor_position().map_err(|never| match never {})
        }

        fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
            self.inner.set_cursor_position(position).map_err(|never| match never {})
        }

        fn clear(&mut self) -> io::Result<()> {
            self.inner.clear().map_err(|never| match never {})
        }

        fn clear_region(&mut self, region: ClearType) -> io::Result<()> {
            if region == ClearType::CurrentLine {
                let Position { y, .. } = self.get_cursor_position()?;
                self.cleared.push(y);
            }
            self.inner.clear_region(region).map_err(|never| match never {})
        }

        fn size(&self) -> io::Result<Size> {
            self.inner.size().map_err(|never| match never {})
        }

        fn window_size(&mut self) -> io::Result<WindowSize> {
            self.inner.window_size().map_err(|never| match never {})
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_terminal_without_a_size_has_the_common_one() {
        let rows = |width, height| Rows::new(Counting::new(width, height)).size().unwrap();
        assert_eq!([rows(0, 0), rows(0, 7), rows(120, 40)], [(80, 24), (80, 24), (120, 40)].map(Size::from));
    }

    #[test]
    fn a_row_whose_width_terminals_disagree_about_is_cleared_and_written_anew() {
        let mut terminal = Terminal::new(Rows::new(Counting::new(12, 3))).unwrap();
        let mut draw = |lines: [&str; 3]| {
            let drawn = terminal.draw(|frame| {
                for (y, line) in lines.iter().enumerate() {
                    frame.buffer_mut().set_string(0, y as u16, line, ratatui::style::Style::new());
                }
            });
            drawn.unwrap();
            let counting = &mut terminal.backend_mut().inner;
            let shown: Buffer = counting.inner.buffer().clone();
            assert_eq!(crate::tui::testing::text(&shown), lines.map(|line| format!("{line}\n")).concat());
            let cleared: Vec<u16> = std::mem::take(&mut counting.cleared);
            (std::mem::take(&mut counting.written), cleared)
        };
        let none = Vec::<u16>::new();
        draw(["one", "", "two"]);
        // What is as wide everywhere is written where it changes.
        assert_eq!(draw(["one", "日本", "two!"]).1, none);
        assert_eq!(draw(["one", "日 本", "two"]).1, none);
        // A flag comes, stays while another row changes, and goes.
        assert_eq!(draw(["one", "🇪🇸 hola", "two"]).1, [1]);
        assert_eq!(draw(["one", "🇪🇸 hola", "three"]), (4, vec![]));
        let (written, cleared) = draw(["one", "hola", "three"]);
        assert_eq!((written, cleared), (12, vec![1]));
    }
}
