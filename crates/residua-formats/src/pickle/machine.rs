//! The opcodes of all protocols, as far as data needs them. (Source: CPython's `Lib/pickletools.py`.)

use std::collections::HashMap;

use bytes::Bytes;
use residua_ir::Text;
use residua_ir::budget::{Limit, Meter};

use super::danger::{is_harmful, is_known_constructor};
use super::{Call, Id, Object, Pickle, Value, escapes};
use crate::FormatError;
use crate::error::Result;

/// Runs the pickle that starts at `start`; `at` is what messages call the file or record.
///
/// # Errors
/// [`FormatError`] with the byte: what is no pickle, is cut short, or holds an opcode that no data needs.
pub(crate) fn run(at: &str, bytes: &Bytes, start: usize) -> Result<Pickle> {
    let mut machine = Machine {
        at,
        bytes,
        position: start,
        opcode: start,
        values: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        calls: Vec::new(),
        opcodes: Meter::new(Limit::PickleOpcodes),
        names: Meter::new(Limit::TextBytes),
    };
    let root = machine.execute()?;
    let end = machine.position;
    let Machine { values, calls, .. } = machine;
    let mut pickle = Pickle { values, root, end, calls: Vec::new() };
    pickle.calls = calls.into_iter().filter(|(call, by)| pickle.is_report(call, *by)).map(|(call, _)| call).collect();
    Ok(pickle)
}

/// How a class or function would have been used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// Called with arguments.
    Call,
    /// Made as an object without its constructor.
    New,
}

impl Pickle {
    /// Whether a call is worth a report.
    fn is_report(&self, call: &Call, by: By) -> bool {
        match (self.global(call.callable), by) {
            // What it is bound to is called later, by whoever has the result.
            (Some("functools.partial"), _) => {
                let object = self.object(call.object);
                let bound = object.and_then(|object| self.global(*self.sequence(object.args)?.first()?));
                bound.is_some_and(|name| {
                    is_harmful(name) || name.starts_with("builtins.") || name.starts_with("__builtin__.")
                })
            }
            (Some(name), By::Call) => !is_known_constructor(name),
            (Some(name), By::New) => is_harmful(name),
            // The result of a call, called again.
            (None, _) => true,
        }
    }
}

struct Machine<'a> {
    at: &'a str,
    bytes: &'a Bytes,
    position: usize,
    /// Where the current opcode is.
    opcode: usize,
    values: Vec<Value>,
    stack: Vec<Id>,
    /// Heights of the stack at each mark.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
    calls: Vec<(Call, By)>,
    opcodes: Meter,
    /// Bytes of the names of globals, which an opcode of one byte may put together from texts that are remembered.
    names: Meter,
}

