//! Pictures of the environments, from their states to files.

use std::collections::HashSet;
use std::f64::consts::{FRAC_PI_2, PI};
use std::io::Cursor;

use etude_rl::classic_control::{Acrobot, CarState, CartPole, MountainCar, MountainCarContinuous, Pendulum};
use etude_rl::continuous_control::{Cart, CartPoles, PendulumSwingUp, Reacher};
use etude_rl::render::{Frame, Recorder, Recording, Rgb, palette, record};
use etude_rl::{
    Autoreset, Batch, Dynamics, Env, Outcome, Policy, RlError, Space, Tabular, TabularModel, Vector, environments,
    make, make_drawn,
};
use etude_train::Seed;
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;

fn colours(frame: &Frame) -> HashSet<&[u8]> {
    frame.pixels().chunks_exact(4).collect()
}

/// Acts at random.
struct AtRandom(Space, ChaCha8Rng);

impl AtRandom {
    fn new(actions: &Space) -> Self {
        Self(actions.clone(), Seed(1).stream("actions"))
    }
}

impl Policy for AtRandom {
    fn act(&mut self, _: &[f32], actions: &mut [f32]) {
        self.0.sample(&mut self.1, actions);
    }
}

/// Two episodes of random actions.
fn recorded(id: &str, most_scenes: usize) -> Recording {
    let mut envs = make_drawn(id).unwrap();
    let mut policy = AtRandom::new(envs.action_space());
    record(&mut *envs, 1, 2, most_scenes, &mut policy).unwrap()
}

#[test]
fn a_recorder_sees_what_is_recorded() {
    let mut env = Recorder::new(make("CartPole-v1").unwrap(), 60).unwrap();
    let mut policy = AtRandom::new(env.action_space());
    let (mut observation, mut action) = ([0.0; 4], [0.0]);
    for episode in 0..2 {
        env.reset((episode == 0).then_some(1), &mut observation);
        loop {
            policy.act(&observation, &mut action);
            if env.step(&action, &mut observation).ends() {
                break;
            }
        }
    }
    let expected = recorded("CartPole-v1", 60);
    assert_eq!(expected.lengths.len(), 2, "{:?}", expected.lengths);
    assert_eq!(env.finish(), expected);
}

#[test]
fn every_environment_is_drawn() {
    for known in environments() {
        let scenes = recorded(known.id, 40).scenes;
        for scene in &scenes {
            let frame = scene.raster(64, 64);
            assert_eq!(frame, scene.raster(64, 64), "{}", known.id);
            assert!(colours(&frame).len() > 3, "{}", known.id);
        }
        let first = scenes[0].raster(200, 200);
        assert!(
            scenes.iter().any(|scene| scene.raster(200, 200) != first),
            "{}",
            known.id
        );
        assert_eq!(scenes, recorded(known.id, 40).scenes, "{}", known.id);
    }
}

#[test]
fn every_state_of_a_model_looks_different() {
    for known in environments() {
        let Some(model) = known.model().unwrap() else { continue };
        let pictures: HashSet<String> = (0..model.states() as u32)
            .map(|state| model.draw(&state).unwrap().svg())
            .collect();
        assert_eq!(pictures.len(), model.states(), "{}", known.id);
    }
}

/// The colours at some pixels of a state, drawn in the units of its scene.
fn pixels<D: Dynamics>(law: &D, state: D::State, places: &[(u16, u16)]) -> Vec<Rgb> {
    let scene = law.draw(&state).unwrap();
    let [width, height] = scene.size().map(|length| length as u16);
    let frame = scene.raster(width, height);
    places.iter().map(|&(x, y)| frame.pixel(x, y)).collect()
}

#[test]
fn a_pendulum_points_where_it_does() {
    // Above, to the left of, below and to the right of the pivot.
    let around = [(130, 50), (50, 130), (130, 210), (210, 130)];
    for (turns, angle) in [0.0, FRAC_PI_2, PI, -FRAC_PI_2].into_iter().enumerate() {
        let mut expected = [palette::PAPER; 4];
        expected[turns] = palette::ORANGE;
        assert_eq!(pixels(&Pendulum, [angle, 3.0], &around), expected, "{angle}");
    }
}

