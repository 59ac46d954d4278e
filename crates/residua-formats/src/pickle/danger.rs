//! What pickles may want called: the constructors of plain data, and what must be reported.

/// Constructors of plain data: calling them for real would have no effect but their result.
const CONSTRUCTORS: [&str; 42] = [
    "__builtin__.bytearray",
    "__builtin__.complex",
    "__builtin__.frozenset",
    "__builtin__.object",
    "__builtin__.range",
    "__builtin__.set",
    "__builtin__.slice",
    "__builtin__.xrange",
    "_codecs.encode",
    "argparse.Namespace",
    "builtins.bytearray",
    "builtins.complex",
    "builtins.frozenset",
    "builtins.object",
    "builtins.range",
    "builtins.set",
    "builtins.slice",
    "collections.Counter",
    "collections.OrderedDict",
    "collections.defaultdict",
    "collections.deque",
    "copy_reg._reconstructor",
    "copyreg._reconstructor",
    "datetime.date",
    "datetime.datetime",
    "datetime.timedelta",
    "decimal.Decimal",
    "fractions.Fraction",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.core.numeric._frombuffer",
    "numpy._core.numeric._frombuffer",
    "numpy.dtype",
    "numpy.ndarray",
    "pathlib.Path",
    "pathlib.PosixPath",
    "pathlib.PurePosixPath",
    "pathlib.WindowsPath",
    "torch.Size",
    "torch.device",
];

/// Starts of names whose calls are constructors too.
const FAMILIES: [&str; 6] = [
    "torch._utils._rebuild_",
    "torch._tensor._rebuild_",
    "torch.jit._pickle.",
    "torch.nn.parameter.",
    "torch.serialization._get_layout",
    "torch.storage._load_from_bytes_",
];

/// Modules of which nothing is data: they run programs, open files or reach into the interpreter.
const MODULES: [&str; 33] = [
    "__main__.os",
    "asyncio",
    "atexit",
    "bdb",
    "code",
    "codeop",
    "commands",
    "ctypes",
    "functools",
    "imp",
    "importlib",
    "inspect",
    "io",
    "marshal",
    "multiprocessing",
    "nt",
    "operator",
    "os",
    "pdb",
    "pickle",
    "pip",
    "platform",
    "posix",
    "pty",
    "runpy",
    "shutil",
    "signal",
    "socket",
    "subprocess",
    "sys",
    "tempfile",
    "timeit",
    "webbrowser",
];

/// Whether calling a global for real would only make data.
pub(crate) fn is_known_constructor(name: &str) -> bool {
    CONSTRUCTORS.contains(&name) || FAMILIES.iter().any(|family| name.starts_with(family))
}

/// Whether a class of this name is a dictionary.
pub(super) fn is_dictionary(name: &str) -> bool {
    matches!(
        name,
        "collections.OrderedDict"
            | "collections.defaultdict"
            | "collections.Counter"
            | "__builtin__.dict"
            | "builtins.dict"
    )
}

/// Whether nothing in the module of a global is data, so that even an object of it is worth a report.
pub(super) fn is_of_no_data(name: &str) -> bool {
    let module = name.rsplit_once('.').map_or(name, |(module, _)| module);
    MODULES.iter().any(|&bad| module == bad || module.strip_prefix(bad).is_some_and(|rest| rest.starts_with('.')))
}
