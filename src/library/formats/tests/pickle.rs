//! Pickles that want more than to describe tensors.

use super::*;

fn bad_pickle(pickle: &[u8]) -> String {
    bad_bin(&torch_file(pickle, &[floats(8)]))
}

#[test]
fn nothing_but_tensors_is_known() {
    let short = |text: &str| [&[0x8c, text.len() as u8], text.as_bytes()].concat();
    let stacked = |module: &str, name: &str| [short(module), short(name), vec![0x93]].concat();
    for (module, name) in [
        ("os", "system"),
        ("posix", "system"),
        ("nt", "system"),
        ("builtins", "eval"),
        ("builtins", "exec"),
        ("builtins", "getattr"),
        ("__builtin__", "eval"),
        ("subprocess", "Popen"),
        ("torch", "load"),
        ("torch.hub", "load"),
        ("torch._utils", "_import_dotted_name"),
        ("collections", "namedtuple"),
        ("runpy", "_run_code"),
        ("operator", "attrgetter"),
        ("mttlx", "Config"),
        ("os.mttl", "system"),
    ] {
        let old = [b"\x80\x02c", module.as_bytes(), b"\n", name.as_bytes(), b"\n", &text("echo"), b"\x85R."]
            .concat();
        let new = [b"\x80\x04".as_slice(), &stacked(module, name), &short("echo"), b"\x85R."].concat();
        // Also where only the object's state is asked for.
        let hidden =
            dictionary(&[(A, [b"c", module.as_bytes(), b"\n", name.as_bytes(), b"\n)\x81}b"].concat())]);
        for pickle in [old, new, hidden] {
            let reason = bad_pickle(&pickle);
            assert!(reason.contains(&format!("{module}.{name}")), "{reason}");
            assert!(reason.contains("nothing was run"), "{reason}");
        }
    }
    for code in
        [b'i', b'o', b'P', b'I', b'S', b'V', b'F', b'L', b'g', b'p', 0x82, 0x83, 0x84, 0x97, 0x98, 0xff]
    {
        let reason = bad_pickle(&[0x80, 2, code, b'1', b'\n', b'.']);
        assert!(reason.contains("instruction") || reason.contains("broken"), "{code:02x}: {reason}");
    }
}

#[test]
fn classes_that_are_passed_over_do_nothing() {
    // An object with attributes, made and filled as pickle would, among the tensors.
    let class = b"cmttl.config\nConfig\n)\x81}(".as_slice();
    let odd = [class, &text("lora_alpha"), &number(7), b"ub"].concat();
    let pair = [
        (A, tensor("FloatStorage", 0, 8, 0, &[2, 3], &[3, 1])),
        (B, tensor("FloatStorage", 0, 8, 0, &[4, 2], &[2, 1])),
        ("config", odd),
    ];
    let file = torch_file(&dictionary(&pair), &[floats(8)]);
    let (root, _) = folder(&[("adapter_config.json", CONFIG.as_bytes()), ("adapter_model.bin", &file)]);
    let expert = only(root.path());
    assert_eq!(expert.status(), Status::Partial);
    assert!(expert.reason().unwrap().contains("config"), "{:?}", expert.reason());
}

#[test]
fn bombs_are_refused() {
    let repeated = |unit: &[u8], count: usize| [b"\x80\x04", unit.repeat(count).as_slice(), b"."].concat();
    // Each list contains the one before it: far deeper than any stack.
    let chain: Vec<u8> = (0..60_000u32)
        .flat_map(|i| [b"](j", i.to_le_bytes().as_slice(), b"er", &(i + 1).to_le_bytes(), b"0"].concat())
        .collect();
    let chain = [b"\x80\x02]r\0\0\0\0", chain.as_slice(), b"N."].concat();
    // A list that is added to itself again and again.
    let doubling = [b"\x80\x02]q\0(".as_slice(), &b"h\0".repeat(8000), b"e"].concat();
    let doubling =
        [doubling.as_slice(), &[b"(".as_slice(), &b"h\0".repeat(8000), b"e"].concat().repeat(20), b"."]
            .concat();
    // One list of pairs made into many dictionaries.
    let pairs = [b"\x80\x02](".as_slice(), &b"NN\x86".repeat(4000), b"eq\0"].concat();
    let many = b"ccollections\nOrderedDict\nh\0\x85R0".repeat(200);
    let dictionaries = [pairs.as_slice(), &many, b"."].concat();
    // One state given to many objects.
    let state = [b"\x80\x02}(".as_slice(), &b"NN".repeat(4000), b"uq\0"].concat();
    let objects = [state.as_slice(), &b"cmttl\nC\n)\x81h\0b0".repeat(200), b"."].concat();
    for (pickle, expected) in [
        (repeated(b"]", 1_000_000), "nested too deeply"),
        (repeated(b"(", 1_000_000), "nested too deeply"),
        (repeated(b"]0", 1_000_000), "more memory"),
        (repeated(b"]\x940", 1_000_000), "more memory"),
        (repeated(b"N\x940", 1_000_000), "more memory"),
        (chain, "more memory"),
        (doubling, "more memory"),
        (dictionaries, "more memory"),
        (objects, "more memory"),
    ] {
        let reason = bad_pickle(&pickle);
        assert!(reason.contains(expected), "{expected}: {reason}");
    }
}

#[test]
fn broken_pickles_have_a_reason() {
    for pickle in [
        b"".as_slice(),
        b"\x80",
        b"\x80\x02",
        b"\x80\x09N.",
        b"\x80\x02.",
        b"\x80\x02}(N.",
        b"\x80\x02e.",
        b"\x80\x02Na.",
        b"\x80\x02NNs.",
        b"\x80\x02}(Nu.",
        b"\x80\x02h\x00.",
        b"\x80\x02j\xff\xff\xff\xff.",
        b"\x80\x02Nr\xff\xff\xff\xff.",
        b"\x80\x02X\xff\xff\xff\xffa.",
        b"\x80\x02\x8d\xff\xff\xff\xff\xff\xff\xff\xffa.",
        b"\x80\x02\x8a\xff1.",
        b"\x80\x02cos",
        b"\x80\x02NQ.",
        b"\x80\x02)Q.",
        b"\x80\x02NNR.",
        b"\x80\x02ctorch\nFloatStorage\n)R.",
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.",
        b"\x80\x02ctorch\nSize\n)R.",
        b"\x80\x02ccollections\nOrderedDict\n]Na\x85R.",
        b"\x80\x02NNb.",
        b"\x80\x02(((((0.",
        b"\x80\x02N.",
        b"\x80\x02].",
        b"\x80\x02}.",
        b"\x80\x02}(K\x01K\x02u.",
    ] {
        let reason = bad_pickle(pickle);
        assert!(
            ["pickle", "dictionary", "tensor", "LoRA"].iter().any(|word| reason.contains(word)),
            "{reason}"
        );
    }
}
