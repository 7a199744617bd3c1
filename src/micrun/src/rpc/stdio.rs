//! Calls on streams, and what is printed.

use std::fs::File;
use std::io::{Seek, SeekFrom};

use nix::errno::Errno;
use nix::unistd::UnlinkatFlags;

use super::calls::from;
use super::files::{Files, STDIN, errno, is_console};
use super::flags;
use super::tree::{make_unique, remove_entry};
use super::wire::{DATA_LEN, PATH_LEN, Request, data, int, long};

/// `EOF` and `WEOF`.
const END: i32 = -1;
/// Bytes of a mode in requests.
const MODE_LEN: usize = 6;
/// Permissions of a file that `fopen` makes.
const CREATED: u32 = 0o666;
/// Digits of the number that the one known use of `fscanf` reads.
const HEX_DIGITS: usize = 16;

type Answer = nix::Result<Vec<u8>>;

/// The file of an `fopen` or `freopen`, whose path and mode are in the same places.
fn open(files: &Files, request: &Request<'_>) -> nix::Result<File> {
    let (path, mode) = (request.text(12, PATH_LEN)?, request.text(12 + PATH_LEN, MODE_LEN)?);
    files.root.open_file(path, flags::of_mode(mode)?, CREATED)
}

pub(super) fn fopen(files: &mut Files, request: &Request<'_>) -> Answer {
    let file = open(files, request)?;
    Ok(long(files.add_file_stream(file)? as i64))
}

pub(super) fn freopen(files: &mut Files, request: &Request<'_>) -> Answer {
    let handle = request.u64(152)?;
    files.stream(handle)?;
    let file = open(files, request)?;
    let fd = files.add(file)?;
    files.redirect(handle, fd)?;
    Ok(long(handle as i64))
}

pub(super) fn fdopen(files: &mut Files, request: &Request<'_>) -> Answer {
    flags::of_mode(request.text(16, MODE_LEN)?)?;
    Ok(long(files.add_stream(request.i32(12)?)? as i64))
}

/// In the container's root file system and not in memory, which is the host's and has no bound.
pub(super) fn tmpfile(files: &mut Files, _: &Request<'_>) -> Answer {
    let (path, file) = make_unique(&files.root, "/")?;
    remove_entry(&files.root, &path, UnlinkatFlags::NoRemoveDir)?;
    Ok(long(files.add_file_stream(file)? as i64))
}

pub(super) fn fclose(files: &mut Files, request: &Request<'_>) -> Answer {
    files.close_stream(request.u64(16)?).map(|()| int(0))
}

/// Nothing is buffered.
pub(super) fn fflush(files: &mut Files, request: &Request<'_>) -> Answer {
    files.fd_of(request.u64(16)?).map(|_| int(0))
}

pub(super) fn fileno(files: &mut Files, request: &Request<'_>) -> Answer {
    files.fd_of(request.u64(16)?).map(int)
}

pub(super) fn feof(files: &mut Files, request: &Request<'_>) -> Answer {
    match request.u64(16)? {
        STDIN => Ok(int(1)),
        console if is_console(console) => Ok(int(0)),
        handle => Ok(int(files.stream(handle)?.eof.into())),
    }
}

pub(super) fn ferror(files: &mut Files, request: &Request<'_>) -> Answer {
    match request.u64(16)? {
        standard if standard == STDIN || is_console(standard) => Ok(int(0)),
        handle => Ok(int(files.stream(handle)?.error.into())),
    }
}

pub(super) fn clearerr(files: &mut Files, request: &Request<'_>) -> Answer {
    let stream = files.stream(request.u64(8)?)?;
    stream.eof = false;
    stream.error = false;
    Ok(Vec::new())
}

/// Items of `size` bytes; the bytes of part of an item are read and told, and not counted, as in C.
pub(super) fn fread(files: &mut Files, request: &Request<'_>) -> Answer {
    let (size, count) = (request.count(16)?, request.count(24)?);
    if size == 0 || count == 0 {
        return Ok(data(0, &[]));
    }
    let fits = count.min(DATA_LEN / size);
    if fits == 0 {
        return Err(Errno::EINVAL);
    }
    let bytes = files.read_stream(request.u64(32)?, size * fits)?;
    Ok(data(bytes.len() / size, &bytes))
}

pub(super) fn fwrite(files: &mut Files, request: &Request<'_>) -> Answer {
    let (size, count) = (request.count(16)?, request.count(24)?);
    let len = size.checked_mul(count).ok_or(Errno::EINVAL)?;
    files.write_stream(request.u64(32)?, request.data(40, len)?)?;
    Ok(long(if size == 0 { 0 } else { count as i64 }))
}

pub(super) fn fputs(files: &mut Files, request: &Request<'_>) -> Answer {
    files.write_stream(request.u64(16)?, request.text(24, DATA_LEN)?.as_bytes())?;
    Ok(int(0))
}

pub(super) fn fgets(files: &mut Files, request: &Request<'_>) -> Answer {
    let handle = request.u64(16)?;
    let size = usize::try_from(request.i32(24)?).map_err(|_| Errno::EINVAL)?.min(DATA_LEN);
    let mut line = Vec::new();
    while line.len() + 1 < size {
        match files.read_stream(handle, 1)?.first() {
            Some(byte) => line.push(*byte),
            None => break,
        }
        if line.last() == Some(&b'\n') {
            break;
        }
    }
    let end = i32::from(line.is_empty());
    line.push(0);
    Ok([&int(end)[..], &line].concat())
}

