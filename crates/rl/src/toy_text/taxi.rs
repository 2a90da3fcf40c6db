//! Fetching a passenger and taking them where they want to go.

use crate::render::board::{Board, Cell};
use crate::render::{Point, Rgb, Scene, palette};
use crate::tabular::{Outcome, TabularModel};

const SIDE: usize = 5;

/// Where passengers wait and want to go, by row and column.
const STOPS: [(usize, usize); 4] = [(0, 0), (0, 4), (4, 0), (4, 3)];

/// The passenger is in the taxi.
const RIDING: usize = 4;

/// The cells with a wall on their right.
const WALLS: [(usize, usize); 6] = [(0, 1), (1, 1), (3, 0), (4, 0), (3, 2), (4, 2)];

/// In the rain, a move succeeds so often.
const SUCCEEDS_IN_RAIN: f64 = 0.8;

/// A state: where the taxi is, where the passenger is, and where they want to go.
#[derive(Clone, Copy)]
struct Ride {
    row: usize,
    column: usize,
    passenger: usize,
    destination: usize,
}

impl Ride {
    fn from_index(index: usize) -> Self {
        Self {
            row: index / 100,
            column: index / 20 % SIDE,
            passenger: index / 4 % SIDE,
            destination: index % 4,
        }
    }

    fn index(self) -> usize {
        ((self.row * SIDE + self.column) * SIDE + self.passenger) * 4 + self.destination
    }

    /// Whether the taxi can go down, up, right or left.
    fn can_go(self, direction: usize) -> bool {
        let Self { row, column, .. } = self;
        match direction {
            0 => row + 1 < SIDE,
            1 => row > 0,
            2 => column + 1 < SIDE && !WALLS.contains(&(row, column)),
            _ => column > 0 && !WALLS.contains(&(row, column - 1)),
        }
    }

    fn go(mut self, direction: usize) -> Self {
        match direction {
            0 => self.row += 1,
            1 => self.row -= 1,
            2 => self.column += 1,
            _ => self.column -= 1,
        }
        self
    }

    /// Picks the passenger up or puts them down: the ride after it, the reward, and whether the task is over.
    fn attend(mut self, picks_up: bool) -> (Self, f64, bool) {
        let here = STOPS.iter().position(|&stop| stop == (self.row, self.column));
        match here {
            Some(stop) if picks_up && self.passenger == stop => {
                self.passenger = RIDING;
                (self, -1.0, false)
            }
            Some(stop) if !picks_up && self.passenger == RIDING => {
                self.passenger = stop;
                let arrives = stop == self.destination;
                (self, if arrives { 20.0 } else { -1.0 }, arrives)
            }
            _ => (self, -10.0, false),
        }
    }
}

/// The taxi (Dietterich 2000): -1 for every step, 20 for taking the passenger where they want to go, -10 for picking up or
/// putting down in vain. Actions 0 to 3 go down, up, right and left, 4 picks up and 5 puts down. Where it is `rainy`, a move
/// that is possible goes to either side with probability 0.1 each, or nowhere where there is a wall. Driving against a wall, and
/// picking up or putting down in vain, are masked.
pub fn taxi(rainy: bool) -> TabularModel {
    let waits = |index: &u32| {
        let ride = Ride::from_index(*index as usize);
        ride.passenger != RIDING && ride.passenger != ride.destination
    };
    let first = (0..500).filter(waits).collect();
    let model = TabularModel::new(500, 6, first, |state, action| {
        let ride = Ride::from_index(state);
        let outcome = |(ride, reward, terminated): (Ride, f64, bool), probability: f64| Outcome {
            probability,
            next: ride.index() as u32,
            reward,
            terminated,
        };
        if action >= 4 {
            return vec![outcome(ride.attend(action == 4), 1.0)];
        }
        let drive = |direction: usize, probability: f64| {
            let next = if ride.can_go(direction) {
                ride.go(direction)
            } else {
                ride
            };
            outcome((next, -1.0, false), probability)
        };
        if !rainy {
            return vec![drive(action, 1.0)];
        }
        let aside = (1.0 - SUCCEEDS_IN_RAIN) / 2.0;
        if !ride.can_go(action) {
            let stays = (ride, -1.0, false);
            return [SUCCEEDS_IN_RAIN, aside, aside]
                .map(|probability| outcome(stays, probability))
                .to_vec();
        }
        // Left and right as the driver sees them.
        let (left, right) = [(2, 3), (3, 2), (1, 0), (0, 1)][action];
        vec![drive(action, SUCCEEDS_IN_RAIN), drive(left, aside), drive(right, aside)]
    });
    model.with_action_mask().with_picture(picture)
}

