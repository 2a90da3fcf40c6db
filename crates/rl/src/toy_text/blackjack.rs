//! Blackjack against a dealer, with cards from an endless deck.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::render::{Rgb, Scene, digits, palette};
use crate::simulator::Dynamics;
use crate::space::Space;

/// What a natural, an ace and a ten at the start, is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BlackjackRules {
    /// As much as any other win.
    #[default]
    Plain,
    /// 1.5 where it wins.
    Natural,
    /// It wins unless the dealer has one too (Sutton and Barto, example 5.1).
    SuttonAndBarto,
}

/// The most cards that a hand which goes on can end with: 21 aces and one more.
const MOST_CARDS: usize = 22;

/// Cards, of which an ace counts as 11 where that does not go beyond 21.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Hand {
    /// With aces as 1.
    hard: u32,
    has_ace: bool,
    cards: u32,
    /// One after another, to be seen.
    faces: [u8; MOST_CARDS],
}

impl Hand {
    const EMPTY: Self = Self {
        hard: 0,
        has_ace: false,
        cards: 0,
        faces: [0; MOST_CARDS],
    };

    fn with(mut self, card: u32) -> Self {
        if let Some(face) = self.faces.get_mut(self.cards as usize) {
            *face = card as u8;
        }
        self.hard += card;
        self.has_ace |= card == 1;
        self.cards += 1;
        self
    }

    fn usable_ace(self) -> bool {
        self.has_ace && self.hard + 10 <= 21
    }

    fn sum(self) -> u32 {
        self.hard + if self.usable_ace() { 10 } else { 0 }
    }

    /// The sum, or nothing beyond 21.
    fn score(self) -> u32 {
        if self.sum() > 21 { 0 } else { self.sum() }
    }

    fn is_natural(self) -> bool {
        self.cards == 2 && self.sum() == 21
    }
}

/// Blackjack: 1 for winning, -1 for losing. What is seen is the sum of the player's cards, the dealer's first card, and
/// whether the player holds an ace that counts as 11. Action 0 sticks and 1 takes another card.
#[derive(Debug, Clone, Copy, Default)]
pub struct Blackjack {
    /// What a natural is worth.
    pub rules: BlackjackRules,
}

/// The cards on the table.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Deal {
    /// The dealer's first card.
    shown: u32,
    dealer: Hand,
    player: Hand,
    /// Whether the dealer has shown the other one.
    open: bool,
}

/// A card: ten and the three pictures count as 10, an ace as 1.
fn draw(random: &mut ChaCha8Rng) -> u32 {
    random.random_range(1..=13).min(10)
}

/// What the player earns who sticks, once the dealer has drawn.
fn settle(player: Hand, dealer: Hand, rules: BlackjackRules) -> f64 {
    let won = f64::from(i32::from(player.score() > dealer.score()) - i32::from(player.score() < dealer.score()));
    match rules {
        BlackjackRules::SuttonAndBarto if player.is_natural() && !dealer.is_natural() => 1.0,
        BlackjackRules::Natural if player.is_natural() && won > 0.0 => 1.5,
        _ => won,
    }
}

impl Dynamics for Blackjack {
    type State = Deal;

    fn observation_space(&self) -> Space {
        Space::MultiDiscrete(vec![32, 11, 2])
    }

    fn action_space(&self) -> Space {
        Space::Discrete(2)
    }

    fn start(&self, random: &mut ChaCha8Rng) -> Deal {
        let shown = draw(random);
        Deal {
            shown,
            dealer: Hand::EMPTY.with(shown).with(draw(random)),
            player: Hand::EMPTY.with(draw(random)).with(draw(random)),
            open: false,
        }
    }

    fn advance(&self, mut deal: Deal, action: &[f32], random: &mut ChaCha8Rng) -> (Deal, f64, bool) {
        let hits = action[0] > 0.5;
        if hits {
            deal.player = deal.player.with(draw(random));
            let bust = deal.player.score() == 0;
            return (deal, if bust { -1.0 } else { 0.0 }, bust);
        }
        deal.open = true;
        while deal.dealer.sum() < 17 {
            deal.dealer = deal.dealer.with(draw(random));
        }
        (deal, settle(deal.player, deal.dealer, self.rules), true)
    }

    fn observe(&self, deal: &Deal, observation: &mut [f32]) {
        let seen = [deal.player.sum(), deal.shown, u32::from(deal.player.usable_ace())];
        observation.copy_from_slice(&seen.map(|number| number as f32));
    }

    fn draw(&self, deal: &Deal) -> Option<Scene> {
        let mut scene = Scene::new([600.0, 380.0], FELT);
        draw_hand(&mut scene, deal.dealer, 105.0, deal.open);
        draw_hand(&mut scene, deal.player, 275.0, true);
        Some(scene)
    }
}

