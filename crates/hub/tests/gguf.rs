//! GGUF: read, and refused where something is wrong. The files are made here; `tests/published.rs` reads those of others.

use std::path::Path;

use etude_hub::gguf::{MetadataArray, MetadataValue};
use etude_hub::safetensors::save_file;
use etude_hub::{Checkpoint, Converted, Dtype, GgufCheckpoint, SafetensorsCheckpoint};
use etude_kernels::quantized::BlockType;
use proptest::prelude::*;

/// A file in the making.
#[derive(Clone, Default)]
struct Gguf {
    values: Vec<Vec<u8>>,
    tensors: Vec<Vec<u8>>,
    data: Vec<u8>,
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

impl Gguf {
    /// A model of this architecture.
    fn of(architecture: &str) -> Self {
        Self::default().value("general.architecture", 8, &text(architecture))
    }

    fn value(mut self, key: &str, kind: u32, bytes: &[u8]) -> Self {
        self.values.push([&text(key), &kind.to_le_bytes()[..], bytes].concat());
        self
    }

    fn array(self, key: &str, kind: u32, count: u64, elements: &[u8]) -> Self {
        self.value(
            key,
            9,
            &[&kind.to_le_bytes()[..], &count.to_le_bytes(), elements].concat(),
        )
    }

    fn texts(self, key: &str, texts: &[&str]) -> Self {
        let elements: Vec<u8> = texts.iter().flat_map(|t| text(t)).collect();
        self.array(key, 8, texts.len() as u64, &elements)
    }

    /// A tensor whose place is after those before it.
    fn tensor(mut self, name: &str, dimensions: &[u64], kind: u32, data: &[u8]) -> Self {
        self.data.resize(self.data.len().next_multiple_of(32), 0);
        let offset = self.data.len() as u64;
        self.data.extend(data);
        self.placed(name, dimensions, kind, offset)
    }

    fn placed(mut self, name: &str, dimensions: &[u64], kind: u32, offset: u64) -> Self {
        let mut bytes = text(name);
        bytes.extend((dimensions.len() as u32).to_le_bytes());
        bytes.extend(dimensions.iter().flat_map(|n| n.to_le_bytes()));
        bytes.extend(kind.to_le_bytes());
        bytes.extend(offset.to_le_bytes());
        self.tensors.push(bytes);
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = [&b"GGUF"[..], &3_u32.to_le_bytes()].concat();
        bytes.extend((self.tensors.len() as u64).to_le_bytes());
        bytes.extend((self.values.len() as u64).to_le_bytes());
        bytes.extend(self.values.concat());
        bytes.extend(self.tensors.concat());
        bytes.resize(bytes.len().next_multiple_of(32), 0);
        bytes.extend(&self.data);
        bytes
    }

    fn open(&self) -> GgufCheckpoint {
        GgufCheckpoint::from_bytes(Path::new("a.gguf"), self.bytes()).unwrap()
    }

