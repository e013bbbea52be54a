//! Every operation by both implementations, and gradients against differences.

use candle_core::Device;

use super::*;
use crate::model::rope::Rope;
use crate::model::spec::{NormKind, RopeScaling, RopeSpec};

/// The implementations, the second on a device that every machine has.
pub fn both() -> [Box<dyn Ops>; 2] {
    [Box::new(HostOps), Box::new(DeviceOps::new(Device::Cpu))]
}

fn wave(rows: usize, width: usize, speed: f32) -> Activations {
    Activations::new((rows, width), (0..rows * width).map(|i| (i as f32 * speed).sin() * 3.0).collect())
}

fn copy(x: &Activations) -> Activations {
    Activations::new(x.shape(), x.values().unwrap().to_vec())
}

fn random(rows: usize, width: usize, seed: u64) -> Activations {
    let value = |i: u64| {
        let x = (i + seed * 7919).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        x as f32 / (1u64 << 23) as f32 - 1.0
    };
    Activations::new((rows, width), (0..(rows * width) as u64).map(value).collect())
}

/// Both implementations give the same.
#[track_caller]
fn alike(what: &str, f: impl Fn(&dyn Ops) -> Vec<Activations>) {
    let [host, device] = both().map(|ops| f(&*ops));
    assert_eq!(host.len(), device.len());
    for (h, d) in host.iter().zip(&device) {
        assert_eq!(h.shape(), d.shape(), "{what}");
        for (a, b) in h.values().unwrap().iter().zip(&*d.values().unwrap()) {
            assert!((a - b).abs() < 2e-6 * (1.0 + a.abs()), "{what}: {a} and {b}");
        }
    }
}