/// The table.
const FELT: Rgb = Rgb(0x2a, 0x6b, 0x57);

/// A row of cards at this height and, where all can be seen, their sum: yellow where an ace counts as 11 and red beyond 21.
fn draw_hand(scene: &mut Scene, hand: Hand, y: f64, open: bool) {
    let cards = (hand.cards as usize).min(MOST_CARDS);
    // The next card may lie on a part of this one.
    let step = (330.0 / (cards.max(2) - 1) as f64).min(100.0);
    let visible = step.min(92.0);
    for (index, &face) in hand.faces[..cards].iter().enumerate() {
        let left = 34.0 + step * index as f64;
        let centre = [left + 46.0, y];
        scene.rectangle(centre, [92.0, 128.0], 12.0, palette::RULE);
        if index > 0 && !open {
            scene.rectangle(centre, [84.0, 120.0], 9.0, palette::BLUE);
            continue;
        }
        scene.rectangle(centre, [88.0, 124.0], 10.0, palette::WHITE);
        let (height, centre) = (0.48 * visible, [left + visible / 2.0, y]);
        if face == 1 {
            digits::ace(scene, centre, height, palette::RED);
        } else {
            digits::number(scene, u32::from(face), centre, height, palette::INK);
        }
    }
    if open {
        let centre = [525.0, y];
        let (ground, ink) = match hand.sum() {
            22.. => (palette::RED, palette::WHITE),
            _ if hand.usable_ace() => (palette::YELLOW, palette::INK),
            _ => (palette::INK, palette::WHITE),
        };
        scene.disc(centre, 40.0, ground);
        digits::number(scene, hand.sum(), centre, 32.0, ink);
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::simulator::stream;

    /// See `scripts/rl_fixtures.py`.
    #[derive(Deserialize)]
    struct Played {
        player: Vec<u32>,
        dealer: Vec<u32>,
        observation: [u32; 3],
        /// Whether the last action was to take a card.
        hit: bool,
        plain: f64,
        natural: f64,
        sutton_and_barto: f64,
    }

    #[test]
    fn hands_are_worth_what_gymnasium_pays() {
        let hands: Vec<Played> = serde_json::from_str(include_str!("../../tests/fixtures/blackjack.json")).unwrap();
        for hand in hands {
            let deal = |cards: &[u32]| cards.iter().fold(Hand::EMPTY, |hand, &card| hand.with(card));
            let (player, dealer) = (deal(&hand.player), deal(&hand.dealer));
            let seen = [player.sum(), hand.dealer[0], u32::from(player.usable_ace())];
            assert_eq!(seen, hand.observation, "{:?}", hand.player);
            assert_eq!(hand.hit, player.score() == 0, "{:?}", hand.player);
            if hand.hit {
                continue;
            }
            assert!(dealer.sum() >= 17, "{:?}", hand.dealer);
            for (rules, reward) in [
                (BlackjackRules::Plain, hand.plain),
                (BlackjackRules::Natural, hand.natural),
                (BlackjackRules::SuttonAndBarto, hand.sutton_and_barto),
            ] {
                let ours = settle(player, dealer, rules);
                assert!(
                    (ours - reward).abs() < 1e-12,
                    "{rules:?}: {:?} {:?}",
                    hand.player,
                    hand.dealer
                );
            }
        }
    }

    #[test]
    fn the_second_card_of_the_dealer_is_seen_at_the_end() {
        let law = Blackjack::default();
        let deal = |hidden: u32, open: bool| Deal {
            shown: 7,
            dealer: Hand::EMPTY.with(7).with(hidden),
            player: Hand::EMPTY.with(10).with(9),
            open,
        };
        assert_eq!(law.draw(&deal(10, false)), law.draw(&deal(1, false)));
        assert_ne!(law.draw(&deal(10, true)), law.draw(&deal(1, true)));
        let after = law.advance(deal(10, false), &[0.0], &mut stream(1)).0;
        assert_eq!(law.draw(&after), law.draw(&deal(10, true)));
    }

    #[test]
    fn hands_of_any_length_can_be_drawn() {
        let law = Blackjack::default();
        let mut deal = law.start(&mut stream(1));
        for _ in 0..30 {
            deal.player = deal.player.with(1);
            assert!(law.draw(&deal).is_some());
        }
    }

    #[test]
    fn cards_come_as_often_as_they_should() {
        let mut random = stream(1);
        let mut counts = [0; 11];
        for _ in 0..130_000 {
            counts[draw(&mut random) as usize] += 1;
        }
        assert_eq!(counts[0], 0);
        // Tens are four times as frequent; six standard deviations.
        assert!(
            counts[1..10].iter().all(|count: &i32| (count - 10_000).abs() < 580),
            "{counts:?}"
        );
        assert!((counts[10] - 40_000).abs() < 1000, "{counts:?}");
    }
}
