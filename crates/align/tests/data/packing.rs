//! What packing and cutting keep, for any sequences.

use std::collections::BTreeMap;

use etude_align::data::{Examples as _, Packed, PackingStrategy, Packs, Tokenized, Truncation, TruncationMode};
use proptest::prelude::*;

/// Sequences whose tokens are all different, so that each can be followed.
fn sequences() -> impl Strategy<Value = Vec<Tokenized>> {
    prop::collection::vec(prop::collection::vec(any::<bool>(), 0..20), 0..40).prop_map(|masks| {
        let mut next = 0..;
        let sequence = |mut loss: Vec<bool>| {
            if let Some(first) = loss.first_mut() {
                *first = false;
            }
            Tokenized {
                ids: next.by_ref().take(loss.len()).collect(),
                loss,
                lost_prompt: Vec::new(),
            }
        };
        masks.into_iter().map(sequence).collect()
    })
}

fn strategy() -> impl Strategy<Value = PackingStrategy> {
    prop::sample::select(&PackingStrategy::ALL[..])
}

/// The sequences of a pack, with their masks.
fn parts(pack: &Packed) -> Vec<(&[u32], &[bool])> {
    let part = |ends: &[usize]| (&pack.ids[ends[0]..ends[1]], &pack.loss[ends[0]..ends[1]]);
    pack.offsets.windows(2).map(part).collect()
}

fn pack(sequences: &[Tokenized], max_length: usize, strategy: PackingStrategy) -> Vec<Packed> {
    let packs = Packs::new(sequences.to_vec(), max_length, strategy).unwrap();
    packs.examples().map(|pack| pack.unwrap().into_owned()).collect()
}

proptest! {
    #[test]
    fn sequences_by_themselves_are_packs_of_one(sequences in sequences()) {
        let packs = Packs::single(sequences.clone());
        prop_assert_eq!(packs.len(), sequences.len());
        for (pack, sequence) in packs.examples().zip(sequences) {
            prop_assert_eq!(pack.unwrap().into_owned(), Packed::from(sequence));
        }
    }

    #[test]
    fn every_token_that_is_to_be_kept_is_in_one_pack(sequences in sequences(), strategy in strategy(), max_length in 1_usize..24) {
        let packs = pack(&sequences, max_length, strategy);
        let most = if strategy == PackingStrategy::Bfd { max_length } else { usize::MAX };
        let mut wanted: Vec<u32> = sequences.iter().flat_map(|sequence| sequence.ids.iter().take(most).copied()).collect();
        let mut packed: Vec<u32> = packs.iter().flat_map(|pack| pack.ids.iter().copied()).collect();
        wanted.sort_unstable();
        packed.sort_unstable();
        prop_assert_eq!(packed, wanted);
        prop_assert!(packs.iter().all(|pack| pack.ids.len() <= max_length && !pack.ids.is_empty()));
    }

    #[test]
    fn masks_go_with_their_tokens(sequences in sequences(), strategy in strategy(), max_length in 1_usize..24) {
        let counts: BTreeMap<u32, bool> = sequences
            .iter()
            .flat_map(|sequence| sequence.ids.iter().copied().zip(sequence.loss.iter().copied()))
            .collect();
        for pack in pack(&sequences, max_length, strategy) {
            prop_assert_eq!(pack.ids.len(), pack.loss.len());
            for (ids, loss) in parts(&pack) {
                prop_assert!(!loss[0]);
                prop_assert!(ids.iter().zip(loss).skip(1).all(|(id, counted)| counts[id] == *counted));
                // The tokens of a part follow one another in the sequence that it is from.
                prop_assert!(ids.windows(2).all(|pair| pair[0] + 1 == pair[1]));
                let sequence = sequences.iter().find(|sequence| sequence.ids.contains(&ids[0])).unwrap();
                prop_assert!(sequence.ids.contains(ids.last().unwrap()));
            }
        }
    }

    #[test]
    fn best_fit_never_splits_what_fits(sequences in sequences(), max_length in 20_usize..40) {
        for strategy in [PackingStrategy::Bfd, PackingStrategy::BfdSplit] {
            let packs = pack(&sequences, max_length, strategy);
            let mut packed: Vec<&[u32]> = packs.iter().flat_map(parts).map(|(ids, _)| ids).collect();
            let mut wanted: Vec<&[u32]> = sequences.iter().map(|sequence| &sequence.ids[..]).filter(|ids| !ids.is_empty()).collect();
            packed.sort_unstable();
            wanted.sort_unstable();
            prop_assert_eq!(packed, wanted);
            // No two packs could be one, or the later one's first sequence would have gone into the earlier one.
            prop_assert!(packs.windows(2).all(|pair| pair[0].ids.len() + parts(&pair[1])[0].0.len() > max_length));
        }
    }

    #[test]
    fn wrapped_packs_are_full_but_for_the_last(sequences in sequences(), max_length in 1_usize..24) {
        let packs = pack(&sequences, max_length, PackingStrategy::Wrapped);
        prop_assert!(packs.iter().rev().skip(1).all(|pack| pack.ids.len() == max_length));
        let packed: Vec<u32> = packs.into_iter().flat_map(|pack| pack.ids).collect();
        prop_assert!(packed.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn cutting_keeps_the_end_that_it_says(loss in prop::collection::vec(any::<bool>(), 1..30), most in 1_usize..30) {
        let ids: Vec<u32> = (0..loss.len() as u32).collect();
        let whole = Tokenized { ids: ids.clone(), loss: loss.clone(), lost_prompt: Vec::new() };
        for mode in TruncationMode::ALL {
            let truncation = Truncation { max_length: Some(most), mode };
            let kept = truncation.kept(ids.len());
            prop_assert_eq!(kept.len(), most.min(ids.len()));
            let counts = loss[kept.clone()].iter().skip(1).any(|counts| *counts);
            let cut = whole.clone().truncated(&truncation);
            prop_assert_eq!(cut.is_some(), counts);
            if let Some(cut) = cut {
                prop_assert_eq!(&cut.ids, &ids[kept.clone()]);
                prop_assert_eq!(&cut.loss[1..], &loss[kept][1..]);
            }
        }
    }
}

#[test]
fn packs_of_no_tokens_are_refused() {
    let error = Packs::new(Vec::new(), 0, PackingStrategy::Bfd).unwrap_err();
    assert_eq!(error.to_string(), "max_length: found 0, expected at least 1");
}