/// Central differences of `f` at `x` against `gradient`, for a loss Σ f(x) · c.
#[track_caller]
fn is_gradient(
    x: &Activations,
    c: &Activations,
    gradient: &Activations,
    f: impl Fn(&Activations) -> Activations,
) {
    let c = c.values().unwrap();
    let loss = |x: &Activations| -> f64 {
        f(x).values().unwrap().iter().zip(&*c).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    for (i, &found) in gradient.values().unwrap().iter().enumerate() {
        let moved = |h: f32| {
            let mut x = copy(x);
            let at = x.edit(|x| {
                x[i] += h;
                x[i]
            });
            (loss(&x), f64::from(at.unwrap()))
        };
        let ((high, up), (low, down)) = (moved(6e-3), moved(-6e-3));
        let wanted = (high - low) / (up - down);
        let off = (f64::from(found) - wanted).abs();
        assert!(off < 2e-3 * (1.0 + wanted.abs()), "{i}: {found} vs {wanted}");
    }
}

fn some_norm(kind: NormKind) -> Norm {
    Norm {
        name: "norm".into(),
        kind,
        eps: 1e-5,
        weight: (0..24).map(|i| 0.5 + 0.05 * i as f32).collect::<Vec<f32>>().into(),
        bias: (kind == NormKind::Layer).then(|| vec![0.3; 24].into()),
    }
}

const NORMS: [NormKind; 2] = [NormKind::Rms { unit_offset: false }, NormKind::Layer];
const ACTIVATIONS: [Activation; 4] =
    [Activation::Silu, Activation::Gelu, Activation::GeluTanh, Activation::Relu];

#[test]
fn norms_and_activations_are_the_same_on_a_device() {
    let (x, y, dy) = (wave(3, 48, 0.37), wave(3, 48, 0.11), wave(3, 48, 0.71));
    for kind in NORMS {
        let mut norm = some_norm(kind);
        alike("norm", |ops| vec![ops.norm(&norm, &x).unwrap(), ops.norm_backward(&norm, &x, &dy).unwrap()]);
        norm.bias = None;
        alike("norm without bias", |ops| vec![ops.norm(&norm, &x).unwrap()]);
    }
    for kind in ACTIVATIONS {
        alike("activations", |ops| {
            let (d_gate, d_up) = ops.gated_backward(kind, &x, &y, &dy).unwrap();
            let plain = [ops.activate(kind, &x).unwrap(), ops.activate_backward(kind, &x, &dy).unwrap()];
            plain.into_iter().chain([ops.gated(kind, &x, &y).unwrap(), d_gate, d_up]).collect()
        });
    }
}

#[test]
fn rows_and_columns_are_the_same_on_a_device() {
    let (x, y) = (wave(3, 48, 0.37), wave(3, 48, 0.11));
    let changed = |f: &dyn Fn(&mut Activations)| {
        let mut copy = copy(&x);
        f(&mut copy);
        vec![copy]
    };
    alike("add", |ops| changed(&|x| ops.add(x, &y).unwrap()));
    alike("add_bias", |ops| changed(&|x| ops.add_bias(x, &vec![0.5; 48].into()).unwrap()));
    alike("scale", |ops| changed(&|x| ops.scale(x, 1.7).unwrap()));
    alike("softcap", |ops| changed(&|x| ops.softcap(x, 2.0).unwrap()));
    alike("columns", |ops| {
        let parts = [ops.columns(&x, 0..5).unwrap(), ops.columns(&x, 5..48).unwrap()];
        let whole = ops.concat_columns(&[&parts[0], &parts[1]]).unwrap();
        assert_eq!(whole.values().unwrap(), x.values().unwrap());
        parts.into_iter().chain([whole]).collect()
    });
    alike("rows", |ops| {
        let some = ops.select_rows(&x, &[2, 0]).unwrap();
        assert_eq!(some.values().unwrap()[..48], x.values().unwrap()[96..]);
        let mut all = ops.zeros(3, 48).unwrap();
        ops.put_rows(&mut all, &some, &[2, 0]).unwrap();
        assert_eq!(all.values().unwrap()[96..], x.values().unwrap()[96..]);
        assert_eq!(all.values().unwrap()[48..96], [0.0; 48]);
        vec![some, all]
    });
    for experts in [1, 7] {
        let prototypes: DeviceConst = wave(experts, 48, 0.9).values().unwrap().to_vec().into();
        alike("scores", |ops| vec![Activations::new((3, experts), ops.scores(&x, &prototypes).unwrap())]);
    }
}

#[test]
fn a_norm_of_squares_that_overflow_is_no_number() {
    for ops in both() {
        for kind in NORMS {
            let norm = some_norm(kind);
            let width = norm.weight.len();
            let of = |size: f32| {
                let x = (0..width).map(|i| size * (i as f32 + 1.0)).collect();
                ops.norm(&norm, &Activations::new((1, width), x)).unwrap().values().unwrap().into_owned()
            };
            assert!(of(1e15).iter().all(|y| y.is_finite()));
            assert!(of(1e22).iter().all(|y| y.is_nan()), "it is not passed off as 0");
        }
    }
}

#[test]
fn norms_have_exact_gradients() {
    let (x, c) = (wave(2, 24, 0.37), wave(2, 24, 0.53));
    for (kind, ops) in NORMS.into_iter().flat_map(|kind| both().map(|ops| (kind, ops))) {
        let norm = some_norm(kind);
        is_gradient(&x, &c, &ops.norm_backward(&norm, &x, &c).unwrap(), |x| ops.norm(&norm, x).unwrap());
    }
}

#[test]
fn activations_have_exact_gradients() {
    let (x, other, c) = (wave(2, 24, 0.37), wave(2, 24, 0.11), wave(2, 24, 0.53));
    // Not that of ReLU, which has none at 0.
    for (kind, ops) in ACTIVATIONS[..3].iter().flat_map(|&kind| both().map(|ops| (kind, ops))) {
        let plain = ops.activate_backward(kind, &x, &c).unwrap();
        is_gradient(&x, &c, &plain, |x| ops.activate(kind, x).unwrap());
        let (d_gate, _) = ops.gated_backward(kind, &x, &other, &c).unwrap();
        is_gradient(&x, &c, &d_gate, |x| ops.gated(kind, x, &other).unwrap());
        let (_, d_up) = ops.gated_backward(kind, &other, &x, &c).unwrap();
        is_gradient(&x, &c, &d_up, |x| ops.gated(kind, &other, x).unwrap());
    }
}

#[test]
fn rotation_keeps_length_and_its_inverse_undoes_it() {
    let spec = RopeSpec { theta: 10_000.0, dim: 4, scaling: RopeScaling::None };
    let table = Rope::new(&spec, 6).table(&[(3..4, 4), (31..32, 32)]);
    let before = wave(2, 12, 1.0);
    let rotated = |ops: &dyn Ops| {
        let mut x = copy(&before);
        ops.rotate(&mut x, &table, 1.0).unwrap();
        x
    };
    alike("rotate", |ops| vec![rotated(ops)]);
    for ops in both() {
        let mut x = rotated(&*ops);
        let length = |x: &Activations| x.values().unwrap().iter().map(|x| x * x).sum::<f32>();
        assert!((length(&x) - length(&before)).abs() < 1e-3);
        assert_eq!(
            x.values().unwrap()[4..6],
            before.values().unwrap()[4..6],
            "dimensions past the rotary ones stay"
        );
        ops.rotate(&mut x, &table, -1.0).unwrap();
        let back = x.values().unwrap();
        assert!(back.iter().zip(&*before.values().unwrap()).all(|(a, b)| (a - b).abs() < 1e-5));
    }
}

fn attentions() -> [Attention; 3] {
    [(None, None), (Some(2), None), (None, Some(1.5))].map(|(window, softcap)| Attention {
        heads: 4,
        kv_heads: 2,
        head_dim: 6,
        scale: 0.4,
        window,
        softcap,
    })
}

/// Sequences of these lengths, one after another.
fn segments(lengths: &[usize]) -> Vec<Segment> {
    let mut start = 0;
    let segment = |&len: &usize| {
        start += len;
        Segment { start: start - len, len, past: 0 }
    };
    lengths.iter().map(segment).collect()
}

#[test]
fn attention_is_the_same_on_a_device_and_from_a_cache() {
    let (q, k, v, c) = (random(7, 24, 1), random(7, 12, 2), random(7, 12, 3), random(7, 24, 4));
    for a in attentions() {
        alike("attention", |ops| {
            let segments = segments(&[2, 2, 3]);
            let forward = ops.attention(&a, [&q, &k, &v], &segments).unwrap();
            let [dq, dk, dv] = ops.attention_backward(&a, [&q, &k, &v], &c, &segments).unwrap();
            let mut cache = KvLayer::default();
            for rows in [0..4, 4..7] {
                ops.append(&mut cache, &k, &v, rows).unwrap();
            }
            // The last three tokens after four in the cache.
            let last = ops.select_rows(&q, &[4, 5, 6]).unwrap();
            let past = [Segment { start: 0, len: 3, past: 4 }];
            let cached = ops.attention_cached(&a, &last, &past, &[&cache]).unwrap();
            let whole = ops.attention(&a, [&q, &k, &v], &self::segments(&[7])).unwrap();
            for (c, w) in cached.values().unwrap().iter().zip(&whole.values().unwrap()[4 * 24..]) {
                assert!((c - w).abs() < 2e-6, "{a:?}");
            }
            vec![forward, dq, dk, dv, cached]
        });
    }
}

#[test]
fn sequences_of_a_batch_do_not_see_each_other() {
    let a = Attention { window: Some(3), softcap: Some(5.0), ..attentions()[0] };
    let (q, k, v) = (random(7, 24, 1), random(7, 12, 2), random(7, 12, 3));
    for ops in both() {
        let both = ops.attention(&a, [&q, &k, &v], &segments(&[3, 4])).unwrap();
        let mut apart = Vec::new();
        for rows in [[0, 1, 2].as_slice(), &[3, 4, 5, 6]] {
            let [q, k, v] = [&q, &k, &v].map(|x| ops.select_rows(x, rows).unwrap());
            let alone = ops.attention(&a, [&q, &k, &v], &segments(&[rows.len()])).unwrap();
            apart.extend_from_slice(&alone.values().unwrap());
        }
        let off = both.values().unwrap().iter().zip(&apart).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off < 1e-6, "{off}");
    }
}

