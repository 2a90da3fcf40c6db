//! A mask in the making.

use super::Mask;
use crate::BoxError;

/// Runs of a picture, of which the first is background.
pub(super) struct Runs {
    mask: Mask,
    /// What the last run is.
    object: bool,
}

impl Runs {
    /// Those of a picture of this height and width, before its first pixel.
    pub(super) fn new([height, width]: [usize; 2]) -> Result<Self, BoxError> {
        let error = BoxError::MaskSize { height, width };
        let pixels = height.checked_mul(width);
        let (Some(0..=0xffff_ffff), Ok(height), Ok(width)) = (pixels, u32::try_from(height), u32::try_from(width))
        else {
            return Err(error);
        };
        let mask = Mask {
            height,
            width,
            counts: vec![0],
        };
        Ok(Self { mask, object: false })
    }

    /// How many pixels there will be.
    pub(super) fn pixels(&self) -> u32 {
        self.mask.height * self.mask.width
    }

    /// Whether so many pixels fill the picture.
    pub(super) fn check(&self, found: u64) -> Result<(), BoxError> {
        let Mask { height, width, .. } = self.mask;
        if found == self.pixels().into() {
            Ok(())
        } else {
            Err(BoxError::Runs { found, height, width })
        }
    }

    /// So many more pixels, of the object or not.
    #[inline]
    pub(super) fn push(&mut self, object: bool, length: u32) {
        if length == 0 {
            return;
        }
        match self.mask.counts.last_mut() {
            Some(last) if object == self.object => *last += length,
            _ => self.mask.counts.push(length),
        }
        self.object = object;
    }

    /// The mask, when all pixels are there.
    pub(super) fn finish(self) -> Mask {
        self.mask
    }
}
