//! Short sequences beside each other, so that a batch has no padding.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::{self, Display};
use std::ops::Range;
use std::str::FromStr;

use super::example::Tokenized;
use super::examples::Examples;
use crate::AlignError;
use crate::error::require;

/// How sequences are packed, by TRL's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PackingStrategy {
    /// Best-fit decreasing (Ding et al., 2024): the longest sequence first, each where it leaves the least room. What is too long
    /// is cut, and the rest dropped.
    #[default]
    Bfd,
    /// The same, but what is too long is split, and its parts are sequences of their own.
    BfdSplit,
    /// All tokens one after the other, split wherever a pack is full.
    Wrapped,
}

impl PackingStrategy {
    /// All strategies.
    pub const ALL: [Self; 3] = [Self::Bfd, Self::BfdSplit, Self::Wrapped];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bfd => "bfd",
            Self::BfdSplit => "bfd_split",
            Self::Wrapped => "wrapped",
        }
    }
}

impl Display for PackingStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for PackingStrategy {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|strategy| strategy.name() == name);
        known.ok_or_else(|| format!("found {name:?}, expected bfd, bfd_split or wrapped"))
    }
}

/// Sequences beside each other. Each attends to itself only, and its positions begin at 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// The tokens of all sequences.
    pub ids: Vec<u32>,
    /// Whether each token counts in the loss; never the first of a sequence.
    pub loss: Vec<bool>,
    /// Where sequences begin: 0 first, and the number of tokens last, as [`Decoder`](etude_lm::decoder::Decoder) takes them.
    pub offsets: Vec<usize>,
}

impl Packed {
    fn new() -> Self {
        Self {
            ids: Vec::new(),
            loss: Vec::new(),
            offsets: vec![0],
        }
    }

    /// All of these beside each other.
    pub fn concat<'a>(packs: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut all = Self::new();
        for pack in packs {
            let start = all.ids.len();
            all.ids.extend_from_slice(&pack.ids);
            all.loss.extend_from_slice(&pack.loss);
            all.offsets.extend(pack.offsets.iter().skip(1).map(|end| start + end));
        }
        all
    }

    fn push(&mut self, sequence: &Tokenized, part: Range<usize>) {
        let start = self.loss.len();
        self.ids.extend_from_slice(&sequence.ids[part.clone()]);
        self.loss.extend_from_slice(&sequence.loss[part]);
        if let Some(first) = self.loss.get_mut(start) {
            *first = false;
        }
        self.offsets.push(self.ids.len());
    }
}

/// One sequence by itself.
impl From<Tokenized> for Packed {
    fn from(sequence: Tokenized) -> Self {
        Self {
            offsets: vec![0, sequence.ids.len()],
            ids: sequence.ids,
            loss: sequence.loss,
        }
    }
}

/// A sequence, by its place, of which a part is in a pack.
type Piece = (usize, Range<usize>);

/// Sequences laid beside each other. Only where each of them is, is kept; a pack is made when it is asked for.
#[derive(Debug)]
pub struct Packs<S> {
    sequences: S,
    /// None where every sequence is by itself.
    packs: Option<Vec<Vec<Piece>>>,
}

impl<S: Examples<Example = Tokenized>> Packs<S> {
    /// As few packs of at most `max_length` tokens as the strategy finds. The same sequences in the same order give the same packs; empty
    /// ones are left out.
    ///
    /// # Errors
    /// `max_length` is 0, or the sequences cannot be read.
    pub fn new(sequences: S, max_length: usize, strategy: PackingStrategy) -> Result<Self, AlignError> {
        require(max_length > 0, "max_length", &max_length, "at least 1")?;
        let lengths: Result<Vec<usize>, AlignError> =
            sequences.examples().map(|sequence| Ok(sequence?.ids.len())).collect();
        let lengths = lengths?;
        let packs = match strategy {
            PackingStrategy::Wrapped => wrapped(&lengths, max_length),
            PackingStrategy::Bfd => best_fit_decreasing(&lengths, max_length, max_length),
            PackingStrategy::BfdSplit => best_fit_decreasing(&lengths, max_length, usize::MAX),
        };
        Ok(Self {
            sequences,
            packs: Some(packs),
        })
    }

    /// Every sequence by itself.
    pub fn single(sequences: S) -> Self {
        Self { sequences, packs: None }
    }
}

impl<S: Examples<Example = Tokenized>> Examples for Packs<S> {
    type Example = Packed;

    fn len(&self) -> usize {
        self.packs.as_ref().map_or(self.sequences.len(), Vec::len)
    }

    fn example(&self, place: usize) -> Result<Cow<'_, Packed>, AlignError> {
        let Some(packs) = &self.packs else {
            return Ok(Cow::Owned(self.sequences.example(place)?.into_owned().into()));
        };
        let mut pack = Packed::new();
        for (sequence, part) in &packs[place] {
            pack.push(&*self.sequences.example(*sequence)?, part.clone());
        }
        Ok(Cow::Owned(pack))
    }
}

/// Packs what the first `most` tokens of each sequence are split into.
fn best_fit_decreasing(lengths: &[usize], max_length: usize, most: usize) -> Vec<Vec<Piece>> {
    let mut pieces: Vec<Piece> = Vec::new();
    for (place, length) in lengths.iter().enumerate() {
        let length = (*length).min(most);
        let starts = (0..length).step_by(max_length);
        pieces.extend(starts.map(|start| (place, start..length.min(start + max_length))));
    }
    // A stable order: of equals the earlier one first.
    pieces.sort_by_key(|(_, part)| std::cmp::Reverse(part.len()));
    let mut packs: Vec<Vec<Piece>> = Vec::new();
    // Packs by the room that is left in them; of equals the one that has had it for longest is taken.
    let mut by_room: BTreeMap<usize, VecDeque<usize>> = BTreeMap::new();
    for piece in pieces {
        let length = piece.1.len();
        let best = by_room
            .range_mut(length..)
            .next()
            .map(|(room, packs)| (*room, packs.pop_front()));
        let (room, pack) = if let Some((room, Some(pack))) = best {
            (room, pack)
        } else {
            packs.push(Vec::new());
            (max_length, packs.len() - 1)
        };
        if by_room.get(&room).is_some_and(VecDeque::is_empty) {
            by_room.remove(&room);
        }
        packs[pack].push(piece);
        if room > length {
            by_room.entry(room - length).or_default().push_back(pack);
        }
    }
    packs
}

fn wrapped(lengths: &[usize], max_length: usize) -> Vec<Vec<Piece>> {
    let mut packs: Vec<Vec<Piece>> = Vec::new();
    let mut room = 0;
    for (place, length) in lengths.iter().enumerate() {
        let mut start = 0;
        while start < *length {
            if room == 0 {
                packs.push(Vec::new());
                room = max_length;
            }
            let end = start + room.min(length - start);
            room -= end - start;
            if let Some(pack) = packs.last_mut() {
                pack.push((place, start..end));
            }
            start = end;
        }
    }
    packs
}