#[test]
fn attention_has_exact_gradients() {
    let (q, k, v, c) = (random(5, 24, 4), random(5, 12, 5), random(5, 12, 6), random(5, 24, 7));
    let segments = segments(&[3, 2]);
    for (a, ops) in attentions().into_iter().flat_map(|a| both().map(|ops| (a, ops))) {
        let [dq, dk, dv] = ops.attention_backward(&a, [&q, &k, &v], &c, &segments).unwrap();
        is_gradient(&q, &c, &dq, |q| ops.attention(&a, [q, &k, &v], &segments).unwrap());
        is_gradient(&k, &c, &dk, |k| ops.attention(&a, [&q, k, &v], &segments).unwrap());
        is_gradient(&v, &c, &dv, |v| ops.attention(&a, [&q, &k, v], &segments).unwrap());
    }
}

#[test]
fn lora_is_the_same_on_a_device_and_has_exact_gradients() {
    let (x, y, c) = (random(5, 9, 1), random(5, 7, 2), random(5, 7, 3));
    let (a, bt) = (random(3, 9, 4), random(3, 7, 5));
    for dropout in [None, Some(Dropout { key: 11, first_row: 3, p: 0.4 })] {
        let factors = |a: &Activations, bt: &Activations, f: &dyn Fn(LoraPart) -> Activations| {
            let (a, bt) = (a.values().unwrap(), bt.values().unwrap());
            f(LoraPart { rows: 0..5, factors: LoraFactors { rank: 3, scale: 1.5, a: &a, bt: &bt, dropout } })
        };
        let added = |ops: &dyn Ops, x: &Activations, a: &Activations, bt: &Activations| {
            factors(a, bt, &|lora| {
                let mut y = copy(&y);
                ops.add_lora(&[lora], x, &mut y).unwrap();
                y
            })
        };
        let backward = |ops: &dyn Ops| {
            let (mut ga, mut gb, mut dx) = (vec![0.0; 27], vec![0.0; 21], ops.zeros(5, 9).unwrap());
            let (av, bv) = (a.values().unwrap(), bt.values().unwrap());
            let factors = LoraFactors { rank: 3, scale: 1.5, a: &av, bt: &bv, dropout };
            let lora = [LoraPart { rows: 0..5, factors }];
            let mut own = [LoraGradients { a: &mut ga, bt: &mut gb }];
            ops.lora_backward(&lora, &mut own, &x, &c, Some(&mut dx)).unwrap();
            let before = (own[0].a.to_vec(), own[0].bt.to_vec());
            ops.lora_backward(&lora, &mut own, &x, &c, None).unwrap();
            assert!(ga.iter().zip(&before.0).all(|(two, one)| (two - 2.0 * one).abs() < 1e-5), "they add up");
            vec![dx, Activations::new((3, 9), before.0), Activations::new((3, 7), before.1)]
        };
        alike("lora", |ops| {
            let mut all = backward(ops);
            all.push(added(ops, &x, &a, &bt));
            all
        });
        for ops in both() {
            let gradients = backward(&*ops);
            is_gradient(&x, &c, &gradients[0], |x| added(&*ops, x, &a, &bt));
            is_gradient(&a, &c, &gradients[1], |a| added(&*ops, &x, a, &bt));
            is_gradient(&bt, &c, &gradients[2], |bt| added(&*ops, &x, &a, bt));
        }
    }
}

