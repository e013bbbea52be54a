//! The element types that ggml knows.

/// An element type by its number in the format: a block of `block()` elements takes `bytes()` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind(u32);

/// Number, name, elements in a block, bytes of a block.
const KINDS: [(u32, &str, u64, u64); 34] = [
    (0, "F32", 1, 4),
    (1, "F16", 1, 2),
    (2, "Q4_0", 32, 18),
    (3, "Q4_1", 32, 20),
    (6, "Q5_0", 32, 22),
    (7, "Q5_1", 32, 24),
    (8, "Q8_0", 32, 34),
    (9, "Q8_1", 32, 40),
    (10, "Q2_K", 256, 84),
    (11, "Q3_K", 256, 110),
    (12, "Q4_K", 256, 144),
    (13, "Q5_K", 256, 176),
    (14, "Q6_K", 256, 210),
    (15, "Q8_K", 256, 292),
    (16, "IQ2_XXS", 256, 66),
    (17, "IQ2_XS", 256, 74),
    (18, "IQ3_XXS", 256, 98),
    (19, "IQ1_S", 256, 50),
    (20, "IQ4_NL", 32, 18),
    (21, "IQ3_S", 256, 110),
    (22, "IQ2_S", 256, 82),
    (23, "IQ4_XS", 256, 136),
    (24, "I8", 1, 1),
    (25, "I16", 1, 2),
    (26, "I32", 1, 4),
    (27, "I64", 1, 8),
    (28, "F64", 1, 8),
    (29, "IQ1_M", 256, 56),
    (30, "BF16", 1, 2),
    (34, "TQ1_0", 256, 54),
    (35, "TQ2_0", 256, 66),
    (39, "MXFP4", 32, 17),
    (40, "NVFP4", 64, 36),
    (41, "Q1_0", 128, 18),
];

impl Kind {
    pub const F32: Self = Self(0);
    pub const F16: Self = Self(1);
    pub const Q8_0: Self = Self(8);
    pub const F64: Self = Self(28);
    pub const BF16: Self = Self(30);

    /// The type with this number, if it is known.
    pub fn new(number: u32) -> Option<Self> {
        KINDS.iter().any(|(known, ..)| *known == number).then_some(Self(number))
    }

    /// Its number in the format.
    pub fn number(self) -> u32 {
        self.0
    }

    fn row(self) -> Option<&'static (u32, &'static str, u64, u64)> {
        KINDS.iter().find(|(number, ..)| *number == self.0)
    }

    /// Its name: `Q4_K`.
    pub fn name(self) -> &'static str {
        self.row().map_or("unknown", |(_, name, ..)| name)
    }

    /// Elements in a block; rows are whole blocks.
    pub fn block(self) -> u64 {
        self.row().map_or(1, |(_, _, block, _)| *block)
    }

    /// Bytes of a block.
    pub fn bytes(self) -> u64 {
        self.row().map_or(1, |(.., bytes)| *bytes)
    }
}
