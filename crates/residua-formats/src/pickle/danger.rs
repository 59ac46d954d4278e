//! What pickles may want called: the constructors of plain data, and what must be reported.

/// Constructors of plain data: calling them for real would have no effect but their result.
const CONSTRUCTORS: [&str; 52] = [
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
    "copy_reg.__newobj__",
    "copy_reg._reconstructor",
    "copyreg.__newobj__",
    "copyreg._reconstructor",
    "datetime.date",
    "datetime.datetime",
    "datetime.time",
    "datetime.timedelta",
    "datetime.timezone",
    "decimal.Decimal",
    "fractions.Fraction",
    "functools.partial",
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
    // What modules of the first PyTorch hold in their `_backend`.
    "torch.nn.backends.thnn._get_thnn_function_backend",
    "torch.serialization._get_layout",
    // Bytes that torch would read; here as data, like the rest.
    "torch.storage._load_from_bytes",
    "types.SimpleNamespace",
    "uuid.UUID",
];

/// Starts of names whose calls are constructors too.
const FAMILIES: [&str; 5] = [
    "numpy.random._pickle.__",
    "torch._tensor._rebuild_",
    "torch._utils._rebuild_",
    "torch.jit._pickle.",
    "torch.nn.parameter.",
];

/// Modules of which nothing is data: they run programs, open files or reach into the interpreter.
const MODULES: [&str; 62] = [
    "_io",
    "_operator",
    "_pickle",
    "_posixsubprocess",
    "_thread",
    "_winapi",
    "asyncio",
    "atexit",
    "bdb",
    "cPickle",
    "cProfile",
    "cloudpickle",
    "code",
    "codeop",
    "commands",
    "concurrent",
    "ctypes",
    "dill",
    "distutils",
    "doctest",
    "ensurepip",
    "ftplib",
    "functools",
    "glob",
    "http",
    "imp",
    "importlib",
    "inspect",
    "io",
    "joblib",
    "linecache",
    "marshal",
    "mmap",
    "multiprocessing",
    "nt",
    "operator",
    "os",
    "pdb",
    "pickle",
    "pip",
    "pkgutil",
    "platform",
    "posix",
    "profile",
    "pty",
    "pydoc",
    "runpy",
    "setuptools",
    "shelve",
    "shutil",
    "signal",
    "smtplib",
    "socket",
    "sqlite3",
    "subprocess",
    "sys",
    "tempfile",
    "threading",
    "timeit",
    "types",
    "urllib",
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

/// Whether a global is of a module that holds nothing but what could do harm, so that even an object of it is worth a
/// report.
pub(super) fn is_harmful(name: &str) -> bool {
    let module = name.rsplit_once('.').map_or(name, |(module, _)| module);
    let within = |bad: &&str| module == *bad || module.strip_prefix(*bad).is_some_and(|rest| rest.starts_with('.'));
    MODULES.iter().any(within) && !is_known_constructor(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_could_do_harm() {
        for name in ["os.system", "os.path.join", "subprocess.Popen", "types.CodeType", "functools.reduce"] {
            assert!(is_harmful(name), "{name}");
        }
        for name in ["types.SimpleNamespace", "functools.partial", "osmium.Osm", "torch.nn.modules.conv.Conv2d"] {
            assert!(!is_harmful(name), "{name}");
        }
    }
}
