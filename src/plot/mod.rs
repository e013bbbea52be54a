//! Figures in PNG and SVG, from the same data that the screens show.

mod canvas;
pub mod colormap;
mod curves;
mod drawing;
mod heatmap;
mod labels;
mod map;
mod scores;
mod svg;

pub use curves::{Curve, CurveFigure, CurvePoint, DrawnCurves, Panel, curves_figure};
pub use drawing::Drawing;
pub use heatmap::{Figure, heatmap};
pub use map::{MapFigure, map};
pub use scores::{DrawnDifference, DrawnScores, Scale, ScoreFigure, scores_figure};
