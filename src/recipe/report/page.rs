//! The page of a report and its own tables.

use std::fmt::Write;
use std::path::Path;

use super::found::{Found, FoundLibrary};
use crate::eval::{EvalReport, Group, Mean, mean_text};
use crate::library::Skipped;
use crate::recipe::graph::Making;
use crate::recipe::laid_out::LaidOut;
use crate::text::{counted, csv_field, markdown_cell, number, printable, typed};

/// What stands where there is nothing.
const NONE: &str = "–";
/// Places of losses, silhouettes and indices.
const PLACES: usize = 3;

fn plain(value: Option<f64>) -> String {
    value.map_or(NONE.into(), |value| number(value, PLACES))
}

fn with_error(mean: Option<Mean>, is_loss: bool) -> String {
    mean_text(mean.as_ref(), is_loss, " ± ")
}

fn exactly(value: Option<f64>) -> String {
    value.map_or(String::new(), |value| value.to_string())
}

fn kind(found: &FoundLibrary) -> &'static str {
    match found.library.making {
        Making::Private => "private",
        Making::Joint { .. } => "joint",
        Making::Start { .. } => "start",
        Making::Clusters(_) => "clusters",
        Making::Random(_) => "random",
    }
}

/// A line per library.
pub(super) fn libraries_csv(found: &Found) -> String {
    let mut out = String::from(
        "library,kind,experts,examples_trained,validation_loss,base_validation_loss,silhouette\n",
    );
    for library in &found.libraries {
        let fields = [
            csv_field(&library.library.name),
            kind(library).into(),
            library.experts.to_string(),
            library.trained.to_string(),
            exactly(library.loss()),
            exactly(library.base_loss()),
            exactly(library.silhouette),
        ];
        let _ = writeln!(out, "{}", fields.join(","));
    }
    out
}

/// A line per library of clusters and private expert.
pub(super) fn clusters_csv(found: &Found) -> String {
    let mut out = String::from("library,cluster,member\n");
    for library in &found.libraries {
        for (at, members) in library.clusters.iter().enumerate() {
            for member in members {
                let _ =
                    writeln!(out, "{},{},{}", csv_field(&library.library.name), at + 1, csv_field(member));
            }
        }
    }
    out
}

/// A line per number of clusters.
pub(super) fn k_csv(found: &Found) -> String {
    let mut out = String::from(
        "k,seeds,clusters,silhouette,stability,agreement_with_families,validation_loss,validation_loss_random,score,score_stderr,\
         score_random,score_random_stderr,joint_share\n",
    );
    let score = |mean: Option<Mean>| exactly(mean.map(|mean| mean.score));
    let error = |mean: Option<Mean>| exactly(mean.and_then(|mean| mean.stderr));
    for row in &found.by_k {
        let fields = [
            row.k.to_string(),
            row.seeds.to_string(),
            row.clusters.to_string(),
            score(row.silhouette),
            exactly(row.stability),
            exactly(row.families),
            score(row.losses[0]),
            score(row.losses[1]),
            score(row.scores[0]),
            error(row.scores[0]),
            score(row.scores[1]),
            error(row.scores[1]),
            row.share.to_string(),
        ];
        let _ = writeln!(out, "{}", fields.join(","));
    }
    out
}

/// A line per method and group of what there are several seeds of.
pub(super) fn seeds_csv(found: &Found) -> String {
    let mut out =
        String::from("method,seeds,group,is_loss,score,score_stderr,less_joint,less_joint_stderr\n");
    let fields = |mean: Option<Mean>| {
        [exactly(mean.map(|mean| mean.score)), exactly(mean.and_then(|mean| mean.stderr))].join(",")
    };
    for row in &found.over_seeds {
        for ((group, score), less) in found.groups().iter().zip(&row.scores).zip(&row.to_joint) {
            let Group { name, is_loss, .. } = group;
            let [score, less] = [*score, *less].map(fields);
            let _ = writeln!(out, "{},{},{name},{is_loss},{score},{less}", csv_field(&row.method), row.seeds);
        }
    }
    out
}

/// The page; links lead into `folder`, which has the figures `drawn` and all `files`.
pub(super) fn page(
    laid: &LaidOut,
    found: &Found,
    (folder, drawn, files): (&str, &[String], &[String]),
) -> String {
    let mut out = format!("# {}\n\n", markdown_cell(&laid.recipe.name));
    let _ = writeln!(
        out,
        "{} to train on, {} held out. Losses are per output token, in nats; scores in percent with standard errors \
         over tasks, of a single task over its items.\n",
        counted(laid.tasks.train.len(), "task"),
        laid.tasks.held_out.len(),
    );
    libraries(&mut out, found);
    if let Some(report) = &found.evaluation {
        scores(&mut out, found, report);
    }
    over_k(&mut out, found);
    clusters(&mut out, found);
    for name in drawn {
        let _ = writeln!(out, "![{name}]({folder}/{name})\n");
    }
    again(&mut out, laid, (folder, files));
    out
}

