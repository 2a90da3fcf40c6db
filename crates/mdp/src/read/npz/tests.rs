//! Archives made in memory: what they mean, and what is wrong with those that mean nothing.

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::*;
use crate::model::Model;

type Arrays = Vec<(&'static str, Vec<u8>)>;

fn npy(descr: &str, shape: &str, elements: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(elements);
    bytes
}

fn integers(values: &[i32]) -> Vec<u8> {
    let bytes: Vec<_> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    npy("<i4", &format!("{},", values.len()), &bytes)
}

fn floats(shape: &str, values: &[f64]) -> Vec<u8> {
    let bytes: Vec<_> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    npy("<f8", shape, &bytes)
}

/// Two states with two actions each: stay for certain, or go to either.
fn transitions() -> Arrays {
    matrix(
        &[0, 1, 3, 4, 6],
        &[0, 0, 1, 1, 1, 0],
        &[1.0, 0.25, 0.75, 1.0, 0.5, 0.5],
        &[4, 2],
    )
}

fn matrix(indptr: &[i32], indices: &[i32], data: &[f64], shape: &[i32]) -> Arrays {
    vec![
        ("indptr", integers(indptr)),
        ("indices", integers(indices)),
        ("data", floats(&format!("{},", data.len()), data)),
        ("shape", integers(shape)),
    ]
}

fn rewards() -> Arrays {
    vec![("rewards", floats("2, 2", &[0.0, 1.0, 2.0, 3.0]))]
}

fn archive(arrays: &[(&'static str, Vec<u8>)], compression: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in arrays {
        let options = SimpleFileOptions::default().compression_method(compression);
        zip.start_file(format!("{name}.npy"), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn read_bytes(transitions: &[u8], rewards: &[u8]) -> Result<Mdp, String> {
    let (p, r) = (Path::new("p.npz"), Path::new("r.npz"));
    read_from((p, Cursor::new(transitions)), (r, Cursor::new(rewards))).map_err(|error| {
        let source = std::error::Error::source(&error).map(ToString::to_string);
        format!("{error}: {}", source.unwrap_or_default())
    })
}

fn read_arrays(transitions: &Arrays, rewards: &Arrays) -> Result<Mdp, String> {
    let stored = read_bytes(
        &archive(transitions, CompressionMethod::Stored),
        &archive(rewards, CompressionMethod::Stored),
    );
    let deflated = read_bytes(
        &archive(transitions, CompressionMethod::Deflated),
        &archive(rewards, CompressionMethod::Deflated),
    );
    assert_eq!(stored, deflated);
    stored
}

/// The transitions with one array replaced.
fn with(name: &'static str, bytes: Vec<u8>) -> Arrays {
    let others = transitions().into_iter().filter(|(other, _)| *other != name);
    others.chain([(name, bytes)]).collect()
}

#[test]
fn reads_rewards_of_transitions() {
    let of_transition = matrix(&[0, 0, 3, 4, 4], &[1, 0, 1, 1], &[1.0, 4.0, 1.0, 0.0], &[4, 2]);
    let mdp = read_arrays(&transitions(), &of_transition).unwrap();
    assert_eq!(mdp.reward, vec![0.0, 0.25 * 4.0 + 0.75 * 2.0, 0.0, 0.0]);
    assert!(mdp.samples.is_some());
}

#[test]
fn rows_without_entries_are_no_actions() {
    let fewer = matrix(&[0, 1, 1, 2, 3], &[1, 0, 0], &[1.0; 3], &[4, 2]);
    let mdp = read_arrays(&fewer, &rewards()).unwrap();
    assert_eq!((mdp.actions(0), mdp.actions(1), mdp.labels), (1, 2, None));
    let zero = matrix(&[0, 2, 3, 4, 4], &[0, 1, 0, 0], &[0.0, 1.0, 0.0, 1.0], &[4, 2]);
    let mdp = read_arrays(&zero, &rewards()).unwrap();
    assert_eq!((mdp.actions(0), mdp.actions(1), mdp.transitions()), (1, 1, 2));
    let second = matrix(&[0, 0, 1, 2, 3], &[1, 0, 0], &[1.0; 3], &[4, 2]);
    assert_eq!(read_arrays(&second, &rewards()).unwrap().labels, Some(vec![1, 0, 1]));
}

#[test]
fn a_state_that_stays_for_nothing_ends() {
    let absorbing = matrix(&[0, 1, 3, 4, 5], &[1, 1, 1, 1, 1], &[1.0, 0.5, 0.5, 1.0, 1.0], &[4, 2]);
    let paid = vec![("r", floats("2, 2", &[1.0, 1.0, 0.0, 0.0]))];
    assert_eq!(
        read_arrays(&absorbing, &paid).unwrap().next,
        [1, 1, 1, TERMINAL, TERMINAL]
    );
    assert!(!read_arrays(&absorbing, &rewards()).unwrap().has_terminal());
}

#[test]
fn bad_transitions_are_named() {
    let half = npy("<f2", "6,", &[0; 12]);
    let objects = npy("|O", "6,", b"\x80\x04\x95pickled");
    let big_endian = npy(">f8", "6,", &[0; 48]);
    let record = String::from_utf8_lossy(&npy("RECORD", "6,", &[])[10..]).replace("'RECORD'", "[('p', '<f8')]");
    let record = [&b"\x93NUMPY\x01\x00"[..], &[record.len() as u8, 0], record.as_bytes()].concat();
    let ten_gigabytes = npy("<f8", "1250000000,", &[0; 48]);
    let overflow = npy("<f8", "4294967296, 4294967296, 4294967296", &[0; 48]);
    for (arrays, complaints) in [
        (
            with("data", half),
            &["p.npz: array `data`: its type is <f2; expected numbers of type <f8"][..],
        ),
        (with("data", objects), &["array `data`: its type is |O; expected"]),
        (with("data", big_endian), &["array `data`: its type is >f8; expected"]),
        (
            with("data", record),
            &["array `data`: its type is a record of several fields; expected"],
        ),
        (
            with("data", ten_gigabytes),
            &["claims 1250000000 elements of 8 bytes, but 48 bytes follow"],
        ),
        (
            with("data", overflow),
            &["claims 18446744073709551615 elements", "but 48 bytes follow"],
        ),
        (with("data", vec![]), &["array `data`: no .npy header"]),
        (
            with("data", floats("5,", &[1.0; 5])),
            &["6 in `indices` and 5 in `data`"],
        ),
        (
            with("indices", floats("6,", &[0.0; 6])),
            &["array `indices`: its type is <f8; expected integers"],
        ),
        (
            with("indices", integers(&[0, 0, 1, 1, -1, 0])),
            &["array `indices`: element 4 is out of range"],
        ),
        (
            with("indices", integers(&[0, 0, 2, 1, 1, 0])),
            &["not a Markov", "state 0, action 1: the next state 2"],
        ),
        (with("indptr", integers(&[0, 3, 1, 4, 6])), &["rising from 0"]),
        (with("indptr", integers(&[0, 1, 3, 4, 7])), &["rising from 0"]),
        (with("indptr", integers(&[])), &["0 entries in `indptr`"]),
        (
            with("shape", integers(&[4, 3])),
            &["shape (4, 3); expected (|S| |A|, |S|)"],
        ),
        (with("shape", integers(&[4, 0])), &["no states"]),
        (with("shape", integers(&[4])), &["`shape` has 1 numbers; expected 2"]),
        (
            with("shape", integers(&[2_000_000_000, 2])),
            &["a matrix of 2000000000 rows with 5 entries"],
        ),
        (
            with("format", npy("|S3", "", b"csc")),
            &["a matrix in csc form; expected csr"],
        ),
        (
            with("format", npy("<U3", "", b"c\0\0\0s\0\0\0r\0\0\0")),
            &["array `format`: its type is <U3"],
        ),
        (
            vec![("p", floats("2, 2", &[0.0; 4]))],
            &["no array `indptr` among [\"p\"]; expected a matrix in csr form"],
        ),
        (vec![], &["no array `indptr` among []"]),
        (
            with("data", floats("6,", &[1.0, -0.25, 1.25, 1.0, 0.5, 0.5])),
            &["state 0, action 1", "is -0.25; expected"],
        ),
        (
            with("data", floats("6,", &[1.0, 0.25, 0.75, 1.0, 0.4, 0.5])),
            &["state 1, action 1", "sum to 0.9; expected 1"],
        ),
        (
            with("data", floats("6,", &[f64::NAN, 0.25, 0.75, 1.0, 0.5, 0.5])),
            &["state 0, action 0", "is NaN"],
        ),
        (
            matrix(&[0, 1, 2, 2, 2], &[0, 1], &[1.0; 2], &[4, 2]),
            &["state 1 has no actions"],
        ),
    ] {
        let error = read_arrays(&arrays, &rewards()).unwrap_err();
        for complaint in complaints {
            assert!(error.contains(complaint), "`{complaint}` is not in: {error}");
        }
    }
}

#[test]
fn bad_rewards_are_named() {
    for (arrays, complaints) in [
        (
            vec![("r", floats("2, 3", &[0.0; 6]))],
            &["r.npz: array `r` has shape [2, 3]; expected [2, 2]"][..],
        ),
        (
            vec![("r", floats("", &[0.0]))],
            &["array `r` has shape []; expected [2, 2]"],
        ),
        (
            vec![("r", floats("2, 2", &[0.0, f64::NAN, 0.0, 0.0]))],
            &["r.npz", "state 0, action 1: the reward is NaN"],
        ),
        (
            matrix(&[0, 0, 0], &[], &[], &[2, 3]),
            &["shape (2, 3); expected (2, 2) for r(s, a) or (4, 2) for"],
        ),
        (
            matrix(&[0, 1, 1], &[5], &[1.0], &[2, 2]),
            &["`indices` holds 5; the matrix has 2 columns"],
        ),
        (
            matrix(&[0, 1, 1], &[0], &[f64::INFINITY], &[2, 2]),
            &["state 0, action 0: the reward is inf"],
        ),
        (
            vec![("a", integers(&[1])), ("b", integers(&[1]))],
            &["r.npz: no array `indptr` among [\"a\", \"b\"]"],
        ),
    ] {
        let error = read_arrays(&transitions(), &arrays).unwrap_err();
        for complaint in complaints {
            assert!(error.contains(complaint), "`{complaint}` is not in: {error}");
        }
    }
}

#[test]
fn damaged_archives_are_refused() {
    let whole = archive(&transitions(), CompressionMethod::Deflated);
    let rewards = archive(&rewards(), CompressionMethod::Stored);
    assert!(
        read_bytes(b"", &rewards)
            .unwrap_err()
            .contains("not a NumPy archive (.npz): the file is empty")
    );
    assert!(
        read_bytes(b"0,0,0,1,0", &rewards)
            .unwrap_err()
            .contains("p.npz: not a NumPy archive")
    );
    assert!(
        read_bytes(&whole, b"PK")
            .unwrap_err()
            .contains("r.npz: not a NumPy archive")
    );
    for length in 0..whole.len() {
        assert!(read_bytes(&whole[..length], &rewards).is_err());
    }
    let stored = archive(&transitions(), CompressionMethod::Stored);
    let expected = read_bytes(&stored, &rewards);
    for place in 0..stored.len() {
        let mut damaged = stored.clone();
        damaged[place] ^= 0x10;
        // A bit that the format does not use, such as one of a time, may change without harm.
        if let Ok(mdp) = read_bytes(&damaged, &rewards) {
            assert_eq!(Ok(mdp), expected);
        }
    }
}

#[test]
fn lying_sizes_cost_nothing() {
    // The sizes of an entry stand in the central directory, 20 and 24 bytes after its signature.
    let lie = |compression, offset, claim: u32| {
        let arrays = with("data", npy("<f8", "250000000,", &[0; 48]));
        let mut bytes = archive(&arrays, compression);
        let entries = bytes
            .windows(4)
            .enumerate()
            .filter(|(_, window)| *window == b"PK\x01\x02");
        let (data, _) = entries.max().unwrap();
        bytes[data + offset..][..4].copy_from_slice(&claim.to_le_bytes());
        read_bytes(&bytes, &archive(&rewards(), compression)).unwrap_err()
    };
    let claim = lie(CompressionMethod::Deflated, 24, 2_000_000_000);
    assert!(
        claim.contains("array `data`: the archive claims 2000000000 bytes"),
        "{claim}"
    );
    let claim = lie(CompressionMethod::Stored, 24, 2_000_000_000);
    assert!(
        claim.contains("array `data`: the archive claims 2000000000 bytes"),
        "{claim}"
    );
    assert!(lie(CompressionMethod::Stored, 20, 2_000_000_000).contains("array `data`"));
}
