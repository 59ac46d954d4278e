//! HDF5 files of a few objects, written as the tests of hostile files need them: with names and links as they please.
//!
//! Superblock of version 0, object headers of version 1 with links as messages, contiguous zeros in f32; what h5py reads too.
//! (HDF5 file format specification, version 3, sections II.A, IV.A.)

/// What a link leads to.
#[derive(Debug, Clone)]
pub enum Object {
    /// Links by name, and attributes that hold texts.
    Group(Vec<(String, Object)>, Vec<(String, Vec<String>)>),
    /// Zeros of this shape.
    Dataset(Vec<u64>),
    /// A soft link to this path.
    Soft(String),
    /// A link to a path in another file.
    External(String, String),
}

impl Object {
    /// A group without attributes.
    #[must_use]
    pub fn group(links: impl IntoIterator<Item = (String, Object)>) -> Self {
        Self::Group(links.into_iter().collect(), Vec::new())
    }

    /// Groups of these names, one in the other, and this object in the innermost.
    #[must_use]
    pub fn within(self, names: &[&str]) -> Self {
        names.iter().rev().fold(self, |inner, name| Self::group([((*name).to_owned(), inner)]))
    }
}

const UNDEFINED: [u8; 8] = [0xff; 8];

/// The bytes of the file with this root.
///
/// # Panics
/// Where a name, a text or a number of links is too long for its field.
#[must_use]
pub fn hdf5(root: &Object) -> Vec<u8> {
    let mut file = vec![0; 96];
    let root = object(&mut file, root);
    let mut head = b"\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08\0\x04\0\x10\0\0\0\0\0".to_vec();
    head.extend([0; 8]);
    head.extend(UNDEFINED);
    head.extend((file.len() as u64).to_le_bytes());
    head.extend(UNDEFINED);
    head.extend([0; 8]);
    head.extend(root.to_le_bytes());
    head.extend([0; 24]);
    file[..96].copy_from_slice(&head);
    file
}

/// Writes an object behind all that is there, what it holds first; its address.
fn object(file: &mut Vec<u8>, it: &Object) -> u64 {
    let messages: Vec<Vec<u8>> = match it {
        Object::Group(links, attributes) => {
            let empty = [&[0, 0][..], &UNDEFINED, &UNDEFINED].concat();
            let links = links.iter().map(|(name, to)| link(file, name, to));
            let links: Vec<_> = [message(2, &empty)].into_iter().chain(links).collect();
            links.into_iter().chain(attributes.iter().map(|(name, texts)| attribute(name, texts))).collect()
        }
        Object::Dataset(shape) => {
            let bytes = shape.iter().product::<u64>() * 4;
            let at = file.len() as u64;
            file.resize(file.len() + usize::try_from(bytes).unwrap().next_multiple_of(8), 0);
            let float = b"\x11\x20\x1f\0\x04\0\0\0\0\0\x20\0\x17\x08\0\x17\x7f\0\0\0";
            let layout = [&[3, 1][..], &at.to_le_bytes(), &bytes.to_le_bytes()].concat();
            vec![message(1, &space(shape)), message(3, float), message(5, &[2, 2, 2, 0]), message(8, &layout)]
        }
        Object::Soft(_) | Object::External(..) => panic!("a link stands in a group"),
    };
    let at = file.len() as u64;
    let count = u16::try_from(messages.len()).unwrap();
    let messages = messages.concat();
    file.extend([1, 0]);
    file.extend(count.to_le_bytes());
    file.extend(1_u32.to_le_bytes());
    file.extend(u32::try_from(messages.len()).unwrap().to_le_bytes());
    file.extend([0; 4]);
    file.extend(messages);
    at
}

fn message(kind: u16, data: &[u8]) -> Vec<u8> {
    let data = padded(data);
    let size = u16::try_from(data.len()).unwrap();
    [&kind.to_le_bytes()[..], &size.to_le_bytes(), &[0; 4], &data].concat()
}

fn padded(data: &[u8]) -> Vec<u8> {
    let mut data = data.to_vec();
    data.resize(data.len().next_multiple_of(8), 0);
    data
}

fn space(shape: &[u64]) -> Vec<u8> {
    let rank = u8::try_from(shape.len()).unwrap();
    [&[1, rank, 0, 0, 0, 0, 0, 0][..], &shape.iter().flat_map(|size| size.to_le_bytes()).collect::<Vec<u8>>()].concat()
}

fn counted(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_le_bytes()[..], bytes].concat()
}

fn link(file: &mut Vec<u8>, name: &str, to: &Object) -> Vec<u8> {
    let (kind, to) = match to {
        Object::Soft(path) => (1, counted(path.as_bytes())),
        Object::External(name, path) => {
            (64, counted(&[&[0][..], name.as_bytes(), &[0], path.as_bytes(), &[0]].concat()))
        }
        Object::Group(..) | Object::Dataset(_) => (0, object(file, to).to_le_bytes().to_vec()),
    };
    let len = u16::try_from(name.len()).unwrap().to_le_bytes();
    // With a kind, an encoding (UTF-8), and two bytes for the length of the name.
    message(6, &[&[1, 0x19, kind, 1][..], &len, name.as_bytes(), &to].concat())
}

/// An attribute of texts, all as long as the longest.
fn attribute(name: &str, texts: &[String]) -> Vec<u8> {
    let width = texts.iter().map(String::len).max().unwrap_or(0).max(1);
    // A string of fixed length, padded by zeros, in UTF-8.
    let kind = [&[0x13, 0x11, 0, 0][..], &u32::try_from(width).unwrap().to_le_bytes()].concat();
    let space = space(&[texts.len() as u64]);
    let name = [name.as_bytes(), &[0]].concat();
    let lens = [name.len(), kind.len(), space.len()].map(|len| u16::try_from(len).unwrap().to_le_bytes()).concat();
    let texts = texts.iter().flat_map(|text| {
        let mut text = text.clone().into_bytes();
        text.resize(width, 0);
        text
    });
    let parts = [&[1, 0][..], &lens, &padded(&name), &padded(&kind), &padded(&space)].concat();
    message(12, &parts.into_iter().chain(texts).collect::<Vec<u8>>())
}