#[test]
fn a_pole_leans_to_its_side() {
    // The cart in the middle and the middle of a pole that leans by 0.2 radians to the left, not at all, or to the right.
    let places = [(300, 205), (270, 141), (280, 141), (290, 141)];
    for (side, angle) in [-0.2, 0.0, 0.2].into_iter().enumerate() {
        let seen = pixels(&CartPole, [0.0, 0.0, angle, 0.0], &places);
        assert_eq!(seen[0], palette::BLUE);
        assert_eq!(seen[1 + side], palette::ORANGE, "{angle}");
        assert_eq!(seen[3 - side] == palette::ORANGE, side == 1, "{angle}");
    }
    // A metre to the right.
    assert_eq!(pixels(&CartPole, [1.0, 0.0, 0.0, 0.0], &[(400, 205)]), [palette::BLUE]);
}

#[test]
fn an_acrobot_hangs_and_swings() {
    let (hanging, up) = ([0.0; 4], [PI, 0.0, 0.0, 0.0]);
    let places = [(230, 280), (230, 380), (230, 180), (230, 80)];
    let [blue, orange, paper] = [palette::BLUE, palette::ORANGE, palette::PAPER];
    assert_eq!(pixels(&Acrobot, hanging, &places), [blue, orange, paper, paper]);
    assert_eq!(pixels(&Acrobot, up, &places), [paper, paper, blue, orange]);
    // The first link to the right, the second one down from there.
    let bent = [FRAC_PI_2, -FRAC_PI_2, 0.0, 0.0];
    assert_eq!(pixels(&Acrobot, bent, &[(280, 230), (330, 290)]), [blue, orange]);
}

#[test]
fn a_car_is_where_it_is() {
    for position in [-1.2, -0.5, 0.5] {
        let scene = MountainCar.draw(&[position, 0.0]).unwrap();
        let frame = scene.raster(600, 400);
        let columns = (0..600).filter(|&x| (0..400).any(|y| frame.pixel(x, y) == palette::ORANGE));
        let columns: Vec<u16> = columns.collect();
        let middle = f64::from(columns[0] + columns[columns.len() - 1]) / 2.0;
        let expected = (position + 1.2) / 1.8 * 600.0;
        assert!((middle - expected).abs() < 25.0, "{position}: {middle} {expected}");
    }
}

#[test]
fn a_cart_goes_along_its_rail() {
    let places = [(280, 74), (380, 74), (500, 74)];
    let [blue, paper] = [palette::BLUE, palette::PAPER];
    for (position, expected) in [(0.0, [blue, paper, paper]), (1.0, [paper, blue, paper])] {
        assert_eq!(pixels(&Cart, [position, 0.0], &places), expected, "{position}");
    }
    // Far away it stays in sight, and the mark of the middle does not.
    assert_eq!(pixels(&Cart, [9.0, 0.0], &[(500, 74)]), [blue]);
    let marks = |position| pixels(&Cart, [position, 0.0], &[(280, 114)])[0];
    assert_eq!((marks(0.0), marks(100.0)), (palette::GREEN, palette::PAPER));
}

#[test]
fn poles_stand_and_hang_in_a_row_or_side_by_side() {
    let [orange, yellow, paper] = [palette::ORANGE, palette::YELLOW, palette::PAPER];
    // A metre is 100 pixels long; the axle is at (280, 150).
    let up = [(280, 125), (280, 75), (280, 20)];
    assert_eq!(
        pixels(&CartPoles::serial_double(), [0.0; 6], &up),
        [orange, yellow, paper]
    );
    let bent = [0.0, FRAC_PI_2, 0.0, 0.0, 0.0, 0.0];
    let places = [(305, 150), (330, 120), (280, 120)];
    let expected = [orange, yellow, paper];
    // The cart does not hide a pole that lies before it.
    assert_eq!(pixels(&CartPoles::serial_double(), bent, &places), expected);
    let places = [(370, 150), (280, 110), (330, 120)];
    assert_eq!(pixels(&CartPoles::parallel_double(), bent, &places), expected);
    let hanging = [0.0, PI, 0.0, 0.0];
    assert_eq!(
        pixels(&CartPoles::swing_up(), hanging, &[(280, 240), (280, 60)]),
        [orange, paper]
    );
}

#[test]
fn an_arm_reaches_for_what_is_green() {
    let law = Reacher::<2, 6>::random_target();
    // To the right and then up; the target to the left. A metre is 180 pixels long.
    let state = [0.0, FRAC_PI_2, 0.0, 0.0, -0.8, 0.0];
    let places = [(240, 200), (290, 150), (56, 200), (300, 300)];
    let expected = [palette::BLUE, palette::ORANGE, palette::GREEN, palette::PAPER];
    assert_eq!(pixels(&law, state, &places), expected);
}

fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![
        -10.0..10.0_f64,
        prop::num::f64::ANY,
        Just(f64::INFINITY),
        Just(f64::NAN)
    ]
}

proptest! {
    #[test]
    fn states_far_from_any_that_can_be_reached_are_drawn(
        state in [any_number(), any_number(), any_number(), any_number()],
        (width, height) in (1..80_u16, 1..80_u16),
    ) {
        let two = [state[0], state[1]];
        let scenes = [
            CartPole.draw(&state),
            Acrobot.draw(&state),
            MountainCar.draw(&two),
            MountainCarContinuous.draw(&CarState::First(two)),
            Pendulum.draw(&two),
            PendulumSwingUp.draw(&two),
            Cart.draw(&two),
            CartPoles::swing_up().draw(&state),
            Reacher::<1, 4>::fixed_target().draw(&state),
        ];
        for scene in scenes {
            let frame = scene.unwrap().raster(width, height);
            prop_assert_eq!(frame.pixels().len(), usize::from(width) * usize::from(height) * 4);
        }
    }
}

#[test]
fn vector_environments_show_each() {
    for id in ["CartPole-v1", "Pendulum-v1", "MountainCarContinuous-v0", "Taxi-v4"] {
        let known = etude_rl::registered(id).unwrap();
        let mut envs = known.make_vector(3, Autoreset::NextStep).unwrap();
        let mut batch = Batch::for_envs(&*envs);
        envs.reset(Some(5), &mut batch).unwrap();
        for index in 0..3 {
            let mut env = known.make().unwrap();
            let mut observation = vec![0.0; env.observation_space().length()];
            env.reset(Some(5 + index), &mut observation);
            let scene = env.render();
            assert!(scene.is_some() && envs.render(index as usize) == scene, "{id} {index}");
        }
    }
}

#[test]
fn a_recording_holds_whole_episodes() {
    let recording = recorded("CartPole-v1", 1000);
    assert_eq!((recording.returns.len(), recording.lengths.len()), (2, 2));
    // The first scene of an episode is there before any step.
    let steps: usize = recording.lengths.iter().sum();
    assert_eq!(recording.scenes.len(), steps + 2);
    for (earned, &length) in recording.returns.iter().zip(&recording.lengths) {
        assert_eq!(*earned as usize, length);
    }
    let cut = recorded("CartPole-v1", recording.lengths[0] + 5);
    assert_eq!(cut.scenes, recording.scenes[..recording.lengths[0] + 5]);
    assert_eq!(cut.lengths, recording.lengths[..1]);
}

#[test]
fn every_recording_becomes_a_gif() {
    for known in environments() {
        let recording = recorded(known.id, 12);
        let rate = known.frames_per_second;
        let bytes = recording.gif(Vec::new(), 120, rate).unwrap();
        assert_eq!(
            bytes,
            recorded(known.id, 12).gif(Vec::new(), 120, rate).unwrap(),
            "{}",
            known.id
        );
        let mut decoder = gif::DecodeOptions::new().read_info(Cursor::new(bytes)).unwrap();
        assert_eq!(
            (decoder.width(), decoder.height()),
            (120, recording.scenes[0].height_for(120))
        );
        let mut delays = Vec::new();
        while let Some(frame) = decoder.read_next_frame().unwrap() {
            delays.push(u32::from(frame.delay));
        }
        assert_eq!(delays.len(), recording.scenes.len(), "{}", known.id);
        assert_eq!(
            delays.iter().sum::<u32>(),
            delays.len() as u32 * 100 / rate,
            "{}",
            known.id
        );
    }
}

#[test]
fn what_has_no_picture_is_not_recorded() {
    let model = TabularModel::new(1, 1, vec![0], |_, _| {
        [Outcome {
            probability: 1.0,
            next: 0,
            reward: 0.0,
            terminated: true,
        }]
    });
    let mut envs = Vector::new(vec![Tabular::new(model)], Autoreset::Disabled);
    let mut policy = AtRandom::new(&Space::Discrete(1));
    let error = record(&mut envs, 1, 1, 10, &mut policy).unwrap_err();
    assert_eq!(error.to_string(), "there is no picture of this environment");
    assert!(matches!(
        Recording::default().gif(Vec::new(), 10, 10),
        Err(RlError::NoPicture)
    ));
}
