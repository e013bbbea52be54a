//! Scratch: nothing of the library.

use super::Start;

pub(super) static START: Start = Start {
    id: "scratch",
    help: "A new LoRA, as `train` begins: nothing of the library",
    uses_experts: false,
    learns_weights: false,
    is_router: false,
    weigh: |_, _, _| Ok(None),
};
