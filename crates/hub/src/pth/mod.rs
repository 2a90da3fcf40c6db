//! Files that PyTorch's `torch.save` writes: `.pth`, `.pt`, `.bin`.
//!
//! Such a file is a pickle, a program for a stack machine that builds objects of Python, with the bytes of the tensors beside it.
//! Here a machine of its own runs it, which knows tensors, texts, numbers, tuples, lists and dictionaries, and of all functions
//! that a pickle may call those alone that PyTorch makes tensors with. Nothing else is called: a file that asks for more is
//! refused by the name of what it asks for.
//!
//! Two layouts are read: a ZIP archive (PyTorch 1.6 and later), and five pickles with the bytes behind them (before that).
//! Sources: Python's `pickletools` for the machine, PyTorch's `torch/serialization.py` and `torch/_utils.py` for the layouts.

mod archive;
mod checkpoint;
mod legacy;
mod machine;
mod object;
mod tensors;

pub use checkpoint::PthCheckpoint;
