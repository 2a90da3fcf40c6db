//! The fields of rotary embeddings, in the forms that config.json has had them in.
//!
//! transformers 4 wrote `rope_theta` and `rope_scaling`; transformers 5 writes `rope_parameters` with the theta inside,
//! for Gemma 3 by type of layer. `rope_scaling` wins where both are there.

use super::fields::Fields;
use super::rotary::{Rotary, RotaryScaling, yarn_attention_factor};
use crate::LmError;

/// The one rotary embedding of every family but Gemma 3.
pub(super) fn rotary(fields: &mut Fields<'_>, head_size: usize, context: usize) -> Result<Rotary, LmError> {
    let theta = fields.positive("rope_theta")?.unwrap_or(10_000.0);
    whole_head(fields)?;
    let original = fields.count("original_max_position_embeddings")?;
    let parameters = fields.object("rope_parameters")?;
    match fields.object("rope_scaling")?.or(parameters) {
        Some(object) => scaled(object, theta, head_size, original, context),
        None => Ok(Rotary::new(theta, RotaryScaling::Default, head_size)),
    }
}

/// Gemma 3's two: of layers that see everything, and of layers with a window.
pub(super) fn gemma3_rotaries(
    fields: &mut Fields<'_>,
    head_size: usize,
    context: usize,
) -> Result<Vec<Rotary>, LmError> {
    let global_theta = fields.positive("rope_theta")?.unwrap_or(1_000_000.0);
    let local_theta = fields.positive("rope_local_base_freq")?.unwrap_or(10_000.0);
    whole_head(fields)?;
    let scaling = fields.object("rope_scaling")?;
    let (mut global, mut local) = (None, None);
    if let Some(mut by_layer) = fields.object("rope_parameters")? {
        global = by_layer.object("full_attention")?;
        local = by_layer.object("sliding_attention")?;
        by_layer.finish()?;
    }
    let global_theta = match global.as_mut() {
        Some(object) => object.positive("rope_theta")?.unwrap_or(global_theta),
        None => global_theta,
    };
    [(scaling.or(global), global_theta), (local, local_theta)]
        .into_iter()
        .map(|(object, theta)| match object {
            Some(object) => scaled(object, theta, head_size, None, context),
            None => Ok(Rotary::new(theta, RotaryScaling::Default, head_size)),
        })
        .collect()
}

/// One object of parameters; `theta` is what holds where it names none.
fn scaled(
    mut fields: Fields<'_>,
    theta: f64,
    head_size: usize,
    original: Option<usize>,
    context: usize,
) -> Result<Rotary, LmError> {
    whole_head(&mut fields)?;
    let theta = fields.positive("rope_theta")?.unwrap_or(theta);
    let older = fields.text("type")?.unwrap_or("default");
    let kind = fields.text("rope_type")?.unwrap_or(older);
    let scaling = match kind {
        "default" => RotaryScaling::Default,
        "linear" => RotaryScaling::Linear {
            factor: required(&mut fields, "factor")?,
        },
        "llama3" => RotaryScaling::Llama3 {
            factor: required(&mut fields, "factor")?,
            low_frequency_factor: required(&mut fields, "low_freq_factor")?,
            high_frequency_factor: required(&mut fields, "high_freq_factor")?,
            original_context: original_context(&mut fields, original, context)?,
        },
        "yarn" => yarn(&mut fields, original, context)?,
        other => {
            return Err(fields.error(
                "rope_type",
                other,
                "default, linear, llama3 or yarn; other scalings are not supported",
            ));
        }
    };
    fields.finish()?;
    Ok(Rotary::new(theta, scaling, head_size))
}

fn yarn(fields: &mut Fields<'_>, original: Option<usize>, context: usize) -> Result<RotaryScaling, LmError> {
    let factor = required(fields, "factor")?;
    let mscale = fields.number("mscale")?;
    let mscale_all_dim = fields.number("mscale_all_dim")?;
    let weighed = yarn_attention_factor(factor, mscale, mscale_all_dim);
    let attention_factor = match fields.positive("attention_factor")? {
        Some(given) => given,
        None if (1e-30..=1e30).contains(&weighed) => weighed,
        None => {
            let expected = "weights that give attention a factor from 1e-30 to 1e30";
            return Err(fields.error("mscale", &format!("weights that give {weighed}"), expected));
        }
    };
    Ok(RotaryScaling::Yarn {
        factor,
        beta_fast: fields.number("beta_fast")?.filter(|beta| *beta != 0.0).unwrap_or(32.0),
        beta_slow: fields.number("beta_slow")?.filter(|beta| *beta != 0.0).unwrap_or(1.0),
        truncate: fields.flag("truncate")?.unwrap_or(true),
        original_context: original_context(fields, original, context)?,
        attention_factor,
    })
}

/// The field beside the parameters wins over the one among them.
fn original_context(fields: &mut Fields<'_>, beside: Option<usize>, context: usize) -> Result<usize, LmError> {
    let among = fields.count("original_max_position_embeddings")?;
    Ok(beside.or(among).unwrap_or(context))
}

fn required(fields: &mut Fields<'_>, name: &'static str) -> Result<f64, LmError> {
    match fields.positive(name)? {
        Some(value) => Ok(value),
        None => Err(fields.error(name, "nothing", "a number above zero")),
    }
}

/// Heads that are rotated in part only are not here.
fn whole_head(fields: &mut Fields<'_>) -> Result<(), LmError> {
    match fields.number("partial_rotary_factor")? {
        None | Some(1.0) => Ok(()),
        Some(part) => Err(fields.error("partial_rotary_factor", &part.to_string(), "1")),
    }
}
