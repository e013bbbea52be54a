//! Safetensors headers: every damage has a reason, none a panic.

use proptest::prelude::*;

use super::{Q0, config, pair, raw_safetensors, safetensors};
use crate::library::formats::peft::config::parse_config;
use crate::library::safetensors::parse_header;
use crate::text::natural;

fn reason(header: &str, data: &[u8]) -> String {
    let length = 8 + header.len() as u64 + data.len() as u64;
    parse_header(header.as_bytes(), length).expect_err("this header is damaged")
}

#[test]
fn damaged_headers_have_a_reason() {
    let entry = |shape: &str, start: u64, end: u64| {
        format!(r#"{{"dtype":"F32","shape":{shape},"data_offsets":[{start},{end}]}}"#)
    };
    let one = |shape: &str, start, end| format!(r#"{{"a":{}}}"#, entry(shape, start, end));
    let two = |x: String, y: String| format!(r#"{{"a":{x},"b":{y}}}"#);
    let four = entry("[1]", 0, 4);
    for (header, data, expected) in [
        (String::new(), 0, "broken header"),
        ("[]".into(), 0, "broken header"),
        (r#"{"a":1}"#.into(), 0, "broken header"),
        (format!(r#"{{"a":{four},"a":{four}}}"#), 4, "twice"),
        (r#"{"__metadata__":{},"__metadata__":{}}"#.into(), 0, "twice"),
        (format!("{} trailing", one("[1]", 0, 4)), 4, "broken header"),
        (one("[1]", 0, 4), 2, "cut off"),
        (one("[1]", 0, 4), 9, "belong to no tensor"),
        (one("[2]", 0, 4), 4, "needs 8 bytes"),
        (one("[1]", 4, 0), 4, "ends before"),
        (one("[4294967296,4294967296]", 0, 4), 4, "overflows"),
        (one("[4611686018427387904]", 0, 4), 4, "impossible"),
        (one("[-1]", 0, 4), 4, "broken header"),
        (one("[1,1,1,1,1,1,1,1,1]", 0, 4), 4, "too many dimensions"),
        (two(entry("[2]", 0, 8), entry("[1]", 4, 8)), 8, "overlaps"),
        (two(entry("[1]", 0, 4), entry("[1]", 8, 12)), 12, "gap"),
        (r#"{"a":{"dtype":"Q4","shape":[],"data_offsets":[0,0]}}"#.into(), 0, "unknown type"),
        (r#"{"a":{"shape":[],"data_offsets":[0,0]}}"#.into(), 0, "dtype"),
        (r#"{"a":{"dtype":"F32","shape":[]}}"#.into(), 0, "data_offsets"),
    ] {
        let found = reason(&header, &vec![0; data]);
        assert!(found.contains(expected), "{header}: {found}");
    }
    // Deep nesting must not overflow the stack.
    assert!(reason(&"[".repeat(100_000), &[]).contains("broken header"));
    assert!(reason(&format!(r#"{{"__metadata__":{}"#, "[".repeat(100_000)), &[]).contains("broken header"));
}

#[test]
fn metadata_and_padding_are_fine() {
    let header =
        r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F16","shape":[2,1],"data_offsets":[0,4]}}   "#;
    let tensors = parse_header(header.as_bytes(), 8 + header.len() as u64 + 4).unwrap();
    assert_eq!((tensors[0].rows, tensors[0].columns, tensors[0].dims), (2, 1, 2));
    assert_eq!(tensors[0].end, 8 + header.len() as u64 + 4);
}

#[test]
fn claimed_sizes_are_checked_before_anything_is_read() {
    for (prefix, expected) in [(u64::MAX, "claims a header"), (99_000_000, "cut off"), (100, "cut off")] {
        let mut file = prefix.to_le_bytes().to_vec();
        file.extend(b"{}");
        let (_root, library) = super::one(&config().to_string(), &file);
        let reason = library.experts[0].reason().unwrap().to_string();
        assert!(reason.contains(expected), "{prefix}: {reason}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(header in prop::collection::vec(any::<u8>(), 0..400), extra in 0u64..100) {
        let _ = parse_header(&header, 8 + header.len() as u64 + extra);
        let _ = parse_config(&header);
    }

    #[test]
    fn mutated_headers_never_panic_and_never_point_outside(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut file = safetensors(&pair(Q0));
        for (index, byte) in changes {
            let at = index.index(file.len());
            file[at] = byte;
        }
        let length = file.len() as u64;
        let size = u64::from_le_bytes(file[..8].try_into().unwrap());
        if size <= length - 8
            && let Ok(tensors) = parse_header(&file[8..8 + size as usize], length)
        {
            prop_assert!(tensors.iter().all(|t| t.start <= t.end && t.end <= length));
        }
        let (_root, library) = super::one(&config().to_string(), &file);
        let expert = &library.experts[0];
        prop_assert_eq!(expert.is_usable(), expert.load().is_ok());
    }

    #[test]
    fn mutated_configurations_never_panic(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut text = config().to_string().into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        if let Ok((config, _)) = parse_config(&text) {
            prop_assert!(config.r > 0 && config.alpha.is_finite());
        }
    }

    #[test]
    fn natural_order_is_an_order(names in prop::collection::vec("[a.0-2]{0,6}", 3)) {
        let (a, b, c) = (&names[0], &names[1], &names[2]);
        prop_assert_eq!(natural(a, b), natural(b, a).reverse());
        prop_assert_eq!(natural(a, b).is_eq(), a == b);
        if natural(a, b).is_le() && natural(b, c).is_le() {
            prop_assert!(natural(a, c).is_le(), "{a} {b} {c}");
        }
    }
}

#[test]
fn a_header_that_is_not_json_is_told_apart_from_a_cut_off_file() {
    let (_root, library) = super::one(&config().to_string(), &raw_safetensors("{\"a\"", &[]));
    assert!(library.experts[0].reason().unwrap().contains("broken header"));
}
