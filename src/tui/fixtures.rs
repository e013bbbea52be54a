//! Deterministic data for the tests of the screens.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use crate::analysis::{Clustering, ExpertProfile, Metric, ModuleProfile, Similarity, ties};
use crate::catalog::Catalog;
use crate::eval::{
    Difference, EvalReport, EvalSpec, Group, GroupDifference, Leak, Mean, OracleGap, ReportedTask,
};
use crate::jobs::kinds::{CLUSTER, EVAL, Kind, TRAIN, report_of};
use crate::jobs::{
    ClusterReport, ClusterSpec, Figures, JobDetail, JobState, JobSummary, Point, Progress, Share,
};
use crate::library::{
    AdapterConfig, Expert, Library, Manifest, ModuleShape, Provenance, Shortfall, Standing,
};
use crate::model::Precision;
use crate::named::Named;
use crate::scorers::Scorer;
use crate::train::TrainSpec;
use crate::tui::Evaluated;

/// 2026-11-24 09:00 UTC.
pub const NOW: f64 = 1_795_510_800.0;

const TASKS: [(&str, &str); 8] = [
    ("past-tense", "inflection"),
    ("plurals", "inflection"),
    ("metric-length", "units"),
    ("metric-weight", "units"),
    ("passive-voice", "rewriting"),
    ("formal-tone", "rewriting"),
    ("sentiment", "labels"),
    ("topic", "labels"),
];

fn modules(layers: usize) -> Vec<String> {
    let kinds = ["q_proj", "k_proj", "v_proj", "o_proj"];
    let path = |layer, kind| format!("model.layers.{layer}.self_attn.{kind}");
    (0..layers).flat_map(|layer| kinds.map(|kind| path(layer, kind))).collect()
}

/// An expert of 30 layers; the `i`-th of its library.
pub fn expert(i: usize, name: &str, task: &str, family: &str) -> Expert {
    let shape = |module: String| ModuleShape {
        module,
        rank: 4,
        in_features: 576,
        out_features: 576,
        scale: 2.0,
        ..ModuleShape::default()
    };
    Expert {
        name: name.into(),
        path: PathBuf::from("library").join(name),
        config: AdapterConfig { r: 4, alpha: 8.0, dropout: 0.05, ..AdapterConfig::default() },
        modules: modules(30).into_iter().map(shape).collect(),
        dtype: "f16".into(),
        parameters: 460_800,
        bytes: 930_000,
        modified: Some(UNIX_EPOCH + Duration::from_secs(NOW as u64 - 3600)),
        provenance: Some(Provenance {
            task: Some(task.into()),
            family: Some(family.into()),
            dataset: Some(format!("assets/tasks/{family}/{task}")),
            examples: Some(640),
            settings: [("learning_rate", 1e-3.into()), ("batch", 16.into())]
                .map(|(id, value): (&str, serde_json::Value)| (id.to_string(), value))
                .into_iter()
                .collect(),
            steps: Some(200),
            epochs: Some(5.0),
            seed: Some(42),
            base: Some("SmolLM2-135M-Instruct".into()),
            train_loss: Some(0.2 + 0.05 * i as f64),
            validation_loss: Some(0.31 + 0.05 * i as f64),
            base_validation_loss: Some(2.9),
            seconds: Some(312.0),
            tokens_per_second: Some(930.0),
            created: Some(format!("2026-11-{:02}T10:00:00Z", 10 + i)),
            tool_version: Some("0.1.0".into()),
            ..Provenance::default()
        }),
        ..Expert::default()
    }
}

fn bad(name: &str, reason: &str) -> Expert {
    Expert {
        standing: Standing::Bad { reason: reason.into() },
        modules: Vec::new(),
        dtype: String::new(),
        parameters: 0,
        provenance: None,
        ..expert(0, name, "", "")
    }
}

/// Eight good experts, one that is applied in part and two bad ones, one with a hostile name.
pub fn library() -> Arc<Catalog> {
    let mut experts: Vec<Expert> =
        TASKS.iter().enumerate().map(|(i, (task, family))| expert(i, task, task, family)).collect();
    let reason = "lora_embedding_A is not applied: only linear layers are".into();
    experts[3].standing = Standing::Partial(Shortfall { reason, unapplied: None });
    experts.push(bad(
        "broken",
        "adapter_model.safetensors: the header ends before its length says; copy it again",
    ));
    experts.push(bad("evil\x1b[2Jname", "adapter_config.json: expected value at line 1 column 1"));
    experts.sort_by(|a, b| a.name.cmp(&b.name));
    with_experts(experts)
}

/// A library of these experts.
pub fn with_experts(experts: Vec<Expert>) -> Arc<Catalog> {
    Arc::new(Catalog::from(Library {
        root: PathBuf::from("library"),
        manifest: Manifest::default(),
        experts,
        ..Library::default()
    }))
}

