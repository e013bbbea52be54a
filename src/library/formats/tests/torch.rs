//! Files of `torch.save`: how values lie in them, and what is wrong with broken ones.

use super::*;

fn pair_with(a: Vec<u8>, b: Vec<u8>) -> Vec<u8> {
    dictionary(&[(A, a), (B, b)])
}

/// B of 4 × 2 from the first storage.
fn good_b() -> Vec<u8> {
    tensor("FloatStorage", 0, 8, 0, &[4, 2], &[2, 1])
}

#[test]
fn strides_offsets_and_shared_storages_are_followed() {
    // 8 values: A is 2 × 3 and B 4 × 2, both from the same storage.
    for (shape, strides, offset, expected) in [
        ([2, 3], [3, 1], 0, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
        ([2, 3], [3, 1], 2, [2.0, 3.0, 4.0, 5.0, 6.0, 7.0]),
        ([2, 3], [1, 2], 0, [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]),
        ([2, 3], [1, 2], 1, [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]),
        ([2, 3], [4, 1], 1, [1.0, 2.0, 3.0, 5.0, 6.0, 7.0]),
        ([2, 3], [0, 1], 5, [5.0, 6.0, 7.0, 5.0, 6.0, 7.0]),
    ] {
        let pickle = pair_with(tensor("FloatStorage", 0, 8, offset, &shape, &strides), good_b());
        let file = torch_file(&pickle, &[floats(8)]);
        let (root, _) = folder(&[("adapter_config.json", CONFIG.as_bytes()), ("adapter_model.bin", &file)]);
        let expert = only(root.path());
        assert_eq!(expert.status(), Status::Ok, "{:?}", expert.reason());
        let module = &expert.load().unwrap().modules[0];
        assert_eq!(module.a().unwrap(), expected, "{shape:?} {strides:?} {offset}");
        assert_eq!(module.b().unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
    }
}

#[test]
fn tensors_that_reach_outside_are_refused() {
    let huge = i64::MAX / 2;
    for (a, expected) in [
        (tensor("FloatStorage", 0, 8, 0, &[2, 3], &[-3, 1]), "impossible strides"),
        (tensor("FloatStorage", 0, 8, -1, &[2, 3], &[3, 1]), "starts before"),
        (tensor("FloatStorage", 0, 8, 0, &[-2, 3], &[3, 1]), "impossible shape"),
        (tensor("FloatStorage", 0, 8, 0, &[2, 3], &[3]), "impossible shape"),
        (tensor("FloatStorage", 0, 8, 0, &[1; 20], &[1; 20]), "impossible shape"),
        (tensor("FloatStorage", 0, 8, 3, &[2, 3], &[3, 1]), "beyond its storage"),
        (tensor("FloatStorage", 0, 8, 0, &[2, 3], &[6, 1]), "beyond its storage"),
        (tensor("FloatStorage", 0, 8, huge, &[2, 3], &[huge, huge]), "beyond its storage"),
        (tensor("FloatStorage", 0, 8, 0, &[2, 1 << 40], &[0, 0]), "larger than its storage"),
        (tensor("FloatStorage", 0, 8, 0, &[huge, huge], &[0, 0]), "larger than its storage"),
        (
            tensor("FloatStorage", 0, 8, 0, &[3, 3], &[0, 1]),
            "(stride 0, as torch's `expand` makes it); save it after",
        ),
        (tensor("FloatStorage", 0, 8, 0, &[3, 3], &[3, 1]), "is damaged: tensor"),
        (tensor("FloatStorage", 0, 9, 0, &[2, 3], &[3, 1]), "another number of bytes"),
        (tensor("FloatStorage", 0, -8, 0, &[2, 3], &[3, 1]), "another number of bytes"),
        (tensor("FloatStorage", 0, huge, 0, &[2, 3], &[3, 1]), "another number of bytes"),
        (tensor("HalfStorage", 0, 8, 0, &[2, 3], &[3, 1]), "another number of bytes"),
        (tensor("FloatStorage", 7, 8, 0, &[2, 3], &[3, 1]), "data missing"),
        (tensor("IntStorage", 0, 8, 0, &[2, 3], &[3, 1]), "i32"),
        (tensor("OrderedDict", 0, 8, 0, &[2, 3], &[3, 1]), "torch.OrderedDict"),
    ] {
        let reason = bad_bin(&torch_file(&pair_with(a, good_b()), &[floats(8)]));
        assert!(reason.contains(expected), "{expected}: {reason}");
    }
}

#[test]
fn zip_files_that_pytorch_would_not_write_are_refused() {
    let pickle = pair_with(tensor("FloatStorage", 0, 8, 0, &[2, 3], &[3, 1]), good_b());
    let sound = vec![item("a/data.pkl", &pickle), item("a/data/0", &floats(8))];
    let with = |change: &dyn Fn(&mut Vec<Item>)| {
        let mut items = sound.clone();
        change(&mut items);
        zip(&items)
    };
    for (file, expected) in [
        (with(&|items| items[0].method = 8), "compressed"),
        (with(&|items| items[1].method = 8), "compressed"),
        (with(&|items| items[1].flags = 1), "encrypted"),
        (with(&|items| items.push(item("a/data/0", &floats(8)))), "twice"),
        (with(&|items| items.push(item("b/data.pkl", &pickle))), "more than one data.pkl"),
        (with(&|items| items.push(item("a/byteorder", b"big"))), "big-endian"),
        (with(&|items| items.push(item("../../etc/cron.d/x", b""))), "strange name"),
        (with(&|items| items.push(item("/etc/passwd", b""))), "strange name"),
        (with(&|items| items.push(item("a\\b", b""))), "strange name"),
        (with(&|items| items.push(item("a/./b", b""))), "strange name"),
        (with(&|items| items.push(item(&"x/".repeat(2000), b""))), "strange name"),
        (with(&|items| drop(items.remove(0))), "no data.pkl"),
    ] {
        let reason = bad_bin(&file);
        assert!(reason.contains(expected), "{expected}: {reason}");
    }
    let whole = zip(&sound);
    let end = whole.len() - 22;
    for (at, bytes, expected) in [
        (end + 8, [9, 0, 9, 0].as_slice(), "entries"),
        (end + 8, &[0xff; 4], "entries"),
        (end + 16, &[0xff; 4], "outside itself"),
        (end + 12, &[0xff; 4], "outside itself"),
        (end + 16, &[0, 0, 0, 0], "broken directory"),
        (26, &[0xff, 0xff], "where its directory says"),
        (30, b"x", "where its directory says"),
        (28, &[0xff, 0xff], "outside itself"),
    ] {
        let mut file = whole.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        let reason = bad_bin(&file);
        assert!(reason.contains(expected), "{at}: {expected}: {reason}");
    }
    for length in (0..whole.len()).step_by(7) {
        assert!(!bad_bin(&whole[..length]).is_empty(), "{length} bytes of {}", whole.len());
    }
}

#[test]
fn files_that_are_no_zip_are_told_apart() {
    for (bytes, expected) in [
        (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.".as_slice(), "older than 1.6"),
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\x93NUMPY\x01\0", "no file of PyTorch"),
        (b"PK\x03\x04", "cut off"),
    ] {
        let reason = bad_bin(bytes);
        assert!(reason.contains(expected), "{expected}: {reason}");
    }
}