impl Machine<'_> {
    fn error(&self, expected: &str, found: impl Into<Text>) -> FormatError {
        let place = match self.at {
            "" => format!("pickle, byte {}", self.opcode),
            at => format!("{at}, byte {}", self.opcode),
        };
        FormatError::malformed(place, expected, found)
    }

    // ---- bytes

    fn take(&mut self, count: u64) -> Result<Bytes> {
        let left = self.bytes.len() - self.position;
        match usize::try_from(count).ok().filter(|&count| count <= left) {
            Some(count) => {
                let slice = self.bytes.slice(self.position..self.position + count);
                self.position += count;
                Ok(slice)
            }
            None => Err(self.error(&format!("{count} more bytes"), format!("{left}"))),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.take(N as u64)?;
        bytes.first_chunk().copied().ok_or_else(|| self.error("more bytes", "the end"))
    }

    fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    fn u32(&mut self) -> Result<u64> {
        Ok(u64::from(u32::from_le_bytes(self.array()?)))
    }

    /// The bytes up to the end of the line.
    fn raw_line(&mut self) -> Result<Bytes> {
        let length = self.bytes[self.position..].iter().position(|&byte| byte == b'\n');
        let length = length.ok_or_else(|| self.error("a line", "no end of it"))?;
        let line = self.bytes.slice(self.position..self.position + length);
        self.position += length + 1;
        Ok(line)
    }

    fn line(&mut self) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.raw_line()?).into_owned())
    }

    fn text(&mut self, length: u64) -> Result<Value> {
        let bytes = self.take(length)?;
        // Lone surrogates, which Python writes too, are no text that anything here compares.
        Ok(Value::Text(String::from_utf8_lossy(&bytes).into_owned()))
    }

    // ---- stack

    fn push(&mut self, value: Value) -> Result<()> {
        FormatError::check(self.at, Limit::PickleValues, self.values.len() as u64 + 1)?;
        let id = u32::try_from(self.values.len()).map_err(|_| self.error("fewer values", "more than 2^32"))?;
        self.values.push(value);
        self.stack.push(id);
        Ok(())
    }

    fn push_id(&mut self, id: Id) -> Result<()> {
        FormatError::check(self.at, Limit::PickleValues, self.stack.len() as u64 + 1)?;
        self.stack.push(id);
        Ok(())
    }

    /// The lowest height to which values may be taken.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<Id> {
        if self.stack.len() <= self.floor() {
            return Err(self.error("a value on the stack", "none"));
        }
        self.stack.pop().ok_or_else(|| self.error("a value on the stack", "none"))
    }

    fn top(&self) -> Result<Id> {
        match self.stack.last() {
            Some(&id) if self.stack.len() > self.floor() => Ok(id),
            Some(_) | None => Err(self.error("a value on the stack", "none")),
        }
    }

    /// Values above the last mark.
    fn pop_mark(&mut self) -> Result<Vec<Id>> {
        let mark = self.marks.pop().ok_or_else(|| self.error("a mark on the stack", "none"))?;
        Ok(self.stack.split_off(mark))
    }

    fn pairs(&self, values: &[Id]) -> Result<Vec<(Id, Id)>> {
        let (pairs, rest) = values.as_chunks::<2>();
        if rest.is_empty() {
            Ok(pairs.iter().map(|&[key, value]| (key, value)).collect())
        } else {
            Err(self.error("keys and values in pairs", format!("{} of them", values.len())))
        }
    }

    // ---- opcodes

    fn execute(&mut self) -> Result<Id> {
        loop {
            self.opcode = self.position;
            let opcode = self.u8()?;
            if opcode == b'.' {
                return self.pop();
            }
            self.opcodes.spend(1).map_err(|overrun| FormatError::beyond(self.at, overrun))?;
            self.step(opcode)?;
        }
    }

    fn step(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            0x80 => match self.u8()? {
                0..=5 => Ok(()),
                other => Err(self.error("a protocol up to 5", other.to_string())),
            },
            // The length of a frame says nothing that is needed.
            0x95 => self.take(8).map(|_| ()),
            b'(' => {
                FormatError::check(self.at, Limit::PickleValues, self.marks.len() as u64 + 1)?;
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'0' => match self.stack.len() > self.floor() {
                true => self.pop().map(|_| ()),
                // Python pops the mark then.
                false => self.pop_mark().map(|_| ()),
            },
            b'1' => self.pop_mark().map(|_| ()),
            b'2' => self.top().and_then(|id| self.push_id(id)),
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'I' | b'L' | b'J' | b'K' | b'M' | 0x8a | 0x8b | b'F' | b'G' => self.number(opcode),
            b'S' | b'T' | b'U' | b'V' | b'X' | 0x8c | 0x8d | b'B' | b'C' | 0x8e | 0x96 => self.characters(opcode),
            b'g' | b'h' | b'j' | b'p' | b'q' | b'r' | 0x94 => self.memory(opcode),
            b')' | b't' | 0x85 | 0x86 | 0x87 | b']' | b'l' | b'}' | b'd' | 0x8f | 0x91 => self.container(opcode),
            b'a' | b'e' | b's' | b'u' | 0x90 => self.fill(opcode),
            b'c' | 0x93 | b'R' | 0x81 | 0x92 | b'i' | b'o' | b'b' | b'Q' | b'P' => self.object(opcode),
            0x82..=0x84 => Err(self.error("an opcode of data", "a reference to Python's registry of extensions")),
            0x97 | 0x98 => Err(self.error("an opcode of data", "a buffer outside of the pickle")),
            other => Err(self.error("an opcode", format!("0x{other:02x}"))),
        }
    }

    fn number(&mut self, opcode: u8) -> Result<()> {
        let value = match opcode {
            b'I' => match self.line()?.trim() {
                "00" => Value::Bool(false),
                "01" => Value::Bool(true),
                text => self.decimal(text)?,
            },
            b'L' => {
                let line = self.line()?;
                self.decimal(line.trim().trim_end_matches('L'))?
            }
            b'J' => Value::Int(i64::from(i32::from_le_bytes(self.array()?))),
            b'K' => Value::Int(i64::from(self.u8()?)),
            b'M' => Value::Int(i64::from(u16::from_le_bytes(self.array()?))),
            0x8a | 0x8b => {
                let length = if opcode == 0x8a { u64::from(self.u8()?) } else { self.u32()? };
                long(self.take(length)?)
            }
            b'F' => {
                let line = self.line()?;
                Value::Float(line.trim().parse().map_err(|_| self.error("a number", escapes::shortened(&line)))?)
            }
            _ => Value::Float(f64::from_be_bytes(self.array()?)),
        };
        self.push(value)
    }

    fn decimal(&self, text: &str) -> Result<Value> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(self.error("an integer", escapes::shortened(text)));
        }
        Ok(text.parse().map_or(Value::Long, Value::Int))
    }

    fn characters(&mut self, opcode: u8) -> Result<()> {
        let value = match opcode {
            b'S' => {
                let line = self.line()?;
                let text = line.trim();
                let inner = ['\'', '"'].iter().find_map(|&q| text.strip_prefix(q)?.strip_suffix(q));
                let inner = inner.and_then(escapes::bytes);
                Value::Bytes(inner.ok_or_else(|| self.error("a text in quotes", "none"))?.into())
            }
            b'V' => Value::Text(escapes::text(&self.raw_line()?)),
            b'T' | b'B' => {
                let length = self.u32()?;
                Value::Bytes(self.take(length)?)
            }
            b'U' | b'C' => {
                let length = u64::from(self.u8()?);
                Value::Bytes(self.take(length)?)
            }
            0x8e | 0x96 => {
                let length = u64::from_le_bytes(self.array()?);
                Value::Bytes(self.take(length)?)
            }
            b'X' => {
                let length = self.u32()?;
                self.text(length)?
            }
            0x8c => {
                let length = u64::from(self.u8()?);
                self.text(length)?
            }
            _ => {
                let length = u64::from_le_bytes(self.array()?);
                self.text(length)?
            }
        };
        self.push(value)
    }

    fn memory(&mut self, opcode: u8) -> Result<()> {
        let index = |machine: &mut Self| -> Result<u64> {
            let line = machine.line()?;
            line.trim()
                .parse()
                .map_err(|_| machine.error("the number of a remembered value", escapes::shortened(&line)))
        };
        let key = match opcode {
            b'g' | b'p' => index(self)?,
            b'h' | b'q' => u64::from(self.u8()?),
            b'j' | b'r' => self.u32()?,
            _ => self.memo.len() as u64,
        };
        if matches!(opcode, b'p' | b'q' | b'r' | 0x94) {
            let top = self.top()?;
            self.memo.insert(key, top);
            return FormatError::check(self.at, Limit::PickleMemo, self.memo.len() as u64);
        }
        match self.memo.get(&key) {
            Some(&id) => self.push_id(id),
            None => Err(self.error("a remembered value", format!("none with number {key}"))),
        }
    }

    fn container(&mut self, opcode: u8) -> Result<()> {
        let value = match opcode {
            b')' => Value::Tuple(Vec::new()),
            b']' => Value::List(Vec::new()),
            b'}' => Value::Dict(Vec::new()),
            0x8f => Value::Set(Vec::new()),
            b't' => Value::Tuple(self.pop_mark()?),
            b'l' => Value::List(self.pop_mark()?),
            0x91 => Value::Set(self.pop_mark()?),
            b'd' => {
                let values = self.pop_mark()?;
                Value::Dict(self.pairs(&values)?)
            }
            _ => {
                let mut items = Vec::new();
                for _ in 0x84..opcode {
                    items.push(self.pop()?);
                }
                items.reverse();
                Value::Tuple(items)
            }
        };
        self.push(value)
    }

    fn fill(&mut self, opcode: u8) -> Result<()> {
        let values = match opcode {
            b'a' => vec![self.pop()?],
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => self.pop_mark()?,
        };
        let target = self.top()?;
        let pairs = if matches!(opcode, b's' | b'u') { self.pairs(&values)? } else { Vec::new() };
        let filled = match (self.values.get_mut(target as usize), opcode) {
            (Some(Value::List(items)), b'a' | b'e') | (Some(Value::Set(items)), 0x90) => {
                items.extend(values);
                true
            }
            (Some(Value::Dict(entries)), b's' | b'u') => {
                entries.extend(pairs);
                true
            }
            (Some(Value::Object(object)), b's' | b'u') => {
                object.items.extend(pairs);
                true
            }
            (Some(Value::Object(object)), b'a' | b'e' | 0x90) => {
                object.list.extend(values);
                true
            }
            _ => false,
        };
        if filled { Ok(()) } else { Err(self.error("something that takes items", "something else")) }
    }

    fn object(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(&module, &name)
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let text = |id: Id| match self.values.get(id as usize) {
                    Some(Value::Text(text)) => Some(text.clone()),
                    _ => None,
                };
                match (text(module), text(name)) {
                    (Some(module), Some(name)) => self.global(&module, &name),
                    _ => Err(self.error("a module and a name", "something that is no text")),
                }
            }
            b'R' | 0x81 => {
                let (args, callable) = (self.pop()?, self.pop()?);
                self.call(callable, args, if opcode == b'R' { By::Call } else { By::New })
            }
            0x92 => {
                let (_named, args, class) = (self.pop()?, self.pop()?, self.pop()?);
                self.call(class, args, By::New)
            }
            b'i' | b'o' => {
                let mut values = self.pop_mark()?;
                let class = if opcode == b'i' {
                    let (module, name) = (self.line()?, self.line()?);
                    self.global(&module, &name)?;
                    self.pop()?
                } else if values.is_empty() {
                    return Err(self.error("a class", "nothing"));
                } else {
                    values.remove(0)
                };
                self.push(Value::Tuple(values))?;
                let args = self.pop()?;
                self.call(class, args, By::Call)
            }
            b'b' => {
                let state = self.pop()?;
                let target = self.top()?;
                match self.values.get_mut(target as usize) {
                    Some(Value::Object(object)) => {
                        object.state = Some(state);
                        Ok(())
                    }
                    _ => Err(self.error("an object that takes a state", "something else")),
                }
            }
            b'Q' => {
                let id = self.pop()?;
                self.push(Value::Persistent(id))
            }
            _ => {
                let text = self.line()?;
                self.push(Value::Text(text))?;
                let id = self.pop()?;
                self.push(Value::Persistent(id))
            }
        }
    }

    fn global(&mut self, module: &str, name: &str) -> Result<()> {
        if module.len() + name.len() > Limit::PickleNameBytes.most_here() {
            let expected = format!("a name of a global of up to {} bytes", Limit::PickleNameBytes.most_here());
            return Err(self.error(&expected, (module.len() + name.len()).to_string()));
        }
        let length = module.len() + name.len() + 1;
        self.names.spend_here(length).map_err(|overrun| FormatError::beyond(self.at, overrun))?;
        self.push(Value::Global(format!("{module}.{name}")))
    }

    fn call(&mut self, callable: Id, args: Id, by: By) -> Result<()> {
        if !matches!(self.values.get(args as usize), Some(Value::Tuple(_))) {
            return Err(self.error("a tuple of arguments", "something else"));
        }
        let (state, items, list) = (None, Vec::new(), Vec::new());
        self.push(Value::Object(Box::new(Object { callable, args, state, items, list })))?;
        let object = self.top()?;
        self.calls.push((Call { object, callable, byte: self.opcode }, by));
        Ok(())
    }
}

/// An integer in little-endian two's complement.
fn long(bytes: Bytes) -> Value {
    if bytes.len() > 8 {
        return Value::Long;
    }
    let negative = bytes.last().is_some_and(|&byte| byte & 0x80 != 0);
    let mut wide = [if negative { 0xff } else { 0 }; 8];
    wide[..bytes.len()].copy_from_slice(&bytes);
    Value::Int(i64::from_le_bytes(wide))
}
