//! Files that other programs wrote (`scripts/hub_fixtures.py`), and what those programs read in them.

use std::path::{Path, PathBuf};

use etude_hub::{Checkpoint, Dtype, GgufCheckpoint, SafetensorsCheckpoint};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

#[test]
fn every_type_of_blocks_is_read_bit_by_bit_as_the_gguf_package_does() {
    let expected = SafetensorsCheckpoint::open(&fixture("llama.gguf.expected.safetensors")).unwrap();
    let found = GgufCheckpoint::open(&fixture("llama.gguf")).unwrap();
    assert_eq!(expected.metadata("format"), None);
    let names = |checkpoint: &dyn Checkpoint| {
        let names = checkpoint
            .tensors()
            .iter()
            .map(|tensor| (tensor.name.clone(), tensor.shape.clone()));
        names.collect::<Vec<_>>()
    };
    assert_eq!(names(&found), names(&expected));
    for tensor in found.tensors() {
        let bits = |numbers: Vec<f32>| numbers.into_iter().map(f32::to_bits).collect::<Vec<_>>();
        let (found, expected) = (found.read_f32(&tensor.name), expected.read_f32(&tensor.name));
        assert_eq!(bits(found.unwrap()), bits(expected.unwrap()), "{tensor:?}");
    }
    let mut types: Vec<_> = found.tensors().iter().map(|tensor| tensor.dtype.to_string()).collect();
    types.sort();
    types.dedup();
    let all = [
        "BF16", "F16", "F32", "Q4_0", "Q4_1", "Q4_K", "Q5_0", "Q5_1", "Q5_K", "Q6_K", "Q8_0",
    ];
    assert_eq!(types, all);
    assert_eq!(found.info("lm_head.weight").unwrap().dtype, Dtype::Bf16);
}

#[test]
fn a_tokenizer_of_the_gguf_package_is_read() {
    let found = GgufCheckpoint::open(&fixture("llama.gguf")).unwrap();
    assert_eq!(found.version(), 3);
    let tokenizer = found.tokenizer().unwrap();
    assert_eq!(
        (tokenizer.model.as_str(), tokenizer.pre.as_deref()),
        ("gpt2", Some("smollm"))
    );
    assert_eq!(tokenizer.tokens, ["<s>", "</s>", "h", "e", "he", "Ġ"]);
    assert_eq!(tokenizer.types.as_deref(), Some(&[3, 3, 1, 1, 1, 1][..]));
    assert_eq!(tokenizer.merges.as_deref(), Some(&["h e".to_owned()][..]));
    assert_eq!(
        (tokenizer.bos, tokenizer.eos, tokenizer.padding),
        (Some(0), Some(1), None)
    );
    assert_eq!((tokenizer.add_bos, tokenizer.add_eos), (Some(true), None));
    let templates: Vec<_> = tokenizer.chat_templates.iter().collect();
    assert_eq!(templates, [("default", "{{ messages }}"), ("rag", "{{ documents }}")]);
}

#[test]
fn files_are_known_by_how_they_begin() {
    let folder = tempfile::tempdir().unwrap();
    let counts = [
        ("llama.gguf", 42),
        ("llama.gguf.expected.safetensors", 42),
        ("zip.pth", 21),
        ("legacy.pth", 21),
        ("protocol4.pth", 21),
    ];
    for (name, count) in counts {
        // Whatever the name.
        let path = folder.path().join("file");
        std::fs::copy(fixture(name), &path).unwrap();
        assert_eq!(etude_hub::open(&path).unwrap().tensors().len(), count, "{name}");
    }
    let old = folder.path().join("pytorch_model.bin");
    std::fs::copy(fixture("zip.pth"), &old).unwrap();
    assert_eq!(etude_hub::open(folder.path()).unwrap().tensors().len(), 21);
    std::fs::write(&old, "").unwrap();
    let message = etude_hub::open(&old).unwrap_err().to_string();
    assert!(
        message.contains("the file is empty; expected safetensors, GGUF or a file of PyTorch's"),
        "{message}"
    );
}
