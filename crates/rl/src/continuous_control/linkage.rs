//! Rods that are hinged to a base or to each other and move in a plane.

use crate::elimination::solve;
use crate::trigonometry::sin_cos;

/// A uniform thin rod.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rod {
    pub(super) mass: f64,
    pub(super) length: f64,
}

/// `L` rods, by the two tables that their equations of motion need.
///
/// With the angle theta_i of each rod from upright, clockwise, and the base at x, Lagrange's equations (Goldstein,
/// Classical Mechanics, section 1.4) are, for each rod,
///
/// h_i cos theta_i x'' + sum_j m_ij (cos(theta_i - theta_j) theta_j'' + sin(theta_i - theta_j) theta_j'^2)
/// = g h_i sin theta_i + q_i,
///
/// and for a base of mass M on a rail, with all rods' mass added to it,
///
/// M x'' + sum_i h_i (cos theta_i theta_i'' - sin theta_i theta_i'^2) = f,
///
/// where q_i is the torque on rod i, f the force on the base, and with a_ki the share of rod i in the place of the centre
/// of rod k: m_ij = sum_k m_k a_ki a_kj (and m_i l_i^2 / 12 more where i = j), h_i = sum_k m_k a_ki.
#[derive(Debug, Clone, Copy)]
pub(super) struct Linkage<const L: usize> {
    /// m_ij.
    inertia: [[f64; L]; L],
    /// h_i.
    moment: [f64; L],
    mass: f64,
}

impl<const L: usize> Linkage<L> {
    /// Each rod hangs on the end of the one before, the first on the base.
    pub(super) fn serial(rods: [Rod; L]) -> Self {
        Self::new(rods, |rod, before| before < rod)
    }

    /// Every rod hangs on the base.
    pub(super) fn parallel(rods: [Rod; L]) -> Self {
        Self::new(rods, |_, _| false)
    }

    /// `carried_by(k, i)`: whether rod k hangs, at last, on the end of rod i.
    fn new(rods: [Rod; L], carried_by: impl Fn(usize, usize) -> bool) -> Self {
        let share = |k: usize, i: usize| {
            if k == i {
                rods[k].length / 2.0
            } else if carried_by(k, i) {
                rods[i].length
            } else {
                0.0
            }
        };
        let sum = |term: &dyn Fn(usize) -> f64| (0..L).map(|k| rods[k].mass * term(k)).sum::<f64>();
        let mut inertia: [[f64; L]; L] =
            std::array::from_fn(|i| std::array::from_fn(|j| sum(&|k| share(k, i) * share(k, j))));
        for (i, rod) in rods.iter().enumerate() {
            inertia[i][i] += rod.mass * rod.length * rod.length / 12.0;
        }
        Self {
            inertia,
            moment: std::array::from_fn(|i| sum(&|k| share(k, i))),
            mass: sum(&|_| 1.0),
        }
    }

    /// The angular accelerations where the base does not move.
    #[inline]
    pub(super) fn on_fixed_base(
        &self,
        angles: [f64; L],
        rotations: [f64; L],
        torques: [f64; L],
        gravity: f64,
    ) -> [f64; L] {
        let turned = angles.map(sin_cos);
        let (matrix, side) = self.equations(&turned, rotations, torques, gravity);
        let ([accelerations], _) = solve(matrix, [side]);
        accelerations
    }

    /// The acceleration of a base of mass `base` that a force pushes, and those of the angles.
    #[inline]
    pub(super) fn on_cart(
        &self,
        base: f64,
        angles: [f64; L],
        rotations: [f64; L],
        force: f64,
        gravity: f64,
    ) -> (f64, [f64; L]) {
        let turned = angles.map(sin_cos);
        let (matrix, side) = self.equations(&turned, rotations, [0.0; L], gravity);
        let coupling = std::array::from_fn(|i| self.moment[i] * turned[i].1);
        // Were the base at rest, and what a unit of its acceleration takes away.
        let ([at_rest, response], _) = solve(matrix, [side, coupling]);
        let (mut force, mut mass) = (force, base + self.mass);
        for i in 0..L {
            force += self.moment[i] * turned[i].0 * rotations[i] * rotations[i] - coupling[i] * at_rest[i];
            mass -= coupling[i] * response[i];
        }
        let acceleration = force / mass;
        (
            acceleration,
            std::array::from_fn(|i| at_rest[i] - acceleration * response[i]),
        )
    }

    /// The matrix of the rods' equations, and their right-hand side with the base at rest, from sine and cosine of the angles.
    #[inline]
    fn equations(
        &self,
        turned: &[(f64, f64); L],
        rotations: [f64; L],
        torques: [f64; L],
        gravity: f64,
    ) -> ([[f64; L]; L], [f64; L]) {
        let mut matrix = self.inertia;
        let mut side = torques;
        for i in 0..L {
            let (sin, cos) = turned[i];
            side[i] += gravity * self.moment[i] * sin;
            for j in 0..L {
                let (other_sin, other_cos) = turned[j];
                matrix[i][j] *= cos * other_cos + sin * other_sin;
                let centrifugal = self.inertia[i][j] * (sin * other_cos - cos * other_sin);
                side[i] -= centrifugal * rotations[j] * rotations[j];
            }
        }
        (matrix, side)
    }
}
