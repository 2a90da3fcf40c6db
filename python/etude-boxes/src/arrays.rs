//! NumPy arrays as slices and boxes, and back.

use etude_boxes::rotated::RotatedBoxes;
use etude_boxes::{BoxError, Boxes, Float};
use numpy::ndarray::{Dim, Dimension, Ix, Ix1, Ix2};
use numpy::{
    Element, IntoPyArray, PyArray, PyArray1, PyArrayDescrMethods, PyArrayMethods, PyReadonlyArray, PyUntypedArray,
    PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::choice::{Angle, Corners};

/// A number of Rust and NumPy.
pub(crate) trait Number: Float + Element {}

impl Number for f32 {}
impl Number for f64 {}

/// Calls a function for the kind of numbers in an array: 32 bits, or else 64.
macro_rules! of_kind {
    ($array:expr, $function:ident($($argument:expr),* $(,)?)) => {
        if $crate::arrays::is_narrow($array) {
            $function::<f32>($($argument),*)
        } else {
            $function::<f64>($($argument),*)
        }
    };
}

/// Whether an array holds numbers of 32 bits.
pub(crate) fn is_narrow(array: &Bound<'_, PyAny>) -> bool {
    array
        .cast::<PyUntypedArray>()
        .is_ok_and(|array| array.dtype().is_equiv_to(&f32::get_dtype(array.py())))
}

/// A message of the library as a `ValueError`.
pub(crate) fn value_error(error: BoxError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// An array that is read.
pub(crate) type Read<'py, T, D> = PyReadonlyArray<'py, T, D>;

/// Reads an array with as many dimensions.
pub(crate) fn read<'py, T: Element, D: Dimension>(name: &str, array: &Bound<'py, PyAny>) -> PyResult<Read<'py, T, D>> {
    match array.cast::<PyArray<T, D>>() {
        Ok(array) => Ok(array.try_readonly()?),
        Err(_) => Err(PyTypeError::new_err(format!(
            "{name}: found {}, expected an array of {} with {} dimension{}",
            described(array),
            T::get_dtype(array.py()),
            D::NDIM.unwrap_or_default(),
            if D::NDIM == Some(1) { "" } else { "s" },
        ))),
    }
}

/// What an object is, for messages.
fn described(array: &Bound<'_, PyAny>) -> String {
    match array.cast::<PyUntypedArray>() {
        Ok(array) => format!("an array of {} with shape {:?}", array.dtype(), array.shape()),
        Err(_) => array
            .get_type()
            .name()
            .map_or_else(|_| "something else".into(), |name| name.to_string()),
    }
}

/// The numbers of an array without gaps.
pub(crate) fn slice<'a, T: Element, D: Dimension>(name: &str, array: &'a Read<'_, T, D>) -> PyResult<&'a [T]> {
    match array.as_slice() {
        Ok(slice) if array.is_c_contiguous() => Ok(slice),
        _ => Err(gaps(name)),
    }
}

fn gaps(name: &str) -> PyErr {
    PyValueError::new_err(format!(
        "{name}: the array is not contiguous; numpy.ascontiguousarray makes a copy that is"
    ))
}

