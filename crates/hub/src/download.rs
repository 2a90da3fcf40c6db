//! Downloading a model into the cache, by the crate `hf-hub`.

use std::path::Path;

use hf_hub::api::sync::{ApiBuilder, ApiError};

/// Downloads what is read of a model: configurations, tokenizer, template and tensors; of a model without safetensors its one GGUF
/// file.
pub(crate) fn download(name: &str, cache: &Path) -> Result<(), String> {
    let failed = |error: ApiError| error.to_string();
    let builder = ApiBuilder::from_env().with_cache_dir(cache.into()).with_progress(false);
    let model = builder.build().map_err(failed)?.model(name.into());
    let files: Vec<_> = model
        .info()
        .map_err(failed)?
        .siblings
        .into_iter()
        .map(|file| file.rfilename)
        .collect();
    for file in wanted(&files)? {
        model.get(file).map_err(failed)?;
    }
    Ok(())
}

/// The files that are read here, among all of a model's.
fn wanted(files: &[String]) -> Result<Vec<&str>, String> {
    let here = files.iter().map(String::as_str).filter(|file| !file.contains('/'));
    let ending = |end: &'static str| here.clone().filter(move |file| file.ends_with(end));
    if ending(".safetensors").next().is_some() {
        let ends = [".json", ".jinja", ".safetensors", "tokenizer.model", "merges.txt"];
        return Ok(ends.into_iter().flat_map(ending).collect());
    }
    let quantised: Vec<_> = ending(".gguf").collect();
    match quantised.len() {
        0 => Err("the model has neither safetensors nor GGUF files".into()),
        1 => Ok(quantised),
        _ => Err(format!(
            "the model has several GGUF files; download one of {}",
            quantised.join(", ")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::wanted;

    #[test]
    fn only_what_is_read_is_downloaded() {
        let files = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let all = files(&[
            "README.md",
            "config.json",
            "model.safetensors",
            "onnx/model.safetensors",
            "a.gguf",
            "merges.txt",
        ]);
        assert_eq!(
            wanted(&all).unwrap(),
            ["config.json", "model.safetensors", "merges.txt"]
        );
        assert_eq!(wanted(&files(&["README.md", "a.gguf"])).unwrap(), ["a.gguf"]);
        assert!(
            wanted(&files(&["a.gguf", "b.gguf"]))
                .unwrap_err()
                .contains("one of a.gguf, b.gguf")
        );
        assert!(
            wanted(&files(&["README.md"]))
                .unwrap_err()
                .contains("neither safetensors nor GGUF")
        );
    }
}
