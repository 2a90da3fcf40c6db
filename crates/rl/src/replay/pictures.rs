//! Observations that are pixels.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use lz4_flex::block::{compress, decompress_into};
use serde::{Deserialize, Serialize, Serializer};

use crate::error::RlError;

/// The pictures of all transitions, compressed without loss (LZ4). One that is the next observation of a transition and the observation
/// of another is there once.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Saved<Vec<u8>>")]
pub(super) struct Pictures {
    /// Bytes of a picture.
    size: usize,
    /// Observation and next observation of each transition.
    pairs: Vec<[Arc<[u8]>; 2]>,
    /// The last next observations, among which the observations of transitions to come are found.
    recent: VecDeque<Arc<[u8]>>,
    /// How many of them are kept.
    kept: usize,
}

impl Pictures {
    /// Of `size` bytes each; an observation is among the last `kept` next observations, or else it is new.
    pub(super) fn new(size: usize, kept: usize) -> Self {
        Self {
            size,
            pairs: Vec::new(),
            recent: VecDeque::new(),
            kept,
        }
    }

    /// How many transitions there are.
    pub(super) fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether its pictures have so many bytes, and as many are looked through.
    pub(super) fn fits(&self, size: usize, kept: usize) -> bool {
        (self.size, self.kept) == (size, kept) && self.recent.len() <= kept
    }

    /// Writes the pictures of transition `index`, the next one or one that gives way: numbers from 0 to 255.
    pub(super) fn put(&mut self, index: usize, observation: &[f32], next: &[f32]) {
        let observation = pressed(observation);
        let known = self.recent.iter().find(|recent| ***recent == *observation);
        let observation = known.map_or_else(|| observation.into(), Arc::clone);
        let next: Arc<[u8]> = pressed(next).into();
        if self.recent.len() == self.kept {
            self.recent.pop_front();
        }
        self.recent.push_back(Arc::clone(&next));
        match self.pairs.get_mut(index) {
            Some(pair) => *pair = [observation, next],
            None => self.pairs.push([observation, next]),
        }
    }

    /// Writes observations and next observations of the transitions `indices`: shape `[n, size]` each.
    pub(super) fn gather(&self, indices: &[u32], observations: &mut [f32], next_observations: &mut [f32]) {
        let mut bytes = vec![0; self.size];
        let rows = observations
            .chunks_exact_mut(self.size)
            .zip(next_observations.chunks_exact_mut(self.size));
        for (&index, (observation, next)) in indices.iter().zip(rows) {
            for (row, picture) in [observation, next].into_iter().zip(&self.pairs[index as usize]) {
                // What was compressed here, or looked over when it was read, can be decompressed.
                if decompress_into(picture, &mut bytes).is_ok() {
                    for (number, &byte) in row.iter_mut().zip(&bytes) {
                        *number = f32::from(byte);
                    }
                }
            }
        }
    }
}

/// The bytes of a picture, compressed.
fn pressed(picture: &[f32]) -> Vec<u8> {
    let bytes: Vec<u8> = picture.iter().map(|&number| number as u8).collect();
    compress(&bytes)
}

/// What is written of [`Pictures`]: each picture once.
#[derive(Serialize, Deserialize)]
struct Saved<P> {
    size: usize,
    kept: usize,
    pictures: Vec<P>,
    pairs: Vec<[u32; 2]>,
    recent: Vec<u32>,
}

impl Serialize for Pictures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (mut pictures, mut places) = (Vec::new(), HashMap::new());
        let mut place = |picture: &'_ Arc<[u8]>| {
            *places.entry(Arc::as_ptr(picture).cast::<u8>()).or_insert_with(|| {
                pictures.push(Arc::clone(picture));
                pictures.len() as u32 - 1
            })
        };
        let pairs = self.pairs.iter().map(|pair| pair.each_ref().map(&mut place)).collect();
        let recent = self.recent.iter().map(&mut place).collect();
        Saved {
            size: self.size,
            kept: self.kept,
            pictures: pictures.iter().map(|picture| &**picture).collect::<Vec<&[u8]>>(),
            pairs,
            recent,
        }
        .serialize(serializer)
    }
}

impl TryFrom<Saved<Vec<u8>>> for Pictures {
    type Error = RlError;

    fn try_from(saved: Saved<Vec<u8>>) -> Result<Self, RlError> {
        let wrong = RlError::SavedState("a picture of the replay buffer is none");
        let mut bytes = Vec::new();
        if bytes.try_reserve_exact(saved.size).is_err() {
            return Err(wrong);
        }
        bytes.resize(saved.size, 0);
        let mut pictures: Vec<Arc<[u8]>> = Vec::new();
        for picture in saved.pictures {
            if decompress_into(&picture, &mut bytes).ok() != Some(saved.size) {
                return Err(wrong);
            }
            pictures.push(picture.into());
        }
        let picture = |place: u32| pictures.get(place as usize).map(Arc::clone);
        let pair = |[observation, next]: [u32; 2]| Some([picture(observation)?, picture(next)?]);
        let pairs: Option<Vec<_>> = saved.pairs.into_iter().map(pair).collect();
        let recent: Option<VecDeque<_>> = saved.recent.into_iter().map(picture).collect();
        let (Some(pairs), Some(recent)) = (pairs, recent) else {
            return Err(wrong);
        };
        Ok(Self {
            size: saved.size,
            pairs,
            recent,
            kept: saved.kept,
        })
    }
}
