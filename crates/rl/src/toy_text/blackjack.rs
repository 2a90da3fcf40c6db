//! Blackjack against a dealer, with cards from an endless deck.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

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

/// Cards, of which an ace counts as 11 where that does not go beyond 21.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Hand {
    /// With aces as 1.
    hard: u32,
    has_ace: bool,
    cards: u32,
}

impl Hand {
    const EMPTY: Self = Self {
        hard: 0,
        has_ace: false,
        cards: 0,
    };

    fn with(self, card: u32) -> Self {
        Self {
            hard: self.hard + card,
            has_ace: self.has_ace || card == 1,
            cards: self.cards + 1,
        }
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
        }
    }

    fn advance(&self, mut deal: Deal, action: &[f32], random: &mut ChaCha8Rng) -> (Deal, f64, bool) {
        let hits = action[0] > 0.5;
        if hits {
            deal.player = deal.player.with(draw(random));
            let bust = deal.player.score() == 0;
            return (deal, if bust { -1.0 } else { 0.0 }, bust);
        }
        while deal.dealer.sum() < 17 {
            deal.dealer = deal.dealer.with(draw(random));
        }
        (deal, settle(deal.player, deal.dealer, self.rules), true)
    }

    fn observe(&self, deal: &Deal, observation: &mut [f32]) {
        let seen = [deal.player.sum(), deal.shown, u32::from(deal.player.usable_ace())];
        observation.copy_from_slice(&seen.map(|number| number as f32));
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
