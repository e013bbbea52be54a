//! The shipped library as it is in the repository, without its base model.

use crate::support::json;

#[test]
fn every_expert_stands_and_mbc_finds_the_families() {
    let list = json(&["ls", "library"]);
    let experts = list["experts"].as_array().unwrap();
    assert_eq!(experts.len(), 12);
    assert!(experts.iter().all(|e| e["status"] == "ok"), "{list}");
    let clusters = json(&["cluster", "library", "--k", "4"]);
    let label = |name: &str| {
        let at = clusters["experts"].as_array().unwrap().iter().position(|e| e == name).unwrap();
        clusters["labels"][at].as_u64().unwrap()
    };
    for a in experts {
        for b in experts {
            let together = label(a["name"].as_str().unwrap()) == label(b["name"].as_str().unwrap());
            assert_eq!(together, a["family"] == b["family"], "{} and {}", a["name"], b["name"]);
        }
    }
}
