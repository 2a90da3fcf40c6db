//! One array in the `.npy` format: its header, and its elements converted block by block.

use std::io::Read;

use super::shown;

/// `numpy.load` itself refuses longer headers; those of plain arrays have 118 bytes.
const MAX_HEADER: usize = 10_000;

/// Bytes converted at a time; a multiple of every element's size up to 8.
const BLOCK: usize = 1 << 16;

/// What the header of an array says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The type of the elements in the notation of `numpy`, such as `<f8`.
    pub(super) descr: String,
    /// Whether the first index runs fastest.
    pub(super) fortran_order: bool,
    pub(super) shape: Vec<u64>,
    /// Length of the header itself.
    pub(super) bytes: u64,
}

impl Header {
    /// Reads the magic string, the version and the dictionary. The dictionary is a Python literal, and its three
    /// entries are looked up without parsing Python: a parser that follows nested brackets can be led astray.
    pub(super) fn read(reader: &mut impl Read) -> Result<Self, String> {
        let bare = |error: std::io::Error| format!("no .npy header: {error}");
        let mut start = [0; 10];
        reader.read_exact(&mut start).map_err(bare)?;
        let [magic @ .., major, _minor, low, high] = start;
        if &magic != b"\x93NUMPY" {
            return Err("no .npy header: it does not start with \\x93NUMPY".into());
        }
        let (length, prefix) = match major {
            1 => (u16::from_le_bytes([low, high]).into(), 10),
            2 | 3 => {
                let mut upper = [0; 2];
                reader.read_exact(&mut upper).map_err(bare)?;
                (u32::from_le_bytes([low, high, upper[0], upper[1]]) as usize, 12)
            }
            _ => return Err(format!("version {major} of the .npy format; expected 1, 2 or 3")),
        };
        if length > MAX_HEADER {
            return Err(format!(
                "its header claims {length} bytes; expected at most {MAX_HEADER}"
            ));
        }
        let mut text = vec![0; length];
        reader.read_exact(&mut text).map_err(bare)?;
        let text = String::from_utf8_lossy(&text);
        let (descr, fortran_order, shape) = parse(&text).ok_or_else(|| {
            format!(
                "its header is `{}`; expected {{'descr': ..., 'fortran_order': ..., 'shape': ...}}",
                shown(text.trim_end())
            )
        })?;
        Ok(Self {
            descr,
            fortran_order,
            shape,
            bytes: (prefix + length) as u64,
        })
    }

    /// The number of elements, saturating.
    pub(super) fn elements(&self) -> u64 {
        self.shape
            .iter()
            .fold(1, |product, &length| product.saturating_mul(length))
    }
}

/// The three entries of the dictionary.
fn parse(text: &str) -> Option<(String, bool, Vec<u64>)> {
    let entry = |key: &str| Some(text.split_once(&format!("'{key}':"))?.1.trim_start());
    let descr = entry("descr")?;
    let descr = match descr.strip_prefix('\'') {
        Some(quoted) => shown(quoted.split_once('\'')?.0),
        None => "a record of several fields".into(),
    };
    let fortran_order = entry("fortran_order")?.starts_with("True");
    let shape = entry("shape")?.strip_prefix('(')?.split_once(')')?.0;
    let lengths = shape.split(',').map(str::trim).filter(|length| !length.is_empty());
    Some((
        descr,
        fortran_order,
        lengths.map(|length| length.parse().ok()).collect::<Option<_>>()?,
    ))
}

