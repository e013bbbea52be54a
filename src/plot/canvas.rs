//! Drawing in PNG and SVG with the built-in font.

use std::sync::OnceLock;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, FontTransform, register_font};

use crate::{Error, Result};

/// PNG pixels per unit of a drawing.
pub const SHARPNESS: u32 = 2;
/// Of titles and names.
pub const INK: RGBColor = RGBColor(38, 38, 38);
/// Of lines and remarks.
pub const FAINT: RGBColor = RGBColor(110, 110, 110);
const FONT: &str = "sans-serif";
/// The one font that figures have; none of the system is needed.
pub const FONT_FILE: &[u8] = epaint_default_fonts::UBUNTU_LIGHT;

/// A drawing of `size` units as pixels in RGB, and their width and height.
///
/// # Errors
/// When it cannot be drawn.
pub fn pixels(
    size: (u32, u32),
    before: Option<Vec<u8>>,
    draw: impl FnOnce(&Pen<'_, BitMapBackend<'_>>) -> Drawn<BitMapBackend<'static>>,
) -> Result<(Vec<u8>, u32, u32)> {
    load_font()?;
    let (width, height) = (size.0 * SHARPNESS, size.1 * SHARPNESS);
    let mut pixels = before.unwrap_or_else(|| vec![255u8; (width * height * 3) as usize]);
    {
        let area = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
        let pen = Pen { area: &area, zoom: SHARPNESS as i32, lift: 0.14 };
        draw(&pen).map_err(|e| drawing_error(&e))?;
        area.present().map_err(|e| drawing_error(&e))?;
    }
    Ok((pixels, width, height))
}

/// A drawing of `size` units as an SVG document on white.
///
/// # Errors
/// When it cannot be drawn.
pub fn document(
    size: (u32, u32),
    draw: impl FnOnce(&Pen<'_, SVGBackend<'_>>) -> Drawn<SVGBackend<'static>>,
) -> Result<String> {
    load_font()?;
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        let pen = Pen { area: &area, zoom: 1, lift: 0.0 };
        area.fill(&WHITE).map_err(|e| drawing_error(&e))?;
        draw(&pen).map_err(|e| drawing_error(&e))?;
        area.present().map_err(|e| drawing_error(&e))?;
    }
    Ok(text)
}

pub type Drawn<DB> = std::result::Result<(), DrawingAreaErrorKind<<DB as DrawingBackend>::ErrorType>>;

/// Where and how a line of text is drawn.
#[derive(Clone, Copy)]
pub struct Label {
    /// Its middle in height and, in width, the end that `side` names.
    pub at: (i32, i32),
    pub size: i32,
    pub color: RGBColor,
    pub side: HPos,
    /// Whether it runs upwards.
    pub upright: bool,
}

impl Label {
    /// Of text that begins at `at`.
    pub fn new(at: (i32, i32), size: i32, color: RGBColor) -> Self {
        Self { at, size, color, side: HPos::Left, upright: false }
    }
}

/// Draws in units of the drawing on a backend with `zoom` pixels per unit.
pub struct Pen<'a, DB: DrawingBackend> {
    area: &'a DrawingArea<DB, Shift>,
    zoom: i32,
    /// Share of the font size by which the backend draws centred text too high.
    lift: f64,
}

impl<DB: DrawingBackend> Pen<'_, DB> {
    pub fn text(&self, text: &str, label: &Label) -> Drawn<DB> {
        let &Label { at: (x, y), size, color, side, upright } = label;
        let anchor = Pos::new(side, VPos::Center);
        let font = (FONT, size * self.zoom).into_font();
        let font = if upright { font.transform(FontTransform::Rotate270) } else { font };
        let style = font.color(&color).pos(anchor);
        let lift = (f64::from(size * self.zoom) * self.lift).round() as i32;
        let (x, y) = (x * self.zoom, y * self.zoom);
        let position = if upright { (x + lift, y) } else { (x, y + lift) };
        self.area.draw(&Text::new(text, position, style))
    }

    pub fn line(&self, from: (i32, i32), to: (i32, i32), color: RGBColor, width: i32) -> Drawn<DB> {
        let scaled = |(x, y): (i32, i32)| (x * self.zoom, y * self.zoom);
        let style = color.stroke_width((width * self.zoom) as u32);
        self.area.draw(&PathElement::new(vec![scaled(from), scaled(to)], style))
    }

    pub fn rectangle(&self, from: (i32, i32), to: (i32, i32), color: RGBColor) -> Drawn<DB> {
        let scaled = |(x, y): (i32, i32)| (x * self.zoom, y * self.zoom);
        self.area.draw(&Rectangle::new([scaled(from), scaled(to)], color.filled()))
    }
}

pub fn drawing_error(error: &impl std::fmt::Display) -> Error {
    Error::msg(format!("the figure cannot be drawn: {error}"))
}

/// Registers the built-in font, so that figures need none from the system.
pub fn load_font() -> Result<()> {
    static LOADED: OnceLock<bool> = OnceLock::new();
    let load = || register_font(FONT, FontStyle::Normal, FONT_FILE).is_ok();
    if *LOADED.get_or_init(load) { Ok(()) } else { Err(Error::msg("the built-in font cannot be read")) }
}

/// Width in units of a line of text.
pub fn text_width(text: &str, size: i32) -> i32 {
    // Half the height per letter is what the font averages, should it be missing.
    let guess = || text.chars().count() as i32 * size / 2;
    if load_font().is_err() {
        return guess();
    }
    (FONT, size).into_font().box_size(text).map_or_else(|_| guess(), |(width, _)| width as i32)
}

pub fn encode(pixels: &[u8], width: u32, height: u32) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    encoder.set_filter(png::Filter::Adaptive);
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(pixels)?;
        writer.finish()
    });
    written.map_err(|e| drawing_error(&e))?;
    Ok(bytes)
}
