//! Prototypes of q, k and v that share one A, as mttl has them.

use rayon::prelude::*;

use super::experts::{ExpertSet, StackedModule};
use crate::analysis::prototype;
use crate::model::Decoder;
use crate::model::tensor::transpose;
use crate::{Cancel, Result};

impl ExpertSet {
    /// The set in which q, k and v of a layer share one prototype wherever an expert has the same A in them:
    /// that of [B_q; B_k; B_v]·A. mttl computes it so for parameters that were tied in training
    /// (`ArrowTransform` with `tie_op = "concat"`); a module with another A, or scale 0, keeps its own. Weights
    /// stay as they are.
    ///
    /// # Errors
    /// A raised `cancel`.
    pub fn with_tied_prototypes(&self, decoder: &Decoder, cancel: &Cancel) -> Result<Self> {
        let mut set = Self { tied: true, ..self.clone() };
        let layers = decoder.layers.len();
        let per_layer = decoder.head_index() / layers.max(1);
        // A fused projection has one A and one B anyway.
        if !decoder.spec.has_split_qkv() || per_layer < 3 {
            return Ok(set);
        }
        for layer in set.linears.chunks_mut(per_layer).take(layers) {
            cancel.check()?;
            let Some((qkv, _)) = layer.split_first_chunk_mut::<3>() else { break };
            tie(qkv);
        }
        Ok(set)
    }
}

/// Gives the modules of one layer their shared prototypes.
fn tie(qkv: &mut [Option<StackedModule>; 3]) {
    let experts = qkv.iter().flatten().map(|module| module.loras.len()).max().unwrap_or(0);
    let shared: Vec<Shared> = (0..experts).into_par_iter().filter_map(|e| shared(qkv, e)).collect();
    for Shared { expert, modules, vector } in shared {
        for at in modules {
            if let Some(module) = qkv.get_mut(at).and_then(Option::as_mut) {
                module.set_prototype(expert, &vector);
            }
        }
    }
}

/// A prototype of several modules of one expert.
struct Shared {
    expert: usize,
    modules: Vec<usize>,
    vector: Vec<f32>,
}

