//! The stack machine: the opcodes of protocol 2 that `torch.save` emits (CPython's `Lib/pickletools.py` has them all).
//!
//! One function an opcode where it takes more than a line. `at` is the opcode's place in the file, for messages.

use super::{
    PickleError, Storage, TensorRef,
    cursor::Cursor,
    value::{Global, Object, Value},
};

pub(super) struct Machine<'a> {
    input: Cursor<'a>,
    stack: Vec<Value>,
    /// Heights of the stack where a MARK was set.
    marks: Vec<usize>,
    memo: Vec<Option<Value>>,
    pub(super) arena: Vec<Object>,
}

type Outcome<T> = Result<T, PickleError>;

impl<'a> Machine<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            input: Cursor::new(bytes),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: Vec::new(),
            arena: Vec::new(),
        }
    }

    /// Bytes read so far.
    pub(super) fn position(&self) -> usize {
        self.input.position
    }

    /// Up to STOP: the value on top of the stack.
    pub(super) fn run(&mut self) -> Outcome<Value> {
        loop {
            let at = self.input.position;
            let opcode = self.input.byte()?;
            match opcode {
                b'.' => return self.pop(),
                _ => self.step(opcode, at)?,
            }
        }
    }

    fn step(&mut self, opcode: u8, at: usize) -> Outcome<()> {
        match opcode {
            // PROTO: 2 is what torch.save asks for; later ones have opcodes that are not here.
            0x80 => match self.input.byte()? {
                2 => {}
                version => return Err(PickleError::at(at, format_args!("protocol {version}, expected 2"))),
            },
            b'(' => self.marks.push(self.stack.len()),
            b'}' => self.push_object(Object::Dict(Vec::new())),
            b']' => self.push_object(Object::List(Vec::new())),
            b')' => self.push_object(Object::Tuple(Vec::new())),
            b't' => {
                let items = self.pop_to_mark()?;
                self.push_object(Object::Tuple(items));
            }
            // TUPLE1 to TUPLE3
            0x85..=0x87 => {
                let n = usize::from(opcode - 0x84);
                let items = self.pop_many(n)?;
                self.push_object(Object::Tuple(items));
            }
            b'N' => self.stack.push(Value::None),
            0x88 => self.stack.push(Value::Bool(true)),
            0x89 => self.stack.push(Value::Bool(false)),
            b'K' => {
                let n = self.input.byte()?;
                self.stack.push(Value::Int(n.into()));
            }
            b'M' => {
                let n = u16::from_le_bytes(self.input.array()?);
                self.stack.push(Value::Int(n.into()));
            }
            b'J' => {
                let n = i32::from_le_bytes(self.input.array()?);
                self.stack.push(Value::Int(n.into()));
            }
            0x8a => self.long(at)?,
            b'X' => {
                let length = self.input.length()?;
                let text = self.input.text(length, at)?;
                self.stack.push(Value::Text(text.into()));
            }
            b'q' => {
                let slot = self.input.byte()?.into();
                self.put(slot, at)?;
            }
            b'r' => {
                let slot = self.input.length()?;
                self.put(slot, at)?;
            }
            b'h' => {
                let slot = self.input.byte()?.into();
                self.get(slot, at)?;
            }
            b'j' => {
                let slot = self.input.length()?;
                self.get(slot, at)?;
            }
            b's' => {
                let entry = self.pop_many(2)?;
                self.extend_dict(entry, at)?;
            }
            b'u' => {
                let entries = self.pop_to_mark()?;
                self.extend_dict(entries, at)?;
            }
            b'a' => {
                let item = self.pop()?;
                self.extend_list(vec![item], at)?;
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.extend_list(items, at)?;
            }
            b'c' => self.global(at)?,
            b'R' => self.reduce(at)?,
            b'Q' => self.persistent_id(at)?,
            // BUILD sets attributes: of an OrderedDict, its `_metadata` (module versions), which loading does not need.
            b'b' => drop(self.pop()?),
            other => {
                return Err(PickleError::at(
                    at,
                    format_args!("opcode {other:#04x}, which weights are not written with"),
                ));
            }
        }
        Ok(())
    }

    fn global(&mut self, at: usize) -> Outcome<()> {
        let (module, name) = (self.input.line(at)?, self.input.line(at)?);
        match Global::named(&module, &name) {
            Some(global) => self.stack.push(Value::Global(global)),
            None => return Err(PickleError::Foreign { module, name }),
        }
        Ok(())
    }

    fn reduce(&mut self, at: usize) -> Outcome<()> {
        let arguments = self.pop()?;
        let called = self.pop()?;
        let arguments = self
            .tuple(&arguments)
            .ok_or_else(|| PickleError::at(at, "arguments are not a tuple"))?;
        let object = match called {
            // torch.save writes an empty one and sets the items after.
            Value::Global(Global::OrderedDict) if arguments.is_empty() => Object::Dict(Vec::new()),
            Value::Global(Global::RebuildTensor) => {
                let tensor = self.rebuild_tensor(arguments);
                Object::Tensor(tensor.ok_or_else(|| PickleError::at(at, "arguments do not describe a tensor"))?)
            }
            other => return Err(PickleError::at(at, format_args!("a call of {other:?}"))),
        };
        self.push_object(object);
        Ok(())
    }

    /// `_rebuild_tensor_v2(storage, storage_offset, size, stride, requires_grad, backward_hooks[, metadata])`.
    fn rebuild_tensor(&self, arguments: &[Value]) -> Option<TensorRef> {
        let [Value::Object(storage), Value::Int(offset), shape, strides, ..] = arguments else {
            return None;
        };
        let Object::Storage(storage) = self.arena.get(*storage)? else {
            return None;
        };
        Some(TensorRef {
            storage: storage.clone(),
            offset: i64::try_from(*offset).ok()?,
            shape: self.ints(shape)?,
            strides: self.ints(strides)?,
        })
    }

    /// `("storage", storage class, key, location, element count[, view metadata])`; the last one in legacy files, None there.
    fn persistent_id(&mut self, at: usize) -> Outcome<()> {
        let id = self.pop()?;
        let storage = match self.tuple(&id) {
            Some(
                [
                    Value::Text(tag),
                    Value::Global(Global::Storage(kind)),
                    Value::Text(key),
                    Value::Text(_),
                    Value::Int(n),
                ]
                | [
                    Value::Text(tag),
                    Value::Global(Global::Storage(kind)),
                    Value::Text(key),
                    Value::Text(_),
                    Value::Int(n),
                    Value::None,
                ],
            ) if &**tag == "storage" => i64::try_from(*n).ok().map(|elements| Storage {
                key: key.to_string(),
                kind: *kind,
                elements,
            }),
            _ => None,
        };
        let storage = storage.ok_or_else(|| PickleError::at(at, "a persistent id that names no storage of its own"))?;
        self.push_object(Object::Storage(storage));
        Ok(())
    }

    fn ints(&self, value: &Value) -> Option<Vec<i64>> {
        let items = self.tuple(value)?.iter();
        items
            .map(|item| {
                if let Value::Int(n) = item {
                    i64::try_from(*n).ok()
                } else {
                    None
                }
            })
            .collect()
    }

    fn tuple(&self, value: &Value) -> Option<&[Value]> {
        let Value::Object(at) = value else { return None };
        if let Object::Tuple(items) = self.arena.get(*at)? {
            Some(items)
        } else {
            None
        }
    }

    fn extend_dict(&mut self, entries: Vec<Value>, at: usize) -> Outcome<()> {
        let Some(Value::Object(dict)) = self.stack.last() else {
            return Err(PickleError::at(at, "no dict to set items of"));
        };
        let Object::Dict(onto) = &mut self.arena[*dict] else {
            return Err(PickleError::at(at, "no dict to set items of"));
        };
        if !entries.len().is_multiple_of(2) {
            return Err(PickleError::at(at, "a key without a value"));
        }
        let mut entries = entries.into_iter();
        while let (Some(key), Some(value)) = (entries.next(), entries.next()) {
            onto.push((key, value));
        }
        Ok(())
    }

    fn extend_list(&mut self, items: Vec<Value>, at: usize) -> Outcome<()> {
        let Some(Value::Object(list)) = self.stack.last() else {
            return Err(PickleError::at(at, "no list to append to"));
        };
        let Object::List(onto) = &mut self.arena[*list] else {
            return Err(PickleError::at(at, "no list to append to"));
        };
        onto.extend(items);
        Ok(())
    }

    /// LONG1: little-endian two's complement of up to 255 bytes; legacy files begin with one of 10.
    fn long(&mut self, at: usize) -> Outcome<()> {
        let length = self.input.byte()?.into();
        let bytes = self.input.take(length)?;
        if bytes.len() > 16 {
            return Err(PickleError::at(at, format_args!("an integer of {length} bytes")));
        }
        let sign = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut wide = [if sign { 0xff } else { 0 }; 16];
        wide[..bytes.len()].copy_from_slice(bytes);
        self.stack.push(Value::Int(i128::from_le_bytes(wide)));
        Ok(())
    }

    fn put(&mut self, slot: usize, at: usize) -> Outcome<()> {
        // Slots are given out one by one, so there are no more than bytes read; a far one would only reserve memory.
        if slot > self.input.position {
            return Err(PickleError::at(at, format_args!("memo slot {slot}")));
        }
        let top = self.stack.last().cloned();
        if self.memo.len() <= slot {
            self.memo.resize(slot + 1, None);
        }
        self.memo[slot] = top;
        Ok(())
    }

    fn get(&mut self, slot: usize, at: usize) -> Outcome<()> {
        let value = self.memo.get(slot).cloned().flatten();
        self.stack
            .push(value.ok_or_else(|| PickleError::at(at, format_args!("memo slot {slot} is empty")))?);
        Ok(())
    }

    fn push_object(&mut self, object: Object) {
        self.arena.push(object);
        self.stack.push(Value::Object(self.arena.len() - 1));
    }

    fn pop(&mut self) -> Outcome<Value> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let value = if self.stack.len() > floor {
            self.stack.pop()
        } else {
            None
        };
        value.ok_or_else(|| PickleError::at(self.input.position, "nothing on the stack"))
    }

    fn pop_many(&mut self, n: usize) -> Outcome<Vec<Value>> {
        let mut items = (0..n).map(|_| self.pop()).collect::<Outcome<Vec<_>>>()?;
        items.reverse();
        Ok(items)
    }

    fn pop_to_mark(&mut self) -> Outcome<Vec<Value>> {
        let mark = self
            .marks
            .pop()
            .ok_or_else(|| PickleError::at(self.input.position, "no mark on the stack"))?;
        Ok(self.stack.split_off(mark))
    }
}