/// Norms that rise with the layers.
pub fn profile(expert: &str) -> Arc<ExpertProfile> {
    let modules = modules(30).into_iter().enumerate().map(|(i, module)| {
        let norm = 0.1 + 0.02 * (i / 4) as f64 + 0.15 * (i % 4) as f64;
        let sigma: Vec<f64> = [0.8, 0.5, 0.3, 0.1].iter().map(|s| s * norm).collect();
        ModuleProfile { module, rank: 4, scale: 2.0, norm, sigma, effective_rank: 3.2, gap: 0.625 }
    });
    Arc::new(ExpertProfile { expert: expert.into(), modules: modules.collect(), ..ExpertProfile::default() })
}

/// The usable experts in blocks of two.
pub fn similarity() -> Arc<Similarity> {
    let experts: Vec<String> = library().usable().map(|e| e.name.clone()).collect();
    let family = |name: &str| TASKS.iter().find(|(task, _)| *task == name).map(|(_, family)| *family);
    let mut matrix = Vec::new();
    for (i, a) in experts.iter().enumerate() {
        for (j, b) in experts.iter().enumerate() {
            let base = if family(a) == family(b) { 0.8 } else { 0.1 };
            matrix.push(if i == j { 1.0 } else { base + 0.01 * (i + j) as f32 });
        }
    }
    Arc::new(Similarity {
        metric: Metric::MBC,
        sparsity: 0.5,
        experts,
        matrix,
        warnings: Vec::new(),
        skipped: Vec::new(),
        strength: Vec::new(),
        known_spread: Default::default(),
        origin: Default::default(),
    })
}

/// One cluster a family.
pub fn clustering() -> Arc<Clustering> {
    let experts = similarity().experts.clone();
    let families = ["rewriting", "units", "inflection", "labels"];
    let label = |name: &String| {
        let family = TASKS.iter().find(|(task, _)| task == name).map_or("", |(_, family)| family);
        families.iter().position(|f| *f == family).unwrap_or(0)
    };
    let labels: Vec<usize> = experts.iter().map(label).collect();
    Arc::new(Clustering {
        ties: ties(&similarity(), &labels, 4),
        k: 4,
        seed: 42,
        labels,
        inertia: 1.5,
        silhouette: Some(0.7),
        silhouettes: vec![0.7; experts.len()],
        experts,
    })
}

fn job(id: &str, kind: &'static Kind, name: &str, state: JobState, step: usize) -> JobSummary {
    JobSummary {
        id: id.into(),
        kind: Some(kind),
        name: name.into(),
        state,
        step,
        steps: 200,
        started: (state != JobState::Queued).then(|| UNIX_EPOCH + Duration::from_secs(1_795_510_500)),
        error: None,
        after: Vec::new(),
        waits: None,
        held: false,
        place: None,
        unseen: None,
        group: None,
        share: Share::default(),
        turn: (state == JobState::Queued).then_some(1),
        figures: Figures::default(),
    }
}

/// One job in every state, newest first.
pub fn jobs() -> Vec<JobSummary> {
    let mut jobs = vec![
        job("f", &TRAIN, "spam", JobState::Queued, 0),
        job("e", &TRAIN, "past-tense", JobState::Running, 80),
        job("d", &TRAIN, "topic", JobState::Cancelling, 31),
        job("c", &CLUSTER, "library, k = 4", JobState::Finished, 200),
        job("b", &TRAIN, "plurals\x1b[31m", JobState::Failed, 12),
        job("a", &TRAIN, "sentiment", JobState::Cancelled, 3),
    ];
    jobs[1].figures.left = Some(437.0);
    jobs[4].error = Some("assets/tasks/plurals/train.jsonl: line 3: the output is empty".into());
    jobs
}

/// The running job.
pub fn job_detail() -> Arc<JobDetail> {
    let point = |step, value| Point { step, seconds: 7.5 * step as f64, value };
    let loss = |step: usize| 2.5 * (-(step as f64) / 30.0).exp() + 0.3 + 0.05 * ((step * 7 % 5) as f64 - 2.0);
    Arc::new(JobDetail {
        summary: jobs()[1].clone(),
        job: Some(
            TrainSpec {
                name: "past-tense".into(),
                data: vec![PathBuf::from("assets/tasks/inflection/past-tense")],
                ..TrainSpec::default()
            }
            .into(),
        ),
        progress: Progress {
            stage: Some("training".into()),
            losses: (1..=80).map(|step| point(step, loss(step))).collect(),
            validation: vec![point(1, 2.9), point(40, 1.05), point(80, 0.52)],
            tokens_per_second: Some(931.4),
            eta_seconds: Some(437.0),
            ..Progress::default()
        },
        log: (1..=30)
            .map(|i| format!("step {i}: loss {:.3}{}", loss(i), if i == 29 { "\x1b[2J" } else { "" }))
            .collect(),
        outcome: None,
        ended: None,
    })
}

