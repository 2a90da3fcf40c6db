//! Safetensors: read, written, and refused where something is wrong.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use etude_hub::safetensors::{INDEX, SINGLE, save_file, save_shards};
use etude_hub::{Checkpoint, Dtype, HubError, MemoryCheckpoint, SafetensorsCheckpoint};
use proptest::prelude::*;

/// A file with this header and so many bytes behind it.
fn file(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend((0..data).map(|i| i as u8));
    bytes
}

/// What is said of a file with these bytes.
fn refused(bytes: Vec<u8>) -> String {
    let error = SafetensorsCheckpoint::from_bytes(Path::new("a.safetensors"), bytes).expect_err("the file is wrong");
    error.to_string()
}

fn some() -> MemoryCheckpoint {
    let mut some = MemoryCheckpoint::new(Path::new("some"));
    let numbers: Vec<f32> = (0..12).map(|i| i as f32 / 8.0 - 0.5).collect();
    some.insert_f32("b.weight", &[3, 4], &numbers, Dtype::F32);
    some.insert_f32("a.weight", &[4], &numbers[..4], Dtype::Bf16);
    some.insert_f32("half", &[2, 1, 3], &numbers[..6], Dtype::F16);
    some.insert_f32("double", &[], &numbers[..1], Dtype::F64);
    some.insert("ids", Dtype::I64, &[2], [1_i64, -1].map(i64::to_le_bytes).concat());
    some.insert("mask", Dtype::Bool, &[3], vec![0, 1, 1]);
    some.insert("empty", Dtype::F32, &[0, 4], Vec::new());
    some
}

fn assert_same(left: &dyn Checkpoint, right: &dyn Checkpoint) {
    assert_eq!(left.tensors(), right.tensors());
    for tensor in left.tensors() {
        assert_eq!(
            left.raw(&tensor.name).unwrap(),
            right.raw(&tensor.name).unwrap(),
            "{}",
            tensor.name
        );
    }
}

#[test]
fn a_saved_file_reads_back_and_the_reference_reads_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(SINGLE);
    save_file(&path, &some()).unwrap();
    let ours = SafetensorsCheckpoint::open(folder.path()).unwrap();
    assert_same(&ours, &some());
    assert_eq!(ours.metadata("format"), Some("pt"));

    let bytes = fs::read(&path).unwrap();
    let (_, about) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(about.metadata().as_ref().unwrap()["format"], "pt");
    let reference = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(reference.len(), ours.tensors().len());
    for tensor in ours.tensors() {
        let view = reference.tensor(&tensor.name).unwrap();
        assert_eq!(view.shape(), tensor.shape);
        assert_eq!(view.dtype().to_string(), tensor.dtype.to_string());
        assert_eq!(view.data(), &*ours.raw(&tensor.name).unwrap().bytes);
    }
    // Elements lie at multiples of their size, so that others can use them in place.
    let start = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap());
    assert_eq!(start % 8, 0);
}

#[test]
fn numbers_are_converted_as_they_are_read() {
    let some = some();
    assert_eq!(some.read_f32("a.weight").unwrap(), [-0.5, -0.375, -0.25, -0.125]);
    assert_eq!(
        some.read_f32("half").unwrap(),
        [-0.5, -0.375, -0.25, -0.125, 0.0, 0.125]
    );
    assert_eq!(some.read_f32("double").unwrap(), [-0.5]);
    assert_eq!(some.read_f32_shaped("double", &[]).unwrap(), [-0.5]);
    assert_eq!(some.read_f32("empty").unwrap(), [0.0; 0]);
}

#[test]
fn what_a_model_asks_for_in_vain_is_named() {
    let some = some();
    let message = |error: Result<Vec<f32>, HubError>| error.unwrap_err().to_string();
    assert_eq!(
        message(some.read_f32("b.bias")),
        "some: there is no tensor `b.bias` among its 7; the nearest is `b.weight`"
    );
    assert_eq!(
        message(some.read_f32_shaped("b.weight", &[4, 3])),
        "some: the tensor `b.weight` has shape [3, 4]; expected [4, 3]"
    );
    assert_eq!(
        message(some.read_f32("ids")),
        "some: the tensor `ids` holds elements of type I64; expected real numbers"
    );
}

