//! The colours of one ground, by their meaning. Text has a contrast of at least 4.5 there, in 24 bits and as the
//! nearest of 256.

use ratatui::style::Color;

/// A colour in 24 bits, and its stand-in where there are 16.
#[derive(Clone, Copy, Debug)]
pub struct Tone {
    pub rgb: [u8; 3],
    pub basic: Color,
}

const fn tone(r: u8, g: u8, b: u8, basic: Color) -> Tone {
    Tone { rgb: [r, g, b], basic }
}

/// Text on a ground of its own, in 24 bits; where there are 16 colours, it is marked in other ways.
#[derive(Clone, Copy, Debug)]
pub struct Fill {
    pub ground: [u8; 3],
    pub text: [u8; 3],
}

/// What everything but colour maps is drawn with.
#[derive(Debug)]
pub struct Tones {
    pub dim: Tone,
    pub accent: Tone,
    pub error: Tone,
    pub warning: Tone,
    pub ok: Tone,
    pub header: Tone,
    pub key: Tone,
    pub matched: Tone,
    /// Lines, which are no text.
    pub border: Tone,
    pub selection: Fill,
    pub selection_unfocused: Fill,
    pub cursor: Fill,
    /// Twelve colours that differ in lightness as well as hue, so that colour-blind eyes can distinguish them.
    pub categories: [[u8; 3]; 12],
    /// What a category fades to.
    pub ground: [u8; 3],
}

/// Six of the 16 colours that are different on every terminal, also on those that show eight.
pub const BASIC_CATEGORIES: [Color; 6] =
    [Color::Blue, Color::Yellow, Color::Green, Color::Red, Color::Magenta, Color::Cyan];

pub static DARK: Tones = Tones {
    dim: tone(140, 146, 160, Color::DarkGray),
    accent: tone(86, 170, 235, Color::LightBlue),
    error: tone(240, 105, 105, Color::LightRed),
    warning: tone(225, 170, 60, Color::Yellow),
    ok: tone(80, 185, 125, Color::Green),
    header: tone(150, 165, 190, Color::Gray),
    key: tone(215, 195, 60, Color::LightYellow),
    matched: tone(235, 150, 40, Color::Yellow),
    border: tone(85, 92, 108, Color::DarkGray),
    selection: Fill { ground: [42, 66, 104], text: [240, 244, 250] },
    selection_unfocused: Fill { ground: [48, 52, 62], text: [225, 230, 238] },
    cursor: Fill { ground: [250, 250, 250], text: [15, 15, 15] },
    categories: [
        [64, 150, 230],  // blue
        [235, 150, 40],  // orange
        [30, 165, 125],  // green
        [230, 105, 110], // red
        [170, 130, 235], // violet
        [215, 195, 60],  // yellow
        [105, 205, 225], // cyan
        [230, 130, 190], // pink
        [175, 130, 85],  // brown
        [150, 190, 90],  // olive
        [130, 140, 225], // indigo
        [170, 170, 175], // grey
    ],
    ground: [0, 0, 0],
};

pub static LIGHT: Tones = Tones {
    dim: tone(88, 94, 108, Color::DarkGray),
    accent: tone(0, 90, 170, Color::Blue),
    error: tone(175, 0, 0, Color::Red),
    warning: tone(125, 80, 0, Color::Magenta),
    ok: tone(0, 95, 45, Color::Green),
    header: tone(60, 75, 105, Color::DarkGray),
    key: tone(120, 70, 0, Color::Blue),
    matched: tone(150, 60, 0, Color::Red),
    border: tone(150, 155, 165, Color::Gray),
    selection: Fill { ground: [190, 212, 245], text: [10, 20, 40] },
    selection_unfocused: Fill { ground: [218, 222, 230], text: [30, 35, 45] },
    cursor: Fill { ground: [20, 20, 20], text: [250, 250, 250] },
    categories: [
        [0, 95, 215],   // blue
        [140, 80, 0],   // orange
        [0, 100, 30],   // green
        [175, 10, 20],  // red
        [105, 30, 185], // violet
        [95, 90, 0],    // yellow
        [0, 95, 135],   // cyan
        [175, 0, 135],  // pink
        [95, 35, 10],   // brown
        [0, 95, 95],    // turquoise
        [30, 30, 130],  // indigo
        [88, 88, 88],   // grey
    ],
    ground: [255, 255, 255],
};