/// Rows of `N` numbers, as they lie in memory.
enum Rows<'a, T, const N: usize> {
    Flat(&'a [T]),
    Columns([&'a [T]; N]),
}

fn rows<'a, T: Element, const N: usize>(name: &str, array: &'a Read<'_, T, Ix2>) -> PyResult<Rows<'a, T, N>> {
    let [count, width] = [array.shape()[0], array.shape()[1]];
    if width != N {
        return Err(PyValueError::new_err(format!(
            "{name}: found an array with shape [{count}, {width}], expected [n, {N}]"
        )));
    }
    let numbers = array.as_slice().map_err(|_| gaps(name))?;
    Ok(if array.is_c_contiguous() {
        Rows::Flat(numbers)
    } else {
        Rows::Columns(std::array::from_fn(|k| &numbers[k * count..(k + 1) * count]))
    })
}

/// Upright boxes, an array [n, 4] in C or Fortran order.
pub(crate) fn boxes<'a, T: Number>(name: &str, array: &'a Read<'_, T, Ix2>, format: Corners) -> PyResult<Boxes<'a, T>> {
    match rows(name, array)? {
        Rows::Flat(numbers) => Boxes::flat(numbers, format.0),
        Rows::Columns(columns) => Boxes::columns(columns, format.0),
    }
    .map_err(value_error)
}

/// Rotated boxes, an array [n, 5] in C or Fortran order.
pub(crate) fn rotated<'a, T: Number>(
    name: &str,
    array: &'a Read<'_, T, Ix2>,
    angle: Angle,
) -> PyResult<RotatedBoxes<'a, T>> {
    match rows(name, array)? {
        Rows::Flat(numbers) => RotatedBoxes::flat(numbers, angle.0),
        Rows::Columns(columns) => RotatedBoxes::columns(columns, angle.0),
    }
    .map_err(value_error)
}

/// Classes, which are counted from zero: uint32 as they are, int64 as a copy.
pub(crate) enum Classes<'py> {
    Read(Read<'py, u32, Ix1>),
    Copied(Vec<u32>),
}

impl<'py> Classes<'py> {
    pub(crate) fn read(array: &Bound<'py, PyAny>) -> PyResult<Self> {
        let Ok(wide) = array.cast::<PyArray1<i64>>() else {
            return read("classes", array).map(Self::Read);
        };
        let wide = wide.try_readonly()?;
        let class = |&class: &i64| {
            u32::try_from(class).map_err(|_| {
                PyValueError::new_err(format!(
                    "classes: found {class}, expected numbers from 0 to {}",
                    u32::MAX
                ))
            })
        };
        wide.as_array()
            .iter()
            .map(class)
            .collect::<PyResult<_>>()
            .map(Self::Copied)
    }

    pub(crate) fn slice(&self) -> PyResult<&[u32]> {
        match self {
            Self::Read(array) => slice("classes", array),
            Self::Copied(classes) => Ok(classes),
        }
    }
}

/// A new array of zeros. (NumPy's own function reports it where memory is too small.)
pub(crate) fn zeros<T: Element, const N: usize>(
    py: Python<'_>,
    shape: [usize; N],
) -> PyResult<Bound<'_, PyArray<T, Dim<[Ix; N]>>>>
where
    Dim<[Ix; N]>: Dimension,
{
    let array = py.import("numpy")?.call_method1("zeros", (shape, T::get_dtype(py)))?;
    Ok(array.cast_into()?)
}

/// A new array that `fill` writes, while other Python threads run.
pub(crate) fn filled<T: Number, const N: usize>(
    py: Python<'_>,
    shape: [usize; N],
    fill: impl FnOnce(&mut [T]) -> Result<(), BoxError> + Send,
) -> PyResult<Bound<'_, PyAny>>
where
    Dim<[Ix; N]>: Dimension,
{
    let values = zeros(py, shape)?;
    let mut room = values.readwrite();
    let slice = room.as_slice_mut()?;
    py.detach(|| fill(slice)).map_err(value_error)?;
    Ok(values.into_any())
}

/// The same for losses [n] and gradients [n, `N`].
pub(crate) fn losses<T: Number, const N: usize>(
    py: Python<'_>,
    count: usize,
    fill: impl FnOnce(&mut [T], &mut [[T; N]]) -> Result<(), BoxError> + Send,
) -> PyResult<(Bound<'_, PyAny>, Bound<'_, PyAny>)> {
    let gradients = zeros(py, [count, N])?;
    let mut room = gradients.readwrite();
    let (slopes, _) = room.as_slice_mut()?.as_chunks_mut();
    let losses = filled(py, [count], |losses| fill(losses, slopes))?;
    Ok((losses, gradients.into_any()))
}

/// Numbers that have been collected, as an array. Nothing is copied.
pub(crate) fn array<T: Element>(py: Python<'_>, numbers: Vec<T>) -> Bound<'_, PyArray1<T>> {
    numbers.into_pyarray(py)
}
