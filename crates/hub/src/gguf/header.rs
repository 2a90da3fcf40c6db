//! Everything before the tensors' bytes.

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;

use etude_kernels::quantized::BlockType;

use super::cursor::Cursor;
use super::metadata::Metadata;
use crate::dtype::Dtype;
use crate::error::HubError;

/// A tensor has at most so many dimensions in ggml.
const MAX_DIMENSIONS: u32 = 4;

/// The multiple at which tensors lie where the file does not say another.
const ALIGNMENT: u64 = 32;

/// What a file says before its tensors.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) version: u32,
    pub(super) metadata: Metadata,
    pub(super) tensors: Vec<Tensor>,
}

/// A tensor by its name in the file.
#[derive(Debug)]
pub(super) struct Tensor {
    pub(super) name: String,
    pub(super) dtype: Dtype,
    /// The lengths of the dimensions, the slowest first: the reverse of the file's order.
    pub(super) shape: Vec<usize>,
    /// Where it lies in the file.
    pub(super) place: Range<usize>,
}

/// The types by their numbers. Those without a [`Dtype`] are known by name only.
const TYPES: [(u32, &str, Option<Dtype>); 37] = [
    (0, "F32", Some(Dtype::F32)),
    (1, "F16", Some(Dtype::F16)),
    (2, "Q4_0", Some(Dtype::Block(BlockType::Q4_0))),
    (3, "Q4_1", Some(Dtype::Block(BlockType::Q4_1))),
    (6, "Q5_0", Some(Dtype::Block(BlockType::Q5_0))),
    (7, "Q5_1", Some(Dtype::Block(BlockType::Q5_1))),
    (8, "Q8_0", Some(Dtype::Block(BlockType::Q8_0))),
    (9, "Q8_1", None),
    (10, "Q2_K", None),
    (11, "Q3_K", None),
    (12, "Q4_K", Some(Dtype::Block(BlockType::Q4_K))),
    (13, "Q5_K", Some(Dtype::Block(BlockType::Q5_K))),
    (14, "Q6_K", Some(Dtype::Block(BlockType::Q6_K))),
    (15, "Q8_K", None),
    (16, "IQ2_XXS", None),
    (17, "IQ2_XS", None),
    (18, "IQ3_XXS", None),
    (19, "IQ1_S", None),
    (20, "IQ4_NL", None),
    (21, "IQ3_S", None),
    (22, "IQ2_S", None),
    (23, "IQ4_XS", None),
    (24, "I8", None),
    (25, "I16", None),
    (26, "I32", None),
    (27, "I64", None),
    (28, "F64", None),
    (29, "IQ1_M", None),
    (30, "BF16", Some(Dtype::Bf16)),
    (31, "Q4_0_4_4", None),
    (32, "Q4_0_4_8", None),
    (33, "Q4_0_8_8", None),
    (34, "TQ1_0", None),
    (35, "TQ2_0", None),
    (36, "IQ4_NL_4_4", None),
    (39, "MXFP4", None),
    (40, "NVFP4", None),
];

impl Header {
    /// Reads and checks everything before the tensors, and that they lie within the file and not over one another.
    pub(super) fn read(path: &Path, file: &[u8]) -> Result<Self, HubError> {
        let cursor = &mut Cursor::new(path, file);
        let magic = cursor.number("the first four bytes")?;
        if magic != *b"GGUF" {
            let detail = format!("it begins with the bytes {magic:?}; expected `GGUF` (is this a GGUF file?)");
            return Err(cursor.fault(detail));
        }
        let version = cursor.u32("the version")?;
        if version.swap_bytes() < 100 {
            return Err(cursor.fault("its numbers are big endian; expected a file of little-endian numbers"));
        }
        if !(2..=3).contains(&version) {
            return Err(cursor.fault(format!("version: found {version}; expected 2 or 3")));
        }
        // A tensor has a name's length, a count of dimensions, a type and an offset; a value a name's length, a type and a byte.
        let tensor_count = cursor.count(8 + 4 + 4 + 8, "the number of tensors")?;
        let value_count = cursor.count(8 + 4 + 1, "the number of values")?;
        let metadata = Metadata::read(cursor, path, value_count)?;
        let alignment = metadata.unsigned("general.alignment")?.unwrap_or(ALIGNMENT);
        if !alignment.is_power_of_two() || alignment > 1 << 20 {
            let detail = format!(
                "`general.alignment`: found {alignment}; expected a power of two, at most {}",
                1 << 20
            );
            return Err(cursor.fault(detail));
        }
        if let Some(files @ 2..) = metadata.unsigned("split.count")? {
            let detail = format!(
                "it is one of the {files} files of a split model; join them with llama.cpp's gguf-split --merge"
            );
            return Err(cursor.fault(detail));
        }
        let mut tensors = Vec::with_capacity(tensor_count);
        for number in 0..tensor_count {
            tensors.push(Unplaced::read(cursor, number, alignment)?);
        }
        let start = cursor.at().next_multiple_of(alignment as usize);
        let data = file.len().saturating_sub(start);
        let tensors = tensors.into_iter().map(|tensor| tensor.place(cursor, start, data));
        let tensors = tensors.collect::<Result<Vec<_>, _>>()?;
        check_apart(cursor, &tensors)?;
        Ok(Self {
            version,
            metadata,
            tensors,
        })
    }
}