#[test]
fn shards_fill_up_to_their_size_and_replace_a_single_file() {
    let folder = tempfile::tempdir().unwrap();
    save_shards(folder.path(), &some(), usize::MAX).unwrap();
    assert!(folder.path().join(SINGLE).exists());
    // In order of names: 8 + 8 bytes, then 48 (more than a shard), 0 + 12, 16, 3.
    save_shards(folder.path(), &some(), 20).unwrap();
    assert!(!folder.path().join(SINGLE).exists());
    let mut files: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|f| f.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let shards = (1..=4).map(|n| format!("model-{n:05}-of-00004.safetensors"));
    assert_eq!(files, shards.chain([INDEX.into()]).collect::<Vec<_>>());
    let index: serde_json::Value = serde_json::from_slice(&fs::read(folder.path().join(INDEX)).unwrap()).unwrap();
    assert_eq!(index["metadata"]["total_size"], 8 + 48 + 8 + 12 + 16 + 3);
    assert_eq!(index["weight_map"]["half"], "model-00003-of-00004.safetensors");
    assert_same(&SafetensorsCheckpoint::open(folder.path()).unwrap(), &some());

    save_shards(folder.path(), &some(), 1 << 20).unwrap();
    assert!(!folder.path().join(INDEX).exists());
    assert_same(&SafetensorsCheckpoint::open(folder.path()).unwrap(), &some());
}

#[test]
fn a_mapped_file_can_be_saved_over_itself() {
    let folder = tempfile::tempdir().unwrap();
    save_shards(folder.path(), &some(), 1 << 20).unwrap();
    let mapped = SafetensorsCheckpoint::open(folder.path()).unwrap();
    save_shards(folder.path(), &mapped, 1 << 20).unwrap();
    assert_same(&mapped, &some());
    assert_same(&SafetensorsCheckpoint::open(folder.path()).unwrap(), &some());
}

