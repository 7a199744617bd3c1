//! File systems that `mkfs.erofs` makes, and what nobody should.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use super::*;

/// A file system with `d/f` (`tail` bytes behind two blocks), a link, an empty file, and many files.
fn made(tail: usize, options: &[&str]) -> Vec<u8> {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path().join("root");
    fs::create_dir_all(root.join("d/many")).expect("made");
    fs::write(root.join("d/f"), content(tail)).expect("written");
    fs::write(root.join("empty"), "").expect("written");
    symlink("d/f", root.join("link")).expect("linked");
    for number in 0..400 {
        fs::write(root.join(format!("d/many/file-{number}")), number.to_string()).expect("written");
    }
    let image = directory.path().join("image");
    let mut program = Command::new("mkfs.erofs");
    let output = program.args(options).arg(&image).arg(&root).output().expect("mkfs.erofs runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::read(image).expect("readable")
}

fn content(tail: usize) -> Vec<u8> {
    (0..8192 + tail).map(|at| (at % 251) as u8).collect()
}

fn section(bytes: &[u8]) -> Section {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("written");
    Section::of(file, bytes.len() as u64)
}

fn found(image: &[u8], path: &str) -> Result<Option<Vec<u8>>, LayerError> {
    match effect(&section(image), path, 100_000)? {
        Effect::File(file) => {
            let mut bytes = Vec::new();
            file.reader().read_to_end(&mut bytes)?;
            Ok(Some(bytes))
        }
        Effect::None | Effect::Removed => Ok(None),
    }
}

#[test]
fn files_are_found_whatever_their_length() {
    for tail in [0, 1, 200, 4095] {
        let image = made(tail, &["-x-1"]);
        assert!(found(&image, "d/f").expect("readable") == Some(content(tail)), "{tail}");
        assert_eq!(found(&image, "empty").expect("readable").as_deref(), Some(&b""[..]));
        for number in [0, 7, 399] {
            let file = found(&image, &format!("d/many/file-{number}")).expect("readable");
            assert_eq!(file, Some(number.to_string().into_bytes()));
        }
        for none in ["f", "d/g", "d/f/g", "d/many/file-400", "d/many/file-", "link/f"] {
            assert_eq!(found(&image, none).expect("readable"), None, "{none}");
        }
    }
}

#[test]
fn what_is_no_file_is_said() {
    let image = made(1, &["-x-1"]);
    for path in ["d", "link"] {
        let error = found(&image, path).expect_err("no file").to_string();
        assert_eq!(error, format!("/{path} is not a regular file"));
    }
    let long = effect(&section(&image), "d/f", 8192).expect_err("too long").to_string();
    assert_eq!(long, "/d/f is 8193 bytes long, at most 8192 are allowed");
}

#[test]
fn what_is_packed_is_refused() {
    let error = found(&made(1, &["-zlz4"]), "d/f").expect_err("packed").to_string();
    assert!(error.starts_with("erofs: "), "{error}");
}

/// Whatever a byte of the metadata is, there is an answer: another one, or an error.
#[test]
fn broken_file_systems_are_survived() {
    let image = made(200, &["-x-1"]);
    let end = image.len().min(24 << 10);
    let mut refused = 0;
    for place in (1024..1024 + 128).chain((1152..end).step_by(29)) {
        for byte in [0, 0xff] {
            let mut changed = image.clone();
            changed[place] = byte;
            refused += u32::from(found(&changed, "d/many/file-399").is_err());
        }
    }
    assert!(refused > 0);
    for len in [0, 1024, 1100, 1200] {
        assert!(found(&image[..len], "d/f").is_err(), "{len}");
    }
}

#[test]
fn a_directory_of_a_lying_length_is_not_read() {
    let image = made(0, &["-x-1"]);
    let all = section(&image);
    let system = FileSystem::open(&all).expect("a file system");
    let mut root = system.inode(system.root).expect("a root");
    assert!(root.kind == Kind::Directory);
    root.len = MAX_DIRECTORY + 1;
    assert!(matches!(system.entry(&root, "d"), Err(LayerError::TooMany)));
}
