//! The figures of a report.

use std::collections::BTreeSet;
use std::path::Path;

use super::found::{Found, FoundK, FoundLibrary};
use crate::analysis::{self, ComparisonCache, Metric};
use crate::catalog::Catalog;
use crate::eval::Mean;
use crate::export::Export;
use crate::plot::{Curve, CurvePoint, Drawing, DrawnCurves, Panel, curves_figure, heatmap};
use crate::recipe::graph::{Clustered, JOINT, PRIVATE};
use crate::recipe::laid_out::LaidOut;
use crate::recipe::methods::ONLY;
use crate::routing::Router;
use crate::{Cancel, Result};

/// Most experts of a library that is drawn.
const MOST: usize = 2000;

/// Writes those that there is something for into `folder`, each as PNG and SVG; gives the names of the PNGs.
pub(super) fn write(laid: &LaidOut, found: &Found, folder: &Path, cancel: &Cancel) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let mut save = |name: &str, figure: &dyn Drawing| {
        let png = format!("{name}.png");
        figure.save_png(&folder.join(&png))?;
        names.push(png);
        figure.save_svg(&folder.join(format!("{name}.svg")))
    };
    if let Some(report) = &found.evaluation {
        save("scores", &*report.figure()?)?;
    }
    let sizes: BTreeSet<usize> = found.by_k.iter().map(|row| row.k).collect();
    if sizes.len() > 1 {
        save("k", &curves_figure(&over_k(laid, found)))?;
    }
    if let Some(private) = laid.graph.libraries.first() {
        let library = Catalog::open(&private.path, None)?;
        let count = library.comparable().count();
        if (2..=MOST).contains(&count) {
            let cache = ComparisonCache::of(&library);
            let sparsity = laid.recipe.clusters.sparsity;
            let similarity =
                analysis::similarity(&library, Metric::default(), sparsity, &cache, &mut |_, _| {}, cancel)?;
            let clustered = laid.graph.libraries.iter().find_map(|library| library.making.clustered());
            let (order, lines) = match clustered {
                Some(Clustered { k, seed, .. }) => {
                    let clustering = analysis::cluster(&similarity, k, seed, cancel)?;
                    let order = analysis::order_by_cluster(&similarity, &clustering);
                    let lines = analysis::boundaries(&clustering, &order);
                    (order, lines)
                }
                None => ((0..similarity.len()).collect(), Vec::new()),
            };
            save("similarity", &heatmap(&similarity, &order, &lines, &laid.recipe.name))?;
        }
    }
    Ok(names)
}

fn point(row: &FoundK, value: Option<Mean>) -> Option<CurvePoint> {
    let mean = value?;
    Some(CurvePoint { x: row.k as f64, y: mean.score, error: mean.stderr })
}

/// A curve over k for each share of joint steps.
fn curves(found: &Found, name: &str, value: impl Fn(&FoundK) -> Option<Mean>) -> Vec<Curve> {
    let shares: BTreeSet<usize> = found.by_k.iter().map(|row| row.share).collect();
    let curve = |share: usize| {
        let rows = found.by_k.iter().filter(|row| row.share == share);
        let name = if share == 0 { name.to_string() } else { format!("{name}, {share} % joint") };
        Curve { name, points: rows.filter_map(|row| point(row, value(row))).collect(), is_level: false }
    };
    shares.into_iter().map(curve).collect()
}

/// A line across: what does not depend on k.
fn level(name: &str, value: Option<f64>) -> Option<Curve> {
    let y = value?;
    Some(Curve { name: name.into(), points: vec![CurvePoint { x: 0.0, y, error: None }], is_level: true })
}

fn over_k(laid: &LaidOut, found: &Found) -> DrawnCurves {
    let plain = |value: Option<f64>| value.map(|score| Mean { score, stderr: None });
    let pair = |each: [Vec<Curve>; 2]| each.into_iter().flatten().collect::<Vec<_>>();
    let mut losses = pair([
        curves(found, "clusters", |row| row.losses[0]),
        curves(found, "random clusters", |row| row.losses[1]),
    ]);
    for wanted in [PRIVATE, JOINT] {
        let of = found.libraries.iter().filter(|found| found.library.making.stem() == wanted);
        let all: Vec<f64> = of.filter_map(FoundLibrary::loss).collect();
        losses.extend(level(wanted, Mean::of(&all).map(|mean| mean.score)));
    }
    // The clusterings are the same for each share, so that the first says it.
    let first = found.by_k.first().map_or(0, |row| row.share);
    let of_first = |name: &str, value: &dyn Fn(&FoundK) -> Option<Mean>| {
        let points =
            found.by_k.iter().filter(|row| row.share == first).filter_map(|row| point(row, value(row)));
        Curve { name: name.into(), points: points.collect(), is_level: false }
    };
    let quality = vec![
        of_first("silhouette", &|row| row.silhouette),
        of_first("stability", &|row| plain(row.stability)),
        of_first("agreement with families", &|row| plain(row.families)),
    ];
    let mut panels = vec![
        Panel { title: "Quality of the clustering".into(), curves: quality },
        Panel { title: "Validation loss per token".into(), curves: losses },
    ];
    if let Some(router) = &found.shown {
        let unit = if found.is_loss { "Loss" } else { "Score, %" };
        let scale = if found.is_loss { 1.0 } else { 100.0 };
        let scaled = |mean: Option<Mean>| {
            mean.map(|mean| Mean {
                score: mean.score * scale,
                stderr: mean.stderr.map(|error| error * scale),
            })
        };
        let mut curves = pair([
            curves(found, "clusters", |row| scaled(row.scores[0])),
            curves(found, "random clusters", |row| scaled(row.scores[1])),
        ]);
        let joint = found.libraries.iter().filter(|found| found.library.making.stem() == JOINT);
        let joint = joint.map(|found| format!("{}/{ONLY}", found.library.name)).collect();
        let levels =
            [(PRIVATE, vec![router.clone()]), (JOINT, joint), ("base", vec![Router::base().id.into()])];
        for (name, labels) in levels {
            let all: Vec<f64> = labels.iter().filter_map(|label| Some(found.score(label)?.score)).collect();
            curves.extend(level(name, scaled(Mean::of(&all)).map(|mean| mean.score)));
        }
        panels.push(Panel { title: format!("{unit} of {router}, {} tasks", found.group), curves });
    }
    DrawnCurves {
        title: laid.recipe.name.clone(),
        axis: "number of clusters".into(),
        is_logarithmic: false,
        panels,
    }
}