#[test]
fn broken_files_are_refused_by_name() {
    assert_eq!(
        refused(vec![]),
        "a.safetensors: it has 0 bytes; expected at least the 8 of a length of the header"
    );
    assert!(refused(vec![0; 1000]).contains("the header of 0 bytes does not begin with a brace"));
    let tensor = r#"{"w":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}"#;
    let whole = file(tensor, 16);
    assert!(SafetensorsCheckpoint::from_bytes(Path::new("a"), whole.clone()).is_ok());
    assert!(
        refused(whole[..40].to_vec())
            .contains("length of the header: found 57; expected at most the 32 bytes behind it")
    );
    assert!(
        refused(whole[..whole.len() - 1].to_vec())
            .contains("tensor `w`: `data_offsets` are [0, 16]; expected a range within the 15")
    );
    let mut lies = whole.clone();
    lies[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(refused(lies).contains("length of the header: found 18446744073709551615"));
    assert!(refused(file(tensor, 17)).contains("the tensors end at byte 81 of the file; expected 82"));
    let with = |from: &str, to: &str| refused(file(&tensor.replace(from, to), 16));
    assert!(with("F32", "F8_X").contains("tensor `w`: `dtype` is `F8_X`; expected one of BOOL, U8"));
    assert!(
        with("[2,2]", "[2,3]")
            .contains("tensor `w` of shape [2, 3] and type F32: `data_offsets` [0, 16] are 16 bytes; expected 24")
    );
    assert!(with("[2,2]", "[4294967296,4294967296]").contains("expected more than can be addressed"));
    assert!(with("[2,2]", "[-1]").contains("tensor `w`: invalid value: integer `-1`"));
    assert!(with("[0,16]", "[16,0]").contains("`data_offsets` are [16, 0]"));
    assert!(with("\"shape\":[2,2],", "").contains("tensor `w`: missing field `shape`"));
    assert!(
        with("\"w\"", "\"__metadata__\"").contains("`__metadata__`, `data_offsets`: found [0,16]; expected a text")
    );
    let two = |a: &str, b: &str| {
        let tensor = |at: &str| format!(r#"{{"dtype":"U8","shape":[4],"data_offsets":{at}}}"#);
        file(&format!(r#"{{"v":{},"{b}":{}}}"#, tensor("[0,4]"), tensor(a)), 8)
    };
    assert!(SafetensorsCheckpoint::from_bytes(Path::new("a"), two("[4,8]", "w")).is_ok());
    assert!(refused(two("[4,8]", "v")).contains("the name `v` comes twice"));
    assert!(refused(two("[2,6]", "w")).contains("tensor `w`: it begins at byte"));
}

/// A folder with this index, and two shards `one` and `two` with tensors `a`, `b` and `c`.
fn sharded(index: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let tensor = |name: &str, from: usize| {
        format!(
            r#""{name}":{{"dtype":"U8","shape":[1],"data_offsets":[{from},{}]}}"#,
            from + 1
        )
    };
    fs::write(
        folder.path().join("one"),
        file(&format!("{{{},{}}}", tensor("a", 0), tensor("b", 1)), 2),
    )
    .unwrap();
    fs::write(
        folder.path().join("two"),
        file(&format!("{{{},{}}}", tensor("c", 0), tensor("b", 1)), 2),
    )
    .unwrap();
    let path = folder.path().join(INDEX);
    fs::write(&path, index).unwrap();
    (folder, path)
}

#[test]
fn an_index_is_held_to_what_its_shards_hold() {
    let (folder, path) = sharded(r#"{"metadata":{},"weight_map":{"a":"one","b":"two","c":"two"}}"#);
    for path in [folder.path(), &path] {
        let checkpoint = SafetensorsCheckpoint::open(path).unwrap();
        assert_eq!(
            checkpoint.tensors().iter().map(|t| t.name.as_str()).collect::<Vec<_>>(),
            ["a", "b", "c"]
        );
        assert_eq!(*checkpoint.raw("b").unwrap().bytes, [1]);
    }
    let refused = |index: &str| {
        let (_folder, path) = sharded(index);
        SafetensorsCheckpoint::open(&path).unwrap_err().to_string()
    };
    let map = |map: &str| refused(&format!(r#"{{"weight_map":{{{map}}}}}"#));
    assert!(map(r#""a":"three""#).contains("the shard `three` is missing"));
    assert!(map(r#""c":"one""#).contains("one: there is no tensor `c`; expected it here by the index"));
    assert!(map(r#""a":"../one""#).contains("`weight_map`, `a`: found the file `../one`; expected a plain name"));
    assert!(map(r#""a":"/etc/passwd""#).contains("expected a plain name"));
    assert!(map(r#""a":"..""#).contains("expected a plain name"));
    assert!(map(r#""a":"""#).contains("expected a plain name"));
    assert!(map(r#""a":"one","a":"two""#).contains("the name `a` comes twice"));
    assert!(map("").contains("`weight_map` is empty"));
    assert!(refused("{}").contains("missing field `weight_map`"));
    assert!(refused("").contains("not the JSON that belongs here"));
}

#[test]
fn a_folder_without_tensors_says_what_was_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let message = SafetensorsCheckpoint::open(folder.path()).unwrap_err().to_string();
    assert!(
        message.contains("neither a file model.safetensors nor model.safetensors.index.json"),
        "{message}"
    );
    let message = SafetensorsCheckpoint::open(&folder.path().join("none"))
        .unwrap_err()
        .to_string();
    assert!(message.starts_with("cannot read"), "{message}");
}

fn valid() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(SINGLE);
    save_file(&path, &some()).unwrap();
    fs::read(path).unwrap()
}

proptest! {
    /// Whatever is done to a file, it is read or refused, and what is read lies within it. The reference accepts whatever we do.
    #[test]
    fn mutated_files_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = valid();
        for (place, byte) in edits {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(checkpoint) = SafetensorsCheckpoint::from_bytes(Path::new("a"), bytes.clone()) {
            let reference = safetensors::SafeTensors::deserialize(&bytes).unwrap();
            for tensor in checkpoint.tensors() {
                let raw = checkpoint.raw(&tensor.name).unwrap();
                prop_assert_eq!(raw.bytes.len(), tensor.bytes());
                prop_assert_eq!(&*raw.bytes, reference.tensor(&tensor.name).unwrap().data());
                let _ = checkpoint.read_f32(&tensor.name);
            }
        }
    }

}

proptest! {
    // Each case writes files.
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any tensors, in shards of any size, come back.
    #[test]
    fn saved_shards_read_back(
        tensors in prop::collection::hash_map("[a-zé.\"\\\\]{1,6}", (prop::collection::vec(0_usize..4, 0..3), 0_usize..3), 1..6),
        most in 1_usize..200,
    ) {
        let mut checkpoint = MemoryCheckpoint::new(Path::new("any"));
        let tensors: HashMap<String, (Vec<usize>, usize)> = tensors;
        for (name, (shape, dtype)) in &tensors {
            let numbers: Vec<f32> = (0..shape.iter().product()).map(|i| i as f32).collect();
            checkpoint.insert_f32(name, shape, &numbers, [Dtype::F32, Dtype::F16, Dtype::Bf16][*dtype]);
        }
        let folder = tempfile::tempdir().unwrap();
        save_shards(folder.path(), &checkpoint, most).unwrap();
        assert_same(&SafetensorsCheckpoint::open(folder.path()).unwrap(), &checkpoint);
    }
}
