//! Every Gymnasium toy-text environment, against SciPy's solution in the fixture.

use crate::common::{Known, check_against_scipy, fixtures};

#[test]
fn every_environment_is_solved_to_scipys_values_by_every_method() {
    let environments = fixtures::<[Known; 2]>("gymnasium", "solutions");
    assert_eq!(environments.len(), 8);
    for (name, model, known) in environments {
        for known in known {
            check_against_scipy(&name, &model, &known);
        }
    }
}
