//! Bytes as numbers and boxes, so that the fuzzer has edges that meet as often as numbers of any size.

use etude_boxes::{Boxes, Float, Format};

/// What is left of the fuzzer's bytes. After the last there are zeros.
#[derive(Debug)]
pub struct Input<'a>(pub &'a [u8]);

const FORMATS: [Format; 4] = [Format::Xyxy, Format::Xywh, Format::Cxcywh, Format::XyxyInclusive];

/// Where numbers, or kinds of them, end.
const SPECIAL: [f64; 16] = [
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::MAX,
    f64::MIN,
    f64::MIN_POSITIVE,
    5e-324,
    1e-45,
    -0.0,
    1.0,
    1e18,
    1e150,
    1e-150,
    1e38,
    1e-38,
    0.5,
];

impl Input<'_> {
    /// Some bytes.
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (now, later) = self.0.split_at(N.min(self.0.len()));
        self.0 = later;
        let mut bytes = [0; N];
        bytes[..now.len()].copy_from_slice(now);
        bytes
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u8) -> usize {
        let [byte] = self.take();
        (byte % end) as usize
    }

    /// Yes or no.
    pub fn flag(&mut self) -> bool {
        self.below(2) == 1
    }

    /// Any number: small and whole, a fraction, a power of two, at an end, or any bits.
    pub fn number(&mut self) -> f64 {
        let [kind] = self.take();
        let small = |[byte]: [u8; 1]| f64::from(byte as i8);
        match kind % 8 {
            0 | 1 => small(self.take()),
            2 => small(self.take()) / 16.0,
            3 => f64::from(i16::from_le_bytes(self.take())) / 64.0,
            4 => f64::exp2(small(self.take()) * 8.0) * if kind < 128 { 1.0 } else { -1.0 },
            5 => SPECIAL[self.below(16)],
            6 => f64::from(f32::from_le_bytes(self.take())),
            _ => f64::from_le_bytes(self.take()),
        }
    }

    /// A number above zero, of any size: a power of ten, or any.
    pub fn positive(&mut self) -> f64 {
        match self.below(128) as i32 {
            exponent @ 0..=80 => 10_f64.powi(exponent - 40),
            _ => self.number().abs(),
        }
    }

    /// A setting: mostly what it usually is, at times any number.
    pub fn setting(&mut self, usual: f64) -> f64 {
        if self.below(4) == 3 { self.number() } else { usual }
    }

    /// As many rows of numbers.
    pub fn rows<T: Float, const N: usize>(&mut self, count: usize) -> Vec<[T; N]> {
        (0..count)
            .map(|_| std::array::from_fn(|_| T::of(self.number())))
            .collect()
    }

    /// As many numbers.
    pub fn numbers<T: Float>(&mut self, count: usize) -> Vec<T> {
        (0..count).map(|_| T::of(self.number())).collect()
    }

    /// A format.
    pub fn format(&mut self) -> Format {
        FORMATS[self.below(4)]
    }
}

/// The rows as columns.
pub fn columns<T: Float, const N: usize>(rows: &[[T; N]]) -> [Vec<T>; N] {
    std::array::from_fn(|k| rows.iter().map(|row| row[k]).collect())
}

/// The same boxes by columns.
pub fn by_columns<'a, T: Float>(columns: &'a [Vec<T>; 4], format: Format) -> Boxes<'a, T> {
    Boxes::columns(columns.each_ref().map(Vec::as_slice), format).expect("columns are equally long")
}
