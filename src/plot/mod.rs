//! Figures in PNG and SVG, from the same data that the screens show.

pub mod colormap;
mod heatmap;
mod svg;

pub use heatmap::{Figure, heatmap};
