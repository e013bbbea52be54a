//! Figures in PNG and SVG, from the same data that the screens show.

mod canvas;
pub mod colormap;
mod heatmap;
mod labels;
mod svg;

pub use heatmap::{Figure, heatmap};
