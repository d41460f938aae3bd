//! What nobody wants to happen, happens: the program says so clearly, exits with the right code, and changes nothing.

#[path = "support/cli.rs"]
mod cli;
#[path = "support/s3.rs"]
mod s3;
#[path = "support/s3_double.rs"]
mod s3_double;

#[path = "bad_input/destinations.rs"]
mod destinations;
#[path = "bad_input/disks.rs"]
mod disks;
#[path = "bad_input/names.rs"]
mod names;
#[path = "bad_input/options.rs"]
mod options;
#[path = "bad_input/own_folder.rs"]
mod own_folder;
#[path = "bad_input/refs.rs"]
mod refs;
#[path = "bad_input/remotes.rs"]
mod remotes;
#[path = "bad_input/sources.rs"]
mod sources;
#[path = "bad_input/stores.rs"]
mod stores;
