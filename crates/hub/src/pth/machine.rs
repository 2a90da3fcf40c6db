//! The stack machine.
//!
//! Every instruction makes at most one object, no larger than the bytes it is written in or the stack it takes it from, so that
//! memory stays within a small multiple of the file. There is no recursion.

use std::collections::HashMap;
use std::path::Path;

use super::object::{Global, Id, Object, Storage, Tensor};
use crate::error::{HubError, fault};

/// The newest version of the machine.
const MAX_PROTOCOL: u8 = 5;

/// What a pickle made.
#[derive(Debug)]
pub(super) struct Pickle {
    pub(super) objects: Vec<Object>,
    pub(super) root: Id,
}

impl Pickle {
    /// Runs the pickle that begins at `at`, and moves that behind its end.
    pub(super) fn load(path: &Path, file: &[u8], at: &mut usize) -> Result<Self, HubError> {
        let mut machine = Machine {
            file,
            at: *at,
            objects: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            copies: file.len(),
        };
        match machine.run() {
            Ok(root) => {
                *at = machine.at;
                let objects = machine.objects;
                Ok(Self { objects, root })
            }
            Err(detail) => Err(fault(path, format!("pickle, before byte {}: {detail}", machine.at))),
        }
    }
}

struct Machine<'a> {
    file: &'a [u8],
    at: usize,
    objects: Vec<Object>,
    stack: Vec<Id>,
    /// Heights of the stack to which it is taken down again.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
    /// How many more entries may be copied.
    copies: usize,
}

/// A detail of what is wrong.
type Step<T> = Result<T, String>;