/// A tensor whose place is known from the end of the header only.
struct Unplaced {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: usize,
    offset: u64,
}

impl Unplaced {
    fn read(cursor: &mut Cursor<'_>, number: usize, alignment: u64) -> Result<Self, HubError> {
        let name = cursor.text(&format!("the name of tensor {number}"))?;
        let what = format!("tensor `{name}`");
        let dimensions = cursor.u32(&what)?;
        if !(1..=MAX_DIMENSIONS).contains(&dimensions) {
            let detail = format!("{what}: found {dimensions} dimensions; expected 1 to {MAX_DIMENSIONS}");
            return Err(cursor.fault(detail));
        }
        let lengths = (0..dimensions)
            .map(|_| cursor.u64(&what))
            .collect::<Result<Vec<_>, _>>()?;
        let number = cursor.u32(&what)?;
        let dtype = match TYPES.iter().find(|(n, ..)| *n == number) {
            Some(&(.., Some(dtype))) => dtype,
            other => {
                let name = other.map_or_else(|| format!("type {number}"), |(_, name, _)| format!("type {name}"));
                let readable = TYPES
                    .iter()
                    .filter(|(.., dtype)| dtype.is_some())
                    .map(|&(_, name, _)| name);
                let readable = readable.collect::<Vec<_>>().join(", ");
                return Err(cursor.fault(format!("{what}: found {name}; expected one of {readable}")));
            }
        };
        let mut shape = lengths
            .iter()
            .map(|&n| usize::try_from(n).ok())
            .collect::<Option<Vec<_>>>();
        if let Some(shape) = &mut shape {
            shape.reverse();
        }
        // Rows are whole numbers of blocks.
        let bytes = shape.as_ref().and_then(|shape| {
            let (&row, rows) = shape.split_last()?;
            let rows = rows.iter().try_fold(1, |product: usize, &n| product.checked_mul(n))?;
            row.checked_mul(rows)?;
            dtype.bytes_of(row)?.checked_mul(rows)
        });
        let (Some(shape), Some(bytes @ 1..)) = (shape, bytes) else {
            let detail = format!(
                "{what} of type {dtype}: found the dimensions {lengths:?}; expected none of length 0, a first one of whole blocks, \
                 and a product that can be addressed"
            );
            return Err(cursor.fault(detail));
        };
        let offset = cursor.u64(&what)?;
        if offset % alignment != 0 {
            return Err(cursor.fault(format!(
                "{what}: found the offset {offset}; expected a multiple of {alignment}"
            )));
        }
        Ok(Self {
            name,
            dtype,
            shape,
            bytes,
            offset,
        })
    }

    /// The tensor with its place in a file whose data begin at `start` and have so many bytes.
    fn place(self, cursor: &Cursor<'_>, start: usize, data: usize) -> Result<Tensor, HubError> {
        let offset = usize::try_from(self.offset).ok();
        let end = offset.and_then(|offset| offset.checked_add(self.bytes));
        let (Some(offset), Some(end)) = (offset, end.filter(|&end| end <= data)) else {
            return Err(cursor.fault(format!(
                "tensor `{}` of shape {:?} and type {}: {} bytes from offset {}; expected to end within the {data} bytes of data (is \
                 the file cut off?)",
                self.name, self.shape, self.dtype, self.bytes, self.offset
            )));
        };
        Ok(Tensor {
            name: self.name,
            dtype: self.dtype,
            shape: self.shape,
            place: start + offset..start + end,
        })
    }
}

/// No two tensors share a byte or a name.
fn check_apart(cursor: &Cursor<'_>, tensors: &[Tensor]) -> Result<(), HubError> {
    let mut order: Vec<_> = tensors.iter().collect();
    order.sort_by_key(|tensor| tensor.place.start);
    if let Some([left, right]) = order
        .array_windows()
        .find(|[left, right]| right.place.start < left.place.end)
    {
        let detail = format!(
            "tensor `{}` begins at byte {} of the file; expected no byte before {}, where `{}` ends",
            right.name, right.place.start, left.place.end, left.name
        );
        return Err(cursor.fault(detail));
    }
    let mut names = HashSet::new();
    match tensors.iter().find(|tensor| !names.insert(&tensor.name)) {
        Some(tensor) => Err(cursor.fault(format!("the tensor `{}` comes twice", tensor.name))),
        None => Ok(()),
    }
}
