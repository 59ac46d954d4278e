//! HDF5 files as a tree of groups and datasets.
