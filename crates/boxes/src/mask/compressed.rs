//! COCO's strings: each run's length, from the fourth run on less that of the run before the last, in groups of five
//! bits from the lowest on, one printable character each.

use super::Mask;
use crate::BoxError;

/// The character for zero.
const ZERO: u8 = b'0';
/// Set where more bits of the same number follow.
const MORE: u8 = 0x20;
/// The highest bit of a group: in the last one, the sign.
const SIGN: u8 = 0x10;
/// Differences of two 32-bit numbers have 33 bits.
const MOST_GROUPS: u32 = 7;

impl Mask {
    /// Of a string, in a picture of this height and width.
    ///
    /// ```
    /// use etude_boxes::mask::Mask;
    ///
    /// assert_eq!(Mask::from_compressed("123O", [7, 1])?.counts(), [1, 2, 3, 1]);
    /// let error = Mask::from_compressed("12~", [2, 3]).unwrap_err();
    /// assert_eq!(error.to_string(), "compressed mask, byte 2: found 126, expected a character from '0' to 'o'");
    /// # Ok::<(), etude_boxes::BoxError>(())
    /// ```
    ///
    /// # Errors
    /// It is no such string, or see [`Mask::from_counts`].
    pub fn from_compressed(text: &str, size: [usize; 2]) -> Result<Self, BoxError> {
        let mut counts: Vec<u32> = Vec::new();
        let (mut number, mut groups) = (0_i64, 0);
        for (index, &found) in text.as_bytes().iter().enumerate() {
            let error = |expected| BoxError::Compressed { index, found, expected };
            let bits = found.wrapping_sub(ZERO);
            if bits > 0x3f {
                return Err(error("a character from '0' to 'o'"));
            }
            if groups == MOST_GROUPS {
                return Err(error("the end of a number, after seven characters"));
            }
            number |= i64::from(bits & 0x1f) << (5 * groups);
            groups += 1;
            if bits & MORE != 0 {
                continue;
            }
            if bits & SIGN != 0 {
                number |= -1 << (5 * groups);
            }
            let before = counts.len().checked_sub(2).filter(|&index| index > 0);
            number += before.map_or(0, |index| counts[index].into());
            counts.push(u32::try_from(number).map_err(|_| error("a length from 0 to 2^32 - 1"))?);
            (number, groups) = (0, 0);
        }
        if groups > 0 {
            return Err(BoxError::Compressed {
                index: text.len() - 1,
                found: text.as_bytes()[text.len() - 1],
                expected: "more of the same number, and not the end",
            });
        }
        Self::from_counts(&counts, size)
    }

    /// Its string.
    pub fn to_compressed(&self) -> String {
        let mut text = String::new();
        for (index, &count) in self.counts.iter().enumerate() {
            let before = if index > 2 { self.counts[index - 2] } else { 0 };
            let mut number = i64::from(count) - i64::from(before);
            loop {
                let bits = (number & 0x1f) as u8;
                number >>= 5;
                let done = number == if bits & SIGN == 0 { 0 } else { -1 };
                text.push(char::from(ZERO + if done { bits } else { bits | MORE }));
                if done {
                    break;
                }
            }
        }
        text
    }
}