/// Reads `count` elements of `N` bytes each, which must be all that is left: `available` bytes. Nothing is allocated
/// for a claim that they do not support.
pub(super) fn elements<const N: usize, T>(
    reader: &mut dyn Read,
    count: u64,
    available: u64,
    convert: impl Fn([u8; N]) -> Option<T>,
) -> Result<Vec<T>, String> {
    if count.saturating_mul(N as u64) != available {
        return Err(format!(
            "its header claims {count} elements of {N} bytes, but {available} bytes follow it"
        ));
    }
    let mut values = Vec::new();
    values
        .try_reserve_exact(count as usize)
        .map_err(|error| error.to_string())?;
    let mut block = vec![0; BLOCK];
    let mut left = available;
    while left > 0 {
        let bytes = &mut block[..left.min((BLOCK / N * N) as u64) as usize];
        reader.read_exact(bytes).map_err(|error| error.to_string())?;
        left -= bytes.len() as u64;
        for &element in bytes.as_chunks().0 {
            let value = convert(element).ok_or_else(|| format!("element {} is out of range", values.len()))?;
            values.push(value);
        }
    }
    // Reading on makes the archive compare its checksum.
    reader.read(&mut block).map_err(|error| error.to_string())?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> Result<Header, String> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text.as_bytes());
        Header::read(&mut &bytes[..])
    }

    #[test]
    fn reads_what_numpy_writes() {
        let found = header("{'descr': '<f8', 'fortran_order': True, 'shape': (3, 4), }   \n").unwrap();
        assert_eq!((&found.descr[..], found.fortran_order), ("<f8", true));
        assert_eq!((&found.shape[..], found.elements(), found.bytes), (&[3, 4][..], 12, 72));
        let vector = header("{'descr': '<i4', 'fortran_order': False, 'shape': (7,), }\n").unwrap();
        assert_eq!(vector.shape, [7]);
        let scalar = header("{'descr': '|S3', 'fortran_order': False, 'shape': (), }\n").unwrap();
        assert_eq!((scalar.elements(), scalar.fortran_order), (1, false));
    }

    #[test]
    fn reads_versions_2_and_3() {
        let text = "{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}";
        for version in [2, 3] {
            let mut bytes = b"\x93NUMPY".to_vec();
            bytes.extend([version, 0]);
            bytes.extend((text.len() as u32).to_le_bytes());
            bytes.extend(text.as_bytes());
            assert_eq!(Header::read(&mut &bytes[..]).unwrap().bytes as usize, bytes.len());
        }
    }

    #[test]
    fn refuses_other_headers() {
        for (text, complaint) in [
            ("", "expected {'descr'"),
            (
                "{'descr': '<f8', 'fortran_order': False, 'shape': 3}",
                "expected {'descr'",
            ),
            (
                "{'descr': '<f8', 'fortran_order': False, 'shape': (-3,)}",
                "expected {'descr'",
            ),
            ("{'descr': '<f8', 'shape': (3,)}", "expected {'descr'"),
        ] {
            let error = header(text).unwrap_err();
            assert!(error.contains(complaint), "{text}: {error}");
        }
        let nested = format!(
            "{{'descr': {}, 'fortran_order': False, 'shape': (1,)}}",
            "[".repeat(9000)
        );
        assert_eq!(header(&nested).unwrap().descr, "a record of several fields");
        for (bytes, complaint) in [
            (&b""[..], "no .npy header"),
            (b"PK\x03\x04 something else", "no .npy header"),
            (b"\x93NUMPY\x07\x00\x00\x00", "version 7"),
            (b"\x93NUMPY\x02\x00\xff\xff\xff\xff", "claims 4294967295 bytes"),
            (b"\x93NUMPY\x01\x00\x40\x00{'descr'", "no .npy header"),
        ] {
            let error = Header::read(&mut &bytes[..]).unwrap_err();
            assert!(error.contains(complaint), "{bytes:?}: {error}");
        }
    }

    #[test]
    fn converts_across_blocks() {
        let values: Vec<u32> = (0..40_000).collect();
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let read = elements(&mut &bytes[..], 40_000, 160_000, |b| Some(u32::from_le_bytes(b))).unwrap();
        assert_eq!(read, values);
        let odd = elements(&mut &bytes[..159_999], 53_333, 159_999, |b: [u8; 3]| Some(b)).unwrap();
        assert_eq!(odd.as_flattened(), &bytes[..159_999]);
    }

    #[test]
    fn claims_cost_nothing() {
        let convert = |bytes| Some(f64::from_le_bytes(bytes));
        for count in [1_250_000_000, u64::MAX, 0] {
            let error = elements(&mut &[0; 8][..], count, 8, convert).unwrap_err();
            assert!(error.contains(&format!("claims {count} elements")), "{error}");
        }
        assert!(elements(&mut &[0; 4][..], 1, 8, convert).is_err());
    }
}