/// The clustering that has finished.
pub fn cluster_detail() -> Arc<JobDetail> {
    Arc::new(JobDetail {
        summary: jobs()[3].clone(),
        job: Some(ClusterSpec { k: 4, ..ClusterSpec::default() }.into()),
        progress: Progress::default(),
        log: vec!["similarity of 9 experts".into()],
        outcome: Some(Ok(report_of::<ClusterSpec>(ClusterReport {
            k: 4,
            inertia: Some(1.52),
            silhouette: Some(0.71),
            labels: vec![0, 1, 2],
            ..ClusterReport::default()
        }))),
        ended: None,
    })
}

/// A job that evaluates.
pub fn eval_job(id: &str, state: JobState) -> JobSummary {
    JobSummary {
        steps: 120,
        step: if state.is_over() { 120 } else { 30 },
        ..job(id, &EVAL, "library on tasks", state, 0)
    }
}

/// Five methods on five tasks, three of them seen, and a loss.
pub fn evaluated() -> Evaluated {
    let task = |name: &str, family: &str, held_out, metric: &str| ReportedTask {
        task: name.into(),
        yaml: None,
        family: family.into(),
        held_out,
        items: 4,
        shots: 0,
        again: false,
        metric: *Scorer::named(metric).expect("a metric"),
    };
    let mean = |score: f64, stderr: f64| Some(Mean { score, stderr: Some(stderr) });
    let tasks = vec![
        task("past-tense", "inflection", false, "exact_match"),
        task("plurals", "inflection", false, "exact_match"),
        task("metric-length", "units", false, "exact_match"),
        task("metric-weight", "units", true, "exact_match"),
        task("topic", "labels", true, "accuracy"),
        task("story\x1b[31m", "", true, "loss"),
    ];
    let scores = vec![
        vec![None, mean(0.25, 0.12), mean(0.6, 0.11), mean(0.35, 0.1), mean(0.9, 0.05)],
        vec![None, mean(0.3, 0.1), mean(0.7, 0.1), mean(0.4, 0.12), mean(0.95, 0.04)],
        vec![None, mean(0.0, 0.0), mean(0.55, 0.1), mean(0.1, 0.06), mean(0.8, 0.09)],
        vec![None, mean(0.0, 0.0), mean(0.3, 0.1), mean(0.1, 0.06), None],
        vec![mean(0.35, 0.11), mean(0.4, 0.12), mean(0.5, 0.11), mean(0.45, 0.1), None],
        vec![None, mean(3.5, 0.2), mean(1.25, 0.11), mean(1.5, 0.1), None],
    ];
    let group = |name: &str, tasks: &[usize]| {
        let of = |method: usize| {
            let known: Option<Vec<f64>> =
                tasks.iter().map(|&task| scores[task][method].map(|mean: Mean| mean.score)).collect();
            Mean::of(&known?)
        };
        Group { name: name.into(), is_loss: false, tasks: tasks.len(), scores: (0..5).map(of).collect() }
    };
    let difference = |group: &str, difference: f64, interval: [f64; 2]| GroupDifference {
        method: "arrow:k=3".into(),
        against: "base".into(),
        group: Some(group.into()),
        difference: Difference {
            difference,
            stderr: Some(0.1),
            interval: Some(interval),
            wins: 2,
            losses: 0,
        },
        ..GroupDifference::default()
    };
    let gap = OracleGap {
        method: "arrow:k=3".into(),
        tasks: 3,
        difference: Difference { difference: 0.15, ..Difference::default() },
    };
    let report = EvalReport {
        methods: ["majority", "base", "arrow:k=3", "uniform", "expert"].map(String::from).to_vec(),
        means: vec![
            group("all", &[0, 1, 2, 3, 4]),
            group("seen", &[0, 1, 2]),
            group("held out", &[3, 4]),
            group("inflection", &[0, 1]),
        ],
        differences: vec![
            difference("all", 0.34, [0.2, 0.5]),
            difference("seen", 0.43, [0.3, 0.55]),
            difference("held out", 0.2, [-0.05, 0.45]),
        ],
        oracle_gaps: vec![gap],
        leaks: vec![Leak {
            task: "topic".into(),
            expert: "topic".into(),
            reason: "it was trained on the test or validation split".into(),
        }],
        precision: Some(Precision::F32),
        tasks,
        scores,
        ..EvalReport::default()
    };
    Evaluated {
        job: eval_job("g", JobState::Finished),
        spec: EvalSpec { library: "library".into(), tasks: vec!["tasks".into()], ..EvalSpec::default() },
        report,
        known: None,
        stage: None,
        left: None,
        ended: Some(UNIX_EPOCH + Duration::from_secs(NOW as u64 - 7200)),
    }
}