fn libraries(out: &mut String, found: &Found) {
    out.push_str("## Libraries\n\n| library | experts | examples trained on | validation loss | base model | silhouette |\n");
    out.push_str("|---|---:|---:|---:|---:|---:|\n");
    for library in &found.libraries {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            markdown_cell(&library.library.name),
            library.experts,
            library.trained,
            plain(library.loss()),
            plain(library.base_loss()),
            plain(library.silhouette),
        );
    }
    out.push_str("\nExamples count as often as they were trained on. Every library saw the same tasks.");
    if found.libraries.iter().any(|found| matches!(found.library.making, Making::Start { .. })) {
        out.push_str(
            " The experts of clusters with j50 in their name begin with one that learned all tasks for 50 % of the steps, \
             whose examples are counted in; so with other numbers.",
        );
    }
    out.push_str("\n\n");
    for (random, real) in found.same_as_real() {
        let why = match random.clusters.len() {
            1 => "all experts are in one cluster",
            _ => "there are few ways to deal out so few experts",
        };
        let _ = writeln!(
            out,
            "Note: {} has the same clusters as {}, and is no control: {why}.\n",
            markdown_cell(&random.library.name),
            markdown_cell(&real.library.name)
        );
    }
    // Libraries of clusters are trained on as much of each task as the experts of single tasks would be here.
    let given = found.libraries.iter().find(|found| found.library.given && found.trained > 0);
    let made = found.libraries.iter().find(|found| matches!(found.library.making, Making::Clusters(_)));
    if let Some((given, made)) = given.zip(made).filter(|(given, made)| differ(given.trained, made.trained)) {
        let _ = writeln!(
            out,
            "Warning: {} was trained on {} and {} on {}: they do not differ only in what their experts learned together.\n",
            markdown_cell(&given.library.name),
            counted(given.trained, "example"),
            markdown_cell(&made.library.name),
            counted(made.trained, "example"),
        );
    }
    for (library, warning) in found.warnings() {
        let _ = writeln!(out, "Warning: {}: {}\n", markdown_cell(library), markdown_cell(warning));
    }
}

/// Whether the last batches of epochs are not all that differs.
fn differ(one: usize, other: usize) -> bool {
    one.abs_diff(other) * 50 > one.max(other)
}

fn scores(out: &mut String, found: &Found, report: &EvalReport) {
    let groups = found.groups();
    if groups.is_empty() {
        return;
    }
    let heads: Vec<String> = groups.iter().copied().map(heading).collect();
    let measured = report.measured.map(|metric| format!("every task by {metric}"));
    let how = [measured, report.shots(), report.items()].into_iter().flatten().collect::<Vec<_>>().join(", ");
    let _ = writeln!(
        out,
        "## Scores\n\n{} scoring on the {} split, {how}; means over tasks of equal weight, their number behind each group.\n\n| method | {} |",
        report.scoring,
        report.split,
        heads.join(" | ")
    );
    let _ = writeln!(out, "|---|{}", "---:|".repeat(groups.len()));
    for (at, method) in report.methods.iter().enumerate() {
        let cells: Vec<String> = groups
            .iter()
            .map(|group| with_error(group.scores.get(at).copied().flatten(), group.is_loss))
            .collect();
        let _ = writeln!(out, "| {} | {} |", markdown_cell(method), cells.join(" | "));
    }
    out.push('\n');
    over_seeds(out, found);
    let of_groups: Vec<_> =
        report.differences.iter().filter(|row| row.group.as_deref() == Some(found.group.as_str())).collect();
    if let Some(first) = of_groups.first() {
        let _ = writeln!(
            out,
            "Paired differences to {} on the same items, {} tasks, with 95 % intervals; the others are in the tables:\n\n| method | difference | 95 % | better | worse |\n|---|---:|---|---:|---:|",
            markdown_cell(&first.against),
            found.group
        );
        for row in of_groups {
            let value = |value: f64| match row.is_loss {
                true => format!("{value:+.3}"),
                false => format!("{:+.1}", value * 100.0),
            };
            let interval = row.difference.interval;
            let interval = interval.map(|[low, high]| format!("{} to {}", value(low), value(high)));
            let _ = writeln!(
                out,
                "| {}{} | {} | {} | {} | {} |",
                markdown_cell(&row.method),
                if row.is_loss { ", loss" } else { "" },
                value(row.difference.difference),
                interval.unwrap_or_default(),
                row.difference.wins,
                row.difference.losses
            );
        }
        out.push('\n');
    }
    for leak in &report.leaks {
        let _ = writeln!(
            out,
            "Warning: leak of {}: {}: {}\n",
            markdown_cell(&leak.task),
            markdown_cell(&leak.expert),
            markdown_cell(&leak.reason)
        );
    }
    for (what, experts) in [("left out", &report.skipped), ("applied in part", &report.partial)] {
        for Skipped { name, reason } in experts {
            let _ = writeln!(out, "Warning: {what}: {}: {}\n", markdown_cell(name), markdown_cell(reason));
        }
    }
    for failed in &report.failed {
        let _ = writeln!(
            out,
            "No scores of {}: {}\n",
            markdown_cell(&failed.method),
            markdown_cell(&failed.reason)
        );
    }
}