/// The colours of the stops.
const COLOURS: [Rgb; 4] = [
    Rgb(0xf3, 0xb5, 0xb0),
    Rgb(0xb4, 0xdf, 0xc8),
    Rgb(0xfb, 0xe3, 0xa4),
    Rgb(0xb5, 0xcb, 0xf1),
];

/// The town, with the passenger and a flag where they want to go.
fn picture(state: u32) -> Scene {
    let ride = Ride::from_index(state as usize);
    let cells = (0..SIDE * SIDE).map(|cell| {
        let stop = STOPS.iter().position(|&(row, column)| cell == row * SIDE + column);
        stop.map_or(Cell::Floor, |stop| Cell::Stop(COLOURS[stop]))
    });
    let board = Board::new(SIDE, cells.collect());
    let centre = |row: usize, column: usize| board.centre(row * SIDE + column);
    let mut scene = board.scene();
    for (row, column) in WALLS {
        let [x, y] = centre(row, column);
        scene.line([[x + 50.0, y - 48.0], [x + 50.0, y + 48.0]], 10.0, palette::INK);
    }
    let (row, column) = STOPS[ride.destination];
    let [x, y] = centre(row, column);
    scene.line([[x + 16.0, y + 4.0], [x + 16.0, y - 38.0]], 5.0, palette::INK);
    scene.polygon(
        [[x + 16.0, y - 40.0], [x + 42.0, y - 30.0], [x + 16.0, y - 20.0]],
        palette::GREEN,
    );
    if let Some(&(row, column)) = STOPS.get(ride.passenger) {
        let [x, y] = centre(row, column);
        person(&mut scene, [x - 24.0, y - 12.0]);
    }
    car(&mut scene, centre(ride.row, ride.column), ride.passenger == RIDING);
    scene
}

/// Somebody whose neck is at `[x, y]`.
fn person(scene: &mut Scene, [x, y]: Point) {
    scene.disc([x, y - 14.0], 10.0, palette::INK);
    scene.rectangle([x, y + 12.0], [30.0, 26.0], 12.0, palette::INK);
}

/// The taxi in a cell.
fn car(scene: &mut Scene, [x, y]: Point, occupied: bool) {
    let place = |[right, down]: Point| [x + right, y + down];
    let cabin = [[-26.0, 8.0], [-18.0, -12.0], [16.0, -12.0], [26.0, 8.0]].map(place);
    scene.polygon(cabin, palette::YELLOW).line(cabin, 6.0, palette::YELLOW);
    let window = [[-19.0, 6.0], [-13.0, -7.0], [12.0, -7.0], [19.0, 6.0]].map(place);
    scene.polygon(window, palette::WHITE);
    if occupied {
        scene.disc([x, y - 1.0], 7.0, palette::INK);
    }
    scene.rectangle(
        [x, y - 18.0],
        [16.0, 8.0],
        3.0,
        if occupied { palette::RED } else { palette::GREEN },
    );
    scene.rectangle([x, y + 17.0], [84.0, 24.0], 9.0, palette::YELLOW);
    for wheel in [-22.0, 22.0] {
        scene.disc([x + wheel, y + 29.0], 10.0, palette::INK);
        scene.disc([x + wheel, y + 29.0], 4.0, palette::RULE);
    }
}
