//! Pickles and their containers made to do harm: each is refused with its place, or read with what it wanted listed.
//!
//! Nothing here could be executed in the first place; what is held is that no call goes unreported, that no claim
//! allocates, that sharing and cycles end, and that all of it is soon over.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod common;
#[path = "common/measure.rs"]
mod measure;
#[path = "common/torch.rs"]
mod torch;

use measure::{ALONE, Random, read_within_bounds};
use residua_formats::Container;
use residua_formats::torch::TorchFile;
use torch::{archive, call, cat, dict, floats, global, int, ints, legacy, pickle, storage, tensor, text, tuple, view};
use torch::{weight, zip_of};

/// What has to become of a file.
enum Fate {
    /// Refused, with this in the message.
    Refused(&'static str),
    /// Read, with this global listed as one that could do harm.
    Danger(&'static str),
    /// Read, with this in the reason of something unused.
    Unused(&'static str),
    /// Read, with nothing to report.
    Read,
}
use Fate::{Danger, Read, Refused, Unused};

fn torch_file(name: &str, bytes: &[u8]) -> Result<TorchFile, String> {
    match read_within_bounds(name, "nothing done to it", bytes) {
        Ok(Container::Torch(file)) => Ok(file),
        Ok(Container::Keras(_) | Container::Onnx(_) | Container::Safetensors(_)) => panic!("{name} is something else"),
        Err(error) => Err(error.to_string()),
    }
}

#[track_caller]
fn meets(cases: Vec<(&str, Vec<u8>, Fate)>) {
    for (name, bytes, fate) in cases {
        let found = torch_file(name, &bytes);
        let met = match (&fate, &found) {
            (Refused(part), Err(message)) => message.contains(part),
            (Danger(global), Ok(file)) => file.dangers.iter().any(|danger| danger.global == *global),
            (Unused(part), Ok(file)) => file.unused.iter().any(|unused| unused.reason.contains(part)),
            (Read, Ok(file)) => file.dangers.is_empty(),
            (Refused(_), Ok(_)) | (Danger(_) | Unused(_) | Read, Err(_)) => false,
        };
        assert!(met, "{name}: {found:?}");
    }
}

/// A checkpoint whose weights are sound, with something else beside them.
fn beside(value: Vec<u8>) -> Vec<u8> {
    zip_of(&dict(&[("state_dict", dict(&[("w", weight())])), ("x", value)]))
}

fn repeated(part: &[u8], times: usize) -> Vec<u8> {
    part.repeat(times)
}

#[test]
fn calls_are_reported_by_name_and_the_weights_are_read_all_the_same() {
    // What another test allocates for its cases would be counted as this one\'s.
    let _alone = ALONE.lock();
    let with = |module: &str, name: &str, args: &[Vec<u8>]| beside(call(module, name, args));
    let text_of = |value: &str| text(value);
    let getattr = call("builtins", "getattr", &[global("os", "path"), text("join")]);
    let cases = [
        ("os.system", with("os", "system", &[text_of("id")])),
        ("posix.system", with("posix", "system", &[text_of("id")])),
        ("nt.system", with("nt", "system", &[text_of("id")])),
        ("subprocess.Popen", with("subprocess", "Popen", &[text_of("id")])),
        ("subprocess.check_output", with("subprocess", "check_output", &[text_of("id")])),
        ("builtins.eval", with("builtins", "eval", &[text_of("1")])),
        ("builtins.exec", with("builtins", "exec", &[text_of("1")])),
        ("__builtin__.eval", with("__builtin__", "eval", &[text_of("1")])),
        ("__builtin__.execfile", with("__builtin__", "execfile", &[text_of("/etc/passwd")])),
        ("builtins.open", with("builtins", "open", &[text_of("/etc/passwd")])),
        ("builtins.compile", with("builtins", "compile", &[text_of("1")])),
        ("builtins.__import__", with("builtins", "__import__", &[text_of("os")])),
        ("builtins.getattr", beside(cat([getattr, tuple(&[text_of("a")]), b"R".to_vec()]))),
        ("builtins.setattr", with("builtins", "setattr", &[text_of("a")])),
        ("builtins.map", with("builtins", "map", &[global("os", "system"), text_of("id")])),
        ("builtins.type", with("builtins", "type", &[text_of("A")])),
        ("runpy.run_path", with("runpy", "run_path", &[text_of("a.py")])),
        ("runpy._run_code", with("runpy", "_run_code", &[text_of("1")])),
        ("pickle.loads", with("pickle", "loads", &[text_of(".")])),
        ("_pickle.Unpickler", with("_pickle", "Unpickler", &[text_of(".")])),
        ("marshal.loads", with("marshal", "loads", &[text_of(".")])),
        ("importlib.import_module", with("importlib", "import_module", &[text_of("os")])),
        ("shutil.rmtree", with("shutil", "rmtree", &[text_of("/")])),
        ("socket.create_connection", with("socket", "create_connection", &[text_of("a")])),
        ("urllib.request.urlopen", with("urllib.request", "urlopen", &[text_of("a")])),
        ("webbrowser.open", with("webbrowser", "open", &[text_of("a")])),
        ("ctypes.CDLL", with("ctypes", "CDLL", &[text_of("libc.so")])),
        ("code.InteractiveInterpreter", with("code", "InteractiveInterpreter", &[])),
        ("types.FunctionType", with("types", "FunctionType", &[])),
        ("types.CodeType", with("types", "CodeType", &[])),
        ("operator.attrgetter", with("operator", "attrgetter", &[text_of("system")])),
        ("operator.methodcaller", with("operator", "methodcaller", &[text_of("system")])),
        ("functools.reduce", with("functools", "reduce", &[global("os", "system"), text_of("id")])),
        ("functools.partial", with("functools", "partial", &[global("os", "system"), text_of("id")])),
        ("torch.load", with("torch", "load", &[text_of("a")])),
        ("torch.hub.load", with("torch.hub", "load", &[text_of("a")])),
        ("numpy.load", with("numpy", "load", &[text_of("a")])),
        ("timeit.timeit", with("timeit", "timeit", &[text_of("1")])),
        ("pip.main", with("pip", "main", &[text_of("install")])),
        ("pdb.run", with("pdb", "run", &[text_of("1")])),
        ("asyncio.run", with("asyncio", "run", &[])),
        ("sys.exit", with("sys", "exit", &[])),
        ("a.package.nobody.knows", with("a.package.nobody", "knows", &[])),
        ("a.package.Nobody", with("a.package", "Nobody", &[text_of("a")])),
        // The other opcodes that make instances.
        ("os.system", beside(cat([&b"("[..], &text("id"), b"ios\nsystem\n"]))),
        ("os.system", beside(cat([b"(".to_vec(), global("os", "system"), text("id"), b"o".to_vec()]))),
        ("subprocess.Popen", beside(cat([global("subprocess", "Popen"), tuple(&[text("id")]), b"\x81".to_vec()]))),
        ("subprocess.Popen", beside(cat([global("subprocess", "Popen"), tuple(&[]), b"}\x92".to_vec()]))),
        ("os.system", beside(cat([text("os"), text("system"), b"\x93".to_vec(), tuple(&[text("id")]), b"R".to_vec()]))),
        ("os.system", beside(cat([&b"\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R"[..]]))),
        // A call whose result is dropped, or hidden in a key, a set, a state, an argument of a tensor.
        ("os.system", beside(cat([call("os", "system", &[text("id")]), b"0N".to_vec()]))),
        ("os.system", beside(cat([b"}".to_vec(), call("os", "system", &[text("id")]), b"Ns".to_vec()]))),
        ("os.system", beside(cat([b"\x8f(".to_vec(), call("os", "system", &[text("id")]), b"\x90".to_vec()]))),
        (
            "os.system",
            beside(cat([call("argparse", "Namespace", &[]), dict(&[("a", call("os", "system", &[]))]), b"b".to_vec()])),
        ),
        (
            "os.system",
            beside(call(
                "torch._utils",
                "_rebuild_parameter",
                &[weight(), b"\x88".to_vec(), call("os", "system", &[])],
            )),
        ),
    ];
    for (global, bytes) in &cases {
        let file = torch_file(global, bytes).unwrap_or_else(|error| panic!("{global}: {error}"));
        assert!(file.dangers.iter().any(|danger| danger.global == *global), "{global}: {:?}", file.dangers);
        assert!(file.dangers.iter().all(|danger| danger.place.contains("m/data.pkl byte")), "{:?}", file.dangers);
        let weights = file.state_dicts.iter().find(|dict| dict.path == "state_dict").unwrap();
        assert_eq!(weights.tensors[0].tensor.to_f32().unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], "{global}");
    }
    let place = &torch_file("place", &cases[0].1).unwrap().dangers[0].place;
    assert!(place.ends_with(", at `x`"), "{place}");
}

#[test]
fn objects_that_only_hold_data_are_no_danger() {
    // What another test allocates for its cases would be counted as this one\'s.
    let _alone = ALONE.lock();
    let state = |object: Vec<u8>, state: Vec<u8>| cat([object, state, b"b".to_vec()]);
    meets(vec![
        ("a namespace", beside(state(call("argparse", "Namespace", &[]), dict(&[("lr", int(1))]))), Read),
        (
            "an object of a class, made without a call of it",
            beside(cat([global("some.package", "Config"), tuple(&[text("a")]), b"\x81}b".to_vec()])),
            Read,
        ),
        ("an old-style instance", beside(b"(iargparse\nNamespace\n}b".to_vec()), Read),
        ("a path", beside(call("pathlib", "PosixPath", &[text("a"), text("b")])), Read),
        ("a date", beside(call("datetime", "date", &[text("abcd")])), Read),
        ("a set", beside(call("__builtin__", "set", &[b"]".to_vec()])), Read),
        ("a device", beside(call("torch", "device", &[text("cuda"), int(0)])), Read),
        ("a partial of something harmless", beside(call("functools", "partial", &[global("torch.nn", "ReLU")])), Read),
        ("a function that is named only", beside(global("os", "system")), Read),
        ("a bare namespace of types", beside(call("types", "SimpleNamespace", &[])), Read),
    ]);
}

#[test]
fn pickles_that_are_no_pickles_are_refused_at_their_byte() {
    // What another test allocates for its cases would be counted as this one\'s.
    let _alone = ALONE.lock();
    let bad = |bytes: &[u8]| archive(&[("m/data.pkl", bytes), ("m/data/0", &floats(6))]);
    meets(vec![
        ("an empty pickle", bad(b""), Refused("byte 0")),
        ("no end", bad(b"\x80\x02}"), Refused("byte 3")),
        ("stack underflow by STOP", bad(b"\x80\x02."), Refused("a value on the stack")),
        ("stack underflow by REDUCE", bad(b"\x80\x02)R."), Refused("a value on the stack")),
        ("stack underflow by TUPLE3", bad(b"\x80\x02NN\x87."), Refused("a value on the stack")),
        ("stack underflow by POP", bad(b"\x80\x0200."), Refused("a mark on the stack")),
        ("SETITEMS without a mark", bad(b"\x80\x02}u."), Refused("a mark on the stack")),
        ("APPENDS on nothing", bad(b"\x80\x02(e."), Refused("a value on the stack")),
        ("a mark that hides the target", bad(b"\x80\x02](a."), Refused("a value on the stack")),
        ("SETITEMS of an odd number", bad(b"\x80\x02}(Nu."), Refused("in pairs")),
        ("DICT of an odd number", bad(b"\x80\x02(Nd."), Refused("in pairs")),
        ("APPEND to None", bad(b"\x80\x02NNa."), Refused("takes items")),
        ("SETITEM of a list", bad(b"\x80\x02]NNs."), Refused("takes items")),
        ("ADDITEMS to a dictionary", bad(b"\x80\x04}(N\x90."), Refused("takes items")),
        ("memo miss by BINGET", bad(b"\x80\x02h\x07."), Refused("none with number 7")),
        ("memo miss by LONG_BINGET", bad(b"\x80\x02j\xff\xff\xff\xff."), Refused("none with number")),
        ("memo miss by GET", bad(b"\x80\x02g99\n."), Refused("none with number 99")),
        ("GET of no number", bad(b"\x80\x02gabc\n."), Refused("number of a remembered value")),
        ("BINPUT of nothing", bad(b"\x80\x02q\x00."), Refused("a value on the stack")),
        ("protocol 99", bad(b"\x80\x63N."), Refused("a protocol up to 5")),
        ("an opcode that is none", bad(b"\x80\x02\xfe."), Refused("0xfe")),
        ("EXT1", bad(b"\x80\x02\x82\x01."), Refused("registry of extensions")),
        ("EXT2", bad(b"\x80\x02\x83\x01\x00."), Refused("registry of extensions")),
        ("EXT4", bad(b"\x80\x02\x84\x01\x00\x00\x00."), Refused("registry of extensions")),
        ("NEXT_BUFFER", bad(b"\x80\x05\x97."), Refused("outside of the pickle")),
        ("READONLY_BUFFER", bad(b"\x80\x05\x98."), Refused("outside of the pickle")),
        ("BINUNICODE that claims 4 GiB", bad(b"\x80\x02X\xff\xff\xff\xffab."), Refused("4294967295 more bytes")),
        ("BINUNICODE8 that claims 2^64", bad(b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xffa."), Refused("more bytes")),
        ("BINBYTES8 that claims 2^63", bad(b"\x80\x04\x8e\x00\x00\x00\x00\x00\x00\x00\x80a."), Refused("more bytes")),
        ("BYTEARRAY8 that claims 2^40", bad(b"\x80\x05\x96\x00\x00\x00\x00\x00\x01\x00\x00a."), Refused("more bytes")),
        ("LONG4 that claims 4 GiB", bad(b"\x80\x02\x8b\xff\xff\xff\xff\x01."), Refused("more bytes")),
        ("LONG1 cut short", bad(b"\x80\x02\x8a\xff\x01."), Refused("255 more bytes")),
        ("a frame cut short", bad(b"\x80\x04\x95\xff\xff"), Refused("8 more bytes")),
        ("GLOBAL without an end of line", bad(b"\x80\x02cos.system"), Refused("a line")),
        ("STACK_GLOBAL of numbers", bad(b"\x80\x04K\x01K\x02\x93."), Refused("a module and a name")),
        ("REDUCE with a list", bad(b"\x80\x02cos\nsystem\n]R."), Refused("a tuple of arguments")),
        ("OBJ of nothing", bad(b"\x80\x02(o."), Refused("a class")),
        ("BUILD of None", bad(b"\x80\x02NNb."), Refused("takes a state")),
        ("BUILD of a class", bad(b"\x80\x02ctorch.nn\nModule\n}b."), Refused("takes a state")),
        ("BUILD of a dictionary", bad(b"\x80\x02}}b."), Refused("takes a state")),
        ("an integer that is none", bad(b"\x80\x02Ix\n."), Refused("an integer")),
        ("a long that is none", bad(b"\x80\x02L--1L\n."), Refused("an integer")),
        ("a float that is none", bad(b"\x80\x02Fpi\n."), Refused("a number")),
        ("a string without quotes", bad(b"\x80\x02Sabc\n."), Refused("a text in quotes")),
        ("a string with a broken escape", bad(b"\x80\x02S'\\x0'\n."), Refused("a text in quotes")),
        ("another program's persistent id", bad(b"\x80\x02X\x01\x00\x00\x00aQ."), Unused("a storage")),
        (
            "a persistent id of an unknown kind",
            bad(&pickle(&cat([tuple(&[text("file")]), b"Q".to_vec()]))),
            Refused("something else"),
        ),
        ("a huge LONG", bad(&cat([&b"\x80\x02\x8b\x00\x00\x01\x00"[..], &[7; 65536], b"."])), Read),
        ("a huge decimal", bad(&cat([&b"\x80\x02I"[..], &[b'7'; 100_000], b"\n."])), Read),
    ]);
}

/// `levels` lists, each of which holds the one before it ten times.
fn laughs(levels: u8, start: &[u8], close: &[u8]) -> Vec<u8> {
    let mut bytes = cat([start, b"q\x000"]);
    for level in 1..=levels {
        bytes.extend(cat([&b"("[..], &[b'h', level - 1].repeat(10), close, b"q", &[level], b"0"]));
    }
    cat([bytes, vec![b'h', levels]])
}

#[test]
fn sharing_cycles_and_depth_end() {
    // What another test allocates for its cases would be counted as this one\'s.
    let _alone = ALONE.lock();
    let module = |entries: &[u8]| {
        let empty = b"}".to_vec();
        let state = [text("_parameters"), empty.clone(), text("_buffers"), empty, text("_modules")].concat();
        cat([global("a", "Net"), b")\x81".to_vec(), b"}(".to_vec(), state, entries.to_vec(), b"ub".to_vec()])
    };
    // Each module holds the one before it twice: 2^60 modules by path.
    let mut doubled = cat([module(b"}"), b"q\x00".to_vec()]);
    for level in 1..=60u8 {
        let two =
            cat([b"}(".to_vec(), text("a"), vec![b'h', level - 1], text("b"), vec![b'h', level - 1], b"u".to_vec()]);
        doubled.extend(cat([module(&two), vec![b'q', level]]));
    }
    let long = "n".repeat(1 << 20);
    let wide: Vec<u8> = (0..20_000).flat_map(|i| cat([text(&format!("{i}")), b"N".to_vec()])).collect();
    let deep_dicts = |levels: usize| {
        let open: Vec<u8> = (0..levels).flat_map(|_| cat([b"}".to_vec(), text("a")])).collect();
        cat([open, b"N".to_vec(), repeated(b"s", levels)])
    };
    let mut own_module = cat([global("a", "Net"), b")\x81q\x00".to_vec(), b"}(".to_vec()]);
    own_module.extend(cat([text("_parameters"), b"}".to_vec(), text("_buffers"), b"}".to_vec(), text("_modules")]));
    own_module.extend(cat([b"}".to_vec(), text("a"), b"h\x00s".to_vec(), b"ub".to_vec()]));
    let attributes = cat([module(b"}"), b"}".to_vec(), text("x"), laughs(40, b"]", b"l"), b"sb".to_vec()]);
    meets(vec![
        ("a billion laughs of lists", beside(laughs(50, b"]", b"l")), Read),
        ("a billion laughs of tuples", beside(laughs(50, b")", b"t")), Read),
        ("a billion laughs of tensors", zip_of(&laughs(50, &weight(), b"l")), Unused("a tensor without a name")),
        ("a billion laughs, a hundred deep", beside(laughs(100, b"]", b"l")), Refused("levels of nesting")),
        ("a list in itself", beside(b"]q\x00h\x00a".to_vec()), Read),
        ("a dictionary in itself", beside(cat([b"}q\x00".to_vec(), text("a"), b"h\x00s".to_vec()])), Read),
        ("a root in itself", zip_of(&cat([b"}q\x00".to_vec(), text("a"), b"h\x00s".to_vec()])), Read),
        (
            "an object in its state",
            beside(cat([global("a", "B"), b")\x81q\x00}".to_vec(), text("a"), b"h\x00sb".to_vec()])),
            Read,
        ),
        (
            "an optimizer in itself",
            beside(cat([
                dict(&[("state", b"N".to_vec()), ("param_groups", b"N".to_vec())]),
                b"q\x00".to_vec(),
                text("a"),
                b"h\x00s".to_vec(),
            ])),
            Unused("optimizer (0 tensors)"),
        ),
        (
            "a parameter of itself",
            beside(cat([global("torch.nn.parameter", "Parameter"), b"]q\x00h\x00a\x85R".to_vec()])),
            Read,
        ),
        (
            "parameters of parameters",
            beside(cat([
                repeated(&global("torch.nn.parameter", "Parameter"), 5000),
                weight(),
                repeated(b"\x85R", 5000),
            ])),
            Unused("a parameter of nothing"),
        ),
        ("a module in itself", zip_of(&own_module), Refused("levels of nesting")),
        ("modules that share modules", zip_of(&doubled), Refused("beyond the limit")),
        ("attributes that share lists", zip_of(&attributes), Read),
        (
            "200,000 lists in lists",
            beside(cat([repeated(b"]", 200_000), repeated(b"a", 199_999)])),
            Refused("levels of nesting"),
        ),
        ("5,000 dictionaries in dictionaries", beside(deep_dicts(5000)), Refused("levels of nesting")),
        (
            "100,000 tuples in tuples",
            beside(cat([b")".to_vec(), repeated(b"\x85", 100_000)])),
            Refused("levels of nesting"),
        ),
        ("a million marks", beside(cat([repeated(b"(", 1_000_000), repeated(b"1", 999_999), b"N1N".to_vec()])), Read),
        ("values without end", zip_of(&repeated(b"N", 3_000_000)), Refused("values of a pickle")),
        (
            "a stack without end",
            zip_of(&cat([b"N".to_vec(), repeated(b"2", 3_000_000)])),
            Refused("values of a pickle"),
        ),
        (
            "remembered under every number",
            beside(cat([
                b"N".to_vec(),
                (0..200_000u32).flat_map(|i| [&b"r"[..], &i.to_le_bytes()].concat()).collect(),
            ])),
            Read,
        ),
        (
            "names that add up",
            zip_of(&cat([b"}".to_vec(), text(&long), cat([b"}(".to_vec(), wide, b"u".to_vec()]), b"s".to_vec()])),
            Refused("bytes of names"),
        ),
    ]);
}

/// What is large and shared, so that each reference to it costs two bytes, is not paid for at each reference.
#[test]
fn sizes_of_sizes_and_names_without_end_are_soon_over() {
    let _alone = ALONE.lock();
    // A size in place of the numbers that a size is made from, as often as asked for; then tensors of it.
    let sized = |levels: usize, names: usize| {
        let first = cat([global("torch", "Size"), b"q\x000h\x00".to_vec(), ints(&[6]), b"\x85Rq\x010".to_vec()]);
        let chain = repeated(b"h\x00h\x01\x85Rq\x010", levels);
        let args =
            [storage("FloatStorage", "0", 6), int(0), b"h\x01".to_vec(), ints(&[1]), b"\x89".to_vec(), b"}".to_vec()];
        let made = cat([call("torch._utils", "_rebuild_tensor_v2", &args), b"q\x020".to_vec()]);
        let entries: Vec<u8> = (0..names).flat_map(|i| [text(&format!("w{i}")), b"h\x02".to_vec()].concat()).collect();
        zip_of(&cat([first, chain, made, b"}(".to_vec(), entries, b"u".to_vec()]))
    };
    // One opcode of one byte puts a name together from two texts that are remembered.
    let module = cat([text(&"m".repeat(500)), b"q\x000".to_vec(), text(&"n".repeat(500)), b"q\x010".to_vec()]);
    let names = cat([module, b"](".to_vec(), repeated(b"h\x00h\x01\x93", 200_000), b"e".to_vec()]);
    let remembered = cat([b"N".to_vec(), repeated(b"\x94", 2_100_000)]);
    meets(vec![
        ("a size", sized(0, 10), Read),
        ("a size of a size", sized(1, 10), Refused("no size")),
        ("200,000 sizes of sizes", sized(200_000, 1), Refused("no size")),
        ("sizes of sizes for many names", sized(20_000, 20_000), Refused("no size")),
        ("names of globals without end", zip_of(&names), Refused("bytes of names and attributes")),
        ("remembered without end", zip_of(&remembered), Refused("remembered values of a pickle")),
    ]);
}

#[test]
fn views_that_repeat_what_is_stored_are_counted_together() {
    let _alone = ALONE.lock();
    // Weights of a program, each a view of stride 0 on one float.
    let program = |weights: usize, size: usize| {
        let weight = |i: usize| {
            let meta = format!(
                r#"{{"dtype": 7, "sizes": [{{"as_int": {size}}}], "strides": [{{"as_int": 0}}], "storage_offset": {{"as_int": 0}}}}"#
            );
            format!(r#""w{i}": {{"path_name": "w", "use_pickle": false, "tensor_meta": {meta}}}"#)
        };
        let list: Vec<String> = (0..weights).map(weight).collect();
        let config = format!(r#"{{"config": {{{}}}}}"#, list.join(", "));
        archive(&[
            ("m/archive_format", b"pt2"),
            ("m/data/weights/w", &floats(1)),
            ("m/data/weights/model_weights_config.json", config.as_bytes()),
        ])
    };
    let wide = |count: usize| -> Vec<u8> {
        let entry = |i: usize| (format!("w{i}"), tensor(1, 0, &[1 << 20], &[0]));
        let entries: Vec<(String, Vec<u8>)> = (0..count).map(entry).collect();
        let entries: Vec<(&str, Vec<u8>)> =
            entries.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        archive(&[("m/data.pkl", &pickle(&dict(&entries))), ("m/data/0", &floats(1))])
    };
    meets(vec![
        ("a few weights of a program", program(4, 1 << 18), Read),
        ("weights of a program that come to 4 GiB", program(1000, 1 << 20), Refused("bytes after decoding")),
        ("a few views", wide(4), Read),
        ("views that come to 4 GiB", wide(1000), Refused("bytes after decoding")),
    ]);
}

#[test]
fn large_values_that_are_shared_by_many_cost_once() {
    // What another test allocates for its cases would be counted as this one\'s.
    let _alone = ALONE.lock();
    let put = |value: Vec<u8>| cat([value, b"q\x000".to_vec()]);
    let shared = b"h\x00".to_vec();
    let many = |first: Vec<u8>, count: usize, each: &[u8]| {
        let entries: Vec<u8> = (0..count).flat_map(|i| cat([text(&i.to_string()), each.to_vec()])).collect();
        zip_of(&cat([put(first), b"}(".to_vec(), entries, b"u".to_vec()]))
    };
    let wide = cat([b"}(".to_vec(), (0..50_000).flat_map(|i| cat([int(i), b"N".to_vec()])).collect(), b"u".to_vec()]);
    let long = text(&"n".repeat(1 << 20));
    let million = cat([b"(".to_vec(), repeated(b"K\x01", 200_000), b"t".to_vec()]);
    let with = |index: usize| {
        let mut args = view(6, 0, &[6], &[1]);
        args.resize(7, b"N".to_vec());
        args[index].clone_from(&shared);
        call("torch._utils", "_rebuild_tensor_v2", &args)
    };
    let keyed = {
        let id = tuple(&[text("storage"), global("torch", "FloatStorage"), shared.clone(), text("cpu"), int(6)]);
        call("torch._utils", "_rebuild_tensor_v2", &[cat([id, b"Q".to_vec()]), int(0), ints(&[6]), ints(&[1])])
    };
    let object = |class: &str| cat([global("a", class), b")\x81h\x00b".to_vec()]);
    let state = |extra: Vec<u8>| {
        let empty = b"}".to_vec();
        cat([b"}(".to_vec(), text("_modules"), empty.clone(), text("_parameters"), empty, extra, b"u".to_vec()])
    };
    let wide_entries = (0..20_000).flat_map(|i| cat([text(&format!("a{i}")), b"N".to_vec()])).collect();
    let optimizer = dict(&[("state", b"N".to_vec()), ("param_groups", b"N".to_vec())]);
    let loaded = {
        let stream = legacy(
            &storage("FloatStorage", "0", 6),
            &cat([repeated(b"N0", 300_000), b"]".to_vec(), text("0"), b"a".to_vec()]),
            &cat([6u64.to_le_bytes().to_vec(), floats(6)]),
        );
        call(
            "torch.storage",
            "_load_from_bytes",
            &[cat([&b"B"[..], &u32::try_from(stream.len()).unwrap().to_le_bytes(), &stream])],
        )
    };
    meets(vec![
        ("metadata", many(wide.clone(), 5000, &with(6)), Read),
        ("sizes", many(million.clone(), 5000, &with(2)), Refused("too many axes")),
        ("hooks", many(wide.clone(), 5000, &with(5)), Read),
        ("a key", many(long.clone(), 5000, &keyed), Refused("the key of a storage")),
        ("the stream of a storage", many(loaded, 2000, &with(0)), Read),
        ("states of objects", many(wide.clone(), 20_000, &object("Config")), Refused("bytes of names")),
        ("states of modules", many(state(wide_entries), 20_000, &object("Net")), Refused("bytes of names")),
        ("items of dictionaries", many(wide, 20_000, &shared), Read),
        ("the state of an optimizer", many(optimizer, 20_000, &shared), Unused("optimizer")),
        ("a long text", many(long, 20_000, &shared), Read),
        ("a long tuple", many(million, 20_000, &shared), Read),
        ("a class of a long name", zip_of(&global("a", &"N".repeat(5000))), Refused("a name of a global")),
    ]);
}

#[test]
fn tensors_that_lie_about_their_storage_are_refused() {
    // What another test allocates for its cases would be counted as this one\'s.
    let _alone = ALONE.lock();
    let one = |tensor: Vec<u8>| zip_of(&dict(&[("w", tensor)]));
    let made = |name: &str, args: &[Vec<u8>]| one(call("torch._utils", name, args));
    let mut negative = view(6, 0, &[2, 3], &[3, 1]);
    negative[1] = int(-1);
    let mut no_storage = view(6, 0, &[2, 3], &[3, 1]);
    no_storage[0] = b"N".to_vec();
    let mut other_key = view(6, 0, &[2, 3], &[3, 1]);
    other_key[0] = storage("FloatStorage", "../../etc/passwd", 6);
    let mut text_size = view(6, 0, &[2, 3], &[3, 1]);
    text_size[2] = text("23");
    let big = i64::MAX;
    let loaded = |stream: &[u8]| {
        let bytes = cat([&b"B"[..], &u32::try_from(stream.len()).unwrap().to_le_bytes(), stream]);
        let storage = call("torch.storage", "_load_from_bytes", &[bytes]);
        call("torch._utils", "_rebuild_tensor_v2", &[storage, int(0), ints(&[6]), ints(&[1])])
    };
    meets(vec![
        ("a sound tensor", one(weight()), Read),
        ("more elements than there are", one(tensor(6, 0, &[7], &[1])), Refused("beyond a storage of 6")),
        ("an offset behind the end", one(tensor(6, 6, &[1], &[1])), Refused("beyond a storage of 6")),
        ("an offset that overflows", one(tensor(6, big, &[2], &[1])), Refused("beyond a storage")),
        ("strides that overflow", one(tensor(6, 0, &[3, 3], &[big, big])), Refused("beyond a storage")),
        ("strides that overlap to the last element", one(tensor(6, 0, &[3, 4], &[1, 1])), Read),
        ("strides that overlap and leave", one(tensor(6, 0, &[4, 4], &[1, 1])), Refused("beyond a storage")),
        ("sizes that overflow", one(tensor(6, 0, &[big, big], &[0, 0])), Refused("too many elements")),
        ("a bomb of stride 0", one(tensor(6, 0, &[1 << 40], &[0])), Refused("bytes after decoding")),
        ("a bomb of stride 0 in many axes", one(tensor(6, 0, &[1024; 5], &[0; 5])), Refused("bytes after decoding")),
        ("a thousand axes", one(tensor(6, 0, &[1; 1000], &[1; 1000])), Refused("too many axes")),
        ("a negative size", one(tensor(6, 0, &[-2, 3], &[3, 1])), Refused("is negative")),
        ("a negative stride", one(tensor(6, 5, &[6], &[-1])), Refused("is negative")),
        ("a negative offset", made("_rebuild_tensor_v2", &negative), Refused("is negative")),
        ("fewer strides than sizes", one(tensor(6, 0, &[2, 3], &[1])), Refused("1 strides for 2 axes")),
        ("a storage that claims more", one(tensor(7, 0, &[6], &[1])), Refused("7 elements")),
        ("a storage that claims fewer", one(tensor(5, 0, &[5], &[1])), Refused("5 elements")),
        ("a storage of 2^62 elements", one(tensor(1 << 62, 0, &[6], &[1])), Refused("elements of a FloatStorage")),
        ("a storage of fewer than none", one(tensor(-6, 0, &[6], &[1])), Refused("the size of a storage")),
        ("no storage", made("_rebuild_tensor_v2", &no_storage), Refused("a storage")),
        ("a storage that is not there", made("_rebuild_tensor_v2", &other_key), Refused("the record of a storage")),
        ("a size that is a text", made("_rebuild_tensor_v2", &text_size), Refused("no size")),
        ("too few arguments", made("_rebuild_tensor_v2", &[int(1)]), Refused("fewer arguments")),
        ("no arguments", made("_rebuild_tensor", &[]), Refused("fewer arguments")),
        ("a parameter of nothing", made("_rebuild_parameter", &[]), Unused("a parameter of nothing")),
        (
            "a tensor of a class of nothing",
            one(call("torch._tensor", "_rebuild_from_type_v2", &[])),
            Unused("of a class"),
        ),
        (
            "a tensor rebuilt by os.system",
            one(call(
                "torch._tensor",
                "_rebuild_from_type_v2",
                &[global("os", "system"), b"N".to_vec(), tuple(&[text("id")])],
            )),
            Read,
        ),
        ("a stream in a stream that is none", one(loaded(b"\x80\x02N.")), Refused("protocol version")),
        (
            "a stream in a stream that calls",
            one(loaded(&legacy(&call("os", "system", &[]), b"]", &[]))),
            Refused("a storage and nothing else"),
        ),
        ("a tensor without elements", made("_rebuild_meta_tensor_no_storage", &[]), Unused("without elements")),
        ("a sparse tensor", made("_rebuild_sparse_tensor", &[]), Unused("sparse")),
        ("a quantised tensor", made("_rebuild_qtensor", &[]), Unused("quantised")),
        ("a tensor of the future", made("_rebuild_tensor_v9", &[]), Unused("of another kind")),
        ("a type that is not named", made("_rebuild_tensor_v3", &view(6, 0, &[6], &[1])), Unused("not named")),
        (
            "a storage of a class that is none",
            one(call(
                "torch._utils",
                "_rebuild_tensor_v2",
                &[storage("SystemStorage", "0", 6), int(0), ints(&[6]), ints(&[1])],
            )),
            Unused("System"),
        ),
        (
            "tensors that repeat one storage without end",
            zip_of(&dict(&(0..80).map(|_| ("w", tensor(6, 0, &[1 << 20], &[0]))).collect::<Vec<_>>())),
            Refused("bytes after decoding"),
        ),
    ]);
}

#[test]
fn arrays_of_numpy_that_lie_are_refused() {
    // What another test allocates for its cases would be counted as this one\'s.
    let _alone = ALONE.lock();
    let dtype = |code: &str| {
        let state = tuple(&[int(3), text("<"), b"N".to_vec(), b"N".to_vec()]);
        cat([call("numpy", "dtype", &[text(code), int(0), int(1)]), state, b"b".to_vec()])
    };
    let array = |shape: &[i64], dtype: Vec<u8>, data: Vec<u8>, fortran: bool| {
        let made = call("numpy.core.multiarray", "_reconstruct", &[global("numpy", "ndarray"), ints(&[0]), text("b")]);
        let order = if fortran { b"\x88".to_vec() } else { b"\x89".to_vec() };
        let state = tuple(&[int(1), ints(shape), dtype, order, data]);
        pickle(&dict(&[("w", cat([made, state, b"b".to_vec()]))]))
    };
    let bytes = |count: u8| cat([vec![b'U', count], vec![0; usize::from(count)]]);
    meets(vec![
        ("a sound array", array(&[2, 3], dtype("f4"), bytes(24), false), Read),
        ("a sound array by columns", array(&[2, 3], dtype("f4"), bytes(24), true), Read),
        ("too few bytes", array(&[2, 3], dtype("f4"), bytes(20), false), Refused("as many bytes")),
        ("too few bytes by columns", array(&[2, 3], dtype("f4"), bytes(20), true), Refused("24 bytes")),
        ("a shape that overflows", array(&[i64::MAX, i64::MAX], dtype("f4"), bytes(4), false), Refused("too many")),
        ("a shape that overflows by columns", array(&[i64::MAX, 8], dtype("f8"), bytes(4), true), Refused("too many")),
        ("a negative shape", array(&[-1], dtype("f4"), bytes(4), false), Refused("the shape of an array")),
        ("objects as elements", array(&[1], dtype("O8"), b"]".to_vec(), false), Unused("no numbers")),
        ("records as elements", array(&[1], dtype("V8"), bytes(8), false), Unused("no numbers")),
        ("a list as elements", array(&[1], dtype("f4"), b"]".to_vec(), false), Unused("objects")),
        ("a type that is none", array(&[1], text("f4"), bytes(4), false), Unused("no numbers")),
        ("no array in it", pickle(&int(7)), Read),
        ("os.system alone", pickle(&call("os", "system", &[text("id")])), Danger("os.system")),
        ("os.system in protocol 0", b"(dp0\nS'a'\ncposix\nsystem\n(S'id'\ntRs.".to_vec(), Danger("posix.system")),
    ]);
}

#[test]
fn archives_that_lie_are_refused() {
    // What another test allocates for its cases would be counted as this one\'s.
    let _alone = ALONE.lock();
    let sound = zip_of(&dict(&[("w", weight())]));
    let with_record = |name: &str, bytes: &[u8]| {
        archive(&[("m/data.pkl", &pickle(&dict(&[("w", weight())]))), ("m/data/0", &floats(6)), (name, bytes)])
    };
    let patched = |find: &[u8], offset: usize, with: &[u8]| {
        let mut bytes = sound.clone();
        let at = bytes.windows(find.len()).rposition(|window| window == find).unwrap() + offset;
        bytes[at..at + with.len()].copy_from_slice(with);
        bytes
    };
    let end = b"PK\x05\x06";
    let entry = b"PK\x01\x02";
    let bomb = {
        let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        writer.start_file("m/data.pkl", zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut writer, &vec![0x80; 300 << 20]).unwrap();
        writer.finish().unwrap().into_inner()
    };
    let no_pickle = archive(&[("m/data.pkl/x", b""), ("m/constants.pkl", b"")]);
    let many: Vec<String> = (0..100_001).map(|i| format!("{i}")).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|name| (name.as_str(), &b""[..])).collect();
    let pt2 = |config: &str| {
        archive(&[
            ("archive_format", b"pt2"),
            ("data/weights/model_weights_config.json", config.as_bytes()),
            ("data/weights/w", &floats(6)),
        ])
    };
    let weight_of = |meta: &str| format!(r#"{{"config":{{"w":{{"path_name":"w","tensor_meta":{meta}}}}}}}"#);
    let nested = archive(&[("serialized_state_dict.pt", &archive(&[("serialized_state_dict.pt", &sound)]))]);
    meets(vec![
        ("a sound archive", sound.clone(), Read),
        ("65,535 entries claimed", patched(end, 8, &[0xff; 4]), Refused("ZIP archive")),
        ("a directory behind the end", patched(end, 16, &[0xff, 0xff, 0xff, 0x7f]), Refused("ZIP archive")),
        ("a directory that claims 4 GiB", patched(end, 12, &[0xff, 0xff, 0xff, 0x7f]), Read),
        ("an entry of 2 GiB", patched(entry, 20, &[0xff, 0xff, 0xff, 0x7f]), Refused("")),
        ("an entry behind the end", patched(entry, 42, &[0xff, 0xff, 0xff, 0x7f]), Refused("")),
        ("entries that share bytes", patched(entry, 42, &[0; 4]), Refused("")),
        ("a deflated bomb", bomb, Refused("beyond the limit")),
        ("more entries than any model has", archive(&many), Refused("entries of the archive")),
        ("no data.pkl", no_pickle, Refused("ZIP archive")),
        ("a byte order that is none", with_record("m/byteorder", b"middle"), Refused("`little` or `big`")),
        ("a path that leads out", with_record("../../../etc/cron.d/x", b"* * * * *"), Read),
        ("a record that nothing refers to", with_record("m/data/99", &floats(1)), Unused("no tensor refers to")),
        ("weights that are no JSON", pt2("{"), Refused("JSON")),
        ("weights without a list", pt2("{}"), Refused("`config`")),
        ("a weight without a path", pt2(r#"{"config":{"w":{}}}"#), Refused("path_name")),
        (
            "a weight that leads out",
            pt2(r#"{"config":{"w":{"path_name":"../../x","tensor_meta":{"dtype":7,"sizes":[],"strides":[]}}}}"#),
            Refused("the record of a weight"),
        ),
        (
            "a weight larger than its record",
            pt2(&weight_of(r#"{"dtype":7,"sizes":[7],"strides":[1]}"#)),
            Refused("beyond a storage"),
        ),
        (
            "a weight of stride 0",
            pt2(&weight_of(r#"{"dtype":7,"sizes":[1099511627776],"strides":[0]}"#)),
            Refused("beyond the limit"),
        ),
        (
            "a weight of a negative size",
            pt2(&weight_of(r#"{"dtype":7,"sizes":[-7],"strides":[1]}"#)),
            Refused("sizes that are numbers"),
        ),
        ("a weight of float8", pt2(&weight_of(r#"{"dtype":29,"sizes":[6],"strides":[1]}"#)), Unused("not read")),
        ("a sound weight", pt2(&weight_of(r#"{"dtype":7,"sizes":[{"as_int":6}],"strides":[{"as_int":1}]}"#)), Read),
        ("an archive in an archive in an archive", nested, Refused("another program")),
    ]);
}

#[test]
fn legacy_streams_and_tars_that_lie_are_refused() {
    // What another test allocates for its cases would be counted as this one\'s.
    let _alone = ALONE.lock();
    let object = dict(&[("w", weight())]);
    let keys = cat([b"]".to_vec(), text("0"), b"a".to_vec()]);
    let tail = |count: u64, floats: Vec<u8>| cat([count.to_le_bytes().to_vec(), floats]);
    let twice = cat([b"](".to_vec(), text("0"), text("0"), b"e".to_vec()]);
    let protocol = {
        let mut bytes = legacy(&object, &keys, &tail(6, floats(6)));
        bytes[19] ^= 1;
        bytes
    };
    let tar = |members: &[(&str, &[u8], &str)]| {
        let mut bytes = Vec::new();
        for (name, content, size) in members {
            let mut header = vec![0; 512];
            header[..name.len()].copy_from_slice(name.as_bytes());
            header[124..124 + size.len()].copy_from_slice(size.as_bytes());
            header[257..262].copy_from_slice(b"ustar");
            header.extend(*content);
            header.resize(header.len().next_multiple_of(512), 0);
            bytes.extend(header);
        }
        bytes.resize(bytes.len() + 1024, 0);
        bytes
    };
    let octal = |bytes: &[u8]| format!("{:011o}", bytes.len());
    let whole = |storages: &[u8], tensors: &[u8], root: &[u8]| {
        tar(&[
            ("storages", storages, &octal(storages)),
            ("tensors", tensors, &octal(tensors)),
            ("pickle", root, &octal(root)),
        ])
    };
    let none = cat([pickle(&int(0)), pickle(b"]")]);
    let claims = cat([pickle(&int(i64::MAX)), pickle(b"]")]);
    let stored = cat([
        pickle(&int(1)),
        pickle(&tuple(&[int(1), text("cpu"), global("torch", "FloatStorage")])),
        tail(6, floats(6)),
        pickle(b"]"),
    ]);
    let long = cat([
        pickle(&int(1)),
        pickle(&tuple(&[int(1), text("cpu"), global("torch", "FloatStorage")])),
        tail(1 << 62, floats(6)),
        pickle(b"]"),
    ]);
    let view = |rank: i32, numbers: &[i64]| {
        let about = pickle(&tuple(&[int(2), int(1), global("torch", "FloatTensor")]));
        let numbers: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        cat([pickle(&int(1)), about, rank.to_le_bytes().to_vec(), vec![0; 4], numbers])
    };
    let root = pickle(&cat([b"}".to_vec(), text("w"), int(2), b"Qs".to_vec()]));
    meets(vec![
        ("a sound stream", legacy(&object, &keys, &tail(6, floats(6))), Read),
        ("another protocol", protocol, Refused("protocol version")),
        ("a count that lies", legacy(&object, &keys, &tail(5, floats(6))), Refused("6 elements")),
        ("a count of 2^64", legacy(&object, &keys, &tail(u64::MAX, floats(6))), Refused("elements of 4 bytes")),
        ("a storage cut short", legacy(&object, &keys, &tail(6, floats(5))), Refused("6 elements of 4 bytes")),
        ("no storage", legacy(&object, b"]", &[]), Refused("storage `0` in the file")),
        ("more behind the last storage", legacy(&object, &keys, &tail(6, floats(7))), Refused("4 more bytes")),
        ("a storage twice", legacy(&object, &twice, &tail(6, floats(6))), Refused("its size")),
        ("keys that are no list", legacy(&object, &int(1), &[]), Refused("a list")),
        (
            "keys that are no texts",
            legacy(&object, &cat([b"]".to_vec(), int(1), b"a".to_vec()]), &[]),
            Refused("a text"),
        ),
        ("a storage that nothing describes", legacy(b"}", &keys, &tail(6, floats(6))), Refused("nothing describes")),
        (
            "os.system in a stream",
            legacy(
                &cat([call("os", "system", &[text("id")]), b"0".to_vec(), object.clone()]),
                &keys,
                &tail(6, floats(6)),
            ),
            Danger("os.system"),
        ),
        ("a sound tar", whole(&stored, &view(1, &[6, 1, 0]), &root), Read),
        ("a tar without its members", tar(&[("a", b"", "0")]), Refused("tar archive")),
        ("a member of 8 GiB", tar(&[("storages", b"", "77777777777")]), Refused("tar archive")),
        ("a member whose size is no number", tar(&[("storages", b"", "9x")]), Refused("tar archive")),
        ("storages without end", whole(&claims, &none, &root), Refused("beyond the limit")),
        ("tensors without end", whole(&stored, &claims, &root), Refused("beyond the limit")),
        ("a storage of 2^62 floats", whole(&long, &none, &root), Refused("elements that lie in the file")),
        ("a tensor on no storage", whole(&none, &view(1, &[6, 1, 0]), &root), Refused("storage `1`")),
        ("a tensor of rank 2^31", whole(&stored, &view(i32::MAX, &[6, 1, 0]), &root), Refused("a rank up to")),
        ("a tensor of negative rank", whole(&stored, &view(-1, &[6, 1, 0]), &root), Refused("a rank up to")),
        ("a tensor behind the end", whole(&stored, &view(1, &[7, 1, 0]), &root), Refused("beyond a storage")),
        ("a tensor of stride 0", whole(&stored, &view(1, &[1 << 40, 0, 0]), &root), Refused("beyond the limit")),
        ("a tensor of negative stride", whole(&stored, &view(1, &[6, -1, 5]), &root), Refused("negative")),
        (
            "os.system in a tar",
            whole(&stored, &view(1, &[6, 1, 0]), &pickle(&call("os", "system", &[]))),
            Danger("os.system"),
        ),
    ]);
}

/// Opcodes with arguments that make sense, to be put one after the other without any.
fn fragments() -> Vec<Vec<u8>> {
    let plain: [&[u8]; 30] = [
        b"N", b"\x88", b"\x89", b"]", b"}", b")", b"(", b"\x8f", b"t", b"l", b"d", b"\x85", b"\x86", b"\x87", b"a",
        b"e", b"s", b"u", b"\x90", b"R", b"\x81", b"b", b"Q", b"0", b"1", b"2", b"q\x00", b"h\x00", b"\x94", b"o",
    ];
    let mut all: Vec<Vec<u8>> = plain.iter().map(|part| part.to_vec()).collect();
    all.extend([text("state_dict"), text("w"), text("_modules"), text("_parameters"), int(3), int(-1), int(i64::MAX)]);
    all.extend([weight(), tensor(6, 0, &[1 << 30], &[0]), storage("FloatStorage", "0", 6), dict(&[("w", weight())])]);
    all.extend([
        global("os", "system"),
        global("torch._utils", "_rebuild_tensor_v2"),
        global("a", "Net"),
        ints(&[2, 3]),
    ]);
    all.extend([global("collections", "OrderedDict"), global("numpy", "dtype"), b"ios\nsystem\n".to_vec()]);
    all
}

#[test]
fn programs_of_random_opcodes_are_read_or_refused() {
    // What another test allocates for its cases would be counted as this one\'s.
    let _alone = ALONE.lock();
    let (fragments, mut random) = (fragments(), Random(23));
    let (mut taken, mut refused) = (0, 0);
    for round in 0..1500 {
        let mut program = Vec::new();
        for _ in 0..random.below(60) {
            program.extend(&fragments[random.below(fragments.len())]);
        }
        // Half of them leave something sound on the stack.
        if random.below(2) == 0 {
            program.extend(cat([b"N".to_vec(), dict(&[("w", weight())])]));
        }
        let bytes = match round % 3 {
            0 => zip_of(&program),
            1 => legacy(
                &program,
                &cat([b"]".to_vec(), text("0"), b"a".to_vec()]),
                &cat([6u64.to_le_bytes().to_vec(), floats(6)]),
            ),
            _ => pickle(&program),
        };
        match torch_file(&format!("program {round}"), &bytes) {
            Ok(_) => taken += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(taken > 20 && refused > 500, "{taken} taken, {refused} refused");
}
