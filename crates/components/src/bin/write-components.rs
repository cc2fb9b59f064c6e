//! Writes the finished components into a folder: `write-components FOLDER`.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let folder: PathBuf = env::args_os()
        .nth(1)
        .ok_or("usage: write-components FOLDER")?
        .into();
    fs::create_dir_all(&folder)?;
    for (name, bytes) in watchbell_components::ALL {
        fs::write(folder.join(name), bytes)?;
    }
    Ok(())
}