/// A batch with rows of several experts gives each what it would get alone, with its own rank and dropout, and leaves
/// the rows of none alone.
#[test]
fn rows_of_several_experts_get_their_own_lora_as_if_they_were_alone() {
    struct Own {
        rows: Range<usize>,
        factors: (usize, f32, Option<Dropout>),
        a: Vec<f32>,
        bt: Vec<f32>,
    }
    let own = |rows: Range<usize>, rank: usize, scale, p: Option<f32>| Own {
        rows,
        factors: (rank, scale, p.map(|p| Dropout { key: 11, first_row: 5, p })),
        a: random(rank, 9, 20 + rank as u64).values().unwrap().to_vec(),
        bt: random(rank, 7, 30 + rank as u64).values().unwrap().to_vec(),
    };
    let each = [own(0..40, 3, 1.5, None), own(45..46, 1, 0.5, None), own(46..88, 2, 2.0, Some(0.4))];
    // y, dx, and the gradients of each part.
    type Found = (Vec<f32>, Vec<f32>, Vec<(Vec<f32>, Vec<f32>)>);
    let run = |ops: &dyn Ops, experts: &[(&Own, Range<usize>)], [x, dy, y]: [&Activations; 3]| -> Found {
        let parts: Vec<LoraPart> = experts
            .iter()
            .map(|(own, rows)| {
                let (rank, scale, dropout) = own.factors;
                let rows = rows.clone();
                LoraPart { rows, factors: LoraFactors { rank, scale, a: &own.a, bt: &own.bt, dropout } }
            })
            .collect();
        let (mut y, mut dx) = (copy(y), ops.zeros(x.rows(), 9).unwrap());
        ops.add_lora(&parts, x, &mut y).unwrap();
        let mut sums: Vec<_> =
            experts.iter().map(|(own, _)| (vec![0f32; own.a.len()], vec![0f32; own.bt.len()])).collect();
        let mut gradients: Vec<_> = sums.iter_mut().map(|(a, bt)| LoraGradients { a, bt }).collect();
        ops.lora_backward(&parts, &mut gradients, x, dy, Some(&mut dx)).unwrap();
        (y.values().unwrap().to_vec(), dx.values().unwrap().to_vec(), sums)
    };
    let (x, dy, y) = (random(90, 9, 1), random(90, 7, 2), random(90, 7, 3));
    for (at, ops) in both().into_iter().enumerate() {
        let same = |a: &[f32], b: &[f32]| match at {
            0 => assert_eq!(a, b),
            _ => assert!(a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5)),
        };
        let experts: Vec<_> = each.iter().map(|own| (own, own.rows.clone())).collect();
        let (new, dx, sums) = run(&*ops, &experts, [&x, &dy, &y]);
        let of = |values: &[f32], width: usize, rows: &Range<usize>| {
            values[rows.start * width..rows.end * width].to_vec()
        };
        for rows in [40..45, 88..90] {
            same(&of(&new, 7, &rows), &of(&y.values().unwrap(), 7, &rows));
            assert!(of(&dx, 9, &rows).iter().all(|v| *v == 0.0));
        }
        for (own, sums) in each.iter().zip(&sums) {
            let cut = |all: &Activations| {
                let values = of(&all.values().unwrap(), all.width(), &own.rows);
                Activations::new((own.rows.len(), all.width()), values)
            };
            let alone = run(&*ops, &[(own, 0..own.rows.len())], [&cut(&x), &cut(&dy), &cut(&y)]);
            same(&of(&new, 7, &own.rows), &alone.0);
            same(&of(&dx, 9, &own.rows), &alone.1);
            same(&sums.0, &alone.2[0].0);
            same(&sums.1, &alone.2[0].1);
        }
    }
}

#[test]
fn cross_entropy_is_the_same_on_a_device_and_has_exact_gradients() {
    let (targets, weights) = ([3, 0, 10], [0.7, 0.1, 1.3]);
    for cap in [None, Some(2.5)] {
        let raw = wave(3, 11, 0.37);
        let loss = |ops: &dyn Ops, raw: &Activations, gradient: bool| {
            let mut logits = copy(raw);
            if let Some(cap) = cap {
                ops.softcap(&mut logits, cap).unwrap();
            }
            let losses = ops.cross_entropy(&mut logits, &targets, &weights, cap, gradient).unwrap();
            (Activations::new((1, 3), losses.into_iter().map(|loss| loss as f32).collect()), logits)
        };
        alike("cross-entropy", |ops| {
            let (loss, d) = loss(ops, &raw, true);
            vec![loss, d]
        });
        for ops in both() {
            let weight = Activations::new((1, 3), weights.to_vec());
            is_gradient(&raw, &weight, &loss(&*ops, &raw, true).1, |raw| loss(&*ops, raw, false).0);
        }
    }
}
