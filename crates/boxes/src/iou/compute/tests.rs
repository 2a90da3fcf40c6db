//! Whatever vector instructions there are, results are the same to the last bit.

use pulp::Arch;

use super::{Differentiated, Elementwise, Rows, blocks};
use crate::instructions::sets;
use crate::iou::Metric;
use crate::{Boxes, Float, Format};

#[path = "../../../tests/common/mod.rs"]
mod common;

/// What a metric says of all pairs under each set of instructions.
struct Everywhere {
    p: Vec<[f64; 4]>,
    g: Vec<[f64; 4]>,
}

impl common::Visitor for Everywhere {
    fn visit<M: Metric<f64> + Metric<f32>>(&mut self, name: &str, metric: M) {
        self.check::<f64, M>(name, metric);
        self.check::<f32, M>(name, metric);
    }
}

impl Everywhere {
    fn check<T: Float, M: Metric<T>>(&self, name: &str, metric: M) {
        let [p, g] = [&self.p, &self.g].map(|boxes| boxes.iter().map(|one| one.map(T::of)).collect::<Vec<_>>());
        let view = |boxes| Boxes::rows(boxes, Format::Xyxy);
        let found = sets().into_iter().map(|set| answers(set, metric, view(&p), view(&g)));
        let found: Vec<Vec<u64>> = found.collect();
        assert!(found.len() > 1, "this machine has no vector instructions");
        for other in &found[1..] {
            assert!(*other == found[0], "{name}");
        }
    }
}

/// The bits of metrics, of all pairs of a few, of losses and of gradients.
fn answers<T: Float, M: Metric<T>>(set: Arch, metric: M, p: Boxes<'_, T>, g: Boxes<'_, T>) -> Vec<u64> {
    let index = 0;
    let mut values = vec![T::zero(); p.len()];
    set.dispatch(Elementwise {
        metric,
        a: p,
        b: g,
        index,
        values: &mut values,
    });
    let mut rows = vec![T::zero(); 5 * g.len()];
    set.dispatch(Rows {
        metric,
        a: p,
        first: 3,
        columns: &blocks(&metric, g),
        width: g.len(),
        values: &mut rows,
    });
    let (mut losses, mut gradients) = (vec![T::zero(); p.len()], vec![[T::zero(); 4]; p.len()]);
    set.dispatch(Differentiated {
        metric,
        predicted: p,
        targets: g,
        index,
        losses: &mut losses,
        gradients: &mut gradients,
    });
    let all = [values, rows, losses, gradients.into_flattened()].into_iter().flatten();
    all.map(|number| number.to_64().to_bits()).collect()
}

#[test]
fn all_instructions_say_the_same() {
    let (mut p, mut g) = common::pairs(1001);
    // Beside empty and inverted boxes also those that are not finite.
    (p[70][2], p[71][0], g[500][1]) = (f64::NAN, f64::INFINITY, -1e200);
    common::visit_metrics(&mut Everywhere { p, g });
}