fn heading(group: &Group) -> String {
    format!("{}{} ({})", group.name, if group.is_loss { ", loss" } else { "" }, group.tasks)
}

/// The scores of libraries that differ by their seeds alone.
fn over_seeds(out: &mut String, found: &Found) {
    if found.over_seeds.is_empty() {
        return;
    }
    let groups = found.groups();
    let is_compared = found.over_seeds.iter().flat_map(|row| &row.to_joint).any(Option::is_some);
    let mut heads: Vec<String> = groups.iter().copied().map(heading).collect();
    out.push_str("Means over seeds, with standard errors over these");
    if is_compared {
        heads.extend(groups.iter().copied().map(|group| format!("{}, less joint", heading(group))));
        out.push_str(
            "; and their differences to the means of joint experts, with standard errors over tasks",
        );
    }
    let _ = writeln!(
        out,
        ":\n\n| method | seeds | {} |\n|---|---:|{}",
        heads.join(" | "),
        "---:|".repeat(heads.len())
    );
    for row in &found.over_seeds {
        let cell = |(mean, group): (&Option<Mean>, &&Group)| with_error(*mean, group.is_loss);
        let mut cells: Vec<String> = row.scores.iter().zip(&groups).map(cell).collect();
        if is_compared {
            cells.extend(row.to_joint.iter().zip(&groups).map(cell));
        }
        let _ = writeln!(out, "| {} | {} | {} |", markdown_cell(&row.method), row.seeds, cells.join(" | "));
    }
    out.push('\n');
}

fn over_k(out: &mut String, found: &Found) {
    if found.by_k.is_empty() {
        return;
    }
    let shown =
        found.shown.as_ref().map(|router| format!("{} on {} tasks", markdown_cell(router), found.group));
    let is_shared = found.by_k.iter().any(|row| row.share > 0);
    let mut heads = if is_shared { vec!["joint share %"] } else { Vec::new() };
    heads.extend([
        "k",
        "seeds",
        "clusters",
        "silhouette",
        "stability",
        "agreement with families",
        "loss",
        "loss, random",
    ]);
    let scored =
        [shown.clone().unwrap_or_default(), format!("{}, random", shown.clone().unwrap_or_default())];
    if shown.is_some() {
        heads.extend(scored.iter().map(String::as_str));
    }
    let _ =
        writeln!(out, "## Number of clusters\n\n| {} |\n|{}", heads.join(" | "), "---:|".repeat(heads.len()));
    for row in &found.by_k {
        let mut cells = if is_shared { vec![row.share.to_string()] } else { Vec::new() };
        cells.extend([
            row.k.to_string(),
            row.seeds.to_string(),
            row.clusters.to_string(),
            with_error(row.silhouette, true),
            plain(row.stability),
            plain(row.families),
            with_error(row.losses[0], true),
            with_error(row.losses[1], true),
        ]);
        if shown.is_some() {
            cells.extend(row.scores.map(|mean| with_error(mean, found.is_loss)));
        }
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    out.push_str(
        "\nClusters are the fewest that a seed gave. Stability is the mean adjusted Rand index of the clusterings of two \
         seeds; agreement with families the same of a clustering and the families of the tasks. A clustering with one cluster \
         has neither, and tasks of one family have no agreement. Errors are over seeds, or over tasks where there is one seed.\n\n",
    );
}

fn clusters(out: &mut String, found: &Found) {
    let clustered: Vec<&FoundLibrary> =
        found.libraries.iter().filter(|found| matches!(found.library.making, Making::Clusters(_))).collect();
    // The rest is in the table beside the page.
    let Some(first) = clustered.first() else { return };
    let _ = writeln!(out, "## Clusters of {}\n", markdown_cell(&first.library.name));
    for (at, members) in first.clusters.iter().enumerate() {
        let names: Vec<String> = members.iter().map(|name| markdown_cell(name)).collect();
        let _ = writeln!(out, "{}. {}", at + 1, names.join(", "));
    }
    out.push('\n');
}

fn again(out: &mut String, laid: &LaidOut, (folder, files): (&str, &[String])) {
    let name = laid.root.file_name().map_or(Path::new("experiment"), Path::new).display().to_string();
    let _ = writeln!(
        out,
        "## Made by\n\nlora-tui {}. To make it again:\n\n```sh\nlora-tui run {folder}/recipe.toml --out {}\n```\n",
        env!("CARGO_PKG_VERSION"),
        typed(&printable(&format!("../{name}-again"))),
    );
    let links: Vec<String> = files.iter().map(|file| format!("[{file}]({folder}/{file})")).collect();
    let _ = writeln!(out, "Files: {}.", links.join(", "));
}
