//! Small systems of linear equations, in arrays of a known size.

/// Solves A x = b for `R` right-hand sides and a symmetric positive definite A, by elimination without pivoting. With the
/// solutions comes the least pivot, which is positive for just such A; where it is not, the solutions mean nothing.
#[inline]
pub(crate) fn solve<const N: usize, const R: usize>(
    mut matrix: [[f64; N]; N],
    mut sides: [[f64; N]; R],
) -> ([[f64; N]; R], f64) {
    let mut least = f64::INFINITY;
    for pivot in 0..N {
        let above = matrix[pivot];
        least = least.min(above[pivot]);
        for row in pivot + 1..N {
            let factor = matrix[row][pivot] / above[pivot];
            for (entry, above) in matrix[row].iter_mut().zip(above).skip(pivot) {
                *entry -= factor * above;
            }
            for side in &mut sides {
                side[row] -= factor * side[pivot];
            }
        }
    }
    for side in &mut sides {
        for row in (0..N).rev() {
            let known: f64 = (row + 1..N).map(|column| matrix[row][column] * side[column]).sum();
            side[row] = (side[row] - known) / matrix[row][row];
        }
    }
    (sides, least)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn solutions_solve(root in prop::array::uniform4(prop::array::uniform4(-1.0..1.0_f64)), x in prop::array::uniform4(-1.0..1.0_f64)) {
            // R R^T + 0.1 I is positive definite.
            let matrix: [[f64; 4]; 4] = std::array::from_fn(|i| std::array::from_fn(|j| {
                let product: f64 = (0..4).map(|k| root[i][k] * root[j][k]).sum();
                product + if i == j { 0.1 } else { 0.0 }
            }));
            let side = matrix.map(|row| row.iter().zip(&x).map(|(a, x)| a * x).sum());
            let ([solution], least) = solve(matrix, [side]);
            prop_assert!(least > 0.0);
            for (found, expected) in solution.iter().zip(&x) {
                prop_assert!((found - expected).abs() < 1e-12 / 0.01, "{found} {expected}");
            }
        }
    }

    #[test]
    fn an_indefinite_matrix_is_seen() {
        let (_, least) = solve([[1.0, 2.0], [2.0, 1.0]], [[1.0, 0.0]]);
        assert!(least <= 0.0, "{least}");
        let (_, least) = solve([[2.0, 1.0], [1.0, 2.0]], [[1.0, 0.0]]);
        assert!(least > 0.0, "{least}");
    }
}