pub(super) fn getc(files: &mut Files, request: &Request<'_>) -> Answer {
    let read = files.read_stream(request.u64(16)?, 1)?;
    Ok(int(read.first().map_or(END, |byte| i32::from(*byte))))
}

pub(super) fn putc(files: &mut Files, request: &Request<'_>) -> Answer {
    let byte = request.u32(12)? as u8;
    files.write_stream(request.u64(16)?, &[byte])?;
    Ok(int(byte.into()))
}

pub(super) fn ungetc(files: &mut Files, request: &Request<'_>) -> Answer {
    let Ok(byte) = u8::try_from(request.i32(12)?) else { return Ok(int(END)) };
    files.push_back(request.u64(16)?, &[byte])?;
    Ok(int(byte.into()))
}

/// One character in UTF-8.
pub(super) fn getwc(files: &mut Files, request: &Request<'_>) -> Answer {
    let handle = request.u64(16)?;
    let mut bytes = files.read_stream(handle, 1)?;
    let Some(first) = bytes.first() else { return Ok(int(END)) };
    let more = match first.leading_ones() {
        0 => 0,
        ones @ 2..=4 => ones as usize - 1,
        _ => return Err(Errno::EILSEQ),
    };
    bytes.extend(files.read_stream(handle, more)?);
    let text = std::str::from_utf8(&bytes).map_err(|_| Errno::EILSEQ)?;
    Ok(int(text.chars().next().map_or(END, |character| character as i32)))
}

fn character(request: &Request<'_>) -> nix::Result<char> {
    char::from_u32(request.u32(12)?).ok_or(Errno::EILSEQ)
}

pub(super) fn putwc(files: &mut Files, request: &Request<'_>) -> Answer {
    let character = character(request)?;
    files.write_stream(request.u64(16)?, character.encode_utf8(&mut [0; 4]).as_bytes())?;
    Ok(int(character as i32))
}

/// Answers 0, as upstream does.
pub(super) fn ungetwc(files: &mut Files, request: &Request<'_>) -> Answer {
    let character = character(request)?;
    files.push_back(request.u64(16)?, character.encode_utf8(&mut [0; 4]).as_bytes())?;
    Ok(int(0))
}

pub(super) fn fseek(files: &mut Files, request: &Request<'_>) -> Answer {
    let (handle, offset, whence) = (request.u64(16)?, request.i64(24)?, request.i32(32)?);
    let pushed = files.forget_pushed(handle)? as i64;
    let to = match from(offset, whence)? {
        // What was pushed back counts as not read.
        SeekFrom::Current(by) => SeekFrom::Current(by.checked_sub(pushed).ok_or(Errno::EOVERFLOW)?),
        to => to,
    };
    let mut file = files.get(files.fd_of(handle)?)?;
    file.seek(to).map_err(|error| errno(&error))?;
    Ok(int(0))
}

pub(super) fn ftell(files: &mut Files, request: &Request<'_>) -> Answer {
    let handle = request.u64(16)?;
    let pushed = files.stream(handle)?.pushed_len() as i64;
    let mut file = files.get(files.fd_of(handle)?)?;
    let at = i64::try_from(file.stream_position().map_err(|error| errno(&error))?)
        .map_err(|_| Errno::EOVERFLOW)?;
    Ok(long(at - pushed))
}

/// `fscanf` of one hexadecimal number, the only use that the call has.
pub(super) fn scan_hex(files: &mut Files, request: &Request<'_>) -> Answer {
    let handle = request.u64(144)?;
    let mut digits = String::new();
    let mut begun = false;
    // White space in front of it is bounded too: a call takes no longer than others.
    for _ in 0..DATA_LEN {
        if digits.len() == HEX_DIGITS + 2 {
            break;
        }
        let Some(byte) = files.read_stream(handle, 1)?.first().copied() else { break };
        if !begun && byte.is_ascii_whitespace() {
            continue;
        }
        begun = true;
        if !byte.is_ascii_hexdigit() && !matches!(byte, b'x' | b'X') {
            files.push_back(handle, &[byte])?;
            break;
        }
        digits.push(byte.into());
    }
    if digits.is_empty() && !begun {
        return Ok([&long(END.into())[..], &long(0)].concat());
    }
    let plain = digits.trim_start_matches("0x").trim_start_matches("0X");
    let number = u64::from_str_radix(plain, 16);
    Ok(data(number.is_ok().into(), &number.unwrap_or(0).to_le_bytes()))
}

/// To the console as it is; to a file without an answer.
pub(super) fn fprintf(files: &mut Files, request: &Request<'_>) -> Answer {
    let len = usize::try_from(request.i32(16)?).map_err(|_| Errno::EINVAL)?;
    files.write_stream(request.u64(8)?, request.data(20, len)?)?;
    Ok(files.take_printed())
}

pub(super) fn printf(_: &mut Files, request: &Request<'_>) -> Answer {
    let len = usize::try_from(request.i32(8)?).map_err(|_| Errno::EINVAL)?;
    request.data(12, len).map(<[u8]>::to_vec)
}
