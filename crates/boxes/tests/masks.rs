//! Masks against pycocotools, and what holds for all of them.

use std::fs;
use std::path::Path;

use etude_boxes::BoxError;
use etude_boxes::mask::{Mask, pairwise};
use proptest::collection::vec;
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    masks: Vec<Drawn>,
    overlaps: Vec<Overlap>,
    polygons: Vec<Shapes>,
}

#[derive(Deserialize)]
struct Drawn {
    rows: Vec<String>,
    counts: Vec<u32>,
    text: String,
    area: u32,
    #[serde(rename = "box")]
    bounding_box: [u32; 4],
}

#[derive(Deserialize)]
struct Overlap {
    size: [usize; 2],
    texts: Vec<String>,
    crowd: Vec<bool>,
    iou: Vec<Vec<f64>>,
    crowd_iou: Vec<Vec<f64>>,
    union: String,
    intersection: String,
}

#[derive(Deserialize)]
struct Shapes {
    size: [usize; 2],
    polygons: Vec<Vec<f64>>,
    text: String,
}

fn fixture() -> Fixture {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/masks.json");
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

#[test]
fn masks_are_those_of_pycocotools() {
    let masks = fixture().masks;
    assert_eq!(masks.len(), 36);
    for drawn in masks {
        let size = [drawn.rows.len(), drawn.rows[0].len()];
        let pixels: Vec<bool> = drawn.rows.concat().bytes().map(|pixel| pixel == b'1').collect();
        let mask = Mask::encode(&pixels, size).unwrap();
        assert_eq!(mask.counts(), drawn.counts);
        assert_eq!(mask.to_compressed(), drawn.text);
        assert_eq!((mask.area(), mask.bounding_box()), (drawn.area, drawn.bounding_box));
        assert_eq!(Mask::from_counts(&drawn.counts, size).unwrap(), mask);
        assert_eq!(Mask::from_compressed(&drawn.text, size).unwrap(), mask);
        let mut decoded = vec![true; pixels.len()];
        mask.decode(&mut decoded).unwrap();
        assert_eq!(decoded, pixels);
    }
}

#[test]
#[expect(clippy::float_cmp, reason = "they are quotients of the same whole numbers")]
fn overlaps_are_those_of_pycocotools() {
    let overlaps = fixture().overlaps;
    assert_eq!(overlaps.len(), 15);
    for case in overlaps {
        let masks: Vec<Mask> = case
            .texts
            .iter()
            .map(|text| Mask::from_compressed(text, case.size).unwrap())
            .collect();
        let mut values = vec![f64::NAN; masks.len() * masks.len()];
        pairwise(&masks, &masks, &vec![false; masks.len()], &mut values).unwrap();
        assert_eq!(values, case.iou.concat());
        pairwise(&masks, &masks, &case.crowd, &mut values).unwrap();
        assert_eq!(values, case.crowd_iou.concat());
        assert_eq!(masks[0].iou(&masks[1]).unwrap(), case.iou[0][1]);

        let merged = |merge: fn(&Mask, &Mask) -> Result<Mask, BoxError>| {
            let rest = masks[1..].iter();
            let mask = rest.fold(masks[0].clone(), |mask, other| merge(&mask, other).unwrap());
            mask.to_compressed()
        };
        assert_eq!(merged(Mask::union), case.union);
        assert_eq!(merged(Mask::intersection), case.intersection);
    }
}

#[test]
fn polygons_are_those_of_pycocotools() {
    let polygons = fixture().polygons;
    assert_eq!(polygons.len(), 137);
    for case in polygons {
        let mask = Mask::from_polygons(&case.polygons, case.size).unwrap();
        assert_eq!(
            mask.to_compressed(),
            case.text,
            "{:?} in {:?}",
            case.polygons,
            case.size
        );
    }
}

#[test]
fn what_is_no_mask_is_an_error() {
    let size = [2, 3];
    let huge = [1 << 16, 1 << 16];
    let polygon = |coordinates: &[f64]| Mask::from_polygons(&[coordinates], size);
    let one = Mask::from_counts(&[6], size).unwrap();
    let other = Mask::from_counts(&[6], [3, 2]).unwrap();
    for error in [
        Mask::encode(&[true; 5], size),
        Mask::encode(&[], [usize::MAX, 2]),
        Mask::from_counts(&[], size),
        Mask::from_counts(&[5], size),
        Mask::from_counts(&[u32::MAX, u32::MAX, 8], size),
        Mask::from_counts(&[0], huge),
        Mask::from_compressed("", size),
        Mask::from_compressed("é", size),
        Mask::from_compressed("`", size),
        Mask::from_compressed("PPPPPPPP0", size),
        Mask::from_compressed("O", size),
        Mask::from_compressed("222", [usize::MAX, usize::MAX]),
        polygon(&[1.0, 1.0, 2.0]),
        polygon(&[1.0, 1.0, f64::NAN, 2.0]),
        polygon(&[1.0, 1.0, 1e9, 2.0]),
        Mask::from_polygons::<&[f64]>(&[], huge),
        one.union(&other),
        one.intersection(&other),
    ] {
        assert!(error.is_err(), "{error:?}");
    }
    assert!(one.decode(&mut [true; 5]).is_err());
    assert!(one.iou(&other).is_err() && one.part_within(&other).is_err());
    let (one, two) = (std::slice::from_ref(&one), [one.clone(), other]);
    assert!(pairwise(one, &two, &[false; 2], &mut [0.0; 2]).is_err());
    assert!(pairwise(one, &two[..1], &[], &mut [0.0; 1]).is_err());
    assert!(pairwise(one, &two[..1], &[false], &mut []).is_err());
}

#[test]
fn huge_pictures_need_memory_for_their_runs_only() {
    let size = [65_535, 65_535];
    let around = Mask::from_polygons(&[[-1e8, -1e8, 1e8, -1e8, 1e8, 1e8, -1e8, 1e8]], size).unwrap();
    assert_eq!(around.counts(), [0, 65_535 * 65_535]);
    assert_eq!(Mask::from_compressed(&around.to_compressed(), size).unwrap(), around);
    // A hundred thousand edges, each through every column, of which no pixel remains.
    let zigzag: Vec<f64> = [-10.0, 3.0, 1e6, 7.0].repeat(50_000);
    assert_eq!(Mask::from_polygons(&[zigzag], [10, 100]).unwrap().area(), 0);
}

#[test]
fn pictures_without_pixels_have_masks_without_pixels() {
    for size in [[0, 0], [0, 3], [3, 0]] {
        let mask = Mask::encode(&[], size).unwrap();
        assert_eq!((mask.counts(), mask.area(), mask.bounding_box()), (&[0][..], 0, [0; 4]));
        assert_eq!(
            Mask::from_polygons(&[[0.0, 0.0, 9.0, 0.0, 9.0, 9.0]], size).unwrap(),
            mask
        );
        assert_eq!(Mask::from_compressed("0", size).unwrap(), mask);
        assert_eq!(mask.iou(&mask), Ok(0.0));
        mask.decode(&mut []).unwrap();
    }
}

#[test]
fn fewer_than_three_corners_hold_nothing() {
    for polygon in [&[][..], &[1.0, 1.0], &[1.0, 1.0, 7.0, 3.0], &[2.0, 1.0, 4.0, 9.0]] {
        assert_eq!(Mask::from_polygons(&[polygon], [10, 10]).unwrap().area(), 0);
    }
}

/// A picture of some size, and two masks of it.
fn two() -> impl Strategy<Value = ([usize; 2], Vec<bool>, Vec<bool>)> {
    (0_usize..12, 0_usize..12).prop_flat_map(|(height, width)| {
        let pixels = || vec(any::<bool>(), height * width);
        (Just([height, width]), pixels(), pixels())
    })
}

proptest! {
    #[test]
    fn masks_are_sets_of_pixels((size, a, b) in two()) {
        let [one, other] = [&a, &b].map(|pixels| Mask::encode(pixels, size).unwrap());
        let decoded = |mask: &Mask| {
            let mut pixels = vec![true; a.len()];
            mask.decode(&mut pixels).unwrap();
            pixels
        };
        let both = |merge: fn(bool, bool) -> bool| -> Vec<bool> {
            a.iter().zip(&b).map(|(&a, &b)| merge(a, b)).collect()
        };
        let count = |pixels: &[bool]| pixels.iter().filter(|&&pixel| pixel).count() as u32;
        let (union, inter) = (both(|a, b| a || b), both(|a, b| a && b));
        prop_assert_eq!(&decoded(&one), &a);
        prop_assert_eq!(Mask::from_compressed(&one.to_compressed(), size).unwrap(), one.clone());
        prop_assert_eq!(decoded(&one.union(&other).unwrap()), &union[..]);
        prop_assert_eq!(decoded(&one.intersection(&other).unwrap()), &inter[..]);
        prop_assert_eq!(one.area(), count(&a));
        let quotient = |of: u32| f64::from(count(&inter)) / f64::from(of.max(1));
        prop_assert_eq!(one.iou(&other), Ok(quotient(count(&union))));
        prop_assert_eq!(one.part_within(&other), Ok(quotient(count(&a))));

        // No pixel is outside of the box, and none of its edges is too far out.
        let [x, y, w, h] = one.bounding_box().map(|side| side as usize);
        let at = |row: usize, column: usize| a[row * size[1] + column];
        let inside = (y..y + h).flat_map(|row| (x..x + w).map(move |column| (row, column)));
        prop_assert_eq!(inside.filter(|&(row, column)| at(row, column)).count() as u32, one.area());
        if one.area() > 0 {
            prop_assert!((y..y + h).any(|row| at(row, x)) && (y..y + h).any(|row| at(row, x + w - 1)));
            prop_assert!((x..x + w).any(|column| at(y, column)) && (x..x + w).any(|column| at(y + h - 1, column)));
        }
    }

    #[test]
    fn any_string_is_a_mask_or_an_error(
        text in "[0-o]{0,12}|.{0,6}",
        height in 0_usize..40,
        width in prop_oneof![0_usize..40, any::<usize>()],
    ) {
        if let Ok(mask) = Mask::from_compressed(&text, [height, width]) {
            let again = Mask::from_compressed(&mask.to_compressed(), [height, width]);
            prop_assert_eq!(again.unwrap(), mask);
        }
    }

    #[test]
    fn any_polygon_is_a_mask_or_an_error(
        polygon in vec(prop_oneof![-60.0..60.0, -1e8..1e8, any::<f64>()], 0..16),
        height in 0_usize..50,
        width in 0_usize..50,
    ) {
        if let Ok(mask) = Mask::from_polygons(&[&polygon], [height, width]) {
            prop_assert_eq!(Mask::from_counts(mask.counts(), [height, width]).unwrap(), mask.clone());
            // The other way around it is the same.
            let corners: Vec<[f64; 2]> = polygon.as_chunks::<2>().0.iter().rev().copied().collect();
            prop_assert_eq!(Mask::from_polygons(&[corners.as_flattened()], [height, width]).unwrap(), mask);
        }
    }
}
