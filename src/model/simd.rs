//! Loops compiled for several instruction sets, chosen at run time.

/// Defines a function whose body is compiled for the baseline, AVX2 + FMA and AVX-512, and that calls the
/// one of the [level](crate::cpu). The body must be plain loops that the compiler can vectorise.
macro_rules! multiversion {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident : $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn body($($arg: $ty),*) $(-> $ret)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $ty),*) $(-> $ret)? { body($($arg),*) }
                #[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
                fn avx512($($arg: $ty),*) $(-> $ret)? { body($($arg),*) }
                if $crate::cpu::uses($crate::cpu::Level::Avx512) {
                    // SAFETY: the CPU has the features that the function was compiled for.
                    return unsafe { avx512($($arg),*) };
                }
                if $crate::cpu::uses($crate::cpu::Level::Avx2) {
                    // SAFETY: as above.
                    return unsafe { avx2($($arg),*) };
                }
            }
            body($($arg),*)
        }
    };
}
pub(crate) use multiversion;

/// eˣ to about 2 ulp for finite x, 0 far below and large far above; branch-free, so that loops over it
/// vectorise. Range reduction to |r| ≤ ln2/2, then a degree-6 polynomial.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const LN2_HI: f32 = 0.693_359_4;
    const LN2_LO: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    let n = (x * std::f32::consts::LOG2_E + 0.5).floor();
    let r = x - n * LN2_HI - n * LN2_LO;
    let mut p = 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    // 2ⁿ by its bits: n is in [-126, 127], so the exponent stays in range.
    p * f32::from_bits((((n as i32) + 127) << 23) as u32)
}

/// tanh by the exponential; exact limits at both ends.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let e = exp(-2.0 * x.abs());
    let t = (1.0 - e) / (1.0 + e);
    // Near zero the difference cancels: the series is exact to f32 there.
    let small = x * (1.0 - x * x * (1.0 / 3.0));
    if x.abs() < 0.02 { small } else { t.copysign(x) }
}

/// The Gauss error function to about 1e-7 absolute (Abramowitz and Stegun 7.1.26 has only 1.5e-7 with
/// rounding; this uses the same form in f64).
#[inline(always)]
pub(crate) fn erf(x: f32) -> f32 {
    let a = f64::from(x.abs());
    let t = 1.0 / (1.0 + 0.327_591_1 * a);
    let poly = t
        * (0.254_829_592
            + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    let y = 1.0 - poly * (-a * a).exp();
    (y as f32).copysign(x)
}

multiversion! {
    /// Σ aᵢ bᵢ in f32 with 16 partial sums.
    pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
        let mut sums = [0f32; 16];
        let (a16, b16) = (a.chunks_exact(16), b.chunks_exact(16));
        let tail: f32 = a16.remainder().iter().zip(b16.remainder()).map(|(x, y)| x * y).sum();
        for (x, y) in a16.zip(b16) {
            for i in 0..16 {
                sums[i] += x[i] * y[i];
            }
        }
        sums.iter().sum::<f32>() + tail
    }
}

multiversion! {
    /// y += s·x.
    pub(crate) fn axpy(s: f32, x: &[f32], y: &mut [f32]) {
        for (y, x) in y.iter_mut().zip(x) {
            *y += s * x;
        }
    }
}

multiversion! {
    /// y += Σ factor · row, for one factor a row of `rows`, each as long as y, which must not be empty.
    pub(crate) fn add_rows(factors: &[f32], rows: &[f32], y: &mut [f32]) {
        let width = y.len();
        for (f, rows) in factors.chunks(4).zip(rows.chunks(4 * width)) {
            if let &[f0, f1, f2, f3] = f {
                let (r0, rest) = rows.split_at(width);
                let (r1, rest) = rest.split_at(width);
                let (r2, r3) = rest.split_at(width);
                for ((((y, a), b), c), d) in y.iter_mut().zip(r0).zip(r1).zip(r2).zip(r3) {
                    *y = *y + f0 * a + f1 * b + f2 * c + f3 * d;
                }
                continue;
            }
            for (f, row) in f.iter().zip(rows.chunks(width)) {
                y.iter_mut().zip(row).for_each(|(y, x)| *y += f * x);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::each::level_runs;

    #[test]
    fn exp_tanh_erf_agree_with_the_standard_library() {
        for i in -8000..8000 {
            let x = i as f32 * 0.01;
            let (got, want) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((got - want).abs() <= want * 4e-7, "exp({x}) = {got}, not {want}");
            assert!((tanh(x) - x.tanh()).abs() < 3e-7, "tanh({x})");
        }
        assert_eq!(exp(-200.0), exp(-87.0));
        assert!((erf(0.5) - 0.520_499_9).abs() < 3e-7 && (erf(-2.0) + 0.995_322_3).abs() < 3e-7);
    }

    #[test]
    fn dot_and_axpy_handle_every_tail() {
        level_runs(|level| {
            for n in 0..40 {
                let a: Vec<f32> = (0..n).map(|i| i as f32).collect();
                let mut y = vec![1.0; n];
                assert_eq!(dot(&a, &a), (0..n).map(|i| (i * i) as f32).sum::<f32>(), "{level}");
                axpy(2.0, &a, &mut y);
                assert!(y.iter().enumerate().all(|(i, &y)| y == 1.0 + 2.0 * i as f32), "{level}");
            }
        });
    }

    #[test]
    fn rows_are_added_as_one_by_one() {
        let value = |i: usize| ((i * 37 % 23) as f32 - 11.0) * 0.25;
        level_runs(|level| {
            for (rows, width) in [(1, 1), (4, 48), (7, 35), (9, 17), (0, 3)] {
                let many: Vec<f32> = (0..rows * width).map(value).collect();
                let factors: Vec<f32> = (0..rows).map(|i| value(i + 3)).collect();
                let (mut y, mut want) = (vec![0.5; width], vec![0.5; width]);
                add_rows(&factors, &many, &mut y);
                factors.iter().zip(many.chunks(width)).for_each(|(f, row)| axpy(*f, row, &mut want));
                assert_eq!(y, want, "{level}");
            }
        });
    }
}