/// The prototype that an expert's modules share; `None` where no two have the same A.
fn shared(qkv: &[Option<StackedModule>; 3], expert: usize) -> Option<Shared> {
    // Of three modules no more than one group can be alike.
    let found: Vec<(usize, &StackedModule, Vec<f32>)> = qkv
        .iter()
        .enumerate()
        .filter_map(|(at, module)| {
            let module = module.as_ref()?;
            let lora = module.loras.get(expert)?.as_ref().filter(|lora| lora.scale != 0.0)?;
            let mut a = Vec::new();
            module.a(lora).widen(&mut a);
            Some((at, module, a))
        })
        .collect();
    let like = |first: usize| -> Vec<usize> {
        let Some((_, _, wanted)) = found.get(first) else { return Vec::new() };
        (first..found.len()).filter(|&at| found.get(at).is_some_and(|(_, _, a)| a == wanted)).collect()
    };
    let group = (0..found.len()).map(like).find(|group| group.len() > 1)?;
    let (mut rank, mut inputs, mut outputs, mut b, mut bt) = (0, 0, 0, Vec::new(), Vec::new());
    for (_, module, _) in group.iter().filter_map(|&at| found.get(at)) {
        let lora = module.loras.get(expert)?.as_ref()?;
        module.bt(lora).widen(&mut bt);
        b.extend(transpose(&bt, lora.rank, module.out_features));
        (rank, inputs, outputs) = (lora.rank, module.in_features, outputs + module.out_features);
    }
    let (_, _, a) = found.get(*group.first()?)?;
    let vector = prototype(a, &b, rank, inputs, outputs).vector;
    let modules = group.iter().filter_map(|&at| found.get(at)).map(|(at, _, _)| *at).collect();
    Some(Shared { expert, modules, vector })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::analysis::PrototypeCache;
    use crate::library::{Library, NewAdapterConfig, NewLora, Provenance, write_adapter};
    use crate::model::{LoadOptions, Model};
    use crate::routing::{Part, Prompt, RouterConfig, Session, TIED, TOP_K};

    const RANK: usize = 3;
    const HIDDEN: usize = 32;

    fn base() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models/llama/base")
    }

    /// Numbers without a pattern.
    fn numbers(seed: usize, count: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 7919 + seed * 104_729) % 1009) as f32 / 504.0 - 1.0).collect()
    }

    /// An expert whose q, k and v have the A of these seeds, and whose o has its own.
    fn write(root: &Path, name: &str, seeds: [usize; 3]) {
        let modules = [("q", 32, seeds[0]), ("k", 16, seeds[1]), ("v", 16, seeds[2]), ("o", 32, seeds[0])];
        let loras: Vec<NewLora> = (0..2)
            .flat_map(|layer| modules.map(|module| (layer, module)))
            .enumerate()
            .map(|(at, (layer, (letter, out_features, seed)))| NewLora {
                module: format!("model.layers.{layer}.self_attn.{letter}_proj"),
                rank: RANK,
                in_features: HIDDEN,
                out_features,
                a: numbers(seed, RANK * HIDDEN),
                b: numbers(100 * seeds[0] + at, out_features * RANK),
            })
            .collect();
        let config = NewAdapterConfig {
            revision: None,
            base: "tiny".into(),
            r: RANK,
            alpha: 6.0,
            dropout: 0.0,
            targets: ["q_proj", "k_proj", "v_proj", "o_proj"].map(str::to_string).to_vec(),
        };
        let dtype = candle_core::DType::F32;
        write_adapter(&root.join(name), &loras, &config, dtype, &Provenance::default()).unwrap();
    }

    /// Top eigenvector of Σ (B A)ᵀ(B A) over modules of one A, by many multiplications: what mttl's
    /// singular value decomposition of A·[B₁ B₂ …] gives.
    fn top(loras: &[NewLora]) -> Vec<f64> {
        let delta = |lora: &NewLora, o: usize, i: usize| -> f64 {
            let term = |r: usize| f64::from(lora.b[o * RANK + r]) * f64::from(lora.a[r * HIDDEN + i]);
            (0..RANK).map(term).sum()
        };
        let rows: Vec<Vec<f64>> = loras
            .iter()
            .flat_map(|l| (0..l.out_features).map(move |o| (0..HIDDEN).map(|i| delta(l, o, i)).collect()))
            .collect();
        let mut v = vec![1.0; HIDDEN];
        for _ in 0..5000 {
            let mut next = vec![0.0; HIDDEN];
            for row in &rows {
                let along: f64 = row.iter().zip(&v).map(|(a, b)| a * b).sum();
                next.iter_mut().zip(row).for_each(|(n, x)| *n += along * x);
            }
            let length = next.iter().map(|x| x * x).sum::<f64>().sqrt();
            v = next.into_iter().map(|x| x / length).collect();
        }
        v
    }

    #[test]
    fn modules_of_one_a_share_the_prototype_of_their_stacked_b() {
        let root = tempfile::tempdir().unwrap();
        // All three alike, two of them, none.
        for (name, seeds) in [("all", [1, 1, 1]), ("two", [2, 3, 2]), ("none", [4, 5, 6])] {
            write(root.path(), name, seeds);
        }
        let library = Library::open(root.path()).unwrap();
        let options = LoadOptions { device: "cpu".into(), ..LoadOptions::default() };
        let cancel = Cancel::new();
        let model = Model::load(&base(), &options, &mut |_, _| {}, &cancel).unwrap();
        let experts: Vec<_> = library.usable().collect();
        let cache = PrototypeCache::none();
        let own = ExpertSet::load(&experts, &model.decoder, &cache, &mut |_, _| {}, &cancel).unwrap();
        let tied = own.with_tied_prototypes(&model.decoder, &cancel).unwrap();
        assert_eq!(*tied.names, ["all", "none", "two"]);
        let together = [("all", vec!["q", "k", "v"]), ("none", vec![]), ("two", vec!["q", "v"])];
        for ((module, own), tied) in own.modules.iter().zip(own.stacked()).zip(tied.stacked()) {
            assert_eq!(own.candidate, tied.candidate);
            let (path, letter) = module.strip_suffix("_proj").unwrap().rsplit_once('.').unwrap();
            for (e, (name, letters)) in together.iter().enumerate() {
                let [own, tied] = [own, tied].map(|set| &set.prototypes[e * HIDDEN..(e + 1) * HIDDEN]);
                if !letters.contains(&letter) {
                    assert_eq!(own, tied, "{name} {module}");
                    continue;
                }
                let adapter = experts[e].load().unwrap();
                let of = |letter: &&str| {
                    let wanted = format!("{path}.{letter}_proj");
                    let found = adapter.modules.iter().find(|m| m.shape.module == wanted).unwrap();
                    let (a, b) = (found.a().unwrap(), found.b().unwrap());
                    let out_features = found.shape.out_features;
                    NewLora { module: wanted, rank: RANK, in_features: HIDDEN, out_features, a, b }
                };
                let wanted = top(&letters.iter().map(of).collect::<Vec<_>>());
                let cosine: f64 = wanted.iter().zip(tied).map(|(a, b)| a * f64::from(*b)).sum();
                assert!(cosine.abs() > 0.9999, "{name} {module}: {cosine}");
                let apart: f32 = own.iter().zip(tied).map(|(a, b)| a * b).sum();
                assert!(apart.abs() < 0.9999, "{name} {module}: tying must change something");
            }
        }
    }

    #[test]
    fn tied_modules_choose_alike_and_the_setting_can_be_taken_back() {
        let root = tempfile::tempdir().unwrap();
        for (name, seed) in [("a", 1), ("b", 2), ("c", 3)] {
            write(root.path(), name, [seed; 3]);
        }
        let library = Library::open(root.path()).unwrap();
        let options = LoadOptions { device: "cpu".into(), ..LoadOptions::default() };
        let mut session = Session::open(&library, &base(), &options, &mut |_| {}, &Cancel::new()).unwrap();
        let prompt = Prompt { ids: vec![3, 14, 15, 9, 26], parts: vec![Part::Prompt; 5] };
        let alike = |session: &mut Session, tied: bool| {
            session.set_router(RouterConfig::default().with(&TIED, tied).with(&TOP_K, 2)).unwrap();
            let trace = session.logits(&prompt, &Cancel::new()).unwrap().1;
            let at = |letter: &str| {
                let name = format!("model.layers.1.self_attn.{letter}_proj");
                trace.modules.iter().position(|module| *module == name).unwrap()
            };
            (0..5).all(|t| ["k", "v"].iter().all(|l| trace.weights(t, at("q")) == trace.weights(t, at(l))))
        };
        assert!(!alike(&mut session, false));
        assert!(alike(&mut session, true));
        assert!(!alike(&mut session, false));
    }
}