impl Machine<'_> {
    fn run(&mut self) -> Step<Id> {
        loop {
            let [instruction] = self.take()?;
            if instruction == b'.' {
                return self.pop();
            }
            self.step(instruction)?;
        }
    }

    fn step(&mut self, instruction: u8) -> Step<()> {
        match instruction {
            // The version; a frame, whose length says nothing new.
            0x80 => {
                let [version] = self.take()?;
                return if version <= MAX_PROTOCOL {
                    Ok(())
                } else {
                    Err(format!(
                        "found version {version} of the format; expected at most {MAX_PROTOCOL}"
                    ))
                };
            }
            0x95 => return self.take::<8>().map(|_| ()),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => return self.pop().map(|_| ()),
            b'1' => return self.above_mark().map(|_| ()),
            b'a' => {
                let item = self.pop()?;
                return self.append(vec![item]);
            }
            b'e' => {
                let items = self.above_mark()?;
                return self.append(items);
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                return self.set_items(&[key, value]);
            }
            b'u' => {
                let items = self.above_mark()?;
                return self.set_items(&items);
            }
            b'q' => {
                let [place] = self.take()?;
                return self.remember(place.into());
            }
            b'r' => {
                let place = u32::from_le_bytes(self.take()?);
                return self.remember(place.into());
            }
            0x94 => return self.remember(self.memo.len() as u64),
            b'h' => {
                let [place] = self.take()?;
                return self.recall(place.into());
            }
            b'j' => {
                let place = u32::from_le_bytes(self.take()?);
                return self.recall(place.into());
            }
            // The state of an object: dictionaries alone may have one, and it says nothing about tensors.
            b'b' => {
                self.pop()?;
                return match self.top()? {
                    Object::Dict(_) => Ok(()),
                    _ => Err("found a state for an object that is no dictionary; expected tensors only".into()),
                };
            }
            b'R' => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                match self.call(function, arguments)? {
                    Made::New(object) => self.push(object),
                    Made::Old(id) => self.stack.push(id),
                }
            }
            other => {
                let object = self.value(other)?;
                self.push(object);
            }
        }
        Ok(())
    }

    /// The object that an instruction makes.
    fn value(&mut self, instruction: u8) -> Step<Object> {
        Ok(match instruction {
            b'N' => Object::None,
            0x88 => Object::Bool(true),
            0x89 => Object::Bool(false),
            b'K' => Object::Integer(u8::from_le_bytes(self.take()?).into()),
            b'M' => Object::Integer(u16::from_le_bytes(self.take()?).into()),
            b'J' => Object::Integer(i32::from_le_bytes(self.take()?).into()),
            0x8a => self.long()?,
            b'G' => {
                self.take::<8>()?;
                Object::Other
            }
            // Texts, also those of Python 2, by the width of their lengths.
            b'U' | 0x8c => self.text::<1>()?,
            b'T' | b'X' => self.text::<4>()?,
            0x8d => self.text::<8>()?,
            b'C' => self.other::<1>()?,
            b'B' => self.other::<4>()?,
            0x8e => self.other::<8>()?,
            b')' => Object::Tuple(Vec::new()),
            0x85..=0x87 => {
                let count = usize::from(instruction - 0x84);
                let start = self
                    .stack
                    .len()
                    .checked_sub(count)
                    .filter(|&start| start >= self.floor());
                Object::Tuple(self.stack.split_off(start.ok_or_else(empty)?))
            }
            b't' => Object::Tuple(self.above_mark()?),
            b']' => Object::List(Vec::new()),
            b'}' => Object::Dict(Vec::new()),
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                global(&module, &name)?
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (&self.objects[module], &self.objects[name]) {
                    (Object::Text(module), Object::Text(name)) => global(module, name)?,
                    _ => return Err("expected the names of a module and of something in it".into()),
                }
            }
            b'Q' => self.storage()?,
            other => {
                return Err(format!(
                    "found the instruction {other:#04x}, which files of tensors do not have"
                ));
            }
        })
    }

    fn take<const N: usize>(&mut self) -> Step<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.bytes(N)?);
        Ok(bytes)
    }

    fn bytes(&mut self, count: usize) -> Step<&[u8]> {
        let left = self.file.get(self.at..).unwrap_or_default();
        let bytes = left
            .get(..count)
            .ok_or_else(|| format!("{} bytes are left; expected {count} (is the file cut off?)", left.len()))?;
        self.at += count;
        Ok(bytes)
    }

    /// Bytes after their length, of so many bytes itself.
    fn counted<const N: usize>(&mut self) -> Step<&[u8]> {
        let mut length = [0; 8];
        length[..N].copy_from_slice(&self.take::<N>()?);
        self.bytes(usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX))
    }

    fn text<const N: usize>(&mut self) -> Step<Object> {
        let text =
            std::str::from_utf8(self.counted::<N>()?).map_err(|error| format!("a text is not UTF-8: {error}"))?;
        Ok(Object::Text(text.into()))
    }

    fn other<const N: usize>(&mut self) -> Step<Object> {
        self.counted::<N>()?;
        Ok(Object::Other)
    }

    fn line(&mut self) -> Step<String> {
        let left = self.file.get(self.at..).unwrap_or_default();
        let end = left
            .iter()
            .position(|&byte| byte == b'\n')
            .ok_or("expected a line with a name")?;
        let line = std::str::from_utf8(&left[..end]).map_err(|error| format!("a name is not UTF-8: {error}"))?;
        self.at += end + 1;
        Ok(line.into())
    }

    /// An integer of up to 16 bytes.
    fn long(&mut self) -> Step<Object> {
        let bytes = self.counted::<1>()?;
        if bytes.len() > 16 {
            return Err(format!("an integer of {} bytes; expected at most 16", bytes.len()));
        }
        let negative = bytes.last().is_some_and(|&byte| byte > 127);
        let mut wide = [if negative { 255 } else { 0 }; 16];
        wide[..bytes.len()].copy_from_slice(bytes);
        Ok(Object::Integer(i128::from_le_bytes(wide)))
    }

    fn push(&mut self, object: Object) {
        self.stack.push(self.objects.len());
        self.objects.push(object);
    }

    /// What the stack must not be taken below: the last mark.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Step<Id> {
        if self.stack.len() <= self.floor() {
            return Err(empty());
        }
        self.stack.pop().ok_or_else(empty)
    }

    fn top(&mut self) -> Step<&mut Object> {
        if self.stack.len() <= self.floor() {
            return Err(empty());
        }
        self.stack.last().map(|&id| &mut self.objects[id]).ok_or_else(empty)
    }

    fn above_mark(&mut self) -> Step<Vec<Id>> {
        let start = self.marks.pop().ok_or("expected a mark on the stack")?;
        Ok(self.stack.split_off(start))
    }

    fn append(&mut self, items: Vec<Id>) -> Step<()> {
        match self.top()? {
            Object::List(list) => {
                list.extend(items);
                Ok(())
            }
            _ => Err("expected a list to append to".into()),
        }
    }

    fn set_items(&mut self, items: &[Id]) -> Step<()> {
        let (pairs, []) = items.as_chunks() else {
            return Err("expected a value for each key".into());
        };
        match self.top()? {
            Object::Dict(dict) => {
                dict.extend(pairs.iter().map(|&[key, value]| (key, value)));
                Ok(())
            }
            _ => Err("expected a dictionary to put values into".into()),
        }
    }

    fn remember(&mut self, place: u64) -> Step<()> {
        self.top()?;
        let id = *self.stack.last().ok_or_else(empty)?;
        self.memo.insert(place, id);
        Ok(())
    }

    fn recall(&mut self, place: u64) -> Step<()> {
        let id = self
            .memo
            .get(&place)
            .ok_or_else(|| format!("nothing is kept under the number {place}"))?;
        self.stack.push(*id);
        Ok(())
    }

    /// The storage that a tuple names: `("storage", type, key, device, elements)`, in older files with a view, which is none.
    fn storage(&mut self) -> Step<Object> {
        let id = self.pop()?;
        let expected = || "expected a storage: its type, its key, a device and a number of elements".to_owned();
        let Object::Tuple(items) = &self.objects[id] else {
            return Err(expected());
        };
        let (&[word, kind, key, _, elements] | &[word, kind, key, _, elements, _]) = items.as_slice() else {
            return Err(expected());
        };
        let view = items.get(5).map(|&view| &self.objects[view]);
        match [word, kind, key, elements].map(|id| &self.objects[id]) {
            [
                Object::Text(word),
                Object::Global(Global::Storage(dtype)),
                Object::Text(_),
                &Object::Integer(elements),
            ] if word == "storage" && matches!(view, None | Some(Object::None)) => Ok(Object::Storage(Storage {
                dtype: *dtype,
                key,
                elements: elements
                    .try_into()
                    .map_err(|_| format!("a storage of {elements} elements"))?,
            })),
            _ => Err(expected()),
        }
    }

    fn call(&mut self, function: Id, arguments: Id) -> Step<Made> {
        let (&Object::Global(function), Object::Tuple(arguments)) = (&self.objects[function], &self.objects[arguments])
        else {
            return Err("expected a function and its arguments".into());
        };
        match function {
            Global::OrderedDict => {
                let dict = self.ordered_dict(arguments)?;
                // One list of pairs could be made into any number of dictionaries.
                let left = self.copies.checked_sub(dict.len());
                self.copies = left.ok_or("more entries of dictionaries than the file has bytes")?;
                Ok(Made::New(Object::Dict(dict)))
            }
            Global::Size => match arguments[..] {
                [lengths] => Ok(Made::Old(lengths)),
                _ => Err("expected lengths for a size".into()),
            },
            Global::RebuildTensor => self.tensor(arguments).map(Made::New),
            Global::RebuildParameter => match arguments[..] {
                [tensor, ..] if matches!(self.objects[tensor], Object::Tensor(_)) => Ok(Made::Old(tensor)),
                _ => Err("expected a tensor for a parameter".into()),
            },
            Global::Storage(dtype) => Err(format!("a storage of {dtype} is called; expected it to be named only")),
        }
    }

    /// An empty dictionary, or one of pairs.
    fn ordered_dict(&self, arguments: &[Id]) -> Step<Vec<(Id, Id)>> {
        let pairs = match arguments {
            [] => return Ok(Vec::new()),
            [pairs] => self.items(*pairs),
            _ => None,
        };
        let pair = |&pair: &Id| match self.items(pair) {
            Some(&[key, value]) => Some((key, value)),
            _ => None,
        };
        let pairs = pairs.filter(|pairs| pairs.len() <= self.copies);
        let dict = pairs.and_then(|pairs| pairs.iter().map(pair).collect());
        dict.ok_or_else(|| "expected pairs for a dictionary, and no more than the file has bytes".into())
    }

    fn items(&self, id: Id) -> Option<&[Id]> {
        self.objects[id].items()
    }

    fn tensor(&self, arguments: &[Id]) -> Step<Object> {
        let &[storage, offset, shape, strides, ..] = arguments else {
            return Err("expected storage, offset, lengths and strides of a tensor".into());
        };
        if !matches!(self.objects[storage], Object::Storage(_)) {
            return Err("expected the storage of a tensor".into());
        }
        if !matches!(self.objects[offset], Object::Integer(_))
            || self.items(shape).is_none()
            || self.items(strides).is_none()
        {
            return Err("expected the offset of a tensor, its lengths and its strides".into());
        }
        Ok(Object::Tensor(Tensor {
            storage,
            offset,
            shape,
            strides,
        }))
    }
}

/// What a call gives: a new object, or one that there is.
enum Made {
    New(Object),
    Old(Id),
}

fn global(module: &str, name: &str) -> Step<Object> {
    let found = Global::of(module, name);
    found.map(Object::Global).ok_or_else(|| {
        format!("it asks for `{module}.{name}`, which is not among what tensors are made with; expected tensors only")
    })
}

fn empty() -> String {
    "the stack is empty".into()
}
