//! Files of PyTorch: read, and refused where something is wrong or is to be run.

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use etude_hub::{Checkpoint, Dtype, PthCheckpoint};
use proptest::prelude::*;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn refused(bytes: Vec<u8>) -> String {
    let error = PthCheckpoint::from_bytes(Path::new("a.pth"), bytes).expect_err("the file is wrong");
    error.to_string()
}

/// An archive of these files.
fn archive(files: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, SimpleFileOptions::default().compression_method(method))
            .unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A pickle in an archive, with a storage `0` of 16 bytes.
fn with_pickle(pickle: &[u8]) -> Vec<u8> {
    archive(
        &[("a/data.pkl", pickle), ("a/data/0", &[0; 16])],
        CompressionMethod::Stored,
    )
}

fn text(text: &str) -> Vec<u8> {
    [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

fn integer(n: i32) -> Vec<u8> {
    [b"J", &n.to_le_bytes()[..]].concat()
}

fn tuple(items: &[Vec<u8>]) -> Vec<u8> {
    [b"(", &items.concat()[..], b"t"].concat()
}

fn integers(numbers: &[i32]) -> Vec<u8> {
    tuple(&numbers.iter().map(|&n| integer(n)).collect::<Vec<_>>())
}

fn storage(elements: i32) -> Vec<u8> {
    let kind = b"ctorch\nFloatStorage\n".to_vec();
    [
        tuple(&[text("storage"), kind, text("0"), text("cpu"), integer(elements)]),
        b"Q".to_vec(),
    ]
    .concat()
}

/// A pickle of one tensor `w`.
fn tensor(elements: i32, offset: i32, shape: &[i32], strides: &[i32]) -> Vec<u8> {
    let arguments = tuple(&[storage(elements), integer(offset), integers(shape), integers(strides)]);
    let call = [b"ctorch._utils\n_rebuild_tensor\n", &arguments[..], b"R"].concat();
    [b"\x80\x02}", &text("w")[..], &call, b"s."].concat()
}

#[test]
fn every_layout_gives_the_tensors_that_pytorch_saved() {
    let expected = etude_hub::SafetensorsCheckpoint::open(&fixture("pth.expected.safetensors")).unwrap();
    for name in ["zip.pth", "legacy.pth", "protocol4.pth"] {
        let found = PthCheckpoint::open(&fixture(name)).unwrap();
        let names = |checkpoint: &dyn Checkpoint| {
            let names = checkpoint
                .tensors()
                .iter()
                .map(|tensor| (tensor.name.clone(), tensor.shape.clone()));
            names.collect::<Vec<_>>()
        };
        assert_eq!(names(&found), names(&expected), "{name}");
        for tensor in found.tensors() {
            if tensor.dtype.is_real() {
                assert_eq!(
                    found.read_f32(&tensor.name).unwrap(),
                    expected.read_f32(&tensor.name).unwrap(),
                    "{tensor:?}"
                );
            } else {
                assert_eq!(
                    found.raw(&tensor.name).unwrap(),
                    expected.raw(&tensor.name).unwrap(),
                    "{tensor:?}"
                );
            }
        }
        assert_eq!(found.info("half").unwrap().dtype, Dtype::F16);
        assert_eq!(found.info("optimizer.state.0.exp_avg").unwrap().shape, [2]);
    }
}

#[test]
fn nothing_is_called_that_makes_no_tensors() {
    for (name, global) in [
        ("evil.pth", "`posix.system`"),
        ("evil_legacy.pth", "`posix.system`"),
        ("module.pth", "`torch.nn.modules.linear.Linear`"),
    ] {
        let message = PthCheckpoint::open(&fixture(name)).unwrap_err().to_string();
        assert!(message.contains(&format!("it asks for {global}")), "{message}");
    }
}

#[test]
fn broken_files_are_refused_by_name() {
    assert!(refused(vec![]).contains("it begins with the bytes []; expected a ZIP archive or a pickle"));
    assert!(refused(vec![0; 64]).contains("it begins with the bytes [0, 0, 0, 0]"));
    assert!(refused(b"PK\x03\x04".to_vec()).contains("as a ZIP archive"));
    let stored = |files: &[(&str, &[u8])]| refused(archive(files, CompressionMethod::Stored));
    assert!(stored(&[("a/other", b"")]).contains("the archive has no `data.pkl`"));
    assert!(stored(&[("a/data.pkl", b"N."), ("a/byteorder", b"big")]).contains("`byteorder`: expected `little`"));
    let pickle = tensor(4, 0, &[4], &[1]);
    assert!(stored(&[("a/data.pkl", &pickle)]).contains("the archive has no `a/data/0`"));
    assert!(
        stored(&[("a/data.pkl", &pickle), ("a/data/0", &[0; 12])])
            .contains("`a/data/0` has 12 bytes; expected the 4 elements of type F32")
    );
    let deflated = archive(&[("a/data.pkl", &pickle)], CompressionMethod::Deflated);
    assert!(refused(deflated).contains("`a/data.pkl` is compressed"));
    let whole = with_pickle(&pickle);
    assert!(PthCheckpoint::from_bytes(Path::new("a"), whole.clone()).is_ok());
    for cut in 0..whole.len() {
        refused(whole[..cut].to_vec());
    }
}

#[test]
fn broken_legacy_files_are_refused() {
    let whole = fs::read(fixture("legacy.pth")).unwrap();
    for cut in (0..whole.len()).step_by(7) {
        refused(whole[..cut].to_vec());
    }
    assert!(refused([&whole[..], b"x"].concat()).contains("the storages end at byte"));
    assert!(
        refused(b"\x80\x02K\x01.".to_vec())
            .contains("the first pickle: found Integer(1); expected 119547037146038801333356")
    );
    assert!(refused(whole[..whole.len() - 1].to_vec()).contains("(is the file cut off?)"));
}

#[test]
fn tensors_stay_within_their_storages() {
    let open = |pickle: &[u8]| PthCheckpoint::from_bytes(Path::new("a"), with_pickle(pickle));
    for (elements, offset, shape, strides) in [
        (4, 0, &[2, 2][..], &[1, 2][..]),
        (4, 1, &[3], &[1]),
        (4, 3, &[1], &[100]),
        (4, 4, &[0], &[1]),
        (4, 2, &[], &[]),
    ] {
        let checkpoint = open(&tensor(elements, offset, shape, strides)).unwrap();
        assert_eq!(
            checkpoint.read_f32("w").unwrap().len(),
            checkpoint.tensors()[0].elements()
        );
    }
    for (elements, offset, shape, strides) in [
        (4, 1, &[4][..], &[1][..]),
        (4, 0, &[2, 2], &[2, 2]),
        (4, 0, &[1 << 30, 1 << 30, 1 << 30], &[0, 0, 0]),
        // All within the storage, but more than it has.
        (4, 0, &[5], &[0]),
        (4, i32::MAX, &[i32::MAX], &[i32::MAX]),
    ] {
        let message = open(&tensor(elements, offset, shape, strides)).unwrap_err().to_string();
        assert!(
            message.contains("tensor `w` of shape") && message.contains("expected it to lie within"),
            "{message}"
        );
    }
    for (shape, strides) in [(&[2][..], &[][..]), (&[-1], &[1]), (&[1; 17], &[1; 17])] {
        let message = open(&tensor(4, 0, shape, strides)).unwrap_err().to_string();
        assert!(
            message.contains("tensor `w`: expected an offset, and as many lengths as strides, at most 16"),
            "{message}"
        );
    }
}

#[test]
fn broken_pickles_are_refused_by_what_is_wrong() {
    let pickle = |pickle: &[u8]| refused(with_pickle(pickle));
    assert!(pickle(b"").contains("0 bytes are left; expected 1"));
    assert!(pickle(b"\x80\x06").contains("found version 6 of the format; expected at most 5"));
    assert!(pickle(b".").contains("the stack is empty"));
    assert!(pickle(b"}(0").contains("the stack is empty"));
    assert!(pickle(b"}(\x85").contains("the stack is empty"));
    assert!(pickle(b"t").contains("expected a mark on the stack"));
    assert!(pickle(b"X\xff\xff\xff\xff.").contains("1 bytes are left; expected 4294967295"));
    assert!(pickle(b"h\x05").contains("nothing is kept under the number 5"));
    assert!(pickle(b"NNs").contains("the stack is empty"));
    assert!(pickle(b"NNNs").contains("expected a dictionary to put values into"));
    assert!(pickle(b"NNa").contains("expected a list to append to"));
    assert!(pickle(b"}(Nu").contains("expected a value for each key"));
    assert!(pickle(b"NNb").contains("found a state for an object that is no dictionary"));
    assert!(pickle(b"i").contains("found the instruction 0x69"));
    assert!(pickle(b"cbuiltins\neval\n").contains("it asks for `builtins.eval`"));
    assert!(pickle(b"\x8c\x02os\x8c\x06system\x93").contains("it asks for `os.system`"));
    assert!(pickle(b"N)R").contains("expected a function and its arguments"));
    assert!(pickle(b"ctorch\nFloatStorage\n)R").contains("a storage of F32 is called"));
    assert!(pickle(b"ctorch._utils\n_rebuild_tensor_v2\n)R").contains("expected storage, offset, lengths and strides"));
    assert!(pickle(b"NQ").contains("expected a storage: its type, its key"));
    assert!(pickle(b"}]]s.").contains("expected texts or numbers as keys"));
    // A dictionary within itself, lists too deep, and a tree of 2^40 branches written in a line for each level.
    assert!(pickle(b"}q\x00K\x01h\x00s.").contains("more lies in one another than 32 deep"));
    assert!(pickle(&[b"]".repeat(100), b"a".repeat(99), b".".to_vec()].concat()).contains("more lies in one another"));
    let doubled: Vec<u8> = (0..30_u8)
        .flat_map(|n| [b'q', n, b'0', b']', b'(', b'h', n, b'h', n, b'e'])
        .collect();
    assert!(pickle(&[b"]", &doubled[..], b"."].concat()).contains("the same too often"));
    // One list of pairs made into dictionary after dictionary.
    let made = b"h\x00h\x01R0".repeat(100);
    let many = [
        b"ccollections\nOrderedDict\nq\x000](",
        &b"K\x01K\x02\x86".repeat(100)[..],
        b"e\x85q\x010",
        &made,
        b"N.",
    ]
    .concat();
    assert!(pickle(&many).contains("than the file has bytes"));
}

proptest! {
    /// Whatever is done to a file, it is read or refused, and what is read has the size that was said.
    #[test]
    fn mutated_files_never_panic(
        legacy in any::<bool>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = fs::read(fixture(if legacy { "legacy.pth" } else { "zip.pth" })).unwrap();
        for (place, byte) in edits {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(checkpoint) = PthCheckpoint::from_bytes(Path::new("a"), bytes) {
            for tensor in checkpoint.tensors() {
                prop_assert_eq!(checkpoint.raw(&tensor.name).unwrap().bytes.len(), tensor.bytes());
            }
        }
    }

    /// So do pickles put together at random from the instructions of the machine.
    #[test]
    fn random_pickles_never_panic(parts in prop::collection::vec(0..24_usize, 0..40)) {
        const PARTS: [&[u8]; 24] = [
            b"}", b"]", b")", b"(", b"t", b"e", b"u", b"s", b"a", b"0", b"1", b"N", b"K\x02", b"q\x00", b"h\x00", b"\x85", b"\x86", b"Q",
            b"R", b"b", b"ctorch\nFloatStorage\n", b"ccollections\nOrderedDict\n", b"ctorch._utils\n_rebuild_tensor_v2\n",
            b"X\x01\x00\x00\x000",
        ];
        let pickle: Vec<u8> = parts.iter().flat_map(|&part| PARTS[part]).chain(b".").copied().collect();
        let _ = PthCheckpoint::from_bytes(Path::new("a"), with_pickle(&pickle));
    }
}