    fn refused(&self) -> String {
        refused(self.bytes())
    }
}

fn refused(bytes: Vec<u8>) -> String {
    let error = GgufCheckpoint::from_bytes(Path::new("a.gguf"), bytes).expect_err("the file is wrong");
    error.to_string()
}

fn floats(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// Blocks of Q8_0, a row each of 32 numbers, all of them the row's number.
fn rows(count: u8) -> Vec<u8> {
    let row = |n: u8| [&[0, 0x3c][..], &[n; 32]].concat();
    (0..count).flat_map(row).collect()
}

/// A llama with 2 heads of 4 rows for queries, and 1 for keys.
fn llama() -> Gguf {
    Gguf::of("llama")
        .value("llama.attention.head_count", 4, &2_u32.to_le_bytes())
        .value("llama.attention.head_count_kv", 4, &1_u32.to_le_bytes())
        .value("tokenizer.ggml.model", 8, &text("gpt2"))
        .value("tokenizer.ggml.eos_token_id", 4, &1_u32.to_le_bytes())
        .value("tokenizer.ggml.add_bos_token", 7, &[1])
        .value("tokenizer.chat_template", 8, &text("{{ messages }}"))
        .texts("tokenizer.chat_templates", &["tool_use"])
        .value("tokenizer.chat_template.tool_use", 8, &text("{{ tools }}"))
        .texts("tokenizer.ggml.tokens", &["a", "é"])
        .array("tokenizer.ggml.token_type", 5, 2, &[1, 0, 0, 0, 3, 0, 0, 0])
        .tensor("blk.0.attn_q.weight", &[32, 8], 8, &rows(8))
        .tensor("blk.0.attn_k.weight", &[32, 4], 8, &rows(4))
        .tensor("blk.0.attn_v.weight", &[32, 4], 8, &rows(4))
        .tensor("blk.0.attn_k.bias", &[4], 0, &floats(&[0.0, 1.0, 2.0, 3.0]))
        .tensor("output_norm.weight", &[2], 0, &floats(&[1.5, -2.0]))
        .tensor("rope_freqs.weight", &[2], 0, &floats(&[1.0, 8.0]))
        .tensor(
            "token_embd.weight",
            &[2, 3],
            1,
            &[0, 0x3c, 0, 0x40, 0, 0xbc, 0, 0, 0, 0, 0, 0x38],
        )
}

#[test]
fn llama_has_the_names_shapes_and_rows_of_transformers() {
    let llama = llama().open();
    let found: Vec<_> = llama
        .tensors()
        .iter()
        .map(|t| (t.name.as_str(), t.dtype, t.shape.as_slice()))
        .collect();
    let q8 = Dtype::Block(BlockType::Q8_0);
    assert_eq!(
        found,
        [
            ("model.embed_tokens.weight", Dtype::F16, &[3, 2][..]),
            ("model.layers.0.self_attn.k_proj.bias", Dtype::F32, &[4]),
            ("model.layers.0.self_attn.k_proj.weight", q8, &[4, 32]),
            ("model.layers.0.self_attn.q_proj.weight", q8, &[8, 32]),
            ("model.layers.0.self_attn.v_proj.weight", q8, &[4, 32]),
            ("model.norm.weight", Dtype::F32, &[2]),
        ]
    );
    assert_eq!(
        llama.read_f32("model.embed_tokens.weight").unwrap(),
        [1.0, 2.0, -1.0, 0.0, 0.0, 0.5]
    );
    assert_eq!(
        llama.read_f32("model.layers.0.self_attn.k_proj.bias").unwrap(),
        [0.0, 2.0, 1.0, 3.0]
    );
    let firsts = |name: &str| {
        let numbers = llama
            .read_f32(&format!("model.layers.0.self_attn.{name}.weight"))
            .unwrap();
        numbers.chunks(32).map(|row| row[31]).collect::<Vec<_>>()
    };
    assert_eq!(firsts("q_proj"), [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]);
    assert_eq!(firsts("k_proj"), [0.0, 2.0, 1.0, 3.0]);
    assert_eq!(firsts("v_proj"), [0.0, 1.0, 2.0, 3.0]);
    assert_eq!(llama.read_f32("model.norm.weight").unwrap(), [1.5, -2.0]);
    assert_eq!(llama.rope_factors().unwrap(), [1.0, 8.0]);
    let message = llama.raw("lm_head.weight").unwrap_err().to_string();
    assert!(
        message.starts_with("a.gguf: there is no tensor `lm_head.weight` among its 6"),
        "{message}"
    );
}

#[test]
fn the_tokenizer_and_its_templates_are_plain_data() {
    let llama = llama().open();
    let tokenizer = llama.tokenizer().unwrap();
    assert_eq!(tokenizer.model, "gpt2");
    assert_eq!(tokenizer.tokens, ["a", "é"]);
    assert_eq!(tokenizer.types.as_deref(), Some(&[1, 3][..]));
    assert_eq!(
        (tokenizer.bos, tokenizer.eos, tokenizer.add_bos),
        (None, Some(1), Some(true))
    );
    let templates: Vec<_> = tokenizer.chat_templates.iter().collect();
    assert_eq!(templates, [("default", "{{ messages }}"), ("tool_use", "{{ tools }}")]);
    assert!(Gguf::of("llama").open().tokenizer().is_none());
}

#[test]
fn gemma_norms_lose_the_one_that_was_added() {
    let gemma = Gguf::of("gemma3")
        .tensor("blk.7.ffn_norm.weight", &[2], 0, &floats(&[1.0, 0.25]))
        .tensor("blk.7.post_attention_norm.weight", &[2], 1, &[0, 0x3c, 0, 0x40])
        .tensor("blk.7.post_ffw_norm.weight", &[1], 0, &floats(&[3.0]))
        .tensor("blk.7.attn_q_norm.weight", &[1], 0, &floats(&[4.0]))
        .tensor("blk.7.attn_q.weight", &[1, 2], 0, &floats(&[5.0, 6.0]))
        .open();
    let read = |name: &str| gemma.read_f32(&format!("model.layers.7.{name}.weight")).unwrap();
    assert_eq!(read("pre_feedforward_layernorm"), [0.0, -0.75]);
    assert_eq!(read("post_attention_layernorm"), [0.0, 1.0]);
    assert_eq!(read("post_feedforward_layernorm"), [2.0]);
    assert_eq!(read("self_attn.q_norm"), [3.0]);
    assert_eq!(read("self_attn.q_proj"), [5.0, 6.0]);
    for tensor in gemma.tensors() {
        assert_eq!(tensor.dtype, Dtype::F32, "{}", tensor.name);
        assert_eq!(gemma.raw(&tensor.name).unwrap().bytes.len(), tensor.bytes());
    }
}

#[test]
fn values_of_every_type_are_read() {
    let file = Gguf::of("qwen3")
        .value("a", 0, &[200])
        .value("b", 1, &[200])
        .value("c", 2, &[1, 2])
        .value("d", 3, &[0xff, 0xff])
        .value("e", 5, &(-5_i32).to_le_bytes())
        .value("f", 6, &1.5_f32.to_le_bytes())
        .value("g", 10, &u64::MAX.to_le_bytes())
        .value("h", 11, &i64::MIN.to_le_bytes())
        .value("i", 12, &2.5_f64.to_le_bytes())
        .array("j", 6, 2, &floats(&[1.0, 2.0]))
        .array(
            "k",
            9,
            2,
            &[
                0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            ],
        )
        .array("l", 2, 1, &[7, 1])
        .open();
    let about = file.metadata();
    assert_eq!(about.architecture().unwrap(), "qwen3");
    assert_eq!(about.unsigned("a").unwrap(), Some(200));
    assert_eq!(about.values()["b"], MetadataValue::I8(-56));
    assert_eq!(about.unsigned("c").unwrap(), Some(513));
    assert_eq!(about.number("d").unwrap(), Some(-1.0));
    assert_eq!(
        about.unsigned("e").unwrap_err().to_string(),
        "a.gguf: `e`: found -5; expected an integer that is not negative"
    );
    assert_eq!(about.number("f").unwrap(), Some(1.5));
    assert_eq!(about.unsigned("g").unwrap(), Some(u64::MAX));
    assert_eq!(about.values()["h"], MetadataValue::I64(i64::MIN));
    assert_eq!(about.number("i").unwrap(), Some(2.5));
    assert_eq!(about.numbers("j").unwrap(), Some(&[1.0, 2.0][..]));
    let nested = MetadataArray::Array(vec![MetadataArray::U8(vec![9]), MetadataArray::Bool(vec![])]);
    assert_eq!(about.values()["k"], MetadataValue::Array(nested));
    assert_eq!(about.integers("l").unwrap(), Some(vec![263]));
    assert_eq!(
        about.text("f").unwrap_err().to_string(),
        "a.gguf: `f`: found a number; expected a text"
    );
    assert_eq!(about.boolean("none").unwrap(), None);
}

#[test]
fn broken_heads_are_refused_by_name() {
    assert!(refused(vec![]).contains("the first four bytes at byte 0: 0 bytes are left; expected 4"));
    assert!(refused(vec![0; 100]).contains("it begins with the bytes [0, 0, 0, 0]; expected `GGUF`"));
    let with = |at: usize, bytes: &[u8]| {
        let mut file = llama().bytes();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        refused(file)
    };
    assert!(with(4, &[1, 0, 0, 0]).contains("version: found 1; expected 2 or 3"));
    assert!(with(4, &[0, 0, 0, 3]).contains("big endian"));
    assert!(
        with(8, &u64::MAX.to_le_bytes()).contains("the number of tensors is 18446744073709551615; expected at most")
    );
    assert!(with(16, &(1_u64 << 40).to_le_bytes()).contains("the number of values is 1099511627776; expected at most"));
    assert!(with(24, &(1_u64 << 40).to_le_bytes()).contains("the name of value 0 is 1099511627776; expected at most"));
    assert!(with(32, &[0xff]).contains("the name of value 0: not UTF-8"));
    let file = llama().bytes();
    for cut in 0..file.len() {
        refused(file[..cut].to_vec());
    }
}

#[test]
fn broken_values_are_refused_by_name() {
    let llama = || Gguf::of("llama");
    assert!(Gguf::default().refused().contains("`general.architecture` is missing"));
    assert!(
        Gguf::of("mamba")
            .refused()
            .contains("`general.architecture`: found `mamba`; expected llama, qwen2, qwen3 or gemma3")
    );
    assert!(
        llama()
            .value("general.architecture", 7, &[0])
            .refused()
            .contains("the value `general.architecture` comes twice")
    );
    assert!(
        llama()
            .value("x", 13, &[0; 8])
            .refused()
            .contains("`x`: found a value of type 13")
    );
    assert!(
        llama()
            .value("x", 7, &[2])
            .refused()
            .contains("`x`: found the byte 2; expected 0 or 1")
    );
    assert!(
        llama()
            .array("x", 4, 1 << 61, &[0; 64])
            .refused()
            .contains("x is 2305843009213693952; expected at most")
    );
    assert!(
        llama()
            .array("x", 99, 1, &[0; 64])
            .refused()
            .contains("`x`: found a value of type 99")
    );
    let deep = [9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0].repeat(100);
    assert!(
        llama()
            .value("x", 9, &deep)
            .refused()
            .contains("`x`: arrays lie in one another deeper than 4")
    );
    for alignment in [0_u32, 3, 1 << 21] {
        let file = llama().value("general.alignment", 4, &alignment.to_le_bytes());
        assert!(file.refused().contains(&format!(
            "`general.alignment`: found {alignment}; expected a power of two"
        )));
    }
    assert!(
        llama()
            .value("split.count", 2, &[3, 0])
            .refused()
            .contains("one of the 3 files of a split model")
    );
    let with_tokenizer = || llama().value("tokenizer.ggml.model", 8, &text("gpt2"));
    assert!(
        with_tokenizer()
            .refused()
            .contains("`tokenizer.ggml.tokens` is missing")
    );
    let with_tokens = || with_tokenizer().texts("tokenizer.ggml.tokens", &["a"]);
    let scores = with_tokens().array("tokenizer.ggml.scores", 6, 2, &[0; 8]);
    assert!(
        scores
            .refused()
            .contains("`tokenizer.ggml.scores`: found 2; expected one for each of the 1 tokens")
    );
    let id = with_tokens().value("tokenizer.ggml.bos_token_id", 4, &[1, 0, 0, 0]);
    assert!(
        id.refused()
            .contains("`tokenizer.ggml.bos_token_id`: found 1; expected the number of one of the 1 tokens")
    );
}

#[test]
fn broken_tensors_are_refused_by_name() {
    let file = || Gguf::of("qwen2").tensor("output_norm.weight", &[8], 0, &[0; 32]);
    assert_eq!(file().open().tensors().len(), 1);
    let with = |name: &str, dimensions: &[u64], kind, offset| file().placed(name, dimensions, kind, offset).refused();
    assert!(with("output_norm.weight", &[8], 0, 32).contains("offset 32; expected to end within the 32 bytes"));
    assert!(with("output.weight", &[8], 0, 0).contains("begins at byte"));
    assert!(
        with("output.weight", &[8], 0, 4)
            .contains("tensor `output.weight`: found the offset 4; expected a multiple of 32")
    );
    assert!(with("output.weight", &[8], 0, u64::MAX - 31).contains("expected to end within the 32 bytes of data"));
    assert!(
        with("output.weight", &[8], 10, 0)
            .contains("tensor `output.weight`: found type Q2_K; expected one of F32, F16, Q4_0")
    );
    assert!(with("output.weight", &[8], 77, 0).contains("found type 77"));
    assert!(with("output.weight", &[], 0, 0).contains("found 0 dimensions; expected 1 to 4"));
    assert!(with("output.weight", &[1; 5], 0, 0).contains("found 5 dimensions"));
    for dimensions in [
        &[0, 2][..],
        &[2, 0],
        &[1 << 33, 1 << 33],
        &[1 << 62],
        &[u64::MAX, u64::MAX, u64::MAX],
    ] {
        assert!(
            with("output.weight", dimensions, 0, 0).contains("expected none of length 0, a first one of whole blocks")
        );
    }
    // As many numbers as a block has, but not in one row.
    let message = with("output.weight", &[16, 2], 8, 0);
    assert!(message.contains("type Q8_0: found the dimensions [16, 2]"), "{message}");
    for name in [
        "x",
        "blk.0.attn_q_norm.weight",
        "blk.01.ffn_up.weight",
        "blk.+1.ffn_up.weight",
        "blk.0.ffn_up",
        "blk.0.attn_norm.bias",
        "blk.0.ffn_up_exps.weight",
    ] {
        let message = file().tensor(name, &[8], 0, &[0; 32]).refused();
        assert!(
            message.contains(&format!("tensor `{name}`: there is none of this name")),
            "{message}"
        );
    }
    let twice = file().tensor("output_norm.weight", &[8], 0, &[0; 32]);
    assert!(twice.refused().contains("the tensor `output_norm.weight` comes twice"));

    let q = |heads: u64, rows: u64| {
        let file = Gguf::of("llama").value("llama.attention.head_count", 10, &heads.to_le_bytes());
        file.tensor("blk.0.attn_q.weight", &[1, rows], 0, &vec![0; 4 * rows as usize])
    };
    assert_eq!(q(3, 6).open().tensors().len(), 1);
    assert!(q(3, 8).refused().contains("expected a multiple of 6 rows"));
    // Twice the last two would wrap around to other numbers.
    for heads in [0, 1 << 31, (1 << 63) + 1, u64::MAX] {
        let expected = format!(
            "`llama.attention.head_count`: found {heads} for layer 0; expected a number of heads from 1 to 2^30"
        );
        assert!(q(heads, 8).refused().contains(&expected));
    }
    assert!(
        q(1 << 30, 8)
            .refused()
            .contains("expected a multiple of 2147483648 rows")
    );
}

proptest! {
    /// Whatever is done to a file, it is read or refused, and what is read has the size that was said.
    #[test]
    fn mutated_files_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = llama().bytes();
        for (place, byte) in edits {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(checkpoint) = GgufCheckpoint::from_bytes(Path::new("a"), bytes) {
            for tensor in checkpoint.tensors() {
                prop_assert_eq!(checkpoint.raw(&tensor.name).unwrap().bytes.len(), tensor.bytes());
                prop_assert_eq!(checkpoint.read_f32(&tensor.name).unwrap().len(), tensor.elements());
            }
        }
    }
}

#[test]
fn quantised_tensors_are_saved_once_they_are_converted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let llama = llama().open();
    let message = save_file(&path, &llama).unwrap_err().to_string();
    assert!(
        message.contains("`model.layers.0.self_attn.k_proj.weight` holds elements of type Q8_0"),
        "{message}"
    );
    assert!(!path.exists());
    save_file(&path, &Converted::new(&llama, Dtype::Bf16)).unwrap();
    let saved = SafetensorsCheckpoint::open(&path).unwrap();
    for tensor in llama.tensors() {
        assert_eq!(saved.info(&tensor.name).unwrap().dtype, Dtype::Bf16);
        // Small whole numbers and halves, which every type has.
        assert_eq!(
            saved.read_f32(&tensor.name).unwrap(),
            llama.read_f32(&tensor.name).unwrap()
        );
    }
}
